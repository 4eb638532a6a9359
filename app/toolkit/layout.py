"""Rows and columns of widgets, each as one expression, and lines that break where the width is used up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QLayout, QLayoutItem, QVBoxLayout, QWidget

from baton_reasoning.app.toolkit.theme import Role, set_role


class Spacer(NamedTuple):
    """Empty space: with a factor it takes all that is left, with 0 it shares it with widgets that expand."""

    factor: int = 1


STRETCH = Spacer()
Box = TypeVar("Box", bound=QBoxLayout)

Part = QWidget | QLayout
Cell = Part | Spacer | int | tuple[Part, int] | tuple[QWidget, int, Qt.AlignmentFlag]
"""What stands in a row or a column: a part, alone or with its stretch factor and alignment, or empty space: a Spacer,
or so many pixels."""
Margins = int | tuple[int, int, int, int]
"""Pixels: on all sides, or left, top, right and bottom."""
LINE_GAP = 6
"""Pixels between two lines."""


def hbox(*cells: Cell, margins: Margins | None = None, spacing: int | None = None) -> QHBoxLayout:
    """Lay out these cells from left to right; margins and spacing are those of the style by default."""
    return _filled(QHBoxLayout(), cells, margins, spacing)


def vbox(*cells: Cell, margins: Margins | None = None, spacing: int | None = None) -> QVBoxLayout:
    """Lay out these cells from top to bottom; margins and spacing are those of the style by default."""
    return _filled(QVBoxLayout(), cells, margins, spacing)


def holder(layout: QLayout, role: Role | None = None) -> QFrame:
    """Return a widget with this layout, such as a card."""
    frame = QFrame()
    frame.setLayout(layout)
    if role:
        set_role(frame, role)
    return frame


def in_row(*widgets: QWidget) -> QWidget:
    """Return a widget with these side by side at the left."""
    return holder(hbox(*widgets, STRETCH, margins=0))


def _filled(box: Box, cells: tuple[Cell, ...], margins: Margins | None, spacing: int | None) -> Box:
    for cell in cells:
        _add(box, cell)
    if margins is not None:
        box.setContentsMargins(*(margins if isinstance(margins, tuple) else (margins,) * 4))
    if spacing is not None:
        box.setSpacing(spacing)
    return box


def _add(box: QBoxLayout, cell: Cell) -> None:
    match cell:
        case Spacer(factor):
            box.addStretch(factor)
        case int():
            box.addSpacing(cell)
        case QWidget():
            box.addWidget(cell)
        case QLayout():
            box.addLayout(cell)
        case (QWidget() as widget, factor, alignment):
            box.addWidget(widget, factor, alignment)
        case (QWidget() as widget, factor):
            box.addWidget(widget, factor)
        case (QLayout() as layout, factor):
            box.addLayout(layout, factor)


class FlowLayout(QLayout):
    """Puts widgets side by side, and continues in another line where the width is used up.

    Each has its preferred size, or the whole width where it prefers more.
    """

    def __init__(self, gap: int) -> None:
        """`gap`: pixels between two widgets."""
        super().__init__()
        self._items: list[QLayoutItem] = []
        self._gap = gap
        self.setContentsMargins(0, 0, 0, 0)

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation(0)  # by itself, Qt would give it a share of the room that is left

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        lines = [max(size.height() for _, size in line) for line in self._lines(width)]
        return sum(lines) + LINE_GAP * max(0, len(lines) - 1)

    def sizeHint(self) -> QSize:
        """Return the size of all items in one line."""
        sizes = [item.sizeHint() for item in self._items if not item.isEmpty()]
        return QSize(self._width(sizes), max((size.height() for size in sizes), default=0))

    def minimumSize(self) -> QSize:
        """Return a size that has room for the largest item."""
        size = QSize(0, 0)
        for item in self._items:
            size = size if item.isEmpty() else size.expandedTo(item.minimumSize())
        return size

    def setGeometry(self, area: QRect) -> None:
        super().setGeometry(area)
        top = area.y()
        for line in self._lines(area.width()):
            height = max(size.height() for _, size in line)
            left = area.x()
            for item, size in line:
                item.setGeometry(QRect(QPoint(left, top + (height - size.height()) // 2), size))
                left += size.width() + self._gap
            top += height + LINE_GAP

    def _width(self, sizes: list[QSize]) -> int:
        return sum(size.width() for size in sizes) + self._gap * max(0, len(sizes) - 1)

    def _lines(self, width: int) -> Iterator[list[tuple[QLayoutItem, QSize]]]:
        line: list[tuple[QLayoutItem, QSize]] = []
        for item in self._items:
            if item.isEmpty():
                continue
            size = item.sizeHint().boundedTo(QSize(max(width, 1), item.sizeHint().height()))
            if line and self._width([*(known for _, known in line), size]) > width:
                yield line
                line = []
            line.append((item, size))
        if line:
            yield line


class FlowRow(QFrame):
    """Widgets side by side, in as many lines as are needed, also in a splitter.

    A splitter does not ask how high a part is at its width, so the row sets its own lowest height.
    """

    def __init__(self, *widgets: QWidget, gap: int = 6) -> None:
        super().__init__()
        self._flow = FlowLayout(gap)
        for widget in widgets:
            self._flow.addWidget(widget)
        self.setLayout(self._flow)

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            self.setMinimumHeight(self._flow.heightForWidth(self.width()))
        return super().event(event)


def flowing(*widgets: QWidget, gap: int = 6) -> QWidget:
    """Return a widget with these side by side at the left, in as many lines as are needed."""
    flow = FlowLayout(gap)
    for widget in widgets:
        flow.addWidget(widget)
    return holder(flow)
