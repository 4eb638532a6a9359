"""Token entropy, the cascade and the early exit against independent, executable forms of the published rules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import Tried
from baton_reasoning.core.thinking.limits import ANSWER_PROMPT, MOST_TRIALS, TRIAL_TOKENS, Limits
from baton_reasoning.core.thinking.policies.cascade import Cascade
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.oracles.authors import Decision
from tests.core.thinking.oracles.test_authors import decisions, solve
from tests.core.thinking.oracles.worlds import World
from tests.fakes.scripted import THINK
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


def with_early_exit(world: World, bound: float) -> tuple[str, int]:
    """DEER over the small model alone: the text, and how many answers were tried."""
    text, trials = "", 0
    while (token := world.next_token(Author.SMALL, text)) is not None:
        text += token
        if THINK.closing in text or not text.endswith("Wait") or trials == MOST_TRIALS:
            continue
        trials += 1
        before = text.removesuffix("Wait").rstrip(" ")
        tried, sure = before + ANSWER_PROMPT, list[float]()
        for token in islice(world.tokens(Author.SMALL, tried), TRIAL_TOKENS):
            sure.append(world.chances(tried)[0])
            tried += token
        if len(sure) > 1 and sum(sure[1:]) / len(sure[1:]) >= bound:
            text = f"{before}\n{THINK.closing}\n\n"
    return text, trials


@pytest.mark.parametrize("world", [world for world in WORLDS if world.tagged], ids=lambda world: str(world.seed))
@pytest.mark.parametrize("bound", [0.6, 0.7])
def test_the_early_exit_is_the_published_rule(world: World, bound: float) -> None:
    text, trials = with_early_exit(world, bound)
    events = solve(world, Never.Settings(), Limits(repetition=False, early_exit=bound))
    assert Trace.of(events).text == text
    assert sum(isinstance(event, Tried) for event in events) == trials
