"""What is in view while an answer is written and afterwards, and that it is what is stored."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from functools import partial

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QApplication, QWidget

from baton_reasoning.app.chat.answer_view import AnswerView
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.thinking.trace import Trace
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE

Make = Callable[..., MainWindow]
STEPS = "".join(f"This is step {number} of many.\n\n" for number in range(40))
ANSWER = "".join(f"This is line {number} of the answer.\n\n" for number in range(40)) + "It is \\boxed{4}."


class Gates:
    """Holds the small model back, once before its answer and once before the end of that."""

    def __init__(self) -> None:
        self.answer, self.end = threading.Event(), threading.Event()
        self.loader = ScriptedLoader()
        self.loader.small = ScriptedEngine(f"{STEPS}</think>\n\n{ANSWER}", before_token=self._wait)

    def _wait(self, body: str) -> None:
        gate = self.answer if "step 39" in body and "</think>" not in body else self.end if "boxed" in body else None
        assert gate is None or gate.wait(PATIENCE)

    def open(self) -> None:
        self.answer.set()
        self.end.set()


@pytest.fixture
def gates():
    gates = Gates()
    yield gates
    gates.open()


@pytest.fixture
def reasoned(make_window, gates, qtbot):
    """An answer of which all steps are written."""
    window = make_window(gates.loader)
    window.preferences.change_run(max_tokens=5000)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("How many?")
    qtbot.waitUntil(lambda: "step 39" in last_answer(window).steps.toPlainText())
    return window


def bottom_in_view(window: MainWindow, part: QWidget) -> bool:
    """Whether the end of a part stands in the view."""
    view = window.chat.conversation.viewport()
    y = part.mapTo(view, QPoint(0, part.height())).y()
    return 0 < y <= view.height() + 2


def top_in_view(window: MainWindow, part: QWidget) -> int:
    return part.mapTo(window.chat.conversation.viewport(), QPoint()).y()


def test_the_view_follows_the_steps_then_the_answer_and_ends_at_the_result(reasoned, gates, qtbot):
    answer = last_answer(reasoned)
    qtbot.waitUntil(lambda: bottom_in_view(reasoned, answer.steps))
    gates.answer.set()
    qtbot.waitUntil(lambda: "line 39" in answer.answer.toPlainText() and bottom_in_view(reasoned, answer.answer))
    gates.end.set()
    qtbot.waitUntil(lambda: reasoned.session.ready and answer.result.text() == "4")
    qtbot.waitUntil(lambda: 0 <= top_in_view(reasoned, answer.result) < reasoned.chat.conversation.height() // 2)


def test_whoever_scrolled_up_keeps_their_place(reasoned, gates, qtbot):
    answer, bar = last_answer(reasoned), reasoned.chat.conversation.verticalScrollBar()
    qtbot.waitUntil(lambda: bottom_in_view(reasoned, answer.steps))
    bar.setValue(bar.maximum() // 2)
    before = top_in_view(reasoned, answer.steps)
    assert before < 0
    gates.answer.set()
    qtbot.waitUntil(lambda: "line 39" in answer.answer.toPlainText())
    qtbot.waitUntil(lambda: top_in_view(reasoned, answer.steps) == before)
    gates.end.set()
    qtbot.waitUntil(lambda: reasoned.session.ready and answer.result.isVisibleTo(answer))
    qtbot.waitUntil(lambda: top_in_view(reasoned, answer.steps) == before)
    assert not answer.folded, "what is read does not go"


def test_reasoning_is_folded_or_open_as_a_person_left_it(make_window, qtbot):
    window = make_window()
    answer_to(window, qtbot, "2 + 2?")
    assert last_answer(window).folded
    last_answer(window).toggle_fold()
    answer_to(window, qtbot, "3 + 3?")
    assert not last_answer(window).folded
    window.close()
    again = make_window()
    qtbot.waitUntil(lambda: again.session.ready and bool(again.session.conversation.leaf))
    assert not last_answer(again).folded
    last_answer(again).toggle_fold()
    answer_to(again, qtbot, "4 + 4?")
    assert last_answer(again).folded


def shown(answer: AnswerView) -> list[str]:
    """Return steps and answer as they are shown, without blanks."""
    return ["".join(text.toPlainText().split()) for text in (answer.steps, answer.answer)]


def written(window: MainWindow, trace: Trace) -> list[str]:
    """Return what a view shows of a stored answer that was never seen while it was written."""
    exchange = Exchange("", last_exchange(window).settings, trace=trace)
    fresh = AnswerView(exchange, window.session, window.chat._typesetter, window.chat, parent=window)
    fresh.follow()
    return shown(fresh)


def has_grown(window: MainWindow, exchange: Exchange, before: int) -> bool:
    """Whether an answer has more tokens than before, or has ended."""
    return exchange.trace.tokens != before or not window.session.runs.writes(exchange)


@pytest.mark.parametrize("seed", range(4))
def test_the_text_that_is_shown_is_the_text_that_is_stored(make_window, qtbot, seed):
    """Whenever a person goes to another conversation and comes back."""
    chance, turns = random.Random(seed), threading.Semaphore(0)
    loader = ScriptedLoader()

    def wait(_: str) -> None:
        assert turns.acquire(timeout=PATIENCE)

    loader.small.before_token = loader.large.before_token = wait
    window = make_window(loader)
    window.preferences.change_window(folds_reasoning=False)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("2 + 2?")
    exchange, conversation = last_exchange(window), window.session.conversation.id
    while window.session.runs.writes(exchange) or window.session.runs.waits(exchange):
        for _ in range(chance.randrange(1, 6)):
            turns.release()
        before = exchange.trace.tokens
        qtbot.waitUntil(partial(has_grown, window, exchange, before))
        if chance.random() < 0.5:
            window.session.new()
            QApplication.processEvents()
            window.session.open(conversation)
    qtbot.waitUntil(lambda: window.session.ready and last_answer(window).steps.complete)
    assert window._store
    stored = window._store.runs.trace(exchange.id)
    qtbot.waitUntil(lambda: shown(last_answer(window)) == written(window, stored))  # once its formulas are typeset
