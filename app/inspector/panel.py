"""The inspector: one step of an answer, and its run as a whole."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QStackedWidget, QTabBar, QWidget

from baton_reasoning.app.inspector.run_page import RunPage
from baton_reasoning.app.inspector.step_page import StepPage
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.toolkit.controls import label, scrolling
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.theme import Role, set_role
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.trace import Piece

NOTHING_CHOSEN = "Choose a step in the text or in the ribbon, to see who wrote it and why."
NO_ANSWER = "Ask something, to see times, models and settings of the answer."


class Tab(IntEnum):
    STEP = 0
    RUN = 1


class Inspector(QWidget):
    """Shows one run in detail beside its text."""

    def __init__(
        self,
        session: ChatSession | None = None,
        choose: Callable[[Exchange, Piece], object] = lambda *_: None,
    ) -> None:
        """`session`: where answers are forked; without it, they are only read. `choose`: shows a piece in the text that
        was chosen here."""
        super().__init__()
        self._session, self._choose = session, choose
        set_role(self, Role.BAR)
        self.exchange: Exchange | None = None
        self.piece: Piece | None = None
        """The piece that a person chose."""
        self.tabs = QTabBar()
        self.tabs.setAccessibleName("Inspector")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setUsesScrollButtons(False)
        for title in ("Step", "Run"):
            self.tabs.addTab(title)
        self.step = StepPage(self._fork if session else None)
        self.run = RunPage(self._chosen)
        self.empty = label("", Role.MUTED, wrap=True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        self.empty.setContentsMargins(20, 60, 20, 20)
        self._stack = QStackedWidget()
        set_role(self._stack, Role.BAR)
        for page in (self.step, self.run):
            scroll = scrolling(page)
            scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
            self._stack.addWidget(scroll)
        self._stack.addWidget(self.empty)
        self.tabs.currentChanged.connect(lambda _: self._refresh())
        self.setLayout(vbox(self.tabs, (self._stack, 1), margins=(14, 6, 6, 6), spacing=4))
        self._refresh()

    def show_piece(self, exchange: Exchange, piece: Piece) -> None:
        """Show one piece of the text."""
        self.exchange, self.piece = exchange, piece
        self.tabs.setCurrentIndex(Tab.STEP)
        self._refresh()

    def show_run(self, exchange: Exchange | None) -> None:
        """Show another answer; no piece of it is chosen."""
        if exchange is not self.exchange:
            self.exchange, self.piece = exchange, None
        self._refresh()

    def follow(self, exchange: Exchange) -> None:
        """Update, since the trace of this answer has grown."""
        if exchange is self.exchange:
            self._refresh()

    def _refresh(self) -> None:
        """Update the page in front; the other waits until it is shown."""
        tab, exchange, piece = Tab(self.tabs.currentIndex()), self.exchange, self.piece
        self.empty.setText(NOTHING_CHOSEN if tab is Tab.STEP else NO_ANSWER)
        has_content = bool(piece if tab is Tab.STEP else exchange)
        self._stack.setCurrentIndex(tab if has_content else self._stack.indexOf(self.empty))
        if exchange and tab is Tab.RUN:
            models = self._session.preferences.value.models if self._session else ModelChoice()
            self.run.follow(exchange, models, bool(self._session and self._session.runs.writes(exchange)))
        elif exchange and piece:
            self.step.show_piece(exchange.trace, piece)

    def _chosen(self, piece: Piece) -> None:
        if self.exchange:
            self._choose(self.exchange, piece)
            self.show_piece(self.exchange, piece)

    def _fork(self, author: Author | None) -> None:
        if self._session and self.exchange and self.piece:
            self._session.fork(self.exchange, self.piece.position, author)
