"""What reviews found in an answer, under its ribbon: the large model's disagreements, and the value of each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QSignalBlocker
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QMenu, QPushButton

from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.document.steps_view import TextMark
from baton_reasoning.app.inspector.review_section import AnswerOf, ReviewSection, ReviewState
from baton_reasoning.app.inspector.step_page import chance, quoted
from baton_reasoning.app.session.reviews import Reviewer, ReviewKind
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import button, key_text, plain_tip
from baton_reasoning.app.toolkit.layout import in_row
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.core.analysis.opinion import (
    Disagreement,
    Opinion,
    OpinionProgress,
    opinion_error,
    own_text_error,
    several_models_error,
    text_error,
)
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.events import OpinionGiven
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import NOT_HANDED_OVER, opinion_counts

if TYPE_CHECKING:
    from baton_reasoning.app.inspector.values_section import ValuesSection
    from baton_reasoning.core.grading.grader import Grader
    from baton_reasoning.core.reviews import Review

Fork = Callable[[Exchange, int], object]
"""Lets the large model go on from a place of an answer, in characters of its text."""
PARTLY_READ = "Only the beginning of this text was read."
LIST_ROWS = 5
"""Places in sight."""


class OpinionSection(ReviewSection):
    kind = ReviewKind.OPINION

    def __init__(self, pane: AnswerPane, reviewer: Reviewer, answer_of: AnswerOf, fork: Fork | None) -> None:
        super().__init__(pane, reviewer, answer_of)
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
        self.column.addWidget(in_row(self.start))
        self.column.addWidget(self.list)
        self.column.addWidget(in_row(self.fork))

    @property
    def review(self) -> Callable[[Grader], Review]:
        from baton_reasoning.core.reviews import Opinions  # would delay the start of a window

        return lambda _: Opinions()

    def show_findings(self, trace: Trace, is_other: bool) -> None:
        if is_other or trace.opinion is not self._given:
            self._given = trace.opinion
            self._show_opinion(None)
            if trace.opinion:
                self._evaluation.run(lambda: Opinion.of(trace), self._take_opinion)
            else:
                self._evaluation.cancel()
        is_whole = trace.opinion is not None and trace.opinion.length >= trace.length
        self.start.setVisible(not (is_whole or self.is_running))
        self.start.setEnabled(not self.unavailable_reason())
        self.list.setVisible(bool(self.places))
        self.fork.setVisible(bool(self.places) and self._fork_at is not None)
        self.fork.setEnabled(not self.unavailable_reason())
        self._mark()

    def describe(self) -> ReviewState:
        if self.is_running:
            found = self.reviewer.progress.latest if self.reviewer.progress else None
            if not isinstance(found, OpinionProgress):
                return ReviewState("The large model reads the answer")
            done = f"{found.tokens:,} of {counted(found.total, 'token')}"
            return ReviewState(f"The large model has read {done}", done=found.tokens, total=found.total)
        if self.opinion:
            return ReviewState(opinion_counts(self.opinion), "" if self.opinion.is_whole else PARTLY_READ)
        return ReviewState(remark=self.unavailable_reason() or self.price) if self.is_open else ReviewState()

    def unavailable_reason(self) -> str:
        trace, large = self.pane.exchange.trace, self.reviewer.pair.large
        if reason := super().unavailable_reason() or str(text_error(trace) or ""):
            return reason
        return "" if large is None or self.reviewer.others(trace) else str(opinion_error(large, trace) or "")

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

    def __init__(self, pane: AnswerPane, reviewer: Reviewer, answer_of: AnswerOf, fork: Fork | None = None) -> None:
        """`fork`: None where answers are only read."""
        super().__init__(pane)
        self._pane, self._reviewer, self._answer_of, self._fork = pane, reviewer, answer_of, fork
        self.examine = QPushButton("Examine", pane)
        """Offers what can be found out about the answer, with what it takes."""
        set_role(self.examine, Role.FLAT)
        menu = QMenu(self.examine)
        self.examine.setMenu(menu)
        keys = {ReviewKind.OPINION: "Ctrl+Shift+S", ReviewKind.VALUES: "Ctrl+Shift+V"}
        self.offers = {kind: menu.addAction("", partial(self.open, kind)) for kind in keys}
        menu.aboutToShow.connect(lambda: self._offer(keys))
        reviewer.changed.connect(self.follow)
        self.follow()

    @cached_property
    def opinion(self) -> OpinionSection:
        """The large model's disagreements; made when they are asked for, or there."""
        section = OpinionSection(self._pane, self._reviewer, self._answer_of, self._fork)
        self._pane.below_ribbon.insertWidget(0, section)
        return section

    @cached_property
    def values(self) -> ValuesSection:
        """What each step was worth; made when that is asked for, or known."""
        from baton_reasoning.app.inspector.values_section import ValuesSection  # would delay the start of a window

        section = ValuesSection(self._pane, self._reviewer, self._answer_of)
        self._pane.below_ribbon.addWidget(section)
        return section

    def open(self, kind: ReviewKind) -> None:
        """Show or hide what is found, or what it takes to find it."""
        (self.opinion if kind is ReviewKind.OPINION else self.values).toggle()

    def follow(self) -> None:
        """Update to the pane's answer."""
        trace = self._pane.exchange.trace
        if trace.opinion or "opinion" in self.__dict__:
            self.opinion.follow()
        if trace.values or "values" in self.__dict__:
            self.values.follow()
        is_over = bool(trace.pieces) and trace.ended is not None
        self.examine.setVisible(is_over and several_models_error(trace) is None)

    def _offer(self, keys: Mapping[ReviewKind, str]) -> None:
        """Name what it takes; leave out what can say nothing of this answer."""
        trace = self._pane.exchange.trace
        for kind, action in self.offers.items():
            section = self.opinion if kind is ReviewKind.OPINION else self.values
            action.setText(f"{kind.value}: {section.price}\t{key_text(keys[kind])}")
        self.offers[ReviewKind.OPINION].setVisible(own_text_error(trace) is None)
