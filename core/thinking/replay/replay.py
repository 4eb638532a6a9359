"""Finds where another policy would take over in a recorded run, without generating anything.

The real loop runs the real policy over two sessions that play back the recording (playback.py). The text is taken as
given: after the first difference it is no longer what that policy would have seen, and a view has to say so. What a
person or a limit did is repeated. The run's own policy takes over exactly as recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.events import AskedBy, Event, Finish, RunStarted
from baton_reasoning.core.thinking.limits import Limits, LimitsGuard
from baton_reasoning.core.thinking.loop import Loop
from baton_reasoning.core.thinking.policy import (
    LAST_STEP,
    Close,
    Finished,
    Interruption,
    Judge,
    Move,
    Policy,
    Restore,
    Score,
    Trial,
    View,
    Write,
    keep,
)
from baton_reasoning.core.thinking.reasons import UNCLOSED
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.replay.playback import Playback
from baton_reasoning.core.thinking.replay.recording import Recording, Takeover
from baton_reasoning.core.thinking.resume import undisturbed
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.steps import Boundary, recorded_boundary
from baton_reasoning.core.thinking.trace import Trace

ENDLESS = 1 << 40
MOVES_PER_PART = 20
"""Most moves of a replay per recorded token or inserted text. A lookahead takes one per token, and may be rewritten."""
LEAST_MOVES = 1_000
"""Moves that a replay of any recording may make."""


class PlaceKind(Enum):
    """Tells in which of the two runs there is a takeover at a place."""

    BOTH = "in both"
    RECORDED = "only in the original"
    REPLAYED = "only with these settings"


class Place(NamedTuple):
    takeover: Takeover
    """The replayed one if there are both."""
    kind: PlaceKind


def recordings_of(run: Sequence[Event]) -> list[Recording]:
    """Read a recording for each start of the run, except for those that only resumed it where it was interrupted."""
    run = undisturbed(run)
    starts = [index for index, event in enumerate(run) if isinstance(event, RunStarted)] or [0]
    return [
        Recording(run[start:end], Trace.of(run[:start]).parts() if start else ())
        for start, end in pairwise([*starts, len(run)])
    ]


class Replay(Interruption):
    """Runs one policy over one recorded run.

    Where a lookahead was put back (`choose_large`), the recorded text is read as the large model's.
    """

    asked_by = AskedBy.PERSON

    def __init__(self, recordings: Sequence[Recording], make_policy: Callable[[], Policy], limits: Limits) -> None:
        """`make_policy` is called once, because a run that was resumed kept the counters of its policy.

        Of `limits`, only the cap on the large share is applied; the others have already shaped the recorded text.
        """
        self._recordings = recordings
        self._make_policy = make_policy
        self._cap = LimitsGuard(Limits(max_large_share=limits.max_large_share))
        self._playback = Playback(recordings[0])
        self._forget: Callable[[], None] = lambda: None
        self._repeated: object = None
        self._stopped = False
        self._moves_left = 0
        """Bounds the replay of a trace that no run can have written, such as one that ends while thinking."""
        self._restored = False
        """Whether the policy has taken its last takeover back."""
        self.unscored = 0
        """Steps that were kept because the policy asked to judge or value them, and nothing of it was recorded."""
        self.cut_short = 0
        """Number of discarded texts that ended before the policy had decided."""

    def takeovers(self) -> Iterator[Takeover]:
        """Yield the policy's takeovers, in order, as they are found. Call it once."""
        policy = self._make_policy()
        for recording in self._recordings:
            self._playback, self._repeated = Playback(recording, policy.default_writer), None
            self._moves_left = LEAST_MOVES + MOVES_PER_PART * recording.size
            settings = recording.started.settings if recording.started else {}
            changes = {"max_tokens": ENDLESS, "boundary": recorded_boundary(settings) or Boundary.BLANK_LINE}
            endless = RunSettings().model_copy(update=changes)
            loop = Loop(
                self._playback.sessions,
                policy,
                endless,
                [self],
                recording.written,
            )
            self._forget = loop.text.forget
            yield from self._takeovers_in(loop.run(recording.first))
            self.cut_short += self._playback.cut_short

    def stop(self) -> None:
        """End the replay after the next token. From any thread."""
        self._stopped = True

    @property
    def stopped(self) -> bool:
        return self._stopped

    def remarks(self) -> list[str]:
        """Return what could not be known, in a sentence each. Call it after `takeovers`."""
        found = (
            [f"{self.unscored:,} places have no recorded score, value or trial, and what stood there was kept."]
            if self.unscored
            else []
        )
        if self.cut_short:
            found.append(
                "Places where the recorded text was discarded before this policy could decide, so that its takeover "
                f"is unknown: {self.cut_short:,}."
            )
        return found

    def interrupt(self, view: View) -> Move | None:
        """Repeat what a person or a limit did in the run, at its place."""
        if self._stopped:
            return Finished(Finish.STOPPED)
        last = self._playback.last
        if last is None or last.then is None or last is self._repeated:
            return None
        if isinstance(last.then, Close) and not view.thinking:
            return None
        if last.then == keep() and view.takeover is None:
            return None
        self._repeated = last
        return last.then

    def admit(self, move: Move, view: View) -> Move:
        self._moves_left -= 1
        if self._moves_left < 0:
            return Finished(Finish.STOPPED)
        playback, move = self._playback, self._cap.admit(move, view)
        if playback.pauses:
            self._forget()
            playback.pauses, move = False, keep()
        if self._lacks_record_of(move):
            self.unscored += 1
            move = keep()
        match move:
            case Write(rewrite_from=int() as start) if start != LAST_STEP:
                return Finished(Finish.STOPPED)  # a text that is written again as a whole has no places (`remarks`)
            case Restore(then):
                self._restored, move = True, then
            case Finished() if not self._stopped and not playback.is_over:
                playback.skip_inserted()
                return keep()
            case Close(reason) if reason is UNCLOSED and playback.next_inserted != UNCLOSED.id:
                return keep()
        if isinstance(move, Write) and move.watched and not move.is_takeover:
            playback.is_looking, playback.skips_branch = True, False
        elif playback.is_looking and not isinstance(move, (Judge, Score, Trial)):
            playback.is_looking, playback.skips_branch = False, True
        return move

    def _lacks_record_of(self, move: Move) -> bool:
        """Tell whether the policy asks what nobody asked at this place in the run."""
        last = self._playback.last
        match move:
            case Judge(author=judge):
                return last is None or judge not in last.judged
            case Score():
                return last is None or last.scored is None
            case Trial():
                return True
        return False

    def _takeovers_in(self, replayed: Iterator[Event]) -> Iterator[Takeover]:
        playback, took, start = self._playback, None, 0
        ended: Takeover | None = None
        for event in replayed:
            if isinstance(event, events.CountersChanged):
                continue  # it comes between a takeover and the move that follows it
            if ended and not self._restored:
                yield ended
            ended, self._restored = None, False
            match event:
                case events.TextDiscarded(text=text):
                    playback.go_back(len(text))
                case events.TextInserted(text=text):
                    playback.insert(len(text))
                case events.TakeoverStarted():
                    took, start = event, playback.place
                case events.TakeoverEnded() | events.RunEnded() if took:  # a limit may end the run inside a takeover
                    if POLICIES.reason(took.reason).by_policy and playback.place > start:
                        ended = Takeover(took.reason, took.cue, start, playback.place, took.author)
                    took = None
        if ended:
            yield ended


def compare(recorded: Sequence[Takeover], replayed: Sequence[Takeover]) -> list[Place]:
    """Return the takeovers of both, in order of place."""
    before, after = {took.start for took in recorded}, {took.start for took in replayed}
    places = [Place(took, PlaceKind.BOTH if took.start in before else PlaceKind.REPLAYED) for took in replayed]
    places += [Place(took, PlaceKind.RECORDED) for took in recorded if took.start not in after]
    return sorted(places, key=lambda place: place.takeover.start)


class Stretch(NamedTuple):
    """A segment of a ribbon: what one author wrote in a row, or would have."""

    author: Author
    tokens: int
    """0 for an inserted text."""
    characters: int
    position: int
    takeover: Takeover | None


def stretches(trace: Trace, takeovers: Sequence[Takeover], default_writer: Author = Author.SMALL) -> Iterator[Stretch]:
    """Divide the recorded text at the ends of pieces, and where takeovers begin and end.

    `default_writer`: that of the policy that is replayed.
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


def remarks(trace: Trace, policy: type[Policy]) -> list[str]:
    """Return what the policy needs and the recording does not contain, in a sentence each."""
    if policy.answers_again:
        return ["This policy decides on the whole answer at its end, so there are no places to compare."]
    found: list[str] = []
    needs, recorded_events = policy.needs, trace.events
    if needs.judge and not any(isinstance(event, events.Judged) for event in recorded_events):
        found.append("No step of this run was scored, so every step is kept; only a run of this policy records scores.")
    if needs.scores and not any(isinstance(event, events.Scored) for event in recorded_events):
        found.append("The large model scored no step of this run, so every step is kept.")
    writer = next((e.author for e in recorded_events if isinstance(e, events.WriteStarted) and not e.reason), None)
    if writer not in (None, policy.default_writer):
        found.append(
            f"This policy lets the {policy.default_writer.value} model write by default, and in this run the "
            f"{writer.value} one did: its text is read as if it were the other's, so the places are rough."
        )
    if needs.alternatives:
        small = (e for e in recorded_events if isinstance(e, events.TokenWritten) and e.author is Author.SMALL)
        recorded = max((len(token.alternatives) for token in small), default=0)
        if not recorded:
            found.append("This run recorded no alternatives, so the entropy is unknown: set “Alternatives” to 20.")
        elif recorded < needs.alternatives:
            found.append(f"Only {recorded} alternatives a token were recorded; an entropy of them is a little too low.")
    if unseen := sum(
        isinstance(e, events.TakeoverStarted) and not POLICIES.reason(e.reason).follows_text for e in recorded_events
    ):
        found.append(
            f"At {unseen:,} of its places the large model wrote before the small one had begun; "
            "what stands there is read as if it were the small one's."
        )
    by_small = any(total.decoded for author, total in trace.totals.items() if author is Author.SMALL)
    if policy.default_writer is Author.SMALL and not by_small:
        found.append("The large model wrote this text alone; it is read as if it were the small one's.")
    return found


def _takeover_at(rest: deque[Takeover], position: int) -> Takeover | None:
    while rest and rest[0].end <= position:
        rest.popleft()
    return rest[0] if rest and rest[0].start <= position else None


def _stretch(author: Author, tokens: int, start: int, end: int, took: Takeover | None) -> Stretch:
    """Make a stretch. `author`: who wrote it if it is no takeover."""
    return Stretch(took.author if took else author, tokens, end - start, start, took)
