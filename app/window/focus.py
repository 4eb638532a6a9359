"""Where the focus of the window goes with Tab, and which Ctrl+Z a text field leaves to the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QApplication, QLineEdit, QPlainTextEdit, QTextEdit, QWidget


def move_focus(window: QWidget, place: Callable[[QWidget], int], forward: bool) -> bool:
    """Focus the next stop of Tab, or the one before; False if there is none.

    Stops come in the order of their `place`; those at one place in Qt's order, which is that in which they were made.
    """
    focused = QApplication.focusWidget()
    stops = [each for each in _focus_chain(window) if each is focused or is_tab_stop(each)]
    stops.sort(key=place)
    if not stops:
        return False
    at = stops.index(focused) if focused in stops else -1
    reason = Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason
    stops[(at + (1 if forward else -1)) % len(stops)].setFocus(reason)
    return True


def is_tab_stop(widget: QWidget) -> bool:
    """Return whether Tab may focus a widget. One that passes the focus on is left to that which takes it."""
    takes_tab = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
    return takes_tab and widget.isVisible() and widget.isEnabled() and not widget.focusProxy()


def _focus_chain(window: QWidget) -> Iterator[QWidget]:
    widget = window.nextInFocusChain()
    while widget and widget is not window:
        yield widget
        widget = widget.nextInFocusChain()


class UndoKey(QObject):
    """Leaves Ctrl+Z to the window's command while the text field with the focus has nothing to undo."""

    def watch(self, widget: QWidget | None) -> None:
        """Watch a widget that got the focus, if it is a text field."""
        if isinstance(widget, QLineEdit | QPlainTextEdit | QTextEdit):
            widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        is_key = event.type() is QEvent.Type.ShortcutOverride
        if is_key and isinstance(event, QKeyEvent) and event.matches(QKeySequence.StandardKey.Undo):
            event.setAccepted(_can_undo(watched))
            return not event.isAccepted()
        return super().eventFilter(watched, event)


def _can_undo(field: QObject) -> bool:
    if isinstance(field, QLineEdit):
        return field.isUndoAvailable()
    return isinstance(field, QPlainTextEdit | QTextEdit) and field.document().isUndoAvailable()
