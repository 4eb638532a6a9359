"""A selection as plain text; and what is on the clipboard when the program ends."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtGui import QClipboard, QGuiApplication, QTextBlock, QTextCursor, QTextFragment
from shiboken6 import createdByPython

from baton_reasoning.app.document.row_writer import LINE_BREAK
from baton_reasoning.app.document.style import NOTE
from baton_reasoning.app.document.typeset import formula_of
from baton_reasoning.core.markdown.blocks import FORMULA_CHARACTER


def release_clipboard() -> None:
    """Put a text of Qt's own in the place of a selection that was copied.

    To be called before the program ends: Qt frees the clipboard when Python has ended, and would crash on what Python
    made for it.
    """
    clipboard = QGuiApplication.clipboard()
    for mode in (QClipboard.Mode.Clipboard, QClipboard.Mode.Selection):
        copied = clipboard.mimeData(mode)
        if copied and createdByPython(copied):
            clipboard.setText(copied.text(), mode)


def selected_text(cursor: QTextCursor) -> str:
    """Return what is selected as plain text: formulas as LaTeX, with tabs between the cells of a table."""
    start, end = cursor.selectionStart(), cursor.selectionEnd()
    block, text = cursor.document().findBlock(start), ""
    while block.isValid() and block.position() <= end:
        if not block.blockFormat().property(NOTE):
            text += _joint(block) if text else ""
            text += "".join(_written(fragment, start, end) for fragment in fragments(block))
        block = block.next()
    return text.strip("\n").rstrip()  # the blanks before a line of code mean something


def _written(fragment: QTextFragment, start: int, end: int) -> str:
    """Return what was written in this fragment between two positions of the document."""
    form, at = fragment.charFormat(), fragment.position()
    if form.property(NOTE):
        return ""
    units = fragment.text().encode("utf-16-le", "surrogatepass")  # in which Qt counts
    part = units[2 * max(0, start - at) : 2 * max(0, end - at)].decode("utf-16-le", "surrogatepass")
    formula = formula_of(form)  # equal formulas side by side are one fragment
    return part.replace(FORMULA_CHARACTER, formula.source) if formula else part.replace(LINE_BREAK, "\n")


def _joint(block: QTextBlock) -> str:
    """Return what stands before a block: a line break, or a tab in a row of a table."""
    table = QTextCursor(block).currentTable()
    is_in_row = table is not None and table.cellAt(block.position()).column() > 0
    return "\t" if is_in_row else "\n"


def fragments(block: QTextBlock) -> Iterator[QTextFragment]:
    """Iterate over the fragments of a block: Qt's own iterator is not one of Python's."""
    at = block.begin()
    while not at.atEnd():
        yield at.fragment()
        at += 1
