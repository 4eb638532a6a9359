"""Toasts: errors and messages over the page, with actions. A toast goes by itself, or when its cause is over."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import NamedTuple

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QTextOption
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QFrame,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from baton_reasoning.app.toolkit.accessible import announce
from baton_reasoning.app.toolkit.controls import IconButton, button
from baton_reasoning.app.toolkit.flow import flowing
from baton_reasoning.app.toolkit.layout import hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, icon, set_role
from baton_reasoning.app.toolkit.timer import single_shot_timer

ToastAction = tuple[str, Callable[[], object]]
"""The text of its button, and what it does."""
MOST_SHOWN = 3
"""Toasts at once."""
WIDTH, EDGE, GAP = 430, 14, 8
"""Pixels: of a toast, around the toasts, and between two."""
READING_MS, MS_PER_CHARACTER, ACTING_MS = 4_000, 60, 20_000
"""How long a toast stays: at least, for each character, and at least if it is an error or has actions."""
CONTROLS = (QAbstractButton, QLineEdit, QAbstractSpinBox, QComboBox)
"""What toasts do not cover if there is room elsewhere."""


class Cause(Enum):
    """What a message is about; once that is over, so is the message."""

    MODELS = auto()
    """They could not be loaded, or not as was asked."""
    SERVER = auto()
    """It does not answer."""
    BUSY = auto()
    """Something else is being written or run."""
    WRITING = auto()
    """An answer or a batch could not be written; the next one has begun."""
    SAVING = auto()
    """It fails, which nothing else in the window says: this message does not go by itself."""


class ToastMessage(NamedTuple):
    text: str
    actions: tuple[ToastAction, ...]
    warns: bool
    cause: Cause | None
    can_undo: bool

    @property
    def stays_ms(self) -> int:
        """The milliseconds that its toast stays."""
        return max(READING_MS + MS_PER_CHARACTER * len(self.text), ACTING_MS if self.actions or self.warns else 0)


class Toast(QFrame):
    """The sheet with one message. It goes by itself, unless the mouse is over it or the focus in it."""

    closed = Signal()
    """By a person."""
    expired = Signal()

    def __init__(self, message: ToastMessage, parent: QWidget) -> None:
        super().__init__(parent)
        set_role(self, Role.TOAST)
        self.message = message
        self.setAccessibleName(message.text)
        self._picture = QLabel()
        self._picture.setContentsMargins(0, 5, 0, 0)
        self._picture.setAccessibleName("Error" if message.warns else "Message")
        text = vbox(6, MessageText(message.text), margins=0, spacing=0)
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
        self.timer = single_shot_timer(self, message.stays_ms, self._expire)
        if message.cause is not Cause.SAVING:
            self.timer.start()
        current_theme().changed.connect(self._draw)
        self._draw()

    def take_focus(self) -> None:
        """Put the focus on the first action, or on the button that closes it."""
        (self._actions[0] if self._actions else self._close).setFocus(Qt.FocusReason.ShortcutFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def _expire(self) -> None:
        focused = QApplication.focusWidget()
        if self.underMouse() or (focused and self.isAncestorOf(focused)):
            self.timer.start()
        else:
            self.expired.emit()

    def _carry_out(self, act: Callable[[], object]) -> None:
        self.closed.emit()
        act()

    def _draw(self) -> None:
        colours = current_theme().colours
        ink = colours.danger if self.message.warns else colours.success
        self._picture.setPixmap(icon("warning" if self.message.warns else "check", ink).pixmap(QSize(18, 18)))


class Toasts(QWidget):
    """Lies low over its parent, at the right if that covers no control, in no layout; hidden while there is nothing to
    say.

    The newest toast is the lowest. Of more than `MOST_SHOWN` the oldest go.
    """

    def __init__(self, parent: QWidget, area: Callable[[], QRect] | None = None) -> None:
        """`area`: the part of the parent over which toasts may lie; by default all of it."""
        super().__init__(parent)
        self._area = area or parent.rect
        self._placed_for: tuple[QRect, list[int]] | None = None
        self._toasts: list[Toast] = []
        """The newest last."""
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
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

    def show_message(
        self,
        text: str,
        *actions: ToastAction,
        warns: bool = True,
        cause: Cause | None = None,
        undo: Callable[[], object] | None = None,
    ) -> None:
        """Show a message with its actions, in place of an earlier one with this text. `warns`: something went wrong.

        `undo`: takes back what happened. Such a message stays beside others with its text, since each is of its own.
        """
        self._remove_where(lambda message: message.text == text and not message.can_undo)
        if undo:
            actions += (("Undo", undo),)
        toast = Toast(ToastMessage(text, actions, warns, cause, can_undo=undo is not None), self)
        toast.closed.connect(lambda: self._remove(toast))
        toast.expired.connect(lambda: self._remove(toast))
        self._toasts.append(toast)
        self._column.addWidget(toast)
        toast.show()  # the layout counts only what is not hidden
        while len(self._toasts) > MOST_SHOWN:
            self._remove(self._toasts[0])
        self.place()
        announce(self, text, urgent=warns)

    def resolve(self, cause: Cause) -> None:
        """Remove the toasts of this cause, which is over."""
        self._remove_where(lambda message: message.cause is cause)

    def close_newest(self) -> bool:
        """Close the newest toast; False if there is none."""
        if not self._toasts:
            return False
        self._remove(self._toasts[-1])
        return True

    def take_focus(self) -> None:
        """Put the focus on the newest toast."""
        if self._toasts:
            self._toasts[-1].take_focus()

    def place(self) -> None:
        """Lay the toasts over the page: after a change of the parent, of the area, or of the toasts."""
        if not self._toasts:
            self.hide()
            return
        self._placed_for = area, heights = self._measured()
        width = min(WIDTH, area.width())
        for toast, height in zip(self._toasts, heights, strict=True):
            toast.setMinimumHeight(height)
        size = QSize(width, min(self._column.totalHeightForWidth(width), area.height()))
        self.setGeometry(lowest_place(size, area, self._controls_in(area)))
        self.show()  # not before it has its place, or the mouse would be over it at another one
        self.raise_()

    def place_soon(self) -> None:
        """Place them anew once what was just shown in the parent has its layout."""
        QTimer.singleShot(0, self, self.place)

    def _controls_in(self, area: QRect) -> list[QRect]:
        """Return where controls of the parent are seen in an area."""
        parent = self.parentWidget()
        assert parent is not None
        places = []
        for kind in CONTROLS:
            for each in parent.findChildren(kind):
                at = each.mapTo(parent, QPoint()) if each.isVisible() and not self.isAncestorOf(each) else None
                if at and QRect(at, each.size()).intersects(area):  # what is scrolled out of sight costs less
                    places.append(each.visibleRegion().boundingRect().translated(at))
        return places

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            QTimer.singleShot(0, self, self._follow)  # when the layout of the parent is done
        return super().eventFilter(watched, event)

    def _follow(self) -> None:
        """Place the toasts anew if the area or a height has changed: looking for controls takes milliseconds, and a
        text that is being written asks for a layout thirty times a second."""
        if self._toasts and self._measured() != self._placed_for:
            self.place()

    def _measured(self) -> tuple[QRect, list[int]]:
        """Return where toasts may lie, and the height of each."""
        area = self._area().adjusted(EDGE, EDGE, -EDGE, -EDGE)
        width = min(WIDTH, area.width())
        return area, [toast.heightForWidth(width) for toast in self._toasts]

    def _remove_where(self, fits: Callable[[ToastMessage], bool]) -> None:
        for toast in [toast for toast in self._toasts if fits(toast.message)]:
            self._remove(toast)

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


def lowest_place(size: QSize, area: QRect, controls: list[QRect]) -> QRect:
    """Find the lowest place of this size in an area that covers no control: at the right, else at the left, else in the
    middle; the lower right corner if there is none."""
    right, left = area.right() + 1 - size.width(), area.left()
    best: QRect | None = None
    for x in (right, left, (left + right) // 2):
        place = QRect(QPoint(x, area.bottom() + 1 - size.height()), size)
        while covered := [control for control in controls if control.intersects(place)]:
            place.moveBottom(min(control.top() for control in covered) - GAP)
        if place.top() >= area.top() and (best is None or place.bottom() > best.bottom()):
            best = place
    return best or QRect(QPoint(right, area.bottom() + 1 - size.height()), size)


class MessageText(QTextBrowser):
    """Text to read and to copy, as high as it needs. Unlike a label it breaks a long path anywhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.setPlainText(text)
        self.setAccessibleName("Message")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(0)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def heightForWidth(self, width: int) -> int:
        document = self.document().clone()
        document.setTextWidth(width)
        return math.ceil(document.size().height())

    def sizeHint(self) -> QSize:
        return QSize(WIDTH, self.heightForWidth(WIDTH))

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.fontMetrics().height())
