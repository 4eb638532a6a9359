"""Turns a rendered document, or the selection in it, back into plain text or Markdown. A formula becomes its source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from itertools import groupby
from typing import NamedTuple

from PySide6.QtGui import (
    QGuiApplication,
    QTextBlock,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextFormat,
    QTextFragment,
    QTextListFormat,
)

from baton_reasoning.app.shared.rendering.blocks import (
    BLOCK_KIND,
    CODE,
    CODE_HEAD,
    CONTINUED,
    LANGUAGE,
    LINE_BREAK,
    RULE,
    SPACED,
    STRONG,
    UNSET,
)
from baton_reasoning.app.shared.rendering.document import render_into
from baton_reasoning.app.shared.rendering.formula_object import OBJECT_CHARACTER, formula_of
from baton_reasoning.app.shared.rendering.formulas import Formula
from baton_reasoning.app.shared.rendering.style import TextStyle
from baton_reasoning.app.shared.theme import current_theme


class CopyFormat(Enum):
    """How a text may be copied."""

    TEXT = "text"
    MARKDOWN = "Markdown"


def as_plain_text(source: QTextDocument | QTextCursor) -> str:
    """Return the text as one would type it, with the sources of formulas."""
    return _written(source, PlainText())


def as_markdown(source: QTextDocument | QTextCursor) -> str:
    """Return the text as Markdown, with the sources of formulas."""
    return _written(source, Markdown())


def written_as(source: QTextDocument | QTextCursor, form: CopyFormat) -> str:
    return as_plain_text(source) if form is CopyFormat.TEXT else as_markdown(source)


def converted(markdown: str, form: CopyFormat) -> str:
    """Convert a model's text into this format. No formula is typeset for it, so that it takes no time."""
    if form is CopyFormat.MARKDOWN:
        return markdown.strip()
    document = QTextDocument()
    style = TextStyle.of(current_theme().colours, QGuiApplication.font())
    render_into(document, markdown, replace(style, draws_formulas=False))
    return written_as(document, form)


def code_of(document: QTextDocument, address: str) -> str:
    """Return the code under the word "Copy" that leads to `address`; "" if there is none."""
    block = document.begin()
    while block.isValid():
        is_head = block.blockFormat().property(BLOCK_KIND) == CODE_HEAD
        if is_head and any(part.charFormat().anchorHref() == address for part in fragments(block)):
            return block.next().text().replace(LINE_BREAK, "\n")
        block = block.next()
    return ""


def _written(source: QTextDocument | QTextCursor, markup: PlainText) -> str:
    if isinstance(source, QTextDocument):
        cursor = QTextCursor(source)
        cursor.select(QTextCursor.SelectionType.Document)
    else:
        cursor = source
    return markup.document(list(_lines(cursor, markup))).strip()


def _lines(cursor: QTextCursor, markup: PlainText) -> Iterator[DocumentLine]:
    start, end = cursor.selectionStart(), cursor.selectionEnd()
    block = cursor.document().findBlock(start)
    while block.isValid() and block.position() <= end:
        if block.blockFormat().property(BLOCK_KIND) != CODE_HEAD:
            line = line_of(block, _text(block, start, end, markup), start <= block.position())
            if line.text or line.kind or line.row:
                yield line
        block = block.next()


def _text(block: QTextBlock, start: int, end: int, markup: PlainText) -> str:
    """Return what of the block lies between the two positions, in the markup."""
    if block.blockFormat().property(BLOCK_KIND) == CODE:
        selected = block.text()[max(0, start - block.position()) : end - block.position()]
        return selected.replace(LINE_BREAK, "\n")
    written = ""
    for fragment in fragments(block):
        text = fragment.text()[max(0, start - fragment.position()) : max(0, end - fragment.position())]
        written += markup.run(text, fragment.charFormat()) if text else ""
    return written


def fragments(block: QTextBlock) -> Iterator[QTextFragment]:
    """Iterate over the fragments of a block: Qt's own iterator is not one of Python's."""
    at = block.begin()
    while not at.atEnd():
        yield at.fragment()
        at += 1


class TableRow(NamedTuple):
    """Where a cell lies: the table by its place in the document, its columns, the row's number."""

    table: int
    columns: int
    number: int


class DocumentLine(NamedTuple):
    """A block of the document, or the part of it that is copied."""

    text: str  # already written in the markup
    whole: bool  # from its beginning, so that bullets, numbers and heading marks belong to it
    kind: str = ""
    language: str = ""  # of code
    heading: int = 0
    depth: int = 0  # of lists around it
    number: int = 0  # as an item of a numbered list, else 0
    item: bool = False
    quotes: int = 0  # around it
    row: TableRow | None = None


def line_of(block: QTextBlock, text: str, whole: bool) -> DocumentLine:
    """Return what the markup needs to know of a block."""
    form = block.blockFormat()
    kind = str(form.property(BLOCK_KIND) or "")
    table = QTextCursor(block).currentTable() if kind != CODE else None
    row = None
    if table:
        row = TableRow(table.firstPosition(), table.columns(), table.cellAt(block.position()).row())
    around = block.textList()
    numbered = around is not None and around.format().style() is QTextListFormat.Style.ListDecimal
    return DocumentLine(
        text,
        whole,
        kind,
        str(form.property(LANGUAGE) or ""),
        form.headingLevel(),
        around.format().indent() if around else form.indent(),
        around.itemNumber(block) + around.format().start() if numbered else 0,
        around is not None,
        int(form.property(QTextFormat.Property.BlockQuoteLevel) or 0),
        row,
    )


JOINTS = {CONTINUED: "", SPACED: " "}
"""What joins a paragraph to the one before that it continues."""


class PlainText:
    """Text without markup; `Markdown` overrides what it writes differently."""

    def run(self, text: str, form: QTextCharFormat) -> str:
        """Return a fragment in the markup. Equal formulas side by side are one fragment."""
        formula = formula_of(form)
        if formula:
            return self.formula(formula) * text.count(OBJECT_CHARACTER)
        text = text.replace(LINE_BREAK, "\n")
        return text if form.hasProperty(UNSET) else self.styled(text, form)

    def document(self, lines: list[DocumentLine]) -> str:
        """Join all lines, without blank ones between the rows of a table and the items of a list."""
        result = ""
        before: DocumentLine | None = None
        for line, text in self._pieces(lines):
            if before and line.kind in JOINTS:
                result += JOINTS[line.kind]
            elif before:
                result += "\n" if (before.item and line.item) or (before.row and line.row) else "\n\n"
            result += text
            before = line
        return result

    def formula(self, formula: Formula) -> str:
        return formula.source

    def styled(self, text: str, form: QTextCharFormat) -> str:  # noqa: ARG002 — for those who mark formats
        return text

    def rule(self) -> str:
        return "———"

    def code(self, line: DocumentLine) -> str:
        return line.text

    def item(self, line: DocumentLine) -> str:
        mark = f"{line.number}." if line.number else "•"
        return "  " * (line.depth - 1) + f"{mark} {line.text}"

    def heading(self, line: DocumentLine) -> str:
        return line.text

    def paragraph(self, line: DocumentLine) -> str:
        return line.text

    def row(self, cells: list[str], number: int) -> str:  # noqa: ARG002 — for those who rule off the head
        return "\t".join(cells)

    def _pieces(self, lines: list[DocumentLine]) -> list[tuple[DocumentLine, str]]:
        """Return the lines in the markup, the cells of a row as one."""
        pieces = []
        for _, together in groupby(enumerate(lines), key=lambda numbered: numbered[1].row or numbered[0]):
            group = [line for _, line in together]
            first = group[0]
            if first.row:
                pieces.append((first, self.row([line.text for line in group], first.row.number)))
            else:
                pieces.append((first, self._line(first)))
        return pieces

    def _line(self, line: DocumentLine) -> str:
        if line.kind == RULE:
            return self.rule()
        if not line.whole:
            return line.text
        if line.kind == CODE:
            return self.code(line)
        if line.item:
            return self.item(line)
        return self.heading(line) if line.heading else self.paragraph(line)


class Markdown(PlainText):
    """CommonMark with tables, as it was read."""

    def styled(self, text: str, form: QTextCharFormat) -> str:
        bare = text.strip()
        marks = ""
        if form.fontWeight() == STRONG:
            marks += "**"
        if form.fontItalic():
            marks += "*"
        if form.fontStrikeOut():
            marks += "~~"
        if form.fontFixedPitch():
            marks += "`"
        if not bare:
            return text
        marked = f"{marks}{bare}{marks[::-1]}"
        if form.isAnchor():
            marked = f"[{marked}]({form.anchorHref()})"
        return text.replace(bare, marked, 1)  # blanks stay outside, where Markdown wants them

    def rule(self) -> str:
        return "---"

    def code(self, line: DocumentLine) -> str:
        return f"```{line.language}\n{line.text}\n```"

    def item(self, line: DocumentLine) -> str:
        mark = f"{line.number}. " if line.number else "- "
        return "   " * (line.depth - 1) + mark + line.text.replace("\n", "\n" + " " * len(mark))

    def heading(self, line: DocumentLine) -> str:
        return f"{'#' * line.heading} {line.text}"

    def paragraph(self, line: DocumentLine) -> str:
        before = "   " * line.depth + "> " * line.quotes
        return before + line.text.replace("\n", "\n" + before)

    def row(self, cells: list[str], number: int) -> str:
        row = f"| {' | '.join(cells)} |"
        return f"{row}\n|{'---|' * len(cells)}" if number == 0 else row
