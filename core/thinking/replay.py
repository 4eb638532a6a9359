"""Where another policy would have stepped in, over the text of a recorded run. Nothing is generated.

The real loop runs with the real policy over two models that read the recording aloud (reading.py). The text is taken
as given: after the first difference it is no longer what that policy would have seen, and a view has to say so. What a
person or a limit did stays as it was. For the policy of the run itself the takeovers come out exactly as recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from core.engines.body import Author
from core.thinking import events
from core.thinking.events import Event, Finish, RunStarted
from core.thinking.limits import Limits, LimitsGuard
from core.thinking.loop import Loop, LoopSettings
from core.thinking.policy import Close, Finished, Interruption, Judge, Move, Needs, Policy, View, Write, keep
from core.thinking.reading import Reader
from core.thinking.reasons import UNCLOSED
from core.thinking.recording import Recording, Takeover
from core.thinking.registry import POLICIES
from core.thinking.trace import Trace

ENDLESS = 1 << 40


class Kind(Enum):
    """In which of the two runs the large model stepped in at a place."""

    BOTH = "in both"
    RECORDED = "only as it was"
    REPLAYED = "only as it would be"


class Place(NamedTuple):
    takeover: Takeover
    """The replayed one where there are both."""
    kind: Kind


def recordings_of(happened: Sequence[Event]) -> list[Recording]:
    """One for each start of the run."""
    starts = [index for index, event in enumerate(happened) if isinstance(event, RunStarted)] or [0]
    return [
        Recording(happened[start:end], Trace.of(happened[:start]).parts() if start else ())
        for start, end in pairwise([*starts, len(happened)])
    ]


class Replay(Interruption):
    """One policy over one recorded run."""

    def __init__(self, recordings: Sequence[Recording], make_policy: Callable[[], Policy], limits: Limits) -> None:
        """`make_policy`: called once; a run that went on after a stop kept what its policy had counted.

        Of `limits` only the cap on the large share asks anew; the others closed or ended the recorded text where they
        did.
        """
        self._recordings = recordings
        self._make_policy = make_policy
        self._cap = LimitsGuard(Limits(max_large_share=limits.max_large_share))
        self._reader = Reader(recordings[0])
        self._forget: Callable[[], None] = lambda: None
        self._told: object = None
        self._stopped = False
        self.unscored = 0
        """Steps that the policy wanted a score of, where none was recorded. They were kept."""

    def takeovers(self) -> Iterator[Takeover]:
        """The policy's takeovers, in order, as they come out. Call it once."""
        policy = self._make_policy()
        for recording in self._recordings:
            self._reader, self._told = Reader(recording, policy.default_writer), None
            sessions, limits = self._reader.sessions, LoopSettings(max_tokens=ENDLESS)
            loop = Loop(sessions, policy, limits, [self], recording.written)
            self._forget = loop.text.forget
            yield from self._follow(loop.run(recording.first))

    def stop(self) -> None:
        """From any thread: what is being replayed ends after the next token."""
        self._stopped = True

    @property
    def stopped(self) -> bool:
        return self._stopped

    def interrupt(self, view: View) -> Move | None:
        """What a person or a limit did in the run, at its place."""
        if self._stopped:
            return Finished(Finish.STOPPED)
        last = self._reader.last
        if last is None or last.then is None or last is self._told:
            return None
        if isinstance(last.then, Close) and not view.thinking:
            return None
        if last.then == keep() and view.takeover is None:
            return None
        self._told = last
        return last.then

    def admit(self, move: Move, view: View) -> Move:
        reader, move = self._reader, self._cap.admit(move, view)
        if reader.rests:
            self._forget()
            reader.rests, move = False, keep()
        match move:
            case Judge() if reader.last is None or reader.last.judged is None:
                self.unscored += 1
                move = keep()
            case Finished() if not self._stopped and not reader.over:
                reader.skip_inserted()
                return keep()
            case Close(reason) if reason is UNCLOSED and reader.next_inserted != UNCLOSED.id:
                return keep()
        if isinstance(move, Write) and move.watched:
            reader.looks, reader.leaves_aside = True, False
        elif reader.looks:
            reader.looks, reader.leaves_aside = False, True
        return move

    def _follow(self, happening: Iterator[Event]) -> Iterator[Takeover]:
        reader, took, start = self._reader, None, 0
        for event in happening:
            match event:
                case events.TextDiscarded(text=text):
                    reader.go_back(len(text))
                case events.TextInserted(text=text):
                    reader.insert(len(text))
                case events.TakeoverStarted():
                    took, start = event, reader.place
                case events.TakeoverEnded() if took and POLICIES.reason(took.reason).by_policy and reader.place > start:
                    yield Takeover(took.reason, took.cue, start, reader.place, took.author)


def compare(recorded: Sequence[Takeover], replayed: Sequence[Takeover]) -> list[Place]:
    """All places where either stepped in, in order."""
    before, after = {took.start for took in recorded}, {took.start for took in replayed}
    places = [Place(took, Kind.BOTH if took.start in before else Kind.REPLAYED) for took in replayed]
    places += [Place(took, Kind.RECORDED) for took in recorded if took.start not in after]
    return sorted(places, key=lambda place: place.takeover.start)


class Stretch(NamedTuple):
    """What one author wrote in a row, or would have: a segment of a ribbon."""

    author: Author
    tokens: int
    """0 for an inserted text."""
    characters: int
    position: int
    takeover: Takeover | None


def stretches(trace: Trace, takeovers: Sequence[Takeover], default_writer: Author = Author.SMALL) -> Iterator[Stretch]:
    """The recorded text as it would be divided. It is parted where pieces were, and where takeovers begin and end.

    `default_writer`: of the policy that is replayed.
    """
    rest = deque(sorted(takeovers, key=lambda took: took.start))
    for piece in trace.pieces:
        if not piece.tokens:
            yield Stretch(piece.author, 0, piece.length, piece.position, None)
            continue
        by_person = piece.reason is not None and not POLICIES.reason(piece.reason).by_policy
        author = piece.author if by_person else default_writer
        position = start = piece.position
        count, now = 0, _takeover_at(rest, position)
        for token in piece.tokens:
            if (took := _takeover_at(rest, position)) is not now:
                yield _stretch(author, count, start, position, now)
                count, start, now = 0, position, took
            count += 1
            position += len(token.text)
        yield _stretch(author, count, start, position, now)


def remarks(trace: Trace, needs: Needs) -> list[str]:
    """What a policy needs and the recording does not hold, a sentence each."""
    told: list[str] = []
    happened = trace.events
    if needs.judge and not any(isinstance(event, events.Judged) for event in happened):
        told.append("No step of this run was scored, so every step is kept; only a run of this policy records scores.")
    if needs.alternatives:
        small = (e for e in happened if isinstance(e, events.TokenWritten) and e.author is Author.SMALL)
        recorded = max((len(token.alternatives) for token in small), default=0)
        if not recorded:
            told.append(
                "This run recorded no alternatives, so nothing is known of the entropy: let “Alternatives” be 20."
            )
        elif recorded < needs.alternatives:
            told.append(f"Only {recorded} alternatives a token were recorded; an entropy of them is a little too low.")
    if unseen := sum(
        isinstance(e, events.TakeoverStarted) and not POLICIES.reason(e.reason).follows_text for e in happened
    ):
        told.append(
            f"At {unseen:,} of its places the large model wrote before the small one had begun; "
            "what stands there is read as if it were the small one's."
        )
    if not any(total.decoded for author, total in trace.totals.items() if author is Author.SMALL):
        told.append("The large model wrote this text alone; it is read as if it were the small one's.")
    return told


def _takeover_at(rest: deque[Takeover], position: int) -> Takeover | None:
    while rest and rest[0].end <= position:
        rest.popleft()
    return rest[0] if rest and rest[0].start <= position else None


def _stretch(author: Author, tokens: int, start: int, end: int, took: Takeover | None) -> Stretch:
    """`author`: outside the takeovers of the policy."""
    return Stretch(took.author if took else author, tokens, end - start, start, took)
