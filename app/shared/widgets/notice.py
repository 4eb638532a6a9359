"""Toasts: errors and messages over the page, with actions; and the list of recent ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import partial

from PySide6.QtCore import QEvent, QObject, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QEnterEvent, QKeyEvent
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from app.shared.theme import Role, current_theme, icon, set_role
from app.shared.widgets.controls import IconButton, button, label, scrolling
from app.shared.widgets.flow import flowing
from app.shared.widgets.layout import STRETCH, hbox, holder, vbox

ToastAction = tuple[str, Callable[[], object]]
"""The text of its button, and what it does."""
MOST_SHOWN, MOST_KEPT = 3, 50
"""Toasts at once, and messages in the list."""
WIDTH, EDGE, GAP = 430, 14, 8
"""Pixels: of a toast, around the toasts, and between two."""
READING_MS, MS_PER_CHARACTER, ACTING_MS = 4_000, 60, 20_000
"""How long a toast stays: at least, for each character, and at least if it has actions. An error stays until closed."""


class ToastMessage:
    """One message; an action can be carried out once, from its toast or from the list."""

    def __init__(self, text: str, actions: tuple[ToastAction, ...], warns: bool) -> None:
        self.text = text
        self.actions = actions
        self.warns = warns
        self.at = datetime.now()

    @property
    def stays_ms(self) -> int:
        """The milliseconds that its toast stays; 0: until it is closed."""
        if self.warns:
            return 0
        return max(READING_MS + MS_PER_CHARACTER * len(self.text), ACTING_MS if self.actions else 0)

    def carry_out(self, act: Callable[[], object]) -> None:
        self.actions = ()
        act()


class Toast(QFrame):
    closed = Signal()

    def __init__(self, message: ToastMessage, parent: QWidget) -> None:
        super().__init__(parent)
        set_role(self, Role.TOAST)
        self.message = message
        self.setAccessibleName(message.text)
        self._picture = QLabel()
        self._picture.setContentsMargins(0, 5, 0, 0)
        self._picture.setAccessibleName("Error" if message.warns else "Message")
        text = label(breakable(message.text), wrap=True, selectable=True)
        text.setContentsMargins(0, 6, 0, 0)
        self._close = IconButton("close", "Close the message (Ctrl+Shift+X)", self.closed.emit)
        top = hbox(
            (self._picture, 0, Qt.AlignmentFlag.AlignTop),
            (text, 1),
            (self._close, 0, Qt.AlignmentFlag.AlignTop),
            spacing=10,
        )
        self._actions = [button(text, partial(self._carry_out, act)) for text, act in message.actions]
        actions = [flowing(*self._actions)] if self._actions else []
        self.setLayout(vbox(top, *actions, margins=(12, 9, 8, 9), spacing=6))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.closed)
        current_theme().changed.connect(self._draw)
        self._draw()
        self._wait()

    def take_focus(self) -> None:
        """Put the focus on the first action, or on the button that closes it."""
        (self._actions[0] if self._actions else self._close).setFocus(Qt.FocusReason.ShortcutFocusReason)

    def enterEvent(self, event: QEnterEvent) -> None:
        """Keep the toast while a person points at it."""
        super().enterEvent(event)
        self._timer.stop()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._wait()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def _wait(self) -> None:
        if self.message.stays_ms:
            self._timer.start(self.message.stays_ms)

    def _carry_out(self, act: Callable[[], object]) -> None:
        self.closed.emit()
        self.message.carry_out(act)

    def _draw(self) -> None:
        colours = current_theme().colours
        ink = colours.danger if self.message.warns else colours.success
        self._picture.setPixmap(icon("warning" if self.message.warns else "check", ink).pixmap(QSize(18, 18)))


class Toasts(QWidget):
    """Lies over the lower right corner of its parent, in no layout; hidden while there is nothing to say.

    The newest toast is the lowest. Of more than `MOST_SHOWN` the oldest go; all messages stay in `recent`.
    """

    changed = Signal()

    def __init__(self, parent: QWidget, area: Callable[[], QRect] | None = None) -> None:
        """`area`: the part of the parent over which toasts may lie; by default all of it."""
        super().__init__(parent)
        self._area = area or parent.rect
        self.recent: deque[ToastMessage] = deque(maxlen=MOST_KEPT)
        """The newest last."""
        self._toasts: list[Toast] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(EDGE, EDGE, EDGE, EDGE)
        self._column.setSpacing(GAP)
        parent.installEventFilter(self)
        self.hide()

    @property
    def text(self) -> str:
        """The text of the newest toast; "" if there is none."""
        return self._toasts[-1].message.text if self._toasts else ""

    @property
    def shown(self) -> tuple[Toast, ...]:
        return tuple(self._toasts)

    def show_message(self, text: str, *actions: ToastAction, warns: bool = True) -> ToastMessage:
        """Show a message with its actions; one shown already moves to the end. `warns`: something went wrong."""
        for toast in [toast for toast in self._toasts if toast.message.text == text]:
            self._remove(toast)
            self.recent.remove(toast.message)
        message = ToastMessage(text, actions, warns)
        self.recent.append(message)
        toast = Toast(message, self)
        toast.closed.connect(lambda: self._remove(toast))
        self._toasts.append(toast)
        self._column.addWidget(toast)
        while len(self._toasts) > MOST_SHOWN:
            self._remove(self._toasts[0])
        self.place()
        _announce(self, message)
        self.changed.emit()
        return message

    def dismiss(self, message: ToastMessage) -> None:
        """Close the toast of this message, which is no longer so; it stays in the list."""
        for toast in [toast for toast in self._toasts if toast.message is message]:
            self._remove(toast)

    def close_newest(self) -> bool:
        """Close the newest toast; False if there is none."""
        if not self._toasts:
            return False
        self._remove(self._toasts[-1])
        return True

    def clear(self) -> None:
        for toast in list(self._toasts):
            self._remove(toast)

    def take_focus(self) -> None:
        """Put the focus on the newest toast."""
        if self._toasts:
            self._toasts[-1].take_focus()

    def place(self) -> None:
        """Lay the toasts over the corner: after a change of the parent, of the area, or of the toasts."""
        self.setVisible(bool(self._toasts))
        if not self._toasts:
            return
        area = self._area()
        width = min(WIDTH + 2 * EDGE, area.width())
        for toast in self._toasts:
            toast.setMinimumHeight(toast.heightForWidth(width - 2 * EDGE))
        height = min(self._column.totalHeightForWidth(width), area.height())
        self.setGeometry(area.right() + 1 - width, area.bottom() + 1 - height, width, height)
        self.raise_()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            QTimer.singleShot(0, self, self.place)  # when the layout of the parent is done
        return super().eventFilter(watched, event)

    def _remove(self, toast: Toast) -> None:
        if toast not in self._toasts:
            return
        had_focus = toast.isAncestorOf(self.focusWidget()) if self.focusWidget() else False
        self._toasts.remove(toast)
        self._column.removeWidget(toast)
        toast.hide()
        toast.deleteLater()
        self.place()
        if had_focus:
            self.window().setFocus()
        self.changed.emit()


def _announce(source: QWidget, message: ToastMessage) -> None:
    """Read a message out, an error at once."""
    event = QAccessibleAnnouncementEvent(source, message.text)
    if message.warns:
        event.setPoliteness(QAccessible.AnnouncementPoliteness.Assertive)
    QAccessible.updateAccessibility(event)


def breakable(text: str) -> str:
    """Add places where a long path may be broken: zero-width spaces."""
    return text.replace("/", "/\u200b").replace("\\", "\\\u200b").replace("_", "_\u200b")


class RecentMessages(QDialog):
    """The last messages, the newest first, with the actions that were not carried out."""

    def __init__(self, toasts: Toasts, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Recent messages")
        rows = [self._row(message) for message in reversed(toasts.recent)]
        inside = holder(vbox(*(rows or [label("There is no message yet.", Role.MUTED)]), STRETCH, spacing=12))
        self.setLayout(vbox((scrolling(inside), 1), hbox(STRETCH, button("Close", self.accept, Role.PRIMARY))))
        self.resize(560, 440)

    def _row(self, message: ToastMessage) -> QWidget:
        row = QWidget()
        text = label(breakable(message.text), wrap=True, selectable=True)
        kind = label("Error" if message.warns else "Message", Role.DANGER if message.warns else Role.MUTED)
        grid = QGridLayout(row)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        grid.addWidget(label(f"{message.at:%H:%M:%S}", Role.MUTED), 0, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(kind, 0, 1)
        grid.addWidget(text, 1, 1)
        if message.actions:
            grid.addWidget(flowing(*(self._action(message, text, act) for text, act in message.actions)), 2, 1)
        return row

    def _action(self, message: ToastMessage, text: str, act: Callable[[], object]) -> QWidget:
        def press() -> None:
            self.accept()
            message.carry_out(act)

        return button(text, press)
