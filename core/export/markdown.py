"""Writes the shown branch of a conversation as Markdown: problems, answers and the folded reasoning, signed by author.

Markdown may hold HTML and remote images. What models and people wrote is made inert: a tag is shown as text, and an
image becomes a link, so that opening the file runs nothing and contacts no server.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from baton_reasoning.core.conversation import Conversation, Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.text import counted, one_line, safe_text
from baton_reasoning.core.thinking.trace import Piece, Trace, thinking_pieces
from baton_reasoning.core.words.authors import SIGN, WHO, own_names
from baton_reasoning.core.words.numbers import duration
from baton_reasoning.core.words.plain_text import as_read
from baton_reasoning.core.words.step_rows import TracePart, part_of

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_THINKING, _ANSWER = (
    f"<details><summary>{title}: ● small, ◆ large, ▣ inserted, ✎ edited</summary>"
    for title in ("Reasoning", "Who wrote what")
)
_CLOSING = "</details>"
_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})", re.MULTILINE)
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_IMAGE = re.compile(r"(?<!\\)((?:\\\\)*)!(?=\[)")
"""An exclamation mark that no backslash escapes: one more before `\\!` would escape that backslash instead."""


def to_markdown(conversation: Conversation) -> str:
    """Write the page. Fenced code stays as it was written, unless a parser of the whole page, with or without tables,
    finds a tag or image in it (where a fence ends depends on what is around it); then all of it is escaped."""
    page = safe_text(_page(conversation, inert))
    return page if _is_inert(page) else safe_text(_page(conversation, escaped))


def inert(text: str) -> str:
    """Remove HTML tags and images from Markdown. Fenced code, in which neither works, stays as it is; an open fence is
    closed, or the rest of the page would be code."""
    lines = _with_line_feeds(text).split("\n")
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


def _with_line_feeds(text: str) -> str:
    """Write all line ends of Markdown in one way."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def escaped(text: str) -> str:
    """Escape every tag and image of Markdown, even in code."""
    return _IMAGE.sub(r"\1\\!", _TAG.sub("&lt;", text))


def _parser(html: bool) -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": html})


def _is_inert(page: str) -> bool:
    """Tell whether the page has no HTML except for its folds, and no image."""
    parsers = (_parser(html=True), _parser(html=True).enable("table"))
    blocks = [block for parser in parsers for block in parser.parse(page)]
    tokens = [token for block in blocks for token in (block, *(block.children or ()))]
    html_of = {token.content.strip() for token in tokens if token.type in ("html_block", "html_inline")}
    return html_of <= {_THINKING, _ANSWER, _CLOSING} and not any(token.type == "image" for token in tokens)


def _page(conversation: Conversation, made_inert: Callable[[str], str]) -> str:
    title = escaped(" ".join(conversation.name.split()))
    others = f"*{note}*\n\n" if (note := left_out(conversation)) else ""
    answered = (_answered(each, made_inert) for each in conversation.path)
    return f"# {title}\n\n{others}" + "\n\n".join(answered) + "\n"


def left_out(conversation: Conversation) -> str:
    """Say how many exchanges a page does not show; empty if it shows all."""
    others = len(list(conversation)) - len(conversation.path)
    if not others:
        return ""
    attempts = "1 other attempt is" if others == 1 else f"{others} other attempts are"
    return f"Only the branch that was in view: {attempts} in the JSON export."


def described(each: Exchange) -> str:
    """Describe an answer in one line: tokens, share, time, date, who wrote how much, policies and seeds."""
    trace = each.trace
    finish = f", {trace.finish.value}" if trace.finish else ""
    figures = (
        f"{counted(trace.tokens, 'token')}, large share {trace.large_share:.0%}, {duration(trace.seconds)}{finish}"
    )
    parts = [figures, f"{each.created:%Y-%m-%d %H:%M}"]
    shares = [(SIGN[author], card.label, counted(tokens, "token")) for author, card, tokens in trace.models if card]
    parts += [f"{sign} {name}, {tokens}" for sign, name, tokens in shares]
    if any(piece.author is Author.PERSON for piece in trace.pieces):
        parts.append(f"{SIGN[Author.PERSON]} {WHO[Author.PERSON]}")
    if runs := trace.runs or ([trace.started] if trace.started else []):
        seeds = list(dict.fromkeys(str(run.seed) for run in runs))
        parts.append(f"policy {', then '.join(dict.fromkeys(run.policy for run in runs))}")
        parts.append(f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(seeds)}")
    return " ".join(" · ".join(parts).split())


def notices_of(each: Exchange) -> list[str]:
    """Return what a reader must know of an answer, a line each: that a model was lost, or that a part is damaged."""
    return list(dict.fromkeys(one_line(notice.text) for notice in each.trace.notices))


def _answered(each: Exchange, made_inert: Callable[[str], str]) -> str:
    quoted = "\n".join(f"> {line}".rstrip() for line in made_inert(each.problem.strip()).split("\n"))
    system = escaped(" ".join(each.settings.system.split()))
    head = f"*System prompt: {system}*" if system else ""
    person = _part_of_person(each.trace)
    note = f"*{SIGN[Author.PERSON]} A person wrote a part of {person}.*" if person else ""
    answer, figures = made_inert(_answer(each.trace)), f"*{escaped(described(each))}*"
    notices = "\n\n".join(f"*{escaped(notice)}*" for notice in notices_of(each))
    thinking = [(piece, piece.text) for piece in thinking_pieces(each.trace)] if each.trace.thinks else []
    folds = _fold(_THINKING, each.trace, thinking), _who_wrote_what(each.trace)
    parts = (head, quoted, note, notices, answer, *folds, figures)
    return "\n\n".join(part for part in parts if part)


def _answer(trace: Trace) -> str:
    """Return the answer, without control tags; the whole text of a model without thinking."""
    return part_of(trace, TracePart.ANSWER if trace.thinks else TracePart.THINKING, live=False)[0].strip()


def _part_of_person(trace: Trace) -> str:
    """Name what a person wrote a part of; "" for nothing."""
    if any(piece.author is Author.PERSON for piece, _ in answer_stretches(trace)):
        return "the answer"
    return "the reasoning" if any(piece.author is Author.PERSON for piece in trace.pieces) else ""


def answer_stretches(trace: Trace) -> list[tuple[Piece, str]]:
    """Return the answer in stretches that one model, a policy or a person wrote in one go, each with its first piece.

    White space between two stretches belongs to the first.
    """
    if trace.thinks and not trace.closed:
        return []
    start = trace.closed.position if trace.closed else 0
    stretches: list[tuple[Piece, str]] = []
    for piece in trace.pieces:
        text = piece.text[max(0, start - piece.position) :]
        shown = "" if stretches and stretches[-1][0].writer == piece.writer else text.lstrip()
        if stretches:
            stretches[-1] = stretches[-1][0], stretches[-1][1] + text.removesuffix(shown)
        if shown:
            stretches.append((piece, shown))
    return stretches


def _who_wrote_what(trace: Trace) -> str:
    """Sign the stretches of an answer, unless one model wrote all of it."""
    stretches = answer_stretches(trace)
    is_by_one = len(stretches) == 1 and stretches[0][0].author is not Author.PERSON
    return "" if is_by_one else _fold(_ANSWER, trace, stretches)


def _fold(opening: str, trace: Trace, stretches: Sequence[tuple[Piece, str]]) -> str:
    """Sign each stretch of a text in a fold, which nobody who wrote in it can close: all of it is escaped, and fences
    are none, as others may have written their ends."""
    if not stretches:
        return ""
    name = own_names(trace)

    def signed(piece: Piece, text: str) -> str:
        own = f"{name(piece)}: " if name(piece) else ""
        shown = html.escape(own + _with_line_feeds(as_read(trace, piece, text)).strip(), quote=False)
        unfenced = _FENCE.sub(lambda fence: fence[1] + "".join(f"\\{mark}" for mark in fence[2]), shown)
        return f"{SIGN[piece.author]} {escaped(unfenced)}"

    return "\n\n".join((opening, *(signed(*stretch) for stretch in stretches), _CLOSING))
