"""The ribbon: who wrote which part of a text, at a glance, by mouse and by keyboard."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from itertools import accumulate

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAccessible,
    QColor,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from baton_reasoning.app.toolkit.accessible import set_accessible_role
from baton_reasoning.app.toolkit.theme import Colours, current_theme, ink_of
from baton_reasoning.core.thinking.events import Author
from baton_reasoning.core.words.authors import SIGN, WHO

__all__ = ["Ribbon", "RibbonSegment"]

_MARGIN = 3  # pixels around the pieces, for the ring of the chosen one


class Ribbon(QWidget):
    """One piece for each segment, as wide as its tokens. It may grow while a text is written."""

    segment_clicked = Signal(int)  # its index; by mouse, or by Enter on the chosen one

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._segments: list[RibbonSegment] = []
        self._written: Counter[Author] = Counter()
        """Tokens by each author."""
        self._layout: RibbonLayout | None = None  # None: rebuilt when it is next needed
        self._selected = -1
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Who wrote it")
        set_accessible_role(self, QAccessible.Role.Chart)
        self._describe()
        current_theme().changed.connect(self.update)

    @property
    def segments(self) -> tuple[RibbonSegment, ...]:
        return tuple(self._segments)

    def set_segments(self, segments: list[RibbonSegment]) -> None:
        """Shows other segments; the choice falls away if it no longer points at one."""
        self._segments = list(segments)
        self._written = Counter()
        for segment in segments:
            self._written[segment.author] += segment.tokens
        if self._selected >= len(self._segments):
            self._selected = -1
        self._changed()

    def append(self, segment: RibbonSegment) -> None:
        self._segments.append(segment)
        self._written[segment.author] += segment.tokens
        self._changed()

    def grow(self, tokens: int) -> None:
        """Adds tokens to the last segment, which is being written."""
        last = self._segments[-1]
        self._segments[-1] = replace(last, tokens=last.tokens + tokens)
        self._written[last.author] += tokens
        self._changed()

    @property
    def selected(self) -> int:
        """The index of the chosen segment, -1 for none."""
        return self._selected

    def select(self, index: int) -> None:
        """Select a segment, or none with -1. Nothing is emitted: the caller knows."""
        self._selected = index if 0 <= index < len(self._segments) else -1
        self._describe()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(320, 14 + 2 * _MARGIN)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, 14 + 2 * _MARGIN)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = current_theme().colours
        area = self._area()
        paint_ribbon(painter, area, self._laid_out(), colours)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._selected >= 0:
            left, right = self._laid_out().place(self._selected, area.width())
            middle, half = (left + right) / 2, max(right - left, 5.0) / 2
            ring = QRectF(area.left() + middle - half, area.top(), 2 * half, area.height())
            painter.setPen(QPen(QColor(colours.text), 2.0))
            painter.drawRoundedRect(ring.adjusted(-1.5, -1.5, 0.5, 1.5), 3.5, 3.5)
        elif self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 1.0))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip:
            index = self.segment_at(event.pos())
            if index >= 0:
                QToolTip.showText(event.globalPos(), self._segment_text(index), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def segment_at(self, point: QPoint) -> int:
        """Return the segment under a point of the widget; -1 beside the pieces."""
        area = self._area()
        return self._laid_out().index_at(point.x() - area.left(), area.width())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        index = self.segment_at(event.position().toPoint())
        if event.button() is Qt.MouseButton.LeftButton and index >= 0:
            self.select(index)
            self.segment_clicked.emit(index)
        else:
            super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        last = len(self._segments) - 1
        match event.key():
            case Qt.Key.Key_Right:
                self.select(min(self._selected + 1, last))
            case Qt.Key.Key_Left:
                self.select(max(self._selected - 1, 0))
            case Qt.Key.Key_Home:
                self.select(0)
            case Qt.Key.Key_End:
                self.select(last)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Space if self._selected >= 0:
                self.segment_clicked.emit(self._selected)
            case _:
                super().keyPressEvent(event)

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)

    def _laid_out(self) -> RibbonLayout:
        if self._layout is None:
            self._layout = RibbonLayout(self._segments)
        return self._layout

    def _changed(self) -> None:
        self._layout = None
        self._describe()
        self.update()

    def _describe(self) -> None:
        """Set the description for screen readers."""
        if not self._segments:
            self.setAccessibleDescription("Nothing written yet.")
            return
        small, large = self._written[Author.SMALL], self._written[Author.LARGE]
        share = large / max(1, small + large)
        text = f"{len(self._segments):,} pieces; the large model wrote {share:.0%}."
        if self._selected >= 0:
            text += f" Piece {self._selected + 1}: {self._segment_text(self._selected)}"
        self.setAccessibleDescription(text)

    def _segment_text(self, index: int) -> str:
        segment = self._segments[index]
        unit = "token" if segment.tokens == 1 else "tokens"
        length = f", {segment.length or f'{segment.tokens:,} {unit}'}" if segment.author.is_model else ""
        first = f"{SIGN[segment.author]} {WHO[segment.author]}{length}"
        return f"{first}\n{segment.tooltip}" if segment.tooltip else first


_LOW = 0.68  # height of the small model's pieces, of the large one's
_ROOM_FOR_A_GAP = 4.0  # pixels; narrower pieces touch, or there would be only gaps
_ROOM_FOR_A_SIGN = 18.0
_RADIUS = 2.5


@dataclass(frozen=True)
class RibbonSegment:
    """A piece of the text by one author. `tooltip` says why it was that one."""

    author: Author
    tokens: int
    tooltip: str = ""
    length: str = ""
    """How long it is, where it is drawn by something else than its tokens."""


class RibbonLayout:
    """Where each of the segments lies on a ribbon; built once for each change, asked many times."""

    def __init__(self, segments: list[RibbonSegment]) -> None:
        self.authors = [segment.author for segment in segments]
        self._ends = [0, *accumulate(segment.tokens for segment in segments)]

    @property
    def total(self) -> int:
        """All tokens."""
        return self._ends[-1]

    def index_at(self, x: float, width: float) -> int:
        """Return the segment under the pixel `x` of `width`; -1 if there is none."""
        if not self.total or not 0 <= x < width:
            return -1
        return bisect_right(self._ends, x / width * self.total) - 1

    def place(self, index: int, width: float) -> tuple[float, float]:
        """Return left and right of a segment, in pixels of `width`."""
        scale = width / self.total if self.total else 0.0
        return self._ends[index] * scale, self._ends[index + 1] * scale


def paint_ribbon(painter: QPainter, area: QRectF, layout: RibbonLayout, colours: Colours) -> None:
    """Draws the whole ribbon into `area`."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    if not layout.total:
        painter.setBrush(QColor(colours.panel))
        painter.drawRoundedRect(_box(area, 0, area.width(), Author.SMALL), _RADIUS, _RADIUS)
    else:
        for index, author in enumerate(layout.authors):
            _paint_piece(painter, _box(area, *layout.place(index, area.width()), author), author, colours)
    painter.restore()


def _box(area: QRectF, left: float, right: float, author: Author) -> QRectF:
    """Return where a piece is drawn: its height shows the author, and a hairline parts it from the next."""
    height = area.height() * (_LOW if author is Author.SMALL else 1.0)
    gap = 0.0 if right - left < _ROOM_FOR_A_GAP else 1.0
    return QRectF(area.left() + left, area.center().y() - height / 2, max(right - left - gap, 0.75), height)


def _paint_piece(painter: QPainter, box: QRectF, author: Author, colours: Colours) -> None:
    ink = QColor(ink_of(author, colours))
    radius = min(_RADIUS, box.width() / 3)
    if author is Author.INSERTED and box.width() >= _ROOM_FOR_A_GAP:
        painter.setPen(QPen(ink, 1.0, Qt.PenStyle.DashLine))
        painter.setBrush(QColor(colours.inserted_tint))
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), radius, radius)
        painter.setPen(Qt.PenStyle.NoPen)
        return
    painter.setBrush(ink)
    painter.drawRoundedRect(box, radius, radius)
    if author is Author.LARGE and box.width() >= _ROOM_FOR_A_SIGN:
        half = box.height() * 0.26
        corners = (QPointF(0, -half), QPointF(half, 0), QPointF(0, half), QPointF(-half, 0))
        painter.setBrush(QColor(colours.surface))
        painter.drawPolygon(QPolygonF([box.center() + corner for corner in corners]))
