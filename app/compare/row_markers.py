"""Between the columns: = ≈ ≠ for each row, and the line where the answers diverge."""

from __future__ import annotations

from collections import Counter

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.compare.rows import PARTING_ROOM, AlignedRows
from app.shared.format import count
from app.shared.steps.steps_view import PAD
from app.shared.theme import current_theme
from core.thinking.alignment import Likeness

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
        parts = [f"{found[each]:,} {each.name.lower()}" for each in Likeness if found[each]]
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
            self.setAccessibleName(self.words)
            self.update()

    @property
    def words(self) -> str:
        same = self._rows.parting
        return f"the same for {count(same, 'step')}; here they part" if same else "they differ from the first step on"

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = current_theme().colours
        end = INDENT + self.fontMetrics().horizontalAdvance(self.words) + 20
        middle = self.height() // 2
        painter.setPen(QColor(colours.outline))
        painter.drawLine(0, middle, INDENT, middle)
        painter.drawLine(end, middle, self.width(), middle)
        painter.setPen(QColor(colours.text))
        painter.drawText(self.rect().adjusted(INDENT + 10, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self.words)
        painter.end()
