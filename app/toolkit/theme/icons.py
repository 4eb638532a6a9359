"""Line icons, drawn in whatever colour the place needs."""

from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from baton_reasoning import resources

ICON_FOLDER = Path(resources.__file__).parent / "icons"
_SIZES = 16, 24, 32, 48, 64  # enough for 16 and 24 points at one, two and nearly three times


@lru_cache(maxsize=128)
def icon(name: str, colour: str) -> QIcon:
    """`resources/icons/NAME.svg` in a colour (`#rrggbb`); raises `FileNotFoundError` if there is none."""
    source = (ICON_FOLDER / f"{name}.svg").read_text("utf-8").replace("currentColor", colour)
    renderer = QSvgRenderer(QByteArray(source.encode()))
    result = QIcon()
    for size in _SIZES:
        pixmap = QPixmap(size, size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        renderer.render(painter, QRectF(0, 0, size, size))
        painter.end()
        result.addPixmap(pixmap)
    return result
