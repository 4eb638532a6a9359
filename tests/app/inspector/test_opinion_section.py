"""A second opinion in an answer: asked for, shown, walked through, and the conversation forked at a place."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QToolTip
from pytestqt.qtbot import QtBot

from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.inspector.answer_review import AnswerReview
from baton_reasoning.app.inspector.opinion_section import PARTLY_READ, OpinionSection
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.events import OpinionGiven
from baton_reasoning.core.thinking.opinion import SecondOpinion
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.trace import Piece
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange
from tests.core.thinking.running import run
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE

Make = Callable[..., MainWindow]
Open = Callable[..., OpinionSection]
SLIP = "So 2 + 2 is 5.\n\nAnd 2 + 3 is 5, of course 🎉, is 5.</think>\n\nIt is 5."


def knows_better(before: str, token: str) -> str:
    return " 4" if token == " 5" and not before.endswith("2 + 3 is") else token


def wait_for(gate: threading.Event | None) -> None:
    if gate:
        gate.wait(PATIENCE)


class OpinionLoader(ScriptedLoader):
    """A small model that slips, and a large one that does not."""

    def __init__(self, gate: threading.Event | None = None, returns_scores: bool = True) -> None:
        super().__init__()
        self.small = ScriptedEngine(SLIP)
        self.large = ScriptedEngine(
            "4.</think>\n\nIt is 4.",
            name="large",
            expects=knows_better,
            before_token=lambda _: wait_for(gate),
        ).with_card(returns_scores=returns_scores, location="this machine" if returns_scores else "gpu.example")


@pytest.fixture
def opened(make_window, qtbot):
    """The second opinion that was asked for on an answer that the small model wrote alone."""

    def opened(loader: ScriptedLoader | None = None) -> OpinionSection:
        window = make_window(loader or OpinionLoader())
        window.preferences.change_run(policy=Never.Settings())
        answer_to(window, qtbot, "2 + 2?")
        last_answer(window).keep_open()
        window.activateWindow()
        QTest.keyClick(window, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
        return last_answer(window).review.opinion

    return opened


def given(section: OpinionSection, qtbot: QtBot) -> OpinionSection:
    qtbot.waitUntil(lambda: section.opinion is not None)
    return section


def window_of(section: OpinionSection) -> MainWindow:
    window = section.window()
    assert isinstance(window, MainWindow)
    return window


def rows(section: OpinionSection) -> list[str]:
    return [section.list.item(row).text() for row in range(section.list.count())]


def marked(section: OpinionSection) -> list[str]:
    text = section.pane.exchange.trace.text
    return [text[mark.start : mark.end] for mark in section.pane.steps._text_marks]


def test_it_lists_the_slips_the_strongest_first_and_marks_them_in_the_text(opened, qtbot):
    section = given(opened(), qtbot)
    assert rows(section) == [f"Step {step}: ·5 → ·4 (90%) · missed takeover" for step in (1, 2, 3)]
    assert section.line.text() == "large: 3 strong disagreements, 3 missed takeovers."
    assert marked(section) == [" 5", " 5", " 5"]
    section.head.click()
    assert not section.list.isVisible()
    assert section.line.isVisible(), "a line says what was found"
    assert marked(section) == []


def test_the_tip_of_a_mark_tells_what_the_large_model_would_have_written(opened, qtbot):
    section = given(opened(), qtbot)
    steps = section.pane.steps
    mark = steps._text_marks[1]
    index = next(
        n for n, shown in enumerate(steps.shown) if shown.piece.position <= mark.start < shown.piece.end_position
    )

    def tip(at: QPoint) -> str:
        QApplication.sendEvent(steps.viewport(), QHelpEvent(QEvent.Type.ToolTip, at, steps.mapToGlobal(at)))
        return QToolTip.text() if QToolTip.isVisible() else ""

    qtbot.waitUntil(lambda: "It would have written:" in tip(steps.mark_place(index, mark).center().toPoint()))
    assert "·4  90%" in QToolTip.text()
    assert section.list.item(1).toolTip().replace("&lt;", "<").find("·5 (1% to the large model)") >= 0


def test_a_chosen_place_is_marked_and_its_step_is_brought_into_view(opened, qtbot):
    section = given(opened(), qtbot)
    section.list.setFocus()
    qtbot.keyClick(section.list, Qt.Key.Key_Down)
    chosen = section.places[1]
    assert section.pane.steps._chosen_mark
    assert section.pane.steps._chosen_mark.start == chosen.start
    assert section.pane.steps.selected is chosen.piece
    window_of(section).session.reviews.changed.emit()
    assert section.list.currentRow() == 1, "whatever else goes on"


@pytest.mark.parametrize("by_key", [True, False])
def test_the_large_model_goes_on_from_the_chosen_place(opened, qtbot, by_key):
    section = given(opened(), qtbot)
    window = window_of(section)
    before = window.session.conversation.leaf
    section.list.setFocus()
    qtbot.keyClick(section.list, Qt.Key.Key_Down)
    if by_key:
        qtbot.keyClick(section.list, Qt.Key.Key_Return)
    else:
        section.fork.click()
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not before)
    fork = last_exchange(window)
    assert fork.trace.text.startswith(SLIP[: SLIP.index("🎉, is 5") + 5] + "4.")
    assert fork.trace.pieces[-1].author is Author.LARGE
    assert window.session.conversation.siblings(fork)[0] is before


def test_it_is_still_there_in_a_line_when_the_conversation_is_opened_again(opened, qtbot):
    window = window_of(given(opened(), qtbot))
    conversation = window.session.conversation.id
    window.session.new()
    window.session.open(conversation)
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.id == conversation)
    qtbot.waitUntil(lambda: last_exchange(window).trace.opinion is not None)
    section = last_answer(window).review.opinion
    qtbot.waitUntil(section.line.isVisible)
    assert not section.list.isVisible()
    section.head.click()
    qtbot.waitUntil(section.list.isVisible)
    assert len(rows(section)) == 3


def test_stop_ends_the_reading(opened, qtbot):
    gate = threading.Event()
    section = opened(OpinionLoader(gate))
    qtbot.waitUntil(section.stop.isVisible)
    assert section.bar.isVisible()
    qtbot.mouseClick(section.stop, Qt.MouseButton.LeftButton)
    gate.set()
    qtbot.waitUntil(lambda: not section.stop.isVisible())
    assert section.opinion is None


def test_an_answer_goes_before_an_opinion(opened, qtbot):
    gate = threading.Event()
    section = opened(OpinionLoader(gate))
    window = window_of(section)
    qtbot.waitUntil(section.stop.isVisible)
    window.session.ask("And 3 + 3?")
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready and window.session.reviews.exchange is None)
    assert window.session.conversation.path[0].trace.opinion is None


def test_a_large_model_that_cannot_score_says_what_would_help(opened):
    section = opened(OpinionLoader(returns_scores=False))
    assert section.note.isVisible()
    assert "gives no log-probabilities" in section.note.text()
    assert "serve it with vLLM" in section.note.text()


def test_the_button_below_an_earlier_answer_asks_about_that_one(opened, qtbot):
    window = window_of(given(opened(), qtbot))
    first = last_exchange(window)
    first.trace.opinion = None
    answer_to(window, qtbot, "And again?")
    earlier = window.chat.conversation.answer_of(first)
    assert earlier
    next(each for each in earlier.findChildren(QPushButton) if each.text() == "Second opinion").click()
    qtbot.waitUntil(lambda: first.trace.opinion is not None)
    assert last_exchange(window).trace.opinion is None


def test_an_opinion_on_the_beginning_says_so_and_is_asked_for_again(opened, qtbot):
    section = given(opened(), qtbot)
    exchange, read = section.pane.exchange, section._given
    assert read
    exchange.trace.apply(OpinionGiven(read.at, read.model, 20, read.tokens[:5], read.handoff))
    section.follow()
    qtbot.waitUntil(lambda: section.note.text() == PARTLY_READ)
    section.carry_out()
    qtbot.waitUntil(lambda: section.opinion is not None and section.opinion.is_whole)


def test_where_nothing_can_be_asked_an_opinion_is_shown_and_another_answer_is_not_given_it(qtbot):
    """As in the answers of a batch, whose pane shows one after another."""
    loader = OpinionLoader()
    exchange = Exchange("2 + 2?", RunSettings(), trace=run(Never(), small=loader.small, large=loader.large).trace)
    for item in SecondOpinion(loader.large, exchange.trace).read():
        if isinstance(item, OpinionGiven):
            exchange.trace.apply(item)
    pane = AnswerPane(exchange, Typesetter(), NoActions())
    qtbot.addWidget(pane)
    review = AnswerReview(pane, None)
    pane.show()
    review.opinion.carry_out()
    qtbot.waitUntil(review.opinion.list.isVisible)
    assert not review.opinion.fork.isVisible()
    assert len(rows(review.opinion)) == 3
    pane.show_exchange(Exchange("3 + 3?", RunSettings()))
    review.follow()
    assert not review.opinion.isVisible()
    assert marked(review.opinion) == []


class NoActions:
    def choose(self, exchange: Exchange, piece: Piece) -> None: ...

    def open_menu(self, pane: AnswerPane, piece: Piece, where: QPoint) -> None: ...
