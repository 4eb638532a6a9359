"""The scoreboard of an answer of the demo pair: its attempts by both models and by each alone, and how they compare."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from baton_reasoning.app.document.answer_pane import VERDICTS
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.toolkit.controls import ElidedButton, ElidedLabel, Hairline, button, label
from baton_reasoning.app.toolkit.layout import STRETCH, flowing, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.demo_pair.scoreboard import ScoredArm, ScoreRow
from baton_reasoning.core.demo_pair.task import expected_answer
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import Busy
from baton_reasoning.core.model_costs import seconds_of_large_alone
from baton_reasoning.core.models.source import DemoModel
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.policies.alone import Always, Never
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import ending
from baton_reasoning.core.words.numbers import rough_duration

POLICY_ALONE = {ScoredArm.SMALL: Never.Settings(), ScoredArm.LARGE: Always.Settings()}


class BoardRow(NamedTuple):
    """What is known of an arm: its score, how far it is, or why there is neither."""

    arm: ScoredArm
    score: ScoreRow | None = None
    status: str = ""
    tokens: int = 0
    """Written so far."""
    seconds: float = 0.0
    """Measured, so far if it is being written."""
    is_running: bool = False


class Board(NamedTuple):
    rows: list[BoardRow]
    to_run: list[ScoredArm]
    """What may be written by one model alone."""
    expected_seconds: float | None
    """An estimate for the large model alone."""
    is_running: bool


def board_of(exchange: Exchange, session: ChatSession) -> Board | None:
    """Return the scoreboard of an answer in view; None if it is no finished answer of the demo pair to its problems.

    An answer in which a person wrote has none: it would blame the models.
    """
    expected = expected_answer(exchange.problem)
    if not (expected and _is_scored(exchange, session)):
        return None
    rows = [row for arm in ScoredArm if (row := _row(exchange, arm, expected, session))]
    running = {row.arm for row in rows if row.is_running}
    to_run = [row.arm for row in rows if not (row.score or row.is_running)]
    started, loaded = exchange.trace.started, session.models.pair.cards
    assert started
    # A batch has a copy of the pair that is smaller, and so faster, under the same names.
    wrote = {author: (card.identity, card.parameters) for author, card in started.cards.items()}
    is_there = wrote == {author: (card.identity, card.parameters) for author, card in loaded.items()}
    expected_seconds = seconds_of_large_alone(exchange.trace, session.models.costs.of(started.large))
    return Board(rows, to_run if is_there else [], expected_seconds, bool(running))


def measure_small(exchange: Exchange, session: ChatSession) -> None:
    """Let the small model alone answer, if that was not tried yet and nothing else is being written."""
    if (
        session.runs.is_idle
        and not session.models.is_writing
        and exchange.is_read
        and _attempt_alone(exchange, ScoredArm.SMALL, session) is None
        and (board := board_of(exchange, session))
        and ScoredArm.SMALL in board.to_run
    ):
        session.measure(exchange, POLICY_ALONE[ScoredArm.SMALL])


def run_alone(exchange: Exchange, session: ChatSession, arm: ScoredArm) -> None:
    """Let one model alone answer, unless something is being written."""
    if session.models.is_writing:
        session.failed.emit(Busy("Something else is being written.", "Stop it, or wait for its end."))
    else:
        session.measure(exchange, POLICY_ALONE[arm])


def _row(exchange: Exchange, arm: ScoredArm, expected: str, session: ChatSession) -> BoardRow | None:
    for each in _alike(exchange, session):
        if _is_scored(each, session) and ScoredArm.of(each.trace) is arm:
            score = ScoreRow.of(each.trace, expected)
            return BoardRow(arm, score, seconds=score.seconds)
    if arm is ScoredArm.BOTH:
        return None
    attempt = _attempt_alone(exchange, arm, session)
    if attempt is None:
        return BoardRow(arm, status="Not run yet.")
    trace = attempt.trace
    if session.runs.writes(attempt) or not attempt.is_read:
        return BoardRow(arm, status="Waiting…", tokens=trace.tokens, seconds=trace.seconds, is_running=True)
    return BoardRow(arm, status=ending(trace, live=False) or "Not run yet.")


def _attempt_alone(exchange: Exchange, arm: ScoredArm, session: ChatSession) -> Exchange | None:
    """Return the newest attempt of one model alone, finished or not."""
    return next((each for each in _alike(exchange, session) if each.settings.policy == POLICY_ALONE[arm]), None)


def _alike(exchange: Exchange, session: ChatSession) -> list[Exchange]:
    """Return the attempts that differ from this answer in their policies only: itself, then the newest first."""

    def settings(each: Exchange) -> RunSettings:
        return each.settings.model_copy(update={"policy": Never.Settings()})

    siblings = session.conversation.siblings(exchange)[::-1]
    same = [each for each in siblings if each.problem == exchange.problem and settings(each) == settings(exchange)]
    return [exchange, *(each for each in same if each is not exchange)]


def _is_by_demo_pair(trace: Trace) -> bool:
    sources = {(author, card.source) for author, card, _ in trace.models if card}
    return sources == {(Author.SMALL, DemoModel.SMALL), (Author.LARGE, DemoModel.LARGE)}


def _is_scored(exchange: Exchange, session: ChatSession) -> bool:
    """Whether the demo pair finished this answer undisturbed: no model was restarted, nobody steered it or wrote."""
    trace = exchange.trace
    if session.runs.writes(exchange):
        return False  # its text ends a moment before its run, and until then nothing else may be written
    is_finished = trace.finish is Finish.END_OF_TEXT and not trace.notices and _is_by_demo_pair(trace)
    return is_finished and not trace.is_steered and all(piece.author is not Author.PERSON for piece in trace.pieces)


GAP = 12
"""Pixels between two columns."""
ALONE = {ScoredArm.SMALL: "small model alone", ScoredArm.LARGE: "large model alone"}


class ScoreboardView(QWidget):
    """Hidden until there is a scoreboard."""

    def __init__(self, run: Callable[[ScoredArm], object], stop: Callable[[], object]) -> None:
        """`run`: lets a model write alone; `stop`: stops it."""
        super().__init__()
        self.setAccessibleName("Scoreboard")
        grid = QGridLayout()
        grid.setHorizontalSpacing(0)  # Qt leaves it out beside a hidden widget over several columns
        grid.setVerticalSpacing(7)
        grid.setColumnStretch(3, 1)
        self.rows = {arm: ScoreRowView(arm, grid, 2 * place) for place, arm in enumerate(ScoredArm)}
        self.run = {arm: ElidedButton() for arm in ALONE}
        for arm, press in self.run.items():
            press.clicked.connect(partial(run, arm))
        tip = "Stop the model that runs alone (Esc)"
        self.halt = button("Stop", stop, tip=tip)
        self.setLayout(vbox(grid, flowing(*self.run.values(), self.halt), margins=(0, 6, 0, 2), spacing=6))
        self.hide()

    def show_board(self, board: Board) -> None:
        longest = max(row.seconds for row in board.rows)
        shown = {row.arm for row in board.rows}
        for arm, view in self.rows.items():
            view.set_visible(arm in shown)
        for row in board.rows:
            self.rows[row.arm].show_row(row, longest)
        self.halt.setVisible(board.is_running)  # before the button that was pressed goes: it gets the focus
        for arm, press in self.run.items():
            press.setVisible(arm in board.to_run)
            press.setEnabled(not board.is_running)
            press.setText(f"Run the {arm.value} model alone")
        if expected := board.expected_seconds:
            self.run[ScoredArm.LARGE].setText(f"Run the large model alone: about {rough_duration(expected)}")
        self.show()


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
        share = f", {score.large_share:.0%} of tokens by" if score else ""
        time = score.time if score else f"{row.seconds:.1f} s"
        self.title.setText(ALONE.get(row.arm, f"both{share}"))
        self.answer.setText(f"{score.shown_answer} {score.mark}" if score else f"{counted(row.tokens, 'token')}…")
        set_role(self.answer, VERDICTS[score.outcome][1] if score else Role.MUTED)
        self.time.setText(time)
        by_large = score.large_time if score else row.arm is ScoredArm.LARGE
        self.bar.show_seconds(row.seconds / longest if longest else 0, by_large)
        self.bar.setAccessibleName(f"{score.title if score else self.title.text()}: {time}")
        self.bar.setToolTip(f"{time}, {by_large:.0%} of the time by the large model")
        known = "Judged by the computed answer" if score else ""
        self.answer.setToolTip(known)
        self.answer.setAccessibleName(". ".join(filter(None, (self.answer.text(), known))))
        self.status.setText(row.status)
        for widget in (self.answer, self.time, self.bar):
            widget.setVisible(has_time)
        self.status.setVisible(not has_time)


class Bar(QWidget):
    """As long as the seconds; those in which the large model wrote in its colour, at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.length = self.by_large = 0.0
        """Of the width, 0 to 1; and the part of it in which the large model wrote."""
        self.setMinimumWidth(24)
        self.setFixedHeight(10)
        current_theme().changed.connect(self.update)

    def show_seconds(self, length: float, by_large: float) -> None:
        self.length, self.by_large = length, by_large
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter, colours = QPainter(self), current_theme().colours
        width = max(2.0, self.width() * self.length)
        small = width * (1 - self.by_large)
        painter.fillRect(QRectF(0, 0, small, self.height()), QColor(colours.small))
        painter.fillRect(QRectF(small, 0, width - small, self.height()), QColor(colours.large))
        painter.end()
