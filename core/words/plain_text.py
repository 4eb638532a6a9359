"""What was written, as it is read elsewhere: without control tags, and with the reason of what Baton inserted."""

from __future__ import annotations

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.trace import Piece, Trace, thinking_pieces
from baton_reasoning.core.words.step_rows import TracePart, closing_words, part_of, reason_words, without_channel_heads


def answer_text(trace: Trace) -> str:
    """Return the answer, or the reasoning if there is none."""
    return _part(trace, TracePart.ANSWER) or _part(trace, TracePart.THINKING)


def step_text(trace: Trace, piece: Piece) -> str:
    """Return what a piece says, indented as it stands: in code and lists the blanks before a line mean something."""
    text = as_read(trace, piece, piece.text).rstrip()
    said = text.lstrip()
    before = trace.text[: piece.position] + text.removesuffix(said)
    indentation = before[len(before.rstrip(" \t")) :]
    return (indentation if before.endswith("\n" + indentation) else "") + said


def whole_text(trace: Trace) -> str:
    """Return the reasoning and the answer, each below its name; the text alone where there is only one of them."""
    reasoning = "".join(as_read(trace, piece, piece.text) for piece in thinking_pieces(trace)).strip()
    answer = _part(trace, TracePart.ANSWER)
    if not (reasoning and answer):
        return answer or reasoning
    return f"Reasoning\n\n{reasoning}\n\nAnswer\n\n{answer}"


def as_read(trace: Trace, piece: Piece, text: str) -> str:
    """Return a text of a piece without the closing tag; if Baton inserted it, with the reason: “Let us check. (count of
    negative sentences)”."""
    tag = trace.closed.tag if trace.closed else ""
    if tag:
        text = "\n".join(line for line in text.split("\n") if line.strip() != tag)
        said = text.rstrip()
        text = said.removesuffix(tag) + text[len(said) :]
    text = without_channel_heads(trace, text)
    if piece.author is not Author.INSERTED:
        return text
    said = text.strip()
    if not said:
        return closing_words(piece)
    reason = f" ({reason_words(piece)})" if piece.reason else ""
    return text.replace(said, said + reason)


def _part(trace: Trace, part: TracePart) -> str:
    return part_of(trace, part, live=False)[0].strip()
