"""The message bar: one message, below the page, closed by key, by time, or with its cause."""

from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QEnterEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from baton_reasoning.app.toolkit.controls import IconButton
from baton_reasoning.app.toolkit.layout import STRETCH, vbox
from baton_reasoning.app.toolkit.messages import Cause, MessageBar, MessageText
from baton_reasoning.app.window.settings_dialog import SettingsDialog
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus
from baton_reasoning.core.errors import Busy, EngineLost, SettingsError
from tests.app.conftest import LARGE, ScriptedLoader, last_answer, offered, press
from tests.fakes.held import ServedEngine


@pytest.fixture
def bar(qtbot):
    """In a window of its own, which has the focus."""
    around, bar = QWidget(), MessageBar()
    qtbot.addWidget(around)
    around.setLayout(vbox(STRETCH, bar))
    around.resize(800, 600)
    around.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    around.show()
    around.setFocus()
    yield bar
    around.close()


@pytest.mark.parametrize("place", ["result", "bottom", "between"])
def test_a_message_takes_room_below_the_page_and_leaves_what_is_read_in_its_place(ask, qtbot, place):
    window = ask("2 + 2?\n\n" + 60 * "Say why.\n\n")
    view, last = window.chat.conversation, last_answer(window)
    bar = view.verticalScrollBar()
    typeset: list[bool] = []
    window.chat._typesetter.prepare([], 10, lambda: typeset.append(True), window)  # after those of the answer
    qtbot.waitUntil(lambda: bool(typeset))
    for _ in range(4):  # one layout may ask for another
        QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
        QApplication.processEvents()
    bar.setValue({"result": bar.value(), "bottom": bar.maximum(), "between": bar.maximum() // 2}[place])

    def top():
        return last.mapTo(window, QPoint()).y()

    height, read = view.height(), top()
    window.page_actions.say("Something was saved.")
    qtbot.waitUntil(lambda: view.height() < height)
    assert top() == read
    assert window.notice.geometry().top() == window._pages.geometry().bottom() + 1
    assert window.notice.rect().bottomRight() == window.notice.mapFrom(window, window.rect().bottomRight())
    window.notice.close_newest()
    qtbot.waitUntil(lambda: view.height() == height)
    assert top() == read


def test_keys_close_a_message_and_lead_to_its_actions(window, qtbot):
    qtbot.waitUntil(lambda: window.session.ready and window.isActiveWindow())
    control = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    for key, modifiers in ((Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier), (Qt.Key.Key_X, control)):
        window.notice.show_message("It failed.")
        qtbot.keyClick(window, key, modifiers)
        assert not window.notice.isVisible()
    focused = QApplication.focusWidget()
    qtbot.keyClick(window, Qt.Key.Key_F6)
    assert QApplication.focusWidget() is focused, "there is no message to go to"
    done: list[str] = []
    window.notice.show_message("It was deleted.", ("Undo", lambda: done.append("undone")), warns=False)
    qtbot.keyClick(window, Qt.Key.Key_F6)
    focused = window.focusWidget()
    assert focused.text() == "Undo"
    qtbot.keyClick(focused, Qt.Key.Key_Space)
    assert (done, window.notice.text) == (["undone"], "")
    assert QApplication.focusWidget() is window.chat.composer.edit, "the work goes on there"


def test_an_error_stays_until_a_newer_message_and_comes_back_while_its_cause_is_not_over(bar):
    bar.show_message("Saved.", warns=False)
    soon = bar.timer.interval()
    bar.show_message("Deleted.", ("Undo", lambda: None), warns=False)
    assert 0 < soon < bar.timer.interval()
    bar.timer.timeout.emit()
    assert bar.text == ""
    bar.show_message("It failed.", ("Try again", lambda: None))
    assert not bar.timer.isActive()
    bar.show_message("Saved.", ("Open", lambda: None), warns=False)
    assert offered(bar) == ["Open"]
    (close,) = bar.findChildren(IconButton)
    QTest.mouseClick(close, Qt.MouseButton.LeftButton)
    assert bar.text == ""
    bar.show_message("Nothing is saved.", cause=Cause.SAVING)
    bar.show_message("Deleted.", warns=False)
    bar.timer.timeout.emit()
    assert bar.text == "Nothing is saved."
    bar.show_message("It failed.", cause=Cause.MODELS)
    bar.resolve(Cause.SAVING)
    assert bar.text == "It failed."
    bar.resolve(Cause.MODELS)
    assert not bar.isVisible()


def test_only_what_is_done_has_a_tick_and_a_question_says_that_it_is_one(window):
    bar = window.notice
    window.page_actions.say("Something was saved.")
    tick = bar._picture.pixmap().toImage()
    assert bar._picture.accessibleName() == "Message"
    window.page_actions.ask("Go on with other models?", list)
    assert bar._picture.accessibleName() == "Question"
    assert bar._picture.pixmap().toImage() != tick
    assert offered(bar) == ["Continue", "Leave it"]


def test_a_message_stays_while_the_mouse_is_over_it_or_the_focus_in_it(bar, qtbot):
    bar.show_message("Deleted.", ("Undo", lambda: None), warns=False)
    bar.take_focus()
    bar.timer.timeout.emit()
    assert bar.text
    assert bar.timer.isActive()
    bar.window().setFocus()
    QApplication.sendEvent(bar, QEnterEvent(QPointF(5, 5), QPointF(5, 5), QPointF(5, 5)))
    QTest.mouseMove(bar, QPoint(5, 5))
    qtbot.waitUntil(bar.underMouse)
    bar.timer.timeout.emit()
    assert bar.text
    QTest.mouseMove(bar.window(), QPoint(5, 5))
    qtbot.waitUntil(lambda: not bar.underMouse())
    bar.timer.timeout.emit()
    assert not bar.text


@pytest.mark.parametrize("path", ["/home/me/my_batches/" + 9 * "a_long_name_" + ".html", "C:\\" + 20 * "my_batch\\"])
def test_a_message_is_as_wide_as_its_text_and_a_long_path_shown_whole_and_copied_as_it_is(bar, qtbot, path):
    (text,) = bar.findChildren(MessageText)
    for reason in ("", ": there is no room", ""):
        bar.show_message(f"It failed, and this is why{reason}.")
        qtbot.waitUntil(lambda: text.width() == text.sizeHint().width())
    bar.show_message(f"Written: {path}", ("Open", lambda: None), ("Show in folder", lambda: None), warns=False)
    qtbot.waitUntil(lambda: text.document().size().height() <= text.height())
    assert text.document().idealWidth() <= text.width()
    text.selectAll()
    text.copy()
    assert QApplication.clipboard().text() == f"Written: {path}"


def test_what_stops_an_answer_is_said_until_it_is_over(window, qtbot):
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
    error = SettingsError("The cue list cannot be read.", "Correct it.")
    window.page_actions.show_error(error)
    assert offered(window.notice) == []
    window.session.failed.emit(error)
    press(window.notice, "Settings…")
    (settings,) = window.findChildren(SettingsDialog)
    settings.reject()
    window.page_actions.show_error(Busy("“batch” is running.", "Stop it first, or wait until it is done."))
    assert window.notice.text.startswith("“batch” is running.")
    window.session.ask("2 + 2?")
    qtbot.waitUntil(lambda: window.session.ready and "is running" not in window.notice.text)
    window.session.failed.emit(EngineLost("The server does not answer.", "Check it."))
    window.page_actions.reload_models()
    qtbot.waitUntil(lambda: "does not answer" not in window.notice.text)
    window.session.go_on(last_answer(window).exchange)
    assert window.notice.text.startswith("This answer is complete.")
    assert window.notice.timer.isActive(), "what was refused is said for a while"


def test_an_error_of_the_models_goes_when_they_are_loaded_and_one_of_a_server_when_it_answers(make_window, qtbot):
    served = ServedEngine(*LARGE, name="large")
    error = EngineLost("small.gguf could not be loaded.", "Choose another file.")
    window = make_window(ScriptedLoader(large=served, error=error))
    qtbot.waitUntil(lambda: window.notice.text.startswith("small.gguf"))
    press(window.notice, "Load again")
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.large is not None)
    assert window.notice.text == ""
    served.status = ServerStatus(ServerState.LOST)
    window.session.failed.emit(EngineLost("The server does not answer.", "Check it."))
    window.models.servers_changed.emit()
    assert window.notice.text
    served.status = ServerStatus(ServerState.CONNECTED)
    window.models.servers_changed.emit()
    assert not window.notice.text


def test_a_saved_file_and_its_folder_can_be_opened(window, tmp_path, monkeypatch):
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    for words in ("Open", "Show in folder"):
        window.page_actions.show_saved(tmp_path / "answer.html")
        press(window.notice, words)
    assert [Path(url.toLocalFile()) for url in opened] == [tmp_path / "answer.html", tmp_path]
