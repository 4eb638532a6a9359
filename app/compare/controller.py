"""Starts comparisons: asks for the columns (arms to run, or existing answers), runs them, shows them side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QComboBox, QDialog, QFormLayout, QWidget

from baton_reasoning.app.compare.view import MOST_COLUMNS, CompareView
from baton_reasoning.app.document.answer_pane import AnswerActions
from baton_reasoning.app.document.typeset import Typesetter
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.toolkit.background import cancel_tasks
from baton_reasoning.app.toolkit.controls import button, combo_box, label, line_edit, plain_tip, with_key
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.batch.running.arms import ARMS, POLICY_ARMS, usual_arms
from baton_reasoning.core.conversation import Exchange, ShownComparison
from baton_reasoning.core.demo_pair.task import expected_answer
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import NotApplicable
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.text import counted
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.registry import COMMON_POLICIES, POLICIES
from baton_reasoning.core.thinking.requirements import unmet_need
from baton_reasoning.core.words.labels import method_title
from baton_reasoning.core.words.numbers import in_brief

NO_THIRD, MORE = "(none)", "More…"


class Chooser(QDialog):
    """Each column offers the answers that exist, the common policies, and the others after “More…”."""

    def __init__(
        self,
        problem: str,
        choices: Sequence[CompareChoice],
        columns: Sequence[CompareChoice],
        expected: str,
        parent: QWidget,
    ) -> None:
        """`choices`: all of them; `columns`: the proposed ones."""
        super().__init__(parent)
        self.setWindowTitle("Compare")
        self._choices = choices
        self.expected = line_edit("Expected answer", "Optional; otherwise answers are compared", expected)
        self._hint = label("", Role.MUTED, wrap=True)
        self.go = button("Compare", self.accept, Role.PRIMARY)
        self.go.setDefault(True)
        self.boxes = [self._box(number, columns) for number in range(MOST_COLUMNS)]
        self._lay_out(problem)
        self._update()

    def picked(self) -> list[CompareChoice]:
        """Return the selected columns, from left to right."""
        choices = [box.currentData() for box in self.boxes]
        return [choice for choice in choices if isinstance(choice, CompareChoice)]

    def _update(self) -> None:
        picked = self.picked()
        to_write = [choice for choice in picked if choice.exchange is None]
        twice = len({id(choice.exchange or choice) for choice in picked}) < len(picked)
        why_not = next((choice.why_not for choice in to_write if choice.why_not), "")
        self.go.setEnabled(len(picked) > 1 and not twice and not why_not)
        self.go.setText("Compare" if to_write else "Show side by side")
        self._hint.setText(why_not or (TWICE if twice else ""))

    def _box(self, number: int, columns: Sequence[CompareChoice]) -> QComboBox:
        box = combo_box(f"Column {number + 1}")
        proposed = columns[number] if number < len(columns) else None
        if number == MOST_COLUMNS - 1:
            box.addItem(NO_THIRD, None)
        written = [choice for choice in self._choices if choice.exchange]
        to_write = [choice for choice in self._choices if not choice.exchange]
        _add(box, written)
        if written:
            box.insertSeparator(box.count())
        common = common_ones(to_write)
        _add(box, [choice for choice in to_write if choice in common or choice is proposed])
        box.addItem(MORE, MORE)
        if proposed:
            box.setCurrentIndex(box.findData(proposed))

        def changed(index: int) -> None:
            if box.itemData(index) == MORE:
                _add(box, [choice for choice in to_write if box.findData(choice) < 0])
                box.removeItem(index)
                QTimer.singleShot(0, box, box.showPopup)  # once the list that is shown is closed
            self._update()

        box.currentIndexChanged.connect(changed)
        return box

    def _lay_out(self, problem: str) -> None:
        text = label(in_brief(problem), wrap=True)
        text.setToolTip(plain_tip(problem))
        form = QFormLayout()
        form.setVerticalSpacing(8)
        form.setHorizontalSpacing(12)
        for number, box in enumerate(self.boxes, 1):
            form.addRow(f"Column &{number}", box)
        form.addRow("E&xpected", self.expected)
        self.setLayout(
            vbox(
                text,
                form,
                self._hint,
                hbox(STRETCH, button("Cancel", self.reject), self.go),
                margins=(18, 16, 18, 14),
                spacing=12,
            )
        )
        self.setMinimumWidth(480)


def _add(box: QComboBox, choices: Sequence[CompareChoice]) -> None:
    for choice in choices:
        box.addItem(choice.title, choice)
        box.setItemData(box.count() - 1, plain_tip(choice.summary), Qt.ItemDataRole.ToolTipRole)


TWICE = "Two columns are the same. Choose another for one of them."
PLACE_OF = {"never": 0, "always": 2}
"""Where an answer stands among the usual three; one by both models stands in the middle."""


@dataclass(frozen=True)
class CompareChoice:
    title: str
    settings: RunSettings
    exchange: Exchange | None = None
    """The answer that is there; None: it is to be written."""
    name: str = ""
    """Of what is to be written: short, and the same next time."""
    why_not: str = ""
    """Why these models cannot write it."""
    summary: str = ""
    """One sentence on when the large model writes."""


def arms(settings: RunSettings, cards: Mapping[Author, ModelCard] | None = None) -> list[CompareChoice]:
    """Return the arms of all policies, except those that need a whole batch or other models; the current one is last.

    `cards`: of the models that are to write them; none if they are not loaded yet.
    """
    choices: list[CompareChoice] = []
    for name in (*POLICY_ARMS, "chosen"):
        (arm,) = ARMS[name].make(settings)
        if not arm.equal_share_of:
            why_not = unmet_need(POLICIES.of(arm.settings.policy), cards) if cards else None
            about = ARMS[name]
            choices.append(CompareChoice(about.title, arm.settings, None, arm.name, str(why_not or ""), about.summary))
    return choices


def common_ones(choices: Sequence[CompareChoice]) -> list[CompareChoice]:
    """Return the plain arm of each policy that is offered first."""
    by_policy: dict[str, CompareChoice] = {}
    for choice in choices:
        by_policy.setdefault(choice.settings.policy.policy, choice)
    return [by_policy[name] for name in COMMON_POLICIES if name in by_policy]


def recorded(attempts: Sequence[Exchange]) -> list[CompareChoice]:
    """Return the existing answers to one problem, oldest first."""
    return [
        CompareChoice(
            f"Attempt {number}: {method_title(each.settings)}, seed {each.settings.seed}, "
            f"{counted(each.trace.tokens, 'token')}",
            each.settings,
            each,
        )
        for number, each in enumerate(attempts, 1)
        if each.trace.tokens
    ]


def proposed(
    names: Sequence[str], written: Sequence[CompareChoice], to_write: Sequence[CompareChoice], answer: Exchange | None
) -> list[CompareChoice]:
    """Propose columns: the named arms, with complete answers that exist already where there are any.

    `answer`: the one that a person looks at; it is one of the columns.
    """
    fit = [choice for choice in written if choice.exchange and choice.exchange.trace.finish is Finish.END_OF_TEXT]
    by_name = {choice.name: choice for choice in to_write}
    columns = [by_name[name] for name in names if name in by_name]
    columns = [next((known for known in fit if known.settings == each.settings), each) for each in columns]
    in_front = next((choice for choice in fit if choice.exchange is answer), None)
    if in_front and in_front not in columns and columns:
        columns[min(PLACE_OF.get(in_front.settings.policy.policy, 1), len(columns) - 1)] = in_front
    return columns


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
        """Ask which columns. `answer`: the one to compare with others.

        Without one the problem is new, and follows the last one; in a comparison it takes the place of the one there.
        """
        if not self._session.is_ready_or_says_why():
            return
        attempts = [each for each in self._attempts(answer) if each.is_read] if answer else []
        written, to_write = recorded(attempts), arms(self._session.settings, self._session.models.pair.cards)
        names = self._preferences.value.window.compared or usual_arms(self._session.settings)
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

    def ask(self, problem: str) -> None:
        """Ask the same columns another problem."""
        if self.view and self._session.is_ready_or_says_why():
            now = {"system": self._session.settings.system}
            picked = [CompareChoice("", each.settings.model_copy(update=now)) for each in self.view.exchanges]
            self._begin(problem, None, picked, expected_answer(problem))

    def show_attempts(self, answer: Exchange) -> None:
        """Show an answer beside other attempts at its problem, without writing anything."""
        attempts = [each for each in self._attempts(answer) if each is answer or each.trace.tokens or not each.is_read]
        if len(attempts) == 1:
            way = f"{with_key('Answer it again', 'Ctrl+R')}, or {with_key('compare', 'Ctrl+D')}."
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
            names = tuple(choice.name for choice in picked)
            is_usual = names == usual_arms(self._session.settings)  # which follows the models
            self._preferences.change_window(compared=() if is_usual else names)
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
