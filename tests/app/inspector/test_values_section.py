"""The values of steps in the window: estimated, stopped, gone on with; shown as a curve, in words and beside steps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest
from baton_reasoning.app.inspector.value_page import ValuePage
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot

from baton_reasoning.app.inspector.panel import Tab
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.toolkit.theme import LIGHT
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.base import Conversation
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.model_costs import ModelCost
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.trace import Trace
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange
from tests.core.store.made import a_run
from tests.fakes.scripted import Fault, ScriptedEngine
from tests.fakes.valued import a_valued_run
from tests.patience import PATIENCE

Make = Callable[..., MainWindow]
Open = Callable[..., ValuePage]
SLIP = "So 2 + 2 is 4.\n\nOr rather 5.\n\nIt stays 5.</think>\n\n\\boxed{5}"


def goes_on(is_right: Callable[[str], bool]) -> Callable[[Conversation, str], str]:
    """Continues a text: with the right answer as long as the text before it is right."""

    def continued(_: Conversation, body: str) -> str:
        close = "" if "</think>" in body else "\n\nSo.</think>\n\n"
        return close + ("\\boxed{4}" if is_right(body) else "\\boxed{5}")

    return continued


def wait_for(gate: threading.Event) -> None:
    gate.wait(PATIENCE)


@pytest.fixture
def opened(make_window: Make, qtbot: QtBot) -> Open:
    """The tab of an answer that has been written, with a small model that continues it so."""

    def opened(is_right: Callable[[str], bool], small: str = "", writes_branches: bool = False) -> ValuePage:
        loader = ScriptedLoader()
        if small:
            loader.small = ScriptedEngine(small, writes_branches=writes_branches)
        window = make_window(loader)
        if small:
            window.preferences.change_run(policy=Never.Settings())
        answer_to(window, qtbot, "2 + 2?")
        loader.small.continue_with = goes_on(is_right)
        window.activateWindow()
        QTest.keyClick(window, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
        assert window.inspector.tabs.currentIndex() == Tab.VALUE
        page = window.inspector.value
        qtbot.waitUntil(page.start.isVisible)
        page.expected.selectAll()
        qtbot.keyClicks(page.expected, "4")
        qtbot.waitUntil(page.start.isEnabled)
        return page

    return opened


def lost(opened: Open) -> ValuePage:
    """The page of an answer of the small model alone, which slips in its second step."""
    return opened(lambda body: "5" not in body, SLIP)


def turned(opened: Open) -> ValuePage:
    """The page of an answer in which a takeover turns what the small model would have got wrong."""
    return opened(lambda body: "make four" in body)


def valued(page: ValuePage, qtbot: QtBot) -> ValuePage:
    qtbot.mouseClick(page.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.values is not None and page.source.isVisible())
    return page


def window_of(page: ValuePage) -> MainWindow:
    window = page.window()
    assert isinstance(window, MainWindow)
    return window


def small_of(page: ValuePage) -> ScriptedEngine:
    small = window_of(page).models.pair.small
    assert isinstance(small, ScriptedEngine)
    return small


def shown_values(page: ValuePage) -> list[float]:
    assert page.curve.curve
    return [point.value for point in page.curve.curve.points]


def point_of(page: ValuePage, index: int) -> QPoint:
    return page.curve.place_of(index).toPoint()


def test_it_says_what_an_estimate_takes_before_it_starts(opened: Open, qtbot: QtBot) -> None:
    page = lost(opened)
    qtbot.waitUntil(lambda: "continuations from" in page.note.text())
    assert "64 continuations from 4 places, about" in page.note.text()
    assert not page.curve.isVisible()
    assert not page.source.isVisible()


def test_a_wrong_answer_is_lost_at_its_slip(opened: Open, qtbot: QtBot) -> None:
    page = valued(lost(opened), qtbot)
    assert shown_values(page) == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert page.words.text() == "Lost at step 2: Or rather 5."
    assert page.source.text() == "Share of continuations that end in 4: 16 from each of 4 places, by ● small alone."
    assert not page.start.isVisible()
    assert "from 1.00 to .00. Lost at step 2" in page.curve.accessibleDescription()


def test_the_turn_of_a_right_answer_is_its_takeover_in_the_colour_of_its_writer(opened: Open, qtbot: QtBot) -> None:
    page = valued(turned(opened), qtbot)
    assert page.words.text().startswith("The turn: step 2")
    assert page.words.text().endswith(", brought 100% of the gain")
    assert page.curve.curve
    (branch,) = page.curve.curve.branches
    assert (branch.value, branch.piece.author) == (0.0, Author.LARGE)
    assert {LIGHT.small, LIGHT.large, LIGHT.muted} <= colours_of(page.curve.grab().toImage())


def test_beside_the_step_and_in_the_heading_stands_what_it_was_worth(opened: Open, qtbot: QtBot) -> None:
    page = turned(opened)
    answer = last_answer(window_of(page))
    answer.keep_open()
    assert "brought" not in answer._share.text()
    margin = answer.steps.document().rootFrame().frameFormat().leftMargin()
    valued(page, qtbot)
    assert answer._share.text().endswith(", brought 100% of the gain")
    takeover = next(piece for piece in last_exchange(window_of(page)).trace.pieces if piece.author is Author.LARGE)
    assert {position: change.mark for position, change in answer.steps._marks.items()} == {takeover.position: "▲ 1.00"}
    assert answer.steps.document().rootFrame().frameFormat().leftMargin() > margin


def test_without_an_expected_answer_it_is_agreement_and_no_proof(opened: Open, qtbot: QtBot) -> None:
    page = lost(opened)
    qtbot.keyClick(page.expected, Qt.Key.Key_Backspace)
    qtbot.waitUntil(page.start.isEnabled)
    valued(page, qtbot)
    assert shown_values(page) == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert page.words.text() == (
        "No expected answer is known: the values say how often continuations agree with this answer's own, 5, which is "
        "no proof that it is right.\nThe turn: step 2: Or rather 5."
    )
    assert page.curve.accessibleDescription().startswith("The agreement of 4 steps")
    assert page.curve.curve
    assert page.curve.curve.ends_right is None


def test_keys_walk_along_the_curve_and_enter_leads_to_the_step(opened: Open, qtbot: QtBot) -> None:
    page = valued(turned(opened), qtbot)
    page.curve.setFocus()
    qtbot.keyClick(page.curve, Qt.Key.Key_End)
    assert page.place.text().endswith(": ✓ right")
    qtbot.keyClick(page.curve, Qt.Key.Key_Home)
    assert page.place.text() == "Before the first step: value .00 (.00–.19), 16 continuations"
    for _ in range(2):
        qtbot.keyClick(page.curve, Qt.Key.Key_Right)
    assert page.place.text().startswith("○ What step 2 replaced: value .00")
    assert page.place.text() in page.curve.accessibleDescription()
    qtbot.keyClick(page.curve, Qt.Key.Key_Left)
    qtbot.keyClick(page.curve, Qt.Key.Key_Right)
    qtbot.keyClick(page.curve, Qt.Key.Key_Return)
    inspector = window_of(page).inspector
    assert inspector.piece
    assert (inspector.piece.step, inspector.piece.author) == (1, Author.LARGE)
    assert last_answer(window_of(page)).steps.selected is inspector.piece


def test_a_click_on_a_point_leads_to_the_step_and_the_mouse_tells_its_value(opened: Open, qtbot: QtBot) -> None:
    page = valued(lost(opened), qtbot)
    shifts = cycle((0, 1))

    def hovered() -> bool:
        """The mouse moves a little until the window has laid out the curve and taken notice."""
        qtbot.mouseMove(page.curve, point_of(page, 2) + QPoint(next(shifts), 0))
        return page.place.text() == "● Step 2: value .00 (.00–.19), 16 continuations"

    qtbot.waitUntil(hovered)
    qtbot.mouseClick(page.curve, Qt.MouseButton.LeftButton, pos=point_of(page, 2))
    piece = window_of(page).inspector.piece
    assert piece
    assert piece.text == "Or rather 5.\n\n"
    qtbot.mouseClick(page.curve, Qt.MouseButton.LeftButton, pos=QPoint(page.curve.width() // 2, 2))
    assert window_of(page).inspector.piece is piece, "there is no point"


def test_a_step_that_is_chosen_in_the_text_is_marked_on_the_curve(opened: Open, qtbot: QtBot) -> None:
    page = valued(turned(opened), qtbot)
    window = window_of(page)
    page.curve.setFocus()
    for _ in range(2):
        QTest.keyClick(window, Qt.Key.Key_Down, Qt.KeyboardModifier.ControlModifier)
    assert page.place.text().startswith("◆ Step 2: value 1.00")
    qtbot.keyClick(page.curve, Qt.Key.Key_Left)
    assert page.place.text().startswith("○ What step 2 replaced")
    qtbot.keyClick(page.curve, Qt.Key.Key_Return)
    assert page.place.text().startswith("○ What step 2 replaced"), "it is of the same piece"


def test_the_tip_of_a_point_is_what_stands_below_the_curve(opened: Open, qtbot: QtBot) -> None:
    page = valued(lost(opened), qtbot)

    def tip(at: QPoint) -> str:
        QApplication.sendEvent(page.curve, QHelpEvent(QEvent.Type.ToolTip, at, page.curve.mapToGlobal(at)))
        return QToolTip.text() if QToolTip.isVisible() else ""

    qtbot.waitUntil(lambda: tip(point_of(page, 2)) == "● Step 2: value .00 (.00–.19), 16 continuations")
    page.curve.setFocus()
    layout, tops = page.layout(), set()
    assert layout
    for key in (Qt.Key.Key_End, Qt.Key.Key_Home, Qt.Key.Key_Right):
        qtbot.keyClick(page.curve, key)
        layout.activate()
        tops.add(page.words.y())
    assert len(tops) == 1, "nothing below it moves"


def test_stopped_it_keeps_what_is_finished_and_goes_on(opened: Open, qtbot: QtBot) -> None:
    page = lost(opened)
    small, gate = small_of(page), threading.Event()
    most = small.written + 120
    small.before_token = lambda _: wait_for(gate) if small.written > most else None
    qtbot.mouseClick(page.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: small.written > most)
    assert page.bar.isVisible()
    assert not page.expected.isEnabled()
    qtbot.mouseClick(page.stop, Qt.MouseButton.LeftButton)
    gate.set()
    qtbot.waitUntil(lambda: page.start.isVisible() and page.start.isEnabled())
    assert page.start.text() == "Go on"
    assert page.values
    assert "Not all places are valued yet." in page.words.text()
    assert 0 < sum(len(each.outcomes) for each in page.values.estimated.places) < 64
    qtbot.mouseClick(page.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.values is not None and page.values.estimated.is_whole)
    assert [each.outcomes for each in page.values.estimated.places] == ["1" * 16, "1" * 16, "0" * 16, "0" * 16]
    assert shown_values(page) == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_they_are_still_there_when_the_conversation_is_opened_again(opened: Open, qtbot: QtBot) -> None:
    page = valued(lost(opened), qtbot)
    window = window_of(page)
    conversation = window.session.conversation.id
    window.session.new()
    window.session.open(conversation)
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.id == conversation)
    qtbot.waitUntil(lambda: bool(last_exchange(window).trace.values))
    qtbot.waitUntil(page.curve.isVisible)
    assert shown_values(page) == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert page.expected.text() == "4"


def test_a_model_that_is_lost_is_a_message_and_what_is_finished_stays(opened: Open, qtbot: QtBot) -> None:
    page = lost(opened)
    small = small_of(page)
    small._faults = [Fault(small.written + 150, EngineLost("The small model ended.", "Load it again."), for_good=True)]
    qtbot.mouseClick(page.start, Qt.MouseButton.LeftButton)
    window = window_of(page)
    qtbot.waitUntil(window.notice.isVisible)
    assert "small" in window.notice.text
    qtbot.waitUntil(page.curve.isVisible)
    assert page.values
    assert not page.values.estimated.is_whole
    assert page.values.estimated.places[0].outcomes.startswith("1")


def test_a_model_that_was_started_again_is_a_message(opened: Open, qtbot: QtBot) -> None:
    page = opened(lambda body: "5" not in body, SLIP, writes_branches=True)
    small = small_of(page)
    small.notices = {small.written + 9: "The small model ended. It was started again, and goes on."}
    valued(page, qtbot)
    window = window_of(page)
    qtbot.waitUntil(window.notice.isVisible)
    assert window.notice.text == "The small model ended. It was started again, and goes on."
    assert shown_values(page) == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_stopped_at_once_it_keeps_what_was_known_before(opened: Open, qtbot: QtBot) -> None:
    page = valued(lost(opened), qtbot)
    small, gate = small_of(page), threading.Event()
    small.before_token = lambda _: wait_for(gate)
    qtbot.keyClick(page.expected, Qt.Key.Key_Backspace)
    qtbot.waitUntil(lambda: page.start.isVisible() and page.start.isEnabled())
    qtbot.mouseClick(page.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.stop.isVisible)
    qtbot.mouseClick(page.stop, Qt.MouseButton.LeftButton)
    gate.set()
    qtbot.waitUntil(page.start.isVisible)
    assert page.values
    assert page.values.estimated.target == "4"


def test_an_answer_goes_before_values(opened: Open, qtbot: QtBot) -> None:
    page = lost(opened)
    small, gate = small_of(page), threading.Event()
    small.before_token = lambda _: wait_for(gate)
    qtbot.mouseClick(page.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.stop.isVisible)
    window = window_of(page)
    window.session.ask("And 3 + 3?")
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready and window.session.reviews.exchange is None)
    assert len(window.session.conversation.path) == 2


def test_what_keeps_values_from_being_estimated_is_said_in_a_sentence(opened: Open, qtbot: QtBot) -> None:
    page = opened(lambda _: True, "There is nothing to be found here.")
    qtbot.keyClick(page.expected, Qt.Key.Key_Backspace)
    qtbot.waitUntil(lambda: "Give the expected answer" in page.note.text())
    assert not page.start.isEnabled()
    window = window_of(page)
    window.session.new()
    assert window.inspector.empty.isVisible()
    assert "what each step of the answer was worth" in window.inspector.empty.text.text()


def test_the_time_is_estimated_where_the_cost_of_the_writer_was_measured(
    opened: Open, qtbot: QtBot, tmp_path: Path
) -> None:
    page = lost(opened)
    assert "at most" not in page.note.text()
    file, models = tmp_path / "small.gguf", window_of(page).models
    file.write_bytes(b"GGUF")
    small = small_of(page).with_card(path=file)
    models.costs.keep(small.card, ModelCost(decode=0.5, further=0.1, prefill=0.1))
    models.changed.emit()
    qtbot.waitUntil(lambda: ", at most " in page.note.text())
    page.writer.setFocus()
    qtbot.keyClick(page.writer, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: "continuations from" in page.note.text())
    assert "at most" not in page.note.text(), "the large model was not measured"


def test_where_nothing_can_be_estimated_values_are_shown_all_the_same(qtbot: QtBot) -> None:
    page = ValuePage()
    qtbot.addWidget(page)
    page.resize(340, 600)
    page.show()
    page.follow(Exchange("2 + 2?", RunSettings(), trace=Trace.of(a_run())))
    assert page.note.text().endswith("baton value does that.")
    assert not page.start.isVisible()
    page.follow(Exchange("2 + 2?", RunSettings(), trace=a_valued_run()))
    assert page.words.text().startswith("The turn: step 2")
    assert not page.note.isVisible()
    assert not page.writer.isVisible()
    assert page.curve.isVisible()


def colours_of(image: QImage) -> set[str]:
    return {image.pixelColor(x, y).name() for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)}
