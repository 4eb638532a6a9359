"""One write of one model: what its session yields is added to the text and yielded as events."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from msgspec.structs import replace

from core.engines.base import End, Handoff, Notice, PrefillProgress, Session, Stop, Token
from core.engines.body import Author
from core.engines.random_numbers import stream_of
from core.thinking.events import (
    AskedBy,
    Event,
    HandedOver,
    Noticed,
    PrefillProgressed,
    TextDiscarded,
    TokenWritten,
    WriteEnded,
    WriteStarted,
)
from core.thinking.policy import View, Write
from core.thinking.steps import BOUNDARY
from core.thinking.text_state import TextState

PREFETCH_EVERY = 4
"""Tokens of the default writer after which the other model is offered to read along."""
LONG_PREFILL = 512
"""Tokens from which the progress of a prefill is an event. An ordinary handoff reads fewer."""
DECODED_AT_MOST = 4
"""Times `max_tokens`. Policies discard lookaheads and steps, but less than they keep; one that does nothing else would
never end."""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    seed: int = 0
    max_tokens: int = 32_768
    """Tokens of the body that may be kept; the prompt does not count."""
    alternatives: int = 0
    """Likeliest tokens to record at each position."""
    small_alone: bool = True
    """When the large model is lost for good: the small one finishes alone, or else the run fails."""
    boundary: str = BOUNDARY
    """The pattern that ends a step (steps.py)."""


class WriteStream:
    """Lets the sessions write into one text, one at a time, with one clock."""

    def __init__(self, sessions: Mapping[Author, Session], text: TextState, settings: LoopSettings) -> None:
        self.sessions = sessions
        self.text = text
        self.settings = settings
        self.stop: Stop | None = None
        """Why the last write ended; None if it was ended from outside."""
        self.decoded = 0
        """Tokens that the models wrote, kept or not."""
        self.began = time.perf_counter()

    def now(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self.began

    @property
    def kept(self) -> int:
        """Tokens of the body."""
        return self.text.tokens[Author.SMALL] + self.text.tokens[Author.LARGE]

    @property
    def room(self) -> int:
        """Tokens that may still be written."""
        return min(self.settings.max_tokens - self.kept, DECODED_AT_MOST * self.settings.max_tokens - self.decoded)

    def write(
        self,
        author: Author,
        limit: int,
        reason: str | None = None,
        alternatives: int = 0,
        asked_by: AskedBy = AskedBy.POLICY,
    ) -> Generator[Event, None, None]:
        """One write of one model: each token is in the text before its event is yielded. `reason`: of a takeover."""
        session, self.stop = self.sessions[author], None
        if self.text.inside_character:
            # The other model was lost in the middle of a character: no tokenizer can continue from there.
            yield self.discard(self.text.position)
        yield WriteStarted(self.now(), author, reason, self.text.position, asked_by)
        items = session.write(
            tuple(self.text.body.parts),
            limit=min(limit, self.room),
            seed=stream_of(self.settings.seed, author.value, self.text.discards),
            position=self.kept,
            alternatives=max(self.settings.alternatives, alternatives),
        )
        with closing(items):
            for item in items:
                match item:
                    case Token(id, _, logprob, others, drafted, rejected):
                        written, ends_step = self.text.append(item, author, session.card.vocabulary)
                        self.decoded += 1
                        token = TokenWritten(
                            self.now(), author, id, written, logprob, others, ends_step, drafted, rejected
                        )
                        yield token if token.encoded == item.data else replace(token, data=item.data)
                        self._offer_prefetch(author, is_takeover=reason is not None, ends_step=ends_step)
                    case PrefillProgress(tokens, total) if total >= LONG_PREFILL:
                        yield PrefillProgressed(self.now(), author, tokens, total)
                    case Handoff(reused, prefilled, seconds, passing):
                        yield HandedOver(self.now(), author, reused, prefilled, seconds, passing)
                    case Notice(sentence):
                        yield Noticed(self.now(), sentence)
                    case End(stop):
                        self.stop = stop
                        yield WriteEnded(self.now(), stop)

    def discard(self, position: int) -> Event:
        text, tokens = self.text.discard(position)
        return TextDiscarded(self.now(), position, text, tokens)

    def restore(self, author: Author, text: str, tokens: Sequence[TokenWritten]) -> Iterator[Event]:
        """Add a discarded text again, at the end. `tokens`: its own; one that began before it is its first part."""
        rest = text[: len(text) - sum(len(token.text) for token in tokens)]
        first = [TokenWritten(self.now(), author, None, rest)] if rest else []
        for token in (*first, *(replace(token, at=self.now(), restored=True) for token in tokens)):
            vocabulary = self.sessions[author].card.vocabulary
            self.text.append(Token(token.id, token.encoded), author, vocabulary)
            yield token

    def view(
        self,
        author: Author,
        start: int,
        tokens: Sequence[TokenWritten] = (),
        *,
        at_boundary: bool | None = None,
        text_ended: bool = False,
        in_lookahead: bool = False,
        takeover: Write | None = None,
    ) -> View:
        """What a policy may see of the text from `start` on. `at_boundary`: if it is asked about an earlier place."""
        return View(
            body=self.text.body.text,
            start=start,
            tokens=tokens,
            author=author,
            thinking=self.text.thinking,
            at_boundary=self.text.at_boundary if at_boundary is None else at_boundary,
            text_ended=text_ended,
            in_lookahead=in_lookahead,
            takeover=takeover,
            small_tokens=self.text.tokens[Author.SMALL],
            large_tokens=self.text.tokens[Author.LARGE],
            seconds=self.now(),
            boundary=self.text.boundary,
        )

    def _offer_prefetch(self, author: Author, *, is_takeover: bool, ends_step: bool) -> None:
        """Let the other model read along while the default writer writes: every few tokens, and at the end of a step,
        so that it has the time of a lookahead to read all of it."""
        if is_takeover or not (ends_step or self.text.tokens[author] % PREFETCH_EVERY == 0):
            return
        other = next((session for who, session in self.sessions.items() if who is not author), None)
        if other and other.card.supports_prefetch and not self.text.inside_character:
            other.prefetch(tuple(self.text.body.parts))
