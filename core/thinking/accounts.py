"""Accounts of the sessions that keep them, told between the events of a run: bills, and what was read along.

Most of it is known only after the writing that caused it has been closed, when its writer can tell no more.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from core.engines.base import Session
from core.engines.body import Author
from core.engines.usage import ReportsUsage, Usage
from core.thinking.events import Billed, Event, HandedOver, Judged, ReadAlong, RunEnded, TakeoverEnded


class Accounts:
    """Of one run, whose clock began at `began` (by time.perf_counter)."""

    def __init__(self, sessions: Mapping[Author, Session], began: float) -> None:
        self._charging = {author: session for author, session in sessions.items() if isinstance(session, ReportsUsage)}
        self._told = {author: Usage() for author in self._charging}
        self._began = began

    def told_among(self, events: Iterable[Event]) -> Iterator[Event]:
        """The same events; after each handoff, takeover and judgement comes what has changed.

        Before the end of the run the sessions that keep accounts are closed, so that the last bills are complete.
        """
        for event in events:
            if isinstance(event, RunEnded):
                for session in self._charging.values():
                    session.close()
                yield from self._news(event.at)
            yield event
            if isinstance(event, HandedOver | TakeoverEnded | Judged):
                yield from self._news(time.perf_counter() - self._began)

    def _news(self, at: float) -> Iterator[Event]:
        for author, session in self._charging.items():
            for began, seconds, tokens in session.take_prefetched():
                yield ReadAlong(at, author, began - self._began, seconds, tokens)
            if (bill := session.usage) != self._told[author]:
                self._told[author] = bill
                yield Billed(at, author, bill)
