"""Lets a person control a run from any thread: take over, give back, rewrite a step, stop."""

from __future__ import annotations

import threading
from enum import Enum, auto

from baton_reasoning.core.engines.base import Session
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.interruptions import Ended, Interrupted, Interruption, Moment, Wish
from baton_reasoning.core.thinking.reasons import PERSON
from baton_reasoning.core.thinking.requests import WITHOUT_END, TakeOver, Until

REWRITTEN_STEP = 512
"""Maximum number of tokens of a rewritten step."""


class PersonRequest(Enum):
    """What a person can ask for."""

    TAKE_OVER_NOW = auto()
    TAKE_OVER_AT_BOUNDARY = auto()
    GIVE_BACK = auto()
    REWRITE_STEP = auto()


class Control(Interruption):
    """Controls one run. The last request counts; it is carried out after the next token, or at the next boundary."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._request: PersonRequest | None = None
        self._stopped = False
        self._sessions: tuple[Session, ...] = ()

    def attach(self, session: Session) -> None:
        """Add a session that `stop` cancels, so that a long prefill ends, too. Call it before the session works."""
        self._sessions += (session,)
        if self._stopped:
            session.cancel()

    def take_over(self, now: bool = True) -> None:
        """Let the large model write until `give_back` or the end of the text, from the next boundary if not `now`."""
        self._ask(PersonRequest.TAKE_OVER_NOW if now else PersonRequest.TAKE_OVER_AT_BOUNDARY)

    def give_back(self) -> None:
        """Let the policy's default writer go on. Also withdraws a takeover that has not begun."""
        self._ask(PersonRequest.GIVE_BACK)

    def rewrite_step(self) -> None:
        """Let the large model rewrite the current step or, at a boundary, the last one."""
        self._ask(PersonRequest.REWRITE_STEP)

    def stop(self) -> None:
        """End the run with the text so far. It takes no lock: a signal may interrupt a thread that holds it."""
        self._stopped = True  # before reading the sessions: `attach` does it the other way round
        for session in self._sessions:
            session.cancel()

    @property
    def stopped(self) -> bool:
        return self._stopped

    def check(self, moment: Moment) -> None:
        if self._stopped:
            raise Ended(Finish.STOPPED)
        with self._lock:
            is_later = self._request is PersonRequest.TAKE_OVER_AT_BOUNDARY and not moment.text.at_boundary
            if self._request is None or is_later:
                return
            request, self._request = self._request, None
        match request:
            case PersonRequest.REWRITE_STEP:
                raise Interrupted(Wish(TakeOver(REWRITTEN_STEP, PERSON, until=Until.STEP), rewrites=True))
            case PersonRequest.GIVE_BACK if not moment.in_takeover:
                return
            case PersonRequest.GIVE_BACK:
                raise Interrupted(Wish())
            case _:
                raise Interrupted(Wish(TakeOver(WITHOUT_END, PERSON)))

    def allows(self, takeover: TakeOver, moment: Moment) -> bool:  # noqa: ARG002 - the protocol shows more
        return True

    def _ask(self, request: PersonRequest) -> None:
        with self._lock:
            self._request = request
