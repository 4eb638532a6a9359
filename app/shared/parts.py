"""Parts that one page shows and another package implements. The main window passes them in, so pages import no page."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from PySide6.QtCore import QObject, QPoint, Signal
from PySide6.QtWidgets import QWidget

from app.shared.conversations.conversation import Exchange
from app.shared.conversations.opinions import SecondOpinions
from app.shared.steps.searched_texts import SearchedTexts
from app.shared.steps.steps_view import StepsView
from app.shared.steps.typesetting import Typesetter
from core.settings import ModelChoice
from core.thinking.trace import Piece


class RunInspector(QWidget):
    """Shows one run in detail beside its text. Implemented by `app.inspector`."""

    piece_chosen = Signal(object, object)  # an Exchange and a Piece
    rerun_wanted = Signal(object, object, object)  # an Exchange, a Piece, and the Author who is to write it
    fork_wanted = Signal(object, object)  # an Exchange and a Piece
    fork_at_wanted = Signal(object, int)  # an Exchange, and the characters of its text that stay
    exchange: Exchange | None
    piece: Piece | None
    """The piece that a person chose."""
    models: ModelChoice
    """For the command line that repeats a run."""
    is_live: Callable[[Exchange], bool]
    """Whether an answer is being written now."""

    @property
    @abstractmethod
    def shown(self) -> Piece | None:
        """The piece that a person chose, or the newest takeover."""

    @abstractmethod
    def show_piece(self, exchange: Exchange, piece: Piece) -> None:
        """Show one piece of the text."""

    @abstractmethod
    def show_run(self, exchange: Exchange | None) -> None:
        """Show another answer; no piece of it is chosen."""

    @abstractmethod
    def follow(self, exchange: Exchange) -> None:
        """The trace of this answer has grown."""

    @abstractmethod
    def turn_to_run(self) -> None:
        """Open the tab of the run as a whole."""

    @abstractmethod
    def turn_to_replay(self) -> None:
        """Open the tab that replays the run under another policy."""

    @abstractmethod
    def turn_to_opinion(self) -> None:
        """Open the tab with the large model's opinion of the text."""

    @abstractmethod
    def use_opinions(self, opinions: SecondOpinions) -> None:
        """Where second opinions come from; without them, only those that an answer has already are shown."""


class ComparedAnswers(QWidget):
    """Answers side by side. Implemented by `app.compare`."""

    expected: str
    """The right answer, "" where it is not known."""

    @property
    @abstractmethod
    def exchanges(self) -> list[Exchange]:
        """From left to right."""

    @abstractmethod
    def choose(self, exchange: Exchange, piece: Piece) -> None:
        """Mark a piece, and scroll to it."""

    @abstractmethod
    def searched(self) -> SearchedTexts:
        """Its steps and answers, for the find bar."""

    @abstractmethod
    def steps_of(self, exchange: Exchange) -> StepsView | None:
        """Its steps as they are on the screen."""


class AnswerComparison(QObject):
    """Starts comparisons and shows them on the chat page. Implemented by `app.compare`."""

    piece_chosen = Signal(object, object)  # an Exchange and a Piece
    menu_wanted = Signal(object, object, QPoint)  # an Exchange, a Piece, and where on the screen
    begun = Signal()
    """A comparison was started, so the composer can be cleared."""

    @property
    @abstractmethod
    def shown(self) -> ComparedAnswers | None:
        """What is on the screen, if that is a comparison."""

    @abstractmethod
    def choose(self, problem: str, answer: Exchange | None = None) -> None:
        """Ask which columns to compare. `answer`: an answer to compare with others; else the problem is new."""

    @abstractmethod
    def ask(self, problem: str) -> None:
        """The same arms with another problem."""

    @abstractmethod
    def show_attempts(self, answer: Exchange) -> None:
        """An answer beside other answers to its problem, without writing anything."""

    @abstractmethod
    def cross(self) -> None:
        """Choose the step in the same row of the next column."""

    @abstractmethod
    def leave(self) -> None:
        """Back to the conversation."""


ShowComparison = Callable[[ComparedAnswers | None], object]
"""Puts a comparison in place of the conversation; None takes it away."""
MakeComparison = Callable[[Typesetter, ShowComparison, QWidget], AnswerComparison]
"""Makes the comparison of a page, with the page's typesetter and the page as parent."""
