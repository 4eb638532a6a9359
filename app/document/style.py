"""How rows are set: one font, a handful of colours."""

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QFontInfo,
    QFontMetricsF,
    QTextBlockFormat,
    QTextCharFormat,
    QTextDocument,
    QTextFormat,
    QTextLength,
    QTextListFormat,
    QTextTableFormat,
)

from baton_reasoning.app.toolkit.theme import BODY, TITLE, Colours
from baton_reasoning.core.markdown.blocks import Gap, Grid, Kind, Look, Row

GAP = 7.0
"""Pixels between paragraphs."""
LINE_HEIGHT = 1.18
"""As a share of the font's."""
INDENT = 24
"""Pixels of each level of a list."""
QUOTE = 16
"""Pixels of each level of a quotation."""
CODE_PADDING = 10
"""Pixels of the panel beside code."""
CELL_PADDING = 6
KIND = QTextFormat.Property.UserProperty.value + 10
"""What kind of row a block of the document is."""
NOTE = QTextFormat.Property.UserProperty.value + 20
"""True of characters and blocks that the window added to the text, and that are not copied with it."""
CODE_KINDS = (Kind.CODE, Kind.CODE_HEAD)
_CAP_HEIGHT_OF_MATHS = 0.656  # of the size, in STIX Two Math, the face that ziamath draws with
_FIXED = QTextBlockFormat.LineHeightTypes.FixedHeight.value
_PROPORTIONAL = QTextBlockFormat.LineHeightTypes.ProportionalHeight.value


@dataclass(frozen=True)
class TextStyle:
    """All that the writer of a document needs to know of the look."""

    font: QFont
    colours: Colours
    ink: str
    """The colour of text, `#rrggbb`; another one for what the program inserted."""
    gap: float = GAP

    @classmethod
    def of(cls, colours: Colours, font: QFont, gap: float = GAP) -> "TextStyle":
        return cls(font, colours, colours.text, gap)

    def apply_to(self, document: QTextDocument) -> None:
        """Set the look of what is written into a document from now on."""
        document.setDefaultFont(self.font)
        document.setIndentWidth(INDENT)

    def block(self, row: Row) -> QTextBlockFormat:
        """Return the format of a row's block."""
        form = QTextBlockFormat()
        form.setProperty(KIND, row.kind)
        if row.kind is Kind.CODE_HEAD:
            form.setProperty(NOTE, True)
        form.setLineHeight(100 * LINE_HEIGHT, _PROPORTIONAL)
        form.setBottomMargin({Gap.NONE: 0.0, Gap.SMALL: GAP / 2, Gap.FULL: self.gap}[row.gap])
        left = QUOTE * row.quotes
        if row.kind in CODE_KINDS:
            form.setRightMargin(CODE_PADDING)
            left += CODE_PADDING
        form.setLeftMargin(left)
        if not row.marker:
            form.setIndent(row.depth)
        if row.kind is Kind.FORMULA:
            form.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        elif row.kind is Kind.CODE_HEAD:
            form.setAlignment(Qt.AlignmentFlag.AlignRight)
        elif row.kind is Kind.RULE:
            full = QTextLength(QTextLength.Type.PercentageLength, 100)
            form.setProperty(QTextFormat.Property.BlockTrailingHorizontalRulerWidth.value, full)
        return form

    def marker(self, row: Row) -> QTextListFormat:
        """Return the format of the list that an item is in: each is in one of its own, with its own number."""
        form, styles = QTextListFormat(), QTextListFormat.Style
        form.setIndent(row.depth)
        if row.marker[:-1].isdecimal():
            form.setStyle(styles.ListDecimal)
            form.setStart(min(int(row.marker[:-1]), 2**31 - 1))
        else:
            form.setStyle(styles.ListDisc if row.depth < 2 else styles.ListCircle)
        return form

    def table(self, grid: Grid) -> QTextTableFormat:
        form = QTextTableFormat()
        form.setBorder(1)
        form.setBorderBrush(QColor(self.colours.border))
        form.setBorderCollapse(True)
        form.setCellPadding(CELL_PADDING)
        form.setLeftMargin(INDENT * grid.depth)
        form.setHeaderRowCount(1)
        return form

    def beside_table(self, gap: float) -> QTextBlockFormat:
        """Return the format of the empty blocks that Qt has before and after a table. `gap`: the pixels below."""
        form = QTextBlockFormat()
        form.setProperty(NOTE, True)
        form.setLineHeight(1, _FIXED)
        form.setBottomMargin(gap)
        return form

    def letters(self, look: Look, kind: Kind) -> QTextCharFormat:
        """Return the format of a run in a row of this kind."""
        colours, form = self.colours, QTextCharFormat()
        font, ink = QFont(self.font), self.ink
        if look.code:
            form.setFont(self.code_font)
            form.setFontFixedPitch(True)
            if kind is not Kind.CODE:
                form.setBackground(QColor(colours.panel))
            syntax = {"keyword": colours.person, "comment": colours.muted}
            ink = syntax.get(look.syntax, colours.success if look.syntax else ink)
            form.setFontItalic(look.syntax == "comment")
        else:
            if kind is Kind.TITLE:
                font.setPointSizeF(font.pointSizeF() * TITLE / BODY)
            form.setFont(font)
        if look.strong or kind in (Kind.TITLE, Kind.HEADING):
            form.setFontWeight(QFont.Weight.DemiBold)
        if look.emphasis:
            form.setFontItalic(True)
        form.setFontStrikeOut(look.struck)
        form.setFontUnderline(look.cue)
        if look.link:
            form.setAnchor(True)
            form.setAnchorHref(look.link)
            form.setToolTip(look.link)
            form.setFontUnderline(True)
            ink = colours.small
        if look.note:
            form.setProperty(NOTE, True)
            ink = colours.success if look.strong else colours.muted
        form.setForeground(QColor(colours.muted if look.muted else ink))
        return form

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
