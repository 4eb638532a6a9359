"""The view of the results: the problem takes the width that is free, in up to three lines; ribbons; further columns."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QAction, QColor, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QMenu, QStyledItemDelegate, QStyleOptionViewItem, QTableView

from baton_reasoning.app.batch.result_table import FIRST_ARM, RIBBON_ROLE, Figure, ResultColumn, ResultTable
from baton_reasoning.app.toolkit.controls import with_key
from baton_reasoning.app.toolkit.ribbon import paint_ribbon
from baton_reasoning.app.toolkit.theme import current_theme

RIBBON, BEFORE_RIBBON = QSize(64, 10), 8
ARM, PAIR, PROBLEM, WIDEST_EXPECTED = 84, 180, 180, 150
"""Pixels at the usual text size: of policies at least, of those with a ribbon, of the problem at least, and of expected
answers at most."""
BESIDE_TEXT, ABOVE = 18, 7
"""Pixels beside the text of a cell or a title, together; and above that of a cell."""
MOST_LINES = 3
MEASURED = 40
"""Problems of which the texts are measured, from the first on."""
FITTING = 0.8
"""The part of them that must fit into the lines of a row, unless these are the most."""
COLUMNS = "F7"


class ResultGrid(QTableView):
    def __init__(self, model: ResultTable) -> None:
        super().__init__()
        self._results = model
        self.setModel(model)
        self.setAccessibleName("Results")
        self._plain, self._pair = QStyledItemDelegate(self), PairCell(self)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSortIndicatorClearable(True)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setHighlightSections(False)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        header.setToolTip(with_key("Further columns: right click", COLUMNS))
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.columns_menu = QMenu("Columns", self)
        self.figures: dict[Figure, QAction] = {}
        self._fill_menu()
        header.customContextMenuRequested.connect(lambda where: self.columns_menu.popup(header.mapToGlobal(where)))
        self.setSortingEnabled(True)
        model.modelReset.connect(self.fit)
        current_theme().changed.connect(self.fit)
        self.fit()

    def open_columns_menu(self) -> None:
        """Open the menu of further columns below the header."""
        self.columns_menu.popup(self.horizontalHeader().mapToGlobal(QPoint(0, self.horizontalHeader().height())))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.fit()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._results.rowCount():
            painter = QPainter(self.viewport())
            painter.setPen(QColor(current_theme().colours.muted))
            painter.drawText(self.viewport().rect(), Qt.AlignmentFlag.AlignCenter, "No such problem.")
            painter.end()

    def fit(self) -> None:
        """Give each column what its title and its usual texts need, and the problem what is left."""
        size, results = current_theme().text_size, self._results
        self.horizontalHeader().setMinimumSectionSize(1)
        columns = [each for each in range(results.columnCount()) if each != ResultColumn.PROBLEM]
        widths = {column: self._width_of(column) for column in columns}
        widths[ResultColumn.EXPECTED] = min(widths[ResultColumn.EXPECTED], round(WIDEST_EXPECTED * size))
        for at, (arm, figure) in enumerate(results.columns, FIRST_ARM):
            is_pair = arm in results.pairs and figure is None
            self.setItemDelegateForColumn(at, self._pair if is_pair else self._plain)
            if figure is None:
                widths[at] = max(self._title_width(at), round((PAIR if is_pair else ARM) * size))
        taken = sum(width for column, width in widths.items() if not self.isColumnHidden(column))
        widths[ResultColumn.PROBLEM] = max(round(PROBLEM * size), self.viewport().width() - taken)
        for column, width in widths.items():
            self.setColumnWidth(column, width)
        height = self._lines(widths[ResultColumn.PROBLEM]) * self.fontMetrics().lineSpacing() + 2 * ABOVE + 1
        if self.verticalHeader().defaultSectionSize() != height:  # which looks at every row
            self.verticalHeader().setDefaultSectionSize(height)

    # -----------------------------------------------------------------------------------------------------------------

    def _first_texts(self, column: int) -> list[str]:
        results = self._results
        return [results.index(place, column).data() or "" for place in range(min(MEASURED, results.rowCount()))]

    def _title_width(self, column: int) -> int:
        title = self._results.headerData(column, Qt.Orientation.Horizontal)
        return self.horizontalHeader().fontMetrics().horizontalAdvance(title) + BESIDE_TEXT

    def _width_of(self, column: int) -> int:
        advances = map(self.fontMetrics().horizontalAdvance, self._first_texts(column))
        return max(self._title_width(column), max(advances, default=0) + BESIDE_TEXT)

    def _lines(self, width: int) -> int:
        """Return how many lines a row has, so that most problems are whole."""
        metrics, area = self.fontMetrics(), QRect(0, 0, width - BESIDE_TEXT, 10_000)
        texts = self._first_texts(ResultColumn.PROBLEM)
        heights = sorted(metrics.boundingRect(area, Qt.TextFlag.TextWordWrap, text).height() for text in texts)
        usual = heights[int(FITTING * (len(heights) - 1))] if heights else 0
        return min(MOST_LINES, max(1, round(usual / metrics.lineSpacing())))

    def _fill_menu(self) -> None:
        for figure in Figure:
            action = self.columns_menu.addAction(figure.value.capitalize())
            action.setCheckable(True)
            action.toggled.connect(self._show_figures)
            self.figures[figure] = action

    def _show_figures(self, _: bool) -> None:
        self.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self._results.show_figures([figure for figure, action in self.figures.items() if action.isChecked()])


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
            top = option.rect.top() + ABOVE + (option.fontMetrics.lineSpacing() - RIBBON.height()) / 2 + 1
            area = QRectF(option.rect.left() + BEFORE_RIBBON, top, RIBBON.width(), RIBBON.height())
            paint_ribbon(painter, area, layout, current_theme().colours)
