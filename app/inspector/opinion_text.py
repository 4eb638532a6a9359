"""The text of an answer as the large model read it: a heat map of its disagreement, with marks that can be pressed."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TypeVar

from PySide6.QtCore import QEvent, QPoint, QRect, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QResizeEvent,
    QTextCharFormat,
    QTextCursor,
)
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QToolTip, QWidget

from baton_reasoning.app.inspector.token_strip import visible
from baton_reasoning.app.toolkit.controls import label, plain_tip
from baton_reasoning.app.toolkit.theme import Role, blend, current_theme
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.opinion import STRONG, Disagreement, Opinion, Sequel
from baton_reasoning.core.thinking.trace import Trace

HOTTEST = 3 * STRONG
"""Nats at which the colour is deepest."""
BEYOND_16_BITS = re.compile("[\U00010000-\U0010ffff]")
Span = TypeVar("Span")
LEGEND = (
    "Wavy: the large model would have written otherwise · line: it took over after it · dots: mild. Arrow keys: next."
)
FORKS = "Enter or click: fork there."
UNDERLINES = {
    Sequel.MISSED: QTextCharFormat.UnderlineStyle.WaveUnderline,
    Sequel.TAKEN_OVER: QTextCharFormat.UnderlineStyle.SingleUnderline,
    None: QTextCharFormat.UnderlineStyle.DotLine,
}


class OpinionText(QPlainTextEdit):
    """Read-only. Left and Right go from mark to mark, Enter or a click chooses one; the mouse shows what it says."""

    place_shown = Signal(object)
    """A Disagreement under the mouse or the keyboard, or None."""
    place_chosen = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setAccessibleName("The text with its disagreements")
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.legend = label(LEGEND, Role.MUTED, wrap=True)
        self.chosen: Disagreement | None = None
        self._places: list[Disagreement] = []
        self._starts: list[int] = []
        self._large: list[tuple[int, int]] = []
        """What the large model wrote, as start and end."""
        self._pressed: Disagreement | None = None
        self._wide: list[int] = []
        """Characters that count twice for Qt, which counts UTF-16 units."""
        self._wide_units: list[int] = []
        """Their positions in Qt's units."""
        current_theme().changed.connect(self._draw)
        self.verticalScrollBar().valueChanged.connect(self._draw)

    def show_opinion(self, trace: Trace, opinion: Opinion | None) -> None:
        self.chosen = self._pressed = None
        self._places = opinion.disagreements if opinion else []
        self._large = [(p.position, p.end_position) for p in trace.pieces if p.author is Author.LARGE]
        text = trace.text if opinion else ""
        self._wide = [found.start() for found in BEYOND_16_BITS.finditer(text)]
        self._wide_units = [index + before for before, index in enumerate(self._wide)]
        self._starts = [place.start for place in self._places]
        self.setPlainText(text)
        self._draw()

    def reveal(self, place: Disagreement) -> None:
        """Mark a place, and scroll to it."""
        self.chosen = place
        self._go_to(place.start)

    def place_at(self, point: QPoint) -> Disagreement | None:
        """Return the mark under a point of the viewport."""
        at = self._character(self.cursorForPosition(point).position())
        for place in self._places[max(0, bisect_right(self._starts, at) - 2) : bisect_right(self._starts, at)]:
            if self._rectangle(place).contains(point):
                return place
        return None

    def _rectangle(self, place: Disagreement) -> QRect:
        first, last = self.cursorRect(self._cursor(place.start)), self.cursorRect(self._cursor(place.end))
        if last.top() > first.top():
            last.moveTopLeft(first.topLeft())
            last.moveRight(self.viewport().width())
        return first.united(last).adjusted(-1, 0, 1, 0)

    # Qt's own

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        place = self.place_at(event.position().toPoint())
        shape = Qt.CursorShape.PointingHandCursor if place else Qt.CursorShape.IBeamCursor
        self.viewport().setCursor(shape)
        if place:
            QToolTip.showText(event.globalPosition().toPoint(), plain_tip(in_words(place)), self)
            self.place_shown.emit(place)
        else:
            QToolTip.hideText()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        super().mousePressEvent(event)
        self._pressed = self.place_at(event.position().toPoint())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        place = self.place_at(event.position().toPoint())
        if place and place is self._pressed and not self.textCursor().hasSelection():
            self.place_chosen.emit(place)
        self._pressed = None

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Right:
                self._step(1)
            case Qt.Key.Key_Left:
                self._step(-1)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter if self.chosen:
                self.place_chosen.emit(self.chosen)
            case _:
                super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        if self.chosen is None and self._places:
            self._choose(self._places[0])

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._draw()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.FontChange:
            self._draw()

    def _step(self, by: int) -> None:
        if not self._places:
            return
        at = next((i for i, place in enumerate(self._places) if place is self.chosen), -1 if by > 0 else 0)
        self._choose(self._places[min(max(at + by, 0), len(self._places) - 1)])

    def _choose(self, place: Disagreement) -> None:
        self.reveal(place)
        self.place_shown.emit(place)

    def _go_to(self, position: int) -> None:
        self.setTextCursor(self._cursor(position))
        self.centerCursor()
        self._draw()
        self.setAccessibleDescription(in_words(self.chosen) if self.chosen else "")

    def _draw(self) -> None:
        """Mark what is in sight: Qt needs a second for all places of 20,000 tokens, each time one of them changes."""
        colours = current_theme().colours
        begin = self._character(self.firstVisibleBlock().position())
        corner = QPoint(self.viewport().width(), self.viewport().height())
        end = self._character(self.cursorForPosition(corner).position()) + 1
        large = _among(self._large, [start for start, _ in self._large], begin, end)
        marks = [self._mark(*span, colours.large_tint) for span in large]
        for place in _among(self._places, self._starts, begin, end):
            heat = min(place.nats / HOTTEST, 1.0)
            mark = self._mark(place.start, place.end, blend(colours.surface, colours.danger, 0.10 + 0.25 * heat))
            mark.format.setUnderlineStyle(UNDERLINES[place.sequel])
            mark.format.setUnderlineColor(QColor(colours.danger))
            if place is self.chosen:
                mark.format.setBackground(QColor(colours.accent))
                mark.format.setForeground(QColor(colours.on_accent))
            marks.append(mark)
        self.setExtraSelections(marks)

    def _mark(self, start: int, end: int, ground: str) -> QTextEdit.ExtraSelection:
        mark = QTextEdit.ExtraSelection()
        mark.cursor = self._cursor(start, end)
        mark.format.setBackground(QColor(ground))
        return mark

    def _cursor(self, start: int, end: int | None = None) -> QTextCursor:
        cursor = QTextCursor(self.document())
        cursor.setPosition(self._unit(start))
        if end is not None:
            cursor.setPosition(self._unit(end), QTextCursor.MoveMode.KeepAnchor)
        return cursor

    def _unit(self, position: int) -> int:
        return min(position + bisect_left(self._wide, position), self.document().characterCount() - 1)

    def _character(self, unit: int) -> int:
        return unit - bisect_left(self._wide_units, unit)


def _among(spans: Sequence[Span], starts: Sequence[int], begin: int, end: int) -> Sequence[Span]:
    """Return the spans between `begin` and `end`, and the one before them, which may reach into them."""
    return spans[max(0, bisect_right(starts, begin) - 1) : bisect_left(starts, end)]


def in_words(place: Disagreement) -> str:
    """Return what the large model would have written there, a line each."""
    token = place.token
    lines = [f"{visible(token.text)} ({chance(token.logprob)} to the large model). It would have written:"]
    lines += [f"{visible(other.text)}  {chance(other.logprob)}" for other in token.alternatives]
    if place.sequel:
        lines.append(f"Strong disagreement: {place.sequel.value}.")
    return "\n".join(lines)


def chance(logprob: float) -> str:
    """Return a log-probability as a percentage: 12%, <1%."""
    probability = math.exp(logprob)
    return f"{probability:.0%}" if probability >= 0.005 else "<1%"
