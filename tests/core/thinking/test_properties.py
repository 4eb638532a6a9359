"""What holds of every policy and preset, in worlds whose tokens are drawn by random numbers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from itertools import pairwise
from typing import Any

import pytest
from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost, SettingsError
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.event_chunks import pack, unpack
from baton_reasoning.core.thinking.edit import edited
from baton_reasoning.core.thinking.events import (
    Finish,
    HandedOver,
    Reading,
    RunStarted,
    TakeoverStarted,
    TextDiscarded,
    TextInserted,
    TokenWritten,
)
from baton_reasoning.core.thinking.interruptions import Control, Interrupted, Limits, Moment, Wish
from baton_reasoning.core.thinking.policy import Policy
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.steps import Boundary
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_to_json, trace_from_lines, trace_to_json
from baton_reasoning.core.thinking.write_stream import DECODED_AT_MOST
from tests.core.thinking.oracles.worlds import World
from tests.core.thinking.running import MOST, PRESETS, settings_of, written
from tests.tiers import size

pytestmark = pytest.mark.scaled

every_policy = pytest.mark.parametrize("policy", PRESETS.values(), ids=PRESETS)
"""Under each preset, or with its defaults."""
in_worlds = pytest.mark.parametrize("seed", range(size(2, long=30)))


def assert_consistent(trace: Trace, most: int) -> None:
    """What is streamed is what is traced and stored; what is kept and what was discarded is what was decoded."""
    text = ""
    for event in trace.events:
        if isinstance(event, TextDiscarded):
            assert text[event.position :] == event.text
            text = text[: event.position]
        elif isinstance(event, TokenWritten | TextInserted):
            text += event.text
    assert text == trace.text == "".join(part.text for part in trace.parts())
    assert_in_order(trace)
    assert_counted(trace)
    assert trace.tokens <= most
    lines = [json.dumps(event_to_json(event)) for event in trace.events]
    for stored in (Trace.of(unpack(pack(trace.events))), trace_from_lines(lines)):
        assert trace_to_json(stored) == trace_to_json(trace)
        assert (stored.events, stored.pieces, stored.totals) == (trace.events, trace.pieces, trace.totals)


def assert_in_order(trace: Trace) -> None:
    """Each piece begins where the one before ends, in its step or the next."""
    end, step = 0, 0
    for piece in trace.pieces:
        assert piece.position == end
        assert piece.step in (step, step + 1)
        end, step = piece.end_position, piece.step
    assert [piece for each in trace.steps for piece in each.pieces] == trace.pieces
    assert end == trace.length == len(trace.text)
    assert trace.until(end).text == trace.text
    assert trace.text_between(end // 3, end // 2) == trace.text[end // 3 : end // 2]


def assert_counted(trace: Trace) -> None:
    """Totals are what a naive count gives."""
    decoded = [event.author for event in trace.events if isinstance(event, TokenWritten)]
    read = [event for event in trace.events if isinstance(event, Reading)]
    took = [event.author for event in trace.events if isinstance(event, TakeoverStarted)]
    gone = sum(event.tokens for event in trace.events if isinstance(event, TextDiscarded))
    for author, total in trace.totals.items():
        assert total.decoded == decoded.count(author)
        assert total.kept == sum(len(piece.tokens) for piece in trace.pieces if piece.author is author)
        assert total.prefilled == sum(event.handoff.prefilled for event in read if event.author is author)
        assert total.reused == sum(event.handoff.reused for event in read if event.author is author)
        assert total.takeovers == took.count(author)
        assert 0 <= total.reread <= total.prefilled
    assert trace.takeovers == len(took)
    assert trace.tokens == len(decoded) - gone
    writers = [getattr(event, "author", None) for event in trace.events if isinstance(event, HandedOver | RunStarted)]
    assert trace.handoffs == sum(None not in (one, other) and one is not other for one, other in pairwise(writers))


def random_settings(policy: type[Policy], dice: random.Random) -> RunSettings:
    """Any values that the policy's form accepts, with any limits."""
    while True:
        fields = policy.Settings.model_fields.items()
        settings = policy.Settings.model_validate(
            {name: random_value(field, dice) for name, field in fields if name != "policy"}
        )
        with suppress(SettingsError):
            settings.check_values()
            break
    limits = Limits(
        max_thinking_tokens=dice.choice((0, 0, 1, 30)),
        max_large_share=dice.choice((1, 1, 0.3, 0)),
        repetition=dice.random() < 0.8,
    )
    return RunSettings(
        policy=settings,
        seed=dice.randrange(99),
        max_tokens=dice.choice((1, 30, MOST)),
        limits=limits,
        boundary=dice.choice(tuple(Boundary)),
        small_alone=dice.random() < 0.7,
    )


def random_value(field: FieldInfo, dice: random.Random) -> Any:
    kind = field.annotation
    least: Any = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), 0)
    most: Any = next((bound.le for bound in field.metadata if isinstance(bound, Le)), 3)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return dice.choice(tuple(kind))
    if kind is bool:
        return dice.random() < 0.5
    if kind is int:
        return least + dice.choice((0, 1, 2, 5, 20, 600))
    return dice.uniform(least, most) if kind is float else dice.choice(("", "So ", "\n\n", "</think>"))


def odd_models(dice: random.Random) -> World:
    """Two models that end anywhere, split characters and boundaries, think or not, run out of context, or get lost."""
    world = World(
        dice.randrange(10_000),
        tagged=dice.random() < 0.7,
        cue_rate=dice.choice((0, 0.1, 0.5)),
        drawn=True,
        end_rate=dice.choice((0, 0.01, 0.2)),
        split=dice.random() < 0.2,
        sewn=dice.random() < 0.5,
    )
    for engine in world.engines:
        engine.with_card(
            context=dice.choice((90, 100_000, 100_000)),
            thinking=dice.choice((engine.card.thinking, engine.card.thinking, None)),
        )
    return world


@pytest.mark.parametrize("name", POLICIES)
def test_any_settings_end_with_any_models(name):
    for seed in range(size(40, long=2000)):
        dice = random.Random(f"{name} {seed}")
        settings, world = random_settings(POLICIES[name], dice), odd_models(dice)
        trace = written(world, settings)
        assert_consistent(trace, settings.max_tokens)
        assert sum(total.decoded for total in trace.totals.values()) <= DECODED_AT_MOST * settings.max_tokens
        assert trace.finish is not Finish.FAILED
        if settings.limits.max_large_share == 0:
            took = [event for event in trace.events if isinstance(event, TakeoverStarted)]
            assert not any(POLICIES.reason(event.reason).capped for event in took if event.author is Author.LARGE)


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
    """Again and again: after a kill, at a fork or an edit, with the same settings or others. It stands, and so do its
    counters and what a person wrote."""
    dice, world, settings = random.Random(seed), World(seed, tagged=True, drawn=True), settings_of(policy, seed)
    trace = written(world, settings)
    for _ in range(size(4, long=20)):
        place, ending = (
            dice.randrange(trace.length + 1),
            dice.choice(("Wait, 3.", "so it is 4.\n\n", "a", "So.</think>")),
        )
        edit = edited(trace, place, ending)
        assert edit.text == trace.text[:place] + ending
        before = dice.choice((Trace.of(trace.events[: dice.randrange(1, len(trace.events))]), trace.until(place), edit))
        chosen = dice.choice((settings, settings_of(dice.choice(tuple(PRESETS.values())), seed)))
        trace = written(world, chosen, Trace.of(before.events))
        assert trace.text.startswith(before.text)
        assert by_person(trace) == by_person(before)
        assert_consistent(trace, settings.max_tokens)
        for name in {"longer takeovers", "asked"} & before.counters.keys() if chosen is settings else ():
            assert trace.counters[name] >= before.counters[name]


def by_person(trace: Trace) -> str:
    return "".join(piece.text for piece in trace.pieces if piece.author is Author.PERSON)
