"""Two models that read a recorded text aloud, for a replay (replay.py).

Where the run had thrown a lookahead or a step of the small model away, the small one begins with that; then comes the
text as it stands, whoever of the two is asked to write.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from core.engines.base import End, Handoff, Judgement, Scores, Stop, Token, WriteItem
from core.engines.body import Author, Part
from core.engines.model_card import ModelCard
from core.thinking.events import Finish
from core.thinking.reasons import UNCLOSED
from core.thinking.recording import Entry, Recording

REST_AFTER = 500
"""Tokens after which the small model rests, so that the text read so far can be forgotten."""
NO_CARD = ModelCard("recorded", "", 0)


class Reader:
    """Where a replay stands in a recording. Its two sessions read on from there."""

    def __init__(self, recording: Recording, default_writer: Author = Author.SMALL) -> None:
        """`default_writer`: of the policy that is replayed."""
        self.recording = recording
        self.default_writer = default_writer
        self.last: Entry | None = None
        """What was read last."""
        self._index = self._offset = 0
        self._read: list[tuple[int, int, int, bool]] = []
        """Of all that was read: characters, the place before it, and whether it stands in the recording."""
        self._told: dict[int, int] = {}
        """How many of the asides before an entry have been read."""
        self.leaves_aside = False
        """Whether the rest of what was thrown away is passed over: the policy has decided."""
        self.looks = False
        """Whether the policy looks at what is being read."""
        self.rests = False
        """Whether the last write ended only to rest."""
        self._since_rest = 0
        started = recording.started
        small, large = (started.small, started.large) if started else (None, None)
        self.sessions = {
            Author.SMALL: RecordedSession(self, Author.SMALL, small or large or NO_CARD),
            Author.LARGE: RecordedSession(self, Author.LARGE, large or small or NO_CARD),
        }

    @property
    def place(self) -> int:
        """Characters of the recorded text that lie behind."""
        entries = self.recording.entries
        return entries[self._index].start + self._offset if self._index < len(entries) else self.recording.end

    @property
    def next_inserted(self) -> str | None:
        """The reason of the inserted text that comes next, if one does."""
        entries = self.recording.entries
        return entries[self._index].reason if self._index < len(entries) else None

    @property
    def over(self) -> bool:
        return self._index == len(self.recording.entries)

    @property
    def _may_rest(self) -> bool:
        """Not while a policy looks, and not inside a character."""
        return self._since_rest > REST_AFTER and not self.looks and self.last is not None and bool(self.last.text)

    def insert(self, characters: int) -> None:
        """The replay inserts a text. If the run did so too, it was the same one."""
        self._read.append((characters, self._index, self._offset, False))
        self._index += self.next_inserted is not None

    def skip_inserted(self) -> None:
        self._index += self.next_inserted is not None

    def go_back(self, characters: int) -> None:
        """So much of what was read last is to be written anew."""
        while self._read and (characters > 0 or not self._read[-1][0]):
            length, self._index, self._offset, stands = self._read.pop()
            kept = max(0, length - characters)
            characters -= length
            if kept:
                self._read.append((kept, self._index, self._offset, stands))
                self._offset += kept if stands else 0

    def read(self, author: Author, limit: int) -> Generator[WriteItem, None, None]:
        """What a write yields."""
        entries = self.recording.entries
        yield Handoff(0, 0, 0.0)
        for _ in range(limit):
            if author is self.default_writer and self._has_aside(self._index):
                yield from self._aside()
                # Nothing more is known of it: a policy that still looks has to decide.
                yield End(Stop.END_OF_TEXT)
                return
            if author is self.default_writer and self._may_rest:
                self.rests, self._since_rest = True, 0
                yield End(Stop.END_OF_TEXT)
                return
            if self.over:
                yield End(Stop.END_OF_TEXT if self.recording.finish is Finish.END_OF_TEXT else Stop.CANCELLED)
                return
            entry = entries[self._index]
            if entry.reason == UNCLOSED.id:
                yield End(Stop.END_OF_TEXT)
                return
            yield self._next(entry, author)
        yield End(Stop.LIMIT)

    def _has_aside(self, index: int) -> bool:
        asides = self.recording.asides.get(index)
        return asides is not None and not self._offset and self._told.get(index, 0) < len(asides)

    def _aside(self) -> Generator[Token, None, None]:
        told = self._told.get(self._index, 0)
        self._told[self._index], self.leaves_aside = told + 1, False
        for entry in self.recording.asides[self._index][told]:
            if self.leaves_aside:
                return
            self.last = entry
            self._read.append((len(entry.text), self._index, 0, False))
            yield _token(entry, entry.data)

    def _next(self, entry: Entry, author: Author) -> Token:
        self._since_rest += 1
        data = entry.data if not self._offset else entry.text[self._offset :].encode()
        self._read.append((len(entry.text) - self._offset, self._index, self._offset, True))
        self._index, self._offset, self.last = self._index + 1, 0, entry
        if entry.tail and author is self.default_writer and self._has_aside(self._index):
            data += entry.tail.encode()
            self._read.append((len(entry.tail), self._index, 0, False))
        return _token(entry, data)


class RecordedSession:
    """One of the two models: it writes what is recorded, whatever it is asked."""

    def __init__(self, reader: Reader, author: Author, card: ModelCard) -> None:
        self._reader = reader
        self._author = author
        self.card = replace(card, supports_prefetch=False)
        self.prompt_tokens = 0

    def read(self, body: Sequence[Part]) -> Handoff:  # noqa: ARG002 - the protocol's
        return Handoff(0, 0, 0.0)

    def prefetch(self, body: Sequence[Part]) -> None:
        pass

    def write(
        self,
        body: Sequence[Part],  # noqa: ARG002
        limit: int,
        seed: int,  # noqa: ARG002
        alternatives: int = 0,  # noqa: ARG002
    ) -> Generator[WriteItem, None, None]:
        return self._reader.read(self._author, limit)

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> Judgement:  # noqa: ARG002
        """The score that was given here. Only asked where there is one."""
        judged = self._reader.last.judged if self._reader.last else None
        return Judgement(judged.probabilities) if judged else Judgement.none(len(choices))

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> Scores:  # noqa: ARG002
        return Scores()

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass


def _token(entry: Entry, data: bytes) -> Token:
    """Only the small model's alternatives say how sure the small model was."""
    token = entry.token
    if token is None or token.author is not Author.SMALL:
        return Token(None, data)
    return Token(None, data, token.logprob, token.alternatives)
