"""Columns laid out: heads that stay, and below them what scrolls, both of one width and moved sideways together."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtWidgets import QGridLayout, QScrollArea, QVBoxLayout, QWidget

from app.compare.between import WIDTH, Between
from app.widgets.controls import Hairline
from app.widgets.scrolling import scrolling

EDGE = 18
NARROWEST = 42
"""Letters in a column, about 300 pixels; where not all columns fit, one scrolls."""
NEAR_END = 36
"""Pixels from the end within which what is being written is followed."""


class Panes(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grids: list[QGridLayout] = []
        self.above, self.below = QWidget(), QWidget()
        self.heads, self.body = self._area(self.above, "Arms"), self._area(self.below, "Steps side by side")
        self._grids = [QGridLayout(self.above), QGridLayout(self.below)]
        self._follows = True
        for grid in self._grids:
            grid.setContentsMargins(EDGE, 8, EDGE, 10)
            grid.setHorizontalSpacing(0)
            grid.setVerticalSpacing(6)
        self.heads.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.heads.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.body.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.body.horizontalScrollBar().valueChanged.connect(self.heads.horizontalScrollBar().setValue)
        self.body.verticalScrollBar().valueChanged.connect(self._scrolled)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.heads)
        column.addWidget(Hairline())
        column.addWidget(self.body, 1)

    @property
    def narrowest(self) -> int:
        """Pixels of a column, with letters as large as a person wants them."""
        # Not averageCharWidth: it is of all that a font has, and Inter has many wide letters that nobody writes.
        return self.fontMetrics().horizontalAdvance("x" * NARROWEST)

    def add_column(self, head: Sequence[QWidget], text: Sequence[QWidget], between: Between | None) -> None:
        """One more at the right, each part level with those of its kind. `between` stands at its left."""
        place = self._grids[1].columnCount() if between else 0
        for grid, widgets in zip(self._grids, (head, text), strict=True):
            if between:
                grid.setColumnMinimumWidth(place, WIDTH)
            for row, widget in enumerate(widgets):
                grid.addWidget(widget, row, place + 1, Qt.AlignmentFlag.AlignTop)
            grid.setColumnStretch(place + 1, 1)
        if between:
            self._grids[1].addWidget(between, 0, place)
        self._grids[1].setRowStretch(len(text), 1)
        self._set_widths()

    def reveal(self, widget: QWidget, at: QPoint) -> None:
        """Scroll to a point of something in a column."""
        point = widget.mapTo(self.below, at)
        self.body.ensureVisible(point.x() + self.narrowest, point.y(), self.narrowest, self.body.height() // 3)

    def follow(self, bottom: int) -> None:
        """Keep this height in view, unless a person has scrolled away."""
        if self._follows:
            self.body.verticalScrollBar().setValue(bottom + EDGE - self.body.viewport().height())
            self._follows = True

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The heads are as high as they need to be, and as wide as the columns below them."""
        if watched is self.above and event.type() is QEvent.Type.LayoutRequest:
            self.heads.setFixedHeight(self.above.sizeHint().height())
        elif watched is self.below and event.type() is QEvent.Type.Resize:
            self.above.setFixedWidth(self.below.width())
            self.heads.setViewportMargins(0, 0, self.body.width() - self.body.viewport().width(), 0)
        return super().eventFilter(watched, event)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.FontChange:
            self._set_widths()

    def _set_widths(self) -> None:
        for grid in self._grids:
            for place in range(1, grid.columnCount(), 2):
                grid.setColumnMinimumWidth(place, self.narrowest)

    def _scrolled(self, value: int) -> None:
        self._follows = value >= self.body.verticalScrollBar().maximum() - NEAR_END

    def _area(self, inside: QWidget, name: str) -> QScrollArea:
        area = scrolling(inside)
        area.setAccessibleName(name)
        inside.installEventFilter(self)
        return area
