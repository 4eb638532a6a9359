"""A command repeats a run, and is read as the settings of that run."""

import shlex
import sys

import click
import pytest

from baton_reasoning.app.terminal.command_line import command
from baton_reasoning.app.terminal.options import loading_options, model_options, run_options
from baton_reasoning.core.demo_pair import PROMPT, demo_settings
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.run_command import command_line, run_settings, why_not_repeatable
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.automatic import is_automatic
from baton_reasoning.core.thinking.cue_rules import VERIFICATION
from baton_reasoning.core.thinking.cues import Match
from baton_reasoning.core.thinking.events import TakeoverEnded, TakeoverStarted
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes import mixed

FILES = ModelChoice(small="small.gguf", large="http://host:8080")


def read_again(line):
    """What the terminal makes of the line: the problem, the options of models, and the settings."""
    words = shlex.split(line)
    assert words[:2] == ["baton", "solve"]

    @command("solve")
    @click.argument("problem")
    @run_options
    @model_options
    @loading_options
    def probe(problem, method, models, loading):
        return problem, models, run_settings(**vars(method), is_demo=models.is_demo)

    return probe.main(words[2:], standalone_mode=False)


@pytest.mark.parametrize(
    "settings",
    [
        RunSettings(),
        *(RunSettings(policy=policy.Settings(), seed=2) for policy in POLICIES.values()),
        RunSettings(policy=RandomTakeover.Settings(p=0.5), seed=7, max_tokens=99),
        RunSettings(policy=Keywords.presets["paper"]),
        RunSettings(policy=Keywords.presets["paper"].model_copy(update={"n1": 5, "match": Match.SUBSTRING})),
        RunSettings(temperature=0, top_k=0, limits=Limits(max_seconds=3.5, repetition=False)),
        RunSettings(instruction="Answer in one word, without “quotes”."),
    ],
)
def test_the_terminal_reads_the_same_settings(settings, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")  # whose quotes shlex reads
    problem = 'It\'s $5 & "more";\nhow much?'
    problem_again, models, again = read_again(command_line(problem, settings, FILES))
    assert (problem_again, again) == (problem, settings)
    assert (models.small, models.large) == ("small.gguf", "http://host:8080")
    for used in (demo_settings(settings), settings.model_copy(update=PROMPT)):  # of the demo pair, and forced on it
        if is_automatic(used):  # the settings of a run never are
            continue
        line = command_line(problem, used, ModelChoice())
        assert "--small demo:small --large demo:large" in line
        assert read_again(line)[2] == used


def test_servers_have_a_context_of_their_own():
    servers = ModelChoice(small="http://host:8080", large="http://host:8081")
    assert "--context" not in command_line("2 + 2?", RunSettings(), servers)
    assert "--context" in command_line("2 + 2?", RunSettings(), FILES)


def by_hand(**ended):
    took = TakeoverStarted(0.0, VERIFICATION.id, None, 9, 0)
    return Trace.of([mixed.begun(), took, *mixed.by(Author.LARGE, "So"), TakeoverEnded(0.1, 1, **ended)])


@pytest.mark.parametrize(
    ("trace", "why_not"),
    [
        (Trace.of(mixed.by_one_pair()), ""),
        (by_hand(), ""),
        (by_hand(by_hand=True), "a person steered it"),
        (Trace.of(mixed.by_two_pairs()), "it was written in several runs"),
        (mixed.with_a_person(), "it was written in several runs, and a person wrote a part of it"),
        (Trace.of(mixed.by_one_pair()).edited(0, "Mine."), "a person wrote a part of it"),
    ],
)
def test_no_command_is_offered_for_what_none_repeats(trace, why_not):
    assert why_not_repeatable(trace) == (f"No command repeats this answer: {why_not}." if why_not else "")
