"""Writes paragraphs, lists, code and tables at a cursor; knows the look of each, and nothing of Markdown."""

from itertools import count

from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextFormat,
    QTextFrameFormat,
    QTextLength,
    QTextList,
    QTextListFormat,
    QTextTable,
    QTextTableFormat,
)

from baton_reasoning.app.document.formula_object import insert_formula
from baton_reasoning.app.document.formulas import Formula
from baton_reasoning.app.document.style import TextStyle

LINE_BREAK = "\u2028"  # Qt's line inside a block
COPY_SCHEME = "copy"  # "copy:3" is where the word "Copy" over a code block leads
_copy_numbers = count()  # unique in the process, as texts may be joined in one document
# What a block is, for those who copy it out again.
BLOCK_KIND = QTextFormat.Property.UserProperty.value + 10
CODE_HEAD = "code head"
SPACED = "spaced"  # the paragraph before goes on after a blank: another author writes the rest of it
CONTINUED = "continued"  # the paragraph before goes on: it is long, and is still being written

STRONG = QFont.Weight.DemiBold  # what is **strong** in the text; headings are bolder, to tell them apart
_GAP = 7.0  # pixels between paragraphs
_HEADING_SIZES = {1: 1.35, 2: 1.2, 3: 1.1}


class Blocks:
    """The pen: where it writes, in which block and in which spans of style."""

    def __init__(self, cursor: QTextCursor, style: TextStyle) -> None:
        self._cursor = cursor
        self._style = style
        self._plain = QTextCharFormat()
        self._plain.setFont(style.font)
        self._plain.setForeground(QColor(style.ink))
        self._spans = [self._plain]
        self._lists: list[QTextListFormat] = []
        self._open_lists: list[QTextList | None] = []
        self._item_is_fresh = False
        self._quotes = 0
        self._untouched = True  # the block at the cursor is ours to fill
        self._after_display = False
        self._table: QTextTable | None = None
        self._next_cell = 0

    # Blocks

    def paragraph(self) -> None:
        if self._item_is_fresh:
            self._item_is_fresh = False
        elif self._table is None:
            self._begin(self._block_format())

    def heading(self, level: int) -> None:
        block = self._block_format()
        block.setHeadingLevel(level)
        block.setTopMargin(_GAP)
        self._begin(block)
        head = QTextCharFormat(self._plain)
        head.setFontWeight(QFont.Weight.Bold)
        head.setFontPointSize(self._style.font.pointSizeF() * _HEADING_SIZES.get(level, 1.0))
        self._spans.append(head)

    def end_heading(self) -> None:
        self._spans.pop()

    def open_list(self, numbered: bool, start: int = 1) -> None:
        form = QTextListFormat()
        kind = QTextListFormat.Style
        form.setStyle(kind.ListDecimal if numbered else (kind.ListDisc, kind.ListCircle)[len(self._lists) % 2])
        form.setIndent(len(self._lists) + 1)
        form.setStart(start)
        self._lists.append(form)
        self._open_lists.append(None)

    def close_list(self) -> None:
        self._lists.pop()
        self._open_lists.pop()
        if not self._lists:
            end = QTextBlockFormat()
            end.setBottomMargin(_GAP)
            self._cursor.mergeBlockFormat(end)

    def item(self) -> None:
        block = self._block_format()
        block.setIndent(0)  # the list itself indents
        block.setBottomMargin(_GAP / 2)
        self._begin(block)
        current = self._open_lists[-1]
        if current is None:
            self._open_lists[-1] = self._cursor.createList(self._lists[-1])
        else:
            current.add(self._cursor.block())
        self._item_is_fresh = True

    def open_quote(self) -> None:
        """Begin a quotation: indented, and muted."""
        self._quotes += 1
        quoted = QTextCharFormat(self._spans[-1])
        quoted.setForeground(QColor(self._style.muted))
        self._spans.append(quoted)

    def close_quote(self) -> None:
        self._quotes -= 1
        self._spans.pop()

    def rule(self) -> None:
        block = self._block_format()
        block.setProperty(
            QTextFormat.Property.BlockTrailingHorizontalRulerWidth,
            QTextLength(QTextLength.Type.PercentageLength, 100),
        )
        block.setBackground(QColor(self._style.hairline))  # Qt draws the rule in it
        self._untouched = self._untouched and self._cursor.atStart()  # behind a table Qt hides an empty block
        self._begin(block)

    def code(self, text: str, language: str = "") -> None:
        """Write a framed block of code under its language and the word “Copy”."""
        self._start_table(1, 1, self._style.code_ground)
        head = QTextBlockFormat()
        head.setAlignment(Qt.AlignmentFlag.AlignRight)
        head.setProperty(BLOCK_KIND, CODE_HEAD)
        self._cursor.setBlockFormat(head)
        label = QTextCharFormat(self._plain)
        label.setFontPointSize(self._style.font.pointSizeF() * 0.85)
        label.setForeground(QColor(self._style.muted))
        if language:
            self._cursor.insertText(f"{language}   ", label)
        label.setAnchor(True)
        label.setAnchorHref(f"{COPY_SCHEME}:{next(_copy_numbers)}")
        label.setForeground(QColor(self._style.link))
        label.setToolTip("Copy this code")
        self._cursor.insertText("Copy", label)
        self._cursor.insertBlock(QTextBlockFormat(), self._code_format(ground=False))
        self._cursor.insertText(text.replace("\n", LINE_BREAK), self._code_format(ground=False))
        self._leave_table()

    def open_table(self, rows: int, columns: int) -> None:
        self._start_table(rows, columns, "")
        self._next_cell = 0

    def cell(self, head: bool) -> None:
        assert self._table is not None  # the reader opens a table before its cells
        row, column = divmod(self._next_cell, self._table.columns())
        self._next_cell += 1
        self._cursor.setPosition(self._table.cellAt(row, column).firstCursorPosition().position())
        form = QTextCharFormat(self._plain)
        if head:
            form.setFontWeight(QFont.Weight.Bold)
        self._spans[-1] = form

    def close_table(self) -> None:
        self._spans[-1] = self._plain
        self._leave_table()

    # Spans

    def text(self, text: str) -> None:
        if self._after_display:
            text = text.lstrip()
            if not text:
                return
            self._resume_after_display()
        self._cursor.insertText(text, self._spans[-1])

    def line_break(self) -> None:
        if not self._after_display:
            self._cursor.insertText(LINE_BREAK, self._spans[-1])

    def code_word(self, text: str) -> None:
        self._resume_after_display()
        self._cursor.insertText(text, self._code_format(ground=True))

    def open_bold(self) -> None:
        self._open_span().setFontWeight(STRONG)

    def open_italic(self) -> None:
        self._open_span().setFontItalic(True)

    def open_struck(self) -> None:
        self._open_span().setFontStrikeOut(True)

    def open_link(self, address: str) -> None:
        """Begin a link; without an address it stays plain text."""
        span = self._open_span()
        if address:
            span.setAnchor(True)
            span.setAnchorHref(address)
            span.setToolTip(address)
            span.setFontUnderline(True)
            span.setForeground(QColor(self._style.link))

    def close_span(self) -> None:
        self._spans.pop()

    def formula(self, formula: Formula) -> None:
        """Write a formula, or its source as code if it cannot be typeset."""
        if formula.display and self._table is None:
            self._centre()
        else:
            self._resume_after_display()
        ink = self._spans[-1].foreground().color().name()
        if not insert_formula(self._cursor, formula, self._style.in_ink(ink)):
            self._cursor.insertText(formula.source.replace("\n", LINE_BREAK), self._code_format(ground=True))
        self._after_display = formula.display and self._table is None

    # The pen itself

    def _open_span(self) -> QTextCharFormat:
        self._spans.append(QTextCharFormat(self._spans[-1]))
        return self._spans[-1]

    def _block_format(self) -> QTextBlockFormat:
        block = QTextBlockFormat()
        block.setIndent(len(self._lists))
        if self._quotes:
            block.setLeftMargin(16.0 * self._quotes)
            block.setProperty(QTextFormat.Property.BlockQuoteLevel, self._quotes)
        block.setBottomMargin(_GAP)
        block.setLineHeight(118.0, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        return block

    def _begin(self, block: QTextBlockFormat) -> None:
        """Continue in a new block; the very first one is that in which the cursor stood."""
        self._after_display = False
        if self._untouched:
            self._cursor.setBlockFormat(block)
            self._cursor.setBlockCharFormat(self._plain)
        else:
            self._cursor.insertBlock(block, self._plain)
        self._untouched = False

    def _centre(self) -> None:
        block = self._block_format()
        block.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        block.setLineHeight(100.0, QTextBlockFormat.LineHeightTypes.ProportionalHeight.value)
        current = self._cursor.block()
        if current.length() == 1 and current.textList() is None:
            self._cursor.setBlockFormat(block)
        else:
            self._drop_line_break()
            self._begin(block)
        self._untouched = False

    def _drop_line_break(self) -> None:
        """Remove a line break before a displayed formula, which stands on a line of its own anyway."""
        if self._cursor.block().text().endswith(LINE_BREAK):
            self._cursor.deletePreviousChar()

    def _resume_after_display(self) -> None:
        if self._after_display:
            self._begin(self._block_format())

    def _code_format(self, ground: bool) -> QTextCharFormat:
        form = QTextCharFormat(self._plain)
        form.setFont(self._style.code_font)
        form.setForeground(self._spans[-1].foreground())
        form.setFontFixedPitch(True)
        if ground:
            form.setBackground(QColor(self._style.code_ground))
        return form

    def _start_table(self, rows: int, columns: int, ground: str) -> None:
        form = QTextTableFormat()
        form.setCellPadding(6)
        form.setCellSpacing(0)
        form.setBorder(1)
        form.setBorderCollapse(True)
        form.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
        form.setBorderBrush(QBrush(QColor(self._style.hairline)))
        form.setBottomMargin(_GAP)
        form.setLeftMargin(24.0 * len(self._lists))
        if ground:
            form.setWidth(QTextLength(QTextLength.Type.PercentageLength, 100))
        self._item_is_fresh = False
        self._table = self._cursor.insertTable(rows, columns, form)
        if ground:
            cell = self._table.cellAt(0, 0).format()
            cell.setBackground(QColor(ground))
            self._table.cellAt(0, 0).setFormat(cell)

    def _leave_table(self) -> None:
        assert self._table is not None
        self._cursor.setPosition(self._table.lastCursorPosition().position())
        self._cursor.movePosition(QTextCursor.MoveOperation.NextBlock)
        self._table = None
        self._untouched = True  # Qt keeps an empty block behind a table, and hides it while it is empty
