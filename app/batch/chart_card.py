"""What every chart beside the table has: a heading, a plot in the colours of now, and a way to save it."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

import pyqtgraph as pg
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, Signal
from PySide6.QtGui import QColor, QImage, QImageWriter, QPainter
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.shared.theme import Role, current_theme, set_role
from app.shared.widgets.controls import IconButton, label
from core.errors import StoreError

_FILES = "Picture (*.png);;Drawing (*.svg)"
_PIXELS_A_POINT = 2
"""Of a saved picture: sharp in print and on fine screens."""


class ChartCard(QFrame):
    """A heading, a plot, and what it shows in words for those who hear the window."""

    saved = Signal(object)
    """The Path of a file that was written."""
    failed = Signal(object)
    """A BatonError."""

    def __init__(self, title: str, height: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, Role.CARD)
        self.title: QLabel = label(title, Role.HEADING)
        self.plot = pg.PlotWidget()
        self.plot.setFixedHeight(height)
        self.plot.setAccessibleName(title)
        self.plot.setMouseEnabled(False, False)
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.save_button = IconButton("download", f"Save “{title}” as PNG or SVG", self._choose_file)
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.save_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 6, 12, 10)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self.plot)
        current_theme().changed.connect(self.draw)

    @abstractmethod
    def drawing(self) -> str:
        """The chart as SVG, as it stands in the report."""

    def save(self, path: Path) -> None:
        """As PNG or SVG, by the ending. Raises StoreError."""
        drawing = self.drawing().encode("utf-8")
        try:
            path.write_bytes(drawing if path.suffix.lower() == ".svg" else _as_png(drawing))
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from error

    def draw(self) -> None:
        """In the colours of now."""
        colours = current_theme().colours
        self.plot.setBackground(colours.surface)
        for name in ("left", "bottom"):
            axis = self.plot.getAxis(name)
            axis.setPen(pg.mkPen(colours.border))
            axis.setTextPen(pg.mkPen(colours.muted))
        self.plot.clear()

    def write(self, text: str, x: float, y: float, anchor: tuple[float, float], colour: str = "") -> pg.TextItem:
        item = pg.TextItem(text, color=QColor(colour or current_theme().colours.text), anchor=anchor)
        item.setPos(x, y)
        self.plot.addItem(item, ignoreBounds=True)
        return item

    def _choose_file(self) -> None:
        where, kind = QFileDialog.getSaveFileName(self, "Save chart", f"{self.plot.accessibleName()}.png", _FILES)
        if where:
            path = Path(where)
            path = path if path.suffix else path.with_suffix(".svg" if "svg" in kind else ".png")
            try:
                self.save(path)
            except StoreError as error:
                self.failed.emit(error)
            else:
                self.saved.emit(path)


def _as_png(drawing: bytes) -> bytes:
    renderer = QSvgRenderer(QByteArray(drawing))
    picture = QImage(renderer.defaultSize() * _PIXELS_A_POINT, QImage.Format.Format_RGB32)
    painter = QPainter(picture)
    renderer.render(painter)
    painter.end()
    written = QBuffer()
    written.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(written, b"png").write(picture)
    return bytes(written.data().data())
