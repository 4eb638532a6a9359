"""The policies that decide about steps against independent, executable forms of the published methods."""

from __future__ import annotations

import pytest

from baton_reasoning.core.thinking.events import Judged
from baton_reasoning.core.thinking.policies.agreement import Agreement
from baton_reasoning.core.thinking.policies.first_token_entropy import FirstTokenEntropy
from baton_reasoning.core.thinking.policies.self_check import SelfCheck
from baton_reasoning.core.thinking.policies.step_score import StepScore
from baton_reasoning.core.thinking.policies.triggers import Triggers
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.oracles.others import (
    Agreed,
    Bounds,
    Glimpse,
    PublishedScoring,
    Scoring,
    SelfChecked,
    Steps,
    Triggered,
)
from tests.core.thinking.oracles.test_authors import decisions, solve
from tests.core.thinking.oracles.worlds import World
from tests.tiers import size

pytestmark = pytest.mark.scaled
WORLDS = [World(seed, tagged=seed % 2 == 1) for seed in range(1000, 1000 + size(8, long=120))]
WORLDS += [World(seed, end_rate=0.02, split=True) for seed in range(2000, 2000 + size(4, long=60))]
"""Boundaries of several tokens, and texts that end anywhere."""
WORLDS += [World(seed, tagged=seed % 2 == 1, short=True) for seed in range(3000, 3000 + size(8, long=120))]
"""Steps that repeat, and answers."""
CAP = 512
"""Tokens. Every third world has a cap that steps meet."""
in_worlds = pytest.mark.parametrize(
    ("world", "cap"),
    [(world, 5 if world.seed % 3 == 0 else CAP) for world in WORLDS],
    ids=lambda value: str(getattr(value, "seed", value)),
)


def assert_same(world: World, policy: PolicySettings, expected: Steps) -> None:
    events = solve(world, policy)
    assert decisions(events) == expected.decisions
    assert Trace.of(events).text == expected.text


@in_worlds
def test_first_token_entropy_is_the_published_schedule(world: World, cap: int) -> None:
    assert_same(world, FirstTokenEntropy.Settings(step_cap=cap), Glimpse(world, cap).run(tau=1.0))


@in_worlds
def test_glimprouter_does_as_its_code(world: World, cap: int) -> None:
    settings = FirstTokenEntropy.presets["glimprouter"].model_copy(update={"step_cap": cap})
    assert_same(world, settings, Glimpse(world, cap).run(tau=1.0, as_published=True))


@in_worlds
def test_step_score_is_the_published_schedule(world: World, cap: int) -> None:
    expected, settings = Scoring(world, cap).run(threshold=7), StepScore.Settings(threshold=7, step_cap=cap)
    assert_same(world, settings, expected)
    scores = [event.probabilities.index(1.0) for event in solve(world, settings) if isinstance(event, Judged)]
    assert scores == expected.scores


@in_worlds
def test_specreason_does_as_its_code(world: World, cap: int) -> None:
    settings = StepScore.presets["specreason"].model_copy(update={"step_cap": cap})
    assert_same(world, settings, PublishedScoring(world, cap).run(threshold=7))


@in_worlds
def test_triggers_are_the_published_ones(world: World, cap: int) -> None:
    bounds = Bounds()
    settings = Triggers.Settings(step_cap=cap, **bounds._asdict())
    assert_same(world, settings, Triggered(world, cap).run(bounds))


@in_worlds
def test_self_check_is_the_published_schedule(world: World, cap: int) -> None:
    assert_same(world, SelfCheck.Settings(step_cap=cap), SelfChecked(world, cap).run())


@in_worlds
def test_agreement_rewrites_what_the_large_model_finds_unlikely(world: World, cap: int) -> None:
    assert_same(world, Agreement.Settings(step_cap=cap), Agreed(world, cap).run())


def test_the_worlds_exercise_every_reason() -> None:
    runs: list[Steps] = []
    for world in WORLDS:
        runs += [Glimpse(world, CAP).run(1.0), PublishedScoring(world, CAP).run(7), Triggered(world, CAP).run(Bounds())]
        runs += [SelfChecked(world, CAP).run(), Agreed(world, CAP).run()]
    found = {decision.reason for run in runs for decision in run.decisions}
    steps = {"first-token entropy", "low step score", "rejected", "disagreement", "answer"}
    assert found == steps | {"opening", "unproductive loop", "overconfidence"}
