"""A ribbon in a table cell."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from app.batch.result_table import RIBBON_ROLE
from app.theme import current_theme
from app.widgets.ribbon_drawing import paint_ribbon

_HEIGHT = 12


class RibbonCell(QStyledItemDelegate):
    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().paint(painter, option, index)
        if layout := index.data(RIBBON_ROLE):
            cell = QRectF(option.rect)
            area = QRectF(cell.left() + 8, cell.center().y() - _HEIGHT / 2, cell.width() - 16, _HEIGHT)
            paint_ribbon(painter, area, layout, current_theme().colours)
