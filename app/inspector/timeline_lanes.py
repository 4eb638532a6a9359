"""When each model was busy, and with what: spans of time, from the events of a run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from baton_reasoning.app.shared.theme import Colours, blend, current_theme
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import (
    Event,
    HandedOver,
    Judged,
    Prefetched,
    RunStarted,
    Scored,
    TokenWritten,
    Tried,
    WriteStarted,
)


class LaneActivity(Enum):
    DECODE = "decode"
    PREFILL = "prefill"
    JUDGING = "judging"
    READ_ALONG = "reading along"


class LaneSpan(NamedTuple):
    """Seconds since the first run of the trace began."""

    author: Author
    doing: LaneActivity
    start: float
    end: float
    position: int
    """Where in the body it wrote, or went on from."""


class Lanes:
    """Grows with a trace; a token costs the same time however long the run is."""

    def __init__(self) -> None:
        self._begin(())

    def _begin(self, events: Sequence[Event]) -> None:
        self.spans: list[LaneSpan] = []
        self.readings: list[LaneSpan] = []
        """Prefetches, which run beside the other spans. They are reported late, so they have a list of their own."""
        self.seconds = 0.0
        self._events = events
        self._taken = 0
        self._offset = 0.0
        self._position = 0
        self._last = 0.0
        self._new = True

    def follow(self, events: Sequence[Event]) -> bool:
        """Add the new events; True if there were any. A different list of events starts over."""
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
                self.spans.append(LaneSpan(author, LaneActivity.PREFILL, max(0.0, now - seconds), now, self._position))
                self._last, self._new = now, True
            case TokenWritten(author=author):
                if self._new or self.spans[-1].author is not author:
                    self.spans.append(LaneSpan(author, LaneActivity.DECODE, self._last, now, self._position))
                    self._new = False
                else:
                    self.spans[-1] = self.spans[-1]._replace(end=now)
                self._last = now
                self._position += len(event.text)
            case Prefetched(author=author, began=began, seconds=seconds):
                start = self._offset + began
                at = bisect_right(self.spans, start, key=lambda span: span.start) - 1
                position = self.spans[at].position if at >= 0 else 0
                self.readings.append(LaneSpan(author, LaneActivity.READ_ALONG, start, start + seconds, position))
            case Judged() | Scored() | Tried():
                start = max(0.0, now - event.seconds)
                self.spans.append(LaneSpan(event.author, LaneActivity.JUDGING, start, now, self._position))
                self._last, self._new = now, True


HATCHES = {
    LaneActivity.DECODE: Qt.BrushStyle.SolidPattern,
    LaneActivity.PREFILL: Qt.BrushStyle.BDiagPattern,
    LaneActivity.JUDGING: Qt.BrushStyle.DiagCrossPattern,
    LaneActivity.READ_ALONG: Qt.BrushStyle.VerPattern,
}
HEIGHTS = {
    LaneActivity.DECODE: 1.0,
    LaneActivity.PREFILL: 1.0,
    LaneActivity.JUDGING: 0.5,
    LaneActivity.READ_ALONG: 0.35,
}
"""Heights as a share of the lane, from its foot."""
WORDS = {
    LaneActivity.DECODE: "writing",
    LaneActivity.PREFILL: "reading (prefill)",
    LaneActivity.JUDGING: "judging",
    LaneActivity.READ_ALONG: "reading along",
}
WAITING = "waiting"


def paint_span(painter: QPainter, lane: QRectF, doing: LaneActivity, ink: str, colours: Colours) -> None:
    """`lane`: as high as the lane, as wide as the span."""
    place = lane.adjusted(0, lane.height() * (1 - HEIGHTS[doing]), 0, 0)
    if doing is LaneActivity.DECODE:
        painter.fillRect(place, QColor(ink))
        return
    painter.fillRect(place, QColor(blend(colours.surface, ink, 0.22)))
    painter.fillRect(place, QBrush(QColor(ink), HATCHES[doing]))


def paint_lane(painter: QPainter, lane: QRectF, colours: Colours) -> None:
    """Draw an empty lane with a line through it: where nothing is painted over it, the model waits."""
    painter.fillRect(lane, QColor(colours.panel))
    painter.fillRect(QRectF(lane.left(), lane.center().y(), lane.width(), 1), QColor(colours.outline))


def line_height(widget: QWidget) -> int:
    """Return the pixels of a line of text in the font of a widget."""
    return max(20, widget.fontMetrics().height() + 4)


class Legend(QWidget):
    """Samples of all activities with their names, in two columns."""

    SAMPLE, COLUMNS = 30, 2

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Legend of the timeline")
        self.setAccessibleDescription(", ".join((*WORDS.values(), WAITING)))
        current_theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(240, line_height(self) * -(-(len(WORDS) + 1) // self.COLUMNS))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = current_theme().colours
        width, height = self.width() / self.COLUMNS, line_height(self)
        for number, (doing, text) in enumerate([*WORDS.items(), (None, WAITING)]):
            line, column = divmod(number, self.COLUMNS)
            sample = QRectF(column * width, line * height + 3, self.SAMPLE, height - 6)
            paint_lane(painter, sample, colours)
            if doing:
                paint_span(painter, sample, doing, colours.muted, colours)
            painter.setPen(QColor(colours.muted))
            place = QRectF(sample.right() + 8, line * height, width - self.SAMPLE - 8, height)
            painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, text)
