"""Two lanes in real time: what each model did when. The wheel zooms, a drag or the arrow keys move."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QPushButton, QSizePolicy, QToolTip, QWidget

from baton_reasoning.app.inspector.timeline_lanes import (
    WORDS,
    LaneActivity,
    Lanes,
    LaneSpan,
    Legend,
    line_height,
    paint_lane,
    paint_span,
)
from baton_reasoning.app.shared.format import duration
from baton_reasoning.app.shared.theme import SIGN, current_theme, ink_of
from baton_reasoning.app.shared.widgets.accessible import set_accessible_role
from baton_reasoning.app.shared.widgets.controls import Hairline, button
from baton_reasoning.app.shared.widgets.facts import Facts
from baton_reasoning.app.shared.widgets.layout import Spacer, hbox, vbox
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.trace import Piece, Trace

LANE = 20
AUTHORS = (Author.SMALL, Author.LARGE)
CLOSEST = 0.05
"""Seconds that the whole width shows at most zoom."""


class Timeline(QWidget):
    piece_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lanes = Lanes()
        self._trace: Trace | None = None
        self._selected: Piece | None = None
        self._hovered: Piece | None = None
        self._zoom = 1.0
        self._start = 0.0
        """Seconds at the left edge."""
        self._pressed: QPointF | None = None
        self._moved = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Timeline")
        set_accessible_role(self, QAccessible.Role.Chart)
        current_theme().changed.connect(self.update)

    def follow(self, trace: Trace) -> None:
        if trace is not self._trace:
            self._trace, self._zoom, self._start, self._hovered = trace, 1.0, 0.0, None
        if self._lanes.follow(trace.events):
            small, large = (trace.totals[author].decode_seconds for author in AUTHORS)
            self.setAccessibleDescription(
                f"{duration(trace.seconds)}: the small model wrote for {duration(small)}, "
                f"the large model for {duration(large)}."
            )
        self.update()

    def select(self, piece: Piece | None) -> None:
        self._selected = piece
        self.update()

    def zoom(self, factor: float, at: float | None = None) -> None:
        """Show more (below 1) or less time (above 1) around a pixel, or the middle."""
        at = self.width() / 2 if at is None else at
        fixed = self._time(at)
        most = max(1.0, self._lanes.seconds / CLOSEST)
        self._zoom = min(max(self._zoom * factor, 1.0), most)
        self._move_to(fixed - at / max(1, self.width()) * self._span)

    def sizeHint(self) -> QSize:
        line = line_height(self)
        return QSize(300, 2 * (LANE + line) + line + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours, line = current_theme().colours, line_height(self)
        for author in AUTHORS:
            lane = self._lane(author)
            painter.setPen(QColor(ink_of(author, colours)))
            text = QRectF(lane.left(), lane.top() - line, lane.width(), line)
            painter.drawText(text, Qt.AlignmentFlag.AlignVCenter, f"{SIGN[author]} {author.value}")
            paint_lane(painter, lane, colours)
        self._paint_spans(painter)
        self._paint_ring(painter, self._hovered, Qt.PenStyle.DotLine)
        self._paint_ring(painter, self._selected, Qt.PenStyle.SolidLine)
        painter.setPen(QColor(colours.muted))
        axis = QRectF(0, 2 * (LANE + line) + 2, self.width(), line)
        painter.drawText(axis, Qt.AlignmentFlag.AlignLeft, duration(self._start))
        painter.drawText(axis, Qt.AlignmentFlag.AlignRight, duration(self._start + self._span))

    def _paint_ring(self, painter: QPainter, piece: Piece | None, style: Qt.PenStyle) -> None:
        if piece is None or piece.author not in AUTHORS:
            return
        left, right = self._x(piece.start), self._x(piece.end)
        painter.setPen(QPen(QColor(current_theme().colours.text), 1.6, style))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        place = QRectF(left, self._lane(piece.author).top() - 1, max(right - left, 3), LANE + 2)
        painter.drawRoundedRect(place, 2, 2)

    def _paint_spans(self, painter: QPainter) -> None:
        """Draw spans narrower than a pixel once a pixel, so that a long run costs no more than a short one."""
        for spans in (self._lanes.readings, self._lanes.spans):
            self._paint_row(painter, spans)

    def _paint_row(self, painter: QPainter, spans: Sequence[LaneSpan]) -> None:
        colours = current_theme().colours
        first = bisect_left(spans, self._start, key=lambda span: span.end)
        last = bisect_right(spans, self._start + self._span, key=lambda span: span.start)
        drawn = dict.fromkeys(AUTHORS, -1.0)
        for span in spans[first:last]:
            left, right = self._x(span.start), self._x(span.end)
            if right <= drawn[span.author]:
                continue
            left = max(left, drawn[span.author])
            drawn[span.author] = max(right, left + 1.0)
            lane = self._lane(span.author)
            place = QRectF(left, lane.top(), max(right - left, 1.0), LANE)
            paint_span(painter, place, span.doing, ink_of(span.author, colours), colours)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            if span := self._span_at(QPointF(event.pos())):
                piece = self._piece_of(span, self._time(event.pos().x()))
                step = f"\nStep {piece.step + 1}" if piece else ""
                QToolTip.showText(event.globalPos(), describe(span) + step, self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.zoom(1.25 ** (event.angleDelta().y() / 120), event.position().x())
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self.zoom(1.5)
            case Qt.Key.Key_Minus:
                self.zoom(1 / 1.5)
            case Qt.Key.Key_Left:
                self._move_to(self._start - self._span / 8)
            case Qt.Key.Key_Right:
                self._move_to(self._start + self._span / 8)
            case Qt.Key.Key_0:
                self.zoom(1 / self._zoom)
            case _:
                super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pressed, self._moved = event.position(), False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed is None:
            self._hover(self._piece_at(event.position()))
        elif abs(event.position().x() - self._pressed.x()) > 3:
            self._moved = True
            self._move_to(self._start - (event.position().x() - self._pressed.x()) / max(1, self.width()) * self._span)
            self._pressed = event.position()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._pressed = None
        if not self._moved and (piece := self._piece_at(event.position())):
            self.piece_chosen.emit(piece)

    def leaveEvent(self, _event: QEvent) -> None:
        self._hover(None)

    def _hover(self, piece: Piece | None) -> None:
        if piece is not self._hovered:
            self._hovered = piece
            self.update()

    def _piece_at(self, point: QPointF) -> Piece | None:
        span = self._span_at(point)
        return self._piece_of(span, self._time(point.x())) if span else None

    def _piece_of(self, span: LaneSpan, time: float) -> Piece | None:
        """Return the piece that was written then; for a reading or a judgement the one that it was for."""
        pieces = self._trace.pieces if self._trace else []
        if span.doing is LaneActivity.DECODE:
            at = bisect_right(pieces, min(time, span.end), key=lambda piece: piece.start) - 1
        else:
            at = bisect_right(pieces, span.position, key=lambda piece: piece.position) - 1
        return pieces[at] if at >= 0 else None

    @property
    def _span(self) -> float:
        return max(self._lanes.seconds, 1e-3) / self._zoom

    def _lane(self, author: Author) -> QRectF:
        line = line_height(self)
        return QRectF(0, line + AUTHORS.index(author) * (LANE + line), self.width(), LANE)

    def _x(self, time: float) -> float:
        return (time - self._start) / self._span * self.width()

    def _time(self, x: float) -> float:
        return self._start + x / max(1, self.width()) * self._span

    def _move_to(self, start: float) -> None:
        self._start = min(max(start, 0.0), max(0.0, self._lanes.seconds - self._span))
        self.update()

    def _span_at(self, point: QPointF) -> LaneSpan | None:
        author = next((author for author in AUTHORS if self._lane(author).contains(point)), None)
        time = self._time(point.x())
        near = self._span / max(1, self.width()) * 2
        for spans in (self._lanes.spans, self._lanes.readings):
            first = bisect_left(spans, time - near, key=lambda span: span.end)
            for span in spans[first:]:
                if span.start > time + near:
                    break
                if span.author is author:
                    return span
        return None


def describe(span: LaneSpan) -> str:
    """Describe a span in a line: “◆ large model writing: 1.2 s, from 3.4 s on”."""
    who = f"{SIGN[span.author]} {span.author.value} model"
    lasted = duration(span.end - span.start)
    return f"{who} {WORDS[span.doing]}: {lasted}, from {duration(span.start)} on"


class TimelinePage(QWidget):
    piece_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.timeline = Timeline()
        self.timeline.piece_chosen.connect(self.piece_chosen)
        self._facts = Facts()
        zooms = [
            self._zoom_button("−", "Zoom out (−)", 1 / 1.5),
            self._zoom_button("+", "Zoom in (+)", 1.5),
            self._zoom_button("All", "All (0)", 1e-9),
        ]
        self.setLayout(
            vbox(
                self.timeline,
                hbox(*zooms, Spacer(0)),
                Legend(),
                Hairline(),
                self._facts,
                Spacer(0),
                margins=(0, 8, 8, 8),
                spacing=9,
            )
        )

    def _zoom_button(self, text: str, name: str, factor: float) -> QPushButton:
        return button(text, lambda: self.timeline.zoom(factor), tip=name, name=name)

    def follow(self, trace: Trace) -> None:
        self.timeline.follow(trace)
        small, large = trace.totals[Author.SMALL], trace.totals[Author.LARGE]
        busy = sum(total.decode_seconds + total.handoff_seconds for total in (small, large))
        self._facts.show_facts(
            [
                ("● writing", duration(small.decode_seconds)),
                ("● reading", duration(small.handoff_seconds)),
                ("◆ writing", duration(large.decode_seconds)),
                ("◆ reading", duration(large.handoff_seconds)),
                ("◆ reading along", duration(along) if (along := sum(r.seconds for r in trace.prefetches)) else ""),
                ("Neither", duration(max(0.0, trace.seconds - busy))),
                ("Whole run", duration(trace.seconds)),
            ]
        )

    def select(self, piece: Piece | None) -> None:
        self.timeline.select(piece)
