"""Shows a running or finished batch: progress, figures, live table, charts."""

from __future__ import annotations

import re
from pathlib import Path

from PySide6.QtCore import QModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QMenu,
    QPushButton,
    QSplitter,
    QTableView,
    QWidget,
)

from baton_reasoning.app.batch.evidence import EvidencePanel, Figures
from baton_reasoning.app.batch.execution import BatchActivity
from baton_reasoning.app.batch.policy_filter import offer_policies
from baton_reasoning.app.batch.regrade_dialog import RegradeDialog
from baton_reasoning.app.batch.result_table import ResultTable, RibbonCell
from baton_reasoning.app.batch.row_order import NOWHERE, ResultColumn, RowFilter
from baton_reasoning.app.batch.session import BatchSession
from baton_reasoning.app.session.preferences import documents_folder
from baton_reasoning.app.toolkit.controls import (
    ElidedLabel,
    SwitchButton,
    button,
    combo_box,
    label,
    progress_bar,
)
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, vbox
from baton_reasoning.app.toolkit.theme import Role, current_theme
from baton_reasoning.core.batch.reporting.exports import EXPORTS
from baton_reasoning.core.batch.reporting.report import ArmReport, Report
from baton_reasoning.core.batch.reporting.tables import sentence
from baton_reasoning.core.batch.running.arms import arm_title
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.batch.running.progress import (
    BatchEvent,
    Calibrated,
    JobEnded,
    JobGrew,
    JobRetried,
    JobStarted,
    JobStopped,
    time_left,
)
from baton_reasoning.core.grading.verdict import How, Regex
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.text import counted

REPORT_EVERY_MS = 3000
NARROW = 1060
"""Pixels below which table and charts have no room beside each other, at the usual text size."""
WIDGET_SIZE_MAX = 2**24 - 1
"""Qt's QWIDGETSIZE_MAX."""
_WIDTHS = {
    ResultColumn.NUMBER: 48,
    ResultColumn.PROBLEM: 260,
    ResultColumn.ARM: 110,
    ResultColumn.RIBBON: 130,
    ResultColumn.SHARE: 58,
    ResultColumn.ANSWER: 90,
    ResultColumn.EXPECTED: 90,
    ResultColumn.MARK: 78,
    ResultColumn.TOKENS: 66,
    ResultColumn.TIME: 76,
}
"""Pixels of each column at the usual text size."""
_STOP = ("Stop", "Finishes the answers under way, and begins no other")
_STOP_NOW = ("Stop now", "Ends the answers under way at once; they are written anew next time")
"""Text and tool tip of the button before it is pressed, and once it is."""


class RunView(QWidget):
    row_opened = Signal(object, object)
    """A ResultRow and its Problem, to be shown in full."""
    left = Signal()
    arm_wanted = Signal(str)
    larges_wanted = Signal()
    failures_wanted = Signal()
    """The analysis of failed answers is wanted."""

    def __init__(self, session: BatchSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.model = ResultTable(self)
        self.title, self.summary = label("", Role.HEADING), ElidedLabel("", Role.MUTED)
        self.bar, self.status = progress_bar("Progress of the batch"), label("", Role.MUTED)
        self.run = button("Start", self._press_run, Role.PRIMARY)
        self.stop = button(_STOP[0], session.stop, tip=_STOP[1])
        self.retry = button("Retry errors", session.retry_errors)
        self.export = QPushButton("Export")
        self.arm, self.shown = combo_box(), combo_box()
        self.regrade = button("Grade again…", self._ask_how, tip="Other verdicts on the answers that are there")
        self.failures = button("Failures", self.failures_wanted.emit, tip="What went wrong, with notes and takeovers")
        self.sentence = label("", Role.HEADING, wrap=True, selectable=True)
        self.sentence.setAccessibleName("What the batch shows")
        self.figures, self.evidence = Figures(), EvidencePanel()
        self.charts = SwitchButton("Charts")
        self.charts.setToolTip("Charts and comparison instead of the table")
        self.charts.clicked.connect(self._show_parts)
        self.table = QTableView()
        self._text_size = 0.0
        """The one that the columns are made for."""
        self._split, self._left = QSplitter(), QWidget()
        self._shown = ""
        """The id of the batch that is shown."""
        self._report: Report | None = None
        self._graded = 0
        self._calibrated = ""
        """The chance of takeover of a random arm, once it is known."""
        self._report_timer = QTimer(self)
        self._report_timer.setInterval(REPORT_EVERY_MS)
        self._report_timer.timeout.connect(session.report)
        self._fill_controls()
        self._lay_out()
        self._connect()

    def show_batch(self) -> None:
        """Show the session's current batch."""
        session, batch = self.session, self.session.batch
        assert batch
        if batch.id != self._shown:
            self._shown, self._report, self._calibrated = batch.id, None, ""
            self.evidence.clear()
            self.sentence.clear()
        self.model.show(session.problems, session.rows)
        self.title.setText(batch.name)
        self.summary.setText(counted(batch.problems, "problem"))
        offer_policies(self.arm, batch.arms)
        self._filter()
        self.table.setColumnHidden(ResultColumn.ARM, len(batch.arms) < 2)
        self._show_times(BatchSettings.of(batch).is_demo)
        self._show_state()

    def _take(self, events: list[BatchEvent]) -> None:
        for event in events:
            match event:
                case JobStarted(job):
                    self.model.set_state(job.id, JobState.CLAIMED)
                case JobStopped(job):
                    self.model.set_state(job, JobState.WAITING)
                case JobGrew():
                    self.model.grow(event)
                case JobRetried(row) | JobEnded(row):
                    self.model.take(row)
                case Calibrated(arm, chance, share):
                    self._calibrated = f"{arm_title(arm)}: chance {chance:.3f} gives a large share of {share:.1%}"
        self._show_progress()

    def _show_report(self, report: Report) -> None:
        self._report = report
        # The report of a large batch comes less often, to take a tenth of the time at most.
        self._report_timer.setInterval(max(REPORT_EVERY_MS, int(10_000 * self.session.report_seconds)))
        models = " ⇄ ".join(model.name for model in (report.small, report.large) if model)
        self.summary.setText(" · ".join(filter(None, (counted(report.problems, "problem"), models, self._calibrated))))
        self.sentence.setText(sentence(report))
        self._show_times(report.is_demo)
        self._show_arm()

    def _show_times(self, is_demo: bool) -> None:
        """Show seconds, unless both models are the demo's."""
        self.table.setColumnHidden(ResultColumn.TIME, is_demo)
        self.figures.show_times(not is_demo)

    def _show_arm(self) -> None:
        arm = self._chosen_arm()
        self.figures.show_arm(arm)
        if self._report:
            self.evidence.show_report(self._report, arm)
        self._show_parts()  # other captions may need other lines

    def _chosen_arm(self) -> ArmReport | None:
        """Return the selected arm; for “All policies” the one that the report is about."""
        if not self._report:
            return None
        report = self._report
        return report.arm(self.arm.currentData()) or report.arm(report.main)

    def _filter(self) -> None:
        self.model.choose(self.shown.currentData(), self.arm.currentData())
        self._show_arm()

    def _show_state(self) -> None:
        session, total, activity = self.session, self.session.progress.total, self.session.activity
        over = total.done >= total.jobs
        if over:
            text = "Done"
        elif session.running and activity is not BatchActivity.PAUSED:
            text = "Pause"
        else:
            text = "Resume" if session.running or total.done else "Start"
        self.run.setText(text)
        fixed = (BatchActivity.LOADING, BatchActivity.FINISHING, BatchActivity.REGRADING)
        self.run.setEnabled(not over and activity not in fixed)
        text, tip = _STOP_NOW if activity is BatchActivity.FINISHING else _STOP
        self.stop.setText(text)
        self.stop.setToolTip(tip)
        self.stop.setEnabled(session.running)
        self.regrade.setEnabled(total.done > 0 and not session.running)
        self.failures.setEnabled(total.done > 0)
        if session.running and not self._report_timer.isActive():
            self._report_timer.start()
        elif not session.running:
            self._report_timer.stop()
        self._show_progress()

    def _show_progress(self) -> None:
        session, total = self.session, self.session.progress.total
        self.bar.setMaximum(max(1, total.jobs))
        self.bar.setValue(total.done)
        status = f"{total.done:,} / {total.jobs:,}"
        match session.activity:
            case BatchActivity.LOADING:
                status += f" · {session.loading_status}"
            case BatchActivity.REGRADING:
                status = f"graded again: {self._graded:,} / {total.done:,}"
            case BatchActivity.PAUSED:
                status += " · paused"
            case BatchActivity.FINISHING:
                status += f" · finishing {counted(session.under_way, 'answer')}"
            case BatchActivity.RUNNING:
                status += f" · {session.parallel} at once · {time_left(session.progress.seconds_left())}"
        self.status.setText(status)
        self.retry.setVisible(total.failed > 0)
        self.retry.setEnabled(not session.running)
        self.retry.setText(f"Retry {counted(total.failed, 'error')}")

    def _press_run(self) -> None:
        if self.session.activity is BatchActivity.PAUSED:
            self.session.resume()
        elif self.session.running:
            self.session.pause()
        else:
            self.session.start()

    def _export(self, ending: str) -> None:
        assert self.session.batch
        first = documents_folder() / f"{_file_name(self.session.batch.name)}{ending}"
        where, _ = QFileDialog.getSaveFileName(self, "Export", str(first), f"*{ending}")
        if where:
            self.session.export(Path(where if where.lower().endswith(ending) else f"{where}{ending}"))

    def _ask_how(self) -> None:
        assert self.session.batch
        dialog = RegradeDialog(BatchSettings.of(self.session.batch).how, self)
        dialog.chosen.connect(self._grade_again)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _grade_again(self, how: How | Regex) -> None:
        self._graded = 0
        self.session.regrade(how)

    def _take_graded(self, rows: list[ResultRow]) -> None:
        self._graded += len(rows)
        for row in rows:
            self.model.take(row)
        self._show_progress()

    def _open_row(self, index: QModelIndex) -> None:
        self.row_opened.emit(self.model.row_at(index.row()), self.model.problem_at(index.row()))

    def point_to(self, row: ResultRow) -> None:
        """Make it the current row of the table."""
        if (place := self.model.place_of(row)) != NOWHERE:
            self.table.setCurrentIndex(self.model.index(place, ResultColumn.NUMBER))

    def _fill_controls(self) -> None:
        self.arm.setAccessibleName("Policy")
        self.shown.setAccessibleName("Which rows")
        for shown in RowFilter:
            self.shown.addItem(shown.value, shown)
        menu = QMenu(self.export)
        titles = {".csv": "Table (CSV)", ".jsonl": "Results (JSON lines)", ".html": "Report (HTML)"}
        titles |= {".md": "Report (Markdown)", ".json": "Report (JSON)"}
        for ending in EXPORTS:
            menu.addAction(titles.get(ending, ending)).triggered.connect(lambda _, ending=ending: self._export(ending))
        self.export.setMenu(menu)
        table = self.table
        table.setModel(self.model)
        table.setAccessibleName("Results")
        table.setItemDelegateForColumn(ResultColumn.RIBBON, RibbonCell(table))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.verticalHeader().hide()
        header = table.horizontalHeader()
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSortIndicatorClearable(True)
        header.setHighlightSections(False)
        table.setSortingEnabled(True)
        header.setSectionResizeMode(ResultColumn.PROBLEM, QHeaderView.ResizeMode.Stretch)
        self._fit_columns()

    def _fit_columns(self) -> None:
        """Make columns and rows as large as the text; between two sizes of it, a person's own widths stay."""
        text_size = current_theme().text_size
        if text_size == self._text_size:
            return
        self._text_size = text_size
        self.table.horizontalHeader().setMinimumSectionSize(round(min(_WIDTHS.values()) * text_size))
        for column, width in _WIDTHS.items():
            self.table.setColumnWidth(column, round(width * text_size) if column is not ResultColumn.RIBBON else width)
        self.table.verticalHeader().setDefaultSectionSize(self.table.fontMetrics().height() + 12)

    def _lay_out(self) -> None:
        head = hbox(
            button("‹ Batches", self.left.emit, Role.FLAT),
            self.title,
            self.summary,
            STRETCH,
            self.run,
            self.stop,
            self.retry,
            self.export,
        )
        left = self._left
        left.setLayout(
            vbox(
                head,
                hbox((self.bar, 1), 8, self.status),
                self.sentence,
                self.figures,
                hbox(self.arm, self.shown, STRETCH, self.failures, self.regrade, self.charts),
                (self.table, 1),
                margins=(0, 0, 10, 0),
                spacing=10,
            )
        )
        split = self._split
        split.addWidget(left)
        split.addWidget(self.evidence)
        split.setStretchFactor(0, 1)
        split.setSizes([900, 480])
        split.setChildrenCollapsible(False)
        self.setLayout(vbox(split, margins=(22, 14, 16, 14)))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_parts()

    def _show_parts(self) -> None:
        """Show table and charts side by side; in a narrow window one of them."""
        narrow = self.width() < NARROW * current_theme().text_size
        charts = self.charts.isChecked()
        self._split.setOrientation(Qt.Orientation.Vertical if narrow else Qt.Orientation.Horizontal)
        self.charts.setVisible(narrow)
        self.evidence.setVisible(charts or not narrow)
        self.table.setVisible(not (charts and narrow))
        lowest = self._lowest() if charts and narrow else 0
        self._left.setMinimumHeight(lowest)
        self._left.setMaximumHeight(lowest or WIDGET_SIZE_MAX)

    def _lowest(self) -> int:
        """Return the height in pixels of figures and controls below each other, with captions wrapped in this width."""
        inside, outside = self._left.layout(), self.layout()
        assert inside
        assert outside
        margins = outside.contentsMargins()
        return inside.totalMinimumHeightForWidth(self.width() - margins.left() - margins.right())

    def _connect(self) -> None:
        current_theme().changed.connect(self._fit_columns)
        current_theme().changed.connect(self._show_parts)
        session = self.session
        session.events.connect(self._take)
        session.changed.connect(self._show_state)
        session.reported.connect(self._show_report)
        session.graded.connect(self._take_graded)
        self.arm.currentIndexChanged.connect(self._filter)
        self.shown.currentIndexChanged.connect(self._filter)
        self.table.activated.connect(self._open_row)
        self.evidence.comparison.arm_wanted.connect(self.arm_wanted)
        self.evidence.comparison.larges_wanted.connect(self.larges_wanted)
        self.evidence.chart_saved.connect(session.exported)
        self.evidence.failed.connect(session.failed)


def _file_name(batch: str) -> str:
    """Turn the name of a batch into that of a file."""
    return re.sub(r"[^\w.=-]+", "-", batch).strip("-.") or "batch"
