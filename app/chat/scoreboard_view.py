"""What stands below an answer of the demo pair: a row for each arm with answer, mark, seconds and a bar."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from PySide6.QtCore import QRectF, QSize, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from baton_reasoning.app.chat.scoreboards import Board, BoardRow
from baton_reasoning.app.toolkit.controls import button, label
from baton_reasoning.app.toolkit.flow import flowing
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.core.demo_pair.scoreboard import ScoredArm
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.numbers import count, rough_duration

BEYOND = "The demo pair solves only problems such as its examples. For this problem, choose real models."
SMALL, LARGE = SIGN[Author.SMALL], SIGN[Author.LARGE]
SIGNS = {ScoredArm.SMALL: SMALL, ScoredArm.BOTH: f"{SMALL}{LARGE}", ScoredArm.LARGE: LARGE}
GAP = 14
"""Pixels between two columns."""
ROLES = {Outcome.CORRECT: Role.SUCCESS, Outcome.WRONG: Role.DANGER, Outcome.UNSCORED: Role.MUTED}


class BoardAction(Enum):
    STOP = auto()
    COMPARE = auto()
    """Compare small alone, this answer and large alone."""
    CHOOSE_MODELS = auto()


class ScoreboardView(QWidget):
    """Hidden until there is a scoreboard, or a problem that is beyond the demo pair."""

    wanted = Signal(object)  # a BoardAction, or a ScoredArm that is to be run

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Scoreboard")
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(0)  # Qt leaves it out beside a hidden widget over several columns
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(3, 1)
        self.rows = {arm: ScoreRowView(arm) for arm in ScoredArm}
        for place, row in enumerate(self.rows.values()):
            row.add_to(self._grid, place)
        self.text = label("", Role.HEADING, wrap=True)
        self.run = {arm: button("", self._asker(arm)) for arm in (ScoredArm.SMALL, ScoredArm.LARGE)}
        self.halt = button("Stop", self._asker(BoardAction.STOP), name="Stop the model that runs alone")
        self.compare = button(
            "Compare all three",
            self._asker(BoardAction.COMPARE),
            tip="Side by side",
        )
        self.choose = button("Choose real models…", self._asker(BoardAction.CHOOSE_MODELS))
        buttons = flowing(*self.run.values(), self.halt, self.compare, self.choose)
        self.setLayout(vbox(self._grid, self.text, buttons, margins=(0, 6, 0, 6), spacing=8))
        self.hide()

    def show_beyond(self) -> None:
        """Say that the problem is beyond the demo pair."""
        self._show_parts([], BEYOND)
        for press in (*self.run.values(), self.halt, self.compare):
            press.hide()
        self.show()

    def show_board(self, board: Board) -> None:
        longest = max(row.seconds for row in board.rows)
        self._show_parts(board.rows, f"The answer is {board.answer}." if board.answer else "")
        for row in board.rows:
            self.rows[row.arm].show_row(row, longest)
        self.halt.setVisible(board.is_running)  # before the button that was pressed goes: it gets the focus
        for arm, press in self.run.items():
            press.setVisible(arm in board.to_run)
            press.setText(f"Run the {arm.value} model alone")
        if expected := board.expected_seconds:
            self.run[ScoredArm.LARGE].setText(f"Run the large model alone: about {rough_duration(expected)}")
        self.compare.setVisible(board.is_demo)
        self.show()

    def _show_parts(self, rows: list[BoardRow], text: str) -> None:
        shown = {row.arm for row in rows}
        for arm, view in self.rows.items():
            view.set_visible(arm in shown)
        self.text.setText(text)
        self.text.setVisible(bool(text))

    def _asker(self, request: BoardAction | ScoredArm) -> Callable[[], None]:
        return lambda: self.wanted.emit(request)


class ScoreRowView:
    """The widgets of one row."""

    def __init__(self, arm: ScoredArm) -> None:
        self._arm = arm
        self.title, self.answer, self.time = label(wrap=True), label("", Role.HEADING), label()
        self.status = label("", Role.MUTED, wrap=True)
        self.bar = Bar(arm)
        for text in (self.title, self.answer, self.time):
            text.setContentsMargins(0, 0, GAP, 0)

    def add_to(self, grid: QGridLayout, place: int) -> None:
        for column, widget in enumerate((self.title, self.answer, self.time, self.bar)):
            grid.addWidget(widget, place, column)
        grid.addWidget(self.status, place, 1, 1, 3)

    def set_visible(self, visible: bool) -> None:
        for widget in (self.title, self.answer, self.time, self.bar, self.status):
            widget.setVisible(visible)

    def show_row(self, row: BoardRow, longest: float) -> None:
        """`longest`: the seconds of a bar as wide as the column."""
        score, has_time = row.score, row.seconds > 0
        title = score.title if score else f"{row.arm.value} alone"
        time = score.time if score else f"{row.seconds:.1f} s"
        self.title.setText(f"{SIGNS[row.arm]} {title}")
        self.answer.setText(f"{score.shown_answer} {score.mark}" if score else f"{count(row.tokens, 'token')}…")
        set_role(self.answer, ROLES[score.outcome] if score else Role.MUTED)
        self.time.setText(time)
        self.bar.show_seconds(row.seconds / longest if longest else 0, score.large_share if score else None)
        self.bar.setAccessibleName(f"{title}: {time}")
        self.status.setText(row.status)
        for widget in (self.answer, self.time, self.bar):
            widget.setVisible(has_time)
        self.status.setVisible(not has_time)


class Bar(QWidget):
    """As long as the seconds; the part that the large model wrote in its colour, at the end."""

    def __init__(self, arm: ScoredArm) -> None:
        super().__init__()
        self.length = 0.0
        """Of the width, 0 to 1."""
        self._large_share = float(arm is ScoredArm.LARGE)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        current_theme().changed.connect(self.update)

    def show_seconds(self, length: float, large_share: float | None) -> None:
        """`length`: 0 to 1; `large_share`: of the tokens, None as it was."""
        self.length = length
        self._large_share = self._large_share if large_share is None else large_share
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(160, 10)

    def minimumSizeHint(self) -> QSize:
        return QSize(24, 10)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter, colours = QPainter(self), current_theme().colours
        width = max(2.0, self.width() * self.length)
        small = width * (1 - self._large_share)
        painter.fillRect(QRectF(0, 0, small, self.height()), QColor(colours.small))
        painter.fillRect(QRectF(small, 0, width - small, self.height()), QColor(colours.large))
        painter.end()
