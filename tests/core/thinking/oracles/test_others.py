"""First-token entropy and step score against independent, executable forms of the published methods."""

from __future__ import annotations

import pytest

from core.thinking.events import Judged
from core.thinking.policies.first_token_entropy import FirstTokenEntropy
from core.thinking.policies.step_score import StepScore
from core.thinking.trace import Trace
from tests.core.thinking.oracles.others import Glimpse, Scoring
from tests.core.thinking.oracles.test_authors import decisions, solve
from tests.core.thinking.oracles.worlds import World
from tests.tiers import size

pytestmark = pytest.mark.scaled
WORLDS = [World(seed, tagged=seed % 2 == 1) for seed in range(1000, 1000 + size(24, long=120))]
WORLDS += [World(seed, end_rate=0.02, split=True) for seed in range(2000, 2000 + size(12, long=60))]
"""Boundaries of several tokens, and texts that end anywhere."""
CAP = 512
"""Tokens."""


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: str(world.seed))
def test_first_token_entropy_is_the_published_schedule(world: World) -> None:
    expected = Glimpse(world, CAP).run(tau=1.0)
    events = solve(world, FirstTokenEntropy.Settings(tau=1.0, step_cap=CAP))
    assert decisions(events) == expected.decisions
    assert Trace.of(events).text == expected.text


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: str(world.seed))
def test_step_score_is_the_published_schedule(world: World) -> None:
    expected = Scoring(world, CAP).run(threshold=7)
    events = solve(world, StepScore.Settings(threshold=7, step_cap=CAP))
    assert decisions(events) == expected.decisions
    assert [event.probabilities.index(1.0) for event in events if isinstance(event, Judged)] == expected.scores
    assert Trace.of(events).text == expected.text
