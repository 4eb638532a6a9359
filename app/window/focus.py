"""Where the focus of the window goes with Tab."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget


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
