"""Two or three answers to one problem side by side: heads above, steps level below."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.chat.conversation import Exchange
from app.chat.session import ChatSession
from app.chat.typesetting import Typesetter
from app.chat.welcome import in_brief
from app.compare.between import WIDTH, Between, PartingLine
from app.compare.choices import held_back
from app.compare.column import Column
from app.compare.grading import Grading
from app.compare.rows import Rows
from app.compare.wording import figures, standing_in_words
from app.theme import Role, set_role
from app.widgets.controls import Hairline, IconButton, button, label
from core.batch.agreement import Standing
from core.thinking.pieces import Piece

EDGE = 18
NARROWEST = 300
"""Pixels of a column; where not all fit, one scrolls."""


class CompareView(QWidget):
    """Made anew for each comparison."""

    piece_chosen = Signal(object, object)  # an Exchange and a Piece
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
        self.columns = [Column(exchange, typesetter, self) for exchange in exchanges]
        self.rows = Rows([column.steps for column in self.columns], self)
        self._grading = Grading(expected, self)
        self._heads, self._body = QScrollArea(), QScrollArea()
        self._above, self._content = QWidget(), QWidget()
        self.parting = PartingLine(self.rows, self._content)
        self._follows = True
        self._lay_out(exchanges[0].problem)
        self._connect()
        self.refresh()

    @property
    def exchanges(self) -> list[Exchange]:
        return [column.exchange for column in self.columns]

    def refresh(self, exchange: Exchange | None = None) -> None:
        """Show how it stands with one answer, or with all."""
        for column in self.columns:
            if exchange is None or column.exchange is exchange:
                column.refresh(self._session.writes(column.exchange), self._session.waits(column.exchange))
        self.rows.follow([column.texts() for column in self.columns])
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
                at = column.steps.mapTo(self._content, place.topLeft().toPoint())
                self._body.ensureVisible(at.x() + NARROWEST, at.y(), NARROWEST, self._body.height() // 3)

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
        """End what it has running."""
        self.rows.finish()
        self._grading.finish()

    # Qt's own

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The heads are as high as they need to be, and as wide as the columns below them."""
        if watched is self._above and event.type() is QEvent.Type.LayoutRequest:
            self._heads.setFixedHeight(self._above.sizeHint().height())
        elif watched is self._content and event.type() is QEvent.Type.Resize:
            self._above.setFixedWidth(self._content.width())
            self._heads.setViewportMargins(0, 0, self._body.width() - self._body.viewport().width(), 0)
        return super().eventFilter(watched, event)

    # -----------------------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        for column in self.columns:
            column.piece_chosen.connect(lambda piece, column=column: self._chosen(column, piece))
            column.open_wanted.connect(lambda column=column: self.open_wanted.emit(column.exchange))
        self._session.progressed.connect(self.refresh)
        self._session.activity_changed.connect(self.refresh_all)
        self._grading.told.connect(self._show_standings)
        self.rows.changed.connect(self._rows_changed)
        self._body.horizontalScrollBar().valueChanged.connect(self._heads.horizontalScrollBar().setValue)
        self._body.verticalScrollBar().valueChanged.connect(self._scrolled)

    def _chosen(self, column: Column, piece: Piece) -> None:
        for other in self.columns:
            if other is not column:
                other.choose(None)
        self.piece_chosen.emit(column.exchange, piece)

    def _show_figures(self) -> None:
        first = self.columns[0]
        pace = self._session.pace
        for column in self.columns:
            trace = column.exchange.trace
            compared = column is not first and column.whole and first.whole
            is_slowed = held_back(trace, pace) or held_back(first.exchange.trace, pace)
            known = self._times_are_known and not is_slowed
            column.head.show_figures(figures(trace, first.exchange.trace if compared else None, known))

    def _show_standings(self, found: dict[int, Standing]) -> None:
        titles = [self.columns[place].head.title for place in found]
        for place, standing in found.items():
            self.columns[place].head.show_standing(standing_in_words(standing, titles))

    def _rows_changed(self) -> None:
        self.parting.place(EDGE, self.columns[0].steps.y(), self._content.width() - 2 * EDGE)
        self.parting.raise_()
        self._follow_end()

    def _follow_end(self) -> None:
        """Keep in view what is being written, unless a person has scrolled away."""
        ends = [column.steps.geometry().bottom() for column in self.columns if column.live and column.steps.shown]
        if self._follows and ends:
            bar = self._body.verticalScrollBar()
            bar.setValue(max(ends) + EDGE - self._body.viewport().height())
            self._follows = True

    def _scrolled(self, value: int) -> None:
        self._follows = value >= self._body.verticalScrollBar().maximum() - 2 * EDGE

    def _lay_out(self, problem: str) -> None:
        above, below = QGridLayout(self._above), QGridLayout(self._content)
        for grid in (above, below):
            grid.setContentsMargins(EDGE, 8, EDGE, 10)
            grid.setHorizontalSpacing(0)
            grid.setVerticalSpacing(6)
        for number, column in enumerate(self.columns):
            parts = column.head.parts
            for row, widget in enumerate(parts):
                above.addWidget(widget, row, 2 * number, Qt.AlignmentFlag.AlignTop)
            for row, widget in enumerate(column.widgets()[len(parts) :]):
                below.addWidget(widget, row, 2 * number, Qt.AlignmentFlag.AlignTop)
            for grid in (above, below):
                grid.setColumnStretch(2 * number, 1)
                grid.setColumnMinimumWidth(2 * number, NARROWEST)
            if number + 1 < len(self.columns):
                above.setColumnMinimumWidth(2 * number + 1, WIDTH)
                below.addWidget(Between(self.rows, number), 0, 2 * number + 1)
        below.setRowStretch(3, 1)
        for area, inside, name in (
            (self._heads, self._above, "Arms"),
            (self._body, self._content, "Steps side by side"),
        ):
            area.setWidgetResizable(True)
            area.setWidget(inside)
            area.setAccessibleName(name)
            inside.setAutoFillBackground(False)
            area.viewport().setAutoFillBackground(False)
        self._heads.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._heads.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._body.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        for watched in (self._above, self._content):
            watched.installEventFilter(self)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        for widget in (self._bar(problem), self._heads, Hairline(), self._body):
            whole.addWidget(widget, 1 if widget is self._body else 0)

    def _bar(self, problem: str) -> QWidget:
        bar = QWidget()
        set_role(bar, Role.BAR)
        row = QHBoxLayout(bar)
        row.setContentsMargins(EDGE - 10, 6, EDGE, 6)
        words = label(in_brief(problem))
        words.setToolTip(problem)
        words.setWordWrap(True)
        row.addWidget(IconButton("chevron-left", "Back to the conversation", self.left.emit))
        row.addWidget(words, 1)
        if self.expected:
            row.addWidget(label(f"expected: {self.expected}", Role.MUTED))
        row.addWidget(button("Columns …", self.choose_wanted.emit, tip="Choose other arms or answers (Ctrl+D)"))
        return bar
