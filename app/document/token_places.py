"""Where each token of a text stands on the screen; a shade below it says how unsure its writer was."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import cast

from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QTextDocument

from baton_reasoning.app.document.row_writer import RowWriter
from baton_reasoning.app.toolkit.theme import Colours, ink_of
from baton_reasoning.core.analysis.token_choices import PlacedToken, placed_tokens
from baton_reasoning.core.markdown.blocks import row_at
from baton_reasoning.core.thinking.trace import Piece
from baton_reasoning.core.words.step_rows import StepRows

DARKEST = 0.4
"""How much of the author's colour lies below a token that was all but impossible."""


class TokenPlaces:
    def __init__(self, document: QTextDocument, writer: RowWriter, steps: StepRows) -> None:
        self._document, self._writer, self._steps = document, writer, steps
        self._rects: dict[int, QRectF] = {}
        """By the start of the token, while the document stays as it is: to find one takes 50 µs."""
        document.contentsChanged.connect(self._rects.clear)
        document.documentLayout().documentSizeChanged.connect(self._rects.clear)

    def rect_of(self, placed: PlacedToken) -> QRectF:
        """Return where the letters of a token stand in the widget; the first line of it, without the blanks before.

        It is empty for what is not shown: the marks of Markdown, line ends. Within a formula it is the whole formula.
        """
        if placed.start not in self._rects:
            self._rects[placed.start] = self._find(placed)
        return self._rects[placed.start]

    def token_at(self, point: QPoint, piece: Piece) -> PlacedToken | None:
        """Return the token of a piece at a point of the widget."""
        return next((each for each in placed_tokens(piece) if self.rect_of(each).contains(QPointF(point))), None)

    def next_to(self, placed: PlacedToken | None, by: int) -> PlacedToken | None:
        """Return the token that is so many before or after this one among those that are seen; the first for None."""
        tokens = [each for piece in self._steps.pieces for each in placed_tokens(piece) if each.token.text.strip()]
        at = next((n for n, each in enumerate(tokens) if placed and each.start >= placed.start), None)
        if not tokens:
            return None
        return tokens[0] if at is None else tokens[min(max(at + by, 0), len(tokens) - 1)]

    def paint(
        self, painter: QPainter, pieces: Iterable[Piece], area: QRectF, pointed: PlacedToken | None, colours: Colours
    ) -> None:
        """Paint the shades of some pieces in an area, and a frame around the token that is pointed at. A formula has
        the shade of the token in it that was least sure."""
        for piece in pieces:
            shades: dict[tuple[float, ...], tuple[QRectF, float, bool]] = {}
            for placed in placed_tokens(piece):
                if not (place := self.rect_of(placed)).intersects(area):
                    continue
                key = place.x(), place.y(), place.width()
                _, before, was_pointed = shades.get(key, (place, 0.0, False))
                is_pointed = was_pointed or (pointed is not None and pointed.start == placed.start)
                shades[key] = place, max(before, unsureness(placed)), is_pointed
            ink = QColor(ink_of(piece.author, colours))
            for place, shade, is_pointed in shades.values():
                ink.setAlphaF(DARKEST * shade)
                painter.setBrush(ink)
                painter.setPen(QPen(QColor(ink_of(piece.author, colours)), 1.2) if is_pointed else Qt.PenStyle.NoPen)
                painter.drawRoundedRect(place.adjusted(0.5, 1.5, -0.5, -1.5), 2, 2)

    def _find(self, placed: PlacedToken) -> QRectF:
        rows = self._writer.rows
        blanks = len(placed.token.text) - len(placed.token.text.lstrip(" "))
        start = placed.start - self._steps.start + (blanks if placed.token.text.strip() else 0)
        if not rows:
            return QRectF()
        first, last = self._writer.extent_of(row_at(rows, start), start, placed.end - self._steps.start)
        block = self._document.findBlock(first)
        line = block.layout().lineForTextPosition(first - block.position())
        if not line.isValid():
            return QRectF()
        last = min(last - block.position(), line.textStart() + line.textLength())
        left, right = (cast(tuple[float, int], line.cursorToX(x))[0] for x in (first - block.position(), last))
        place = self._document.documentLayout().blockBoundingRect(block)
        return QRectF(place.left() + min(left, right), place.top() + line.y(), abs(right - left), line.height())


def unsureness(placed: PlacedToken) -> float:
    """Return how unlikely its writer found a token, 0 to 1; 0 where that was not recorded."""
    return 0.0 if placed.token.logprob is None else 1.0 - math.exp(min(0.0, placed.token.logprob))
