"""Runs the policies on the demo pair, which comes with Baton: `python -m pytest docs/examples`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from after_a_long_step import LONG_STEP, AfterALongStep
from agreement import DISAGREEMENT, Agreement
from mentor import Mentor
from periodic import PERIODIC, Periodic
from self_check import REJECTED, SelfCheck
from triggers import UNPRODUCTIVE, Triggers

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.run import Pair, ask, run
from baton_reasoning.core.thinking.events import Finish, TakeoverStarted, Tried
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.reasons import ANSWER, OPENING, TakeoverReason
from baton_reasoning.core.thinking.trace import Trace


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    options = LoadOptions(context=1024, threads=1)
    with closing(LocalEngine(SMALL_MODEL, options)) as small, closing(LocalEngine(LARGE_MODEL, options)) as large:
        yield Pair(small, large)


def solved(pair: Pair, policy: PolicySettings) -> Trace:
    settings = DEMO_SETTINGS.model_copy(update={"policy": policy, "temperature": 0})
    return Trace.of(run(pair, ask(next(held_out_problems(1)).question, settings), settings))


def reasons(trace: Trace) -> set[str]:
    return {event.reason for event in trace.events if isinstance(event, TakeoverStarted)}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Periodic.Settings(every=2), [PERIODIC]),
        (AfterALongStep.Settings(tokens=12), [LONG_STEP]),
        (Agreement.Settings(bound=0), [DISAGREEMENT, ANSWER]),
        (SelfCheck.Settings(sure=1, threshold=9), [REJECTED, ANSWER]),
        (Triggers.Settings(hesitations=1, confidence=0), [OPENING, UNPRODUCTIVE]),
    ],
    ids=lambda value: value.policy if isinstance(value, PolicySettings) else "",
)
def test_the_large_model_takes_over_for_its_reasons(
    pair: Pair, settings: PolicySettings, expected: list[TakeoverReason]
) -> None:
    trace = solved(pair, settings)
    assert trace.finish is Finish.END_OF_TEXT
    assert reasons(trace) == {reason.id for reason in expected}


def test_mentor_asks_the_large_model(pair: Pair) -> None:
    trace = solved(pair, Mentor.Settings(chance=1, tokens=4))
    assert trace.finish is Finish.END_OF_TEXT
    assert any(isinstance(event, Tried) and event.author is Author.LARGE for event in trace.events)
