"""The policy `relay` and its preset `relaygen` against an independent, executable form of RelayGen's schedule."""

from __future__ import annotations

import pytest

from baton_reasoning.core.thinking.policies.relay import Relay
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.oracles.relays import PublishedRelay, Relayed
from tests.core.thinking.oracles.test_authors import decisions, solve
from tests.core.thinking.oracles.worlds import World
from tests.tiers import size

pytestmark = pytest.mark.scaled
CAP = 9
"""Tokens of a sentence by the small model."""
in_worlds = pytest.mark.parametrize(
    "world",
    [World(seed, tagged=True, split=seed % 3 == 0) for seed in range(4000, 4000 + size(24, long=300))],
    ids=lambda world: str(world.seed),
)


@in_worlds
def test_relay_is_the_published_schedule(world: World) -> None:
    expected = Relayed(world, CAP).run()
    events = solve(world, Relay.Settings(sentence_cap=CAP))
    assert decisions(events) == expected.decisions
    assert Trace.of(events).text == expected.text


@in_worlds
def test_relaygen_does_as_its_code(world: World) -> None:
    expected = PublishedRelay(world, cap=32_768).run()
    events = solve(world, Relay.presets["relaygen"])
    assert decisions(events) == expected.decisions
    assert Trace.of(events).text == expected.text
