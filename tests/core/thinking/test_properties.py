"""What holds of every policy and preset, in worlds whose tokens are drawn by random numbers."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.store.event_chunks import pack, unpack
from baton_reasoning.core.thinking.edit import edited
from baton_reasoning.core.thinking.events import Finish, TextDiscarded
from baton_reasoning.core.thinking.interruptions import Control, Interrupted, Moment, Wish
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.write_stream import DECODED_AT_MOST
from tests.core.thinking.drawn import PRESETS, every_policy, odd_models, random_settings, settings_of, written
from tests.core.thinking.oracles.worlds import World
from tests.tiers import size

pytestmark = pytest.mark.scaled

in_worlds = pytest.mark.parametrize("seed", range(size(2, long=30)))


def assert_consistent(trace: Trace, most: int) -> None:
    """It ends within its bound, counts what it holds, and is the same once it is stored."""
    decoded = sum(total.decoded for total in trace.totals.values())
    gone = sum(event.tokens for event in trace.events if isinstance(event, TextDiscarded))
    assert decoded <= DECODED_AT_MOST * most
    assert trace.tokens == decoded - gone == sum(len(piece.tokens) for piece in trace.pieces) <= most
    stored = Trace.of(unpack(pack(trace.events)))
    assert (stored.text, stored.events, stored.pieces) == (trace.text, trace.events, trace.pieces)
    assert (stored.totals, stored.handoffs, stored.seconds) == (trace.totals, trace.handoffs, trace.seconds)


@pytest.mark.parametrize("name", POLICIES)
def test_any_settings_end_with_any_models(name):
    for seed in range(size(40, long=2000)):
        dice = random.Random(f"{name} {seed}")
        settings, world = random_settings(POLICIES[name], dice), odd_models(dice)
        trace = written(world, settings)
        assert_consistent(trace, settings.max_tokens)
        assert trace.finish is not Finish.FAILED


class Restless(Control):
    """Begins the program anew at random tokens, or presses one of a person's buttons."""

    def __init__(self, dice: random.Random, chance: float, *buttons: Callable[[Control], None]) -> None:
        super().__init__()
        self._dice, self._chance, self._buttons = dice, chance, buttons

    def check(self, moment: Moment) -> None:
        if self._dice.random() < self._chance:
            if not self._buttons:
                raise Interrupted(Wish())
            self._dice.choice(self._buttons)(self)
        super().check(moment)


@every_policy
@in_worlds
@pytest.mark.parametrize("chance", [0.05, 1])
def test_a_program_that_begins_anew_after_any_token_ends_well(policy, seed, chance):
    settings, restless = settings_of(policy, seed), Restless(random.Random(seed), chance)
    assert_consistent(written(World(seed, tagged=True, drawn=True), settings, control=restless), settings.max_tokens)


@every_policy
@in_worlds
def test_a_person_may_do_anything_at_any_token(policy, seed):
    settings = settings_of(policy, seed)
    buttons = Control.take_over, Control.give_back, Control.rewrite_step, lambda control: control.take_over(now=False)
    restless = Restless(random.Random(seed), 0.1, *buttons)
    trace = written(World(seed, tagged=True, drawn=True, sewn=True), settings, control=restless, may_rewrite=True)
    assert_consistent(trace, settings.max_tokens)


@every_policy
@in_worlds
@pytest.mark.parametrize("lost", [Author.SMALL, Author.LARGE])
def test_a_model_that_is_lost_anywhere_leaves_the_other_one_alone(policy, seed, lost):
    world, settings, kind = World(seed, tagged=True, drawn=True), settings_of(policy, seed), POLICIES.of(policy)
    engine, after = world.engines[lost is Author.LARGE], random.Random(seed).randrange(60)

    def fail(_body: str) -> None:
        if engine.written >= after:
            raise EngineLost("The model is lost.")

    engine.before_token = fail
    trace = written(world, settings)
    assert_consistent(trace, settings.max_tokens)
    if kind.default_writer is Author.LARGE or (lost is Author.LARGE and kind.needs.small):
        assert trace.finish is not Finish.FAILED


@every_policy
@in_worlds
def test_a_text_is_taken_up_wherever_it_was_interrupted(policy, seed):
    """After a kill, at a fork or an edit, with the same settings or others: it stands, and so do its counters."""
    dice, world, settings = random.Random(seed), World(seed, tagged=True, drawn=True), settings_of(policy, seed)
    whole = written(world, settings)
    for _ in range(size(4, long=20)):
        place = dice.randrange(whole.length + 1)
        before = dice.choice(
            (
                Trace.of(whole.events[: dice.randrange(1, len(whole.events))]),
                whole.until(place),
                edited(whole, place, dice.choice(("Wait, 3.", "so it is 4.\n\n", "a", "So.</think>"))),
            )
        )
        chosen = dice.choice((settings, settings_of(dice.choice(tuple(PRESETS.values())), seed)))
        trace = written(world, chosen, Trace.of(before.events))
        assert trace.text.startswith(before.text)
        assert_consistent(trace, settings.max_tokens)
        for name in {"longer takeovers", "asked"} & before.counters.keys() if chosen is settings else ():
            assert trace.counters[name] >= before.counters[name]
