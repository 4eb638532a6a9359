"""What was set goes back to text: of a whole document, or of what a cursor has selected.

A formula comes back as its source, never as a gap.
"""

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum

from PySide6.QtGui import QGuiApplication, QTextBlock, QTextCursor, QTextDocument, QTextFragment

from app.rendering.blocks import BLOCK_KIND, CODE, CODE_HEAD, LINE_BREAK
from app.rendering.document import render_into
from app.rendering.markup import Latex, Line, Markdown, PlainText, line_of
from app.rendering.style import TextStyle
from app.theme import current_theme


class Form(Enum):
    """How a text may be copied."""

    TEXT = "text"
    MARKDOWN = "Markdown"
    LATEX = "LaTeX"


def as_plain_text(source: QTextDocument | QTextCursor) -> str:
    """As one would type it; formulas as they were written."""
    return _written(source, PlainText())


def as_markdown(source: QTextDocument | QTextCursor) -> str:
    """As it could be read again; formulas as they were written."""
    return _written(source, Markdown())


def as_latex(source: QTextDocument | QTextCursor) -> str:
    """As it could stand in an article; formulas between the delimiters of LaTeX."""
    return _written(source, Latex())


def written_as(source: QTextDocument | QTextCursor, form: Form) -> str:
    return {Form.TEXT: as_plain_text, Form.MARKDOWN: as_markdown, Form.LATEX: as_latex}[form](source)


def converted(markdown: str, form: Form) -> str:
    """A text of a model in another form. No formula is set for it, so that it takes no time."""
    if form is Form.MARKDOWN:
        return markdown.strip()
    document = QTextDocument()
    style = TextStyle.of(current_theme().colours, QGuiApplication.font())
    render_into(document, markdown, replace(style, draws_formulas=False))
    return written_as(document, form)


def code_of(document: QTextDocument, address: str) -> str:
    """The code under the word "Copy" that leads to `address`; empty if there is none."""
    block = document.begin()
    while block.isValid():
        is_head = block.blockFormat().property(BLOCK_KIND) == CODE_HEAD
        if is_head and any(part.charFormat().anchorHref() == address for part in _fragments(block)):
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


def _lines(cursor: QTextCursor, markup: PlainText) -> Iterator[Line]:
    start, end = cursor.selectionStart(), cursor.selectionEnd()
    block = cursor.document().findBlock(start)
    while block.isValid() and block.position() <= end:
        if block.blockFormat().property(BLOCK_KIND) != CODE_HEAD:
            line = line_of(block, _text(block, start, end, markup), start <= block.position())
            if line.text or line.kind or line.row:
                yield line
        block = block.next()


def _text(block: QTextBlock, start: int, end: int, markup: PlainText) -> str:
    """What of the block lies between the two positions, in the markup."""
    if block.blockFormat().property(BLOCK_KIND) == CODE:
        selected = block.text()[max(0, start - block.position()) : end - block.position()]
        return selected.replace(LINE_BREAK, "\n")
    written = ""
    for fragment in _fragments(block):
        text = fragment.text()[max(0, start - fragment.position()) : max(0, end - fragment.position())]
        written += markup.run(text, fragment.charFormat()) if text else ""
    return written


def _fragments(block: QTextBlock) -> Iterator[QTextFragment]:
    """The stretches of one format in a block. Qt's own iterator is not one of Python's."""
    at = block.begin()
    while not at.atEnd():
        yield at.fragment()
        at += 1
