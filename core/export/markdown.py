"""What was shown, as Markdown: problems, answers, and the thinking folded, with a sign for each author."""

from __future__ import annotations

import html

from core.engines.body import Author
from core.export.exported import Answered, Exported

SIGNS = {Author.SMALL: "●", Author.LARGE: "◆", Author.INSERTED: "▣"}
"""The marks of the window, so that a colour is never the only sign."""


def to_markdown(exported: Exported) -> str:
    title = " ".join(exported.name.split())
    left_out = f"*{note}*\n\n" if (note := exported.left_out()) else ""
    return f"# {title}\n\n{left_out}" + "\n\n".join(map(_answered, exported.path())) + "\n"


def described(each: Answered) -> str:
    """Tokens, share and time in one line."""
    trace = each.trace
    finish = f", {trace.finish.value}" if trace.finish else ""
    return f"{trace.tokens} tokens, large share {trace.large_share:.0%}, {trace.seconds:.1f} s{finish}"


def _answered(each: Answered) -> str:
    quoted = "\n".join(f"> {line}".rstrip() for line in each.exchange.problem.strip().split("\n"))
    parts = [quoted, each.trace.answer.strip(), _thinking(each), f"*{described(each)}*"]
    return "\n\n".join(part for part in parts if part)


def _thinking(each: Answered) -> str:
    pieces = [piece for piece in each.trace.pieces if not piece.in_answer and piece.text.strip()]
    if not each.trace.thinks or not pieces:
        return ""
    # Escaped: a model must not be able to close the fold.
    written = "\n\n".join(f"{SIGNS[piece.author]} {html.escape(piece.text.strip(), quote=False)}" for piece in pieces)
    return f"<details><summary>Thinking: ● small, ◆ large, ▣ inserted</summary>\n\n{written}\n\n</details>"
