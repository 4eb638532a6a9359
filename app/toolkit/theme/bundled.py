"""What comes with Baton: its typeface, and line icons in whatever colour the place needs."""

from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QFont, QFontDatabase, QFontInfo, QFontMetricsF, QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from baton_reasoning import resources

RESOURCES = Path(resources.__file__).parent
FONT_FOLDER, ICON_FOLDER = RESOURCES / "fonts", RESOURCES / "icons"
BODY, TITLE, RESULT = 13, 17, 24
"""The three sizes of type, in pixels at a text size of 100%."""
LINE_LENGTH = 95
"""Characters of a full line: 75 to 80 are the most comfortable to read, but most steps fit into one of these."""
_ORDINARY_TEXT = "The small model writes most of the steps, and the large one takes over where thinking is hard. "
_SIZES = 16, 24, 32, 48, 64  # of icons: enough for 16 and 24 points at one, two and nearly three times


@lru_cache(maxsize=1)
def bundled_family() -> str:
    """Load Inter into Qt and return its family name, "" if Qt cannot read the files. Needs a `QGuiApplication`."""
    families = [
        family
        for path in sorted(FONT_FOLDER.glob("*.otf"))
        for family in QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(str(path)))
    ]
    return families[0] if families else ""


def reading_font(text_size: float = 1.0) -> QFont:
    """Return Inter at `text_size` times the system's size, or `BODY` if the system's is smaller.

    Characters that Inter lacks come from the system's font.
    """
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    smallest = BODY * 72 / QGuiApplication.primaryScreen().logicalDotsPerInch()
    size = max(QFontInfo(font).pointSizeF(), smallest)
    if family := bundled_family():
        font.setFamilies([family, font.family()])
    font.setPointSizeF(size * text_size)
    return font


def line_width(font: QFont) -> int:
    """Return the width in pixels of `LINE_LENGTH` characters of ordinary English."""
    return round(QFontMetricsF(font).horizontalAdvance(_ORDINARY_TEXT) / len(_ORDINARY_TEXT) * LINE_LENGTH)


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
