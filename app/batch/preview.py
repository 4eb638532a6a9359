"""Previews a file of problems, and asks for the settings of its batch: columns, policies, seeds, parallel requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QHeaderView, QWidget

from baton_reasoning.app.batch.session import BatchSession
from baton_reasoning.app.toolkit.controls import (
    ElidedCheckBox,
    ElidedLabel,
    button,
    combo_box,
    label,
    line_edit,
    scrolling,
    show_opened,
    whole_number,
)
from baton_reasoning.app.toolkit.layout import flowing, hbox, holder, vbox
from baton_reasoning.app.toolkit.tables import RowTable
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.batch.reading.columns import GUESS, Corrections
from baton_reasoning.core.batch.reading.problems import ProblemSet
from baton_reasoning.core.batch.reading.source import ENCODINGS
from baton_reasoning.core.batch.running.arms import ARMS, COMMON_ARMS, Arm, arm_title, usual_arms
from baton_reasoning.core.batch.running.batch import without_duplicates
from baton_reasoning.core.batch.running.workload import Workload
from baton_reasoning.core.errors import BatonError, UnknownEncoding
from baton_reasoning.core.models.source import local_path
from baton_reasoning.core.table import Column
from baton_reasoning.core.text import one_line

ROWS, LONGEST = 8, (24, 300, 24)
"""Problems that are shown, and characters of their cells."""
SHOWN = tuple(Column(title, is_number=False) for title in ("Id", "Problem", "Expected answer"))
NONE = "(none)"
FIRST = ("chosen", *COMMON_ARMS)
"""The arms that are offered before “More…” is pressed."""


class Preview(QWidget):
    corrected = Signal(object)
    """`Corrections` of what was guessed."""
    cancelled = Signal()

    def __init__(self, session: BatchSession) -> None:
        super().__init__()
        self._session = session
        self.found: ProblemSet | None = None
        self.title, self.count = label("", Role.TITLE), label("", Role.MUTED)
        self.problem, self.answer, self.identity = (
            combo_box(f"Column of the {name}") for name in ("problem", "answer", "id")
        )
        for combo in (self.problem, self.answer, self.identity):
            combo.setMinimumWidth(130)
            combo.activated.connect(self._columns_chosen)
        self.encoding = combo_box("Encoding of the text")
        self.encoding.addItems(ENCODINGS)
        self.encoding.setPlaceholderText("choose…")
        self.encoding.activated.connect(
            lambda: self.corrected.emit(GUESS._replace(encoding=self.encoding.currentText()))
        )
        self.table = RowTable("The first problems", SHOWN)
        self.left = label("", Role.MUTED)
        """How many problems are not shown."""
        self.notes = label("", Role.MUTED, wrap=True, selectable=True)
        self.notes.setAccessibleName("What was read: columns, answers, and what was dropped")
        self.left_out = label("", Role.DANGER, wrap=True)
        """What the demo pair does not solve."""
        self.ungraded = ElidedCheckBox("Run all the same: no problem has an answer, so nothing can be graded")
        self.arms = {name: ElidedCheckBox(arm_title(name), recipe.summary) for name, recipe in ARMS.items()}
        self._has_picked, self._proposes = False, False
        """Whether a person has ticked arms, and whether the usual ones are being ticked just now."""
        self.more = button("More…", self._show_more, Role.FLAT, "All other policies and their controls")
        self.larges: list[str] = []
        self.larges_text = ElidedLabel("", Role.MUTED)
        self.parallel, self.seeds, self.limit = whole_number(1, 64), whole_number(1, 20), whole_number(0, 1_000_000)
        self.parallel.setValue(8)
        self.limit.setSpecialValueText("all")
        self.system = line_edit("System prompt", "none")
        self.system.setToolTip("Instructions before each problem, for both models")
        self.amount, self.reason = label("", Role.MUTED), ElidedLabel("", Role.MUTED)
        """How many answers the batch would have, and why it cannot begin."""
        self.ungraded.toggled.connect(self.count_answers)
        for box in self.arms.values():
            box.toggled.connect(self._pick)
        for spin in (self.seeds, self.limit):
            spin.valueChanged.connect(self.count_answers)
        self.start = button("Start", self._start, Role.PRIMARY)
        self._lay_out()

    @property
    def chosen_arms(self) -> list[str]:
        return [name for name, box in self.arms.items() if box.isChecked()]

    def chosen_problems(self) -> ProblemSet:
        """Return the problems of the batch. Raises BeyondDemo if the chosen models solve none."""
        assert self.found
        is_demo, limit = self._session.chosen_models.is_demo, self.limit.value()
        found = self.found.for_demo() if is_demo else self.found
        return replace(found, problems=found.problems[:limit]) if limit else found

    def make_arms(self) -> Sequence[Arm]:
        """Return the arms of the batch. Raises SettingsError."""
        return self._session.make_arms(self.chosen_arms, self.system.text(), self.larges)

    def show_larges(self, files: list[str]) -> None:
        """Add an arm for each of these large models."""
        self.larges = files
        self.larges_text.setText(", ".join(Path(file).name for file in files))
        self.count_answers()

    def start_anew(self, system: str) -> None:
        """Forget what was chosen for another file; `system`: the usual system prompt."""
        self.ungraded.setChecked(False)
        self.show_larges([])
        self.system.setText(system)

    def show_unread(self, name: str, error: UnknownEncoding) -> None:
        """Ask for the encoding of a file that cannot be read without it."""
        self.found = None
        self.title.setText(name)
        self.notes.setText(str(error))
        for part in (self.count, self.amount, self.reason, self.problem, self.answer, self.identity):
            part.clear()
        self.table.show_rows([])
        self.encoding.setCurrentIndex(-1)
        self._encoding_field.show()
        self.notes.show()
        self.ungraded.hide()
        self.count_answers()

    def show_problems(self, found: ProblemSet) -> None:
        self.found = found
        self.title.setText(found.name)
        read, *more = found.summary(seen=("problem", "answer", "id"))
        self.count.setText(read)
        self.ungraded.setVisible(not found.with_answer)
        columns = found.columns[0]
        for combo, chosen in (
            (self.problem, columns.problem),
            (self.answer, columns.answer or columns.solution),
            (self.identity, columns.id),
        ):
            combo.clear()
            combo.addItems([*([] if combo is self.problem else [NONE]), *found.available_columns])
            combo.setCurrentText(chosen or NONE)
        cells = [(each.id, each.text, each.expected or "") for each in found.problems[:ROWS]]
        self.table.show_rows([list(map(one_line, row, LONGEST)) for row in cells])
        left = len(found.problems) - len(cells)
        self.left.setText(f"{left:,} more")
        self.left.setVisible(left > 0)
        self.notes.setText("\n".join(more))
        self.notes.setVisible(bool(more))
        self.encoding.setCurrentIndex(self.encoding.findText(found.encoding))
        self._encoding_field.setVisible(bool(found.encoding))
        self.count_answers()

    def count_answers(self) -> None:
        """Show how many answers the batch would have, and whether it can begin now or what it waits for."""
        if self.found is None:
            self.start.setEnabled(False)
            return
        self._propose()
        reason, arms, count = "", tuple[Arm, ...](), 0
        try:
            chosen = self.chosen_problems()
            count, notes = len(chosen.problems), chosen.notes[len(self.found.notes) :]
            self.left_out.setText("".join(f"⚠ {note}" for note in notes))
            self.left_out.setVisible(bool(notes))
            arms = without_duplicates(self.make_arms()).arms
        except BatonError as error:
            reason = str(error)
        self.amount.setText(Workload.of(count, arms, self.seeds.value(), self._session.chosen_costs).in_words)
        if not (arms or reason):
            reason = "Choose an arm to run."
        elif not (reason or self.found.with_answer or self.ungraded.isChecked()):
            reason = "No problem has an answer: tick “Run all the same”, or choose another column."
        self.reason.setText(reason or self._session.waits_for)
        self.start.setEnabled(not reason)
        self.start.setToolTip(reason)

    def _propose(self) -> None:
        """Tick the usual arms for the chosen settings, unless a person has ticked others."""
        if self._has_picked:
            return
        usual, self._proposes = usual_arms(self._session.chosen_settings), True
        for name, box in self.arms.items():
            box.setChecked(name in usual)
        self._proposes = False
        if not {*usual} <= {*FIRST} and self._others.isHidden():
            self._show_more()

    def _pick(self) -> None:
        if not self._proposes:
            self._has_picked = True
            self.count_answers()

    def _start(self) -> None:
        self._session.create(self.chosen_problems(), self.make_arms(), self.seeds.value(), self.parallel.value())

    def _choose_larges(self) -> None:
        """Ask for the files of other large models."""
        large = local_path(self._session.chosen_models.large)
        folder = str(large.parent) if large else ""
        self.show_larges(QFileDialog.getOpenFileNames(self, "Other large models", folder, "Models (*.gguf)")[0])

    def _columns_chosen(self) -> None:
        chosen = (each.currentText() for each in (self.problem, self.answer, self.identity, self.encoding))
        self.corrected.emit(Corrections(*("" if text == NONE else text for text in chosen)))

    def _show_more(self) -> None:
        """Offer all policies, or hide those again that are not chosen."""
        opens = self._others.isHidden()
        self._others.setVisible(opens)
        self.more.setText("Fewer" if opens else "More…")
        show_opened(self._area, self._others if opens else self.more)

    def _lay_out(self) -> None:
        self.table.setMinimumHeight(120)
        for column, mode in enumerate((QHeaderView.ResizeMode.ResizeToContents, QHeaderView.ResizeMode.Stretch)):
            self.table.horizontalHeader().setSectionResizeMode(column, mode)
        combos = {"Problem": self.problem, "Answer": self.answer, "Id": self.identity}
        self._encoding_field = _named("&Encoding", self.encoding)
        larges = button("Add large models…", self._choose_larges, Role.FLAT, "The batch runs with each, too")
        self._others = flowing(*(self.arms[name] for name in ARMS if name not in FIRST), gap=20)
        self._others.hide()
        numbers = {"Problems at once": self.parallel, "Seeds": self.seeds, "Only the first": self.limit}
        for name, spin in numbers.items():
            spin.setAccessibleName(name)
        fields = [_named(name, field) for name, field in {**numbers, "System prompt": self.system}.items()]
        parts = (
            self.title,
            self.count,
            flowing(
                label("Columns", Role.MUTED), *(_named(*each) for each in combos.items()), self._encoding_field, gap=16
            ),
            (self.table, 1),
            self.left,
            self.notes,
            self.left_out,
            self.ungraded,
            label("Compare", Role.HEADING),
            flowing(*(self.arms[name] for name in FIRST), self.more, gap=20),
            self._others,
            hbox(larges, (self.larges_text, 1), margins=0),
            flowing(*fields, gap=16),
        )
        foot = hbox(self.amount, (self.reason, 1), button("Cancel", self.cancelled.emit), self.start)
        self._area = scrolling(holder(vbox(*parts, margins=(20, 18, 20, 18), spacing=12), Role.CARD))
        self.setLayout(vbox(self._area, foot, margins=(22, 16, 22, 16), spacing=12))


def _named(name: str, field: QWidget) -> QWidget:
    """Return a field with its name before it; Alt and a letter marked with & lead to it."""
    title = label(name, Role.MUTED)
    title.setBuddy(field)
    return holder(hbox(title, field, margins=0))
