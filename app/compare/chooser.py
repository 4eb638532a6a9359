"""Dialog to choose two or three columns: arms to run, or existing answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QComboBox, QDialog, QFormLayout, QWidget

from baton_reasoning.app.compare.view import MOST_COLUMNS
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.toolkit.controls import button, combo_box, label, line_edit, plain_tip
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.batch.running.arms import ARMS, POLICY_ARMS
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import RunSettings, unmet_need
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.registry import COMMON_POLICIES, POLICIES
from baton_reasoning.core.words.labels import title_of
from baton_reasoning.core.words.numbers import count, in_brief

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
        self.expected = line_edit(
            "Expected answer", "Optional; otherwise answers are compared with each other", expected
        )
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
        self._hint.setText(why_not or _hint_text(to_write, twice))

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


def _hint_text(to_write: Sequence[CompareChoice], twice: bool) -> str:
    if twice:
        return "Two columns are the same. Choose another for one of them."
    if not to_write:
        return "These answers are there already: nothing is written."
    if len(to_write) == 1:
        return "The seed stays as it is chosen; the first column is what the others are compared with."
    return "One after the other, with one seed, so that their times can be compared."


USUAL = ("small", "baton", "large")
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
            f"Attempt {number}: {title_of(each.settings)}, seed {each.settings.seed}, "
            f"{count(each.trace.tokens, 'token')}",
            each.settings,
            each,
        )
        for number, each in enumerate(attempts, 1)
        if each.trace.tokens
    ]


def proposed(
    names: Sequence[str],
    written: Sequence[CompareChoice],
    to_write: Sequence[CompareChoice],
    answer: Exchange | None,
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
