"""The scoreboard of an answer of the demo pair: what was measured; and lets one model alone write the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.conversation import Exchange, expected_answer
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.core.demo_pair.scoreboard import ScoredArm, ScoreRow
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, Busy
from baton_reasoning.core.model_costs import seconds_of_large_alone
from baton_reasoning.core.models.options import DemoModel
from baton_reasoning.core.run import RunSettings, run
from baton_reasoning.core.thinking.events import Event, Finish
from baton_reasoning.core.thinking.interruptions import Control
from baton_reasoning.core.thinking.policies.always import Always
from baton_reasoning.core.thinking.policies.never import Never
from baton_reasoning.core.thinking.trace import Trace

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
    is_demo: bool
    """Whether the demo pair is still chosen."""
    answer: str = ""
    """The right answer, if no row has it."""


@dataclass(eq=False)
class AloneRun:
    """One model writes an answer to be scored, or waits for its turn."""

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
        self._runs: list[AloneRun] = []
        """The first one is being written; with the models that the answers are from, so that times can be compared."""
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
        to_run = [row.arm for row in rows if not (row.score or self._run_of(exchange, row.arm))]
        started, scores = exchange.trace.started, [row.score for row in rows if row.score]
        is_demo = self._session.preferences.value.models.is_demo
        return Board(
            rows,
            to_run if is_demo else [],
            seconds_of_large_alone(exchange.trace, self._models.costs.of(started.large)) if started else None,
            any(each.exchange.id == exchange.id for each in self._runs),
            is_demo,
            "" if any(score.answer == expected for score in scores) else expected,
        )

    def measure_small(self, exchange: Exchange) -> None:
        """Let the small model alone answer, if that was not tried yet and nothing else is being written."""
        is_free = self._session.runs.is_idle and not self._models.is_writing and not self._runs
        was_tried = (exchange.id, ScoredArm.SMALL) in self._endings
        board = self.board(exchange) if is_free and self._has_demo_pair and not was_tried else None
        if board and ScoredArm.SMALL in board.to_run:
            self._begin(AloneRun(exchange, ScoredArm.SMALL))

    def run_alone(self, exchange: Exchange, arm: ScoredArm) -> None:
        """Let one model alone answer, after what is written for a scoreboard already."""
        if not self._has_demo_pair:
            self._session.failed.emit(Busy("The demo pair is not loaded yet.", "Try again in a moment."))
        elif self._models.is_writing and not self._runs:
            self._session.failed.emit(Busy("Something else is being written.", "Stop it, or wait for its end."))
        else:
            self._begin(AloneRun(exchange, arm))

    def stop(self, exchange: Exchange | None = None) -> bool:
        """Stop what one model alone writes for an answer, or for all; return whether there was something."""
        stopped = [each for each in self._runs if exchange is None or each.exchange.id == exchange.id]
        for each in stopped:
            each.control.stop()
            if exchange:
                self._endings[exchange.id, each.arm] = "Stopped."
        self._runs = [each for each in self._runs if each not in stopped or each is self._runs[0]]
        if stopped:
            self.changed.emit()
        return bool(stopped)

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _has_demo_pair(self) -> bool:
        choice = self._models.choice
        return self._models.state is LoadState.READY and choice is not None and choice.is_demo

    def _run_of(self, exchange: Exchange, arm: ScoredArm) -> AloneRun | None:
        return next((each for each in self._runs if each.exchange.id == exchange.id and each.arm is arm), None)

    def _row(self, exchange: Exchange, arm: ScoredArm, expected: str) -> BoardRow | None:
        siblings = self._session.conversation.siblings(exchange)
        alike = (each.trace for each in (exchange, *reversed(siblings)) if _are_alike(each, exchange))
        trace = next((each for each in alike if _is_scored(each) and ScoredArm.of(each) is arm), None)
        score = ScoreRow.of(trace, expected) if trace else self._scores.get((exchange.id, arm))
        if score:
            return BoardRow(arm, score, seconds=score.seconds)
        if arm is ScoredArm.BOTH:
            return None
        if listed := self._run_of(exchange, arm):
            return BoardRow(arm, None, "Waiting…", listed.trace.tokens, listed.trace.seconds)
        return BoardRow(arm, None, self._endings.get((exchange.id, arm), "Not run yet."))

    def _begin(self, added: AloneRun) -> None:
        self._endings.pop((added.exchange.id, added.arm), None)
        self._runs.append(added)
        if len(self._runs) == 1:
            self._write(added)
        self.changed.emit()

    def _write(self, listed: AloneRun) -> None:
        pair, messages, control = self._models.pair, listed.exchange.messages(), listed.control
        settings = listed.exchange.settings.model_copy(update={"policy": POLICY_ALONE[listed.arm]})

        def write() -> Iterator[Event]:
            return run(pair, messages, settings, control=control)

        def take(events: list[Event]) -> None:
            for event in events:
                listed.trace.apply(event)
            self.changed.emit()

        self._makes_way = False
        self._models.begin_writing(listed)
        task = StreamTask(self, "one model alone", write, cancel=control.stop).items(take)
        task.done(lambda error: self._ended(listed, error)).start()

    def _ended(self, listed: AloneRun, error: BatonError | None) -> None:
        key, trace = (listed.exchange.id, listed.arm), listed.trace
        self._runs.remove(listed)
        self._models.end_writing(listed)
        if error or trace.finish is Finish.FAILED:
            self._endings[key] = str(error or (trace.ended and trace.ended.reason))
        elif trace.finish is not Finish.STOPPED:
            self._scores[key] = score = ScoreRow.of(trace, expected_answer(listed.exchange.problem))
            self.scored.emit(f"{score.title}: {score.shown_answer} {score.mark}, {score.time}")
        if self._runs:
            self._write(self._runs[0])
        self.changed.emit()

    def _make_way(self, writer: object) -> None:
        """Stop for what a person has begun: it goes first."""
        if writer not in self._runs:
            self.stop()

    def _models_changed(self) -> None:
        if self._models.state is LoadState.WAITING:
            self.stop()  # for other models
        self.changed.emit()


def beyond_the_demo(exchange: Exchange) -> bool:
    """Whether the demo pair was asked something that it was not trained for."""
    return _is_by_demo_pair(exchange.trace) and not expected_answer(exchange.problem)


def _is_by_demo_pair(trace: Trace) -> bool:
    cards = (trace.started.small, trace.started.large) if trace.started else ()
    return [card.source for card in cards if card] == [DemoModel.SMALL, DemoModel.LARGE]


def _is_scored(trace: Trace) -> bool:
    """Whether the demo pair finished this answer, no model was restarted meanwhile, and nobody else wrote in it."""
    is_finished = trace.finish is Finish.END_OF_TEXT and not trace.notices and _is_by_demo_pair(trace)
    return is_finished and all(piece.author is not Author.PERSON for piece in trace.pieces)


def _are_alike(one: Exchange, other: Exchange) -> bool:
    """Whether two attempts at a problem differ in their policies only."""

    def apart_from_policy(settings: RunSettings) -> RunSettings:
        return settings.model_copy(update={"policy": Never.Settings()})

    return one.problem == other.problem and apart_from_policy(one.settings) == apart_from_policy(other.settings)
