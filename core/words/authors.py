"""The signs and names of authors, for the window, the terminal, Markdown and HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.trace import Piece, Trace

SIGN = {Author.SMALL: "●", Author.LARGE: "◆", Author.INSERTED: "▣", Author.PERSON: "✎"}

WHO = {
    Author.SMALL: "the small model",
    Author.LARGE: "the large model",
    Author.INSERTED: "Baton",
    Author.PERSON: "a person",
}


def own_names(trace: Trace) -> Callable[[Piece], str]:
    """Return a function that names the model of a piece if several models wrote as its author; else it gives ""."""
    models = Counter(model.author for model in trace.writers)
    return lambda piece: piece.card.label if piece.card and models[piece.author] > 1 else ""
