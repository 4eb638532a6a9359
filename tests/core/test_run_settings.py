"""The settings that a run uses: a person's, the pair's advice, and what was set for one model, for that model alone."""

from __future__ import annotations

import pytest

from baton_reasoning.core.demo_pair import DEMO_SETTINGS
from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.options import ModelOverrides, Sampling
from baton_reasoning.core.run import Pair, RunSettings, ask, effective_settings, run
from baton_reasoning.core.thinking.events import RunStarted, TakeoverStarted
from baton_reasoning.core.thinking.policies.keywords import REFLECTION, Keywords
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes.scripted import QUESTION, ScriptedEngine

CUES = '{"reflection": {"moment": []}}'
STEPS = "First step.\n\nOne moment, that is", "\n\nDone.</think>\n\n4"


def test_stored_settings_that_this_version_does_not_know_have_their_defaults_and_stay_stored():
    policy = {"policy": "keywords", "n1": "many", "n2": 7, "gone": 1}
    data = {"seed": 3, "top_k": -1, "policy": policy}
    assert RunSettings.stored(data) == RunSettings(seed=3, policy=Keywords.Settings(n2=7))
    assert data == {"seed": 3, "top_k": -1, "policy": {"policy": "keywords", "n1": "many", "n2": 7, "gone": 1}}


def test_without_advice_everything_is_as_chosen():
    chosen = RunSettings(policy=Keywords.presets["paper"], seed=3)
    assert effective_settings(chosen) == chosen


def test_the_pairs_lengths_fill_in_what_a_preset_left_alone():
    paper = effective_settings(RunSettings(policy=Keywords.presets["paper"], seed=3), DEMO_SETTINGS)
    assert paper.policy == Keywords.presets["paper"].model_copy(update={"n1": 16, "n2": 22, "n3": 14, "n3_step": 0})
    assert (paper.max_tokens, paper.seed) == (500, 3)
    assert effective_settings(RunSettings(policy=RandomTakeover.Settings()), DEMO_SETTINGS).policy == (
        RandomTakeover.Settings(n1=16)
    )


def test_a_persons_own_values_are_never_replaced():
    chosen = RunSettings(policy=Keywords.Settings(c=3, n1=9, n2=9), max_tokens=2000)
    used = effective_settings(chosen, DEMO_SETTINGS)
    assert used.policy == Keywords.Settings(c=3, n1=9, n2=9, n3=14, n3_step=0)
    assert used.max_tokens == 2000


def test_the_system_prompt_comes_first_unless_the_conversation_has_one():
    settings = RunSettings(system=" Be brief. ", instruction="")
    assert ask("2 + 2?", settings) == (Message("system", "Be brief."), Message("user", "2 + 2?"))
    own = (Message("system", "Be rude."), Message("user", "1 + 1?"), Message("assistant", "2"))
    assert ask("2 + 2?", settings, own) == (*own, Message("user", "2 + 2?"))


# What was set for one model


def trace_of(small: ScriptedEngine, settings: RunSettings) -> Trace:
    return Trace.of(run(Pair(small, ScriptedEngine("Let me see. It is 4.", name="large")), QUESTION, settings))


def test_each_model_draws_as_it_should_and_values_that_are_not_set_are_the_runs():
    small = ScriptedEngine(*STEPS, overrides=ModelOverrides(temperature=0.8, top_k=20))
    large = ScriptedEngine("It is 4.", name="large")
    settings = RunSettings(policy="every-step", temperature=0.3, top_p=0.9, top_k=7)
    list(run(Pair(small, large), QUESTION, settings))
    assert [session.sampling for session in small.sessions] == [Sampling(0.8, 0.9, 20)]
    assert [session.sampling for session in large.sessions] == [Sampling(0.3, 0.9, 7)]


def test_the_small_models_own_cues_bring_the_large_model_in_and_are_recorded():
    assert not takeovers(trace_of(ScriptedEngine(*STEPS), RunSettings()))
    trace = trace_of(ScriptedEngine(*STEPS, overrides=ModelOverrides(cue_list=CUES)), RunSettings())
    assert takeovers(trace) == [REFLECTION.id]
    started = trace.started
    assert isinstance(started, RunStarted)
    assert started.settings["cue_list"] == CUES
    assert started.small is not None
    assert started.small.overrides.cue_list == CUES


def test_a_cue_list_of_the_run_comes_before_the_models():
    other = '{"reflection": {"perhaps": []}}'
    trace = trace_of(ScriptedEngine(*STEPS, overrides=ModelOverrides(cue_list=CUES)), RunSettings(cue_list=other))
    assert not takeovers(trace)
    assert trace.started is not None
    assert trace.started.settings["cue_list"] == other


def takeovers(trace: Trace) -> list[str]:
    return [event.reason for event in trace.events if isinstance(event, TakeoverStarted)]


def test_cues_that_cannot_be_read_refuse_the_run_in_words():
    with pytest.raises(SettingsError, match="cue list cannot be read"):
        trace_of(ScriptedEngine(*STEPS, overrides=ModelOverrides(cue_list="wait, hmm")), RunSettings())
