"""Rows and columns of widgets, each as one expression."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QBoxLayout, QFrame, QHBoxLayout, QLayout, QVBoxLayout, QWidget

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
