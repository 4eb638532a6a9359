"""Turns a rendered document, or the selection in it, back into text. A formula becomes its source."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtGui import QTextBlock, QTextCursor, QTextDocument, QTextFragment, QTextListFormat

from baton_reasoning.app.document.blocks import BLOCK_KIND, CODE_HEAD, CONTINUED, LINE_BREAK, SPACED
from baton_reasoning.app.document.formula_object import OBJECT_CHARACTER, formula_of

JOINTS = {CONTINUED: "", SPACED: " "}
"""What joins a paragraph to the one before that it continues."""


def as_plain_text(source: QTextDocument | QTextCursor) -> str:
    """Return the text as one would type it, with the sources of formulas."""
    cursor = source
    if isinstance(source, QTextDocument):
        cursor = QTextCursor(source)
        cursor.select(QTextCursor.SelectionType.Document)
    assert isinstance(cursor, QTextCursor)
    start, end = cursor.selectionStart(), cursor.selectionEnd()
    copied, before = "", None
    block = cursor.document().findBlock(start)
    while block.isValid() and block.position() <= end:
        text = _text(block, start, end)
        is_cell = QTextCursor(block).currentTable() is not None
        if (text or is_cell) and block.blockFormat().property(BLOCK_KIND) != CODE_HEAD:
            copied += (_joint(before, block) if before else "") + text
            before = block
        block = block.next()
    return copied.strip()


def code_of(document: QTextDocument, address: str) -> str:
    """Return the code under the word "Copy" that leads to `address`; "" if there is none."""
    block = document.begin()
    while block.isValid():
        is_head = block.blockFormat().property(BLOCK_KIND) == CODE_HEAD
        if is_head and any(part.charFormat().anchorHref() == address for part in fragments(block)):
            return block.next().text().replace(LINE_BREAK, "\n")
        block = block.next()
    return ""


def fragments(block: QTextBlock) -> Iterator[QTextFragment]:
    """Iterate over the fragments of a block: Qt's own iterator is not one of Python's."""
    at = block.begin()
    while not at.atEnd():
        yield at.fragment()
        at += 1


def _text(block: QTextBlock, start: int, end: int) -> str:
    """Return what of the block lies between the two positions, after the mark of an item if it is there from its
    beginning."""
    text = ""
    for fragment in fragments(block):
        part = fragment.text()[max(0, start - fragment.position()) : max(0, end - fragment.position())]
        formula = formula_of(fragment.charFormat())  # equal formulas side by side are one fragment
        text += part.replace(OBJECT_CHARACTER, formula.source) if formula else part
    mark = _mark(block) if text and start <= block.position() else ""
    return mark + text.replace(LINE_BREAK, "\n")


def _mark(block: QTextBlock) -> str:
    """Return the bullet or number of an item of a list, as far in as it stands."""
    around = block.textList()
    if around is None:
        return ""
    form = around.format()
    numbered = form.style() is QTextListFormat.Style.ListDecimal
    mark = f"{form.start() + around.itemNumber(block)}." if numbered else "•"
    return f"{'  ' * (form.indent() - 1)}{mark} "


def _joint(before: QTextBlock, block: QTextBlock) -> str:
    """Return what stands between two blocks: a blank line, but none between items of a list and rows of a table."""
    kind = block.blockFormat().property(BLOCK_KIND)
    if kind in JOINTS:
        return JOINTS[kind]
    table = QTextCursor(block).currentTable()
    cell = table.cellAt(before.position()) if table else None
    if table and cell and cell.isValid():
        return "\t" if cell.row() == table.cellAt(block.position()).row() else "\n"
    return "\n" if before.textList() and block.textList() else "\n\n"
