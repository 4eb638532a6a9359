"""What stands below an answer of the demo pair: a quiet row for each arm with answer, mark, seconds and a bar."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from baton_reasoning.app.chat.remedies import AnswerAction
from baton_reasoning.app.chat.scoreboards import Board, BoardRow
from baton_reasoning.app.document.answer_pane import VERDICTS
from baton_reasoning.app.toolkit.controls import ElidedButton, ElidedLabel, Hairline, button, label
from baton_reasoning.app.toolkit.layout import STRETCH, flowing, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.core.demo_pair.scoreboard import ScoredArm
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.numbers import count, rough_duration

BEYOND = "The demo pair solves only problems such as its examples. For this problem, choose real models."
GAP = 12
"""Pixels between two columns."""
ALONE = {ScoredArm.SMALL: "small model alone", ScoredArm.LARGE: "large model alone"}


class ScoreboardView(QWidget):
    """Hidden until there is a scoreboard, or a problem that is beyond the demo pair."""

    def __init__(self, ask: Callable[[AnswerAction | ScoredArm], object]) -> None:
        """`ask`: called with what a person wants, or with the arm that is to be run."""
        super().__init__()
        self.setAccessibleName("Scoreboard")
        grid = QGridLayout()
        grid.setHorizontalSpacing(0)  # Qt leaves it out beside a hidden widget over several columns
        grid.setVerticalSpacing(7)
        grid.setColumnStretch(3, 1)
        self.rows = {arm: ScoreRowView(arm, grid, 2 * place) for place, arm in enumerate(ScoredArm)}
        self.text = label("", Role.HEADING, wrap=True)
        self.run = {arm: ElidedButton() for arm in ALONE}
        for arm, press in self.run.items():
            press.clicked.connect(partial(ask, arm))
        tip = "Stop the model that runs alone (Esc)"
        self.halt = button("Stop", partial(ask, AnswerAction.STOP_ALONE), tip=tip)
        self.choose = button("Choose real models…", partial(ask, AnswerAction.CHOOSE_MODELS))
        buttons = flowing(*self.run.values(), self.halt, self.choose)
        self.setLayout(vbox(grid, self.text, buttons, margins=(0, 6, 0, 2), spacing=6))
        self.hide()

    def show_beyond(self) -> None:
        """Say that the problem is beyond the demo pair."""
        self._show_parts([], BEYOND)
        for press in (*self.run.values(), self.halt):
            press.hide()
        self.choose.show()
        self.show()

    def show_board(self, board: Board) -> None:
        longest = max(row.seconds for row in board.rows)
        self._show_parts(board.rows, f"The answer is {board.answer}." if board.answer else "")
        for row in board.rows:
            self.rows[row.arm].show_row(row, longest)
        self.halt.setVisible(board.is_running)  # before the button that was pressed goes: it gets the focus
        for arm, press in self.run.items():
            press.setVisible(arm in board.to_run)
            press.setEnabled(not board.is_running)
            press.setText(f"Run the {arm.value} model alone")
        if expected := board.expected_seconds:
            self.run[ScoredArm.LARGE].setText(f"Run the large model alone: about {rough_duration(expected)}")
        self.choose.setVisible(not board.is_demo)
        self.show()

    def _show_parts(self, rows: list[BoardRow], text: str) -> None:
        shown = {row.arm for row in rows}
        for arm, view in self.rows.items():
            view.set_visible(arm in shown)
        self.text.setText(text)
        self.text.setVisible(bool(text))


class ScoreRowView:
    """The widgets of one row: who wrote it, the answer, the seconds, a bar; and a line below it."""

    def __init__(self, arm: ScoredArm, grid: QGridLayout, place: int) -> None:
        self.title, self.answer, self.time = ElidedLabel(), label(), label()
        if arm is ScoredArm.BOTH:
            set_role(self.title, Role.HEADING)
        self.status = label("", Role.MUTED, wrap=True)
        self.bar = Bar()
        small, large = label(SIGN[Author.SMALL], Role.SMALL), label(SIGN[Author.LARGE], Role.LARGE)
        cells = {ScoredArm.SMALL: (small, self.title), ScoredArm.LARGE: (large, self.title)}.get(
            arm, (self.title, large)
        )
        self._name = holder(hbox(*cells, STRETCH, margins=(0, 0, GAP, 0), spacing=5))
        self._line = Hairline()
        for text in (self.answer, self.time):
            text.setContentsMargins(0, 0, GAP, 0)
        for column, widget in enumerate((self._name, self.answer, self.time, self.bar)):
            grid.addWidget(widget, place, column)
        grid.addWidget(self.status, place, 1, 1, 3)
        grid.addWidget(self._line, place + 1, 0, 1, 4)

    def set_visible(self, visible: bool) -> None:
        for widget in (self._name, self.answer, self.time, self.bar, self.status, self._line):
            widget.setVisible(visible)

    def show_row(self, row: BoardRow, longest: float) -> None:
        """`longest`: the seconds of a bar as wide as the column."""
        score, has_time = row.score, row.seconds > 0
        by_large = f", {score.large_share:.0%} by" if score else ""
        time = score.time if score else f"{row.seconds:.1f} s"
        self.title.setText(ALONE.get(row.arm, f"both{by_large}"))
        self.answer.setText(f"{score.shown_answer} {score.mark}" if score else f"{count(row.tokens, 'token')}…")
        set_role(self.answer, VERDICTS[score.outcome][1] if score else Role.MUTED)
        self.time.setText(time)
        large_share = score.large_share if score else row.arm is ScoredArm.LARGE
        self.bar.show_seconds(row.seconds / longest if longest else 0, large_share)
        self.bar.setAccessibleName(f"{score.title if score else self.title.text()}: {time}")
        self.status.setText(row.status)
        for widget in (self.answer, self.time, self.bar):
            widget.setVisible(has_time)
        self.status.setVisible(not has_time)


class Bar(QWidget):
    """As long as the seconds; the part that the large model wrote in its colour, at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.length = self._large_share = 0.0
        """Of the width, 0 to 1; and the part of it that the large model wrote."""
        self.setMinimumWidth(24)
        self.setFixedHeight(10)
        current_theme().changed.connect(self.update)

    def show_seconds(self, length: float, large_share: float) -> None:
        self.length, self._large_share = length, large_share
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter, colours = QPainter(self), current_theme().colours
        width = max(2.0, self.width() * self.length)
        small = width * (1 - self._large_share)
        painter.fillRect(QRectF(0, 0, small, self.height()), QColor(colours.small))
        painter.fillRect(QRectF(small, 0, width - small, self.height()), QColor(colours.large))
        painter.end()
