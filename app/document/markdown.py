"""Markdown with mathematics becomes a `QTextDocument`.

markdown-it writes HTML, Qt reads it, and formulas take the places that were kept for them:

    Markdown ─► formulas lifted out ─► HTML ─► document ─► formulas put in

Raw HTML is shown as text, pictures as links, links only if they lead to http or https. Nothing is fetched.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QUrl
from PySide6.QtGui import QColor, QTextCharFormat, QTextCursor, QTextDocument

from baton_reasoning.app.document.formulas import PLACEHOLDER, Formula, lift_formulas, placeholder, put_back
from baton_reasoning.app.document.style import TextStyle
from baton_reasoning.app.document.typeset import engine, insert_formula

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LINE_BREAK = "\u2028"
"""Qt's line inside a block."""
COPY_SCHEME = "copy"
"""The word "Copy" over a block of code is a link of this scheme, which holds the code."""
_JOINT = "<p>\ue002</p>"
"""Qt lets the first block of inserted HTML end the block at the cursor. This one does, and is deleted again."""
_BESIDE_DISPLAY = r"(?:<br ?/?>|[ \n])*"
_CELL_OR_PLACEHOLDER = re.compile(
    rf"<t[hd].*?</t[hd]>|{_BESIDE_DISPLAY}(?P<formula>{PLACEHOLDER.pattern}){_BESIDE_DISPLAY}", re.DOTALL
)


def render_into(document: QTextDocument, markdown: str, style: TextStyle) -> None:
    """Replace the document's content. Width and undo stack are left to the caller."""
    document.clear()
    style.apply_to(document)
    render_at(QTextCursor(document), markdown, style)


def render_at(cursor: QTextCursor, markdown: str, style: TextStyle) -> None:
    """Write blocks after the one in which the cursor stands, at its end; an empty document is filled from its first.

    The cursor is left at the end. The document must have been given the style (`TextStyle.apply_to`).
    """
    lifted = lift_formulas(markdown)
    start = cursor.position()
    cursor.beginEditBlock()
    body = _html(lifted.markdown, lifted.formulas) or "<p></p>"
    cursor.insertHtml(f'<body style="color: {style.ink}">{_JOINT if start else ""}{body}</body>')
    if start:
        joint = QTextCursor(cursor.document())
        joint.setPosition(start)
        joint.deleteChar()
    _put_formulas(cursor.document(), start, lifted.formulas, style)
    cursor.endEditBlock()


def append_plain(document: QTextDocument, text: str, style: TextStyle) -> None:
    """Write plain letters at the end of a document."""
    letters = QTextCharFormat()
    letters.setFont(style.font)
    letters.setForeground(QColor(style.ink))
    cursor = QTextCursor(document)
    cursor.movePosition(QTextCursor.MoveOperation.End)
    cursor.insertText(text, letters)


def code_of(address: str) -> str:
    """Return the code that the word "Copy" with this address stands over."""
    return urlsafe_b64decode(address.removeprefix(f"{COPY_SCHEME}:")).decode()


def warm_up() -> None:
    """Load markdown-it and ziamath, so that the first text need not wait for them. May run in any thread."""
    _reader()
    engine()


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt  # not at the start of a window, which it would delay

    # Models end lines where they mean it. They indent formulas, and underline with dashes; neither means code or a
    # heading.
    reader = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    reader.disable(["code", "lheading", "reference"])
    reader.validateLink = _leads_to_the_web  # type: ignore[assignment, method-assign]
    for name, rule in RULES.items():
        reader.add_render_rule(name, rule)
    return reader


def _html(markdown: str, formulas: tuple[Formula, ...]) -> str:
    """Return the HTML of a text. Formulas are placeholders in it; displayed ones stand centred between paragraphs."""

    def between(found: re.Match[str]) -> str:
        mark = found["formula"]
        if mark is None or not formulas[int(mark[1:-1])].display:
            return found[0]
        return f'</p><p align="center">{mark}</p><p>'

    html = _reader().render(markdown, {"formulas": formulas}).replace("\n", "")  # white space counts (style.py)
    return _CELL_OR_PLACEHOLDER.sub(between, html).replace("<p></p>", "")


def _put_formulas(document: QTextDocument, start: int, formulas: Sequence[Formula], style: TextStyle) -> None:
    """Put formulas in the places kept for them from `start` on; one that cannot be typeset stands there as code."""
    for number, formula in enumerate(formulas):
        place = document.find(placeholder(number), start)
        if place.isNull():
            continue  # in the address of a link
        form = place.charFormat()
        if not insert_formula(place, formula, style.in_ink(form.foreground().color().name())):
            place.insertText(formula.source.replace("\n", LINE_BREAK), style.as_code(form))
        start = place.position()


# How markdown-it is to write some tokens: it calls these with itself, all tokens, the index of one, its options, and
# what was given to `render`.


def _fence(_: object, tokens: Sequence[Token], index: int, __: object, given: Any) -> str:
    token = tokens[index]
    language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
    code = put_back(token.content, given["formulas"]).rstrip("\n")
    address = f"{COPY_SCHEME}:{urlsafe_b64encode(code.encode(errors='replace')).decode()}"
    link = f'<a href="{address}" title="Copy this code">{f"Copy {escape(language)}".strip()}</a>'
    lines = escape(code).replace("\n", "<br>")
    table = '<table class="code" width="100%" border="1" cellspacing="0"><tr><td class="code">'
    return f'{table}<p align="right">{link}</p><p class="code">{lines}</p></td></tr></table>'


def _code(_: object, tokens: Sequence[Token], index: int, __: object, given: Any) -> str:
    return f"<code>{escape(put_back(tokens[index].content, given['formulas']))}</code>"


def _image(_: object, tokens: Sequence[Token], index: int, __: object, ___: object) -> str:
    address = escape(str(tokens[index].attrGet("src")))
    return f'<a href="{address}" title="{address}">{escape(tokens[index].content or "picture")}</a>'


def _link(_: object, tokens: Sequence[Token], index: int, __: object, ___: object) -> str:
    address = escape(str(tokens[index].attrGet("href")))
    return f'<a href="{address}" title="{address}">'


def _heading(_: object, tokens: Sequence[Token], index: int, __: object, ___: object) -> str:
    """Not <h1>: Qt would choose its size."""
    return f'<p class="{tokens[index].tag}">' if tokens[index].nesting > 0 else "</p>"


RULES = {
    "fence": _fence,
    "code_inline": _code,
    "image": _image,
    "link_open": _link,
    "heading_open": _heading,
    "heading_close": _heading,
}


def _leads_to_the_web(address: str) -> bool:
    return QUrl(address).scheme() in ("http", "https")
