"""A scripted model as if on somebody's server: its sessions keep accounts, which follow from the calls they log."""

from __future__ import annotations

import time
from collections.abc import Sequence

from baton_reasoning.core.engines.base import Attach, Conversation, ignore
from baton_reasoning.core.engines.body import Part
from baton_reasoning.core.engines.usage import PrefetchedText, RequestUsage, Usage
from baton_reasoning.core.models.options import Sampling
from tests.fakes.scripted import DEFAULTS, QUESTION, Kind, ScriptedEngine, ScriptedSession


class ChargingSession(ScriptedSession):
    """A token read or written costs a millionth of a euro. Reading along takes no time and is never cut."""

    def __init__(
        self, engine: ScriptedEngine, conversation: Conversation, sampling: Sampling, thinks: bool = True
    ) -> None:
        super().__init__(engine, conversation, sampling, thinks)
        self._readings: list[PrefetchedText] = []

    @property
    def usage(self) -> Usage:
        reused = sum(call.reused for call in self.calls)
        read = sum(call.prefilled for call in self.calls)
        cost = RequestUsage(len(self.calls), sent=reused + read, reused=reused, read=read, written=self.written)
        return Usage(cost, (read + self.written) / 1_000_000, "EUR")

    def prefetch(self, body: Sequence[Part]) -> None:
        began = time.perf_counter()
        super().prefetch(body)
        if self.calls and self.calls[-1].kind is Kind.READ_ALONG:
            self._readings.append(PrefetchedText(began, 0.0, self.calls[-1].prefilled))

    def take_prefetched(self) -> tuple[PrefetchedText, ...]:
        taken, self._readings = tuple(self._readings), []
        return taken


class ChargingEngine(ScriptedEngine):
    """Takes what a ScriptedEngine takes."""

    @property
    def usage(self) -> Usage:
        """Of all sessions together."""
        bill = Usage()
        for session in self.sessions:
            if isinstance(session, ChargingSession):
                bill = bill.plus(session.usage)
        return bill

    def open(
        self,
        conversation: Conversation = QUESTION,
        sampling: Sampling = DEFAULTS,
        attach: Attach = ignore,
        *,
        thinks: bool = True,
    ) -> ScriptedSession:
        self.fail_if_gone()
        session = ChargingSession(self, conversation, sampling, thinks)
        attach(session)
        self.sessions.append(session)
        return session
