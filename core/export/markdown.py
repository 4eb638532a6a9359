"""Writes the shown branch of a conversation as Markdown: problems, answers and the folded thinking, signed by author.

Markdown may hold HTML and remote images. What models and people wrote is made inert: a tag is shown as text, and an
image becomes a link, so that opening the file runs nothing and contacts no server.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.export.exported import Answered, Exported
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.trace import thinking_pieces
from baton_reasoning.core.words.authors import SIGN

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_OPENING = "<details><summary>Thinking: ● small, ◆ large, ▣ inserted, ✎ edited</summary>"
_CLOSING = "</details>"
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_IMAGE = re.compile(r"(?<!\\)((?:\\\\)*)!(?=\[)")
"""An exclamation mark that no backslash escapes: one more before `\\!` would escape that backslash instead."""


def to_markdown(exported: Exported) -> str:
    """Write the page. Fenced code stays as it was written, unless a parser of the whole page, with or without tables,
    finds a tag or image in it (where a fence ends depends on what is around it); then all of it is escaped."""
    page = _page(exported, inert)
    return page if _is_inert(page) else _page(exported, escaped)


def inert(text: str) -> str:
    """Remove HTML tags and images from Markdown. Fenced code, in which neither works, stays as it is; an open fence is
    closed, or the rest of the page would be code."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")  # Markdown's line ends
    code: set[int] = set()
    closing = ""
    # Without HTML, which is escaped, or a fence that only a tag hides would count as none.
    for fence in _parser(html=False).disable("inline").parse("\n".join(lines)):
        if fence.type == "fence" and fence.level == 0 and fence.map:
            first, end = fence.map
            code.update(range(first + 1, end))
            is_closed = end - first > 1 and re.fullmatch(rf" {{0,3}}{re.escape(fence.markup)}+\s*", lines[end - 1])
            closing = "" if is_closed else f"\n{fence.markup}"
    return "\n".join(line if number in code else escaped(line) for number, line in enumerate(lines)) + closing


def escaped(text: str) -> str:
    """Escape every tag and image of Markdown, even in code."""
    return _IMAGE.sub(r"\1\\!", _TAG.sub("&lt;", text))


def _parser(html: bool) -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": html})


def _is_inert(page: str) -> bool:
    """Tell whether the page has no HTML except for the folds around thinking, and no image."""
    parsers = (_parser(html=True), _parser(html=True).enable("table"))
    blocks = [block for parser in parsers for block in parser.parse(page)]
    tokens = [token for block in blocks for token in (block, *(block.children or ()))]
    html_of = {token.content.strip() for token in tokens if token.type in ("html_block", "html_inline")}
    return html_of <= {_OPENING, _CLOSING} and not any(token.type == "image" for token in tokens)


def _page(exported: Exported, made_inert: Callable[[str], str]) -> str:
    title = escaped(" ".join(exported.name.split()))
    left_out = f"*{note}*\n\n" if (note := exported.left_out()) else ""
    answered = (_answered(each, made_inert) for each in exported.path())
    return f"# {title}\n\n{left_out}" + "\n\n".join(answered) + "\n"


def described(each: Answered) -> str:
    """Describe an answer in one line: tokens, share, time, date, models, policy and seed."""
    trace, started = each.trace, each.trace.started
    finish = f", {trace.finish.value}" if trace.finish else ""
    figures = f"{counted(trace.tokens, 'token')}, large share {trace.large_share:.0%}, {trace.seconds:.1f} s{finish}"
    parts = [figures, f"{each.exchange.created:%Y-%m-%d %H:%M}"]
    if started:
        cards = ((SIGN[Author.SMALL], started.small), (SIGN[Author.LARGE], started.large))
        parts += [f"{sign} {card.name} {card.quantisation}".strip() for sign, card in cards if card]
        parts += [f"policy {started.policy}", f"seed {started.seed}"]
    return " · ".join(parts)


def system_of(each: Answered) -> str:
    """Return the system prompt; "" if there is none."""
    return str(each.exchange.settings.get("system", "")).strip()


def _answered(each: Answered, made_inert: Callable[[str], str]) -> str:
    quoted = "\n".join(f"> {line}".rstrip() for line in made_inert(each.exchange.problem.strip()).split("\n"))
    system = escaped(" ".join(system_of(each).split()))
    head = f"*System prompt: {system}*" if system else ""
    answer, figures = made_inert(each.trace.answer.strip()), f"*{escaped(described(each))}*"
    parts = (head, quoted, answer, _thinking(each), figures)
    return "\n\n".join(part for part in parts if part)


def _thinking(each: Answered) -> str:
    pieces = thinking_pieces(each.trace)
    if not (each.trace.thinks and pieces):
        return ""
    # All of it escaped: a model must not be able to close the fold.
    written = "\n\n".join(
        f"{SIGN[piece.author]} {escaped(html.escape(piece.text.strip(), quote=False))}" for piece in pieces
    )
    return f"{_OPENING}\n\n{written}\n\n{_CLOSING}"
