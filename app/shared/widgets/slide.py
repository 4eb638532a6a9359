"""Draws pictures for a slide: black on white whatever the window's colours are, as high as their content."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter
from PySide6.QtWidgets import QApplication

from baton_reasoning.app.shared.theme import LIGHT
from baton_reasoning.app.shared.widgets.ribbon import RibbonLayout, paint_ribbon

WIDTH, EDGE, GAP = 1600, 48, 20
TITLE, WORDS, CAPTION = 34, 30, 23
"""Sizes of letters in pixels."""
RIBBON_HEIGHT = 30
WRAPPED = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap)


class Slide:
    """A white picture that is filled from top to bottom. Lengths are in pixels."""

    def __init__(self) -> None:
        self._image = QImage(WIDTH, 2 * WIDTH, QImage.Format.Format_RGB32)
        self._image.fill(QColor("white"))
        self.painter = QPainter(self._image)
        self.painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.bottom = float(EDGE)
        """Where the next part begins."""
        self._left, self._width = float(EDGE), float(WIDTH - 2 * EDGE)

    def go_to(self, column: int, columns: int, top: float) -> None:
        """Write below `top` in one of several columns of equal width from now on."""
        self._width = (WIDTH - 2 * EDGE - (columns - 1) * GAP) / columns
        self._left, self.bottom = EDGE + column * (self._width + GAP), top

    def take(self, height: float) -> QRectF:
        """Return the next area of this height."""
        area = QRectF(self._left, self.bottom, self._width, height)
        self.bottom = area.bottom() + GAP
        return area

    def write(self, text: str, size: int, ink: str = LIGHT.text, *, bold: bool = False) -> None:
        """Write a paragraph, in lines as long as they fit."""
        if text:
            self.painter.setFont(slide_font(size, bold))
            self.painter.setPen(QColor(ink))
            area = QRectF(self._left, self.bottom, self._width, WIDTH)
            self.bottom = self.painter.drawText(area, WRAPPED, text).bottom() + GAP

    def draw_ribbon(self, ribbon: RibbonLayout) -> None:
        paint_ribbon(self.painter, self.take(RIBBON_HEIGHT), ribbon, LIGHT)

    def finish(self) -> QImage:
        """Return the picture, cut off below its last part."""
        self.painter.end()
        return self._image.copy(0, 0, WIDTH, int(self.bottom - GAP + EDGE))


def slide_font(pixels: int, bold: bool = False) -> QFont:
    font = QApplication.font()
    font.setPixelSize(pixels)
    font.setBold(bold)
    return font
