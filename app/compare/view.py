"""Two or three answers to one problem side by side: heads above, steps level below."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QScrollArea, QWidget

from baton_reasoning.app.compare.answer_grading import AnswerGrading
from baton_reasoning.app.compare.caption import caption
from baton_reasoning.app.compare.column import AnswerColumn
from baton_reasoning.app.compare.figures import figures, standing_text
from baton_reasoning.app.compare.rows import LIKENESS_NAMES, WIDTH, AlignedRows, PartingLine, RowMarkers
from baton_reasoning.app.document import RichText
from baton_reasoning.app.document.searched_texts import SearchedTexts
from baton_reasoning.app.document.steps_view import StepsView
from baton_reasoning.app.document.typesetting import Typesetter
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.toolkit.controls import Hairline, IconButton, button, label, plain_tip, scrolling
from baton_reasoning.app.toolkit.layout import hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.grading.grader import Standing
from baton_reasoning.core.thinking.differences import Row
from baton_reasoning.core.thinking.trace import Piece
from baton_reasoning.core.words.numbers import in_brief


class CompareView(QWidget):
    """The columns of one comparison."""

    piece_chosen = Signal(object, object)  # an Exchange and a Piece
    menu_wanted = Signal(object, object, QPoint)  # an Exchange, a Piece, and where on the screen
    open_wanted = Signal(object)  # an Exchange
    left = Signal()
    choose_wanted = Signal()

    def __init__(
        self,
        exchanges: Sequence[Exchange],
        session: ChatSession,
        typesetter: Typesetter,
        expected: str = "",
        at_once: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """`expected`: the right answer, where it is known. `at_once`: they slow each other, so times say nothing."""
        super().__init__(parent)
        self._times_are_known = not at_once
        self.expected = expected
        self._session = session
        self.columns = [AnswerColumn(exchange, typesetter, self) for exchange in exchanges]
        self.rows = AlignedRows([column.steps for column in self.columns], self)
        self._grading = AnswerGrading(expected, self)
        self.panes = Panes()
        self.legend = label(LEGEND, Role.MUTED)
        self.legend.setAccessibleName("Signs between the columns")
        self.parting = PartingLine(self.rows, self.panes.below)
        self.caption = label("", wrap=True, selectable=True)
        self.caption.setContentsMargins(EDGE, 6, EDGE, 2)
        self.caption.hide()
        self._captioned: tuple[Sequence[Row], bool] = (), False
        """What the caption is of: rows, and whether all answers are over."""
        self._is_opened = False
        """Whether the view was at the first difference, or a person has scrolled before there was one."""
        self._opening = QTimer(self)
        self._opening.setSingleShot(True)
        self._opening.timeout.connect(self._open_at_parting)
        self._lay_out(exchanges[0].problem)
        self._connect()
        self.refresh()

    def searched(self) -> SearchedTexts:
        """Return steps and answers, column by column, for the find bar."""

        def texts() -> list[RichText]:
            return [text for column in self.columns for text in (column.steps, column.card)]

        return SearchedTexts(self.panes.body, texts, lambda: all(column.steps.complete for column in self.columns))

    def steps_of(self, exchange: Exchange) -> StepsView | None:
        return next((column.steps for column in self.columns if column.exchange is exchange), None)

    @property
    def exchanges(self) -> list[Exchange]:
        return [column.exchange for column in self.columns]

    def refresh(self, exchange: Exchange | None = None) -> None:
        """Update one answer, or all."""
        for column in self.columns:
            if exchange is None or column.exchange is exchange:
                column.refresh(self._session.writes(column.exchange), self._session.waits(column.exchange))
        self.rows.follow([column.texts() for column in self.columns])
        self._show_caption()
        self._show_figures()
        self._grading.follow({place: each.answer for place, each in enumerate(self.columns) if each.over})

    def refresh_all(self) -> None:
        self.refresh()

    def choose(self, exchange: Exchange, piece: Piece) -> None:
        """Mark a piece, and scroll to it."""
        for column in self.columns:
            column.choose(piece if column.exchange is exchange else None)
            place = column.steps.place_of(piece) if column.exchange is exchange else None
            if place is not None:
                self.panes.reveal(column.steps, place.topLeft().toPoint())

    def cross(self) -> None:
        """Choose the step in the same row of the next column that has one there."""
        place, piece = next(
            ((place, column.steps.selected) for place, column in enumerate(self.columns) if column.steps.selected),
            (0, None),
        )
        row = self.rows.row_of(place, piece.step) if piece else None
        for by in range(1, len(self.columns)):
            other = (place + by) % len(self.columns)
            step = self.rows.rows[row].steps[other] if row is not None else None
            found = next((each for each in self.columns[other].steps.shown if each.piece.step == step), None)
            if found:
                self.choose(self.columns[other].exchange, found.piece)
                self.piece_chosen.emit(self.columns[other].exchange, found.piece)
                return

    def finish(self) -> None:
        """Cancel its background tasks."""
        self.rows.finish()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Hide the legend where the problem needs the room; each sign has a tool tip, too."""
        super().resizeEvent(event)
        self.legend.setVisible(self.width() >= LEGEND_FROM * self.panes.narrowest)

    # -----------------------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        for column in self.columns:
            column.piece_chosen.connect(lambda piece, column=column: self._chosen(column, piece))
            column.steps.menu_wanted.connect(
                lambda piece, where, column=column: self.menu_wanted.emit(column.exchange, piece, where)
            )
            column.open_wanted.connect(lambda column=column: self.open_wanted.emit(column.exchange))
        self._session.progressed.connect(self.refresh)
        self._session.activity_changed.connect(self.refresh_all)
        self._grading.graded.connect(self._show_standings)
        self.rows.changed.connect(self._rows_changed)

    def _chosen(self, column: AnswerColumn, piece: Piece) -> None:
        for other in self.columns:
            if other is not column:
                other.choose(None)
        self.piece_chosen.emit(column.exchange, piece)

    def _show_figures(self) -> None:
        first = self.columns[0]
        for column in self.columns:
            trace = column.exchange.trace
            compared = column is not first and column.whole and first.whole
            before = first.exchange.trace if compared else None
            column.head.show_figures(figures(trace, before, self._times_are_known))

    def _show_standings(self, found: dict[int, Standing]) -> None:
        titles = [self.columns[place].head.title for place in found]
        for place, standing in found.items():
            self.columns[place].head.show_standing(standing_text(standing, titles))

    def _rows_changed(self) -> None:
        self.parting.place(EDGE, self.columns[0].steps.y(), self.panes.below.width() - 2 * EDGE)
        self.parting.raise_()
        self._show_caption()
        if not self._is_opened and self.parting.isVisible() and self.rows.settled:
            self._opening.start()

    def _open_at_parting(self) -> None:
        """Scroll to the first difference, once, unless a person has scrolled before."""
        if not self._is_opened and self.rows.settled:
            self._is_opened = True
            self.panes.open_at(self.parting.y())

    def _show_caption(self) -> None:
        rows, are_over = self.rows.rows, all(each.over for each in self.columns)
        if rows is self._captioned[0] and are_over is self._captioned[1]:
            return
        self._captioned = rows, are_over
        text = caption(rows, self.rows.aligned, [each.exchange.trace for each in self.columns], are_over=are_over)
        self.caption.setText(text)
        self.caption.setVisible(bool(text))

    def _lay_out(self, problem: str) -> None:
        for number, column in enumerate(self.columns):
            between = RowMarkers(self.rows, number - 1) if number else None
            self.panes.add_column(column.head.parts, column.parts, between)
        self.setLayout(vbox(self._bar(problem), self.caption, (self.panes, 1), margins=0, spacing=0))

    def _bar(self, problem: str) -> QWidget:
        back = IconButton("chevron-left", "Back to the conversation", self.left.emit)
        text = label(in_brief(problem), wrap=True)
        text.setToolTip(plain_tip(problem))
        expected = [label(f"expected: {self.expected}", Role.MUTED)] if self.expected else []
        columns = button("Columns…", self.choose_wanted.emit, tip="Choose other policies or answers (Ctrl+D)")
        row = hbox(back, (text, 1), self.legend, *expected, columns, margins=(EDGE - 10, 6, EDGE, 6))
        return holder(row, Role.BAR)


LEGEND = "    ".join(f"{each.value} {words}" for each, words in LIKENESS_NAMES.items())
LEGEND_FROM = 2.5
"""Columns at their narrowest."""
EDGE = 18
NARROWEST = 42
"""Letters in a column, about 300 pixels; where not all columns fit, one scrolls."""


class Panes(QWidget):
    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grids: list[QGridLayout] = []
        self.above, self.below = QWidget(), QWidget()
        self.below.setAttribute(Qt.WidgetAttribute.WA_StaticContents)
        self.heads, self.body = self._area(self.above, "Columns"), self._area(self.below, "Steps side by side")
        self._grids = [QGridLayout(self.above), QGridLayout(self.below)]
        for grid in self._grids:
            grid.setContentsMargins(EDGE, 8, EDGE, 10)
            grid.setHorizontalSpacing(0)
            grid.setVerticalSpacing(6)
        self.heads.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.heads.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.body.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.body.horizontalScrollBar().valueChanged.connect(self.heads.horizontalScrollBar().setValue)
        self.setLayout(vbox(self.heads, Hairline(), (self.body, 1), margins=0, spacing=0))

    @property
    def narrowest(self) -> int:
        """The minimum width of a column in pixels, at the chosen text size."""
        # Not averageCharWidth: it averages all glyphs of the font, and Inter has many wide ones that are rarely used.
        return self.fontMetrics().horizontalAdvance("x" * NARROWEST)

    def add_column(self, head: Sequence[QWidget], text: Sequence[QWidget], between: RowMarkers | None) -> None:
        """Add a column at the right, its parts aligned with those of the others. `between` stands at its left."""
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

    def open_at(self, top: int) -> None:
        """Scroll to a height, with what stands above it in view, unless a person has scrolled."""
        bar = self.body.verticalScrollBar()
        if bar.value() == bar.minimum():
            bar.setValue(top - self.body.viewport().height() // 4)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep the headers as high as their content and as wide as the columns."""
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

    def _area(self, inside: QWidget, name: str) -> QScrollArea:
        area = scrolling(inside)
        area.setAccessibleName(name)
        inside.installEventFilter(self)
        return area
