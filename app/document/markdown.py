"""Markdown with mathematics becomes a `QTextDocument`.

Raw HTML is shown as text, pictures as links, links only if they lead to http or https. Nothing is fetched.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from PySide6.QtCore import QUrl
from PySide6.QtGui import QTextCharFormat, QTextCursor, QTextDocument

from baton_reasoning.app.document.blocks import BLOCK_KIND, CONTINUED, Blocks
from baton_reasoning.app.document.formulas import Formula, lift_formulas, put_back, split_at_formulas
from baton_reasoning.app.document.style import TextStyle
from baton_reasoning.app.document.typeset import load_ziamath, typeset

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST_BLOCK = 2_000
"""Characters of a paragraph that is still being written, from which it is continued in another block."""
LONGEST_INDENT = 8
LIST_ITEM = re.compile(r" *([*+-]) ")
"""The beginning of an item of a list, as far as `LONGEST_INDENT` characters."""


def render_into(document: QTextDocument, markdown: str, style: TextStyle) -> None:
    """Replace the document's content. Width and undo stack are left to the caller."""
    document.clear()
    document.setDefaultFont(style.font)
    document.setIndentWidth(24)
    render_at(QTextCursor(document), markdown, style)


def render_at(cursor: QTextCursor, markdown: str, style: TextStyle) -> None:
    """Write at the cursor, from the block it stands in (which should be empty), and leave it at the end."""
    lifted = lift_formulas(markdown)
    cursor.beginEditBlock()
    writer = _Writer(Blocks(cursor, style), lifted.formulas)
    writer.write(_reader().parse(lifted.markdown))
    cursor.endEditBlock()


def append_plain(document: QTextDocument, text: str, letters: QTextCharFormat) -> None:
    """Write plain letters at the end of a document, in time proportional to them.

    Qt lays out a whole block when a letter is added. A paragraph that grows long is therefore continued in a block of
    its own, from where one of its lines begins, so that nothing moves on the screen.
    """
    cursor = QTextCursor(document)
    cursor.movePosition(QTextCursor.MoveOperation.End)
    for number, line in enumerate(text.split("\n")):
        if number:
            form = cursor.blockFormat()
            form.clearProperty(BLOCK_KIND)
            cursor.insertBlock(form)
        for start in range(0, len(line), LONGEST_BLOCK):
            cursor.insertText(line[start : start + LONGEST_BLOCK], letters)
            _show_bullet(cursor, letters)
            _continue_long_block(cursor)


def _show_bullet(cursor: QTextCursor, letters: QTextCharFormat) -> None:
    """Put a bullet in place of the sign that begins an item of a list, as it will be once the text is rendered."""
    block = cursor.block()
    begins_line = block.blockFormat().property(BLOCK_KIND) != CONTINUED
    if not begins_line or not (found := LIST_ITEM.match(block.text()[:LONGEST_INDENT])):
        return
    sign = QTextCursor(block)
    sign.setPosition(block.position() + found.start(1))
    sign.movePosition(QTextCursor.MoveOperation.NextCharacter, QTextCursor.MoveMode.KeepAnchor)
    sign.insertText("•", letters)


def _continue_long_block(cursor: QTextCursor) -> None:
    """Put the last line of the block at the cursor, which stands at its end, into a block of its own."""
    block = cursor.block()
    if block.length() <= LONGEST_BLOCK:
        return
    cursor.document().documentLayout().blockBoundingRect(block)  # lays it out
    lines = block.layout().lineCount()
    if lines < 2:
        return
    form = block.blockFormat()
    form.setProperty(BLOCK_KIND, CONTINUED)
    cursor.setPosition(block.position() + block.layout().lineAt(lines - 1).textStart())
    cursor.insertBlock(form)
    cursor.movePosition(QTextCursor.MoveOperation.End)


def prepare(markdown: str, formula_size: float) -> None:
    """Typeset the formulas of a text ahead, so that `render_into` finds them in the cache; may run in any thread.

    Worth it for an old conversation with hundreds of formulas at about 3 ms each. `formula_size` is that of the
    `TextStyle` that will be used, asked for in the window's own thread.
    """
    for formula in lift_formulas(markdown).formulas:
        typeset(formula.latex, formula.display, formula_size)


def warm_up() -> None:
    """Load markdown-it and ziamath, so that the first text need not wait for them. May run in any thread."""
    _reader()
    load_ziamath()


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt  # not at the start of a window, which it would delay

    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    # Models indent formulas and underline with dashes; neither means code or a heading.
    return reader.disable(["code", "lheading", "reference"])


class _Writer:
    """Walks the tokens of markdown-it and says to `Blocks` what each one means."""

    def __init__(self, blocks: Blocks, formulas: tuple[Formula, ...]) -> None:
        self._blocks = blocks
        self._formulas = formulas

    def write(self, tokens: list[Token]) -> None:  # noqa: C901
        blocks = self._blocks
        for index, token in enumerate(tokens):
            match token.type:
                case "inline":
                    self._write_inline(token.children or [])
                case "paragraph_open":
                    blocks.paragraph()
                case "heading_open":
                    blocks.heading(int(token.tag[1]))
                case "heading_close":
                    blocks.end_heading()
                case "bullet_list_open":
                    blocks.open_list(numbered=False)
                case "ordered_list_open":
                    blocks.open_list(numbered=True, start=int(token.attrGet("start") or 1))
                case "bullet_list_close" | "ordered_list_close":
                    blocks.close_list()
                case "list_item_open":
                    blocks.item()
                case "blockquote_open":
                    blocks.open_quote()
                case "blockquote_close":
                    blocks.close_quote()
                case "fence":
                    language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
                    blocks.code(put_back(token.content, self._formulas).rstrip("\n"), language)
                case "hr":
                    blocks.rule()
                case "table_open":
                    rows, columns = _size_of_table(tokens, index)
                    blocks.open_table(rows, columns)
                case "th_open" | "td_open":
                    blocks.cell(head=token.type == "th_open")
                case "table_close":
                    blocks.close_table()

    def _write_inline(self, tokens: list[Token]) -> None:
        blocks = self._blocks
        for token in tokens:
            match token.type:
                case "text":
                    self._write_text(token.content)
                case "softbreak" | "hardbreak":
                    blocks.line_break()  # models end lines where they mean it
                case "code_inline":
                    blocks.code_word(put_back(token.content, self._formulas))
                case "strong_open":
                    blocks.open_bold()
                case "em_open":
                    blocks.open_italic()
                case "s_open":
                    blocks.open_struck()
                case "link_open":
                    blocks.open_link(_safe_address(put_back(str(token.attrGet("href") or ""), self._formulas)))
                case "strong_close" | "em_close" | "s_close" | "link_close":
                    blocks.close_span()
                case "image":
                    blocks.open_link(_safe_address(str(token.attrGet("src") or "")))
                    self._write_text(token.content or "picture")
                    blocks.close_span()

    def _write_text(self, text: str) -> None:
        for part in split_at_formulas(text, self._formulas):
            if isinstance(part, Formula):
                self._blocks.formula(part)
            else:
                self._blocks.text(part)


def _size_of_table(tokens: list[Token], start: int) -> tuple[int, int]:
    """Return rows and columns of the table that opens at `start`."""
    end = next(i for i in range(start, len(tokens)) if tokens[i].type == "table_close")
    kinds = [token.type for token in tokens[start:end]]
    return kinds.count("tr_open"), kinds.count("th_open")


def _safe_address(address: str) -> str:
    """Return the address if a browser may be sent there, else ""."""
    return address if QUrl(address).scheme() in ("http", "https") else ""
