"""A person edits a step of the reasoning where it stands, and the answer goes on from there."""

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFont
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu, QPushButton, QWidget

from baton_reasoning.app.chat.step_editor import StepEditor
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.trace import Piece
from baton_reasoning.core.words.authors import SIGN, WHO
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange
from tests.fakes.held import Gate

CONTROL = Qt.KeyboardModifier.ControlModifier


def choose_first_step(window, qtbot):
    answer = last_answer(window)
    if answer.folded:
        qtbot.keyClick(window, Qt.Key.Key_H, CONTROL)
    steps = answer.steps
    place = steps.place_of(steps.shown[0].piece)
    assert place is not None
    qtbot.mouseClick(steps.viewport(), Qt.MouseButton.LeftButton, pos=place.center().toPoint())


def opened_editor(window, qtbot):
    choose_first_step(window, qtbot)
    qtbot.keyClick(window, Qt.Key.Key_F4)
    editor = last_answer(window).editor
    assert editor
    assert editor.isVisible()
    return editor


def replace_text(editor, qtbot, text):
    qtbot.keyClick(editor.edit, Qt.Key.Key_A, CONTROL)
    qtbot.keyClicks(editor.edit, text) if text else qtbot.keyClick(editor.edit, Qt.Key.Key_Delete)


def press_go_on(editor):
    next(each for each in editor.findChildren(QPushButton) if each.text() == "Go on from here").click()


def test_the_answer_goes_on_from_the_edited_step_as_another_attempt(ask, qtbot):
    window = ask("2 + 2?")
    first = last_exchange(window)
    with qtbot.waitSignal(window.session.failed) as failed:
        qtbot.keyClick(window, Qt.Key.Key_F4)
    assert "Ctrl+Down" in str(failed.args[0]), "no step is chosen yet"
    editor = opened_editor(window, qtbot)
    assert editor.edit.toPlainText() == first.trace.pieces[0].text
    assert editor.edit.hasFocus()
    replace_text(editor, qtbot, "First of all: ")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: window.session.ready)
    second = last_exchange(window)
    assert window.session.conversation.siblings(second) == [first, second]
    assert second.trace.text.startswith("First of all: ")
    assert [piece.author for piece in second.trace.pieces][:2] == [Author.SMALL, Author.PERSON], "First is the model's"
    assert second.trace.finish is Finish.END_OF_TEXT
    assert "of all:" in last_answer(window).steps.toPlainText()


def test_the_editor_stays_over_its_step_and_is_as_high_as_its_text(ask, qtbot):
    window = ask("2 + 2?")
    choose_first_step(window, qtbot)
    qtbot.keyClick(window, Qt.Key.Key_H, CONTROL)
    answer = last_answer(window)
    assert answer.folded
    qtbot.keyClick(window, Qt.Key.Key_F4)
    editor = answer.editor
    assert editor
    qtbot.waitUntil(editor.isVisible)
    replace_text(editor, qtbot, "One line.")
    height, line = editor.height(), editor.edit.fontMetrics().lineSpacing()
    assert editor.edit.height() < 3 * line
    editor.edit.setPlainText("One.\nTwo.\nThree.")
    assert editor.height() == height + 2 * line
    window.resize(900, 700)
    qtbot.waitUntil(lambda: answer.rect().contains(editor.geometry()))


def test_the_edited_text_is_signed_by_a_person(ask, qtbot):
    window = ask("2 + 2?")
    editor = opened_editor(window, qtbot)
    replace_text(editor, qtbot, "Mine.")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: window.session.ready)
    choose_first_step(window, qtbot)
    assert window.inspector.step.sentence.text() == "You edited this step."
    ribbon = last_answer(window).ribbon
    assert ribbon.segments[0][0] is Author.PERSON
    assert f"{SIGN[Author.PERSON]} {WHO[Author.PERSON]}\nEdited by a person" in ribbon.accessibleDescription()


def test_escape_or_an_unchanged_step_makes_no_other_attempt_and_an_empty_one_is_written_again(ask, qtbot):
    window = ask("2 + 2?")
    first = last_exchange(window)
    editor = opened_editor(window, qtbot)
    replace_text(editor, qtbot, "Mine.")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Escape)
    assert last_answer(window).editor is None
    press_go_on(opened_editor(window, qtbot))
    assert last_answer(window).editor is None
    assert window.session.conversation.siblings(first) == [first]
    editor = opened_editor(window, qtbot)
    replace_text(editor, qtbot, "")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: window.session.ready)
    second = last_exchange(window)
    assert second is not first
    assert all(piece.author is not Author.PERSON for piece in second.trace.pieces)
    assert second.settings.seed != first.settings.seed


def test_the_menu_of_a_step_offers_to_edit_it(ask, qtbot):
    window = ask("2 + 2?")
    choose_first_step(window, qtbot)
    window.chat.open_menu(last_answer(window), last_exchange(window).trace.pieces[0], QPoint(0, 0))
    menu = next(menu for menu in window.chat.findChildren(QMenu) if menu.isVisible())
    action = next(action for action in menu.actions() if action.text().startswith("Edit this step"))
    QTest.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(action).center())
    assert last_answer(window).editor
    QApplication.processEvents()


def test_while_an_answer_is_written_the_text_stays_in_the_editor(make_window, qtbot):
    gate, loader = Gate(), ScriptedLoader()
    window = make_window(loader)
    answer_to(window, qtbot, "2 + 2?")
    editor = opened_editor(window, qtbot)
    replace_text(editor, qtbot, "Mine.")
    answer = last_answer(window)
    loader.small.before_token = gate.wait_at
    window.session.ask("3 + 3?")
    with qtbot.waitSignal(window.session.failed) as failed:
        qtbot.keyClick(editor.edit, Qt.Key.Key_Return, CONTROL)
    assert "is being written" in str(failed.args[0])
    assert editor.edit.toPlainText() == "Mine."
    assert answer.editor is editor
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)


def test_without_models_the_text_is_kept_and_continue_goes_on_from_it(make_window, qtbot):
    loader = ScriptedLoader()
    window = make_window(loader)
    answer_to(window, qtbot, "2 + 2?")
    loader.error = EngineLost("No memory.", "Close other programs.")
    window.models.load(window.preferences.value.models)
    qtbot.waitUntil(lambda: window.models.state is LoadState.FAILED)
    loader.error = EngineLost("No memory.", "Close other programs.")
    editor = opened_editor(window, qtbot)
    replace_text(editor, qtbot, "Mine.")
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return)
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return)
    qtbot.keyClick(editor.edit, Qt.Key.Key_Return, CONTROL)
    qtbot.waitUntil(lambda: window.models.state is LoadState.FAILED and window.session.ready)
    kept = last_exchange(window).trace
    assert kept.text == "Mine.\n\n"
    assert "Your text is kept" in last_answer(window).ending.text()
    qtbot.keyClick(window, Qt.Key.Key_Return, CONTROL | Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: window.session.ready and kept.finish is not None)
    assert kept.text.startswith("Mine.\n\n")
    assert kept.finish is Finish.END_OF_TEXT


def test_a_step_that_is_left_as_it_is_comes_back_to_the_letter(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    text = "So 12\u00a0km = 12\u202f000\u00a0m.\n\n"
    piece = Piece(Author.SMALL, 0, 0, 0.0)
    piece.insert(text)
    editor = StepEditor(piece, QFont(), parent)
    with qtbot.waitSignal(editor.accepted) as accepted:
        press_go_on(editor)
    assert accepted.args == [text]
