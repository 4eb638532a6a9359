"""Policies against independent, executable forms of what was published, over random worlds.

The presets `reference` and `paper` against the authors' schedule; token entropy and the cascade against their rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.events import CountersChanged, Event, Finish, RunEnded, TakeoverStarted
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policies.cascade import Cascade
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.oracles.authors import Decision, Schedule, Settings
from tests.core.thinking.oracles.worlds import World
from tests.fakes.scripted import QUESTION
from tests.tiers import size

pytestmark = pytest.mark.scaled
LENGTHS = Settings(n1=6, n2=11, n3=12, n3_step=4, n3_most=18, c=2, c_step=1, c_most=4)
"""Short enough for every rule to fire in a text of some hundred tokens."""
WORLDS = [
    World(seed, tagged=seed % 2 == 1, cue_rate=(0.05, 0.12, 0.25)[seed % 3]) for seed in range(size(24, long=150))
]
HARD_WORLDS = [
    World(seed, cue_rate=0.2, end_rate=(0.006, 0.03)[seed % 2], split=True)
    for seed in range(500, 500 + size(24, long=150))
]
"""Boundaries of several tokens, and of both writers; a model may end the text at any token."""


def settings_of(lengths: Settings, kind: type[Keywords] | type[EveryStep], preset: str = "reference") -> PolicySettings:
    names = set(lengths._fields) & set(kind.Settings.model_fields)
    return kind.presets[preset].model_copy(update={name: getattr(lengths, name) for name in names})


NO_LIMITS = Limits(repetition=False)


def solve(world: World, policy: PolicySettings) -> list[Event]:
    settings = RunSettings(policy=policy, max_tokens=100_000, temperature=0, limits=NO_LIMITS)
    return list(run(Pair(*world.engines), QUESTION, settings))


def decisions(events: Sequence[Event]) -> list[Decision]:
    return [Decision(event.reason, event.position) for event in events if isinstance(event, TakeoverStarted)]


def authors_by_character(spans: Sequence[tuple[Author, str]]) -> str:
    return "".join(author.value[0] * len(text) for author, text in spans)


def assert_same(world: World, policy: PolicySettings, lengths: Settings) -> Schedule:
    expected = Schedule(world, lengths).run()
    events = solve(world, policy)
    trace = Trace.of(events)
    assert isinstance(events[-1], RunEnded)
    assert events[-1].finish is Finish.END_OF_TEXT
    assert decisions(events) == expected.decisions
    assert trace.text == expected.text
    spans = [(span.author, span.text) for span in trace.pieces]
    assert authors_by_character(spans) == authors_by_character(expected.spans)
    counts = [int(event.counters["reflections"]) for event in events if isinstance(event, CountersChanged)]
    assert counts == expected.negative_sentences
    return expected


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: str(world.seed))
def test_reference_is_the_authors_schedule(world):
    assert_same(world, settings_of(LENGTHS, Keywords), LENGTHS)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: str(world.seed))
def test_c_and_n3_shrink_to_ceilings_below_their_start_as_in_the_authors_schedule(world):
    lengths = LENGTHS._replace(c=3, c_most=1, n3_most=5)
    assert_same(world, settings_of(lengths, Keywords), lengths)


@pytest.mark.parametrize("world", HARD_WORLDS, ids=lambda world: str(world.seed))
def test_reference_is_the_authors_schedule_where_boundaries_are_split_and_texts_end_anywhere(world):
    """But for two faults that the schedule does not repeat: their code sees no boundary that both writers share, for it
    looks at the small model's last five tokens, and it may write after the end of the text."""
    assert_same(world, settings_of(LENGTHS, Keywords), LENGTHS)


@pytest.mark.parametrize("world", WORLDS[: size(18, long=90)], ids=lambda world: str(world.seed))
@pytest.mark.parametrize("opening", [0, 9])
def test_every_step_is_the_authors_schedule_for_models_that_do_not_reason(world, opening):
    lengths = LENGTHS._replace(not_reasoning=True, opening=opening)
    assert_same(world, settings_of(lengths, EveryStep), lengths)


@pytest.mark.parametrize("world", WORLDS + HARD_WORLDS, ids=lambda world: str(world.seed))
def test_paper_is_the_schedule_of_the_paper(world):
    prompt = "Let us check whether there are some wrong steps."
    lengths = LENGTHS._replace(c_step=0, n3_step=0, auxiliary_prompt=prompt, as_in_paper=True)
    assert_same(world, settings_of(lengths, Keywords, "paper"), lengths)


def test_the_worlds_exercise_every_rule():
    found = {decision.reason for world in WORLDS for decision in Schedule(world, LENGTHS).run().decisions}
    assert found == {"reflection", "affirmation", "verification", "excessive reflection"}


# Token entropy and the cascade


UNSURE_WORLDS = [World(seed, tagged=seed % 2 == 1) for seed in range(3000, 3000 + size(10, long=200))]
UNSURE_WORLDS += [World(seed, end_rate=0.02, split=True) for seed in range(4000, 4000 + size(5, long=100))]
in_worlds = pytest.mark.parametrize("world", UNSURE_WORLDS, ids=lambda world: str(world.seed))


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


@pytest.mark.slow
@in_worlds
@pytest.mark.parametrize("returns_below", [0.0, 0.4])
def test_token_entropy_is_the_published_rule(world, returns_below):
    made, text = token_by_token(world, 0.45, returns_below)
    events = solve(world, TokenEntropy.Settings(returns_below=returns_below))
    assert decisions(events) == made
    assert Trace.of(events).text == text


@in_worlds
@pytest.mark.parametrize("tau", [0.5, 0.6])
def test_the_cascade_solves_afresh_what_the_small_model_was_unsure_of(world, tau):
    text, margins = "", list[float]()
    for token in world.tokens(Author.SMALL, ""):
        first, *others = world.chances(text)
        margins.append(first - (others[0] if others else 0.0))
        text += token
    is_sure = sum(margins) / max(1, len(margins)) >= tau
    events = solve(world, Cascade.Settings(tau=tau))
    assert decisions(events) == ([] if is_sure else [Decision("unsure answer", 0)])
    assert Trace.of(events).text == (text if is_sure else "".join(world.tokens(Author.LARGE, "")))
