"""The batches of the window: the one in view, and the one that runs, which may be another.

Creates, opens, runs, regrades, reports and exports batches. A batch runs on the models of its arms, one pair after
another, which are loaded in the place of the chat's. The demo pair is loaded beside the chat's: it is made to cost what
a real pair costs, one answer at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from baton_reasoning.app.batch.opened_batch import OpenedBatch
from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.toolkit.background import BackgroundTask, LatestTask, StreamTask
from baton_reasoning.core.batch.reading.problems import ProblemSet
from baton_reasoning.core.batch.reporting.exports import export
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.arms import Arm, OtherModels, by_models
from baton_reasoning.core.batch.running.batch import Provenance, add_arms, create_batch, without_duplicates
from baton_reasoning.core.batch.running.progress import (
    BatchEvent,
    BatchProgress,
    JobEnded,
    JobRetried,
    ModelsHashed,
)
from baton_reasoning.core.batch.running.regrading import Regraded, regrade, regraded_in_words
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.errors import BatonError, Busy, SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How
from baton_reasoning.core.models.options import DemoModel, parse_source
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.store.store import Store

REPORT_EVERY_MS = 3000
Prepared = tuple[OpenedBatch, Sequence[str]]
"""A batch to be viewed and started, and what a person should know of its arms."""


class BatchActivity(Enum):
    IDLE = auto()
    LOADING = auto()
    """Waits for the models of the next arms."""
    RUNNING = auto()
    PAUSED = auto()
    FINISHING = auto()
    """Completes the answers that are under way, and begins no other."""
    REGRADING = auto()


class BatchSession(QObject):
    opened = Signal()
    """Another batch is the one in view."""
    rows_changed = Signal(object, list)
    """An OpenedBatch, in view or not, and its ResultRows that have changed."""
    changed = Signal()
    """The batch that runs began, paused, went on or ended, one is graded again, or one was deleted or restored."""
    reported = Signal(object)
    """A Report on the batch in view."""

    def __init__(
        self,
        models: LoadedModels,
        demo: LoadedModels,
        choice: Callable[[], ModelChoice],
        actions: WindowActions,
        store: Store,
        parent: QObject | None = None,
    ) -> None:
        """`models`: the chat's. `demo`: load the demo pair of a batch. `choice`: returns the models that are chosen for
        the chat."""
        super().__init__(parent)
        self.models, self.store = models, store
        self._demo, self._choice, self._actions = demo, choice, actions
        self.viewed: OpenedBatch | None = None
        """The batch in view."""
        self.executed: OpenedBatch | None = None
        """The batch that runs or is about to, in view or not."""
        self.batch_models = models
        """Those that it runs on."""
        self._groups: list[OtherModels] = []
        """The models whose arms are still to be run, those that run now first."""
        self._runner: Runner | None = None
        """None while models are loaded, too."""
        self._report_seconds = 0.0
        """How long the last report took."""
        self._reports_at_once = False
        """Whether the next results are: the first since the batch came into view."""
        self.graded = 0
        """Answers that have been graded again so far."""
        self.hashed = 1.0
        """How much of the files of the models has been read before the first answer, 0 to 1."""
        for each in (models, demo):
            each.changed.connect(self._models_changed)
        self._report_timer = QTimer(self, singleShot=True, interval=REPORT_EVERY_MS)
        self._report_timer.timeout.connect(self.report)
        self._reporting = LatestTask(self, "report", actions.show_error, one_at_a_time=True)
        self._opening = LatestTask(self, "open batch", actions.show_error)
        self._regrading: StreamTask[Regraded] | None = None
        self._regraded: OpenedBatch | None = None
        """The batch that is graded again."""
        self._preparing = LatestTask(self, "prepare batch", actions.show_error, one_at_a_time=True)
        """Creates or extends a batch, which starts it."""

    @property
    def batch(self) -> Batch | None:
        """The batch in view."""
        return self.viewed.batch if self.viewed else None

    @property
    def progress(self) -> BatchProgress:
        """How far the batch in view is."""
        return self.viewed.progress if self.viewed else BatchProgress((), 1)

    @property
    def activity(self) -> BatchActivity:
        """What is being done with the batch in view."""
        if self.viewed and self.viewed is self._regraded:
            return BatchActivity.REGRADING
        if not self.viewed or self.viewed is not self.executed:
            return BatchActivity.IDLE
        if not self._runner:
            return BatchActivity.LOADING
        if self._runner.ending:
            return BatchActivity.FINISHING
        return BatchActivity.PAUSED if self._runner.paused else BatchActivity.RUNNING

    @property
    def running(self) -> bool:
        """Whether the batch in view must be left as it is: it runs, is about to, or is graded again."""
        return self.activity is not BatchActivity.IDLE

    @property
    def under_way(self) -> int:
        """Answers that are being written or graded."""
        return self._runner.under_way if self._runner else 0

    @property
    def busy_reason(self) -> str:
        """Why no batch can begin now, in a sentence; "" if one can."""
        return f"“{self.executed.batch.name}” is running." if self.executed else ""

    # Batches of the store. None is started, or deleted, while it or another runs: an error says so.

    def create(self, found: ProblemSet, arms: Sequence[Arm], seeds: int, parallel: int) -> None:
        """Create a batch, view and start it."""
        store, models, notes = self.store, self._choice(), without_duplicates(arms).notes
        provenance = Provenance.of_this_machine((), str(models.small), str(models.large), found.origin)

        def create() -> Prepared:
            batch = create_batch(store, found.name, found.problems, arms, range(seeds), parallel, provenance=provenance)
            return OpenedBatch.read(store, batch), notes

        self._prepare(create)

    def open(self, batch_id: str) -> None:
        """View a batch, once it is read, which may take seconds. What runs goes on."""
        for each in (self.executed, self._regraded):
            if each and each.batch.id == batch_id:
                self._show(each)  # what is in the store may be older
                return
        self._opening.run(lambda: OpenedBatch.read(self.store, batch_id), self._show)

    def delete(self, batch: Batch) -> None:
        """Delete a batch, unless it runs, and offer to restore it."""

        def deleted() -> None:
            self.changed.emit()
            self._actions.show_deleted(batch.name, restore)

        def restore() -> None:
            self._do("restore batch", lambda: self.store.batches.restore(batch.id), self.changed.emit)

        if not (self.executed and self.executed.batch.id == batch.id and self._is_refused()):
            self._do("delete batch", lambda: self.store.batches.delete(batch.id), deleted)

    def add_arms(self, arms: Sequence[Arm]) -> None:
        """Run the same problems under other settings, too."""
        assert self.viewed
        store, batch_id = self.store, self.viewed.batch.id

        def add() -> Prepared:
            notes = add_arms(store, batch_id, arms)
            return OpenedBatch.read(store, batch_id), notes

        self._prepare(add)

    # Running

    def start(self) -> None:
        """Run the jobs of the batch in view that wait or have failed, one pair of models after another.

        Each error stays until the models that ran it are loaded.
        """
        if self.viewed and not (self.running or self._preparing.busy or self._is_refused()):
            self._execute(self.viewed)

    def pause(self) -> None:
        """Complete the answers that are under way, and begin no other; if it is paused, go on."""
        if self._runner:
            (self._runner.resume if self._runner.paused else self._runner.pause)()
        self.changed.emit()

    def stop(self) -> None:
        """Complete the answers that are under way, and begin no other; if asked again, stop them at their next token.

        The batch can be resumed, and then writes those anew. Grading is stopped at once, and then changes nothing.
        """
        if self._regrading and self.activity is BatchActivity.REGRADING:
            self._regrading.stop()
        elif self.running:
            self._stop(at_once=self.activity is BatchActivity.FINISHING)

    def regrade(self, how: How) -> None:
        """Look for the answers of the batch in view again, and compare them in this way, unless it is running."""
        viewed = self.viewed
        if viewed is None or self.running or self._regrading:
            return
        grader, found = Grader(), list[Regraded]()
        is_saved = False

        def grade() -> Iterator[Regraded]:
            nonlocal is_saved
            with grader:
                yield from regrade(self.store, viewed.batch.id, grader, how)
            is_saved = True

        def take(graded: list[Regraded]) -> None:
            found.extend(graded)
            self.graded = len(found)
            self.changed.emit()

        def done(error: BatonError | None) -> None:
            self._regrading = self._regraded = None
            if is_saved:
                known = [row for row, _ in found if row.job in viewed.rows]
                viewed.rows.update((row.job, row) for row in known)
                self.rows_changed.emit(viewed, known)
            self.changed.emit()
            if not error:
                stopped = "The grading was stopped, and has changed nothing."
                self._actions.say(regraded_in_words(found) if is_saved else stopped)
            self.report()

        self._regraded, self.graded = viewed, 0
        self._regrading = StreamTask(self, "regrade", grade)
        self._regrading.items(take).failure(self._actions.show_error).done(done).start()
        self.changed.emit()

    # Results

    def report(self) -> None:
        """Compute the report in a thread. While one is computed, the next request waits."""
        if (viewed := self.viewed) is None:
            return

        def compute() -> tuple[Report, float]:
            began = time.monotonic()
            report = Results.read(self.store, viewed.batch.id).report
            return report, time.monotonic() - began

        def deliver(found: tuple[Report, float]) -> None:
            report, self._report_seconds = found
            if self.viewed is viewed:  # another one may have been opened meanwhile
                self.reported.emit(report)

        self._reporting.run(compute, deliver)

    def export(self, path: Path) -> None:
        """Write the results into a file, in the format of its suffix."""
        assert self.viewed
        store, batch_id = self.store, self.viewed.batch.id
        self._do("export", lambda: export(store, batch_id, path), lambda: self._actions.show_saved(path))

    # -----------------------------------------------------------------------------------------------------------------

    def _is_refused(self) -> bool:
        """Refuse what cannot be done while a batch runs."""
        if self.busy_reason:
            self._actions.show_error(Busy(self.busy_reason, "Stop it first, or wait until it is done."))
        return bool(self.busy_reason)

    def _prepare(self, prepare: Callable[[], Prepared]) -> None:
        """Create or extend a batch, then view and start it. Does nothing while another is being prepared."""

        def start(prepared: Prepared) -> None:
            opened, notes = prepared
            self._show(opened)
            self._execute(opened)
            for note in notes:
                self._actions.say(note)

        if not (self._preparing.busy or self._is_refused()):
            self._preparing.run(prepare, start)

    def _show(self, opened: OpenedBatch) -> None:
        self._opening.cancel()
        self.viewed, self._reports_at_once = opened, True
        self.opened.emit()
        self.report()

    def _execute(self, opened: OpenedBatch) -> None:
        """Run the jobs of a batch that wait or ended in an error."""
        try:
            arms = [arm for arm in map(Arm.of, opened.batch.arms) if opened.progress.to_run(arm.name)]
        except SettingsError as error:
            self._actions.show_error(error)
            return
        if arms:
            self.executed, self._groups = opened, list(by_models(arms))
            self._run_when_loaded(opened)

    def _run_when_loaded(self, opened: OpenedBatch) -> None:
        """Run once the models are loaded for all texts that are written at once and one answer in the chat.

        If an answer is being written there, the models are loaded after it.
        """
        self.changed.emit()
        others = {which: parse_source(name) for which, name in self._groups[0]._asdict().items() if name}
        wanted = self._choice().model_copy(update={"parallel": opened.progress.parallel + 1, **others})
        is_demo = isinstance(wanted.small, DemoModel) and isinstance(wanted.large, DemoModel)
        self.batch_models = models = self._demo if is_demo else self.models
        loaded = models.choice if models.state is LoadState.READY else None
        if loaded and loaded == wanted.model_copy(update={"parallel": max(wanted.parallel, loaded.parallel)}):
            self._run(opened)
        else:
            models.load(wanted)

    def _models_changed(self) -> None:
        state = self.batch_models.state
        if self._runner:
            if state is LoadState.WAITING:
                self._stop(at_once=True)
                self._actions.say("The batch was stopped, since other models were chosen. It can resume with its own.")
        elif not self.executed:
            if self._demo.state is LoadState.READY:
                self._demo.unload()  # the batch was stopped while they were loaded
        elif state is LoadState.READY:
            self._run(self.executed)
        elif state in (LoadState.FAILED, LoadState.NONE):
            error = self.batch_models.error or SettingsError("There are no models to run.", "Choose two.")
            self._end_execution()
            self._actions.show_error(error)
        else:
            self.changed.emit()

    def _run(self, opened: OpenedBatch) -> None:
        models, grader = self.batch_models, Grader()
        parallel = opened.progress.parallel
        runner = self._runner = Runner(self.store, opened.batch.id, models.pair, grader, parallel, self._groups[0])

        def run() -> Iterator[BatchEvent]:
            with grader:
                yield from runner.run()

        def take(events: list[BatchEvent]) -> None:
            self.hashed = events[-1].share if isinstance(events[-1], ModelsHashed) else 1.0
            self.rows_changed.emit(opened, opened.take(events))
            if any(isinstance(event, JobEnded | JobRetried) for event in events):
                self._report_soon(opened)

        def done(error: BatonError | None) -> None:
            models.end_writing(self)
            self._demo.unload()
            self._runner = None
            if error or not self._groups[1:]:
                self._end_execution()
            else:
                del self._groups[0]
                self._run_when_loaded(opened)

        models.begin_writing(self)
        task = StreamTask(self, "batch", run, cancel=runner.stop)
        task.items(take).failure(self._actions.show_error).done(done).start()
        self.changed.emit()

    def _stop(self, at_once: bool) -> None:
        """Begin no other answer; with `at_once`, stop those under way at their next token."""
        if self._runner:
            del self._groups[1:]
            (self._runner.stop if at_once else self._runner.finish)()
            self.changed.emit()
        else:
            self._end_execution()

    def _end_execution(self) -> None:
        """Give the chat the models that were chosen for it, if the batch had others in their place."""
        executed, self.executed = self.executed, None
        if any(self._groups[0]):
            self.models.load(self._choice())
        self.changed.emit()
        if self.viewed is executed:
            self.report()

    def _report_soon(self, opened: OpenedBatch) -> None:
        """Report on the batch that runs from time to time; on a large one less often, a tenth of the time at most."""
        if opened is self.viewed and not self._report_timer.isActive():
            self._report_timer.start(
                0 if self._reports_at_once else max(REPORT_EVERY_MS, int(10_000 * self._report_seconds))
            )
            self._reports_at_once = False

    def _do(self, name: str, function: Callable[[], object], success: Callable[[], object]) -> None:
        """Read or change the store in the background: another program may hold it for seconds."""
        BackgroundTask(self, name, function).success(lambda _: success()).failure(self._actions.show_error).start()
