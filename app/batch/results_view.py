"""Shows a running or finished batch: what it comes to in a sentence, accuracy against share, and every result."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtGui import QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import QMenu, QPushButton, QSplitter, QVBoxLayout, QWidget

from baton_reasoning.app.batch.answer_panel import FULL, NEXT, PREVIOUS, TO_CHAT, AnswerPanel
from baton_reasoning.app.batch.examine import ExamineMenu, reviews_text
from baton_reasoning.app.batch.folded_parts import Fold, FoldedParts
from baton_reasoning.app.batch.opened_batch import OpenedBatch
from baton_reasoning.app.batch.result_grid import COLUMNS, ResultGrid
from baton_reasoning.app.batch.result_table import ResultColumn, ResultTable
from baton_reasoning.app.batch.row_filters import RowFilters
from baton_reasoning.app.batch.session import BatchActivity, BatchSession
from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.preferences import documents_folder
from baton_reasoning.app.session.reviews import Reviewer
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.chart_picture import ChartPicture
from baton_reasoning.app.toolkit.controls import (
    ElidedLabel,
    button,
    label,
    literal,
    progress_bar,
    scrolling,
    show_opened,
)
from baton_reasoning.app.toolkit.layout import STRETCH, hbox, holder, vbox
from baton_reasoning.app.toolkit.save_dialog import file_to_save
from baton_reasoning.app.toolkit.theme import Role, current_theme, set_role
from baton_reasoning.core.batch.reporting import charts, tables
from baton_reasoning.core.batch.reporting.exports import EXPORTS
from baton_reasoning.core.batch.reporting.failures import FailureAnalysis, analyse, takeover_table
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.running.arms import ARMS, arm_title
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.batch.running.progress import time_taken
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.files import file_name
from baton_reasoning.core.grading.verdict import GradingMethod
from baton_reasoning.core.store.batches import ResultRow
from baton_reasoning.core.text import counted
from baton_reasoning.core.words.numbers import rough_duration

NARROW = 1000
"""Pixels below which chart, table and answer stand below each other, at the usual text size."""
ROOMY, WITH_INSPECTOR = 1200, 680
"""Pixels from which the table makes room for an open inspector, and those of the answer with it."""
LOWEST, CHART = 300, 340
"""Pixels of the table's height and of the chart's width beside it, at least."""
PLOT, HIGHEST_PLOT, AROUND_PLOT = 260, 460, 395
"""Pixels of the chart's plot, at least and at most, and those of the page above and below it."""
_STOP = ("Stop", "Finishes the answers under way, and begins no other")
_STOP_NOW = ("Stop now", "Ends the answers under way at once; they are written anew next time")
_STOP_REVIEWS = ("Stop", "What is finished is kept; the next time goes on from there")
"""Text and tool tip of the button before it is pressed, once it is, and while answers are reviewed."""
GRADINGS = {
    GradingMethod.AUTO: "Automatic: text, letters, numbers, lists, then algebra",
    GradingMethod.EXACT: "The same text",
    GradingMethod.NUMERIC: "The same number",
    GradingMethod.CHOICE: "The same letter (multiple choice)",
    GradingMethod.MATH: "Algebra alone (math-verify)",
}
_EXPORTS = {
    ".csv": "Table (CSV)",
    ".jsonl": "Results (JSON lines)",
    ".html": "Report (HTML)",
    ".md": "Report (Markdown)",
    ".json": "Report (JSON)",
}


class ResultsView(QWidget):
    left = Signal()

    def __init__(self, session: BatchSession, actions: WindowActions) -> None:
        super().__init__()
        self.session, self._actions = session, actions
        self.reviewer = Reviewer(session.models, lambda: session.chosen_models, lambda: not session.is_busy, self)
        self.model = ResultTable(self)
        self.table = ResultGrid(self.model)
        self.answer = AnswerPanel(session, self.reviewer, actions)
        self.answer.hide()
        self.title, self.summary = ElidedLabel("", Role.HEADING), ElidedLabel("", Role.MUTED)
        self.run = button("Start", self._press_run, Role.PRIMARY)
        self.stop = button("", self._press_stop)
        self.export, self.examine, self.more = (QPushButton(text) for text in ("Export", "Examine", "More"))
        self.bar, self.status = progress_bar("Progress of the batch"), label("", Role.MUTED)
        self.sentence = label("", Role.TITLE, wrap=True, selectable=True)
        self.sentence.setAccessibleName("What the batch shows")
        self.error = ErrorRow(actions)
        self.share = ChartPicture("Accuracy against large share")
        heading = ElidedLabel(self.share.accessibleName(), Role.HEADING)
        card = holder(vbox(heading, self.share, margins=(12, 6, 12, 10), spacing=4), Role.CARD)
        self.folded = FoldedParts()
        self._beside_table = vbox(card, STRETCH, margins=(0, 0, 12, 0))
        self._chart = holder(self._beside_table)
        self.filters = RowFilters(self.model)
        self._results = holder(vbox(self.filters, (self.table, 1), margins=0, spacing=8))
        self._split = QSplitter()
        self._shown = ""
        """The id of the batch that is shown."""
        self._report: Report | None = None
        self._analysing = LatestTask(self, "count takeovers", actions.show_error, one_at_a_time=True)
        self._fill_menus()
        self._lay_out()
        self._connect()

    def show_batch(self) -> None:
        """Show the session's current batch."""
        viewed = self.session.viewed
        assert viewed
        batch = viewed.batch
        if batch.id != self._shown:
            self._shown, self._report = batch.id, None
            self.sentence.clear()
            self.summary.setToolTip("")
            self._chart.hide()
            self.folded.hide()
            self._analysing.cancel()
            self.folded.takeovers.show_tables(())
            self.close_answer()
            self.filters.reset()
        self.model.show(viewed.problems, batch.arms, viewed.rows.values())
        self.table.setColumnHidden(ResultColumn.SEED, len(BatchSettings.of(batch).seed_numbers) < 2)
        self.table.fit()
        self.title.setText(batch.name)
        self._show_state()
        if self.answer.row and (index := self.model.index_of(self.answer.row)).isValid():
            self.table.setCurrentIndex(index)

    def step(self, by: int) -> None:
        """Show the next answer of this policy that went wrong (1), or the one before (-1); say so if there is none."""
        current = self.table.currentIndex()
        if (index := self.model.next_failed(current, by)).isValid():
            self._open(index)
        else:
            where = f" {'below' if by > 0 else 'above'} this one" if current.isValid() else ""
            self._actions.say(f"No answer of “{self.model.arm_of(current)}”{where} went wrong.")

    def close_answer(self) -> bool:
        """Leave the answer that fills the page, else close the one beside the table; whether there was one."""
        was_open = not self.answer.isHidden()
        if was_open and self.answer.full.isChecked():
            self.answer.full.click()
            return True
        self.answer.clear()
        self.answer.hide()
        self._arrange()
        if was_open:
            self.table.setFocus()
        return was_open

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _has_chart(self) -> bool:
        return self._report is not None and len(self._report.arms) > 1

    def _take(self, opened: OpenedBatch, rows: list[ResultRow]) -> None:
        if opened is not self.session.viewed:
            return
        for row in rows:
            self.model.take(row)
            shown = self.answer.row
            if shown and shown.job == row.job and (shown.state, shown.verdict) != (row.state, row.verdict):
                self.answer.show_answer(row, opened.problems[row.position])
        self._show_progress()
        self._show_sentence()

    def _show_sentence(self) -> None:
        """Show what the batch comes to; nothing if that is no answer, and some have come since the report."""
        report, total = self._report, self.session.progress.total
        main = report.arm(report.main) if report else None
        if report and main and not main.answers and total.done - total.failed > sum(arm.answers for arm in report.arms):
            report = None
        self.sentence.setText(tables.sentence(report) if report else "")

    def _show_report(self, report: Report) -> None:
        self._report = report
        self._show_sentence()
        self.folded.show_report(report)
        self._arrange()
        self._show_state()
        self._count_takeovers()

    def _show_state(self) -> None:
        """Show how far it is, and “40 problems · ● small · ◆ large · done in 74 s”; more is in the tool tip."""
        self._show_progress()
        viewed = self.session.viewed
        assert viewed
        batch, total = viewed.batch, viewed.progress.total
        parts = [counted(batch.problems, "problem"), viewed.settings.models_in_words]
        if total.done >= total.jobs:
            seconds = time_taken(viewed.rows.values())
            parts.append(f"done in {rough_duration(seconds)}" if seconds else "done")
        elif total.done and not self.session.running:
            parts.append(f"{total.done:,} of {total.jobs:,}, stopped")
        self.summary.setText(" · ".join(filter(None, parts)))
        self.error.show_error(viewed.error)
        if self._report:
            self.summary.setToolTip(tables.heading(self._report))

    def _count_takeovers(self, opened: Fold | None = None) -> None:
        """Count the takeovers and their worth, if a person looks at them; it reads every wrong answer.

        `opened`: what has just been opened, which is then scrolled to.
        """
        session = self.session
        if session.batch and not session.running and self.folded.is_open(Fold.WORTH):
            store, batch_id = session.store, session.batch.id
            show = partial(self._show_takeovers, is_wanted=opened is Fold.WORTH)
            self._analysing.run(lambda: analyse(store, batch_id), show)

    def _show_takeovers(self, found: FailureAnalysis, *, is_wanted: bool) -> None:
        self.folded.takeovers.show_tables([takeover_table(found.takeovers)])
        if is_wanted:
            show_opened(self._area, self.folded.takeovers)

    def _show_progress(self) -> None:
        """Show how far the batch is, and what can be pressed now."""
        session, reviewer = self.session, self.reviewer
        total, activity = session.progress.total, session.activity
        is_over, running = total.done >= total.jobs, session.running
        done, jobs, status = total.done, total.jobs, f"{total.done:,} / {total.jobs:,}"
        stop, run = _STOP, ""  # while models are loaded, for instance, nothing can be paused
        match activity:
            case BatchActivity.IDLE:
                run = "Resume" if total.done else "Start"
                if is_over:
                    run = f"Retry {counted(total.failed, 'error')}" if total.failed else ""
                if run and session.loads_others:
                    run = f"Load these and {run[0].lower()}{run[1:]}"
            case BatchActivity.WAITING if session.executed:
                status += f" · waits for “{session.executed.batch.name}”"
            case BatchActivity.LOADING if session.execution:
                status += f" · {session.execution.models.status}"
            case BatchActivity.REGRADING if session.regrading:
                status = f"graded again: {len(session.regrading.found):,} / {total.done:,}"
            case BatchActivity.PAUSED:
                run = "Resume"
                status += " · paused"
            case BatchActivity.FINISHING:
                stop = _STOP_NOW
                status += f" · finishing {counted(session.under_way, 'answer')}"
            case BatchActivity.RUNNING:
                run = "Pause"
                status += f" · {session.progress.status}"
        if reviewer.kind:
            stop, status, jobs = _STOP_REVIEWS, reviews_text(reviewer), 100
            done = int(100 * reviewer.progress.share) if reviewer.progress else 0
        self.bar.setMaximum(max(1, jobs))
        self.bar.setValue(done)
        self.status.setText(status)
        self._progress.setVisible(running or bool(reviewer.kind) or not is_over)
        self.run.setText(run)
        self.run.setVisible(bool(run))
        self.stop.setText(stop[0])
        self.stop.setToolTip(stop[1])
        self.stop.setVisible(running or bool(reviewer.kind))
        self.regrade.setEnabled(total.done > 0 and not running)
        reason = reviewer.busy_reason
        self.examine.setEnabled(total.done > 0 and not reason)
        self.examine.setToolTip(reason)
        self.filters.name()

    def _press_run(self) -> None:
        if self.session.running:
            self.session.pause()
        else:
            self.session.start()

    def _press_stop(self) -> None:
        (self.reviewer if self.reviewer.kind else self.session).stop()

    def _export(self, ending: str) -> None:
        assert self.session.batch
        first = documents_folder() / f"{file_name(self.session.batch.name, 'batch')}{ending}"
        if file := file_to_save(self, "Export", first, {ending: _EXPORTS.get(ending, ending)}):
            self.session.export(file)

    def _open(self, index: QModelIndex) -> None:
        """Show the answer of a cell beside the table; in the first columns, of the main policy."""
        index = self.model.arm_cell(index)
        if self.model.result_at(index):
            if self.answer.isHidden():
                self.answer.show()
                self._split.setSizes([0, 760, 480])
                self._arrange()
            self.table.setCurrentIndex(index)
            self._follow(index)  # the cell may have been the current one before
            self._fit()
            self.table.scrollTo(index)

    def _follow(self, index: QModelIndex) -> None:
        """Show the answer of another cell while one is open."""
        row, shown = self.model.result_at(index), self.answer.row
        if row and not self.answer.isHidden() and (shown is None or shown.job != row.job):
            self.answer.show_answer(row, self.model.problem_at(index.row()))

    def _fill_menus(self) -> None:
        menu = QMenu(self.export)
        for ending in EXPORTS:
            menu.addAction(_EXPORTS.get(ending, ending)).triggered.connect(partial(self._export, ending))
        self.export.setMenu(menu)
        menu = QMenu(self.more)
        arms = menu.addMenu("Compare with…")
        for name, recipe in ARMS.items():
            text = "\t".join(filter(None, (arm_title(name), recipe.summary)))
            arms.addAction(literal(text)).triggered.connect(partial(self.session.add_arm, name))
        menu.addMenu(self.table.columns_menu)
        menu.addSeparator()
        self.regrade = menu.addMenu("Grade again")
        for how, words in GRADINGS.items():
            self.regrade.addAction(words).triggered.connect(partial(self.session.regrade, how))
        self.more.setMenu(menu)
        self.examine.setMenu(ExamineMenu(self.session, self.reviewer, self._actions, self.examine))

    def _lay_out(self) -> None:
        for each in (self.export, self.examine, self.more):
            set_role(each, Role.FLAT)
        back = button("‹ Batches", self.left.emit, Role.FLAT)
        presses = (self.run, self.stop, self.export, self.examine, self.more)
        head = hbox(back, self.title, (self.summary, 1), *presses, spacing=8)
        self._progress = holder(hbox((self.bar, 1), 8, self.status, margins=0))
        for part in (self._chart, self._results, self.answer):
            self._split.addWidget(part)
        self._split.setChildrenCollapsible(False)
        self._split.setStretchFactor(1, 1)
        content = vbox(
            head,
            self._progress,
            self.error,
            self.sentence,
            (self._split, 1),
            self.folded,
            margins=(22, 14, 16, 14),
            spacing=12,
        )
        self._area = scrolling(holder(content))
        self.setLayout(vbox(self._area, margins=0))

    def _arrange(self) -> None:
        """Show the chart while no answer is open, and only the answer while it is to fill the page.

        The heads of the folded parts stand below the chart where it is beside the table.
        """
        is_full = not self.answer.isHidden() and self.answer.full.isChecked()
        has_chart = self._has_chart and self.answer.isHidden()
        is_beside = has_chart and self._split.orientation() is Qt.Orientation.Horizontal
        self._chart.setVisible(has_chart)
        self._results.setVisible(not is_full)
        self.sentence.setVisible(not is_full)
        self.folded.setVisible(self._report is not None and not is_full)
        place = self._beside_table if is_beside else self.folded.layout()
        if isinstance(place, QVBoxLayout) and place.indexOf(self.folded.row) < 0:
            place.insertWidget(1 if is_beside else 0, self.folded.row)
        if self._report and has_chart:
            room = round(self.height() / current_theme().text_size) - AROUND_PLOT
            height = min(max(PLOT, room), HIGHEST_PLOT) if is_beside else PLOT
            words = charts.shares_in_words(self._report)
            self.share.show_drawing(partial(charts.share_chart, self._report, height=height), words)

    def _fit(self) -> None:
        """Put chart, table and answer side by side, in a narrow window below each other."""
        size, narrow = current_theme().text_size, self.width() < NARROW * current_theme().text_size
        self._split.setOrientation(Qt.Orientation.Vertical if narrow else Qt.Orientation.Horizontal)
        self._chart.setMinimumWidth(0 if narrow else round(CHART * size))
        self.table.setMinimumHeight(round(LOWEST * size))
        self.answer.setMinimumHeight(round(LOWEST * size) if narrow else 0)
        is_widened = self.width() >= ROOMY * size and self.answer.inspect.isChecked()
        self.answer.setMinimumWidth(round(WITH_INSPECTOR * size) if is_widened else 0)
        self._arrange()

    def _connect(self) -> None:
        session = self.session
        session.rows_changed.connect(self._take)
        session.changed.connect(self._show_state)
        session.reported.connect(self._show_report)
        self.reviewer.changed.connect(self._show_progress)
        self.reviewer.ended.connect(self._count_takeovers)
        self.reviewer.failed.connect(self._actions.show_error)
        self.reviewer.noticed.connect(self._actions.say)
        self.folded.opened.connect(self._count_takeovers)
        self.folded.opened.connect(lambda fold: show_opened(self._area, self.folded.bodies[fold]))
        self.table.activated.connect(self._open)
        self.table.selectionModel().currentChanged.connect(lambda index, _: self._follow(index))
        self.answer.stepped.connect(self.step)
        self.answer.closed.connect(self.close_answer)
        self.answer.inspect.toggled.connect(self._fit)
        self.answer.full.toggled.connect(self._arrange)
        current_theme().changed.connect(self._fit)
        keys = {
            NEXT: partial(self.step, 1),
            PREVIOUS: partial(self.step, -1),
            COLUMNS: self.table.open_columns_menu,
            FULL: self.answer.full.click,
            TO_CHAT: self.answer.to_chat.click,
        }
        for key, act in keys.items():
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)


class ErrorRow(QWidget):
    """What ended the batch, and what can be done about it. Hidden unless it was an error."""

    def __init__(self, actions: WindowActions) -> None:
        super().__init__()
        self._actions = actions
        self._shown: BatonError | None = None
        self.message = label("", Role.DANGER, wrap=True, selectable=True)
        self.message.setAccessibleName("What ended the batch")
        self.buttons: list[QPushButton] = []
        self._row = hbox((self.message, 1), margins=0, spacing=6)
        self.setLayout(self._row)
        self.hide()

    def show_error(self, error: BatonError | None) -> None:
        if error is self._shown:
            return
        self._shown = error
        self.message.setText(f"✗ {error}" if error else "")
        for old in self.buttons:
            old.hide()
            old.deleteLater()
        self.buttons = [button(text, act) for text, act in self._actions.remedies_of(error)] if error else []
        for each in self.buttons:
            self._row.addWidget(each)
        self.setVisible(error is not None)
