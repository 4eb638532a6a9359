"""Plays back a recording through two sessions, for a replay.

Where the run discarded a lookahead or a step of the default writer, the default writer begins with it; then comes the
recorded text, whichever session is asked to write.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import replace

from baton_reasoning.core.engines.base import End, Handoff, Judgement, Scores, Stop, Token, WriteItem
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.model_card import ModelCard
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.reasons import UNCLOSED
from baton_reasoning.core.thinking.replay.recording import RecordedPart, Recording

PAUSE_AFTER = 500
"""A write ends after this many tokens, so that the replay can forget the text so far."""
NO_CARD = ModelCard("recorded", "", 0)
_STOPS: dict[Finish | None, Stop] = {Finish.END_OF_TEXT: Stop.END_OF_TEXT, Finish.MAX_TOKENS: Stop.LIMIT}
"""Why the last write of a run ended, by how the run ended; otherwise it was cancelled."""


class Playback:
    """Holds the position of a replay in a recording, and two sessions that write from there."""

    def __init__(self, recording: Recording, default_writer: Author = Author.SMALL) -> None:
        """`default_writer`: that of the policy that is replayed."""
        self.recording = recording
        self.default_writer = default_writer
        self.last: RecordedPart | None = None
        """The part that was played last."""
        self._index = self._offset = 0
        self._read: list[tuple[int, int, int, bool]] = []
        """For each entry played: its characters, the position before it, and whether it stands in the recorded text."""
        self._played: dict[int, int] = {}
        """Number of branches played that were discarded before an entry, by its index."""
        self._rest_of_branch: deque[RecordedPart] = deque()
        """The rest of the discarded branch that is being played."""
        self.skips_branch = False
        """Whether the rest of a discarded branch is skipped, because the policy has decided."""
        self.is_looking = False
        """Whether the policy looks at the text being played (a lookahead)."""
        self.cut_short = 0
        """Number of discarded branches that ended before the policy had decided."""
        self.pauses = False
        """Whether the last write ended only so that the replay can forget old text."""
        self._since_pause = 0
        self._empty_takeovers = recording.empty_takeovers.copy()
        """The empty takeovers that have not been played yet."""
        started = recording.started
        small, large = (started.small, started.large) if started else (None, None)
        self.sessions = {
            Author.SMALL: RecordedSession(self, Author.SMALL, small or large or NO_CARD),
            Author.LARGE: RecordedSession(self, Author.LARGE, large or small or NO_CARD),
        }

    @property
    def place(self) -> int:
        """Return how many characters of the recorded text have been played."""
        entries = self.recording.entries
        return entries[self._index].start + self._offset if self._index < len(entries) else self.recording.end

    @property
    def next_inserted(self) -> str | None:
        """Return the reason of the inserted text that comes next, if one does."""
        entries = self.recording.entries
        return entries[self._index].reason if self._index < len(entries) else None

    @property
    def is_over(self) -> bool:
        return self._index == len(self.recording.entries)

    @property
    def _may_pause(self) -> bool:
        """Tell whether a write may pause here: not during a lookahead, and not inside a character."""
        return (
            self._since_pause > PAUSE_AFTER and not self.is_looking and self.last is not None and bool(self.last.text)
        )

    def insert(self, characters: int) -> None:
        """Note that the replay inserts a text; if the run did so here, it was the same text."""
        self._read.append((characters, self._index, self._offset, False))
        if self.next_inserted is not None:
            self.last = self.recording.entries[self._index]
            self._index += 1

    def skip_inserted(self) -> None:
        self._index += self.next_inserted is not None

    def go_back(self, characters: int) -> None:
        """Move back by as many characters as the replay has discarded."""
        self._rest_of_branch.clear()
        while self._read and (characters > 0 or not self._read[-1][0]):
            length, self._index, self._offset, stands = self._read.pop()
            kept = max(0, length - characters)
            characters -= length
            if kept:
                self._read.append((kept, self._index, self._offset, stands))
                self._offset += kept if stands else 0

    def read(self, author: Author, limit: int) -> Generator[WriteItem, None, None]:
        """Yield the items of one write."""
        entries = self.recording.entries
        yield Handoff(0, 0, 0.0)
        if author is not self.default_writer and self._empty_takeovers[self.place] > 0:
            self._empty_takeovers[self.place] -= 1
            yield End(Stop.END_OF_TEXT)
            return
        for _ in range(limit):
            if author is self.default_writer and self._enters_branch():
                yield from self._play_branch()
                self.cut_short += self.is_looking
                # The recording has no more of the branch: a policy that has not decided must do so now.
                yield End(Stop.END_OF_TEXT)
                return
            if author is self.default_writer and self._may_pause:
                self.pauses, self._since_pause = True, 0
                yield End(Stop.END_OF_TEXT)
                return
            if self.is_over:
                yield End(_STOPS.get(self.recording.finish, Stop.CANCELLED))
                return
            entry = entries[self._index]
            if entry.reason == UNCLOSED.id:
                yield End(Stop.END_OF_TEXT)
                return
            yield self._next(entry, author)
        yield End(Stop.LIMIT)

    def _has_branch(self, index: int) -> bool:
        branches = self.recording.discarded_branches.get(index, [])
        return not self._offset and self._played.get(index, 0) < len(branches)

    def _enters_branch(self) -> bool:
        """Tell whether a discarded branch comes next, or the rest of one whose beginning was judged and kept."""
        if self._rest_of_branch and not self.skips_branch:
            return True
        if not self._has_branch(self._index):
            return False
        number = self._played.get(self._index, 0)
        self._played[self._index], self.skips_branch = number + 1, False
        self._rest_of_branch = deque(self.recording.discarded_branches[self._index][number])
        return True

    def _play_branch(self) -> Generator[Token, None, None]:
        while self._rest_of_branch:
            if self.skips_branch:
                return
            self.last = entry = self._rest_of_branch.popleft()
            self._read.append((len(entry.text), self._index, 0, False))
            yield _token(entry, entry.data)

    def _next(self, entry: RecordedPart, author: Author) -> Token:
        self._since_pause += 1
        data = entry.data if not self._offset else entry.text[self._offset :].encode(errors="replace")
        self._read.append((len(entry.text) - self._offset, self._index, self._offset, True))
        self._index, self._offset, self.last = self._index + 1, 0, entry
        if entry.tail and author is self.default_writer and self._has_branch(self._index):
            data += entry.tail.encode(errors="replace")
            self._read.append((len(entry.tail), self._index, 0, False))
        return _token(entry, data)


class RecordedSession:
    """Stands in for one of the two models: writes the recorded text, whatever the prompt, seed or body."""

    def __init__(self, playback: Playback, author: Author, card: ModelCard) -> None:
        self._playback = playback
        self._author = author
        self.card = replace(card, supports_prefetch=False)
        self.prompt_tokens = 0

    def read(self, body: Sequence[Part]) -> Handoff:  # noqa: ARG002
        return Handoff(0, 0, 0.0)

    def prefetch(self, body: Sequence[Part]) -> None:
        pass

    def write(
        self,
        body: Sequence[Part],  # noqa: ARG002
        limit: int,
        seed: int,  # noqa: ARG002
        alternatives: int = 0,  # noqa: ARG002
        position: int = 0,  # noqa: ARG002
    ) -> Generator[WriteItem, None, None]:
        return self._playback.read(self._author, limit)

    def judge(self, body: Sequence[Part], question: str, choices: tuple[str, ...]) -> Judgement:  # noqa: ARG002
        """Return the judgement that was recorded here."""
        judged = self._playback.last.judged.get(self._author) if self._playback.last else None
        if judged is None:
            return Judgement.none(len(choices))
        return Judgement(judged.probabilities, answered=judged.answered)

    def score(self, body: Sequence[Part], start: int, alternatives: int = 0) -> Scores:  # noqa: ARG002
        """Return the scores that were recorded here."""
        scored = self._playback.last.scored if self._playback.last else None
        return Scores(scored.tokens) if scored else Scores()

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass


def _token(entry: RecordedPart, data: bytes) -> Token:
    """Make the token, with log-probabilities only if the small model wrote it: a policy reads how sure that was."""
    token = entry.token
    if token is None or token.author is not Author.SMALL:
        return Token(None, data)
    return Token(None, data, token.logprob, token.alternatives, entropy=token.entropy)
