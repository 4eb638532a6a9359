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

if TYPE_CHECKING:
    from baton_reasoning.app.inspector.values_section import ValuesSection

Fork = Callable[[Exchange, int], object]
"""Lets the large model go on from a place of an answer, in characters of its text."""


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
        from baton_reasoning.app.inspector.values_section import (
            ValuesSection,  # imports what grades answers, which would delay the start
        )

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
