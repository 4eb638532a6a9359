"""The view of the results: widths that follow the window, and a ribbon where both models wrote."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QStyledItemDelegate, QStyleOptionViewItem, QTableView

from baton_reasoning.app.batch.result_table import FIRST_ARM, RIBBON_ROLE, ResultColumn, ResultTable
from baton_reasoning.app.toolkit.ribbon import paint_ribbon
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.core.batch.running.arms import arm_title

RIBBON, BEFORE_RIBBON = QSize(64, 10), 8
NARROW, ARM, PAIR = 50, 84, 198
"""Pixels of the columns at the usual text size: of numbers; of policies at least, and of those with a ribbon."""
BESIDE_TITLE = 16
"""Pixels beside a title in the header."""
PROBLEM_SHARE, EXPECTED_SHARE = 0.18, 0.1
"""Parts of the width, whatever the number of policies."""


class ResultGrid(QTableView):
    def __init__(self, model: ResultTable) -> None:
        super().__init__()
        self._results = model
        self.setModel(model)
        self.setAccessibleName("Results")
        self._plain, self._pair = QStyledItemDelegate(self), PairCell(self)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSortIndicatorClearable(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setHighlightSections(False)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setSortingEnabled(True)
        model.modelReset.connect(self.fit)
        current_theme().changed.connect(self.fit)
        self.fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.fit()

    def fit(self) -> None:
        """Give the problem its share of the width, and the policies what is left: first what their titles need.

        Rows are as high as the text.
        """
        size, width, arms = current_theme().text_size, self.viewport().width(), self._results.arms
        height = self.fontMetrics().height() + 14
        if self.verticalHeader().defaultSectionSize() != height:  # which looks at every row
            self.verticalHeader().setDefaultSectionSize(height)
        header = self.horizontalHeader()
        header.setMinimumSectionSize(round(NARROW * size))
        widths = {
            ResultColumn.NUMBER: round(NARROW * size),
            ResultColumn.SEED: round(NARROW * size),
            ResultColumn.PROBLEM: max(round(PROBLEM_SHARE * width), round(96 * size)),
            ResultColumn.EXPECTED: max(round(EXPECTED_SHARE * width), round(80 * size)),
        }
        for column, each in widths.items():
            self.setColumnWidth(column, each)
        policies = [round((PAIR if arm in self._results.pairs else ARM) * size) for arm in arms]
        left = width - sum(widths[column] for column in widths if not self.isColumnHidden(column)) - sum(policies)
        for number, arm in enumerate(arms):
            title = header.fontMetrics().horizontalAdvance(arm_title(arm)) + BESIDE_TITLE
            more = max(0, min(left, title - policies[number]))
            policies[number] += more
            left -= more
        for at, (arm, least) in enumerate(zip(arms, policies, strict=True), FIRST_ARM):
            self.setItemDelegateForColumn(at, self._pair if arm in self._results.pairs else self._plain)
            self.setColumnWidth(at, least + max(0, left) // len(arms))


class PairCell(QStyledItemDelegate):
    """Paints the ribbon of an answer before the text of its cell."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> None:
        super().initStyleOption(option, index)
        option.features |= QStyleOptionViewItem.ViewItemFeature.HasDecoration  # room for the ribbon, as for an icon
        option.decorationSize = RIBBON

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().paint(painter, option, index)
        if layout := index.data(RIBBON_ROLE):
            top = option.rect.center().y() - RIBBON.height() / 2 + 1
            area = QRectF(option.rect.left() + BEFORE_RIBBON, top, RIBBON.width(), RIBBON.height())
            paint_ribbon(painter, area, layout, current_theme().colours)
