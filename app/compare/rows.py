"""Aligns the steps of several answers in rows: a background task finds the rows, gaps between steps make them.

    traces ─► steps as text ─► align (thread) ─► rows ─► room above steps, some rows at a time

Each answer stays one document (docs/ui.md says why), so a row is nothing but steps that begin at one height.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from math import inf

from PySide6.QtCore import QEvent, QObject, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.document.steps_document import GAP
from baton_reasoning.app.document.steps_view import PAD, StepsView
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.core.thinking.differences import Likeness, Row, align, parting
from baton_reasoning.core.words.numbers import count

AT_ONCE = 40
"""Rows placed in one go, a few milliseconds; the rest follows when the window is idle."""
PARTING_ROOM = 26
"""Pixels kept free above the first row that differs, for the line that says so."""
SAME_PLACE = 0.5
"""Differences below this many pixels are ignored."""


class AlignedRows(QObject):
    changed = Signal()
    """Rows are other ones, or at other heights."""

    def __init__(self, views: Sequence[StepsView], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._views = views
        self.rows: Sequence[Row] = ()
        self.parting = 0
        """Index of the first row that differs; the number of rows if none does."""
        self._row_of: list[dict[int, int]] = [{} for _ in views]
        self._texts: list[list[str]] = []
        self.aligned: list[list[str]] = []
        """The steps of each answer that the rows are of."""
        self._aligning = LatestTask(self, "align steps", one_at_a_time=True)
        self._next = self._until = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._place_some)
        for place, view in enumerate(views):
            view.grown.connect(lambda first, place=place: self._grown(place, first))
            view.installEventFilter(self)

    def follow(self, texts: list[list[str]]) -> None:
        """Align the steps of each answer as they are now."""
        if texts != self._texts:
            self._texts = texts
            self._aligning.run(lambda: align(texts), lambda rows: self._take(rows, texts))

    @property
    def settled(self) -> bool:
        """Whether rows and heights are those of the steps."""
        return not self._aligning.busy and not self._timer.isActive()

    def top_of(self, row: int) -> float | None:
        """Return where a row begins, in pixels; None while none of its steps is in its document."""
        cells = self._cells(row)
        return self._views[cells[0][0]].top_of(cells[0][1]) if cells else None

    def row_at(self, y: float) -> int:
        """Return the first row that begins at this height or below it."""
        rows = range(len(self.rows))
        return bisect_left(rows, y, key=lambda row: inf if (top := self.top_of(row)) is None else top)

    def row_of(self, place: int, step: int) -> int | None:
        """Return the row of a step of a text."""
        return self._row_of[place].get(step)

    def finish(self) -> None:
        self._timer.stop()
        self._aligning.cancel()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Place all rows again when a column changes its width."""
        if isinstance(event, QResizeEvent) and event.size().width() != event.oldSize().width():
            self._place(0, len(self.rows))
        return super().eventFilter(watched, event)

    def _take(self, rows: Sequence[Row], texts: list[list[str]]) -> None:
        self.aligned = texts
        same = next(
            (i for i, (old, new) in enumerate(zip(self.rows, rows, strict=False)) if old != new), len(self.rows)
        )
        self.rows, self.parting = rows, parting(rows)
        self._row_of = [
            {step: index for index, row in enumerate(rows) if (step := row.steps[place]) is not None}
            for place in range(len(self._views))
        ]
        self._place(min(same, self.parting), len(rows))

    def _grown(self, place: int, first: int) -> None:
        shown = self._views[place].shown
        if first < len(shown) and (row := self.row_of(place, shown[first].piece.step)) is not None:
            self._place(row, row + 1)

    def _place(self, first: int, until: int) -> None:
        """Place the rows from `first` on: to `until` at least, and further while any of them moves."""
        pending = self._timer.isActive()
        self._next = min(self._next, first) if pending else first
        self._until = max(self._until, until) if pending else until
        self._timer.start(0)

    def _place_some(self) -> None:
        last = min(self._next + AT_ONCE, len(self.rows))
        moved = self._place_rows(self._next, last)
        self._next = last
        if last < len(self.rows) and (moved or last < self._until):
            self._timer.start(0)
        self.changed.emit()

    def _place_rows(self, first: int, last: int) -> bool:
        """Give each step so much room that all steps of a row begin where the row before has ended."""
        start = next((row for row in range(first - 1, -1, -1) if self._cells(row)), None)
        y = PAD if start is None else self.top_of(start) or PAD
        free: list[dict[int, float]] = [{} for _ in self._views]
        shift = [0.0] * len(self._views)
        for row in range(0 if start is None else start, last):
            cells = self._cells(row)
            if row == self.parting and row != start:
                y += PARTING_ROOM
            for place, index in cells if row != start else ():
                view = self._views[place]
                has = view.shown[index].free
                more = y - view.top_of(index) - shift[place]
                if abs(more) > SAME_PLACE:
                    free[place][index] = max(0.0, has + more)
                    shift[place] += free[place][index] - has
            y += max((self._height(place, index) for place, index in cells), default=0.0)
        for view, pixels in zip(self._views, free, strict=True):
            if pixels:
                view.keep_free(pixels)
        return any(free)

    def _cells(self, row: int) -> list[tuple[int, int]]:
        """Return the view, and the index of its first piece there, of each step of the row that is in its document."""
        cells = []
        for place, step in enumerate(self.rows[row].steps):
            if step is not None and (index := self._index_of(place, step)) is not None:
                cells.append((place, index))
        return cells

    def _index_of(self, place: int, step: int) -> int | None:
        shown = self._views[place].shown
        index = bisect_left(shown, step, key=lambda each: each.piece.step)
        return index if index < len(shown) and shown[index].piece.step == step else None

    def _height(self, place: int, index: int) -> float:
        """Return the pixels from the top of a step to where the next one would begin by itself."""
        view = self._views[place]
        shown = view.shown
        after = bisect_left(shown, shown[index].piece.step + 1, key=lambda each: each.piece.step)
        if after < len(shown):
            return view.top_of(after) - shown[after].free - view.top_of(index)
        return view.document().size().height() + GAP - 2 * PAD - view.top_of(index)


LIKENESS_NAMES = {Likeness.SAME: "same", Likeness.ALIKE: "similar", Likeness.OTHER: "different"}
WIDTH = 26
INDENT = 26
"""Pixels of the line before its words, which stand at the left: there they are seen in a narrow window, too."""


class RowMarkers(QWidget):
    """The signs between two neighbouring columns."""

    def __init__(self, rows: AlignedRows, place: int, parent: QWidget | None = None) -> None:
        """`place`: of the left column."""
        super().__init__(parent)
        self._rows = rows
        self._place = place
        self.setFixedWidth(WIDTH)
        rows.changed.connect(self._changed)
        current_theme().changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = current_theme().colours
        line = self.fontMetrics().height() + 2 * PAD
        for index in range(self._rows.row_at(event.rect().top() - line), len(self._rows.rows)):
            sign, top = self._rows.rows[index].likeness[self._place], self._rows.top_of(index)
            if top is not None and top > event.rect().bottom():
                break
            if sign and top is not None:
                painter.setPen(QColor(colours.muted if sign is Likeness.SAME else colours.text))
                painter.drawText(QRectF(0, top, WIDTH, line), Qt.AlignmentFlag.AlignCenter, sign.value)
        painter.end()

    def _changed(self) -> None:
        found = Counter(row.likeness[self._place] for row in self._rows.rows)
        parts = [f"{found[each]:,} {words} ({each.value})" for each, words in LIKENESS_NAMES.items() if found[each]]
        self.setAccessibleName(f"Steps at the left and right: {', '.join(parts)}" if parts else "")
        self.setToolTip(self.accessibleName())
        self.update()


class PartingLine(QWidget):
    """A line across all columns above the first row that differs; hidden while there is none."""

    def __init__(self, rows: AlignedRows, parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = rows
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()
        current_theme().changed.connect(self.update)

    def place(self, left: int, top: int, width: int) -> None:
        """`left`, `top` and `width` of the rows in the parent, in pixels."""
        rows = self._rows
        at = rows.top_of(rows.parting) if rows.parting < len(rows.rows) else None
        self.setVisible(at is not None)
        if at is not None:
            self.setGeometry(left, int(top + at) - PARTING_ROOM, width, PARTING_ROOM)
            self.setAccessibleName(self.text)
            self.update()

    @property
    def text(self) -> str:
        same = self._rows.parting
        return f"the same for {count(same, 'step')}; here they part" if same else "they differ from the first step on"

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = current_theme().colours
        end = INDENT + self.fontMetrics().horizontalAdvance(self.text) + 20
        middle = self.height() // 2
        painter.setPen(QColor(colours.outline))
        painter.drawLine(0, middle, INDENT, middle)
        painter.drawLine(end, middle, self.width(), middle)
        painter.setPen(QColor(colours.text))
        painter.drawText(self.rect().adjusted(INDENT + 10, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self.text)
        painter.end()
