"""The command line of a run gives, read by the terminal, the same settings."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from baton_reasoning.app.inspector.command_line import command_line, models_of
from baton_reasoning.app.terminal.command_line import command
from baton_reasoning.app.terminal.options import (
    LoadingOptions,
    ModelOptions,
    RunOptions,
    loading_options,
    model_options,
    run_options,
    run_settings,
)
from baton_reasoning.core.demo_pair.settings import DEMO_SETTINGS
from baton_reasoning.core.models.options import LocalFile
from baton_reasoning.core.run import Pair, RunSettings, ask, effective_settings, run
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.cues import Match
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_to_json, events_from_json
from tests.fakes.scripted import ScriptedEngine

FILES = ModelChoice(small="small.gguf", large="http://host:8080")


class Read(NamedTuple):
    problem: str
    models: ModelOptions
    loading: LoadingOptions
    settings: RunSettings


def read_again(line: str) -> Read:
    """What the terminal makes of the line."""
    words = shlex.split(line)
    assert words[:2] == ["baton", "solve"]

    @command("solve")
    @click.argument("problem")
    @run_options
    @model_options
    @loading_options
    def probe(problem: str, method: RunOptions, models: ModelOptions, loading: LoadingOptions) -> Read:
        return Read(problem, models, loading, run_settings(method, is_demo=models.is_demo))

    read = probe.main(words[2:], standalone_mode=False)
    assert isinstance(read, Read)
    return read


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
def test_the_terminal_reads_the_same_settings(settings):
    *_, again = read_again(command_line("2 + 2?", settings, FILES))
    assert again == settings


def test_problem_and_models_are_quoted():
    problem = 'It\'s $5 & "more";\nhow much?'
    problem_again, models, *_ = read_again(command_line(problem, RunSettings(), FILES))
    assert problem_again == problem
    assert (models.small, models.large) == ("small.gguf", "http://host:8080")


def test_a_run_is_repeated_with_the_models_that_it_used():
    large = LocalFile(Path("used.gguf"))
    small, other = ScriptedEngine("Done."), ScriptedEngine(name="large").with_card(source=large)
    settings = RunSettings()
    events = list(run(Pair(small, other), ask("2 + 2?", settings), settings))
    read = Trace.of(events_from_json(map(event_to_json, events)))
    assert read.started is not None
    assert models_of(read.started, FILES) == ModelChoice(small="small.gguf", large="used.gguf")


@pytest.mark.parametrize(
    "settings", [RunSettings(), RunSettings(policy=Keywords.presets["paper"]), RunSettings(seed=3)]
)
def test_a_run_of_the_demo_pair_names_it_whatever_is_chosen_in_the_window(settings):
    """With the settings that the demo pair makes of them, and with those that a person forced on it."""
    for used in (effective_settings(settings, DEMO_SETTINGS), settings):
        line = command_line("2 + 2?", used, ModelChoice())
        assert "--small demo:small --large demo:large" in line
        assert read_again(line).settings == used
