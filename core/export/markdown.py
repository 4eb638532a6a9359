"""The shown branch of a conversation as Markdown: problems, answers, and the thinking folded, with signs for authors.

Markdown may hold HTML and remote images. What models and people wrote becomes inert: a tag is shown as text, and an
image becomes a link, so that opening the file runs nothing and asks no server.
"""

from __future__ import annotations

import html
import re

from core.engines.body import Author
from core.export.exported import Answered, Exported
from core.thinking.trace import Trace

SIGNS = {Author.SMALL: "●", Author.LARGE: "◆", Author.INSERTED: "▣"}
"""The marks of the window, so that a colour is never the only sign."""


def to_markdown(exported: Exported) -> str:
    title = inert(" ".join(exported.name.split()))
    left_out = f"*{note}*\n\n" if (note := exported.left_out()) else ""
    return f"# {title}\n\n{left_out}" + "\n\n".join(map(_answered, exported.path())) + "\n"


_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_IMAGE = re.compile(r"(?<!\\)((?:\\\\)*)!(?=\[)")
"""An exclamation mark that no backslash escapes: one more before `\\!` would escape that backslash instead."""


def inert(text: str) -> str:
    """The Markdown without HTML tags and images; fenced code, in which neither works, stays as it is."""
    lines = []
    fence = ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):  # Markdown's line ends
        mark = _FENCE.match(line)
        if fence:
            closes = mark and mark[1].startswith(fence) and not mark[2].strip()
            fence = "" if closes else fence
            lines.append(line)
        elif mark and not (mark[1][0] == "`" and "`" in mark[2]):
            fence = mark[1]
            lines.append(_TAG.sub("&lt;", line))
        else:
            lines.append(_without_images(_TAG.sub("&lt;", line)))
    return "\n".join(lines)


def _without_images(text: str) -> str:
    return _IMAGE.sub(r"\1\\!", text)


def described(each: Answered) -> str:
    """Tokens, share, time, date, models, policy and seed in one line."""
    trace = each.trace
    finish = f", {trace.finish.value}" if trace.finish else ""
    tokens = f"{trace.tokens:,} token{'s' if trace.tokens != 1 else ''}"
    share = f"large share {trace.large_share:.0%}, {trace.seconds:.1f} s{finish}"
    return f"{tokens}, {share} · {each.exchange.created:%Y-%m-%d %H:%M}{used(trace)}"


def used(trace: Trace) -> str:
    """Models, policy and seed of the run, after a separator; nothing if it never began."""
    started = trace.started
    if started is None:
        return ""
    cards = ((SIGNS[Author.SMALL], started.small), (SIGNS[Author.LARGE], started.large))
    models = [f"{sign} {card.name} {card.quantisation}".strip() for sign, card in cards if card]
    return " · ".join(["", *models, f"policy {started.policy}", f"seed {started.seed}"])


def system_of(each: Answered) -> str:
    """The system prompt that the models had; "" if none."""
    return str(each.exchange.settings.get("system", "")).strip()


def _answered(each: Answered) -> str:
    quoted = "\n".join(f"> {line}".rstrip() for line in inert(each.exchange.problem.strip()).split("\n"))
    system = " ".join(inert(system_of(each)).split())
    head = f"*System prompt: {system}*" if system else ""
    parts = [
        head,
        quoted,
        inert(each.trace.answer.strip()),
        _thinking(each),
        f"*{described(each)}*",
    ]
    return "\n\n".join(part for part in parts if part)


def _thinking(each: Answered) -> str:
    tag = each.trace.closed.tag if each.trace.closed else ""
    pieces = [piece for piece in each.trace.pieces if not piece.in_answer and piece.text.strip() not in ("", tag)]
    if not each.trace.thinks or not pieces:
        return ""
    # All of it escaped: a model must not be able to close the fold.
    written = "\n\n".join(
        f"{SIGNS[piece.author]} {_without_images(html.escape(piece.text.strip(), quote=False))}" for piece in pieces
    )
    return f"<details><summary>Thinking: ● small, ◆ large, ▣ inserted</summary>\n\n{written}\n\n</details>"
