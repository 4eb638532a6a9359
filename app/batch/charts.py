"""Shows charts of `core` in the colours of the theme, and saves them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtGui import QImage, QImageWriter, QPainter
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QFileDialog, QFrame

from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.preferences import documents_folder
from baton_reasoning.app.toolkit.chart_picture import ChartPicture, Draw, for_qt
from baton_reasoning.app.toolkit.controls import ElidedLabel, IconButton
from baton_reasoning.app.toolkit.layout import hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.charts import PRINT
from baton_reasoning.core.errors import StoreError

_SAVED_WIDTH = 640
_PIXELS_A_POINT = 2
"""The resolution of a saved picture, sharp in print and on fine screens."""


class ChartCard(QFrame):
    """A heading and a chart, with a description for screen readers and as a tool tip."""

    def __init__(self, title: str, actions: WindowActions) -> None:
        super().__init__()
        self._actions = actions
        set_role(self, Role.CARD)
        self.title = ElidedLabel(title, Role.HEADING)
        self.picture = ChartPicture(title)
        save = IconButton("download", f"Save “{title}” as PNG", self._choose_file)
        self.setLayout(vbox(hbox((self.title, 1), save), self.picture, margins=(12, 6, 12, 10), spacing=4))

    def show_chart(self, draw: Draw, text: str) -> None:
        """`text`: what the chart shows, as a sentence or a list."""
        self.picture.show_drawing(draw, text)

    def save(self, path: Path) -> None:
        """Save the chart as PNG in the colours of print. Raises StoreError."""
        assert self.picture.draw
        try:
            path.write_bytes(_as_png(self.picture.draw(_SAVED_WIDTH)))
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from error

    def _choose_file(self) -> None:
        first = documents_folder() / f"{self.picture.accessibleName()}.png"
        file, _ = QFileDialog.getSaveFileName(self, "Save chart", str(first), "Picture (*.png)")
        if file:
            path = Path(file if file.lower().endswith(".png") else f"{file}.png")
            try:
                self.save(path)
            except StoreError as error:
                self._actions.show_error(error)
            else:
                self._actions.show_saved(path)


def _as_png(drawing: str) -> bytes:
    renderer = QSvgRenderer(for_qt(drawing, PRINT))
    picture = QImage(renderer.defaultSize() * _PIXELS_A_POINT, QImage.Format.Format_RGB32)
    painter = QPainter(picture)
    renderer.render(painter)
    painter.end()
    written = QBuffer()
    written.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(written, b"png").write(picture)
    return bytes(written.data().data())
