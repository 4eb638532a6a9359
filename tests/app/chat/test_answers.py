"""What one can do with an answer, from the first key to the last event, on scripted models."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPushButton

from baton_reasoning.app.chat.remedies import AnswerAction
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.conversation import Conversation, Exchange
from baton_reasoning.app.session.run_list import Activity, ListedRun
from baton_reasoning.app.toolkit.controls import ElidedLabel
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.base import PrefillProgress
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.events import Finish, TextDiscarded
from baton_reasoning.core.thinking.steps import split
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange
from tests.fakes.scripted import Fault, ScriptedEngine, characters
from tests.patience import PATIENCE

Ask = Callable[[str], MainWindow]
Make = Callable[..., MainWindow]


STEPS = "".join(f"This is step {number} of very many.\n\n" for number in range(600))
NEVER = threading.Event()


def endless() -> ScriptedLoader:
    """Both models write, a token a millisecond, for longer than any test takes."""

    def pace(_: str) -> None:
        NEVER.wait(0.001)

    loader = ScriptedLoader()
    loader.small = ScriptedEngine(continue_with=lambda *_: STEPS, before_token=pace)
    loader.large = ScriptedEngine(continue_with=lambda *_: STEPS, before_token=pace, name="large")
    return loader


def test_enter_sends_the_problem_and_the_answer_comes(window, qtbot):
    edit = window.chat.composer.edit
    edit.setPlainText("What is 2 + 2?")
    qtbot.waitUntil(lambda: window.session.ready)
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.activity is Activity.IDLE)
    trace = last_exchange(window).trace
    assert trace.finish is Finish.END_OF_TEXT
    assert edit.toPlainText() == ""
    assert "four" in last_answer(window).steps.toPlainText()
    assert "</think>" not in last_answer(window).steps.toPlainText()
    window.chat.carry_out(last_exchange(window), AnswerAction.COPY)
    assert last_answer(window).answer.markdown == QGuiApplication.clipboard().text() == "The answer is \\boxed{4}."


@pytest.mark.parametrize("reader", [Author.SMALL, Author.LARGE])
def test_reading_shows_how_far_it_is_from_its_first_token_on(reader, make_window, qtbot):
    turnstile, loader = threading.Semaphore(0), ScriptedLoader()

    def prefill() -> Iterator[PrefillProgress]:
        for tokens in (0, 64):
            yield PrefillProgress(tokens, 1673)
            assert turnstile.acquire(timeout=PATIENCE)

    (loader.small if reader is Author.SMALL else loader.large).prefill = prefill
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("What is 2 + 2?")
    for read in (0, 64):
        qtbot.waitUntil(partial(shows, window, f"Reading {read} of 1,673 tokens"))
        assert last_answer(window).brief.isVisible()
        turnstile.release()
    for _ in range(100):
        turnstile.release()
    qtbot.waitUntil(lambda: window.session.activity is Activity.IDLE)
    assert "Reading" not in last_answer(window).brief.text()
    assert last_exchange(window).trace.finish is Finish.END_OF_TEXT


def shows(window: MainWindow, line: str) -> bool:
    return last_answer(window).brief.text() == line


def test_before_the_first_token_an_answer_says_what_it_waits_for(make_window, qtbot):
    gate, loader = threading.Event(), ScriptedLoader()

    def wait(_: str) -> None:
        assert gate.wait(PATIENCE)

    loader.small.before_token = wait
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("What is 2 + 2?")
    qtbot.waitUntil(partial(shows, window, "Waiting for the first token"))
    gate.set()
    qtbot.waitUntil(lambda: window.session.activity is Activity.IDLE)
    assert "steps" in last_answer(window).brief.text()


def test_ctrl_enter_in_the_composer_sends_what_is_typed_there(ask, qtbot):
    window = ask("2 + 2?")
    first = last_exchange(window)
    before = len(first.trace.events)
    qtbot.keyClicks(window.chat.composer.edit, "3 + 3?")
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.session.ready and last_exchange(window) is not first)
    assert last_exchange(window).problem == "3 + 3?"
    assert window.chat.composer.edit.toPlainText() == ""
    assert len(first.trace.events) == before


def test_a_complete_answer_cannot_be_continued(ask, qtbot):
    window = ask("2 + 2?")
    before = len(last_exchange(window).trace.events)
    control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Return, control)
    assert window.session.ready
    assert window.notice.text == "", "that key sends, and there is nothing to send"
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Return, control | shift)
    assert window.session.ready
    assert window.notice.text.startswith("This answer is complete.")
    assert len(last_exchange(window).trace.events) == before


def test_shift_enter_begins_a_line(window, qtbot):
    edit = window.chat.composer.edit
    qtbot.keyClicks(edit, "a")
    qtbot.keyClick(edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(edit, "b")
    assert edit.toPlainText() == "a\nb"
    assert window.session.current is None


def test_what_is_asked_while_models_load_is_answered_once_they_are_there(make_window, qtbot):
    gate = threading.Event()
    window = make_window(ScriptedLoader(gate=gate))
    window.session.ask("2 + 2?")
    assert window.session.activity is Activity.WAITING
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)
    assert last_exchange(window).trace.finish is Finish.END_OF_TEXT


def test_stop_keeps_what_is_there_and_continue_goes_on_from_it(make_window, qtbot):
    window = make_window(endless())
    window.session.ask("2 + 2?")
    qtbot.waitUntil(lambda: bool(window.session.current and window.session.current.trace.tokens > 20))
    window.session.stop()
    qtbot.waitUntil(lambda: window.session.ready)
    trace = last_exchange(window).trace
    kept, recorded = trace.text, len(trace.events)
    assert trace.finish is Finish.STOPPED
    assert kept.startswith("This is step 0")
    last_exchange(window).settings = last_exchange(window).settings.model_copy(update={"max_tokens": trace.tokens + 5})
    window.chat.carry_out(last_exchange(window), AnswerAction.CONTINUE)
    qtbot.waitUntil(lambda: window.session.ready)
    # A lookahead that was under way is written again, from the boundary before it: its decision had not been taken.
    undecided = next((event.text for event in trace.events[recorded:] if isinstance(event, TextDiscarded)), "")
    assert len(split(undecided)) <= 1
    assert trace.text.startswith(kept.removesuffix(undecided))
    assert len(trace.text) > len(kept.removesuffix(undecided))


def test_take_over_now_and_give_back(make_window, qtbot):
    window = make_window(endless())
    window.session.ask("2 + 2?")
    current = window.session
    qtbot.waitUntil(lambda: bool(current.current and current.current.trace.tokens > 10))
    window.session.pass_baton()
    qtbot.waitUntil(lambda: bool(current.answering and current.answering.author is Author.LARGE))
    qtbot.waitUntil(lambda: "Give back" in window.chat.composer._baton.text())
    window.session.pass_baton()
    qtbot.waitUntil(lambda: bool(current.answering and current.answering.author is Author.SMALL))
    window.session.stop()
    qtbot.waitUntil(lambda: window.session.ready)
    assert {piece.author for piece in last_exchange(window).trace.pieces} >= {Author.SMALL, Author.LARGE}


def test_the_button_that_passes_the_baton_keeps_its_width(window, monkeypatch):
    composer, run = window.chat.composer, ListedRun(Conversation(), Exchange("", RunSettings()), author=Author.SMALL)
    monkeypatch.setattr(ChatSession, "answering", run)
    composer.show_writer()
    wide = composer._baton.sizeHint().width()
    run.author = Author.LARGE
    composer.show_writer()
    assert composer._baton.minimumWidth() == wide > composer._baton.fontMetrics().horizontalAdvance("● Give back")


def test_asking_again_makes_a_second_try_with_another_seed(ask, qtbot):
    window = ask("2 + 2?")
    first = last_exchange(window)
    window.chat.carry_out(first, AnswerAction.AGAIN)
    qtbot.waitUntil(lambda: window.session.ready)
    second = last_exchange(window)
    assert second is not first
    assert second.problem == first.problem
    assert second.settings.seed == first.settings.seed + 1
    window.session.show_sibling(second, -1)
    assert last_exchange(window) is first


def test_editing_asks_another_problem_at_the_same_place(ask, qtbot):
    window = ask("2 + 2?")
    first = last_exchange(window)
    window.chat.composer.edit.setPlainText("a draft")
    window.chat.composer.begin_edit(first)
    window.chat.composer.edit.setPlainText("3 + 3?")
    qtbot.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)
    assert window.chat.composer.edit.toPlainText() == "a draft"
    qtbot.waitUntil(lambda: window.session.ready)
    assert last_exchange(window).problem == "3 + 3?"
    assert window.session.conversation.siblings(first) == [first, last_exchange(window)]


def test_editing_is_shown_and_esc_leaves_it(ask, qtbot):
    window = ask("2 + 2?")
    composer, first = window.chat.composer, last_exchange(window)
    composer.edit.setPlainText("a draft")
    qtbot.keyClick(composer.edit, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    assert composer.edit.toPlainText() == "2 + 2?"
    assert any(label.text().startswith("Editing “2 + 2?”") for label in composer.findChildren(QLabel))
    assert composer.edited
    qtbot.keyClick(composer.edit, Qt.Key.Key_Escape)
    assert not composer.edited
    assert composer.edit.toPlainText() == "a draft"
    qtbot.keyClick(composer.edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.ready and last_exchange(window) is not first)
    assert window.session.conversation.siblings(last_exchange(window)) == [last_exchange(window)]


def test_the_cancel_button_leaves_editing(ask, qtbot):
    window = ask("2 + 2?")
    composer = window.chat.composer
    window.chat.composer.begin_edit(last_exchange(window))
    (cancel,) = (button for button in composer.findChildren(QPushButton) if button.text() == "Cancel")
    assert cancel.isVisible()
    qtbot.mouseClick(cancel, Qt.MouseButton.LeftButton)
    assert not composer.edited
    assert not cancel.isVisible()
    assert composer.edit.toPlainText() == ""


def test_a_fork_keeps_the_steps_before_it(ask, qtbot):
    window = ask("2 + 2?")
    first = last_exchange(window)
    piece = next(piece for piece in first.trace.pieces if piece.author is Author.LARGE)
    window.session.fork(first, piece.position, Author.SMALL)
    qtbot.waitUntil(lambda: window.session.ready)
    assert last_exchange(window) is not first
    assert last_exchange(window).trace.text.startswith(first.trace.text[: piece.position])


def test_a_click_on_the_ribbon_shows_the_step_in_the_inspector(ask):
    window = ask("2 + 2?")
    pieces = last_exchange(window).trace.pieces
    index = next(i for i, piece in enumerate(pieces) if piece.author is Author.LARGE)
    last_answer(window).ribbon.segment_clicked.emit(index)
    assert window.chat.inspector.piece is pieces[index]
    assert last_answer(window).steps.selected is pieces[index]
    assert last_answer(window).steps.isVisible()


def test_thinking_is_folded_once_the_answer_is_there(ask):
    window = ask("2 + 2?")
    assert not last_answer(window).steps.isVisible()
    assert last_answer(window).answer.isVisible()
    last_answer(window).toggle_fold()
    assert last_answer(window).steps.isVisible()
    trace = last_exchange(window).trace
    assert (trace.handoffs, trace.totals[Author.LARGE].takeovers) == (2, 1)


def test_a_closing_tag_that_is_repeated_is_never_seen_in_the_answer(make_window, qtbot):
    loader = ScriptedLoader()
    loader.small = ScriptedEngine("Hm.</think>\n\nOne <\n</think>\n\nTwo <", split=characters)
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready)
    seen: list[str] = []
    gate = threading.Semaphore(0)

    def before_token(_: str) -> None:
        assert gate.acquire(timeout=PATIENCE)

    def look(_: object) -> None:
        if answer := window.chat.conversation.answer_of(last_exchange(window)):
            seen.append(answer.answer.markdown)
        gate.release()

    loader.small.before_token = before_token
    window.session.progressed.connect(look)
    gate.release()
    window.session.ask("2 + 2?")
    qtbot.waitUntil(lambda: window.session.ready and last_exchange(window).trace.finish is Finish.END_OF_TEXT)
    assert any(text.endswith("One ") for text in seen)
    assert any(text.endswith("Tw") for text in seen)
    assert not [text for text in seen if "</" in text]
    assert last_answer(window).answer.markdown.split() == ["One", "<", "Two", "<"]


def test_a_narrow_heading_leaves_out_the_share_and_cuts_nothing_before(ask, qtbot):
    window = ask("What is two and two?")
    answer = last_answer(window)

    def seen() -> list[ElidedLabel]:
        return [part for part in (answer.brief, answer.share) if part.isVisible()]

    def is_shown(width: int) -> bool:
        return answer.width() == width and all(part.width() >= part.sizeHint().width() for part in seen())

    shown: list[list[ElidedLabel]] = []
    for width in range(400, 240, -10):
        answer.setFixedWidth(width)
        qtbot.waitUntil(partial(is_shown, width))
        if seen() not in shown:
            shown.append(seen())
    assert shown == [[answer.brief, answer.share], [answer.brief]]


def test_the_death_of_a_model_is_a_sentence_with_a_way_on(make_window, qtbot):
    loader = ScriptedLoader()
    loader.small = ScriptedEngine(
        "One.\n\nTwo and more.", faults=[Fault(4, EngineLost("The process of small.gguf was killed.", "Restart it."))]
    )
    window = make_window(loader)
    answer_to(window, qtbot, "2 + 2?")
    trace = last_exchange(window).trace
    assert trace.finish is Finish.FAILED
    assert trace.text.startswith("One.")
    assert "was killed" in last_answer(window).ending.text()
    assert last_answer(window)._continue.isVisible()


def test_what_happened_without_stopping_the_answer_is_told_below_it(make_window, qtbot):
    loader = ScriptedLoader()
    loader.small = ScriptedEngine("One.\n\nTwo.</think>\n\n4", notices={2: "The model was started again."})
    window = make_window(loader)
    answer_to(window, qtbot, "2 + 2?")
    assert "The model was started again." in last_answer(window).ending.text().splitlines()
