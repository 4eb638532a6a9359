"""Wherever a text is interrupted, it goes on as it would have gone on: the same policy, the same writers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from baton_reasoning.core.batch.running.recipes import arms_of
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.control import Control
from baton_reasoning.core.thinking.events import (
    AskedBy,
    CountersChanged,
    Finish,
    Noticed,
    RunStarted,
    TakeoverStarted,
    TokenWritten,
)
from baton_reasoning.core.thinking.policies.every_step import EVERY_STEP
from baton_reasoning.core.thinking.policy import Move, View, take_over
from baton_reasoning.core.thinking.reasons import PERSON
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.drawn import outcome, settings_of, written
from tests.core.thinking.oracles.worlds import World
from tests.fakes.scripted import Fault, ScriptedEngine, ScriptedSession
from tests.tiers import size

pytestmark = pytest.mark.scaled

WORLD = World(5, tagged=True, drawn=True)


def some(places: range) -> list[int]:
    """Of the places at which a text may be interrupted."""
    return random.Random(7).sample(places, min(len(places), size(5, long=60)))


def settings_for(arm: str) -> RunSettings:
    return settings_of(arms_of([arm], RunSettings())[0].settings.policy, seed=1)


class Person(Control):
    """Wishes for something once the text has so many characters."""

    def __init__(self, *wishes: tuple[int, Callable[[Control], None]]) -> None:
        super().__init__()
        self._wishes = list(wishes)

    def interrupt(self, view: View) -> Move | None:
        if self._wishes and len(view.body) >= self._wishes[0][0]:
            self._wishes.pop(0)[1](self)
        return super().interrupt(view)


class Unreachable(ScriptedEngine):
    """A server that does not accept its key."""

    def open(self, *_args: Any, **_options: Any) -> ScriptedSession:
        raise EngineLost("It does not accept the key.", "Enter the key.")


@pytest.mark.parametrize("arm", ["baton", "paper", "step-score", "first-token-entropy"])
@pytest.mark.parametrize(
    "wishes",
    [
        [(60, Control.rewrite_step)],
        [(60, Control.take_over), (90, Control.give_back)],
        [(60, Control.take_over), (80, Control.rewrite_step)],
    ],
    ids=["rewrite", "take over and give back", "take over and rewrite"],
)
def test_what_a_person_asked_for_is_done_again(arm: str, wishes: list[tuple[int, Callable[[Control], None]]]) -> None:
    settings = settings_for(arm)
    undisturbed = written(WORLD, settings, control=Person(*wishes))
    asked = [n for n, event in enumerate(undisturbed.events) if getattr(event, "asked_by", None) is AskedBy.PERSON]
    assert asked
    for count in some(range(asked[-1] + 1, len(undisturbed.events))):
        resumed = written(WORLD, settings, Trace.of(undisturbed.events[:count]))
        assert outcome(resumed) == outcome(undisturbed), f"killed after {undisturbed.events[count - 1]}"


def test_a_takeover_that_is_stopped_goes_on_and_counts_once() -> None:
    settings, stopped, control = settings_for("baton"), Trace(), Control()
    for event in run(Pair(*WORLD.engines), ask("Add.", settings), settings, control=control):
        stopped.apply(event)
        if isinstance(event, TokenWritten) and event.author is Author.LARGE:
            control.stop()
    assert stopped.finish is Finish.STOPPED
    assert outcome(written(WORLD, settings, stopped)) == outcome(written(WORLD, settings))


@pytest.mark.parametrize("arm", ["baton", "step-score"])
def test_a_continuation_whose_models_cannot_be_opened_leaves_the_text_where_it_was(arm: str) -> None:
    settings = settings_for(arm)
    undisturbed = written(WORLD, settings)
    pair = Pair(WORLD.engines[0], Unreachable("x", name="large"))
    for count in some(range(1, len(undisturbed.events))):
        stopped = Trace.of(undisturbed.events[:count])
        for event in run(pair, ask("Add.", settings), settings, resume_trace=stopped):
            stopped.apply(event)
        assert stopped.finish is Finish.FAILED
        assert outcome(written(WORLD, settings, stopped)) == outcome(undisturbed)


def test_a_small_model_that_went_on_alone_stays_alone() -> None:
    settings = settings_for("baton")
    small, _ = WORLD.engines
    failing = ScriptedEngine("x", name="large", faults=[Fault(0, for_good=True)])
    undisturbed = Trace.of(run(Pair(small, failing), ask("Add.", settings), settings))
    lost = next(n for n, event in enumerate(undisturbed.events) if isinstance(event, Noticed))
    for count in some(range(lost + 1, len(undisturbed.events))):
        resumed = written(WORLD, settings, Trace.of(undisturbed.events[:count]))
        assert outcome(resumed) == outcome(undisturbed)


@pytest.mark.parametrize("arm", ["paper", "step-score", "always"])
def test_an_answer_that_may_have_more_tokens_is_the_longer_answer(arm: str) -> None:
    settings = settings_of(POLICIES[arm].Settings() if arm in POLICIES else settings_for(arm).policy, seed=1)
    longer = written(WORLD, settings)
    for most in some(range(1, longer.tokens)):
        shorter = written(WORLD, settings.model_copy(update={"max_tokens": most}))
        assert shorter.finish is Finish.MAX_TOKENS
        assert outcome(written(WORLD, settings, shorter)) == outcome(longer)


def test_under_other_settings_a_text_is_taken_up_at_the_decision_at_its_end() -> None:
    begun = written(WORLD, settings_for("small")).events
    first = next(n for n, event in enumerate(begun) if isinstance(event, TokenWritten) and event.ends_step)
    every_step = settings_for("every-step")
    before = Trace.of(begun[: first + 1])
    position = before.length
    trace = written(WORLD, every_step, before)
    assert [event.resumed for event in trace.events if isinstance(event, RunStarted)] == [False, False]
    took = next(event for event in trace.events if isinstance(event, TakeoverStarted))
    assert (took.reason, took.position) == (EVERY_STEP.id, position), "no opening in the middle of a text"
    for count in some(range(first + 2, len(trace.events))):
        assert outcome(written(WORLD, every_step, Trace.of(trace.events[:count]))) == outcome(trace)


def test_a_wish_at_the_place_of_the_interruption_is_carried_out_there() -> None:
    settings = settings_for("baton")
    events = written(WORLD, settings).events
    for count in some(range(2, len(events))):
        position = Trace.of(events[:count]).length
        is_amid_decision = isinstance(events[count - 1], CountersChanged)  # then the rest of it comes first
        if is_amid_decision or Trace.of(events[:count]).tokens == settings.max_tokens:
            continue
        trace = written(WORLD, settings, Trace.of(events[:count]), take_over(3, PERSON))
        number, asked = next(
            (number, event)
            for number, event in enumerate(trace.events)
            if isinstance(event, TakeoverStarted) and event.asked_by is AskedBy.PERSON
        )
        assert asked.position == position
        for again in some(range(number + 1, len(trace.events)))[:3]:
            assert outcome(written(WORLD, settings, Trace.of(trace.events[:again]))) == outcome(trace)


def test_the_ids_of_another_vocabulary_stay_those_of_their_model() -> None:
    settings = RunSettings(policy="never", max_tokens=3)
    first, second = (
        ScriptedEngine("One two three", vocabulary="first"),
        ScriptedEngine(" four five", vocabulary="second"),
    )
    trace = Trace.of(run(Pair(first), ask("Add.", settings), settings))
    more = settings.model_copy(update={"max_tokens": 5})
    for event in run(Pair(second), ask("Add.", settings), more, resume_trace=trace):
        trace.apply(event)
    assert [part.vocabulary for part in trace.parts()] == ["first"] * 3 + ["second"] * 2
