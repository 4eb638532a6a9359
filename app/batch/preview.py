"""Previews a file of problems, and asks for the settings of its batch: columns, arms, seeds, parallel requests."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QPlainTextEdit,
    QTableView,
    QWidget,
)

from baton_reasoning.app.toolkit.controls import (
    ElidedCheckBox,
    ElidedLabel,
    button,
    combo_box,
    label,
    line_edit,
    scrolling,
    whole_number,
)
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, holder, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.batch.reading.columns import ColumnNames
from baton_reasoning.core.batch.reading.problems import ProblemSet
from baton_reasoning.core.batch.running.arms import ABLATIONS, ARMS, RECIPES
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.words.numbers import count

ROWS = 8
NONE = "(none)"
ARM_GAP, ASIDE = 24, 120
"""Pixels between two columns of arms, and for everything beside them."""
USUAL = ("small", "large", "baton")


class Preview(QWidget):
    columns_wanted = Signal(object)
    """`ColumnNames` that a person chose instead of the guess."""
    start_wanted = Signal()
    larges_wanted = Signal()
    """Other large models, still to be chosen."""
    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.found: ProblemSet | None = None
        self.title, self.count = label("", Role.TITLE), label("", Role.MUTED)
        self.problem, self.answer, self.identity = (_combo(name) for name in ("Problem", "Answer", "Id"))
        for combo in (self.problem, self.answer, self.identity):
            combo.activated.connect(self._columns_chosen)
        self.rows = QStandardItemModel(self)
        self.table = QTableView()
        self.notes = QPlainTextEdit()
        self.notes.setReadOnly(True)
        self.notes.setMaximumHeight(110)
        self.notes.setAccessibleName("What was read: columns, answers, and what was dropped")
        self.ungraded = ElidedCheckBox("Run all the same: no problem has an answer, so nothing can be graded")
        self.ungraded.toggled.connect(self._allow_start)
        self.arms = {name: ElidedCheckBox(recipe.title, recipe.summary) for name, recipe in RECIPES.items()}
        for name in USUAL:
            self.arms[name].setChecked(True)
        self._arm_grids = QGridLayout(), QGridLayout()
        self._arm_columns = 0
        self.larges: list[str] = []
        self.larges_text = ElidedLabel("", Role.MUTED)
        self.parallel, self.seeds, self.limit = whole_number(1, 64), whole_number(1, 20), whole_number(0, 1_000_000)
        self.parallel.setValue(8)
        self.limit.setSpecialValueText("all")
        self.system = line_edit("System prompt", "none")
        self.system.setToolTip("Instructions before each problem, for both models")
        self.amount = label("", Role.MUTED)
        """Shows how many answers the batch would have."""
        for box in self.arms.values():
            box.toggled.connect(self._count)
        for spin in (self.seeds, self.limit):
            spin.valueChanged.connect(self._count)
        self.start = button("Start", self.start_wanted.emit, Role.PRIMARY)
        self._lay_out()

    @property
    def chosen_arms(self) -> list[str]:
        return [name for name, box in self.arms.items() if box.isChecked()]

    def chosen_problems(self) -> ProblemSet:
        assert self.found
        limit = self.limit.value()
        return replace(self.found, problems=self.found.problems[:limit]) if limit else self.found

    def show_larges(self, files: list[str]) -> None:
        """Add an arm for each of these large models."""
        self.larges = files
        self.larges_text.setText(", ".join(Path(file).name for file in files))
        self._count()

    def show_problems(self, found: ProblemSet) -> None:
        self.found = found
        self.show_larges([])
        self.title.setText(found.name)
        read, *more = found.summary()
        self.count.setText(read)
        self.ungraded.setChecked(False)
        self.ungraded.setVisible(not found.with_answer)
        self._allow_start()
        columns = found.columns[0]
        for combo, chosen in (
            (self.problem, columns.problem),
            (self.answer, columns.answer or columns.solution),
            (self.identity, columns.id),
        ):
            combo.clear()
            combo.addItems([*([] if combo is self.problem else [NONE]), *found.available_columns])
            combo.setCurrentText(chosen or NONE)
        self.rows.clear()
        self.rows.setHorizontalHeaderLabels(["Id", "Problem", "Expected answer"])
        for problem in islice(found.problems, ROWS):
            cells = (problem.id, " ".join(problem.text[:300].split()), problem.expected or "")
            self.rows.appendRow([QStandardItem(cell) for cell in cells])
        for column, width in enumerate((140, 720)):
            self.table.setColumnWidth(column, width)
        self.notes.setPlainText("\n".join(more))
        self.notes.setVisible(bool(more))

    def _count(self) -> None:
        """Show “300 problems × 3 policies × 2 seeds = 1,800 answers”."""
        if self.found is None:
            return
        chosen = self.chosen_arms or ([] if self.larges else ["chosen"])
        made = {arm.name for name in chosen for arm in RECIPES[name].make(RunSettings())}
        arms = len(made) + len(self.larges)
        problems, seeds = (
            min(self.limit.value() or len(self.found.problems), len(self.found.problems)),
            self.seeds.value(),
        )
        factors = [
            count(problems, "problem"),
            count(arms, "policy", "policies"),
            *([count(seeds, "seed")] if seeds > 1 else []),
        ]
        self.amount.setText(f"{' × '.join(factors)} = {count(problems * arms * seeds, 'answer')}")

    def _allow_start(self) -> None:
        self.start.setEnabled(self.ungraded.isChecked() or self.ungraded.isHidden())

    def _columns_chosen(self) -> None:
        names = (combo.currentText() for combo in (self.problem, self.answer, self.identity))
        self.columns_wanted.emit(ColumnNames(*("" if name == NONE else name for name in names)))

    def _lay_out(self) -> None:
        columns, run = QFormLayout(), QFormLayout()
        for form in (columns, run):
            form.setLabelAlignment(Qt.AlignmentFlag.AlignVCenter)
        for name, combo in (("Problem", self.problem), ("Answer", self.answer), ("Id", self.identity)):
            columns.addRow(name, combo)
        columns.addRow("System prompt", self.system)
        for name, spin in (("Problems at once", self.parallel), ("Seeds", self.seeds), ("Only the first", self.limit)):
            spin.setAccessibleName(name)
            run.addRow(name, spin)
        choices = hbox((columns, 1), 24, run, STRETCH)
        larges = hbox(
            button("Add large models…", self.larges_wanted.emit, tip="The batch runs with each of them, too"),
            self.larges_text,
            STRETCH,
        )
        table = self.table
        table.setWordWrap(False)
        table.setMinimumHeight(120)
        table.setModel(self.rows)
        table.setAccessibleName("The first problems")
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.verticalHeader().hide()
        table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        table.horizontalHeader().setStretchLastSection(True)
        for arms in self._arm_grids:
            arms.setHorizontalSpacing(ARM_GAP)
        card = holder(
            vbox(
                self.title,
                self.count,
                choices,
                (table, 1),
                self.notes,
                self.ungraded,
                label("Compare", Role.HEADING),
                self._arm_grids[0],
                label("Ablations", Role.HEADING),
                self._arm_grids[1],
                larges,
                margins=(20, 18, 20, 18),
                spacing=12,
            ),
            Role.CARD,
        )
        self._place_arms(1)
        area = scrolling(card)  # a small screen does not show all arms
        self.setLayout(
            vbox(
                area,
                hbox(self.amount, STRETCH, button("Cancel", self.cancelled.emit), self.start),
                margins=(22, 16, 22, 16),
                spacing=12,
            )
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lay out the arms in two columns if there is room."""
        super().resizeEvent(event)
        widest = max(box.sizeHint().width() for box in self.arms.values())
        self._place_arms(2 if 2 * widest + ARM_GAP < self.width() - ASIDE else 1)

    def _place_arms(self, columns: int) -> None:
        if columns == self._arm_columns:
            return
        self._arm_columns = columns
        for grid, recipes in zip(self._arm_grids, (ARMS, ABLATIONS), strict=True):
            for place, name in enumerate(recipes):
                grid.addWidget(self.arms[name], place // columns, place % columns)


def _combo(name: str) -> QComboBox:
    combo = combo_box(f"Column of the {name.lower()}")
    combo.setMinimumWidth(130)
    return combo
