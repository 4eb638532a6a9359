"""When each model was busy, and with what: stretches of time, from the events of a run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from core.engines.body import Author
from core.thinking.events import Event, HandedOver, Judged, ReadAlong, RunStarted, TokenWritten, WriteStarted


class Doing(Enum):
    DECODE = "decode"
    PREFILL = "prefill"
    JUDGING = "judging"
    READ_ALONG = "reading along"


class Stretch(NamedTuple):
    """Seconds since the first run of the trace began."""

    author: Author
    doing: Doing
    start: float
    end: float
    position: int
    """Where in the body it wrote, or went on from."""


class Lanes:
    """Grows with a trace; a token costs the same time however long the run is."""

    def __init__(self) -> None:
        self._begin(())

    def _begin(self, events: Sequence[Event]) -> None:
        self.stretches: list[Stretch] = []
        self.readings: list[Stretch] = []
        """What was read along, in the background of the others; told late, so it has a list of its own."""
        self.seconds = 0.0
        self._events = events
        self._taken = 0
        self._offset = 0.0
        self._position = 0
        self._last = 0.0
        self._new = True

    def follow(self, events: Sequence[Event]) -> bool:
        """Take what is new in these events; whether there was any. Other events than before: begin anew."""
        if events is not self._events or len(events) < self._taken:
            self._begin(events)
        fresh = range(self._taken, len(events))
        for index in fresh:
            self._take(events[index])
        self._taken = len(events)
        return bool(fresh)

    def _take(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._offset = self.seconds
        now = self.seconds = self._offset + event.at
        match event:
            case WriteStarted(position=position):
                self._position, self._new, self._last = position, True, now
            case HandedOver(author=author, seconds=seconds):
                self.stretches.append(Stretch(author, Doing.PREFILL, max(0.0, now - seconds), now, self._position))
                self._last, self._new = now, True
            case TokenWritten(author=author):
                if self._new or self.stretches[-1].author is not author:
                    self.stretches.append(Stretch(author, Doing.DECODE, self._last, now, self._position))
                    self._new = False
                else:
                    self.stretches[-1] = self.stretches[-1]._replace(end=now)
                self._last = now
                self._position += len(event.text)
            case ReadAlong(author=author, began=began, seconds=seconds):
                start = self._offset + began
                at = bisect_right(self.stretches, start, key=lambda stretch: stretch.start) - 1
                position = self.stretches[at].position if at >= 0 else 0
                self.readings.append(Stretch(author, Doing.READ_ALONG, start, start + seconds, position))
            case Judged(seconds=seconds):
                start = max(0.0, now - seconds)
                self.stretches.append(Stretch(Author.LARGE, Doing.JUDGING, start, now, self._position))
                self._last, self._new = now, True
