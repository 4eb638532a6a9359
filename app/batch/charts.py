"""Shows charts of `core` in the colours of the theme, and saves them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QRectF
from PySide6.QtGui import QAccessible, QImage, QImageWriter, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QFileDialog, QFrame, QWidget

from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.preferences import documents_folder
from baton_reasoning.app.toolkit.accessible import set_accessible_role
from baton_reasoning.app.toolkit.controls import ElidedLabel, IconButton, plain_tip
from baton_reasoning.app.toolkit.layout import hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.app.toolkit.theme.fonts import bundled_family
from baton_reasoning.core.charts import FONTS, PRINT, coloured
from baton_reasoning.core.errors import StoreError

Draw = Callable[[int], str]
"""Draws the SVG of a chart of this width in pixels."""
_SAVED_WIDTH = 640
NARROWEST = 300
"""Pixels; a narrower widget shows the chart smaller."""
_PIXELS_A_POINT = 2
"""The resolution of a saved picture, sharp in print and on fine screens."""


class ChartCard(QFrame):
    """A heading and a chart, with a description for screen readers and as a tool tip."""

    def __init__(self, title: str, actions: WindowActions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._actions = actions
        set_role(self, Role.CARD)
        self.title = ElidedLabel(title, Role.HEADING)
        self.picture = ChartPicture(title)
        self.save_button = IconButton("download", f"Save “{title}” as PNG", self._choose_file)
        self.save_button.setEnabled(False)
        self.setLayout(vbox(hbox((self.title, 1), self.save_button), self.picture, margins=(12, 6, 12, 10), spacing=4))

    def show_chart(self, draw: Draw, text: str) -> None:
        """`text`: what the chart shows, as a sentence or a list."""
        self.save_button.setEnabled(True)
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


class ChartPicture(QWidget):
    """Draws an SVG as wide as the widget, in the colours of the theme; its text grows with the window's text size."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.draw: Draw | None = None
        self._renderer = QSvgRenderer(self)
        self.setAccessibleName(title)
        set_accessible_role(self, QAccessible.Role.Chart)
        current_theme().changed.connect(self._redraw)

    def show_drawing(self, draw: Draw, text: str) -> None:
        self.draw = draw
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
        painter.end()

    def _redraw(self) -> None:
        if self.draw is None:
            return
        theme = current_theme()
        colours = asdict(theme.colours) | {"background": theme.colours.surface}
        drawing = self.draw(max(NARROWEST, round(self.width() / theme.text_size)))
        self._renderer.load(_for_qt(drawing, colours))
        size = self._renderer.defaultSize()
        self.setFixedHeight(round(size.height() * self.width() / max(1, size.width())))
        self.update()


def _for_qt(drawing: str, colours: Mapping[str, str]) -> QByteArray:
    """Put the colours in, and the one typeface of the window: Qt takes a list of several for the name of one."""
    return QByteArray(coloured(drawing, colours).replace(FONTS, bundled_family() or FONTS).encode("utf-8"))


def _as_png(drawing: str) -> bytes:
    renderer = QSvgRenderer(_for_qt(drawing, PRINT))
    picture = QImage(renderer.defaultSize() * _PIXELS_A_POINT, QImage.Format.Format_RGB32)
    painter = QPainter(picture)
    renderer.render(painter)
    painter.end()
    written = QBuffer()
    written.open(QIODevice.OpenModeFlag.WriteOnly)
    QImageWriter(written, b"png").write(picture)
    return bytes(written.data().data())
