"""A layout that puts its widgets side by side, and continues in another line where the width is used up."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget

from baton_reasoning.app.toolkit.layout import holder

LINE_GAP = 6
"""Pixels between two lines."""


class FlowLayout(QLayout):
    """Each widget has its preferred size, or the whole width where it prefers more."""

    def __init__(self, gap: int, alignment: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignHCenter) -> None:
        """`gap`: pixels between two widgets. `alignment`: of each line."""
        super().__init__()
        self._items: list[QLayoutItem] = []
        self._gap = gap
        self._alignment = alignment
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
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return self._place(QRect(0, 0, width, 0), move=False)

    def setGeometry(self, area: QRect) -> None:
        super().setGeometry(area)
        self._place(area, move=True)

    def sizeHint(self) -> QSize:
        """Return the size of all items in one line."""
        sizes = [item.sizeHint() for item in self._shown()]
        width = sum(size.width() for size in sizes) + self._gap * max(0, len(sizes) - 1)
        return QSize(width, max((size.height() for size in sizes), default=0))

    def minimumSize(self) -> QSize:
        sizes = [item.minimumSize() for item in self._shown()]
        widest = max((size.width() for size in sizes), default=0)
        return QSize(widest, max((size.height() for size in sizes), default=0))

    def _shown(self) -> list[QLayoutItem]:
        return [item for item in self._items if not item.isEmpty()]

    def _lines(self, width: int) -> Iterator[list[tuple[QLayoutItem, QSize]]]:
        line: list[tuple[QLayoutItem, QSize]] = []
        used = 0
        for item in self._shown():
            size = item.sizeHint().boundedTo(QSize(max(width, 1), item.sizeHint().height()))
            if line and used + self._gap + size.width() > width:
                yield line
                line, used = [], 0
            used += size.width() + (self._gap if line else 0)
            line.append((item, size))
        if line:
            yield line

    def _place(self, area: QRect, move: bool) -> int:
        """Returns the height of all lines."""
        top = area.y()
        for line in self._lines(area.width()):
            height = max(size.height() for _, size in line)
            width = sum(size.width() for _, size in line) + self._gap * (len(line) - 1)
            centred = bool(self._alignment & Qt.AlignmentFlag.AlignHCenter)
            left = area.x() + ((area.width() - width) // 2 if centred else 0)
            for item, size in line:
                if move:
                    item.setGeometry(QRect(QPoint(left, top + (height - size.height()) // 2), size))
                left += size.width() + self._gap
            top += height + LINE_GAP
        return max(0, top - LINE_GAP - area.y())


def flowing(*widgets: QWidget, gap: int = 6) -> QWidget:
    """Return a widget with these side by side at the left, in as many lines as are needed."""
    flow = FlowLayout(gap, Qt.AlignmentFlag.AlignLeft)
    for widget in widgets:
        flow.addWidget(widget)
    return holder(flow)
