"""Every n-th step goes to the large model: the simplest plug-in of docs/examples."""

from __future__ import annotations

from periodic import PERIODIC, Periodic

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import CountersChanged, TakeoverStarted
from baton_reasoning.core.thinking.run_settings import RunSettings
from tests.core.thinking.running import Run, run

STEPS = ["One.\n\nTwo.\n\n", "Four.\n\nFive.\n\n", "Seven.</think>\n\nEnd."]
LARGE = ["Three.\n\n", "Six.\n\n"]


def periodic(every: int = 3) -> Periodic:
    return Periodic(Periodic.Settings(every=every))


def authors(done: Run) -> list[Author]:
    return [step.pieces[0].author for step in done.trace.steps]


def test_every_third_step_is_written_by_the_large_model() -> None:
    done = run(periodic(), STEPS, LARGE)
    small, large = Author.SMALL, Author.LARGE
    assert authors(done)[:7] == [small, small, large, small, small, large, small]
    assert {takeover.reason for takeover in done.all(TakeoverStarted)} == {PERIODIC.id}


def test_steps_are_counted_on_when_a_run_is_resumed() -> None:
    first = run(periodic(), STEPS, LARGE, RunSettings(max_tokens=5))
    assert first.all(CountersChanged)[-1].counters == {"steps": 1}
    resumed = run(periodic(), [" And.\n\n"], ["Three.</think>"], resume_trace=first.trace)
    assert resumed.all(TakeoverStarted)[0].position > 0
    assert [event.counters["steps"] for event in resumed.all(CountersChanged)] == [2]
