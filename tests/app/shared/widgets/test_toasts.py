"""Toasts: over the page, closed by key or by time, and never lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, QPoint, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.shared.widgets.notice import MOST_SHOWN, RecentMessages, Toasts
from app.window.main_window import MainWindow
from core.errors import BatonError

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


@pytest.fixture
def toasts(qtbot: QtBot) -> Toasts:
    around = QWidget()
    qtbot.addWidget(around)
    around.resize(800, 600)
    around.show()
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


def test_a_message_goes_by_itself_and_an_error_stays(toasts: Toasts) -> None:
    said = toasts.show_message("Saved.", warns=False)
    offered = toasts.show_message("Deleted.", ("Undo", lambda: None), warns=False)
    wrong = toasts.show_message("It failed.")
    assert 0 < said.stays_ms < offered.stays_ms
    assert wrong.stays_ms == 0
    saved, _, failed = toasts.shown
    assert saved._timer.isActive()
    assert not failed._timer.isActive()
    saved._timer.timeout.emit()
    assert [toast.message for toast in toasts.shown] == [offered, wrong]


def test_the_oldest_toast_makes_room_and_stays_in_the_list(toasts: Toasts, qtbot: QtBot) -> None:
    for number in range(MOST_SHOWN + 2):
        toasts.show_message(f"Error {number}.")
    assert [toast.message.text for toast in toasts.shown] == ["Error 2.", "Error 3.", "Error 4."]
    dialog = RecentMessages(toasts, toasts.window())
    qtbot.addWidget(dialog)
    told = [label.text() for label in dialog.findChildren(QLabel) if label.text().startswith("Error ")]
    assert told == [f"Error {number}." for number in reversed(range(MOST_SHOWN + 2))]


def test_what_is_said_again_is_one_toast(toasts: Toasts) -> None:
    toasts.show_message("It failed.")
    toasts.show_message("Another thing.")
    toasts.show_message("It failed.")
    assert [toast.message.text for toast in toasts.shown] == ["Another thing.", "It failed."]
    assert [message.text for message in toasts.recent] == ["Another thing.", "It failed."]


def test_an_action_missed_in_the_toast_is_in_the_list_and_taken_once(toasts: Toasts, qtbot: QtBot) -> None:
    done: list[str] = []
    toasts.show_message("It was deleted.", ("Undo", lambda: done.append("undone")), warns=False)
    toasts.clear()
    dialog = RecentMessages(toasts, toasts.window())
    dialog.open()
    press(dialog, "Undo")
    assert done == ["undone"]
    again = RecentMessages(toasts, toasts.window())
    qtbot.addWidget(again)
    assert not [each for each in again.findChildren(QPushButton) if each.text() == "Undo"]


def test_an_error_of_the_models_goes_when_they_are_loaded(make_window: Callable[..., MainWindow], qtbot: QtBot) -> None:
    from core.errors import EngineLost
    from tests.app.conftest import ScriptedLoader

    window = make_window(ScriptedLoader(error=EngineLost("small.gguf could not be loaded.", "Choose another file.")))
    qtbot.waitUntil(lambda: window.notice.text.startswith("small.gguf"))
    press(window.notice, "Try again")
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is not None)
    assert window.notice.text == ""
    assert [message.text for message in window.notice.recent][-1].startswith("small.gguf")


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
