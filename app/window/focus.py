"""Where the focus of the window goes with Tab, and which Ctrl+Z a text field leaves to the window."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QTextEdit, QWidget
from shiboken6 import isValid


def order_last(part: QWidget) -> None:
    """Let Tab come to the widgets in this part of the window after all others, but not to those of its dialogs."""
    window = part.window()
    last = window.previousInFocusChain()
    while last and part.isAncestorOf(last):
        last = last.previousInFocusChain()
    for widget in reversed(part.findChildren(QWidget)):
        if last and widget.window() is window and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            QWidget.setTabOrder(last, widget)


def is_tab_stop(widget: QWidget) -> bool:
    """Return whether Tab may focus a widget. One that passes the focus on is left to that which takes it."""
    takes_tab = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
    return takes_tab and widget.isVisible() and widget.isEnabled() and not widget.focusProxy()


class UndoKey(QObject):
    """Leaves Ctrl+Z to the window's command while the text field with the focus has nothing to undo."""

    def follow(self, old: QWidget | None, new: QWidget | None) -> None:
        """Watch the widget that got the focus, if it is a text field to write in, and no longer the one before it.

        A field must not be watched while it is deleted: that would make another Python object for it.
        """
        if old and isValid(old):
            old.removeEventFilter(self)
        if isinstance(new, QLineEdit | QPlainTextEdit | QTextEdit) and not new.isReadOnly():
            new.installEventFilter(self)

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
