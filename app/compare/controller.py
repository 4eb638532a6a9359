"""Starts comparisons: asks for the columns, runs them, shows them side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.compare.chooser import USUAL, Chooser, CompareChoice, arms, proposed, recorded
from baton_reasoning.app.compare.view import MOST_COLUMNS, CompareView
from baton_reasoning.app.document.answer_pane import AnswerActions
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.conversation import Exchange, ShownComparison, expected_answer
from baton_reasoning.app.toolkit.background import cancel_tasks
from baton_reasoning.core.errors import NotApplicable
from baton_reasoning.core.thinking.registry import POLICIES


class ComparisonController(QObject):
    """Asks for the columns, runs the arms, and shows them."""

    def __init__(
        self,
        session: ChatSession,
        typesetter: Typesetter,
        actions: AnswerActions,
        show: Callable[[CompareView | None], object],
        parent: QWidget,
    ) -> None:
        """`show`: puts a comparison in the place of the conversation; None takes it away."""
        super().__init__(parent)
        self._page = parent
        self._session = session
        self._preferences = session.preferences
        self._typesetter = typesetter
        self._actions = actions
        self._show = show
        self.view: CompareView | None = None
        """What is on the screen, if that is a comparison."""

    def choose(self, problem: str, answer: Exchange | None = None) -> None:
        """Ask which columns. `answer`: to compare that with others; else it is a new problem, after the last one or, in
        a comparison, in the place of the one that is compared."""
        if not self._session.is_ready_or_says_why():
            return
        attempts = [each for each in self._attempts(answer) if each.is_read] if answer else []
        written, to_write = recorded(attempts), arms(self._session.settings, self._session.models.pair.cards)
        names = self._preferences.value.window.compared or USUAL
        columns = proposed(names, written, to_write, answer)
        if answer and self.view and all(each in attempts for each in self.view.exchanges):
            columns = [
                next(c for c in written if c.exchange is each) for each in self.view.exchanges if each.trace.tokens
            ]
        expected = self.view.expected if self.view and answer else expected_answer(problem)
        dialog = Chooser(problem, [*written, *to_write], columns, expected, self._page)
        dialog.accepted.connect(lambda: self._take(problem, answer, dialog))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def compare_usual(self, answer: Exchange) -> None:
        """Compare an answer with small alone and large alone, without asking which columns."""
        if self._session.is_ready_or_says_why():
            to_write = arms(answer.settings, self._session.models.pair.cards)
            columns = proposed(USUAL, recorded(self._attempts(answer)), to_write, answer)
            self._begin(answer.problem, answer, columns, expected_answer(answer.problem))

    def ask(self, problem: str) -> None:
        """Ask the same columns another problem."""
        if self.view and self._session.is_ready_or_says_why():
            now = {"system": self._session.system}
            picked = [CompareChoice("", each.settings.model_copy(update=now)) for each in self.view.exchanges]
            self._begin(problem, None, picked, expected_answer(problem))

    def show_attempts(self, answer: Exchange) -> None:
        """Show an answer beside other attempts at its problem, without writing anything."""
        attempts = [each for each in self._attempts(answer) if each is answer or each.trace.tokens or not each.is_read]
        if len(attempts) == 1:
            way = "Regenerate it (Ctrl+R), or compare policies (Ctrl+D)."
            self._session.failed.emit(NotApplicable("There is only one answer to this problem.", way))
            return
        first = min(max(0, attempts.index(answer) - 1), max(0, len(attempts) - MOST_COLUMNS))
        columns = tuple(attempts[first : first + MOST_COLUMNS])
        self.open(ShownComparison(columns, expected_answer(answer.problem), before=answer))

    def open(self, comparison: ShownComparison) -> None:
        """Show answers side by side, finished or not, until `leave`, whichever conversation is read meanwhile."""
        self._session.conversation.comparison = comparison
        self.show(comparison)

    def show(self, comparison: ShownComparison) -> None:
        """Show the comparison of the conversation in view."""
        self.close()
        first = comparison.exchanges[0]
        view = CompareView(comparison, self._session, self._typesetter, self._actions)
        view.left.connect(self.leave)
        view.choose_wanted.connect(lambda: self.choose(first.problem, first))
        self.view = view
        self._show(view)

    def leave(self) -> None:
        """Return to the conversation: to the answer whose step is chosen, else to the one that was compared."""
        conversation = self._session.conversation
        if self.view is None or conversation.comparison is None:
            return
        chosen = self.view.chosen or conversation.comparison.before
        self.close()
        conversation.comparison = None
        if chosen and chosen is not conversation.leaf and chosen in conversation:
            self._session.show(chosen)
        self._show(None)

    def close(self) -> None:
        """Take the view away; its answers are written on."""
        if self.view:
            cancel_tasks(self.view)
            self.view.setParent(None)
            self.view.deleteLater()
            self.view = None

    # -----------------------------------------------------------------------------------------------------------------

    def _attempts(self, answer: Exchange) -> list[Exchange]:
        siblings = self._session.conversation.siblings(answer)
        return [each for each in siblings if each.problem == answer.problem]

    def _take(self, problem: str, answer: Exchange | None, dialog: Chooser) -> None:
        """Begin with the columns of the dialog; propose them the next time, if all of them are to be written."""
        picked = dialog.picked()
        if all(choice.exchange is None for choice in picked):
            self._preferences.change_window(compared=tuple(choice.name for choice in picked))
        self._begin(problem, answer, picked, dialog.expected.text().strip())

    def _begin(self, problem: str, answer: Exchange | None, picked: Sequence[CompareChoice], expected: str) -> None:
        to_write = [choice for choice in picked if choice.exchange is None]
        beside = answer or (self.view.exchanges[0] if self.view else None)
        parent = beside.parent if beside else self._session.conversation.leaf
        settings = [each.settings for each in to_write]
        new = self._session.compare(problem, settings, parent, shows=answer is None)
        if len(new) == len(to_write):
            still = iter(new)
            columns = tuple(each.exchange or next(still) for each in picked)
            by_both = (each for each in columns if len(POLICIES.of(each.settings.policy).needs.writers) > 1)
            self.open(ShownComparison(columns, expected, before=answer or next(by_both, None)))
