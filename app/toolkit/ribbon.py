"""The ribbon: who wrote which part of a text, at a glance, by mouse and by keyboard."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate, groupby

from PySide6.QtCore import QPoint, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy

from baton_reasoning.app.toolkit.controls import ChoosableParts
from baton_reasoning.app.toolkit.theme import Colours, current_theme, ink_of
from baton_reasoning.core.engines.body import Author

_HEIGHT = 14
_MARGIN = 3  # pixels around the pieces, for the ring of the chosen one
_LOW = 0.68  # height of the small model's pieces, of the large one's
_ROOM_FOR_A_GAP = 4.0  # pixels; narrower pieces touch, or there would be only gaps
_ROOM_FOR_A_SIGN = 18.0
_RADIUS = 2.5

Segment = tuple[Author, int]
"""Who wrote a piece of the text, and how wide it is on the ribbon: its tokens, or the milliseconds of its writing."""


class RibbonLayout:
    """Where each of the segments lies on a ribbon."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = segments
        self._ends = [0, *accumulate(width for _, width in segments)]

    @property
    def total(self) -> int:
        """The width of all."""
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


class Ribbon(ChoosableParts):
    """One piece for each segment. It may grow while a text is written."""

    def __init__(self, name: str, describe: Callable[[int], str]) -> None:
        """`name`: for screen readers. `describe`: says who wrote the segment of this index, how much, and why."""
        super().__init__(name)
        self._describe_part = describe
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_segments([])
        current_theme().changed.connect(self.update)

    @property
    def segments(self) -> Sequence[Segment]:
        return self._layout.segments

    def set_segments(self, segments: Sequence[Segment]) -> None:
        """Show other segments; the choice falls away if it no longer points at one."""
        self._layout = RibbonLayout(segments)
        self.select(self.selected)

    def select(self, index: int) -> None:
        super().select(index if 0 <= index < len(self.segments) else -1)
        self._describe()

    def sizeHint(self) -> QSize:
        return QSize(320, _HEIGHT + 2 * _MARGIN)

    def minimumSizeHint(self) -> QSize:
        return QSize(40, _HEIGHT + 2 * _MARGIN)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours, area = current_theme().colours, self._area()
        paint_ribbon(painter, area, self._layout, colours)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.selected >= 0:
            left, right = self._layout.place(self.selected, area.width())
            middle, half = (left + right) / 2, max(right - left, 5.0) / 2
            ring = QRectF(area.left() + middle - half, area.top(), 2 * half, area.height())
            painter.setPen(QPen(QColor(colours.text), 2.0))
            painter.drawRoundedRect(ring.adjusted(-1.5, -1.5, 0.5, 1.5), 3.5, 3.5)
        self.paint_focus(painter)

    def count(self) -> int:
        return len(self.segments)

    def text_of(self, index: int) -> str:
        return self._describe_part(index)

    def part_at(self, point: QPoint) -> int:
        area = self._area()
        return self._layout.index_at(point.x() - area.left(), area.width())

    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)

    def _describe(self) -> None:
        """Set the description for screen readers."""
        small, large = (
            sum(width for author, width in self.segments if author is who) for who in (Author.SMALL, Author.LARGE)
        )
        text = f"{len(self.segments):,} pieces; the large model wrote {large / max(1, small + large):.0%}."
        if self.selected >= 0:
            text += f" Piece {self.selected + 1}: {self.text_of(self.selected)}"
        self.setAccessibleDescription(text if self.segments else "Nothing written yet.")


def paint_ribbon(painter: QPainter, area: QRectF, layout: RibbonLayout, colours: Colours) -> None:
    """Draw the whole ribbon into `area`: a piece's height shows its author, and a hairline parts it from the next."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    if not layout.total:
        painter.setBrush(QColor(colours.panel))
        margin = area.height() * (1 - _LOW) / 2
        painter.drawRoundedRect(area.adjusted(0, margin, 0, -margin), _RADIUS, _RADIUS)
    inks = {author: QColor(ink_of(author, colours)) for author in Author}
    scale, left = area.width() / max(1, layout.total), area.left()
    # Narrow neighbours by one author touch each other, and are painted as one: of 3,000 pieces all are.
    runs = groupby(layout.segments, key=lambda segment: (segment[0], segment[1] * scale < _ROOM_FOR_A_GAP))
    for (author, is_narrow), run in runs if layout.total else ():
        widths = [width * scale for _, width in run]
        height = area.height() * (_LOW if author is Author.SMALL else 1.0)
        top = area.center().y() - height / 2
        for width in [sum(widths)] if is_narrow else widths:
            if is_narrow:
                painter.fillRect(QRectF(left, top, max(width, 0.75), height), inks[author])
            else:
                _paint_piece(painter, QRectF(left, top, width - 1.0, height), author, inks[author], colours)
            left += width
    painter.restore()


def _paint_piece(painter: QPainter, box: QRectF, author: Author, ink: QColor, colours: Colours) -> None:
    if author is Author.INSERTED:
        painter.setPen(QPen(ink, 1.0, Qt.PenStyle.DashLine))
        painter.setBrush(QColor(colours.inserted_tint))
        painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), _RADIUS, _RADIUS)
        painter.setPen(Qt.PenStyle.NoPen)
        return
    painter.setBrush(ink)
    painter.drawRoundedRect(box, _RADIUS, _RADIUS)
    if author is Author.LARGE and box.width() >= _ROOM_FOR_A_SIGN:
        half = box.height() * 0.26
        corners = (QPointF(0, -half), QPointF(half, 0), QPointF(0, half), QPointF(-half, 0))
        painter.setBrush(QColor(colours.surface))
        painter.drawPolygon(QPolygonF([box.center() + corner for corner in corners]))
