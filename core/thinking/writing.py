"""One model writes: what its session yields goes into the text and is told as events."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass

from core.engines.base import End, Handoff, Notice, Session, Stop, Token
from core.engines.body import Author
from core.thinking.events import Event, HandedOver, Noticed, TextDiscarded, TokenWritten, WriteStarted
from core.thinking.manuscript import Manuscript

READ_ALONG_EVERY = 4
"""Tokens of the small model after which the large one is offered to read along."""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    seed: int = 0
    max_tokens: int = 32_768
    """Tokens of the body that may be kept; the prompt does not count."""
    alternatives: int = 0
    """Likeliest tokens to record at each position."""
    small_alone: bool = True
    """When the large model is lost for good: the small one finishes alone, or else the run fails."""


class Pen:
    """Lets the sessions write into one text, one at a time, on one clock."""

    def __init__(self, sessions: Mapping[Author, Session], text: Manuscript, settings: LoopSettings) -> None:
        self.sessions = sessions
        self.text = text
        self.settings = settings
        self.stop: Stop | None = None
        """Why the last write ended; None if it was ended from outside."""
        self._writes = 0
        self.began = time.perf_counter()

    def now(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self.began

    @property
    def room(self) -> int:
        """Tokens that may still be written."""
        return self.settings.max_tokens - self.text.tokens[Author.SMALL] - self.text.tokens[Author.LARGE]

    def write(
        self, author: Author, limit: int, reason: str | None = None, alternatives: int = 0
    ) -> Generator[Event, None, None]:
        """One write of one model: each token is in the text before it is told."""
        session, self.stop = self.sessions[author], None
        self._writes += 1
        if self.text.inside_character:
            # The other model was lost in the middle of a character: nobody can go on from there.
            yield self.discard(self.text.position)
        yield WriteStarted(self.now(), author, reason, self.text.position)
        items = session.write(
            tuple(self.text.body.parts),
            limit=min(limit, self.room),
            # Every write draws anew: a lookahead that was thrown away must not come back word for word.
            seed=(self.settings.seed * 1_000_003 + self._writes) % 2**31,
            alternatives=max(self.settings.alternatives, alternatives),
        )
        with closing(items):
            for item in items:
                match item:
                    case Token(id, _, logprob, others):
                        written, ends_step = self.text.append(item, author, session.card.vocabulary)
                        yield TokenWritten(self.now(), author, id, written, logprob, others, ends_step)
                        self._offer_reading_along(author, ends_step)
                    case Handoff(reused, prefilled, seconds, passing):
                        yield HandedOver(self.now(), author, reused, prefilled, seconds, passing)
                    case Notice(sentence):
                        yield Noticed(self.now(), sentence)
                    case End(stop):
                        self.stop = stop

    def discard(self, position: int) -> Event:
        text, tokens = self.text.discard(position)
        return TextDiscarded(self.now(), position, text, tokens)

    def _offer_reading_along(self, author: Author, ends_step: bool) -> None:
        """At the end of a step too: a lookahead gives the large model time to read all of it."""
        large = self.sessions.get(Author.LARGE)
        due = author is Author.SMALL and (ends_step or self.text.tokens[author] % READ_ALONG_EVERY == 0)
        if due and large and large.card.supports_prefetch and not self.text.inside_character:
            large.prefetch(tuple(self.text.body.parts))
