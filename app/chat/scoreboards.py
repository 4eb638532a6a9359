"""The scoreboard of an answer of the demo pair: what was measured, how that is shown; lets one model write alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from PySide6.QtCore import QObject, QRectF, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from baton_reasoning.app.chat.remedies import AnswerAction
from baton_reasoning.app.document.answer_pane import VERDICTS
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.conversation import Exchange, expected_answer
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.app.toolkit.controls import ElidedButton, ElidedLabel, Hairline, button, label
from baton_reasoning.app.toolkit.layout import STRETCH, flowing, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.core.demo_pair.scoreboard import ScoredArm, ScoreRow
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, Busy
from baton_reasoning.core.model_costs import seconds_of_large_alone
from baton_reasoning.core.models.options import DemoModel
from baton_reasoning.core.run import RunSettings, run
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.events import Event, Finish
from baton_reasoning.core.thinking.interruptions import Control
from baton_reasoning.core.thinking.policies.alone import Always, Never
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.authors import SIGN
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


class Board(NamedTuple):
    rows: list[BoardRow]
    to_run: list[ScoredArm]
    """What may be written by one model alone."""
    expected_seconds: float | None
    """An estimate for the large model alone."""
    is_running: bool


@dataclass(eq=False)
class AloneRun:
    """One model writes an answer to be scored."""

    exchange: Exchange
    arm: ScoredArm
    trace: Trace = field(default_factory=Trace)
    control: Control = field(default_factory=Control)


class Scoreboards(QObject):
    """The scoreboards of all answers; what one model alone writes for them is kept as long as the window is open."""

    changed = Signal()
    scored = Signal(str)
    """What has just been measured, in words."""

    def __init__(self, session: ChatSession, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._models = session.models
        self._run: AloneRun | None = None
        """What is being written; with the models that the answers are from, so that times can be compared."""
        self._scores: dict[tuple[str, ScoredArm], ScoreRow] = {}
        """By the exchange's id."""
        self._endings: dict[tuple[str, ScoredArm], str] = {}
        """Why a run gave nothing; it is begun again only if a person says so."""
        self._models.writing_began.connect(self._make_way)
        self._models.changed.connect(self._models_changed)

    def board(self, exchange: Exchange) -> Board | None:
        """Return the scoreboard of an answer; None if it is no finished answer of the demo pair to its problems.

        An answer in which a person wrote has none: it would blame the models.
        """
        expected = expected_answer(exchange.problem)
        if not (expected and _is_scored(exchange.trace)):
            return None
        rows = [row for arm in ScoredArm if (row := self._row(exchange, arm, expected))]
        running = self._run if self._run and self._run.exchange.id == exchange.id else None
        to_run = [row.arm for row in rows if not row.score and not (running and running.arm is row.arm)]
        started = exchange.trace.started
        is_demo = self._session.preferences.value.models.is_demo
        return Board(
            rows,
            to_run if is_demo else [],
            seconds_of_large_alone(exchange.trace, self._models.costs.of(started.large)) if started else None,
            running is not None,
        )

    def measure_small(self, exchange: Exchange) -> None:
        """Let the small model alone answer, if that was not tried yet and nothing else is being written."""
        is_free = self._session.runs.is_idle and not self._models.is_writing
        was_tried = (exchange.id, ScoredArm.SMALL) in self._endings
        board = self.board(exchange) if is_free and self._has_demo_pair and not was_tried else None
        if board and ScoredArm.SMALL in board.to_run:
            self._begin(exchange, ScoredArm.SMALL)

    def run_alone(self, exchange: Exchange, arm: ScoredArm) -> None:
        """Let one model alone answer, unless something is being written."""
        if not self._has_demo_pair:
            self._session.failed.emit(Busy("The demo pair is not loaded yet.", "Try again in a moment."))
        elif self._models.is_writing:
            self._session.failed.emit(Busy("Something else is being written.", "Stop it, or wait for its end."))
        else:
            self._begin(exchange, arm)

    def stop(self, exchange: Exchange | None = None) -> bool:
        """Stop what one model alone writes, for this answer or for any; return whether there was something."""
        if self._run is None or (exchange and exchange.id != self._run.exchange.id):
            return False
        self._run.control.stop()
        if exchange:
            self._endings[exchange.id, self._run.arm] = "Stopped."
        self.changed.emit()
        return True

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _has_demo_pair(self) -> bool:
        choice = self._models.choice
        return self._models.state is LoadState.READY and choice is not None and choice.is_demo

    def _row(self, exchange: Exchange, arm: ScoredArm, expected: str) -> BoardRow | None:
        siblings = self._session.conversation.siblings(exchange)
        alike = (each.trace for each in (exchange, *reversed(siblings)) if _are_alike(each, exchange))
        trace = next((each for each in alike if _is_scored(each) and ScoredArm.of(each) is arm), None)
        score = ScoreRow.of(trace, expected) if trace else self._scores.get((exchange.id, arm))
        if score:
            return BoardRow(arm, score, seconds=score.seconds)
        if arm is ScoredArm.BOTH:
            return None
        if (alone := self._run) and (alone.exchange.id, alone.arm) == (exchange.id, arm):
            return BoardRow(arm, None, "Waiting…", alone.trace.tokens, alone.trace.seconds)
        return BoardRow(arm, None, self._endings.get((exchange.id, arm), "Not run yet."))

    def _begin(self, exchange: Exchange, arm: ScoredArm) -> None:
        self._endings.pop((exchange.id, arm), None)
        self._run = alone = AloneRun(exchange, arm)
        pair, messages, control = self._models.pair, exchange.messages(), alone.control
        settings = exchange.settings.model_copy(update={"policy": POLICY_ALONE[arm]})

        def write() -> Iterator[Event]:
            return run(pair, messages, settings, control=control)

        def take(events: list[Event]) -> None:
            for event in events:
                alone.trace.apply(event)
            self.changed.emit()

        self._models.begin_writing(alone)
        task = StreamTask(self, "one model alone", write, cancel=control.stop).items(take)
        task.done(lambda error: self._ended(alone, error)).start()
        self.changed.emit()

    def _ended(self, alone: AloneRun, error: BatonError | None) -> None:
        key, trace = (alone.exchange.id, alone.arm), alone.trace
        self._run = None
        self._models.end_writing(alone)
        if error or trace.finish is Finish.FAILED:
            self._endings[key] = str(error or (trace.ended and trace.ended.reason))
        elif trace.finish is not Finish.STOPPED:
            self._scores[key] = score = ScoreRow.of(trace, expected_answer(alone.exchange.problem))
            self.scored.emit(f"{score.title}: {score.shown_answer} {score.mark}, {score.time}")
        self.changed.emit()

    def _make_way(self, writer: object) -> None:
        """Stop for what a person has begun: it goes first."""
        if writer is not self._run:
            self.stop()

    def _models_changed(self) -> None:
        if self._models.state is LoadState.WAITING:
            self.stop()  # for other models
        self.changed.emit()


def _is_by_demo_pair(trace: Trace) -> bool:
    sources = {(author, card.source) for author, card, _ in trace.models if card}
    return sources == {(Author.SMALL, DemoModel.SMALL), (Author.LARGE, DemoModel.LARGE)}


def _is_scored(trace: Trace) -> bool:
    """Whether the demo pair finished this answer undisturbed: no model was restarted, nobody steered it or wrote."""
    is_finished = trace.finish is Finish.END_OF_TEXT and not trace.notices and _is_by_demo_pair(trace)
    return is_finished and not trace.is_steered and all(piece.author is not Author.PERSON for piece in trace.pieces)


def _are_alike(one: Exchange, other: Exchange) -> bool:
    """Whether two attempts at a problem differ in their policies only."""

    def apart_from_policy(settings: RunSettings) -> RunSettings:
        return settings.model_copy(update={"policy": Never.Settings()})

    return one.problem == other.problem and apart_from_policy(one.settings) == apart_from_policy(other.settings)


GAP = 12
"""Pixels between two columns."""
ALONE = {ScoredArm.SMALL: "small model alone", ScoredArm.LARGE: "large model alone"}


class ScoreboardView(QWidget):
    """Hidden until there is a scoreboard."""

    def __init__(self, ask: Callable[[AnswerAction | ScoredArm], object]) -> None:
        """`ask`: called with what a person wants, or with the arm that is to be run."""
        super().__init__()
        self.setAccessibleName("Scoreboard")
        grid = QGridLayout()
        grid.setHorizontalSpacing(0)  # Qt leaves it out beside a hidden widget over several columns
        grid.setVerticalSpacing(7)
        grid.setColumnStretch(3, 1)
        self.rows = {arm: ScoreRowView(arm, grid, 2 * place) for place, arm in enumerate(ScoredArm)}
        self.run = {arm: ElidedButton() for arm in ALONE}
        for arm, press in self.run.items():
            press.clicked.connect(partial(ask, arm))
        tip = "Stop the model that runs alone (Esc)"
        self.halt = button("Stop", partial(ask, AnswerAction.STOP_ALONE), tip=tip)
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
