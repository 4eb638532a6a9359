"""The batch of the window: reads problem files, creates and opens batches, runs them, grades, reports, exports."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PySide6.QtCore import QObject, Signal

from app.shared.background import BackgroundTask, LatestTask, SteadyTask, Work, run_in_background
from app.shared.loaded_models import LoadedModels, LoadState
from core.batch.reading.columns import GUESS, ColumnNames
from core.batch.reading.problem_set import ProblemSet
from core.batch.reading.problems import read_data_set, read_problems
from core.batch.reporting.exports import export
from core.batch.reporting.other_tools import file_name, write_for
from core.batch.reporting.report import Report
from core.batch.reporting.results import Results
from core.batch.running.arms import Arm, OtherModels, by_models
from core.batch.running.batch_events import BatchEvent, JobEnded
from core.batch.running.batch_settings import BatchSettings
from core.batch.running.creation import add_arms, create_batch
from core.batch.running.progress import BatchProgress
from core.batch.running.provenance import Provenance
from core.batch.running.regrading import RegradeCounts, Regraded, regrade
from core.batch.running.runner import Runner
from core.errors import BatonError, SettingsError, StoreError
from core.grading.grader import Grader
from core.grading.verdict import How, Regex
from core.models.hub_listing import HubAccess
from core.models.source import parse_source
from core.problem import Problem
from core.run import Pair
from core.settings import ModelChoice
from core.store.batch_rows import Batch, ResultRow
from core.store.store import Store


class OpenedBatch(NamedTuple):
    """A batch with its problems, rows and progress."""

    batch: Batch
    problems: list[Problem]
    rows: list[ResultRow]
    progress: BatchProgress


class LoadedPair(NamedTuple):
    """The pair loaded for a batch, which models it is by name, and how many parallel requests it was loaded for."""

    pair: Pair
    names: OtherModels
    room: int


class BatchSession(QObject):
    read = Signal(object)
    """A ProblemSet, for the preview."""
    opened = Signal()
    """Another batch is the one shown; `batch` and `problems` are new."""
    happened = Signal(list)
    """Happenings of the runner."""
    changed = Signal()
    """It began, paused, went on or ended."""
    reported = Signal(object)
    """A Report."""
    graded = Signal(list)
    """ResultRows with the answers and verdicts of today's grader."""
    exported = Signal(object)
    """The Path of a file that was written."""
    noticed = Signal(str)
    """Something to know, in a sentence."""
    failed = Signal(object)
    """A BatonError."""

    def __init__(self, models: LoadedModels, choice: Callable[[], ModelChoice], parent: QObject | None = None) -> None:
        """`choice`: returns the models chosen now."""
        super().__init__(parent)
        self.models = models
        self._choice = choice
        self.store: Store | None = None
        self.batch: Batch | None = None
        self.problems: Sequence[Problem] = ()
        self.rows: Sequence[ResultRow] = ()
        """As they were when the batch was opened; changes since then came with `happened`."""
        self.progress = BatchProgress((), 1)
        self.parallel = 8
        self.report_seconds = 0.0
        """What the last report took."""
        self._runner: Runner | None = None
        self._running: BackgroundTask | None = None
        self._reporting = SteadyTask(self, "report", self._tell)
        self._reading = LatestTask(self, self._tell)
        self._regraded = RegradeCounts()
        self._waits_for_models = False
        self._groups: list[OtherModels] = []
        """The models whose arms are still to be run, those that run now first."""
        self._loaded = LoadedPair(Pair(), OtherModels(), 0)
        models.changed.connect(self._models_changed)

    def use_store(self, store: Store) -> None:
        self.store = store
        self.changed.emit()

    @property
    def running(self) -> bool:
        return self._running is not None or self._waits_for_models

    @property
    def paused(self) -> bool:
        return self._runner is not None and self._runner.paused

    @property
    def waits_for_models(self) -> bool:
        return self._waits_for_models

    @property
    def grades_again(self) -> bool:
        return self._running is not None and self._runner is None

    def read_file(self, path: Path, columns: ColumnNames = GUESS) -> None:
        self._reading.ask(lambda: read_problems(path, named=columns), self.read.emit)

    def read_data_set(self, name: str, access: Callable[[], HubAccess], columns: ColumnNames = GUESS) -> None:
        """Read a data set of the Hub, named as in core/batch/reading/hub_data.py. `access` is called in the thread."""

        def read() -> ProblemSet:
            from core.models.hub import Hub  # half a second the first time, so not in the window's own thread

            return read_data_set(name, Hub(access()), named=columns)

        self._reading.ask(read, self.read.emit)

    def create(self, found: ProblemSet, arms: Sequence[Arm], seeds: int, parallel: int) -> None:
        """Create a batch and start it. Raises SettingsError while another is running."""
        self._refuse_while_running()
        store = self._stored()
        models = self._choice()
        provenance = Provenance.of_this_machine((), str(models.small), str(models.large), found.origin)

        def work() -> Generator[OpenedBatch, None, None]:
            batch = create_batch(store, found.name, found.problems, arms, range(seeds), parallel, provenance=provenance)
            yield _opened(store, batch)

        self._do("create batch", work, self._show_and_start)

    def open(self, batch_id: str) -> None:
        """Show a batch of the store, read in a thread: it may have 50,000 rows. Raises SettingsError while another
        is running."""
        if self.batch is None or batch_id != self.batch.id:
            self._refuse_while_running()
        store = self._stored()

        def work() -> Generator[OpenedBatch, None, None]:
            yield _opened(store, batch_id)

        self._do("open batch", work, self._show)

    def _show(self, opened: OpenedBatch) -> None:
        self.batch, self.problems, self.rows, self.progress = opened
        self.parallel = self.progress.parallel
        self.opened.emit()
        self.report()

    def _show_and_start(self, opened: OpenedBatch) -> None:
        self._show(opened)
        self.start()

    def delete(self, batch: Batch, deleted: Callable[[], object]) -> None:
        """Delete a batch; the store can restore it. Raises SettingsError for the one that is running."""
        if self.batch and batch.id == self.batch.id:
            self._refuse_while_running()
        self._change("delete batch", self._stored().batches.delete, batch.id, then=deleted)

    def restore(self, batch: Batch, restored: Callable[[], object]) -> None:
        """Undo a deletion."""
        self._change("restore batch", self._stored().batches.restore, batch.id, then=restored)

    def set_note(self, row: ResultRow, note: str) -> None:
        """Keep a person's note on an answer; "" removes it."""
        self._stored().batches.set_note_later(row.job, note)

    def start(self) -> None:
        """Run the waiting jobs, one pair of models after another."""
        if self.running or self.batch is None:
            return
        try:
            groups = by_models([Arm.of(stored) for stored in self.batch.arms])
        except SettingsError as error:
            self.failed.emit(error)
            return
        self._groups = [names for names, arms in groups.items() if any(self.progress.waiting(arm.name) for arm in arms)]
        if self._groups:
            self._run_when_loaded()

    def _run_when_loaded(self) -> None:
        """The window's models hold one text. They are loaded again with room for all that are written at once, and for
        an answer in the chat beside them; if one is being written there, its end is waited for."""
        self._waits_for_models = True
        self.changed.emit()
        names, loaded = self._groups[0], self._loaded
        if self.models.pair is loaded.pair and names == loaded.names and self.parallel < loaded.room:
            self._run()
        else:
            self._load(names)

    def _load(self, names: OtherModels) -> None:
        room = self.parallel + 1
        self._loaded = LoadedPair(Pair(), names, room)
        others = {which: parse_source(name) for which, name in names._asdict().items() if name}
        self.models.load(self._choice().model_copy(update={"parallel": room, **others}))

    def add_arms(self, arms: Sequence[Arm]) -> None:
        """Add arms: the same problems under other settings. Raises SettingsError while the batch is running."""
        assert self.batch is not None
        self._refuse_while_running()
        store, batch_id = self._stored(), self.batch.id

        def work() -> Generator[OpenedBatch, None, None]:
            add_arms(store, batch_id, arms)
            yield _opened(store, batch_id)

        self._do("add arms", work, self._show_and_start)

    def retry_errors(self) -> None:
        """Queue failed jobs again. The view offers it only while nothing runs."""
        assert self.batch is not None
        store, batch_id = self._stored(), self.batch.id

        def work() -> Generator[OpenedBatch, None, None]:
            store.batches.retry_failed(batch_id)
            yield _opened(store, batch_id)

        self._do("retry errors", work, self._show_and_start)

    def pause(self) -> None:
        """Finish the running jobs, and start no other."""
        if self._runner:
            self._runner.pause()
        self.changed.emit()

    def resume(self) -> None:
        if self._runner:
            self._runner.resume()
        self.changed.emit()

    def stop(self) -> None:
        """Stop every text at its next token. What is written is kept, and the batch can be resumed."""
        if self._waits_for_models:
            self._give_up_waiting()
        self._groups = self._groups[:1]
        if self._runner:
            self._runner.stop()
        elif self._running:
            self._running.stop()
        self.changed.emit()

    def regrade(self, how: How | Regex) -> None:
        """Grade the existing answers again. Raises SettingsError while the batch is running."""
        assert self.batch is not None
        self._refuse_while_running()
        store, batch_id, grader = self._stored(), self.batch.id, Grader()

        def work() -> Generator[Regraded, None, None]:
            with grader:
                yield from regrade(store, batch_id, grader, how)

        self._regraded = RegradeCounts()
        self._running = run_in_background(
            self, "grade again", work, arrived=self._take_graded, ended=self._graded_again
        )
        self.changed.emit()

    def report(self) -> None:
        """Compute the report in a thread: it reads every run. While one is computed, the next request waits."""
        if self.batch is None:
            return
        store, batch_id = self._stored(), self.batch.id

        def compute() -> Report:
            began = time.monotonic()
            report = Results.read(store, batch_id).report
            self.report_seconds = time.monotonic() - began
            return report

        self._reporting.ask(compute, self.reported.emit)

    def export(self, path: Path) -> None:
        assert self.batch is not None
        store, batch_id = self._stored(), self.batch.id

        def work() -> Generator[Path, None, None]:
            export(store, batch_id, path)
            yield path

        self._do("export", work, lambda written: self.exported.emit(written))

    def export_for(self, tool: str, folder: Path) -> None:
        """Write the results for another tool (core/batch/reporting/other_tools.py), in a new folder inside this one."""
        assert self.batch is not None
        store, batch = self._stored(), self.batch
        inside = folder / f"{file_name(batch.name)}-{tool}"

        def work() -> Generator[Path, None, None]:
            write_for(tool, Results.read(store, batch.id), inside)
            yield inside

        self._do("export", work, lambda written: self.exported.emit(written))

    def _refuse_while_running(self) -> None:
        if self.running:
            name = self.batch.name if self.batch else "A batch"
            raise SettingsError(f"“{name}” is running.", "Stop it first, or wait until it is done.")

    def _models_changed(self) -> None:
        if self._runner and self.models.state is LoadState.WAITING:
            self.stop()
            self.noticed.emit("The batch was stopped, since other models were chosen. It can resume with its own.")
        if not self._waits_for_models:
            return
        if self.models.state is LoadState.READY:
            self._loaded = self._loaded._replace(pair=self.models.pair)
            self._run()
        elif self.models.state in (LoadState.FAILED, LoadState.NONE):
            error = self.models.error or SettingsError("There are no models to run.", "Choose two.")
            self._give_up_waiting()
            self.failed.emit(error)
        self.changed.emit()

    def _give_up_waiting(self) -> None:
        self._waits_for_models = False
        if any(self._groups[0]):
            self._load(OtherModels())

    def _run(self) -> None:
        assert self.batch is not None
        self._waits_for_models = False
        grader = Grader()
        runner = Runner(self._stored(), self.batch.id, self.models.pair, grader, self.parallel, self._groups[0])
        self._runner = runner

        def work() -> Generator[BatchEvent, None, None]:
            with grader:
                yield from runner.run()

        self.models.begin_writing(self)
        self._running = run_in_background(
            self, "batch", work, arrived=self._take, ended=self._run_over, cancel=runner.stop
        )
        self.changed.emit()

    def _take(self, happenings: list[BatchEvent]) -> None:
        for happening in happenings:
            if isinstance(happening, JobEnded):
                self.progress.ended(happening.row)
        self.happened.emit(happenings)

    def _run_over(self, error: BatonError | None) -> None:
        self._running, self._runner = None, None
        self.models.end_writing(self)
        last, *self._groups = self._groups
        if error:
            self._groups = []
            self.failed.emit(error)
        if self._groups:
            self._run_when_loaded()
        elif any(last):
            self._load(OtherModels())  # the chat gets back the models that were chosen for it
        self.changed.emit()
        self.report()

    def _take_graded(self, graded: list[Regraded]) -> None:
        for each in graded:
            self._regraded.take(each)
        self.graded.emit([each.row for each in graded])

    def _graded_again(self, error: BatonError | None) -> None:
        assert self.batch is not None
        self._running = None
        self.changed.emit()
        if error:
            self.failed.emit(error)
        else:
            self.noticed.emit(self._regraded.summary)
        self.open(self.batch.id)

    def _change(
        self, name: str, change: Callable[..., None], *values: Any, then: Callable[[], object] = lambda: None
    ) -> None:
        """Change the store in the background: another program may hold it for seconds."""

        def work() -> Generator[None, None, None]:
            change(*values)
            yield

        self._do(name, work, lambda _: then())

    def _do(self, name: str, work: Work, then: Callable[[Any], object]) -> None:
        def deliver(items: list[Any]) -> None:
            for item in items:
                then(item)

        run_in_background(self, name, work, arrived=deliver, ended=self._tell)

    def _tell(self, error: BatonError | None) -> None:
        if error:
            self.failed.emit(error)

    def _stored(self) -> Store:
        if self.store is None:
            raise StoreError("Results cannot be kept yet.", "Wait until the window has opened its data.")
        return self.store


def _opened(store: Store, batch_id: str) -> OpenedBatch:
    """Raises StoreError, SettingsError."""
    batches = store.batches
    batch, rows = batches.open(batch_id), list(batches.results(batch_id))
    progress = BatchProgress(batches.totals(batch_id), BatchSettings.of(batch).parallel)
    return OpenedBatch(batch, list(batches.problems(batch_id)), rows, progress)
