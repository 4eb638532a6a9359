"""What reviews found in an answer, under its ribbon: the large model's disagreements, and the value of each step."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSignalBlocker
from PySide6.QtWidgets import QListWidget, QListWidgetItem

from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.document.steps_view import TextMark
from baton_reasoning.app.inspector.review_section import ReviewSection, ReviewState
from baton_reasoning.app.inspector.step_page import chance, quoted
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.session.reviews import AnswerReviews
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import button, plain_tip
from baton_reasoning.app.toolkit.layout import in_row
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.events import OpinionGiven
from baton_reasoning.core.thinking.opinion import Disagreement, Opinion, SecondOpinion, opinion_error
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import NOT_HANDED_OVER, opinion_counts

if TYPE_CHECKING:
    from baton_reasoning.app.inspector.values_section import ValuesSection

Fork = Callable[[Exchange, int], object]
"""Lets the large model go on from a place of an answer, in characters of its text."""
PARTLY_READ = "Only the beginning of this text was read."
LIST_ROWS = 5
"""Places in sight."""


class OpinionSection(ReviewSection):
    title, kind = "Second opinion", SecondOpinion

    def __init__(self, pane: AnswerPane, reviews: AnswerReviews | None, fork: Fork | None) -> None:
        super().__init__(pane, reviews)
        self._given: OpinionGiven | None = None
        self._evaluation = LatestTask(self, "evaluate the second opinion")
        self._fork_at = fork
        self.opinion: Opinion | None = None
        self.places: list[Disagreement] = []
        """As they are listed: the strongest first."""
        self.list = QListWidget()
        self.list.setAccessibleName("Places by disagreement")
        self.list.currentRowChanged.connect(self._show_place)
        self.list.itemActivated.connect(lambda _: self._fork())
        self.fork = button(
            f"Fork here with {SIGN[Author.LARGE]}",
            self._fork,
            tip="Another answer, in which the large model goes on from this place",
            name="Fork here with the large model",
        )
        current_theme().changed.connect(self._fit_list)
        self.column.addWidget(self.list)
        self.column.addWidget(in_row(self.fork))

    def carry_out(self) -> None:
        """Let the large model read the answer; if it has, show or hide what it found."""
        trace = self.pane.exchange.trace
        is_whole = trace.opinion is not None and trace.opinion.length >= trace.length
        asks, was_open = not is_whole and not self.is_running, self.is_open
        if asks and self.reviews and not self.unavailable_reason():
            self.reviews.ask_opinion(self.pane.exchange)
        if not (asks and was_open):
            self.toggle()

    def show_findings(self, trace: Trace, is_other: bool) -> None:
        if is_other or trace.opinion is not self._given:
            self._given = trace.opinion
            self._show_opinion(None)
            if trace.opinion:
                self._evaluation.run(lambda: Opinion.of(trace), self._take_opinion)
            else:
                self._evaluation.cancel()
        if not (trace.opinion or self.is_running or self.unavailable_reason()):
            self.is_open = False  # with nothing to show
        self.list.setVisible(bool(self.places))
        self.fork.setVisible(bool(self.places) and self._fork_at is not None)
        self.fork.setEnabled(not self.unavailable_reason())
        self._mark()

    def describe(self) -> ReviewState:
        if self.is_running:
            found = self.reviews.progress if self.reviews else None
            if found is None:
                return ReviewState("The large model reads the answer")
            done = f"{found.tokens:,} of {counted(found.total, 'token')}"
            return ReviewState(f"The large model has read {done}", done=found.tokens, total=found.total)
        if self.opinion:
            return ReviewState(opinion_counts(self.opinion), "" if self.opinion.is_whole else PARTLY_READ)
        return ReviewState(remark=self.unavailable_reason())

    def unavailable_reason(self) -> str:
        if not self.reviews:
            return ""
        error = opinion_error(self.reviews.pair.large, self.pane.exchange.trace)
        return super().unavailable_reason() or str(error or "")

    def _take_opinion(self, opinion: Opinion | None) -> None:
        self._show_opinion(opinion)
        self.follow()

    def _show_opinion(self, opinion: Opinion | None) -> None:
        self.opinion = opinion
        self.places = opinion.ranked if opinion else []
        text = self.pane.exchange.trace.text
        with QSignalBlocker(self.list):
            self.list.clear()
            for place in self.places:
                item = QListWidgetItem(place_text(place, text), self.list)
                item.setToolTip(plain_tip(in_words(place)))
            self.list.setCurrentRow(0)
        self._fit_list()

    def _fit_list(self) -> None:
        """Make the list as high as its rows, up to `LIST_ROWS`."""
        self.list.setFixedHeight(min(len(self.places), LIST_ROWS) * max(1, self.list.sizeHintForRow(0)) + 8)

    def _show_place(self, row: int) -> None:
        """Mark the chosen place, and bring it into view."""
        self._mark()
        if 0 <= row < len(self.places):
            self.pane.choose(self.places[row].piece, reveal=True)

    def _mark(self) -> None:
        """Mark all places in the text while this is open."""
        found = self.opinion.disagreements if self.opinion and self.is_open else []
        marks = {place.start: TextMark(place.start, place.end, in_words(place), place.is_strong) for place in found}
        row = self.list.currentRow()
        chosen = marks.get(self.places[row].start) if 0 <= row < len(self.places) else None
        for text in (self.pane.steps, self.pane.answer):
            text.mark(list(marks.values()), chosen)

    def _fork(self) -> None:
        if self._fork_at and self.fork.isEnabled() and 0 <= self.list.currentRow() < len(self.places):
            self._fork_at(self.pane.exchange, self.places[self.list.currentRow()].start)


def place_text(place: Disagreement, text: str) -> str:
    """Return “Step 3: “ 2” → ◆ “ 3” (99%) · not handed over”."""
    first = place.expected
    missed = f" · {NOT_HANDED_OVER}" if place.is_missed else ""
    written = quoted(text[place.start : place.end])
    instead = f"{SIGN[Author.LARGE]} {quoted(first.text)} ({chance(first.logprob)})"
    return f"Step {place.step + 1}: {written} → {instead}{missed}"


def in_words(place: Disagreement) -> str:
    """Return what the large model would have written there, a line each."""
    token = place.token
    lines = [f"{quoted(token.text)} ({chance(token.logprob)} to the large model). It would have written:"]
    lines += [f"{quoted(other.text)}  {chance(other.logprob)}" for other in token.alternatives]
    return "\n".join(lines)


class AnswerReview(QObject):
    """Puts what is found below the ribbon of a pane, whose page calls `follow` when the pane does."""

    def __init__(self, pane: AnswerPane, reviews: AnswerReviews | None, fork: Fork | None = None) -> None:
        """`reviews`: what reviews answers; without it, only what was found before is shown. `fork`: None where answers
        are only read."""
        super().__init__(pane)
        self._pane, self._reviews, self._fork = pane, reviews, fork
        if reviews:
            reviews.changed.connect(self.follow)
        self.follow()

    @cached_property
    def opinion(self) -> OpinionSection:
        """The large model's disagreements; made when they are asked for, or there."""
        section = OpinionSection(self._pane, self._reviews, self._fork)
        self._pane.below_ribbon.insertWidget(0, section)
        return section

    @cached_property
    def values(self) -> ValuesSection:
        """What each step was worth; made when that is asked for, or known."""
        from baton_reasoning.app.inspector.values_section import ValuesSection  # would delay the start of a window

        section = ValuesSection(self._pane, self._reviews)
        self._pane.below_ribbon.addWidget(section)
        return section

    def follow(self) -> None:
        """Update to the pane's answer."""
        trace = self._pane.exchange.trace
        if trace.opinion or "opinion" in self.__dict__:
            self.opinion.follow()
        if trace.values or "values" in self.__dict__:
            self.values.follow()
