"""Copies text and pictures, and says so for a moment over what was pressed: one sign for every copy of the window."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, Qt, QTimer
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QLabel, QWidget

from baton_reasoning.app.toolkit.controls import announce
from baton_reasoning.app.toolkit.theme import Role, set_role

SHOWN_MS = 1500
COPIED = "copied"


def copy_text(text: str, control: QWidget, area: QRect | None = None) -> None:
    """Put a text on the clipboard, and say over a control that it was copied. `area`: the part of it that was pressed.

    A control that is hidden has no place: it is said in the middle of its window.
    """
    QGuiApplication.clipboard().setText(text)
    _confirm(control, area)


def copy_picture(picture: QImage, control: QWidget) -> None:
    """Put a picture on the clipboard, and say over the control that shows it that it was copied."""
    QGuiApplication.clipboard().setImage(picture)
    _confirm(control)


def _confirm(control: QWidget, area: QRect | None = None) -> None:
    window = control.window()
    sign = window.findChild(CopiedSign, options=Qt.FindChildOption.FindDirectChildrenOnly) or CopiedSign(window)
    if control.isVisible():
        pressed = area or control.rect()
        sign.show_over(QRect(control.mapTo(window, pressed.topLeft()), pressed.size()).center())
    else:
        sign.show_over(window.rect().center())


class CopiedSign(QLabel):
    """Lies over its window, of which nothing moves; the mouse goes through it."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(COPIED, window)
        set_role(self, Role.COPIED)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._timer = QTimer(self, singleShot=True, interval=SHOWN_MS)
        self._timer.timeout.connect(self.hide)
        self.hide()

    def show_over(self, middle: QPoint) -> None:
        """Show it around a point of the window, as far as the window reaches, and have it read out."""
        self.adjustSize()
        self.move(middle - self.rect().center())
        free = self.window().rect().adjusted(0, 0, -self.width(), -self.height())
        self.move(min(max(self.x(), 0), free.right() + 1), min(max(self.y(), 0), free.bottom() + 1))
        self.show()
        self.raise_()
        self._timer.start()
        announce(self, COPIED)
