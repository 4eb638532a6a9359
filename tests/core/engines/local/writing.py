"""What the tests do with a session: write with it, and keep what it wrote as a body."""

from collections.abc import Sequence
from contextlib import closing

from baton_reasoning.core.engines.base import Handoff, Session, Token, WriteItem
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.thinking.steps import Decoder


def write(session: Session, body: Body, limit: int, seed: int = 1, stop_after: int | None = None) -> list[WriteItem]:
    """Let a session write on in `body`, closing it after `stop_after` tokens; returns all that it yielded."""
    decoder, items, tokens = Decoder(), list[WriteItem](), 0
    with closing(session.write(body.parts, limit, seed)) as writing:
        for item in writing:
            items.append(item)
            if isinstance(item, Token):
                tokens += 1
                text = decoder.feed(item.data)
                body.append(Part(text, Author.SMALL, item.id, session.card.vocabulary))
                if tokens == stop_after:
                    break
    return items


def ids(items: Sequence[WriteItem]) -> list[int | None]:
    return [item.id for item in items if isinstance(item, Token)]


def handoff(items: Sequence[WriteItem]) -> Handoff:
    return next(item for item in items if isinstance(item, Handoff))


def text_body(text: str) -> Body:
    """A body that somebody else wrote, as text only."""
    return Body([Part(text, Author.LARGE)])
