"""The two shipped files, in the program's own engine and loop."""

from itertools import islice
from typing import Any

import pytest

from baton_reasoning.core.demo_pair import (
    DEMO_SETTINGS,
    FEW_REFLECTIONS,
    LARGE_MODEL,
    SMALL_MODEL,
    DemoProblem,
    held_out_problems,
)
from baton_reasoning.core.models.overrides import ThinkingTags
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.cue_rules import EXCESSIVE_REFLECTION, VERIFICATION
from baton_reasoning.core.thinking.events import Event, RunEnded, TakeoverStarted
from baton_reasoning.core.thinking.policies.keywords import AFFIRMATION, REFLECTION
from baton_reasoning.core.thinking.reasons import TakeoverReason
from baton_reasoning.core.thinking.registry import POLICIES, settings_for

pytestmark = pytest.mark.slow

PROBLEMS = list(islice(held_out_problems(seed=11), 25))


def settings(policy: str = "keywords", temperature: float = 0.0, **parameters: Any) -> RunSettings:
    """The demo's settings, but greedy unless said otherwise, so that the outcome depends on no seed."""
    chosen = settings_for(policy, DEMO_SETTINGS.policy).model_copy(update=parameters)
    return DEMO_SETTINGS.model_copy(update={"policy": chosen, "temperature": temperature})


def solve(pair: Pair, problem: DemoProblem, chosen: RunSettings) -> list[Event]:
    return list(run(pair, ask(problem.question, chosen), chosen))


def rules_until(wanted: set[TakeoverReason], pair: Pair, chosen: RunSettings) -> set[TakeoverReason]:
    """The reasons of takeovers in one problem after the other, until the wanted ones have all occurred."""
    found: set[TakeoverReason] = set()
    for problem in PROBLEMS:
        takeovers = (event for event in solve(pair, problem, chosen) if isinstance(event, TakeoverStarted))
        found |= {POLICIES.reason(event.reason) for event in takeovers}
        if wanted <= found:
            break
    return found


def test_both_files_are_small_enough_to_ship_share_one_vocabulary_and_say_what_they_are(demo_pair: Pair) -> None:
    assert SMALL_MODEL.stat().st_size + LARGE_MODEL.stat().st_size < 2_000_000
    small, large = demo_pair.small, demo_pair.large
    assert small
    assert large
    assert small.card.vocabulary == large.card.vocabulary != ""
    assert (small.card.name, large.card.name) == ("Baton demo small", "Baton demo large")
    for card in (small.card, large.card):
        assert (card.architecture, card.thinking) == ("llama", ThinkingTags("<think>", "</think>"))


def test_reflections_verifications_and_affirmations_all_occur(demo_pair: Pair) -> None:
    wanted = {REFLECTION, VERIFICATION, AFFIRMATION}
    assert wanted <= rules_until(wanted, demo_pair, settings(temperature=0.6))


def test_excessive_reflection_occurs_when_few_reflections_are_allowed(demo_pair: Pair) -> None:
    assert EXCESSIVE_REFLECTION in rules_until({EXCESSIVE_REFLECTION}, demo_pair, settings(c=FEW_REFLECTIONS))


def test_every_text_comes_to_its_own_end(demo_pair: Pair) -> None:
    for problem in PROBLEMS[:5]:
        ended = solve(demo_pair, problem, settings())[-1]
        assert isinstance(ended, RunEnded)
        assert ended.finish.value == "end of text"
