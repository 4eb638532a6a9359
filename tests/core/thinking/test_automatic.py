"""The automatic policy follows the pair of models, is decided once, and is stored as what it was."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, demo_settings
from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask
from baton_reasoning.core.run import run as run_pair
from baton_reasoning.core.thinking.automatic import automatic_choice
from baton_reasoning.core.thinking.policies.automatic import Automatic
from baton_reasoning.core.thinking.policies.keywords import EveryStep, Keywords
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.registry import advice_on
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import keywords, run
from tests.fakes.scripted import THINK, ScriptedEngine

AUTOMATIC = RunSettings(policy=Automatic.Settings(), instruction="", max_tokens=4)
REASONER, PLAIN = (ModelCard("Model", "", 1000, thinking=tags) for tags in (THINK, None))
SILENT = replace(PLAIN, name="Server", abilities=PLAIN.abilities - {Ability.ALTERNATIVES})


@pytest.mark.parametrize(
    ("small", "large", "policy", "told"),
    [
        (REASONER, PLAIN, "keywords", ()),
        (PLAIN, REASONER, "token-entropy", ("Model was not trained to reason", "hands over where it is unsure")),
        (PLAIN, SILENT, "first-token-entropy", ("how to begin", "Server gives no log-probabilities", "Token entropy")),
        (SILENT, PLAIN, "every-step", ("begins each step", "Server gives no log-probabilities")),
    ],
)
def test_the_policy_is_the_best_that_the_pair_can_run_and_a_sentence_says_why(small, large, policy, told):
    choice = automatic_choice({Author.SMALL: small, Author.LARGE: large})
    assert choice.policy.policy == policy
    assert all(words in choice.reason for words in told)
    assert bool(choice.reason) is bool(told)


def test_a_reasoner_whose_thinking_is_off_writes_no_cues_either():
    choice = automatic_choice({Author.SMALL: REASONER, Author.LARGE: PLAIN}, thinks=False)
    assert choice.policy == TokenEntropy.Settings()
    assert "answers without thinking" in choice.reason


def test_the_demo_pair_has_its_own_lengths_and_a_person_s_choice_wins():
    assert demo_settings(AUTOMATIC).policy == DEMO_SETTINGS.policy
    chosen = AUTOMATIC.model_copy(update={"policy": EveryStep.Settings(n1=5)})
    assert started(Pair(ScriptedEngine("So."), ScriptedEngine("No.", name="large")), chosen)["policy"] == "every-step"


def test_the_hint_after_an_answer_without_a_handover_names_the_policy_that_automatic_would_be():
    text = "One.\n\nTwo.\n\nThree.\n\nFour."
    done = run(keywords(), ScriptedEngine(text, thinking=None), ScriptedEngine("No.", name="large", thinking=None))
    assert done.trace.started
    assert advice_on(done.trace).policies == (automatic_choice(done.trace.started.cards).policy.policy,)


def started(pair: Pair, settings: RunSettings = AUTOMATIC) -> dict[str, object]:
    """The policy that a run has recorded."""
    trace = Trace.of(run_pair(pair, ask("2 + 2?", settings), settings))
    assert trace.started
    assert trace.started.settings["policy"]["policy"] == trace.started.policy
    return trace.started.settings["policy"]


@pytest.mark.real_models
def test_real_files_decide_by_their_chat_templates(demo_pair, smollm2, gemma):
    assert started(demo_pair) == Keywords.Settings().model_dump(mode="json")
    options = LoadOptions(context=256, threads=1)
    with closing(LocalEngine(smollm2, options)) as small, closing(LocalEngine(gemma, options)) as large:
        assert started(Pair(small, large)) == TokenEntropy.Settings().model_dump(mode="json")
