"""The values of steps in an answer: estimated, stopped, gone on with; shown as a curve, in words and beside steps."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QToolTip
from pytestqt.qtbot import QtBot

from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.inspector.answer_review import AnswerReview
from baton_reasoning.app.inspector.values_section import CHOOSE, ValuesSection
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
from tests.app.inspector.test_opinion_section import NoActions
from tests.core.store.made import a_run
from tests.fakes.scripted import Fault, ScriptedEngine
from tests.fakes.valued import a_valued_run
from tests.patience import PATIENCE

Make = Callable[..., MainWindow]
Open = Callable[..., ValuesSection]
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
def opened(make_window, qtbot):
    """The form below the ribbon of an answer that has been written, with a small model that continues it so."""

    def opened(is_right: Callable[[str], bool], small: str = "", writes_branches: bool = False) -> ValuesSection:
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
        section = last_answer(window).review.values
        qtbot.waitUntil(section.start.isVisible)
        section.expected.selectAll()
        qtbot.keyClicks(section.expected, "4")
        qtbot.waitUntil(section.start.isEnabled)
        return section

    return opened


def lost(opened: Open) -> ValuesSection:
    """The section of an answer of the small model alone, which slips in its second step."""
    return opened(lambda body: "5" not in body, SLIP)


def turned(opened: Open) -> ValuesSection:
    """The section of an answer in which a takeover turns what the small model would have got wrong."""
    return opened(lambda body: "make four" in body)


def valued(section: ValuesSection, qtbot: QtBot) -> ValuesSection:
    qtbot.mouseClick(section.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not section.is_running and section.values is not None and section.source.isVisible())
    return section


def window_of(section: ValuesSection) -> MainWindow:
    window = section.window()
    assert isinstance(window, MainWindow)
    return window


def small_of(section: ValuesSection) -> ScriptedEngine:
    small = window_of(section).models.pair.small
    assert isinstance(small, ScriptedEngine)
    return small


def shown_values(section: ValuesSection) -> list[float]:
    assert section.values
    return [place.value.value for place in section.values.places]


def point_of(section: ValuesSection, index: int) -> QPoint:
    return section.curve.place_of(index).toPoint()


def test_it_says_what_an_estimate_takes_before_it_starts(opened, qtbot):
    section = lost(opened)
    qtbot.waitUntil(lambda: "continuations from" in section.note.text())
    assert "64 continuations from 4 places, about" in section.note.text()
    assert not section.curve.isVisible()
    assert not section.source.isVisible()


def test_a_wrong_answer_is_lost_at_its_slip(opened, qtbot):
    section = valued(lost(opened), qtbot)
    assert shown_values(section) == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert section.words.text() == "Lost at step 2: Or rather 5."
    assert section.source.text() == "Share of continuations that end in 4: 16 from each of 4 places, by ● small alone."
    assert not section.start.isVisible()
    assert section.curve.accessibleDescription() == "Lost at step 2: Or rather 5."


def test_the_turn_of_a_right_answer_is_its_takeover_in_the_colour_of_its_writer(opened, qtbot):
    section = valued(turned(opened), qtbot)
    assert section.words.text().startswith("The turn: step 2")
    assert section.words.text().endswith(", brought 100% of the gain")
    assert [point.text[:6] for point in section.curve.points][2] == "○ What"
    assert {LIGHT.small, LIGHT.large, LIGHT.muted} <= colours_of(section.curve.grab().toImage())


def test_beside_the_step_stands_what_it_was_worth(opened, qtbot):
    section = turned(opened)
    answer = last_answer(window_of(section))
    answer.keep_open()
    margin = answer.steps.document().rootFrame().frameFormat().rightMargin()
    valued(section, qtbot)
    takeover = next(piece for piece in last_exchange(window_of(section)).trace.pieces if piece.author is Author.LARGE)
    assert {position: change.mark for position, change in answer.steps._marks.items()} == {takeover.position: "▲ 1.00"}
    assert answer.steps.document().rootFrame().frameFormat().rightMargin() > margin


def test_without_an_expected_answer_it_is_agreement_and_no_proof(opened, qtbot):
    section = lost(opened)
    qtbot.keyClick(section.expected, Qt.Key.Key_Backspace)
    qtbot.waitUntil(section.start.isEnabled)
    valued(section, qtbot)
    assert shown_values(section) == [0.0, 0.0, 1.0, 1.0, 1.0]
    assert section.words.text() == (
        "No expected answer is known: the values say how often continuations agree with this answer's own, 5, which is "
        "no proof that it is right.\nThe turn: step 2: Or rather 5."
    )
    assert [point.text for point in section.curve.points][-2].startswith("● Step 3: agreement 1.00")


def test_keys_walk_along_the_curve_and_enter_leads_to_the_step(opened, qtbot):
    section = valued(turned(opened), qtbot)
    section.curve.setFocus()
    qtbot.keyClick(section.curve, Qt.Key.Key_End)
    assert section.place.text().endswith(": ✓ right")
    qtbot.keyClick(section.curve, Qt.Key.Key_Home)
    assert section.place.text() == "Before the first step: value .00 (.00–.19), 16 continuations"
    for _ in range(2):
        qtbot.keyClick(section.curve, Qt.Key.Key_Right)
    assert section.place.text().startswith("○ What step 2 replaced: value .00")
    assert section.place.text() in section.curve.accessibleDescription()
    qtbot.keyClick(section.curve, Qt.Key.Key_Left)
    qtbot.keyClick(section.curve, Qt.Key.Key_Right)
    qtbot.keyClick(section.curve, Qt.Key.Key_Return)
    inspector = window_of(section).inspector
    assert inspector.piece
    assert (inspector.piece.step, inspector.piece.author) == (1, Author.LARGE)
    assert last_answer(window_of(section)).steps.selected is inspector.piece


def test_a_click_on_a_point_leads_to_the_step_and_its_tip_tells_its_value(opened, qtbot):
    section = valued(lost(opened), qtbot)
    assert section.place.text() == CHOOSE

    def tip(at: QPoint) -> str:
        QApplication.sendEvent(section.curve, QHelpEvent(QEvent.Type.ToolTip, at, section.curve.mapToGlobal(at)))
        return QToolTip.text() if QToolTip.isVisible() else ""

    qtbot.waitUntil(lambda: tip(point_of(section, 2)) == "● Step 2: value .00 (.00–.19), 16 continuations")
    qtbot.mouseClick(section.curve, Qt.MouseButton.LeftButton, pos=point_of(section, 2))
    piece = window_of(section).inspector.piece
    assert piece
    assert piece.text == "Or rather 5.\n\n"
    assert section.place.text() == "● Step 2: value .00 (.00–.19), 16 continuations"
    qtbot.mouseClick(section.curve, Qt.MouseButton.LeftButton, pos=QPoint(section.curve.width() // 2, 2))
    assert window_of(section).inspector.piece is piece, "there is no point"


def test_stopped_it_keeps_what_is_finished_and_goes_on(opened, qtbot):
    section = lost(opened)
    small, gate = small_of(section), threading.Event()
    most = small.written + 120
    small.before_token = lambda _: wait_for(gate) if small.written > most else None
    qtbot.mouseClick(section.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: small.written > most)
    assert section.bar.isVisible()
    assert not section.form.isVisible()
    qtbot.mouseClick(section.stop, Qt.MouseButton.LeftButton)
    gate.set()
    qtbot.waitUntil(lambda: section.start.isVisible() and section.start.isEnabled())
    assert section.start.text() == "Go on"
    assert section.values
    assert "Not all places are valued yet." in section.words.text()
    assert 0 < sum(len(each.outcomes) for each in section.values.estimated.places) < 64
    qtbot.mouseClick(section.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: section.values is not None and section.values.estimated.is_whole)
    assert [each.outcomes for each in section.values.estimated.places] == ["1" * 16, "1" * 16, "0" * 16, "0" * 16]
    assert shown_values(section) == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_they_are_still_there_when_the_conversation_is_opened_again(opened, qtbot):
    section = valued(lost(opened), qtbot)
    window = window_of(section)
    conversation = window.session.conversation.id
    window.session.new()
    window.session.open(conversation)
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.id == conversation)
    qtbot.waitUntil(lambda: bool(last_exchange(window).trace.values))
    again = last_answer(window).review.values
    qtbot.waitUntil(again.line.isVisible)
    assert again.line.text() == "Lost at step 2: Or rather 5."
    assert shown_values(again) == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert again.expected.text() == "4"


def test_a_model_that_is_lost_is_a_message_and_what_is_finished_stays(opened, qtbot):
    section = lost(opened)
    small = small_of(section)
    small._faults = [Fault(small.written + 150, EngineLost("The small model ended.", "Load it again."), for_good=True)]
    qtbot.mouseClick(section.start, Qt.MouseButton.LeftButton)
    window = window_of(section)
    qtbot.waitUntil(window.notice.isVisible)
    assert "small" in window.notice.text
    qtbot.waitUntil(section.curve.isVisible)
    assert section.values
    assert not section.values.estimated.is_whole
    assert section.values.estimated.places[0].outcomes.startswith("1")


def test_a_model_that_was_started_again_is_a_message(opened, qtbot):
    section = opened(lambda body: "5" not in body, SLIP, writes_branches=True)
    small = small_of(section)
    small.notices = {small.written + 9: "The small model ended. It was started again, and goes on."}
    valued(section, qtbot)
    window = window_of(section)
    qtbot.waitUntil(window.notice.isVisible)
    assert window.notice.text == "The small model ended. It was started again, and goes on."
    assert shown_values(section) == [1.0, 1.0, 0.0, 0.0, 0.0]


def test_stopped_at_once_it_keeps_what_was_known_before(opened, qtbot):
    section = valued(lost(opened), qtbot)
    small, gate = small_of(section), threading.Event()
    small.before_token = lambda _: wait_for(gate)
    section.again.click()
    qtbot.keyClick(section.expected, Qt.Key.Key_Backspace)
    qtbot.waitUntil(lambda: section.start.isVisible() and section.start.isEnabled())
    qtbot.mouseClick(section.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(section.stop.isVisible)
    qtbot.mouseClick(section.stop, Qt.MouseButton.LeftButton)
    gate.set()
    qtbot.waitUntil(section.again.isVisible)
    assert section.values
    assert section.values.estimated.target == "4"


def test_an_answer_goes_before_values(opened, qtbot):
    section = lost(opened)
    small, gate = small_of(section), threading.Event()
    small.before_token = lambda _: wait_for(gate)
    qtbot.mouseClick(section.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(section.stop.isVisible)
    window = window_of(section)
    window.session.ask("And 3 + 3?")
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready and window.session.reviews.exchange is None)
    assert len(window.session.conversation.path) == 2


def test_what_keeps_values_from_being_estimated_is_said_in_a_sentence(opened, qtbot):
    section = opened(lambda _: True, "There is nothing to be found here.")
    qtbot.keyClick(section.expected, Qt.Key.Key_Backspace)
    qtbot.waitUntil(lambda: "Give the expected answer" in section.note.text())
    assert not section.start.isEnabled()


def test_values_are_estimated_again_by_another_writer(opened, qtbot):
    section = valued(lost(opened), qtbot)
    assert not section.form.isVisible()
    section.again.click()
    assert section.form.isVisible()
    section.writer.setFocus()
    qtbot.keyClick(section.writer, Qt.Key.Key_Down)
    qtbot.waitUntil(section.start.isEnabled)
    section.start.click()
    qtbot.waitUntil(lambda: not section.is_running and len(section.pane.exchange.trace.values) == 2)
    assert section.source.text().endswith("by ◆ large alone.")


def test_the_time_is_estimated_where_the_cost_of_the_writer_was_measured(opened, qtbot, tmp_path):
    section = lost(opened)
    assert "at most" not in section.note.text()
    file, models = tmp_path / "small.gguf", window_of(section).models
    file.write_bytes(b"GGUF")
    small = small_of(section).with_card(path=file)
    models.costs.keep(small.card, ModelCost(decode=0.5, further=0.1, prefill=0.1))
    models.changed.emit()
    qtbot.waitUntil(lambda: ", at most " in section.note.text())
    section.writer.setFocus()
    qtbot.keyClick(section.writer, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: "continuations from" in section.note.text())
    assert "at most" not in section.note.text(), "the large model was not measured"


def test_where_nothing_can_be_estimated_values_are_shown_all_the_same(qtbot):
    pane = AnswerPane(Exchange("2 + 2?", RunSettings(), trace=Trace.of(a_run())), Typesetter(), NoActions())
    qtbot.addWidget(pane)
    review = AnswerReview(pane, None)
    pane.resize(500, 600)
    pane.show()
    pane.show_exchange(Exchange("2 + 2?", RunSettings(), trace=a_valued_run()))
    review.follow()
    assert review.values.line.text().startswith("The turn: step 2")
    assert not review.values.curve.isVisible()
    review.values.head.click()
    assert review.values.curve.isVisible()
    assert review.values.words.text().startswith("The turn: step 2")
    assert not review.values.form.isVisible()
    assert not review.values.again.isVisible()


def colours_of(image: QImage) -> set[str]:
    return {image.pixelColor(x, y).name() for x in range(0, image.width(), 2) for y in range(0, image.height(), 2)}
