"""How a text is set: one font, a handful of colours."""

from dataclasses import dataclass, replace

from PySide6.QtGui import QFont, QFontDatabase, QFontInfo, QFontMetricsF

from baton_reasoning.app.toolkit.theme import Colours

_CAP_HEIGHT_OF_MATHS = 0.656  # of the size, in STIX Two Math, the face that ziamath draws with


@dataclass(frozen=True)
class TextStyle:
    """All that the writer of a document needs to know of the look."""

    font: QFont
    ink: str
    muted: str
    link: str
    code_ground: str
    hairline: str

    @classmethod
    def of(cls, colours: Colours, font: QFont) -> "TextStyle":
        return cls(font, colours.text, colours.muted, colours.small, colours.panel, colours.border)

    def in_ink(self, ink: str) -> "TextStyle":
        """Return the style with another colour of text, as for what the program inserted."""
        return replace(self, ink=ink)

    @property
    def code_font(self) -> QFont:
        """The system's fixed-width font, a little smaller: its letters run larger than a sans."""
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPointSizeF(QFontInfo(self.font).pointSizeF() * 0.92)
        return font

    @property
    def formula_size(self) -> float:
        """The size of formulas in pixels, at which their capitals are as tall as those of the text."""
        return round(QFontMetricsF(self.font).capHeight() / _CAP_HEIGHT_OF_MATHS, 1)
