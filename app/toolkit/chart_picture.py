"""Shows an SVG chart of `core` in the colours of the theme; its points may be chosen by mouse and by keyboard.

Its context menu copies it, or saves it as a file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from PySide6.QtCore import (
    QByteArray,
    QKeyCombination,
    QPoint,
    QPointF,
    QRectF,
    QSaveFile,
    QStandardPaths,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QImage,
    QImageWriter,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QMenu, QMessageBox

from baton_reasoning.app.toolkit.controls import ChoosableParts, key_text, plain_tip
from baton_reasoning.app.toolkit.copying import copy_picture
from baton_reasoning.app.toolkit.save_dialog import file_to_save
from baton_reasoning.app.toolkit.theme import bundled_family, current_theme
from baton_reasoning.core.charts import FONTS, coloured
from baton_reasoning.core.files import replace_text

Draw = Callable[[int], str]
"""Draws the SVG of a chart of this width in pixels."""
NARROWEST = 300
"""Pixels; a narrower widget shows the chart smaller."""
NEAR = 14
"""Pixels within which the mouse reaches a point."""
RING = 8
PIXELS = 2
"""Pixels of a copied or saved picture for each pixel of the window: it may be printed, or shown larger."""
SAVE = QKeyCombination(Qt.Modifier.CTRL | Qt.Modifier.ALT, Qt.Key.Key_S)
KINDS = {".png": "Picture", ".svg": "Drawing"}


class ChartPoint(NamedTuple):
    """A point of a chart that can be chosen; in pixels of the drawing, y downwards."""

    x: float
    y: float
    text: str


class ChartPicture(ChoosableParts):
    """Draws an SVG as wide as the widget, in the colours of the theme; its text grows with the window's text size."""

    pointed = Signal(str)
    """The text of the point that was chosen, or that the keyboard is at; "" for none."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._draw: Draw | None = None
        self._renderer = QSvgRenderer(self)
        self._drawing = ""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._text = ""
        self.points: Sequence[ChartPoint] = ()
        current_theme().changed.connect(self._redraw)

    def show_drawing(self, draw: Draw, text: str) -> None:
        self._draw = draw
        self.setAccessibleDescription(text)
        self.setToolTip(plain_tip(text))
        self._redraw()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._redraw()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        self._renderer.render(painter, QRectF(self.rect()))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.selected >= 0:
            painter.setPen(QPen(QColor(current_theme().colours.text), 1.6))
            painter.drawEllipse(self.place_of(self.selected), RING, RING)
        self.paint_focus(painter)
        painter.end()

    def _redraw(self) -> None:
        if self._draw is None:
            return
        theme = current_theme()
        colours = asdict(theme.colours) | {"background": theme.colours.surface}
        drawing = self._draw(max(NARROWEST, round(self.width() / theme.text_size)))
        # Qt takes a list of several typefaces for the name of one.
        self._drawing = coloured(drawing, colours)
        shown = self._drawing.replace(FONTS, bundled_family() or FONTS)
        self._renderer.load(QByteArray(shown.encode("utf-8")))
        size = self._renderer.defaultSize()
        self.setFixedHeight(round(size.height() * self.width() / max(1, size.width())))
        self.update()

    def show_points(self, draw: Callable[[int], tuple[str, Sequence[ChartPoint]]], text: str) -> None:
        """`draw`: draws the chart at this width, and says where its points are."""

        def drawn(width: int) -> str:
            drawing, self.points = draw(width)
            return drawing

        self._text = text
        self.setMouseTracking(True)
        self.show_drawing(drawn, text)
        self.setToolTip("")
        self.select(self.selected if self.selected < len(self.points) else -1)

    def picture(self) -> QImage:
        """Return the chart on its ground, without what is chosen."""
        image = QImage(self.size() * PIXELS, QImage.Format.Format_RGB32)
        image.fill(QColor(current_theme().colours.surface))
        painter = QPainter(image)
        self._renderer.render(painter, QRectF(image.rect()))
        painter.end()
        return image

    def copy(self) -> None:
        copy_picture(self.picture(), self)

    def save(self) -> None:
        """Ask where, and write the picture; say why that fails."""
        folder = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        first = Path(folder) / f"{self.accessibleName()}.png"
        file = file_to_save(self, "Save the chart", first, KINDS)
        if file is None:
            return
        try:
            if file.suffix.lower() == ".svg":
                replace_text(file, [self._drawing])
            else:
                target = QSaveFile(str(file))  # the old file stays until the new one is complete
                is_open = target.open(QSaveFile.OpenModeFlag.WriteOnly)
                if not (is_open and QImageWriter(target, b"png").write(self.picture()) and target.commit()):
                    raise OSError(target.errorString().rstrip("."))
        except OSError as error:
            told = f"{file} cannot be written: {error.strerror or error}. Choose another place."
            QMessageBox.warning(self, "Save the chart", told)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(f"Copy the chart\t{key_text('Ctrl+C')}", self.copy)
        menu.addAction(f"Save the chart…\t{key_text('Ctrl+Alt+S')}", self.save)
        menu.popup(event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.keyCombination() == SAVE:
            self.save()
        else:
            super().keyPressEvent(event)

    def count(self) -> int:
        return len(self.points)

    def text_of(self, index: int) -> str:
        return self.points[index].text

    def select(self, index: int) -> None:
        super().select(index)
        here = self.text_of(index) if index >= 0 else ""
        self.setAccessibleDescription(f"{self._text} {here}".strip())
        self.pointed.emit(here)

    def place_of(self, index: int) -> QPointF:
        """Return where a point is in the widget."""
        scale = self.width() / max(1, self._renderer.defaultSize().width())
        return QPointF(self.points[index].x, self.points[index].y) * scale

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        is_near = self.part_at(event.position().toPoint()) >= 0
        self.setCursor(Qt.CursorShape.PointingHandCursor if is_near else Qt.CursorShape.ArrowCursor)

    def part_at(self, point: QPoint) -> int:
        """Return the nearest point that is near enough; -1 if none is."""
        distances = [(self.place_of(index) - point).manhattanLength() for index in range(len(self.points))]
        nearest = min(range(len(distances)), key=distances.__getitem__, default=-1)
        return nearest if nearest >= 0 and distances[nearest] <= NEAR else -1
