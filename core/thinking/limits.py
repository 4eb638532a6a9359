"""What a run may cost, whatever its policy: thinking tokens, seconds, large share; and a loop detector."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pydantic import BaseModel, ConfigDict, Field

from core.engines.base import Session
from core.engines.body import Author
from core.thinking.events import AskedBy, Finish
from core.thinking.policy import Close, Finished, Interruption, Move, Until, View, Write, keep, take_over
from core.thinking.reasons import BUDGET, REPETITION
from core.thinking.trace import Trace


class Limits(BaseModel):
    """No limits by default, except for repetition."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_thinking_tokens: int = Field(
        0, ge=0, title="Thinking budget", description="The thinking is closed after so many tokens; 0 is no limit."
    )
    max_seconds: float = Field(
        0, ge=0, title="Time limit", description="The run ends after so many seconds with what is there; 0 is no limit."
    )
    max_large_share: float = Field(
        1, ge=0, le=1, title="Large share at most", description="No takeover begins at or above it; 1 is no limit."
    )
    repetition: bool = Field(
        True,
        title="Stop on repetition",
        description="A text that repeats itself is handed over once; if it does so again, the thinking is closed.",
    )


class LimitsGuard(Interruption):
    """Holds one run to its limits."""

    asked_by = AskedBy.LIMIT

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._repetition = RepetitionDetector()
        self._handed_over = False

    def resume_from(self, trace: Trace) -> None:
        """What was done about repetition earlier in this text counts."""
        self._handed_over = any(piece.reason == REPETITION.id for piece in trace.pieces)
        self._repetition.know(trace.text)

    @contextmanager
    def watching(self, sessions: Iterable[Session]) -> Iterator[None]:
        """A context in which the sessions are cancelled when the time is up, so that a long prefill ends, too."""
        if not self.limits.max_seconds:
            yield
            return
        over = threading.Event()

        def watch() -> None:
            if not over.wait(self.limits.max_seconds):
                for session in sessions:
                    session.cancel()

        watcher = threading.Thread(target=watch, name="time limit", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def interrupt(self, view: View) -> Move | None:
        limits = self.limits
        if finished := self._out_of_time(view):
            return finished
        if view.thinking and 0 < limits.max_thinking_tokens <= view.small_tokens + view.large_tokens:
            return Close(BUDGET)
        if limits.repetition and self._repetition.found(view):
            if self._handed_over:
                return Close(REPETITION)
            self._handed_over = True
            other = Author.SMALL if view.author is Author.LARGE else Author.LARGE
            return take_over(512, REPETITION, until=Until.STEP, author=other)
        return None

    def admit(self, move: Move, view: View) -> Move:
        if not isinstance(move, Finished) and (finished := self._out_of_time(view)):
            return finished
        cap = self.limits.max_large_share
        takeover = move if isinstance(move, Write) and move.author is Author.LARGE else None
        if takeover and takeover.reason and takeover.reason.capped and cap < 1 and view.large_share >= cap:
            return keep()
        return move

    def _out_of_time(self, view: View) -> Finished | None:
        limit = self.limits.max_seconds
        if 0 < limit <= view.seconds:
            return Finished(Finish.TIME, f"The time limit of {limit:g} seconds was reached.")
        return None


class RepetitionDetector:
    """Finds a text that repeats itself: two identical steps in a row, or its end at least three times."""

    EVERY = 32
    """Tokens between two searches for a repeated end."""
    SHORTEST = 120
    """Characters that repetitions must fill: "no, no, no" is no loop yet."""
    LONGEST = 600
    """Characters of the longest phrase looked for."""

    def __init__(self) -> None:
        self._found_at = 0

    def know(self, text: str) -> None:
        """Ignore repetition in this text: it was found before."""
        self._found_at = len(text.rstrip())

    def found(self, view: View) -> bool:
        """True once for each place where the text begins to repeat itself."""
        repeated = (view.at_boundary and view.repeats_step) or (
            (view.small_tokens + view.large_tokens) % self.EVERY == 0 and self._end_repeated(view.body)
        )
        if not repeated or len(view.body.rstrip()) <= self._found_at:
            return False
        self.know(view.body)
        return True

    def _end_repeated(self, body: str) -> bool:
        tail = body[-3 * self.LONGEST :]
        end = tail[-self.SHORTEST // 3 :]
        earlier = tail.rfind(end, 0, len(tail) - 1)
        if not end.strip() or earlier < 0:
            return False
        period = len(tail) - len(end) - earlier
        length = max(3 * period, self.SHORTEST)
        return len(tail) >= length and tail[-length:-period] == tail[-length + period :]
