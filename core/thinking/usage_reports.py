"""Usage of sessions on servers as events of the run: tokens and money, and what was prefetched.

Most of it is known only after the write that caused it has been closed, when the write can yield no more events.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from core.engines.base import Session
from core.engines.body import Author
from core.engines.usage import ReportsUsage, Usage
from core.thinking.events import Event, HandedOver, Judged, Prefetched, RunEnded, Scored, TakeoverEnded, UsageReported


class UsageReports:
    """For one run, whose clock began at `began` (by time.perf_counter)."""

    def __init__(self, sessions: Mapping[Author, Session], began: float) -> None:
        self._reporting = {author: session for author, session in sessions.items() if isinstance(session, ReportsUsage)}
        self._reported = {author: Usage() for author in self._reporting}
        self._began = began

    def added_to(self, events: Iterable[Event]) -> Iterator[Event]:
        """The same events; after each handoff, takeover and judgement comes the usage that has changed.

        Before the end of the run the sessions that report usage are closed, so that the last report is complete.
        """
        for event in events:
            if isinstance(event, RunEnded):
                for session in self._reporting.values():
                    session.close()
                yield from self._changes(event.at)
            yield event
            if isinstance(event, HandedOver | TakeoverEnded | Judged | Scored):
                yield from self._changes(time.perf_counter() - self._began)

    def _changes(self, at: float) -> Iterator[Event]:
        for author, session in self._reporting.items():
            for began, seconds, tokens in session.take_prefetched():
                ended = began - self._began + seconds  # in another thread, so perhaps since `at` was read
                yield Prefetched(max(at, ended), author, began - self._began, seconds, tokens)
            if (usage := session.usage) != self._reported[author]:
                self._reported[author] = usage
                yield UsageReported(at, author, usage)
