"""What the tests do with a session: write with it, break it at a token, and keep what it wrote as a body."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from typing import Any

import pytest

from baton_reasoning.core.engines.base import Handoff, Session, Token, WriteItem
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local import process
from baton_reasoning.core.engines.local.messages import receive
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


def at_token(number: int, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], object], texts: int = 1) -> None:
    """Let a fault happen in the thread that reads replies, once it has read so many tokens of each of `texts` texts.

    No text is over then, whatever the machine's pace: `narrow_pipe` keeps the model from being far ahead.
    """
    seen, is_over = Counter[int](), False

    def receive_until_fault(connection: Connection) -> Any:
        nonlocal is_over
        message = receive(connection)  # threads of other engines come here, too, with their heartbeats
        if isinstance(message, list) and not is_over:
            seen.update(request for request, item in message if isinstance(item, Token))
            if sum(tokens >= number for tokens in seen.values()) == texts:
                is_over = True
                fault()
        return message

    monkeypatch.setattr(process, "receive", receive_until_fault)
