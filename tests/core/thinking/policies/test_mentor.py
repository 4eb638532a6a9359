"""The plug-in of docs/examples: both models try to go on, and the small one chooses."""

from __future__ import annotations

import pytest
from mentor import MENTOR, Mentor

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.control import Control
from baton_reasoning.core.thinking.events import Finish, Judged, TakeoverStarted, Tried
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.drawn import outcome
from tests.core.thinking.running import Run, run
from tests.fakes.scripted import ScriptedEngine

SMALL = "The sum is five, so 5.</think>Five."
LARGE = {"The": " sum is five", "The sum": " is five", "The sum is": " four, so 4."}
"""What the large model writes after the small one's text: the first difference is in the fourth word."""


def mentored(mark: str, chance: float = 1.0, resume_trace: Trace | None = None) -> Run:
    small = ScriptedEngine(
        continue_with=lambda _, body: SMALL.removeprefix(body) if SMALL.startswith(body) else "", marks=mark * 99
    )
    large = ScriptedEngine(continue_with=lambda _, body: LARGE.get(body, " and so on"), name="large")
    return run(Mentor(Mentor.Settings(chance=chance, tokens=4)), small, large, resume_trace=resume_trace)


def test_the_text_that_the_small_model_chooses_stands() -> None:
    done = mentored("B")
    assert done.trace.text.startswith("The sum is four, so 4")
    assert done.all(TakeoverStarted)[0].reason == MENTOR.id
    assert [tried.text for tried in done.all(Tried)][:4] == [" sum is five", " is five", " four, so 4", ", so 5"]
    assert [judged.author for judged in done.all(Judged)][:1] == [Author.SMALL]


def test_its_own_text_goes_on_if_it_chooses_that() -> None:
    done = mentored("A")
    assert done.trace.text == SMALL
    assert done.all(Judged)
    assert not done.all(TakeoverStarted)


def test_without_a_comparison_the_small_model_writes_alone() -> None:
    done = mentored("B", chance=0)
    assert done.trace.text == SMALL
    assert not done.all(Tried)


def test_a_run_that_is_stopped_within_a_trial_asks_the_policy_nothing_more() -> None:
    control = Control()
    small = ScriptedEngine(continue_with=lambda _, body: SMALL.removeprefix(body))
    large = ScriptedEngine(" sum", name="large", before_token=lambda _: control.stop())
    done = run(Mentor(Mentor.Settings(chance=1, tokens=4)), small, large, interruptions=[control])
    assert (done.trace.finish, done.trace.text) == (Finish.STOPPED, "The sum")
    assert [tried.author for tried in done.all(Tried)] == [Author.LARGE]


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_trial_costs_decoded_tokens_and_none_of_the_text(share: float) -> None:
    done = mentored("A")
    events = done.trace.events
    trace = Trace.of(events[: int(len(events) * share)])
    tried = [event for event in trace.events if isinstance(event, Tried)]
    assert sum(total.tried for total in trace.totals.values()) == sum(len(each.tokens) for each in tried)
    assert outcome(Trace.of(events)) == outcome(done.trace)
