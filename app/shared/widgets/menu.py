"""Menus with round corners and a soft shadow."""

from __future__ import annotations

import ctypes
import os
from functools import cache

from PySide6.QtCore import QPoint, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QRegion,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QMenu, QWidget

from app.shared.theme import Role, set_role

SHADOW = 10
"""Pixels around a menu that its shadow takes; the style sheet leaves as much."""
RADIUS = 9
DARKEST = 0.16
"""Opacity of the shadow where it touches the menu."""
DROP = 2
"""Pixels by which the shadow lies lower than the menu."""


class Menu(QMenu):
    """A menu; its shadow is left out where the desktop cannot blend windows, its corners are cut there."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._floats = blends_windows()
        set_role(self, Role.FLOATING if self._floats else Role.ROUND)
        if self._floats:
            self.setAttribute(Qt.WidgetAttribute.WA_TranslucentBackground)
            flags = Qt.WindowType.FramelessWindowHint | Qt.WindowType.NoDropShadowWindowHint
            self.setWindowFlags(self.windowFlags() | flags)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._floats:
            self.move(self.pos() - QPoint(SHADOW, SHADOW))  # the menu, not its shadow, is to be at this place

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if not self._floats:
            outline = QPainterPath()
            outline.addRoundedRect(QRectF(self.rect()), RADIUS, RADIUS)
            self.setMask(QRegion(outline.toFillPolygon().toPolygon()))

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._floats:
            self._draw_shadow()
        super().paintEvent(event)

    def _draw_shadow(self) -> None:
        """Rounded rectangles on each other, the larger the fainter."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        colour = QColor(Qt.GlobalColor.black)
        colour.setAlphaF(DARKEST / SHADOW)
        painter.setBrush(colour)
        inside = QRectF(self.rect()).adjusted(SHADOW, SHADOW, -SHADOW, -SHADOW)
        for grown in range(SHADOW - DROP):
            layer = inside.adjusted(-grown, DROP - grown, grown, DROP + grown)
            painter.drawRoundedRect(layer, RADIUS + grown, RADIUS + grown)
        painter.end()


@cache
def blends_windows() -> bool:
    """Whether parts of a window can be see-through. On X11 that needs a compositor; without one they are black."""
    return QGuiApplication.platformName() != "xcb" or _x11_has_compositor(os.environ.get("DISPLAY", ""))


def _x11_has_compositor(display: str) -> bool:
    """Whether a program owns the selection that compositors own by convention (EWMH, _NET_WM_CM_Sn)."""
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:
        return False
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = x11.XGetSelectionOwner.restype = ctypes.c_ulong
    connection = ctypes.c_void_p(x11.XOpenDisplay(display.encode()))
    if not connection:
        return False
    name = f"_NET_WM_CM_S{x11.XDefaultScreen(connection)}"
    atom = ctypes.c_ulong(x11.XInternAtom(connection, name.encode(), 0))
    owner = x11.XGetSelectionOwner(connection, atom)
    x11.XCloseDisplay(connection)
    return bool(owner)
