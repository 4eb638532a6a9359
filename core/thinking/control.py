"""A person's control of a run: take over, give back, rewrite a step, stop. From any thread."""

from __future__ import annotations

import threading
from enum import Enum, auto

from core.engines.base import Session
from core.thinking.events import AskedBy, Finish
from core.thinking.policy import WITHOUT_END, Finished, Interruption, Move, Until, View, keep, take_over
from core.thinking.reasons import PERSON

REWRITTEN_STEP = 512
"""Most tokens of a rewritten step."""


class Wish(Enum):
    TAKE_OVER_NOW = auto()
    TAKE_OVER_AT_BOUNDARY = auto()
    GIVE_BACK = auto()
    REWRITE_STEP = auto()


class Control(Interruption):
    """For one run. The last request counts; it is carried out after the next token, or at the next boundary."""

    asked_by = AskedBy.PERSON

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wish: Wish | None = None
        self._stopped = False
        self._sessions: tuple[Session, ...] = ()

    def attach(self, session: Session) -> None:
        """A session that `stop` has to cancel, so that a long prefill ends, too. Call it before the session is slow."""
        self._sessions += (session,)
        if self._stopped:
            session.cancel()

    def take_over(self, now: bool = True) -> None:
        """The large model writes until `give_back` or the end of the text; from the next boundary on if not `now`."""
        self._wish_for(Wish.TAKE_OVER_NOW if now else Wish.TAKE_OVER_AT_BOUNDARY)

    def give_back(self) -> None:
        """The policy's default writer goes on. Also withdraws a takeover that has not begun."""
        self._wish_for(Wish.GIVE_BACK)

    def rewrite_step(self) -> None:
        """The large model rewrites the step that is being written, or at a boundary the last one."""
        self._wish_for(Wish.REWRITE_STEP)

    def stop(self) -> None:
        """End the run with what is there. It takes no lock, since a signal may interrupt a thread that holds it."""
        self._stopped = True  # before the sessions are read: `attach` does it the other way round
        for session in self._sessions:
            session.cancel()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def interrupt(self, view: View) -> Move | None:
        if self._stopped:
            return Finished(Finish.STOPPED)
        with self._lock:
            if self._wish is None or (self._wish is Wish.TAKE_OVER_AT_BOUNDARY and not view.at_boundary):
                return None
            wish, self._wish = self._wish, None
        match wish:
            case Wish.GIVE_BACK:
                return keep() if view.takeover else None
            case Wish.REWRITE_STEP:
                return take_over(REWRITTEN_STEP, PERSON, until=Until.STEP, rewrite_step=True)
            case _:
                return take_over(WITHOUT_END, PERSON)

    def admit(self, move: Move, view: View) -> Move:  # noqa: ARG002 - the protocol shows more
        return Finished(Finish.STOPPED) if self._stopped and not isinstance(move, Finished) else move

    def _wish_for(self, wish: Wish) -> None:
        with self._lock:
            self._wish = wish
