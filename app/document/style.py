"""How a text is set: one font, a handful of colours."""

from dataclasses import dataclass, replace

from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QFontMetricsF, QTextCharFormat, QTextDocument

from baton_reasoning.app.toolkit.theme import BODY, TITLE, Colours

GAP = 7
"""Pixels between paragraphs."""
LINE_HEIGHT = 1.18
"""As a share of the font's."""
_CAP_HEIGHT_OF_MATHS = 0.656  # of the size, in STIX Two Math, the face that ziamath draws with


@dataclass(frozen=True)
class TextStyle:
    """All that the writer of a document needs to know of the look."""

    font: QFont
    colours: Colours
    ink: str

    @classmethod
    def of(cls, colours: Colours, font: QFont) -> "TextStyle":
        return cls(font, colours, colours.text)

    def in_ink(self, ink: str) -> "TextStyle":
        """Return the style with another colour of text, as for what the program inserted."""
        return replace(self, ink=ink)

    def apply_to(self, document: QTextDocument) -> None:
        """Set the look of what is rendered into a document from now on."""
        document.setDefaultFont(self.font)
        document.setIndentWidth(24)
        document.setDefaultStyleSheet(self._sheet)

    def as_code(self, form: QTextCharFormat) -> QTextCharFormat:
        """Return the format of code in a line of such text."""
        code = QTextCharFormat(form)
        code.setFont(self.code_font)
        code.setFontFixedPitch(True)
        code.setBackground(QColor(self.colours.panel))
        return code

    @property
    def _sheet(self) -> str:
        """The style sheet of the HTML that is rendered."""
        code, title = self.code_font, self.font.pointSizeF() * TITLE / BODY
        letters = f"font-family: '{code.family()}'; font-size: {code.pointSizeF()}pt"
        return f"""
            body {{ white-space: pre-wrap }}
            p, li {{ margin: 0 0 {GAP}px 0; line-height: {LINE_HEIGHT:.0%} }}
            li {{ margin-bottom: {GAP / 2}px }}
            ul, ol {{ margin: 0 0 {GAP}px 0 }}
            ul ul {{ list-style-type: circle; margin: 0 }}
            p.h1, p.h2, p.h3, p.h4, p.h5, p.h6 {{ margin-top: {GAP}px; font-weight: bold }}
            p.h1, p.h2 {{ font-size: {title}pt }}
            strong {{ font-weight: 600 }}
            a {{ color: {self.colours.small} }}
            blockquote {{ color: {self.colours.muted}; margin: 0 0 0 16px }}
            code {{ {letters}; background-color: {self.colours.panel} }}
            hr {{ background-color: {self.colours.border} }}
            table {{ border: 1px solid {self.colours.border}; border-collapse: collapse; margin-bottom: {GAP}px }}
            td, th {{ padding: 6px; text-align: left }}
            td.code p {{ margin: 0 }}
            td.code {{ background-color: {self.colours.panel} }}
            p.code {{ {letters}; line-height: 100% }}
        """

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
