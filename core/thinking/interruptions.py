"""Defines what may interrupt a program from outside: a person, and the limits of a run.

An interruption closes the program. What is wanted is carried out, and the program starts anew where the text stands.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.engines.base import Session
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.reasons import ANSWER_NOW, BUDGET, PERSON, REPETITION
from baton_reasoning.core.thinking.requests import WITHOUT_END, Close, TakeOver, Until, Write
from baton_reasoning.core.thinking.text import Text
from baton_reasoning.core.thinking.trace import Trace

REWRITTEN_STEP = 512
"""Maximum number of tokens of a rewritten step."""


@dataclass(frozen=True, slots=True)
class Intervention:
    """What is to be done instead of what the program would do."""

    request: TakeOver | Close | Write | None = None
    """None: only the program starts anew."""
    rewrites: bool = False
    """Whether a takeover replaces the step that is being written or, at a boundary, the one that has just ended."""


@dataclass(eq=False)
class Interrupted(Exception):
    """The program is interrupted by a person or a limit."""

    intervention: Intervention


@dataclass(eq=False)
class Ended(Exception):
    """The run ends; the text so far is kept."""

    finish: Finish
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is known where an interruption is possible."""

    text: Text
    author: Author
    """Who writes."""
    in_takeover: bool
    seconds: float
    """Since the run began."""


class Interruption:
    """May interrupt a program."""

    def check(self, checkpoint: Checkpoint) -> None:
        """Asked at the beginning, after every token, and during a long prefill. Raises Interrupted, or Ended."""

    def allows(self, takeover: TakeOver, text: Text) -> bool:  # noqa: ARG002 - for subclasses
        """Tell whether a takeover may begin."""
        return True


# A person -----------------------------------------------------------------------------------------------------------


class Control(Interruption):
    """Controls one run. The last request counts; it is carried out after the next token, or at the next boundary."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._intervention: Intervention | None = None
        self._waits_for_boundary = False
        self.stopped = False
        self._sessions: tuple[Session, ...] = ()

    def attach(self, session: Session) -> None:
        """Add a session that `stop` cancels, so that a long prefill ends, too. Call it before the session works."""
        self._sessions += (session,)
        if self.stopped:
            session.cancel()

    def take_over(self, now: bool = True) -> None:
        """Let the large model write until `give_back` or the end of the text, from the next boundary if not `now`."""
        self._ask(Intervention(TakeOver(WITHOUT_END, PERSON)), at_boundary=not now)

    def give_back(self) -> None:
        """Let the policy's default writer go on. Also withdraws a takeover that has not begun."""
        self._ask(Intervention())

    def rewrite_step(self) -> None:
        """Let the large model rewrite the current step or, at a boundary, the last one."""
        self._ask(Intervention(TakeOver(REWRITTEN_STEP, PERSON, until=Until.STEP), rewrites=True))

    def answer_now(self) -> None:
        """Close the thinking, as a spent budget does, so that the answer follows. Does nothing where none is open."""
        self._ask(Intervention(Close(ANSWER_NOW)))

    def stop(self) -> None:
        """End the run with the text so far. It takes no lock: a signal may interrupt a thread that holds it."""
        self.stopped = True  # before reading the sessions: `attach` does it the other way round
        for session in self._sessions:
            session.cancel()

    def check(self, checkpoint: Checkpoint) -> None:
        if self.stopped:
            raise Ended(Finish.STOPPED)
        with self._lock:
            intervention = self._intervention
            if intervention is None or (self._waits_for_boundary and not checkpoint.text.at_boundary):
                return
            self._intervention = None
        match intervention.request:
            case Close():
                is_possible = checkpoint.text.is_open  # else it has just been closed, or there is none
            case None:
                is_possible = checkpoint.in_takeover  # else there is nothing to give back
            case _:
                is_possible = True
        if is_possible:
            raise Interrupted(intervention)

    def _ask(self, intervention: Intervention, at_boundary: bool = False) -> None:
        with self._lock:
            self._intervention, self._waits_for_boundary = intervention, at_boundary


# Limits -------------------------------------------------------------------------------------------------------------


class Limits(BaseModel):
    """The limits that a person can set. By default only repetition is limited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_thinking_tokens: int = Field(
        0,
        ge=0,
        title="Thinking budget",
        description="The thinking is closed after so many tokens; 0 is no limit.",
        json_schema_extra={"lowest": "no limit"},
    )
    max_seconds: float = Field(
        0,
        ge=0,
        title="Time limit",
        description="The run ends after so many seconds with what is there; 0 is no limit.",
        json_schema_extra={"lowest": "no limit"},
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

    def check(self, checkpoint: Checkpoint) -> None:
        limits, text = self.limits, checkpoint.text
        if 0 < limits.max_seconds <= checkpoint.seconds:
            raise Ended(Finish.TIME, f"The time limit of {limits.max_seconds:g} seconds was reached.")
        if text.is_open and 0 < limits.max_thinking_tokens <= text.kept:
            raise Interrupted(Intervention(Close(BUDGET)))
        if limits.repetition and self._repetition.found(text):
            if self._handed_over:
                raise Interrupted(Intervention(Close(REPETITION)))
            self._handed_over = True
            other = Author.SMALL if checkpoint.author is Author.LARGE else Author.LARGE
            raise Interrupted(Intervention(TakeOver(512, REPETITION, until=Until.STEP, author=other)))

    def allows(self, takeover: TakeOver, text: Text) -> bool:
        cap = self.limits.max_large_share
        is_capped = takeover.author is Author.LARGE and takeover.reason.capped
        return not is_capped or cap >= 1 or text.large_share < cap


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
