"""A scripted model as if on somebody's server: its sessions keep accounts, which follow from the calls they log."""

from __future__ import annotations

import time
from collections.abc import Sequence

from core.engines.base import Conversation, Sampling
from core.engines.bill import Bill, Cost, ReadingAhead
from core.engines.body import Part
from tests.fakes.scripted import DEFAULTS, QUESTION, Kind, ScriptedEngine, ScriptedSession


class ChargingSession(ScriptedSession):
    """A token read or written costs a millionth of a euro. Reading along takes no time and is never cut."""

    def __init__(self, engine: ScriptedEngine, conversation: Conversation, sampling: Sampling) -> None:
        super().__init__(engine, conversation, sampling)
        self._readings: list[ReadingAhead] = []

    @property
    def bill(self) -> Bill:
        reused = sum(call.reused for call in self.calls)
        read = sum(call.prefilled for call in self.calls)
        cost = Cost(len(self.calls), sent=reused + read, reused=reused, read=read, written=self.written)
        return Bill(cost, (read + self.written) / 1_000_000, "EUR")

    def read_along(self, body: Sequence[Part]) -> None:
        began = time.perf_counter()
        super().read_along(body)
        if self.calls and self.calls[-1].kind is Kind.READ_ALONG:
            self._readings.append(ReadingAhead(began, 0.0, self.calls[-1].prefilled))

    def take_readings(self) -> tuple[ReadingAhead, ...]:
        taken, self._readings = tuple(self._readings), []
        return taken


class ChargingEngine(ScriptedEngine):
    """Takes what a ScriptedEngine takes."""

    @property
    def bill(self) -> Bill:
        """Of all sessions together."""
        bill = Bill()
        for session in self.sessions:
            if isinstance(session, ChargingSession):
                bill = bill.plus(session.bill)
        return bill

    def open(self, conversation: Conversation = QUESTION, sampling: Sampling = DEFAULTS) -> ScriptedSession:
        self.fail_if_gone()
        session = ChargingSession(self, conversation, sampling)
        self.sessions.append(session)
        return session
