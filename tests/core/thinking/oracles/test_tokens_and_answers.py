"""Token entropy and the cascade against independent, executable forms of the published rules."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.policies.cascade import Cascade
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.oracles.authors import Decision
from tests.core.thinking.oracles.test_authors import decisions, solve
from tests.core.thinking.oracles.worlds import World
from tests.tiers import size

pytestmark = pytest.mark.scaled
WORLDS = [World(seed, tagged=seed % 2 == 1) for seed in range(3000, 3000 + size(10, long=200))]
WORLDS += [World(seed, end_rate=0.02, split=True) for seed in range(4000, 4000 + size(5, long=100))]
in_worlds = pytest.mark.parametrize("world", WORLDS, ids=lambda world: str(world.seed))


def entropy(chances: Sequence[float]) -> float:
    return -sum(p / sum(chances) * math.log(p / sum(chances)) for p in chances)


def token_by_token(world: World, tau: float, returns_below: float) -> tuple[list[Decision], str]:
    """R2R's rule: the large model writes a token where the small one's entropy is τ or more; with R-Stitch's return it
    goes on until it is sure itself."""
    made, text = list[Decision](), ""
    while (token := world.next_token(Author.SMALL, text)) is not None:
        if entropy(world.chances(text)) < tau:
            text += token
            continue
        made.append(Decision("token entropy", len(text)))
        while (token := world.next_token(Author.LARGE, text)) is not None:
            unsure = entropy(world.chances(text))
            text += token
            if not returns_below or unsure < returns_below:
                break
        else:
            return made, text
    return made, text


@in_worlds
@pytest.mark.parametrize("returns_below", [0.0, 0.4])
def test_token_entropy_is_the_published_rule(world: World, returns_below: float) -> None:
    made, text = token_by_token(world, 0.45, returns_below)
    events = solve(world, TokenEntropy.Settings(returns_below=returns_below))
    assert decisions(events) == made
    assert Trace.of(events).text == text


@in_worlds
@pytest.mark.parametrize("tau", [0.5, 0.6])
def test_the_cascade_solves_afresh_what_the_small_model_was_unsure_of(world: World, tau: float) -> None:
    text, margins = "", list[float]()
    for token in world.tokens(Author.SMALL, ""):
        first, *others = world.chances(text)
        margins.append(first - (others[0] if others else 0.0))
        text += token
    is_sure = sum(margins) / max(1, len(margins)) >= tau
    events = solve(world, Cascade.Settings(tau=tau))
    assert decisions(events) == ([] if is_sure else [Decision("unsure answer", 0)])
    assert Trace.of(events).text == (text if is_sure else "".join(world.tokens(Author.LARGE, "")))
