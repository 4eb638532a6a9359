"""The two real models, each loaded once, a pipe that holds little, and what the tests do with a session."""

import multiprocessing
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Any

import psutil
import pytest

from baton_reasoning.core.engines.base import Handoff, Message, Messages, Notice, Session, Token, WriteItem
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local import messages
from baton_reasoning.core.engines.local.engine import LocalEngine, LocalSession
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.thinking.text import Utf8Decoder

QUESTION: Messages = (Message("user", "How many pets has Ed, who has 2 dogs, 3 cats and 4 fish? Check it."),)
GREEDY = Sampling(temperature=0)


@pytest.fixture(scope="session")
def small_engine(smollm2):
    with closing(LocalEngine(smollm2, LoadOptions(context=2048, batch=128, threads=1))) as engine:
        yield engine


@pytest.fixture(scope="session")
def large_engine(gemma):
    with closing(LocalEngine(gemma, LoadOptions(context=2048, batch=128, threads=1))) as engine:
        yield engine


@pytest.fixture
def session(small_engine):
    """A text of the small model, which takes the likeliest token each time."""
    with closing(small_engine.open(QUESTION, GREEDY)) as session:
        yield session


@pytest.fixture(autouse=True)
def narrow_pipe(monkeypatch):
    """A pipe that holds a few replies, so that a model is never far ahead of the thread that reads them."""
    spawn = multiprocessing.get_context("spawn")
    make = spawn.Pipe

    def narrow(duplex: bool = True) -> tuple[Any, Any]:
        ours, theirs = make(duplex)
        if duplex and sys.platform != "win32":
            with socket.socket(fileno=os.dup(theirs.fileno())) as end:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least that the system has
        return ours, theirs

    monkeypatch.setattr(spawn, "Pipe", narrow)


def process_of(engine: LocalEngine) -> psutil.Process:
    """To kill it or to stop it, on every system in the same way."""
    assert engine.process.pid, "None would be this process"
    return psutil.Process(engine.process.pid)


def at_token(number: int, monkeypatch: pytest.MonkeyPatch, fault: Callable[[], object], texts: int = 1) -> None:
    """Let a fault happen in the thread that reads replies, once it has read so many tokens of each of `texts` texts.

    No text is over then, whatever the machine's pace: `narrow_pipe` keeps the model from being far ahead.
    """
    seen, is_over, receive = Counter[int](), False, messages.receive

    def receive_until_fault(connection):
        nonlocal is_over
        message = receive(connection)  # threads of other engines come here, too, with their heartbeats
        if isinstance(message, list) and not is_over:
            seen.update(request for request, item in message if isinstance(item, Token))
            if sum(tokens >= number for tokens in seen.values()) == texts:
                is_over = True
                fault()
        return message

    monkeypatch.setattr(messages, "receive", receive_until_fault)


def write(session: Session, body: Body, limit: int, seed: int = 1, stop_after: int | None = None) -> list[WriteItem]:
    """Let a session write on in `body`, closing it after `stop_after` tokens; returns all that it yielded."""
    decoder, items = Utf8Decoder(), list[WriteItem]()
    with closing(session.write(body.parts, limit, seed)) as writing:
        for item in writing:
            items.append(item)
            if isinstance(item, Token):
                body.append(Part(decoder.decode(item.data), Author.SMALL, item.id, session.card.vocabulary))
                if len(ids(items)) == stop_after:
                    break
    return items


def ids(items: Sequence[WriteItem]) -> list[int | None]:
    return [item.id for item in items if isinstance(item, Token)]


def handoff(items: Iterable[WriteItem]) -> Handoff:
    return next(item for item in items if isinstance(item, Handoff))


def notices(items: Iterable[WriteItem]) -> list[str]:
    return [item.text for item in items if isinstance(item, Notice)]


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


def check_cache(
    body: Sequence[Part], session: LocalSession, engine: LocalEngine, conversation: Messages = QUESTION
) -> None:
    """After this body a session finds the same tokens likely as a fresh one that reads all but whole chunks of it.

    Batches of other shapes round differently, by up to 0.4 a logit.
    """
    with closing(engine.open(conversation, GREEDY)) as fresh:
        fresh.repeat_exactly()
        reused, found = session.read(body).reused, dict(likeliest(session, body))  # first: they may share one slot
        assert reused > fresh.read(body).reused
        expected = dict(likeliest(fresh, body))
    shared = found.keys() & expected.keys()
    assert len(shared) >= 3
    assert [found[id] for id in shared] == pytest.approx([expected[id] for id in shared], abs=0.8)
