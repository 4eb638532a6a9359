"""Toasts: over the page, closed by key or by time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, QPoint, QPointF, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QEnterEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from baton_reasoning.app.settings.dialog import SettingsDialog
from baton_reasoning.app.toolkit.controls import IconButton
from baton_reasoning.app.toolkit.messages import MOST_SHOWN, Cause, MessageText, Toasts
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus
from baton_reasoning.core.errors import BatonError, Busy, EngineLost, SettingsError
from baton_reasoning.core.models.options import LocalFile
from tests.app.conftest import LARGE, ScriptedLoader
from tests.fakes.scripted import ScriptedEngine


@pytest.fixture
def toasts(qtbot: QtBot) -> Toasts:
    around = QWidget()
    qtbot.addWidget(around)
    around.resize(800, 600)
    around.show()
    around.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    around.setFocus()
    return Toasts(around)


def press(within: QWidget, words: str) -> None:
    (button,) = [each for each in within.findChildren(QPushButton) if each.text() == words and each.isVisible()]
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_a_toast_moves_nothing_and_covers_neither_top_bar_nor_composer(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.session.ready)
    composer, foot = window.chat.composer, window.chat.foot
    before = window._pages.geometry(), composer.mapTo(window, QPoint())
    window.show_error(BatonError("Something is wrong, and it takes a long sentence to say what.", "Do something."))
    qtbot.waitUntil(window.notice.isVisible)
    window.notice.place()
    assert (window._pages.geometry(), composer.mapTo(window, QPoint())) == before
    assert not window.notice.geometry().intersects(window.topbar.geometry())
    assert window.notice.geometry().bottom() < foot.mapTo(window, QPoint()).y()


def test_esc_closes_the_newest_toast_when_there_is_nothing_else_to_end(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.session.ready)
    window.notice.show_message("First.")
    window.notice.show_message("Second.")
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert window.notice.text == "First."
    qtbot.keyClick(window, Qt.Key.Key_X, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert not window.notice.isVisible()


def test_the_actions_of_a_toast_are_reached_by_key(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.session.ready)
    done: list[str] = []
    window.notice.show_message("It was deleted.", ("Undo", lambda: done.append("undone")), warns=False)
    qtbot.keyClick(window, Qt.Key.Key_F6)
    focused = window.focusWidget()
    assert isinstance(focused, QPushButton)
    assert focused.text() == "Undo"
    qtbot.keyClick(focused, Qt.Key.Key_Space)
    assert done == ["undone"]
    assert window.notice.text == ""


def test_every_toast_goes_by_itself(toasts: Toasts) -> None:
    toasts.show_message("Saved.", warns=False)
    toasts.show_message("Deleted.", ("Undo", lambda: None), warns=False)
    toasts.show_message("It failed.")
    saved, deleted, failed = toasts.shown
    assert 0 < saved.timer.interval() < deleted.timer.interval() == failed.timer.interval()
    for toast in (saved, deleted, failed):
        assert toast.timer.isActive()
        toast.timer.timeout.emit()
    assert toasts.shown == ()


def test_that_nothing_is_saved_is_said_until_it_is_saved_again(toasts: Toasts) -> None:
    toasts.show_message("Nothing is saved.", cause=Cause.SAVING)
    (toast,) = toasts.shown
    assert not toast.timer.isActive()
    toasts.resolve(Cause.SAVING)
    assert toasts.shown == ()


def test_an_error_can_be_closed(toasts: Toasts) -> None:
    toasts.show_message("It failed.")
    (toast,) = toasts.shown
    (close,) = toast.findChildren(IconButton)
    QTest.mouseClick(close, Qt.MouseButton.LeftButton)
    assert toasts.shown == ()


def test_a_toast_stays_while_the_mouse_is_over_it_or_the_focus_in_it(toasts: Toasts, qtbot: QtBot) -> None:
    toasts.show_message("Deleted.", ("Undo", lambda: None), warns=False)
    (toast,) = toasts.shown
    toasts.take_focus()
    toast.timer.timeout.emit()
    assert toasts.shown == (toast,)
    assert toast.timer.isActive()
    toast.window().setFocus()
    QApplication.sendEvent(toast, QEnterEvent(QPointF(5, 5), QPointF(5, 5), QPointF(5, 5)))
    QTest.mouseMove(toast, QPoint(5, 5))
    qtbot.waitUntil(toast.underMouse)
    toast.timer.timeout.emit()
    assert toasts.shown == (toast,)
    QTest.mouseMove(toast.window(), QPoint(5, 5))
    qtbot.waitUntil(lambda: not toast.underMouse())
    toast.timer.timeout.emit()
    assert not toasts.text


def test_the_messages_of_a_cause_go_when_it_is_over(toasts: Toasts) -> None:
    toasts.show_message("The server does not answer.", cause=Cause.SERVER)
    toasts.show_message("It failed.", cause=Cause.MODELS)
    toasts.resolve(Cause.SERVER)
    assert [toast.message.text for toast in toasts.shown] == ["It failed."]
    toasts.resolve(Cause.MODELS)
    assert toasts.shown == ()


def test_there_is_room_for_a_second_toast_at_once(toasts: Toasts) -> None:
    toasts.show_message("It failed.")
    height = toasts.height()
    toasts.show_message("It failed again.")
    assert toasts.height() > 2 * height


def test_a_toast_covers_no_control_if_there_is_room_elsewhere(toasts: Toasts, qtbot: QtBot) -> None:
    around = toasts.parentWidget()
    start = QPushButton("Start", around)
    start.setGeometry(700, 560, 90, 30)
    start.show()
    toasts.show_message("Stop it first.")
    qtbot.waitUntil(toasts.isVisible)
    assert not toasts.geometry().intersects(start.geometry())
    assert toasts.geometry().bottom() > 500, "at the left there is room at the bottom"
    start.setGeometry(10, 560, 780, 30)
    toasts.place()
    assert not toasts.geometry().intersects(start.geometry())
    assert toasts.geometry().right() > 700


def test_a_setting_that_stops_an_answer_leads_to_the_settings_and_other_errors_do_not(
    window: MainWindow, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: window.session.ready)
    error = SettingsError("The cue list cannot be read.", "Correct it.")
    window.show_error(error)
    assert [each.text() for each in window.notice.findChildren(QPushButton)] == []
    window.session.failed.emit(error)
    press(window.notice, "Settings…")
    assert window.findChildren(SettingsDialog)


def test_what_had_to_end_first_is_said_until_it_has_ended(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.session.ready)
    window.show_error(Busy("“batch” is running.", "Stop it first, or wait until it is done."))
    assert window.notice.text
    window.session.ask("2 + 2?")
    qtbot.waitUntil(lambda: not window.notice.text)


def test_the_oldest_toast_makes_room_and_what_is_said_again_is_one_toast(toasts: Toasts) -> None:
    for number in range(MOST_SHOWN + 2):
        toasts.show_message(f"Error {number}.")
    assert [toast.message.text for toast in toasts.shown] == ["Error 2.", "Error 3.", "Error 4."]
    toasts.show_message("Error 3.")
    assert [toast.message.text for toast in toasts.shown] == ["Error 2.", "Error 4.", "Error 3."]


@pytest.mark.parametrize("path", ["/home/me/my_batches/" + 9 * "a_long_name_" + ".html", "C:\\" + 20 * "my_batch\\"])
def test_a_path_in_a_message_is_shown_whole_and_copied_as_it_is(toasts: Toasts, qtbot: QtBot, path: str) -> None:
    toasts.show_message(f"Written: {path}", warns=False)
    (text,) = toasts.findChildren(MessageText)
    qtbot.waitUntil(lambda: text.document().size().height() <= text.height())
    assert text.document().idealWidth() <= text.width()
    text.selectAll()
    text.copy()
    assert QApplication.clipboard().text() == f"Written: {path}"


def test_an_error_of_the_models_goes_when_they_are_loaded(make_window: Callable[..., MainWindow], qtbot: QtBot) -> None:
    window = make_window(ScriptedLoader(error=EngineLost("small.gguf could not be loaded.", "Choose another file.")))
    qtbot.waitUntil(lambda: window.notice.text.startswith("small.gguf"))
    press(window.notice, "Try again")
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
    assert window.notice.text == ""


def test_models_that_cannot_be_loaded_give_back_those_before(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
    loader = window.models._loader
    assert isinstance(loader, ScriptedLoader)
    before = window.preferences.value.models
    broken = before.replaced(Author.LARGE, LocalFile(Path("broken.gguf")))
    loader.error = EngineLost("broken.gguf could not be loaded.", "Choose another file.")
    window.dialogs.use_models(broken)
    qtbot.waitUntil(lambda: window.notice.text.endswith("The previous models are loaded again."))
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
    assert window.preferences.value.models == before
    assert loader.choices == [before, broken, before]
    assert window.notice.text.startswith("broken.gguf could not be loaded.")
    press(window.notice, "Try again")
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
    assert window.preferences.value.models == broken
    assert window.notice.text == ""


class ServedEngine(ScriptedEngine):
    """A model on a server."""

    status = ServerStatus(ServerState.LOST)

    def ping(self) -> None:
        pass


def test_what_a_lost_server_caused_goes_when_it_answers_again(
    make_window: Callable[..., MainWindow], qtbot: QtBot
) -> None:
    loader = ScriptedLoader()
    loader.large = served = ServedEngine(*LARGE, name="large")
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.large is not None)
    window.session.failed.emit(EngineLost("The server does not answer.", "Check it."))
    window.models.servers_changed.emit()
    assert window.notice.text
    served.status = ServerStatus(ServerState.CONNECTED)
    window.models.servers_changed.emit()
    assert not window.notice.text


class UrlHandler(QObject):
    """Takes what the desktop would open."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[QUrl] = []

    @Slot(QUrl)
    def take(self, url: QUrl) -> None:
        self.opened.append(url)


def test_a_saved_file_and_its_folder_can_be_opened(window: MainWindow, qtbot: QtBot, tmp_path: Path) -> None:
    handler = UrlHandler()
    QDesktopServices.setUrlHandler("file", handler, "take")  # type: ignore[arg-type]  # PySide's stub asks for bytes, which it refuses
    try:
        for words in ("Open", "Show in folder"):
            window.messages.show_saved(tmp_path / "answer.html")
            press(window.notice, words)
    finally:
        QDesktopServices.unsetUrlHandler("file")
    assert [Path(url.toLocalFile()) for url in handler.opened] == [tmp_path / "answer.html", tmp_path]
