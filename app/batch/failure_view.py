"""Shows what went wrong in a batch: failed answers in groups, one of them in full with a note, and takeovers by cue."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import (
    QAbstractListModel,
    QAbstractTableModel,
    QModelIndex,
    QPersistentModelIndex,
    QSignalBlocker,
    Qt,
    Signal,
)
from PySide6.QtGui import QHideEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QHeaderView, QListView, QSplitter, QStackedWidget, QTabBar, QTableView, QWidget

from baton_reasoning.app.batch.charts import ChartCard
from baton_reasoning.app.batch.failed_answer import FailedAnswer
from baton_reasoning.app.batch.failure_session import FailureSession
from baton_reasoning.app.batch.policy_filter import offer_policies
from baton_reasoning.app.batch.session import BatchSession
from baton_reasoning.app.toolkit.controls import ElidedLabel, button, combo_box, label, plain_tip, progress_bar
from baton_reasoning.app.toolkit.layout import hbox, holder, in_row, vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.batch.reporting.charts import worth_by_cue
from baton_reasoning.core.batch.reporting.failures import Failure, FailureAnalysis, takeover_table
from baton_reasoning.core.batch.reporting.reviews import USUAL_SAMPLE
from baton_reasoning.core.batch.running.arms import arm_title
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.step_values.estimator import USUAL_CONTINUATIONS
from baton_reasoning.core.store.batches import ResultRow
from baton_reasoning.core.table import Table
from baton_reasoning.core.words.numbers import count

NARROW = 900
"""Width in pixels below which the answer is shown below the list."""
NEXT, PREVIOUS = "F8", "Shift+F8"
OPINIONS_KEY, VALUES_KEY = "F7", "F9"
OPINIONS_TIP = f"The large model reads every wrong answer, and shows where it first disagrees ({OPINIONS_KEY})"
VALUES_TIP = (
    f"The small model goes on from before and after each takeover of {USUAL_SAMPLE} answers, {USUAL_CONTINUATIONS} "
    f"times, and so shows how much likelier it made the right answer ({VALUES_KEY})"
)
Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()


class FailureView(QWidget):
    left = Signal()
    """The results are wanted again."""
    row_opened = Signal(object, object)
    """A ResultRow and its Problem, to be shown in full."""

    def __init__(self, batch: BatchSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = FailureSession(batch, self)
        self._batch = batch
        self._analysed: tuple[Failure, ...] = ()
        self.title, self.summary = label("What went wrong", Role.HEADING), ElidedLabel("", Role.MUTED)
        self.arm, self.group = combo_box("Policy"), combo_box("Group of failures")
        self.opinions = button("Second opinions", self.session.ask_opinions)
        self.values = button("Worth of takeovers", self.session.value_takeovers)
        self.stop = button("Stop", self.session.stop, tip="What is finished is kept; the next time goes on from there")
        self.bar, self.note = progress_bar("Progress of the review"), label("", Role.MUTED, wrap=True)
        self.tabs, self._stack = QTabBar(), QStackedWidget()
        self.tabs.setAccessibleName("Failures")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        for title in ("Answers", "Takeovers"):
            self.tabs.addTab(title)
        self.failures, self.takeovers = FailureList(self), TableModel(self)
        self.list, self.table = QListView(), QTableView()
        self.worth = ChartCard("What takeovers were worth")
        self.list.setModel(self.failures)
        self.list.setUniformItemSizes(True)
        self.list.setAccessibleName("Failed answers")
        self._fill_table()
        self.answer = FailedAnswer()
        self.previous = button("‹ Previous", lambda: self.step(-1), tip=f"Previous failed answer ({PREVIOUS})")
        self.next = button("Next ›", lambda: self.step(1), tip=f"Next failed answer ({NEXT})")
        self._split = QSplitter()
        self._lay_out()
        self._connect()

    def show_batch(self) -> None:
        """Show the failures of the batch that is open now."""
        assert self._batch.batch
        offer_policies(self.arm, self._batch.batch.arms)
        self._analyse()
        self._show_state()
        self.list.setFocus()

    def step(self, by: int) -> None:
        """Show the next or the previous failed answer; the note is saved."""
        row = min(max(self.list.currentIndex().row() + by, 0), self.failures.rowCount() - 1)
        self.tabs.setCurrentIndex(0)
        self.list.setCurrentIndex(self.failures.index(row))

    def hideEvent(self, event: QHideEvent) -> None:
        self.answer.keep_note()
        super().hideEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        is_narrow = self.width() < NARROW
        self._split.setOrientation(Qt.Orientation.Vertical if is_narrow else Qt.Orientation.Horizontal)

    # -----------------------------------------------------------------------------------------------------------------

    def _turn(self, tab: int) -> None:
        """Show a tab; the takeovers take the whole width."""
        self._stack.setCurrentIndex(tab)
        self.answer.setVisible(tab == 0)

    def _analyse(self) -> None:
        self.answer.keep_note()
        self.session.analyse(self.arm.currentData())

    def _take(self, found: FailureAnalysis) -> None:
        self._analysed = found.failures
        noted = f" · {count(found.notes, 'note')}" if found.notes else ""
        self.summary.setText(f"{len(found.failures):,} of {count(found.answers, 'answer')} are not right{noted}")
        chosen = self.group.currentData()
        with QSignalBlocker(self.group):
            self.group.clear()
            self.group.addItem(f"All failures ({len(found.failures):,})", None)
            for kind, number in found.groups.items():
                self.group.addItem(f"{kind.value} ({number:,})", kind)
            self.group.setCurrentIndex(max(0, self.group.findData(chosen)))
        self.takeovers.show_table(takeover_table(found.takeovers))
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.worth.setVisible(found.has_worth)
        if found.has_worth:
            means = [(group, group.worth.mean_text) for group in found.takeovers if group.worth]
            text = "; ".join(f"{group.cue or group.reason} {mean}" for group, mean in means)
            self.worth.show_chart(partial(worth_by_cue, found.takeovers), text)
        self._list()

    def _list(self) -> None:
        """List the chosen group; the answer that is shown stays if it is in it."""
        kind, shown = self.group.currentData(), self.answer.row
        failures = [each for each in self._analysed if kind in (None, each.kind)]
        self.failures.show_failures(failures)
        at = next((n for n, each in enumerate(failures) if shown and each.row.job == shown.job), 0)
        self.list.setCurrentIndex(self.failures.index(at))
        if not failures:
            self.answer.show_nothing()
        self._show_place()

    def _choose(self, index: QModelIndex) -> None:
        self.answer.keep_note()
        if failure := self.failures.at(index.row()):
            self.answer.expect(failure)
            self.session.open(failure.row)
        self._show_place()

    def _show_place(self) -> None:
        at, number = self.list.currentIndex().row(), self.failures.rowCount()
        self.previous.setEnabled(at > 0)
        self.next.setEnabled(at + 1 < number)

    def _keep_note(self, row: ResultRow, note: str) -> None:
        self._batch.set_note(row, note)
        self.failures.set_note(row, note)

    def _open(self) -> None:
        if failure := self.failures.at(self.list.currentIndex().row()):
            self.answer.keep_note()
            self.row_opened.emit(failure.row, failure.problem)

    def _show_state(self) -> None:
        session = self.session
        for each, reason, tip in (
            (self.opinions, session.no_opinions_reason, OPINIONS_TIP),
            (self.values, session.unavailable_reason, VALUES_TIP),
        ):
            each.setVisible(not session.reviewing)
            each.setEnabled(not reason)
            each.setToolTip(reason or tip)
        self.stop.setVisible(session.reviewing)
        self.bar.setVisible(session.reviewing)
        progress = session.progress
        self.bar.setRange(0, 100 if progress else 0)
        self.bar.setValue(int(100 * progress.share) if progress else 0)
        text = f"{progress.done:,} of {count(progress.total, 'answer')} reviewed" if progress else ""
        self.note.setText(text if session.reviewing else session.no_opinions_reason)
        self.note.setVisible(bool(self.note.text()))

    def _fill_table(self) -> None:
        table = self.table
        table.setModel(self.takeovers)
        table.setAccessibleName("Takeovers by reason and cue")
        table.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.verticalHeader().hide()
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        table.horizontalHeader().setHighlightSections(False)
        table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    def _lay_out(self) -> None:
        head = hbox(
            button("‹ Results", self.left.emit, Role.FLAT),
            self.title,
            (self.summary, 1),
            self.arm,
            self.opinions,
            self.values,
            self.stop,
        )
        self._stack.addWidget(holder(vbox(self.group, (self.list, 1), in_row(self.previous, self.next), margins=0)))
        self._stack.addWidget(holder(vbox((self.table, 1), self.worth, margins=0)))
        self._split.addWidget(holder(vbox(self.tabs, (self._stack, 1), margins=(0, 0, 8, 0))))
        self._split.addWidget(self.answer)
        self._split.setStretchFactor(1, 1)
        self._split.setSizes([430, 800])
        self._split.setChildrenCollapsible(False)
        self.setLayout(vbox(head, self.bar, self.note, (self._split, 1), margins=(22, 14, 16, 14), spacing=8))

    def _connect(self) -> None:
        self.session.analysed.connect(self._take)
        self.session.read.connect(self.answer.show_trace)
        self.session.changed.connect(self._show_state)
        self.session.failed.connect(self._batch.failed)
        self.arm.activated.connect(lambda _: self._analyse())
        self.group.activated.connect(lambda _: self._list())
        self.tabs.currentChanged.connect(self._turn)
        self.worth.saved.connect(self._batch.exported)
        self.worth.failed.connect(self._batch.failed)
        self.list.selectionModel().currentChanged.connect(lambda index, _: self._choose(index))
        self.list.activated.connect(lambda _: self._open())
        self.answer.noted.connect(self._keep_note)
        self.answer.full_wanted.connect(self._open)
        for key, press in (
            (NEXT, lambda: self.step(1)),
            (PREVIOUS, lambda: self.step(-1)),
            (OPINIONS_KEY, self.opinions.click),
            (VALUES_KEY, self.values.click),
        ):
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(press)


class FailureList(QAbstractListModel):
    """Failed answers, one in each line; ✎ marks a note."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._failures: list[Failure] = []

    def show_failures(self, failures: list[Failure]) -> None:
        self.beginResetModel()
        self._failures = failures
        self.endResetModel()

    def at(self, row: int) -> Failure | None:
        return self._failures[row] if 0 <= row < len(self._failures) else None

    def beside(self, row: ResultRow, step: int) -> tuple[ResultRow, Problem] | None:
        """Return the next failed answer of the list (`step` 1), or the one before (-1)."""
        place = next((place for place, each in enumerate(self._failures) if each.row.job == row.job), None)
        failure = None if place is None else self.at(place + step)
        return (failure.row, failure.problem) if failure else None

    def set_note(self, row: ResultRow, note: str) -> None:
        for place, failure in enumerate(self._failures):
            if failure.row.job == row.job:
                self._failures[place] = failure._replace(row=failure.row._replace(note=note))
                self.dataChanged.emit(self.index(place), self.index(place))

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self._failures)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        failure = self.at(index.row())
        if failure is None:
            return None
        noted, policy = "✎ " if failure.row.note else "", arm_title(failure.row.arm)
        text = f"{noted}{failure.problem.id} · {policy} · {failure.detail}"
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return text
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{failure.kind.value}: {text}"
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip("\n".join(filter(None, (failure.kind.value, text, failure.row.note))))
        return None


class TableModel(QAbstractTableModel):
    """Shows a table of core."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._table = Table("", (), ())

    def show_table(self, table: Table) -> None:
        self.beginResetModel()
        self._table = table
        self.endResetModel()

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self._table.rows)

    def columnCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self._table.columns)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            heading = self._table.headings[section]
            return heading[:1].upper() + heading[1:]
        return self._alignment(section) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if index.isValid() and role == Qt.ItemDataRole.DisplayRole:
            return self._table.rows[index.row()][index.column()]
        return self._alignment(index.column()) if role == Qt.ItemDataRole.TextAlignmentRole else None

    def _alignment(self, column: int) -> int | None:
        is_number = self._table.columns[column].is_number
        return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter) if is_number else None
