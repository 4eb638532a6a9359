"""What the tests do with a session: write with it, break it at a token, and keep what it wrote as a body."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from multiprocessing.connection import Connection
from typing import Any

import pytest

from baton_reasoning.core.engines.base import Handoff, Session, Token, WriteItem
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local import messages
from baton_reasoning.core.engines.local.engine import LocalSession
from baton_reasoning.core.thinking.text import Utf8Decoder


def write(session: Session, body: Body, limit: int, seed: int = 1, stop_after: int | None = None) -> list[WriteItem]:
    """Let a session write on in `body`, closing it after `stop_after` tokens; returns all that it yielded."""
    decoder, items, tokens = Utf8Decoder(), list[WriteItem](), 0
    with closing(session.write(body.parts, limit, seed)) as writing:
        for item in writing:
            items.append(item)
            if isinstance(item, Token):
                tokens += 1
                text = decoder.decode(item.data)
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


def text_read(session: LocalSession, body: Sequence[Part]) -> str:
    """The body in the tokens that the model reads."""
    return "".join(token.text for token in session.score(body, 0).tokens)


def likeliest(session: LocalSession, body: Sequence[Part]) -> list[tuple[int | None, float]]:
    """The five likeliest tokens after a body, and their log-probabilities."""
    token = next(item for item in session.write(body, 1, 1, alternatives=5) if isinstance(item, Token))
    return [(choice.id, choice.logprob) for choice in token.alternatives]


def assert_cache_holds(body: Sequence[Part], session: LocalSession, fresh: LocalSession) -> None:
    """After this body a session finds the same tokens likely as a fresh one that reads all of it.

    Batches of other shapes round differently, by up to 0.4 a logit.
    """
    reused, found = session.read(body).reused, dict(likeliest(session, body))  # first: they may share one slot
    assert reused > fresh.read(body).reused
    expected = dict(likeliest(fresh, body))
    shared = found.keys() & expected.keys()
    assert len(shared) >= 3
    assert [found[id] for id in shared] == pytest.approx([expected[id] for id in shared], abs=0.8)


def at_token(number: int, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], object], texts: int = 1) -> None:
    """Let a fault happen in the thread that reads replies, once it has read so many tokens of each of `texts` texts.

    No text is over then, whatever the machine's pace: `narrow_pipe` keeps the model from being far ahead.
    """
    seen, is_over, receive = Counter[int](), False, messages.receive

    def receive_until_fault(connection: Connection) -> Any:
        nonlocal is_over
        message = receive(connection)  # threads of other engines come here, too, with their heartbeats
        if isinstance(message, list) and not is_over:
            seen.update(request for request, item in message if isinstance(item, Token))
            if sum(tokens >= number for tokens in seen.values()) == texts:
                is_over = True
                fault()
        return message

    monkeypatch.setattr(messages, "receive", receive_until_fault)
