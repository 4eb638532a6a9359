"""The inspector: one step, the course of the run in time, the run as a whole, a second opinion, and what each step
was worth."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QStackedWidget, QTabBar, QWidget

from baton_reasoning.app.inspector.opinion_page import OpinionPage
from baton_reasoning.app.inspector.run_page import RunPage
from baton_reasoning.app.inspector.step_page import StepPage
from baton_reasoning.app.inspector.timeline import TimelinePage
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.session.reviews import AnswerReviews
from baton_reasoning.app.toolkit.controls import EmptyPane, LazyWidget, scrolling
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.trace import Piece

if TYPE_CHECKING:
    from baton_reasoning.app.inspector.value_page import ValuePage

LONGEST_STEP = "Step 999"


class Tab(IntEnum):
    STEP = 0
    TIMELINE = 1
    RUN = 2
    OPINION = 3
    VALUE = 4


NO_ANSWER = {
    Tab.STEP: "Ask something. Then choose a step in the text or in the ribbon, to see who wrote it and why.",
    Tab.TIMELINE: "Ask something, to see when each model writes.",
    Tab.RUN: "Ask something, to see totals, models and settings of the answer.",
    Tab.OPINION: "Ask something. Then let the large model read the answer and mark where it disagrees.",
    Tab.VALUE: "Ask something. Then see what each step of the answer was worth.",
}
"""What each page is for, while there is no answer."""


class Inspector(QWidget):
    """Shows one run in detail beside its text."""

    piece_chosen = Signal(object, object)  # an Exchange and a Piece
    rerun_wanted = Signal(object, object, object)  # an Exchange, a Piece, and the Author who is to write it
    fork_wanted = Signal(object, object)  # an Exchange and a Piece
    fork_at_wanted = Signal(object, int)  # an Exchange, and the characters of its text that stay

    def __init__(
        self,
        models: Callable[[], ModelChoice] = ModelChoice,
        is_live: Callable[[Exchange], bool] = lambda _: False,
        reviews: AnswerReviews | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """`models`: returns the chosen models, for the command line that repeats a run. `is_live`: whether an answer is
        being written. `reviews`: what reviews answers; without it, only what was found before is shown."""
        super().__init__(parent)
        self._models, self._is_live, self._reviews = models, is_live, reviews
        set_role(self, Role.BAR)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.exchange: Exchange | None = None
        self.piece: Piece | None = None
        """The piece that a person chose."""
        self._newest: Piece | None = None
        """The newest takeover: shown until a person chooses."""
        self.tabs = InspectorTabs()
        self.tabs.setAccessibleName("Inspector")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        for title in ("Step", "Timeline", "Run", "Opinion", "Value"):
            self.tabs.addTab(title)
        self.step, self.timeline, self.run = StepPage(), TimelinePage(), RunPage()
        self.opinion = OpinionPage(reviews)
        self._value = LazyWidget(self._make_value)
        self._stack = QStackedWidget()
        set_role(self._stack, Role.BAR)
        for page in (self.step, self.timeline, self.run, self.opinion, self._value):
            scroll = scrolling(page)
            scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            self._stack.addWidget(scroll)
        self.empty = EmptyPane("panel")
        self._stack.addWidget(self.empty)
        self._show_page()
        self.tabs.currentChanged.connect(self._turn)
        self.timeline.piece_chosen.connect(self._chosen)
        self.opinion.fork_wanted.connect(self._fork_at)
        self.step.rerun_wanted.connect(self._rerun)
        self.step.fork_wanted.connect(self._fork)
        self.setLayout(vbox(self.tabs, (self._stack, 1), margins=(14, 6, 6, 6), spacing=4))

    @property
    def value(self) -> ValuePage:
        """The page of values, created on first use."""
        return self._value.part

    def show_piece(self, exchange: Exchange, piece: Piece) -> None:
        """Show one piece of the text."""
        self.exchange, self.piece = exchange, piece
        self._show_step(exchange, piece)
        self.timeline.select(piece)
        if self.tabs.currentIndex() == Tab.RUN:
            self.tabs.setCurrentIndex(Tab.STEP)
        self._refresh()

    def show_run(self, exchange: Exchange | None) -> None:
        """Show another answer; no piece of it is chosen."""
        if exchange is not self.exchange:
            self.exchange, self.piece, self._newest = exchange, None, None
            self.tabs.setTabText(Tab.STEP, "Step")
            self.step.show_nothing()
            self.timeline.select(None)
        self._refresh()

    def turn_to(self, tab: Tab) -> None:
        self.tabs.setCurrentIndex(tab)

    def follow(self, exchange: Exchange) -> None:
        """Update, since the trace of this answer has grown."""
        if exchange is self.exchange:
            by_large = (p for p in reversed(exchange.trace.pieces) if p.author is Author.LARGE and not p.in_answer)
            self._newest = next(by_large, None)
            self._refresh()

    @property
    def preferred_width(self) -> int:
        """The pixels at which no tab is cut off."""
        layout = self.layout()
        assert layout is not None
        margins = layout.contentsMargins()
        return self.tabs.sizeHint().width() + margins.left() + margins.right()

    @property
    def shown(self) -> Piece | None:
        """The piece that a person chose, or the newest takeover."""
        return self.piece or self._newest

    def _show_step(self, exchange: Exchange, piece: Piece) -> None:
        self.tabs.setTabText(Tab.STEP, f"Step {piece.step + 1}")
        self.step.show_piece(exchange.trace, piece)

    def _turn(self, _tab: int) -> None:
        self._refresh()

    def _show_page(self) -> None:
        """Show the page of the tab; while there is no answer, what it is for."""
        tab = Tab(self.tabs.currentIndex())
        self.empty.text.setText(NO_ANSWER[tab])
        self._stack.setCurrentIndex(tab if self.exchange else self._stack.indexOf(self.empty))

    def _refresh(self) -> None:
        """Update the page in front; the others wait until they are shown."""
        self._show_page()
        if self.exchange is None or not self.isVisible():
            return
        match self.tabs.currentIndex():
            case Tab.TIMELINE:
                self.timeline.follow(self.exchange.trace)
            case Tab.OPINION:
                self.opinion.follow(self.exchange)
            case Tab.VALUE:
                self.value.follow(self.exchange, self.piece)
            case Tab.RUN:
                self.run.follow(self.exchange, self._models(), self._is_live(self.exchange))
            case _:
                if self.shown:
                    self._show_step(self.exchange, self.shown)

    def _make_value(self) -> ValuePage:
        from baton_reasoning.app.inspector.value_page import (
            ValuePage,  # imports what grades answers, which would delay the start
        )

        page = ValuePage(self._reviews)
        page.piece_chosen.connect(self._chosen)
        return page

    def _chosen(self, piece: Piece) -> None:
        if self.exchange:
            self.show_piece(self.exchange, piece)
            self.piece_chosen.emit(self.exchange, piece)

    def _rerun(self, author: Author) -> None:
        if self.exchange and self.shown:
            self.rerun_wanted.emit(self.exchange, self.shown, author)

    def _fork(self) -> None:
        if self.exchange and self.shown:
            self.fork_wanted.emit(self.exchange, self.shown)

    def _fork_at(self, position: int) -> None:
        if self.exchange:
            self.fork_at_wanted.emit(self.exchange, position)


class InspectorTabs(QTabBar):
    """Tabs that stay where they are when “Step” becomes “Step 14”; with scroll buttons where they do not fit."""

    def tabSizeHint(self, index: int) -> QSize:
        hint = super().tabSizeHint(index)
        if index != Tab.STEP:
            return hint
        advance = self.fontMetrics().horizontalAdvance
        longer = max(0, advance(LONGEST_STEP) - advance(self.tabText(index)))
        return QSize(hint.width() + longer, hint.height())
