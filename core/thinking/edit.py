"""Lets a person edit an answer: makes the trace from which the models continue."""

from __future__ import annotations

from itertools import takewhile

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import RunStarted, TakeoverEnded, TextInserted, ThinkingClosed
from baton_reasoning.core.thinking.reasons import EDITED
from baton_reasoning.core.thinking.text import Text
from baton_reasoning.core.thinking.trace import Trace


def edited(trace: Trace, position: int, text: str) -> Trace:
    """Return a new trace that ends with `text` from `position` on (characters of the body); "" only cuts there.

    What is the same as before keeps its authors. A person's text begins at the first token that differs.
    After a closing tag in it the answer begins. Raises StoreError if the trace is damaged.
    """
    before = trace.text
    unchanged = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before[position:], text, strict=False)))
    kept = trace.until(position + unchanged)
    if not (added := (before[:position] + text)[kept.length :]):
        return kept
    if not kept.events:
        kept = Trace.of(event for event in trace.events[:1] if isinstance(event, RunStarted))
    at = kept.events[-1].at if kept.events else 0.0
    if kept.takeover:
        tokens = sum(len(piece.tokens) for piece in kept.pieces if piece.takeover is kept.takeover)
        kept.apply(TakeoverEnded(at, tokens))
    state = Text(_closing_tags(kept), kept.parts())
    if tag := state.close_thinking():
        kept.apply(ThinkingClosed(at, kept.pieces[-1].author, state.answer_start or 0, tag))
    state.insert(added, Author.PERSON)
    kept.apply(TextInserted(at, added, EDITED.id, Author.PERSON))
    if tag := state.close_thinking():
        kept.apply(ThinkingClosed(at, Author.PERSON, state.answer_start or 0, tag))
    return kept


def _closing_tags(trace: Trace) -> list[str]:
    if not (trace.started and trace.started.thinking):
        return []
    cards = (trace.started.small, trace.started.large)
    return [card.thinking.closing for card in cards if card and card.thinking]
