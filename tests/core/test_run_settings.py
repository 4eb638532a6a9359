"""The settings that a run uses follow from what a person chose, the pair's advice and the small model's own cues."""

from __future__ import annotations

from baton_reasoning.core.demo_pair import DEMO_SETTINGS
from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.models.overrides import ModelOverrides
from baton_reasoning.core.run import RunSettings, ask, effective_settings
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from tests.fakes.scripted import ScriptedEngine

CUES = '{"reflection": {"hmm": []}}'


def test_without_advice_everything_is_as_chosen() -> None:
    chosen = RunSettings(policy=Keywords.presets["paper"], seed=3)
    assert effective_settings(chosen) == chosen


def test_the_pairs_lengths_fill_in_what_a_preset_left_alone() -> None:
    paper = effective_settings(RunSettings(policy=Keywords.presets["paper"], seed=3), DEMO_SETTINGS)
    assert paper.policy == Keywords.presets["paper"].model_copy(update={"n1": 16, "n2": 22, "n3": 14, "n3_step": 0})
    assert (paper.max_tokens, paper.seed) == (500, 3)
    assert effective_settings(RunSettings(policy=RandomTakeover.Settings()), DEMO_SETTINGS).policy == (
        RandomTakeover.Settings(n1=16)
    )


def test_a_persons_own_values_are_never_replaced() -> None:
    chosen = RunSettings(policy=Keywords.Settings(c=3, n1=9, n2=9), max_tokens=2000)
    used = effective_settings(chosen, DEMO_SETTINGS)
    assert used.policy == Keywords.Settings(c=3, n1=9, n2=9, n3=14, n3_step=0)
    assert used.max_tokens == 2000


def test_the_small_models_cues_are_used_unless_the_run_has_a_list() -> None:
    card = ScriptedEngine(overrides=ModelOverrides(cue_list=CUES)).card
    assert effective_settings(RunSettings(), small=card).cue_list == CUES
    assert effective_settings(RunSettings(cue_list="{}"), small=card).cue_list == "{}"


def test_the_system_prompt_comes_first_unless_the_conversation_has_one() -> None:
    settings = RunSettings(system=" Be brief. ", instruction="")
    assert ask("2 + 2?", settings) == (Message("system", "Be brief."), Message("user", "2 + 2?"))
    own = (Message("system", "Be rude."), Message("user", "1 + 1?"), Message("assistant", "2"))
    assert ask("2 + 2?", settings, own) == (*own, Message("user", "2 + 2?"))
