"""Dialog to choose two or three columns: arms to run, or existing answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QGridLayout, QWidget

from baton_reasoning.app.compare.column import MOST_COLUMNS
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.toolkit.controls import button, combo_box, label, line_edit, plain_tip
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.batch.running.arms import RECIPES
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import RunSettings, unmet_need
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.words.labels import title_of
from baton_reasoning.core.words.numbers import count, in_brief

NO_THIRD = "(none)"


class Chooser(QDialog):
    chosen = Signal(list, str, bool)
    """Choices, the expected answer, and whether all are written at once."""

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
        self.boxes = [self._box(number, columns) for number in range(MOST_COLUMNS)]
        self.expected = line_edit(
            "Expected answer", "Optional; otherwise answers are compared with each other", expected
        )
        self.at_once = QCheckBox("Write in parallel")
        self._hint = label("", Role.MUTED, wrap=True)
        self.go = button("Compare", self._take, Role.PRIMARY)
        self.go.setDefault(True)
        self._lay_out(problem)
        self.at_once.toggled.connect(self._update)
        for box in self.boxes:
            box.currentIndexChanged.connect(self._update)
        self._slots = 0
        self._update()

    def offer_at_once(self, slots: int, wanted: bool) -> None:
        """`slots`: how many parallel requests the loaded models take."""
        self._slots = slots
        self.at_once.setChecked(wanted and slots > 1)
        self._update()

    def picked(self) -> list[CompareChoice]:
        """Return the selected columns, from left to right."""
        indexes = [box.currentData() for box in self.boxes]
        return [self._choices[index] for index in indexes if index is not None]

    def _update(self) -> None:
        picked = self.picked()
        to_write = [choice for choice in picked if choice.exchange is None]
        twice = len({id(choice.exchange or choice) for choice in picked}) < len(picked)
        why_not = next((choice.why_not for choice in to_write if choice.why_not), "")
        fits = self._slots >= len(to_write)
        self.at_once.setVisible(len(to_write) > 1)
        self.at_once.setEnabled(fits)
        self.go.setEnabled(not twice and not why_not)
        self.go.setText("Compare" if to_write else "Show side by side")
        self._hint.setText(why_not or _hint_text(to_write, twice, fits, self.at_once.isChecked()))

    def _take(self) -> None:
        at_once = self.at_once.isChecked() and self.at_once.isEnabled()
        self.chosen.emit(self.picked(), self.expected.text().strip(), at_once)
        self.accept()

    def _box(self, number: int, columns: Sequence[CompareChoice]) -> QComboBox:
        box = combo_box(f"Column {number + 1}")
        if number == MOST_COLUMNS - 1:
            box.addItem(NO_THIRD, None)
        for index, choice in enumerate(self._choices):
            if index and choice.exchange is None and self._choices[index - 1].exchange:
                box.insertSeparator(box.count())
            box.addItem(choice.title, index)
            box.setItemData(box.count() - 1, plain_tip(choice.summary), Qt.ItemDataRole.ToolTipRole)
        if number < len(columns):
            box.setCurrentIndex(box.findData(self._choices.index(columns[number])))
        return box

    def _lay_out(self, problem: str) -> None:
        text = label(in_brief(problem), wrap=True)
        text.setToolTip(plain_tip(problem))
        grid = QGridLayout()
        grid.setVerticalSpacing(8)
        grid.setHorizontalSpacing(12)
        grid.setColumnStretch(1, 1)
        for number, box in enumerate(self.boxes):
            name = label(f"Column &{number + 1}")
            name.setBuddy(box)
            box.setMinimumWidth(340)
            grid.addWidget(name, number, 0)
            grid.addWidget(box, number, 1)
        grid.addWidget(label("Expected"), len(self.boxes), 0)
        grid.addWidget(self.expected, len(self.boxes), 1)
        grid.addWidget(self.at_once, len(self.boxes) + 1, 1)
        self.setLayout(
            vbox(
                text,
                grid,
                self._hint,
                hbox(STRETCH, button("Cancel", self.reject), self.go),
                margins=(18, 16, 18, 14),
                spacing=12,
            )
        )
        self.setMinimumWidth(480)


def _hint_text(to_write: Sequence[CompareChoice], twice: bool, fits: bool, at_once: bool) -> str:
    if twice:
        return "Two columns are the same. Choose another for one of them."
    if not to_write:
        return "These answers are there already: nothing is written."
    if len(to_write) == 1:
        return "The seed stays as it is chosen; the first column is what the others are compared with."
    if not fits:
        return "One after the other: the models are loaded for fewer parallel requests (Settings, Models)."
    if at_once:
        return "All at once they slow each other: do not go by their times."
    return "One after the other, with one seed, so that their times can be compared."


USUAL = ("small", "baton", "large")
PLACE_OF = {"never": 0, "always": 2}
"""Where an answer stands among the usual three; one by both models stands in the middle."""


class CompareChoice(NamedTuple):
    name: str
    """Short, and the same next time."""
    title: str
    settings: RunSettings
    exchange: Exchange | None = None
    """The answer that is there; None: it is to be written."""
    why_not: str = ""
    """Why these models cannot write it."""
    summary: str = ""
    """One sentence on when the large model writes."""


def arms(settings: RunSettings, cards: Mapping[Author, ModelCard] | None = None) -> list[CompareChoice]:
    """Return every arm of the recipes, except those that need a whole batch, an expected answer or other models.

    `cards`: of the models that are to write them; none if they are not loaded yet.
    """
    choices: list[CompareChoice] = []
    for recipe in RECIPES.values():
        made = recipe.make(settings)
        for arm in made:
            title = recipe.title if len(made) == 1 else arm.name
            policy = POLICIES.of(arm.settings.policy)
            needs_more = arm.equal_share_of or any(arm.models)
            if not needs_more and arm.name not in {choice.name for choice in choices}:
                why_not = unmet_need(policy, cards) if cards else None
                choices.append(CompareChoice(arm.name, title, arm.settings, None, str(why_not or ""), recipe.summary))
    return choices


def recorded(attempts: Sequence[Exchange]) -> list[CompareChoice]:
    """Return the existing answers to one problem, oldest first."""
    return [
        CompareChoice(
            f"attempt {number}",
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
