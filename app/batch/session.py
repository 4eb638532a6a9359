"""The batches of the window: the one in view, and the one that runs, which may be another.

Reads problem files; creates, opens, runs, regrades, reports and exports batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.batch.execution import BatchActivity, BatchExecution
from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.loaded_models import LoadedModels
from baton_reasoning.app.toolkit.background import BackgroundTask, LatestTask, StreamTask
from baton_reasoning.core.batch.reading.columns import GUESS, ColumnNames
from baton_reasoning.core.batch.reading.problems import ProblemSet, read_data_set, read_problems
from baton_reasoning.core.batch.reporting.exports import export
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.arms import Arm, by_models
from baton_reasoning.core.batch.running.batch import (
    BatchSettings,
    Provenance,
    add_arms,
    create_batch,
    without_duplicates,
)
from baton_reasoning.core.batch.running.progress import BatchEvent, BatchProgress, JobEnded, JobRetried, time_taken
from baton_reasoning.core.batch.running.regrading import RegradeCounts, Regraded, regrade
from baton_reasoning.core.errors import BatonError, Busy, SettingsError, StoreError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How, Regex
from baton_reasoning.core.models.options import HubAccess
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.store.batches import Batch, ResultRow
from baton_reasoning.core.store.store import Store

Result = TypeVar("Result")


class OpenedBatch(NamedTuple):
    """A batch with its problems, rows and progress."""

    batch: Batch
    problems: list[Problem]
    rows: list[ResultRow]
    progress: BatchProgress


class RunningBatch(NamedTuple):
    batch: Batch
    progress: BatchProgress


class BatchSession(QObject):
    read = Signal(object)
    """A ProblemSet, for the preview; None if the problems could not be read."""
    opened = Signal()
    """Another batch is the one in view; `batch` and `problems` are new."""
    events = Signal(list)
    """BatchEvents of the runner, if the batch in view is the one that runs."""
    progressed = Signal(object, object)
    """The running Batch, and its BatchProgress."""
    changed = Signal()
    """The batch that runs began, paused, went on or ended, or the one in view is graded again."""
    reported = Signal(object)
    """A Report on the batch in view."""
    graded = Signal(list)
    """ResultRows with the answers and verdicts of today's grader."""

    def __init__(
        self,
        models: LoadedModels,
        demo: LoadedModels,
        choice: Callable[[], ModelChoice],
        actions: WindowActions,
        parent: QObject | None = None,
    ) -> None:
        """Make a session that runs its batches as `BatchExecution` does with these."""
        super().__init__(parent)
        self.models = models
        self._choice, self._actions = choice, actions
        self.store: Store | None = None
        self.batch: Batch | None = None
        """The batch in view."""
        self.running_batch: RunningBatch | None = None
        """The batch that was started last."""
        self.problems: Sequence[Problem] = ()
        self.rows: Sequence[ResultRow] = ()
        """The rows as they were when the batch was opened; changes since then came with `events`."""
        self.progress = BatchProgress((), 1)
        self.report_seconds = self.seconds_taken = 0.0
        """How long the last report took, and writing the answers that it is about."""
        self.execution = BatchExecution(models, demo, choice, actions, self._take_events, self._executes_on, self)
        self._reporting = LatestTask(self, "report", actions.show_error, one_at_a_time=True)
        self._reading = LatestTask(self, "read problems", self._not_read)
        self._regrading: StreamTask[Regraded] | None = None
        self._regraded = ""
        """The id of the batch that is graded again."""
        self._opening: dict[str, list[BatchEvent]] = {}
        """The batches that are being read from the store, by id, and what happened in the running one since."""
        self._wanted = ""
        """The id of the batch in view, or of the one that is being opened."""
        self._is_creating = False

    def use_store(self, store: Store) -> None:
        self.store = store
        self.changed.emit()

    @property
    def activity(self) -> BatchActivity:
        """What is being done with the batch in view."""
        if self._regrading and self.batch and self.batch.id == self._regraded:
            return BatchActivity.REGRADING
        return self.execution.activity if self._is_in_view else BatchActivity.IDLE

    @property
    def running(self) -> bool:
        """Whether the batch in view must be left as it is: it runs, is about to, or is graded again."""
        return self.activity is not BatchActivity.IDLE

    @property
    def executes(self) -> bool:
        """Whether any batch runs or is about to."""
        return self.execution.activity is not BatchActivity.IDLE

    @property
    def busy_reason(self) -> str:
        """Why no batch can begin now, in a sentence; "" if one can."""
        if self.executes and self.running_batch:
            return f"“{self.running_batch.batch.name}” is running."
        return ""

    @property
    def _is_in_view(self) -> bool:
        """Whether the batch in view is the one that was started last."""
        running = self.running_batch
        return self.batch is not None and running is not None and self.batch.id == running.batch.id

    # Problems

    def read_problems(self, source: Path | str, access: Callable[[], HubAccess], columns: ColumnNames = GUESS) -> None:
        """Read a file, a folder, or a data set of the Hub, named as in core/batch/reading/hub_data.py.

        `access` is called in the thread.
        """

        def read() -> ProblemSet:
            if isinstance(source, Path):
                return read_problems(source, named=columns)
            from baton_reasoning.core.models.hub import Hub  # with it comes the network

            return read_data_set(source, Hub(access()), named=columns)

        self._reading.run(read, self.read.emit)

    # Batches of the store. What starts a batch raises Busy while one is running.

    def create(self, found: ProblemSet, arms: Sequence[Arm], seeds: int, parallel: int) -> None:
        """Create a batch, view and start it. Does nothing while one is being created."""
        self._refuse_while_running()
        if self._is_creating:
            return
        store, models = self._stored(), self._choice()
        provenance = Provenance.of_this_machine((), str(models.small), str(models.large), found.origin)

        def create() -> OpenedBatch:
            batch = create_batch(store, found.name, found.problems, arms, range(seeds), parallel, provenance=provenance)
            return _opened(store, batch)

        def created(_: object) -> None:
            self._is_creating = False

        self._is_creating = True
        for note in without_duplicates(arms).notes:
            self._actions.say(note)
        self._do("create batch", create, self._show_and_start).done(created)

    def open(self, batch_id: str) -> None:
        """View a batch, once it is read, which may take seconds. What runs goes on.

        Does nothing while this batch is being read.
        """
        store, self._wanted = self._stored(), batch_id
        if batch_id not in self._opening:
            self._opening[batch_id] = []
            reading = self._do("open batch", lambda: _opened(store, batch_id), self._show_wanted)
            reading.done(lambda _: self._opening.pop(batch_id))

    def delete(self, batch: Batch, deleted: Callable[[], object]) -> None:
        """Delete a batch; the store can restore it. Raises Busy if it is running."""
        if self.running_batch and batch.id == self.running_batch.batch.id:
            self._refuse_while_running()
        batches = self._stored().batches
        self._do("delete batch", lambda: batches.delete(batch.id), lambda _: deleted())

    def restore(self, batch: Batch, restored: Callable[[], object]) -> None:
        """Undo a deletion."""
        batches = self._stored().batches
        self._do("restore batch", lambda: batches.restore(batch.id), lambda _: restored())

    def add_arms(self, arms: Sequence[Arm]) -> None:
        """Run the same problems under other settings, too."""
        assert self.batch is not None
        self._refuse_while_running()
        store, batch_id = self._stored(), self.batch.id

        def add() -> tuple[OpenedBatch, tuple[str, ...]]:
            notes = add_arms(store, batch_id, arms)
            return _opened(store, batch_id), notes

        def added(found: tuple[OpenedBatch, tuple[str, ...]]) -> None:
            opened, notes = found
            self._show_and_start(opened)
            for note in notes:
                self._actions.say(note)

        self._do("add arms", add, added)

    def set_note(self, row: ResultRow, note: str) -> None:
        """Keep a person's note on an answer; "" removes it."""
        self._stored().batches.set_note(row.job, note)

    # Running

    def start(self, retry: bool = False) -> None:
        """Run the waiting jobs of the batch in view, one pair of models after another.

        `retry`: also the failed ones. Each error stays until the models that ran it are loaded.
        """
        if self.running or self.batch is None:
            return
        try:
            self._refuse_while_running()
            groups = by_models([Arm.of(stored) for stored in self.batch.arms])
        except (Busy, SettingsError) as error:
            self._actions.show_error(error)
            return
        self.running_batch = RunningBatch(self.batch, self.progress)
        to_run = [names for names, arms in groups.items() if any(self.progress.to_run(arm.name, retry) for arm in arms)]
        self.execution.start(self._stored(), self.batch.id, to_run, self.progress.parallel, retry)

    def stop(self) -> None:
        """Complete the answers that are under way, and begin no other; if asked again, stop them at their next token.

        Grading is stopped at once, and then changes nothing.
        """
        if self.activity is BatchActivity.REGRADING and self._regrading:
            self._regrading.stop()
        elif self._is_in_view:
            self.execution.stop()

    def regrade(self, how: How | Regex) -> None:
        """Grade the existing answers of the batch in view again, unless it is running."""
        if self.batch is None or self.running or self._regrading:
            return
        store, batch_id, grader, counts = self._stored(), self.batch.id, Grader(), RegradeCounts()
        is_saved = False

        def grade() -> Iterator[Regraded]:
            nonlocal is_saved
            with grader:
                yield from regrade(store, batch_id, grader, how)
            is_saved = True

        def take(graded: list[Regraded]) -> None:
            for each in graded:
                counts.take(each)
            if self.batch and self.batch.id == batch_id:
                self.graded.emit([each.row for each in graded])

        def done(error: BatonError | None) -> None:
            self._regrading = None
            self.changed.emit()
            if error:
                self._actions.show_error(error)
            else:
                stopped = "The grading was stopped, and has changed nothing."
                self._actions.say(counts.summary if is_saved else stopped)
            if self.batch and self.batch.id == batch_id:
                self.open(batch_id)

        self._regraded = batch_id
        self._regrading = StreamTask(self, "regrade", grade).items(take).done(done).start()
        self.changed.emit()

    # Results

    def report(self) -> None:
        """Compute the report in a thread. While one is computed, the next request waits."""
        if self.batch is None:
            return
        store, batch_id = self._stored(), self.batch.id

        def compute() -> tuple[Report, float, float]:
            began = time.monotonic()
            results = Results.read(store, batch_id)
            taken = time_taken(results.rows)
            return results.report, taken, time.monotonic() - began

        def deliver(found: tuple[Report, float, float]) -> None:
            report, taken, self.report_seconds = found
            if self.batch and self.batch.id == batch_id:  # another one may have been opened meanwhile
                self.seconds_taken = taken
                self.reported.emit(report)

        self._reporting.run(compute, deliver)

    def export(self, path: Path) -> None:
        """Write the results into a file, in the format of its suffix."""
        assert self.batch is not None
        store, batch_id = self._stored(), self.batch.id
        self._do("export", lambda: export(store, batch_id, path), lambda _: self._actions.show_saved(path))

    # -----------------------------------------------------------------------------------------------------------------

    def _not_read(self, error: BatonError) -> None:
        self._actions.show_error(error)
        self.read.emit(None)

    def _refuse_while_running(self) -> None:
        if self.busy_reason:
            raise Busy(self.busy_reason, "Stop it first, or wait until it is done.")

    def _show_wanted(self, opened: OpenedBatch) -> None:
        """Show a batch that was read, unless another has been opened since: reading a long one takes seconds."""
        if opened.batch.id == self._wanted:
            self._show(opened)

    def _show(self, opened: OpenedBatch) -> None:
        self._wanted = opened.batch.id
        self.batch, self.problems, self.rows, self.progress = opened
        missed = self._opening.get(opened.batch.id, [])
        if self._is_in_view and self.running_batch and (self.executes or missed):
            self.progress = self.running_batch.progress  # it is counted as events come
        self.opened.emit()
        if self._is_in_view and missed:
            self.events.emit(missed)
        self.report()

    def _show_and_start(self, opened: OpenedBatch) -> None:
        self._show(opened)
        self.start()

    def _take_events(self, events: list[BatchEvent]) -> None:
        running = self.running_batch
        assert running
        for event in events:
            match event:
                case JobRetried(row):
                    running.progress.retried(row)
                case JobEnded(row):
                    running.progress.ended(row)
        for missed in self._opening.values():
            missed += events
        if self._is_in_view:
            self.events.emit(events)
        self.progressed.emit(running.batch, running.progress)

    def _executes_on(self) -> None:
        """Follow the execution, which has begun, paused, gone on or ended."""
        self.changed.emit()
        if self._is_in_view and not self.executes:
            self.report()

    def _do(
        self, name: str, function: Callable[[], Result], success: Callable[[Result], object]
    ) -> BackgroundTask[Result]:
        """Read or change the store in the background: another program may hold it for seconds."""
        return BackgroundTask(self, name, function).success(success).failure(self._actions.show_error).start()

    def _stored(self) -> Store:
        if self.store is None:
            raise StoreError("Results cannot be kept yet.", "Wait until the window has opened its data.")
        return self.store


def _opened(store: Store, batch_id: str) -> OpenedBatch:
    """Read a batch from the store. Raises StoreError, SettingsError."""
    batches = store.batches
    batch, rows = batches.open(batch_id), list(batches.results(batch_id))
    progress = BatchProgress(batches.totals(batch_id), BatchSettings.of(batch).parallel)
    return OpenedBatch(batch, list(batches.problems(batch_id)), rows, progress)
