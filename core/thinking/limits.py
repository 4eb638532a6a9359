"""Limits of a run, whatever its policy: thinking tokens, seconds, large share, and repetition."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.engines.base import Session
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.interruptions import Ended, Interrupted, Interruption, Moment, Wish
from baton_reasoning.core.thinking.reasons import BUDGET, REPETITION
from baton_reasoning.core.thinking.requests import Close, TakeOver, Until
from baton_reasoning.core.thinking.text import Text
from baton_reasoning.core.thinking.trace import Trace


class Limits(BaseModel):
    """The limits that a person can set. By default only repetition is limited."""

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
        description="On repetition, hand over once; if it repeats again, end the reasoning.",
    )


class LimitsGuard(Interruption):
    """Holds one run to its limits."""

    def __init__(self, limits: Limits, before: Trace | None = None) -> None:
        """`before`: the earlier text that the run takes up. What was done about its repetitions is not done again."""
        self.limits = limits
        self._repetition = RepetitionDetector(before.text if before else "")
        self._handed_over = before is not None and any(piece.reason == REPETITION.id for piece in before.pieces)

    def check(self, moment: Moment) -> None:
        limits, text = self.limits, moment.text
        if 0 < limits.max_seconds <= moment.seconds:
            raise Ended(Finish.TIME, f"The time limit of {limits.max_seconds:g} seconds was reached.")
        if text.thinking and 0 < limits.max_thinking_tokens <= text.kept:
            raise Interrupted(Wish(Close(BUDGET)))
        if limits.repetition and self._repetition.found(text):
            if self._handed_over:
                raise Interrupted(Wish(Close(REPETITION)))
            self._handed_over = True
            other = Author.SMALL if moment.author is Author.LARGE else Author.LARGE
            raise Interrupted(Wish(TakeOver(512, REPETITION, until=Until.STEP, author=other)))

    def allows(self, takeover: TakeOver, moment: Moment) -> bool:
        cap = self.limits.max_large_share
        is_capped = takeover.author is Author.LARGE and takeover.reason.capped
        return not is_capped or cap >= 1 or moment.text.large_share < cap


@contextmanager
def cancelled_after(seconds: float, sessions: Iterable[Session]) -> Iterator[None]:
    """Cancel the sessions if the context lasts so long, so that a long prefill ends, too; 0 is no limit."""
    if not seconds:
        yield
        return

    def cancel() -> None:
        for session in sessions:
            session.cancel()

    timer = threading.Timer(seconds, cancel)
    timer.name, timer.daemon = "time limit", True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


class RepetitionDetector:
    """Finds where a text repeats itself: two identical steps in a row, or the same end at least three times."""

    EVERY = 32
    """Tokens between two searches for a repeated end."""
    SHORTEST = 120
    """Characters that repetitions must fill: "no, no, no" is not a loop yet."""
    LONGEST = 600
    """Characters of the longest phrase that is looked for."""

    def __init__(self, known: str = "") -> None:
        """`known`: text whose repetitions are ignored."""
        self._found_at = len(known.rstrip())

    def found(self, text: Text) -> bool:
        """Tell whether the text begins to repeat itself: True once for each place."""
        body = text.body.text
        repeated = (text.at_boundary and text.repeats_step) or (
            text.kept % self.EVERY == 0 and self._end_repeated(body)
        )
        if not repeated or len(body.rstrip()) <= self._found_at:
            return False
        self._found_at = len(body.rstrip())
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
