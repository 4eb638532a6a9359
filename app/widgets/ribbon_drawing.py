"""How the ribbon is laid out and drawn, for the widget and for the cells of a table alike.

Each author has a colour and a shape: the small model's pieces are low, the large model's tall and, where there is
room, marked with its sign; what the program inserted is only an outline. So even a sliver of the large model
stands out, in grey as well as in colour. Where pieces would be too narrow to tell apart, the large model's colour
is as tall as its share of the tokens there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from app.theme import Colours, ink_of
from core.thinking.events import Author

AUTHORS = tuple(Author)
_LOW = 0.68  # height of the small model's pieces, of the large one's
_ROOM_FOR_A_GAP = 4.0  # pixels; narrower pieces touch, or there would be only gaps
_ROOM_FOR_A_SIGN = 18.0
_RADIUS = 2.5
_SHADES = 8  # heights in which a share is told, so that equal neighbours are drawn in one go


@dataclass(frozen=True)
class Segment:
    """A piece of the text by one author. `tooltip` says why it was that one."""

    author: Author
    tokens: int
    tooltip: str = ""


class Run(NamedTuple):
    """What is drawn in one go: a piece, or what an author wrote of many narrow ones. Left and right in pixels."""

    left: float
    right: float
    author: Author
    share: float = 1.0  # of the tokens between left and right
    crowded: bool = False


class RibbonLayout:
    """Where each of the segments lies on a ribbon; built once for each change, asked many times."""

    def __init__(self, segments: list[Segment]) -> None:
        number = {author: index for index, author in enumerate(AUTHORS)}
        tokens = np.array([segment.tokens for segment in segments], dtype=np.float64)
        self._authors = np.array([number[segment.author] for segment in segments], dtype=np.int64)
        self._ends: NDArray[np.float64] = np.concatenate(([0.0], np.cumsum(tokens)))
        # How many tokens each author had written by each end.
        self._written = [
            np.concatenate(([0.0], np.cumsum(np.where(self._authors == author, tokens, 0.0))))
            for author in range(len(AUTHORS))
        ]

    @property
    def total(self) -> float:
        """All tokens."""
        return float(self._ends[-1])

    def share(self, author: Author) -> float:
        """What part of the tokens the author wrote, 0 to 1."""
        return float(self._written[AUTHORS.index(author)][-1]) / self.total if self.total else 0.0

    def index_at(self, x: float, width: float) -> int:
        """The segment under the pixel `x` of `width`; -1 if there is none."""
        if not self.total or not 0 <= x < width:
            return -1
        return int(np.searchsorted(self._ends, x / width * self.total, side="right")) - 1

    def place(self, index: int, width: float) -> tuple[float, float]:
        """Left and right of a segment, in pixels of `width`."""
        scale = width / self.total if self.total else 0.0
        return float(self._ends[index]) * scale, float(self._ends[index + 1]) * scale

    def runs(self, width: float) -> list[Run]:
        """What to draw on `width` pixels, in order: a few runs a pixel, however many segments there are."""
        if not self.total or width < 1:
            return []
        edges = self._ends * (width / self.total)
        if len(self._authors) * _ROOM_FOR_A_GAP <= width:
            return [
                Run(float(left), float(right), AUTHORS[author])
                for left, right, author in zip(edges[:-1], edges[1:], self._authors, strict=True)
            ]
        return list(self._crowded_runs(edges, int(width)))

    def _crowded_runs(self, edges: NDArray[np.float64], width: int) -> Iterator[Run]:
        pixels = np.arange(width + 1, dtype=np.float64)
        by_pixel = np.stack([np.diff(np.interp(pixels, edges, written)) for written in self._written])
        shares = np.ceil(by_pixel / by_pixel.sum(axis=0) * _SHADES - 1e-9) / _SHADES
        small, large, inserted = (shares[AUTHORS.index(a)] for a in (Author.SMALL, Author.LARGE, Author.INSERTED))
        for author, values in (
            (Author.SMALL, (small > 0).astype(np.float64)),
            (Author.INSERTED, (inserted > 0.5).astype(np.float64)),
            (Author.LARGE, large),  # last, on top: it is what one looks for
        ):
            for left, right, share in _stretches(values):
                if share:
                    yield Run(left, right, author, share, crowded=True)


def _stretches(values: NDArray[np.float64]) -> Iterator[tuple[float, float, float]]:
    """Start, end and value of each stretch of equal values."""
    starts = np.concatenate(([0], np.flatnonzero(np.diff(values)) + 1, [len(values)]))
    for left, right in pairwise(starts):
        yield float(left), float(right), float(values[left])


def paint_ribbon(painter: QPainter, area: QRectF, layout: RibbonLayout, colours: Colours) -> None:
    """Draws the whole ribbon into `area`."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    runs = layout.runs(area.width())
    if not runs:
        painter.setBrush(QColor(colours.panel))
        painter.drawRoundedRect(_piece(area, Run(0, area.width(), Author.SMALL)), _RADIUS, _RADIUS)
    for run in runs:
        _paint_run(painter, _piece(area, run), run, colours)
    painter.restore()


def _piece(area: QRectF, run: Run) -> QRectF:
    """Where the run is drawn: its height tells the author, and a hairline parts it from the next."""
    height = area.height() * (_LOW if run.author is Author.SMALL else run.share)
    width = run.right - run.left
    gap = 0.0 if run.crowded or width < _ROOM_FOR_A_GAP else 1.0
    return QRectF(area.left() + run.left, area.center().y() - height / 2, max(width - gap, 0.75), height)


def _paint_run(painter: QPainter, piece: QRectF, run: Run, colours: Colours) -> None:
    ink = QColor(ink_of(run.author, colours))
    if run.crowded:
        painter.fillRect(piece, ink)
        return
    radius = min(_RADIUS, piece.width() / 3)
    if run.author is Author.INSERTED and piece.width() >= _ROOM_FOR_A_GAP:
        painter.setPen(QPen(ink, 1.0, Qt.PenStyle.DashLine))
        painter.setBrush(QColor(colours.inserted_tint))
        painter.drawRoundedRect(piece.adjusted(0.5, 0.5, -0.5, -0.5), radius, radius)
        painter.setPen(Qt.PenStyle.NoPen)
        return
    painter.setBrush(ink)
    painter.drawRoundedRect(piece, radius, radius)
    if run.author is Author.LARGE and piece.width() >= _ROOM_FOR_A_SIGN:
        half = piece.height() * 0.26
        corners = (QPointF(0, -half), QPointF(half, 0), QPointF(0, half), QPointF(-half, 0))
        painter.setBrush(QColor(colours.surface))
        painter.drawPolygon(QPolygonF([piece.center() + corner for corner in corners]))
