"""What reviews found in an answer, under its ribbon: the large model's disagreements, and the value of each step."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from baton_reasoning.app.document.answer_pane import AnswerPane
from baton_reasoning.app.inspector.opinion_section import OpinionSection
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.session.reviews import AnswerReviews
from baton_reasoning.app.toolkit.controls import button
from baton_reasoning.app.toolkit.theme import Role

if TYPE_CHECKING:
    from baton_reasoning.app.inspector.values_section import ValuesSection

Fork = Callable[[Exchange, int], object]
"""Lets the large model go on from a place of an answer, in characters of its text."""


class AnswerReview(QObject):
    """Puts what is found below the ribbon of a pane, whose page lays out the two buttons and calls `follow`."""

    def __init__(self, pane: AnswerPane, reviews: AnswerReviews | None, fork: Fork | None = None) -> None:
        """`reviews`: what reviews answers; without it, only what was found before is shown. `fork`: None where answers
        are only read."""
        super().__init__(pane)
        self._pane, self._reviews, self._fork = pane, reviews, fork
        self.opinion_button = button(
            "Second opinion",
            lambda: self.opinion.carry_out(),
            Role.FLAT,
            tip="The large model reads this answer and marks where it disagrees (Ctrl+Shift+S)",
        )
        self.values_button = button(
            "Values", lambda: self.values.carry_out(), Role.FLAT, tip="What each step was worth (Ctrl+Shift+V)"
        )
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
        from baton_reasoning.app.inspector.values_section import (
            ValuesSection,  # imports what grades answers, which would delay the start
        )

        section = ValuesSection(self._pane, self._reviews)
        self._pane.below_ribbon.addWidget(section)
        return section

    def follow(self) -> None:
        """Update to the pane's answer."""
        trace = self._pane.exchange.trace
        can_review = self._reviews is not None and self._pane.is_over and bool(trace.pieces)
        self.opinion_button.setVisible(can_review)
        self.values_button.setVisible(can_review)
        if trace.opinion or "opinion" in self.__dict__:
            self.opinion.follow()
        if trace.values or "values" in self.__dict__:
            self.values.follow()
