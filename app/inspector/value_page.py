"""What each step was worth: who is to continue the text, the curve of values, and what it says in words."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.inspector.value_curve import ValueCurveView
from baton_reasoning.app.session.conversation import Exchange, expected_answer
from baton_reasoning.app.session.reviews import AnswerReviews
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import Hairline, button, combo_box, label, line_edit, progress_bar
from baton_reasoning.app.toolkit.layout import Spacer, in_row, vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.run import Pair
from baton_reasoning.core.step_values.estimator import (
    ValueEstimator,
    ValueOptions,
    ValuesPlan,
    ValuesProgress,
    writers_of,
)
from baton_reasoning.core.thinking.events import ValuesEstimated
from baton_reasoning.core.thinking.trace import Piece, Trace
from baton_reasoning.core.thinking.values import StepValues
from baton_reasoning.core.words.numbers import count, duration, rough_duration
from baton_reasoning.core.words.values import WRITER_WORDS, source_text, value_sentences

ABOUT = "Continuations are written from the end of each step. The share of them that ends right is the value there."
LEGEND = "● small, ◆ large, ○ what it replaced; band: 95% interval."
CHOOSE = "A click, or arrow keys and Enter, lead from a point to its step."
NOT_VALUED = "The steps of this answer have not been valued. The command baton value does that."
OWN_ANSWER = "empty: this answer’s own"


class ValueOffer(NamedTuple):
    """What an estimate would take, or why there can be none."""

    error: str = ""
    plan: ValuesPlan | None = None
    model: str = ""
    target: str = ""


class ValuePage(QWidget):
    piece_chosen = Signal(object)

    def __init__(self, reviews: AnswerReviews | None = None, parent: QWidget | None = None) -> None:
        """`reviews`: what estimates values; without it, those that are there already are shown."""
        super().__init__(parent)
        self._reviews = reviews
        self._exchange: Exchange | None = None
        self._trace: Trace | None = None
        """For which the form was filled in."""
        self._shown: tuple[Exchange | None, ValuesEstimated | None] = None, None
        """What the curve shows."""
        self._piece: Piece | None = None
        """The piece that a person chose."""
        self._offer = ValueOffer()
        self._asked: tuple[object, ...] = ()
        """What the offer was asked for."""
        self._planning = LatestTask(self, "plan the values", one_at_a_time=True)
        self.values: StepValues | None = None
        self.writer = combo_box("Who writes the continuations")
        for name, words in WRITER_WORDS.items():
            self.writer.addItem(words, name)
        self.expected = line_edit("Expected answer", OWN_ANSWER)
        self.note = label("", Role.MUTED, wrap=True, selectable=True)
        self.start = button("Value the steps", self._start, Role.PRIMARY)
        self.stop = button("Stop", self._stop, tip="What is finished is kept")
        self.bar = progress_bar("Progress of the values")
        self.curve = ValueCurveView()
        self.place = label("", wrap=True, selectable=True)
        self.place.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.legend, self.words = label(LEGEND, Role.MUTED, wrap=True), label(wrap=True, selectable=True)
        self.line = Hairline()
        self.source = label("", Role.MUTED, wrap=True, selectable=True)
        self._who, self._right = label("Who continues"), label("Expected answer")
        self._who.setBuddy(self.writer)
        self._right.setBuddy(self.expected)
        self._lay_out()
        self.writer.activated.connect(lambda _: self._show())
        self.expected.textChanged.connect(lambda _: self._show())
        self.expected.returnPressed.connect(self.start.click)
        self.curve.piece_chosen.connect(self.piece_chosen)
        self.curve.place_shown.connect(self._show_place)
        if reviews:
            reviews.changed.connect(self._show)

    def follow(self, exchange: Exchange, piece: Piece | None = None) -> None:
        """Show the values of this answer, if it has any, and mark a piece that was chosen elsewhere."""
        if exchange.trace is not self._trace:  # another answer, or this one has been read from the store
            self._trace, self._asked, self._offer = exchange.trace, (), ValueOffer()
            latest = next(reversed(exchange.trace.values.values()), None)
            self.writer.setCurrentIndex(self.writer.findData(latest.writer) if latest else 0)
            known = latest.target if latest and latest.is_expected else expected_answer(exchange.problem)
            with QSignalBlocker(self.expected):
                self.expected.setText(known)
        self._exchange = exchange
        self._show()
        if piece is not self._piece:
            self._piece = piece
            self.curve.select(piece)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._show()

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _options(self) -> ValueOptions:
        return ValueOptions(writer=self.writer.currentData())

    def _show(self) -> None:
        if self._exchange is None or not self.isVisible():
            return
        progress = self._progress()
        known = self._exchange.trace.values.get(self.writer.currentData())
        self._show_values(progress.estimated if progress else known)
        self._plan(known)
        self._show_state()

    @property
    def _is_running(self) -> bool:
        return self._reviews is not None and self._reviews.is_running(self._exchange, ValueEstimator)

    def _unavailable_reason(self) -> str:
        return self._reviews.unavailable_reason(self._exchange) if self._reviews and self._exchange else ""

    def _progress(self) -> ValuesProgress | None:
        """Return how far the estimate of this answer is, if it is under way."""
        found = self._reviews.progress if self._reviews and self._is_running else None
        return found if isinstance(found, ValuesProgress) else None

    def _show_values(self, estimated: ValuesEstimated | None) -> None:
        assert self._exchange
        if (self._exchange, estimated) == self._shown:
            return
        trace, self._shown = self._exchange.trace, (self._exchange, estimated)
        found = StepValues(trace, estimated) if estimated else None
        self.values = found if found and found.places else None
        self.curve.show_values(trace, self.values)
        self._show_place("")
        if self.values:
            self.words.setText("\n".join(value_sentences(trace, self.values)))
            self.source.setText(source_text(self.values.estimated))

    def _show_state(self) -> None:
        assert self._exchange
        is_running, can_run, progress = self._is_running, self._reviews is not None, self._progress()
        known = self._exchange.trace.values.get(self.writer.currentData())
        unavailable = "" if is_running else self._unavailable_reason()
        offer, continues = self._offer, self._continues(known)
        is_done = continues and known is not None and known.is_whole
        form: list[QWidget] = [self._who, self.writer, self._right, self.expected]
        for widget in form:
            widget.setVisible(can_run)
            widget.setEnabled(not is_running)
        self.start.setVisible(can_run and not is_running and not is_done)
        self.start.setText("Go on" if continues else "Value the steps")
        self.start.setEnabled(not unavailable and offer.plan is not None)
        self.curve.setVisible(self.values is not None)
        self.place.setVisible(self.values is not None)
        self.legend.setVisible(self.values is not None)
        result: list[QWidget] = [self.line, self.words, self.source]
        for widget in result:
            widget.setVisible(self.values is not None and not is_running)
        self.stop.setVisible(is_running)
        self.bar.setVisible(is_running)
        self.bar.setRange(0, progress.total if progress else 0)
        self.bar.setValue(progress.done if progress else 0)
        if is_running:
            note = progress_text(progress)
        elif not can_run:
            note = "" if self.values else NOT_VALUED
        else:
            note = unavailable or offer.error or ("" if is_done else self._offer_text(known is not None))
        self.note.setText(note)
        self.note.setVisible(bool(note))

    def _continues(self, known: ValuesEstimated | None) -> bool:
        """Whether an estimate would go on from what is known."""
        if known is None or self._exchange is None:
            return False
        offer, expected = self._offer, self.expected.text().strip()
        asked = (offer.model, expected or offer.target, bool(expected), self._exchange.trace.length)
        return (known.model, known.target, known.is_expected, known.length) == asked

    def _plan(self, known: ValuesEstimated | None) -> None:
        """Find out in the background what an estimate would take; grading may need a process of its own."""
        if self._reviews is None or self._exchange is None or self._unavailable_reason():
            return
        pair, trace, expected, options = self._reviews.pair, self._exchange.trace, self.expected.text(), self._options
        asked = (pair, trace, expected, options, known, trace.length)
        if asked != self._asked:
            self._asked, self._offer = asked, self._offer._replace(plan=None, error="")
            self._planning.run(lambda: offer_for(pair, trace, expected, options), self._take_offer)

    def _take_offer(self, offer: ValueOffer) -> None:
        self._offer = offer
        self._show_state()

    def _offer_text(self, is_known: bool) -> str:
        if self._offer.plan is None:
            return ABOUT
        assert self._reviews
        plan, about = self._offer.plan, "" if is_known else f"{ABOUT} "
        cost = self._reviews.costs.slowest_decode(writers_of(self._reviews.pair, self._options))
        at_most = f", at most {rough_duration(plan.tokens * cost)}" if cost else ""
        return (
            f"{about}{count(plan.continuations, 'continuation')} from {count(plan.places, 'place')}, "
            f"about {float(f'{plan.tokens:.2g}'):,.0f} tokens{at_most}."
        )

    def _show_place(self, words: str) -> None:
        """Say which point is meant, in two lines whatever it says, so that nothing below it moves."""
        self.place.setText(words or CHOOSE)
        self.place.setMinimumHeight(2 * self.place.fontMetrics().lineSpacing())
        set_role(self.place, Role.HEADING if words else Role.MUTED)

    def _start(self) -> None:
        if self._reviews and self._exchange and self.start.isEnabled():
            self._reviews.value_steps(self._exchange, self.expected.text(), self._options)

    def _stop(self) -> None:
        if self._reviews:
            self._reviews.stop()

    def _lay_out(self) -> None:
        self.setLayout(
            vbox(
                self._who,
                self.writer,
                self._right,
                self.expected,
                self.note,
                in_row(self.start, self.stop),
                self.bar,
                self.curve,
                self.place,
                self.legend,
                self.line,
                self.words,
                self.source,
                Spacer(0),
                margins=(0, 8, 8, 8),
                spacing=7,
            )
        )


def offer_for(pair: Pair, trace: Trace, expected: str, options: ValueOptions) -> ValueOffer:
    """Return what an estimate would take. Runs in a thread."""
    with Grader() as grader:
        try:
            estimator = ValueEstimator(pair, trace, grader, expected, options)
            return ValueOffer("", estimator.plan, estimator.model, estimator.target)
        except BatonError as error:
            return ValueOffer(str(error))


def progress_text(progress: ValuesProgress | None) -> str:
    """Return “112 of 288 continuations · 14,032 tokens · 12.3 s”."""
    if progress is None:
        return "The first continuations are written."
    done = f"{progress.done:,} of {count(progress.total, 'continuation')}"
    return f"{done} · {count(progress.tokens, 'token')} · {duration(progress.seconds)}"
