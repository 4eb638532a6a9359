"""Adds the usage of sessions on servers to the events of a run: tokens, money, and prefetch requests.

Most of it becomes known only after the write that caused it was closed, and can yield no more events.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping

from baton_reasoning.core.engines.base import Session
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.usage import ReportsUsage, Usage
from baton_reasoning.core.thinking import events
from baton_reasoning.core.thinking.events import Event


class UsageReports:
    """Reports the usage of one run, whose clock began at `began` (by time.perf_counter)."""

    def __init__(self, sessions: Mapping[Author, Session], began: float) -> None:
        self._reporting = {author: session for author, session in sessions.items() if isinstance(session, ReportsUsage)}
        self._reported = {author: Usage() for author in self._reporting}
        self._began = began

    def added_to(self, happening: Iterable[Event]) -> Iterator[Event]:
        """Yield the events and, after each handoff, takeover, judgement and score, the usage that has changed.

        The sessions that report usage are closed before the end of the run, so that the last report is complete.
        """
        for event in happening:
            if isinstance(event, events.RunEnded):
                for session in self._reporting.values():
                    session.close()
                yield from self._changes(event.at)
            yield event
            if isinstance(event, events.Reading | events.TakeoverEnded):
                yield from self._changes(time.perf_counter() - self._began)

    def _changes(self, at: float) -> Iterator[Event]:
        for author, session in self._reporting.items():
            for began, seconds, tokens in session.take_prefetched():
                ended = began - self._began + seconds  # in another thread, so perhaps since `at` was read
                yield events.Prefetched(max(at, ended), author, began - self._began, seconds, tokens)
            if (usage := session.usage) != self._reported[author]:
                self._reported[author] = usage
                yield events.UsageReported(at, author, usage)
