"""Bills and background readings of a model on a server are told in the run, and the trace adds them up."""

from __future__ import annotations

import time

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.usage import RequestUsage, Usage
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.events import Prefetched, RunEnded, RunStarted, TakeoverEnded, UsageReported
from baton_reasoning.core.thinking.interruptions import Control
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.requests import Until
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import trace_to_json
from tests.fakes.charging import ChargingEngine, ChargingSession
from tests.fakes.scripted import QUESTION, ScriptedEngine

SMALL, LARGE = Author.SMALL, Author.LARGE
SETTINGS = RunSettings(policy=RandomTakeover.Settings(p=1.0, n1=3, until=Until.TOKENS), max_tokens=60)


def run_with(large: ScriptedEngine, small: ScriptedEngine | None = None) -> Trace:
    """The small model writes three steps; after the first two, the large one writes three tokens."""
    small = small or ScriptedEngine("One two three four five.\n\n", " Six seven.\n\n", " Eight.")
    return Trace.of(run(Pair(small, large), QUESTION, SETTINGS))


@pytest.fixture
def large():
    return ChargingEngine(*["And so it is."] * 2, name="large", supports_prefetch=True)


def test_after_each_takeover_the_bill_so_far_is_told_and_before_the_end_that_of_the_closed_session(large):
    trace = run_with(large)
    told = trace.events
    after_takeovers = [told[i + 1 : i + 3] for i, event in enumerate(told) if isinstance(event, TakeoverEnded)]
    bills = [next(event.usage for event in after if isinstance(event, UsageReported)) for after in after_takeovers]
    assert [bill.cost.written for bill in bills] == [3, 6]
    assert bills[0].money < bills[1].money
    assert isinstance(told[-1], RunEnded)
    assert trace.usage == {LARGE: large.usage}
    assert large.sessions[0].closed


def test_a_small_model_on_a_server_is_billed_after_each_of_its_writes():
    small = ChargingEngine("One two three four five.\n\n", " Six seven.\n\n", " Eight.")
    trace = run_with(ScriptedEngine(*["And so it is."] * 2, name="large"), small)
    bills = [event.usage.cost.written for event in trace.events if isinstance(event, UsageReported)]
    assert {event.author for event in trace.events if isinstance(event, UsageReported)} == {SMALL}
    assert bills == sorted(bills)
    assert bills[-1] == small.written


def test_models_on_this_machine_are_not_billed():
    trace = run_with(ScriptedEngine(*["And so it is."] * 2, name="large"))
    assert (trace.usage, trace.prefetches) == ({}, [])


def test_what_was_read_along_is_told_once_with_its_time_in_the_run(large):
    trace = run_with(large)
    along = [call.prefilled for call in large.calls if call.kind.value == "read along"]
    assert [reading.tokens for reading in trace.prefetches] == along
    assert along
    assert all(0 <= reading.began <= reading.at <= trace.seconds for reading in trace.prefetches)


def test_a_run_that_goes_on_adds_to_the_bill_and_to_the_time():
    started = RunStarted(0.0, QUESTION, "random", {}, 0, None, None, 0, thinking=True)
    first = UsageReported(2.0, LARGE, Usage(RequestUsage(1, read=5), 0.25, "EUR"))
    second = UsageReported(1.0, LARGE, Usage(RequestUsage(2, read=3), 0.5, "EUR"))
    reading = Prefetched(1.0, LARGE, 0.5, 0.25, 7)
    trace = Trace.of([started, first, started, reading, second])
    assert trace.usage == {LARGE: Usage(RequestUsage(3, read=8), 0.75, "EUR")}
    assert trace.prefetches == [Prefetched(3.0, LARGE, 2.5, 0.25, 7)]
    last_line = trace_to_json(trace)
    assert last_line["usage"]["large"]["cost"]["read"] == 8
    assert last_line["prefetch"] == [{"author": "large", "began": 2.5, "seconds": 0.25, "tokens": 7}]


def test_a_run_that_is_stopped_is_billed_all_the_same(large):
    control = Control()
    small = ScriptedEngine(
        "One two.\n\n", " Three.\n\n", before_token=lambda body: control.stop() if "Three" in body else None
    )
    trace = Trace.of(run(Pair(small, large), QUESTION, SETTINGS, control=control))
    assert trace.usage == {LARGE: large.usage}


def test_a_reading_that_ends_while_it_is_reported_is_not_reported_before_its_end(large, monkeypatch):
    ends_later = [(time.perf_counter() + 1_000, 0.5, 3)]
    monkeypatch.setattr(ChargingSession, "take_prefetched", lambda _: [ends_later.pop()] if ends_later else [])
    (reading,) = run_with(large).prefetches
    assert reading.began + reading.seconds <= reading.at
