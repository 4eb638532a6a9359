"""Turns what sessions do into events: lets one model write into the text, and reports the usage of servers."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing

from baton_reasoning.core.engines.base import (
    End,
    Handoff,
    Notice,
    PrefillProgress,
    ScoredToken,
    Session,
    Stop,
    Token,
    stream_of,
)
from baton_reasoning.core.engines.body import Author, parts_before
from baton_reasoning.core.engines.usage import ReportsUsage, Usage
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.events import Event, Tried
from baton_reasoning.core.thinking.requests import Trial
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.text import Text, Utf8Decoder

PREFETCH_EVERY = 4
"""The other model is asked to prefetch after this many tokens of the default writer."""
SHORT_PREFILL = 64
"""Tokens up to which a prefill reports no progress: an ordinary handoff reads fewer."""
DECODED_AT_MOST = 4
"""A run may decode this many times `max_tokens`. Policies discard less than they keep; one that only discards would
never end."""


class WriteStream:
    """Lets the sessions write into one text, one at a time, on one clock."""

    def __init__(
        self, sessions: Mapping[Author, Session], text: Text, settings: RunSettings, entropy_alone: bool = False
    ) -> None:
        """`entropy_alone`: see `Needs`."""
        self.sessions = sessions
        self.text = text
        self.settings = settings
        self._entropy_alone = entropy_alone
        self.stop: Stop | None = None
        """Why the last write ended; None if it was closed from outside."""
        self.decoded = 0
        """Tokens that the models wrote, whether they were kept or not."""
        self.began = time.perf_counter()

    def now(self) -> float:
        """Return the seconds since the run began."""
        return time.perf_counter() - self.began

    @property
    def remaining(self) -> int:
        """Return how many tokens may still be written."""
        return min(self.settings.max_tokens - self.text.kept, self._left_to_decode)

    @property
    def _left_to_decode(self) -> int:
        return DECODED_AT_MOST * self.settings.max_tokens - self.decoded

    def write(self, author: Author, limit: int, reason: str | None, alternatives: int) -> Generator[Event, None, None]:
        """Let a model write, and add each token to the text before yielding its event. `reason`: of a takeover."""
        session, self.stop = self.sessions[author], None
        if self.text.inside_character:
            # The other model was lost in the middle of a character: no tokenizer can continue from there.
            yield self.discard(self.text.position)
        yield events.WriteStarted(self.now(), author, reason, self.text.position)
        entropy, alternatives = (alternatives, 0) if self._entropy_alone else (0, alternatives)
        items = session.write(
            tuple(self.text.body.parts),
            limit=min(limit, self.remaining),
            seed=stream_of(self.settings.seed, author.value, self.text.discards),
            position=self.text.kept,
            alternatives=max(self.settings.alternatives, alternatives),
            entropy=entropy,
        )
        with closing(items):
            for item in items:
                match item:
                    case Token():
                        written, ends_step = self.text.append(item, author, session.card.vocabulary)
                        self.decoded += 1
                        yield events.TokenWritten(
                            self.now(), author, item.id, written, *item[2:-1], ends_step=ends_step
                        )
                        self._prefetch(author, is_takeover=reason is not None, ends_step=ends_step)
                    case PrefillProgress(total=total) if total > SHORT_PREFILL:
                        yield events.PrefillProgressed(self.now(), author, *item)
                    case Handoff():
                        yield events.HandedOver(self.now(), author, item)
                    case Notice():
                        yield events.Noticed(self.now(), *item)
                    case End(stop):
                        self.stop = stop
                        yield events.WriteEnded(self.now(), stop)

    def attempt(self, request: Trial) -> Generator[Event, None, Tried]:
        """Let a model try how it would continue, outside the text. Its next call truncates its cache to the text."""
        began, session, decoder = self.now(), self.sessions[request.author], Utf8Decoder()
        parts = self.text.body.parts if request.start is None else parts_before(self.text.body.parts, request.start)
        start = sum(len(part.text) for part in parts)
        cuts = start < self.text.position
        kept = sum(part.author.is_model for part in parts)
        tokens, read, stop = list[ScoredToken](), Handoff(0, 0, 0.0), Stop.CANCELLED
        # The seed is as if the text after `start` had been discarded, so that a takeover from there repeats the trial.
        seed = stream_of(self.settings.seed, request.author.value, self.text.discards + cuts)
        limit = min(request.tokens, self._left_to_decode)
        with closing(session.write(tuple(parts), limit, seed, alternatives=1, position=kept)) as items:
            for item in items:
                match item:
                    case Token(id, data, logprob):
                        tokens.append(ScoredToken(id, decoder.decode(data), logprob or 0.0))
                        self.decoded += 1
                    case Handoff():
                        read = item
                    case Notice():
                        yield events.Noticed(self.now(), *item)
                    case End():
                        stop = item.stop
        read = read._replace(seconds=self.now() - began)
        tried = Tried(self.now(), request.author, start, tuple(tokens), stop, read)
        if stop is not Stop.CANCELLED:  # a cancelled one says nothing
            yield tried
        return tried

    def discard(self, position: int) -> Event:
        """Cut the text at `position`."""
        text, tokens = self.text.discard(position)
        return events.TextDiscarded(self.now(), position, text, tokens)

    def _prefetch(self, author: Author, *, is_takeover: bool, ends_step: bool) -> None:
        """Offer the text to the other model while the default writer writes: every few tokens, and at the end of a
        step, so that it can read all of it during a lookahead."""
        if is_takeover or not (ends_step or self.text.tokens[author] % PREFETCH_EVERY == 0):
            return
        other = next((session for who, session in self.sessions.items() if who is not author), None)
        if other and not self.text.inside_character:
            other.prefetch(tuple(self.text.body.parts))


def with_usage(sessions: Mapping[Author, Session], began: float, happening: Iterable[Event]) -> Iterator[Event]:
    """Add the usage of sessions on servers to the events of a run: tokens, money, and prefetch requests.

    Most of it becomes known only after the write that caused it was closed, and can yield no more events: what has
    changed follows each handoff, takeover, judgement and score. The sessions that report usage are closed before the
    end of the run, so that the last report is complete. `began`: of the run's clock (by time.perf_counter).
    """
    reporting = {author: session for author, session in sessions.items() if isinstance(session, ReportsUsage)}
    reported = {author: Usage() for author in reporting}

    def changes(at: float) -> Iterator[Event]:
        for author, session in reporting.items():
            for start, seconds, tokens in session.take_prefetched():
                ended = start - began + seconds  # in another thread, so perhaps since `at` was read
                yield events.Prefetched(max(at, ended), author, start - began, seconds, tokens)
            if (usage := session.usage) != reported[author]:
                reported[author] = usage
                yield events.UsageReported(at, author, usage)

    for event in happening:
        if isinstance(event, events.RunEnded):
            for session in reporting.values():
                session.close()
            yield from changes(event.at)
        yield event
        if isinstance(event, events.Reading | events.TakeoverEnded):
            yield from changes(time.perf_counter() - began)
