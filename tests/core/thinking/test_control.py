"""A person's hand on a run. The scripted models press the buttons while they write."""

from __future__ import annotations

import threading
from collections.abc import Callable

from core.engines.base import Stop
from core.engines.body import Author
from core.thinking.control import Control
from core.thinking.events import Finish, TakeoverStarted, TextDiscarded
from core.thinking.loop import LoopSettings
from core.thinking.policies.always import Always
from core.thinking.policies.never import Never
from core.thinking.reasons import PERSON
from tests.core.thinking.running import Run, run
from tests.fakes.scripted import ScriptedEngine


def pressing(button: Callable[[], None], when: str) -> Callable[[str], None]:
    """Presses the button once, when the text ends so."""
    pressed: list[str] = []

    def before_token(body: str) -> None:
        if body.endswith(when) and not pressed:
            pressed.append(body)
            button()

    return before_token


def controlled(control: Control, small: ScriptedEngine, large: ScriptedEngine | None = None) -> Run:
    large = large or ScriptedEngine("LARGE", name="large")
    return run(Never(), small, large, LoopSettings(), [control])


def test_take_over_now_lets_the_large_model_write_after_the_next_token() -> None:
    control = Control()
    small = ScriptedEngine("One two three.", before_token=pressing(control.take_over, "One"))
    done = controlled(control, small, ScriptedEngine(" and more.</think>", " Four.", name="large"))
    assert done.trace.text == "One two and more.</think> Four."
    assert done.all(TakeoverStarted)[0].reason == PERSON.id


def test_take_over_at_the_next_boundary_waits_for_it() -> None:
    control = Control()
    small = ScriptedEngine("One two.\n\nThree", before_token=pressing(lambda: control.take_over(now=False), "One"))
    done = controlled(control, small, ScriptedEngine("So.</think>", name="large"))
    assert done.trace.text == "One two.\n\nSo.</think>"
    assert [step.text for step in done.trace.steps] == ["One two.\n\n", "So.</think>"]


def test_give_back_lets_the_small_model_write_on() -> None:
    control = Control()
    control.take_over()
    large = ScriptedEngine("it is so and on", name="large", before_token=pressing(control.give_back, "is"))
    done = controlled(control, ScriptedEngine("One ", " two.</think>"), large)
    assert done.trace.text == "Oneit is so two.</think>"


def test_giving_back_takes_back_a_takeover_that_has_not_begun() -> None:
    control = Control()
    control.take_over()
    control.give_back()
    assert controlled(control, ScriptedEngine("One.</think>")).all(TakeoverStarted) == []


def test_giving_back_without_a_small_model_changes_nothing() -> None:
    control = Control()
    large = ScriptedEngine("One two.</think>", name="large", before_token=pressing(control.give_back, "One"))
    done = run(Always(), ScriptedEngine(" three.</think>"), large, interruptions=[control])
    assert done.trace.text == "One two three.</think>"


def test_rewrite_step_replaces_the_step_under_way() -> None:
    control = Control()
    small = ScriptedEngine("One.\n\nTwo is bad", "End.</think>", before_token=pressing(control.rewrite_step, "Two"))
    done = controlled(control, small, ScriptedEngine("Better.\n\nNo", name="large"))
    assert done.trace.text == "One.\n\nBetter.\n\nEnd.</think>"
    assert [gone.text for gone in done.all(TextDiscarded)] == ["Two is"]


def test_stop_ends_the_run_with_what_is_there() -> None:
    control = Control()
    small = ScriptedEngine("One two three.", before_token=pressing(control.stop, "One"))
    done = controlled(control, small)
    assert done.trace.finish is Finish.STOPPED
    assert done.trace.text == "One two"


def test_stop_before_the_first_token_reads_nothing() -> None:
    control = Control()
    control.stop()
    done = controlled(control, ScriptedEngine("One."))
    assert (done.trace.text, done.small.calls, done.trace.finish) == ("", [], Finish.STOPPED)


def test_stop_cancels_the_sessions_so_that_a_long_prefill_ends() -> None:
    control, engine = Control(), ScriptedEngine("One two")
    session = engine.open()
    control.attach([session])
    items = session.write((), 10, 0)
    next(items)
    control.stop()
    assert list(items) == [(Stop.CANCELLED,)]
    assert control.stopped


def test_a_cancelled_write_ends_the_run_as_stopped() -> None:
    small = ScriptedEngine("One two three.", before_token=pressing(lambda: small.sessions[0].cancel(), "One"))
    done = run(Never(), small)
    assert (done.trace.text, done.trace.finish) == ("One", Finish.STOPPED)


def test_wishes_may_come_from_another_thread() -> None:
    control = Control()

    def press() -> None:
        thread = threading.Thread(target=control.take_over)
        thread.start()
        thread.join()

    done = controlled(control, ScriptedEngine("One two", before_token=pressing(press, "One")))
    assert done.trace.pieces[-1].author is not Author.SMALL
