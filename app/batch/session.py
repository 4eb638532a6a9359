"""The batch of the window: reads files, keeps the batch in the store, runs it in a thread, and tells the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PySide6.QtCore import QObject, Signal

from app.bridge import Errand, Work
from app.models_in_use import ModelsInUse, State
from core.batch.arms import Arm
from core.batch.batch_settings import BatchSettings
from core.batch.columns import Columns
from core.batch.exports import export
from core.batch.grading import Grader
from core.batch.problems import Problem, ProblemSet, read_problems
from core.batch.report import Report, report_of
from core.batch.runner import Runner
from core.errors import BatonError, SettingsError, StoreError
from core.run import Pair
from core.settings import ModelChoice
from core.store.batch_rows import Batch, ResultRow
from core.store.store import Store


class Opened(NamedTuple):
    """A batch with all that its table shows."""

    batch: Batch
    problems: list[Problem]
    rows: list[ResultRow]


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
    exported = Signal(object)
    """The Path of a file that was written."""
    failed = Signal(object)
    """A BatonError."""

    def __init__(self, models: ModelsInUse, choice: Callable[[], ModelChoice], parent: QObject | None = None) -> None:
        """`choice`: which models the person wants now."""
        super().__init__(parent)
        self.models = models
        self._choice = choice
        self.store: Store | None = None
        self.batch: Batch | None = None
        self.problems: Sequence[Problem] = ()
        self.rows: Sequence[ResultRow] = ()
        """As they were when the batch was opened; what came later was told in `happened`."""
        self.parallel = 8
        self.report_seconds = 0.0
        """What the last report took."""
        self._runner: Runner | None = None
        self._running: Errand | None = None
        self._reporting: Errand | None = None
        self._waits_for_models = False
        self._room = 0
        self._pair_with_room = Pair()
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

    def read_file(self, path: Path, columns: Columns | None = None) -> None:
        def work() -> Generator[ProblemSet, None, None]:
            yield read_problems(path, columns)

        self._do("read problems", work, lambda found: self.read.emit(found))

    def create(self, found: ProblemSet, arms: Sequence[Arm], seeds: int, parallel: int) -> None:
        """A new batch, begun at once. Raises SettingsError while another is running."""
        self._refuse_while_running()
        store = self._stored()
        settings = BatchSettings(source=found.name, parallel=parallel, seeds=seeds).stored()
        rows = [arm.stored() for arm in arms]

        def work() -> Generator[Opened, None, None]:
            yield _opened(store, store.batches.create(found.name, settings, found.problems, rows, range(seeds)))

        self._do("create batch", work, self._show_and_start)

    def open(self, batch_id: str, start: bool = False) -> None:
        """Show a batch of the store, read in a thread: it may have 50,000 rows. Raises SettingsError while another
        is running."""
        if self.batch is None or batch_id != self.batch.id:
            self._refuse_while_running()
        store = self._stored()

        def work() -> Generator[Opened, None, None]:
            yield _opened(store, batch_id)

        self._do("open batch", work, self._show_and_start if start else self._show)

    def _show(self, opened: Opened) -> None:
        self.batch, self.problems, self.rows = opened
        parallel = self.batch.settings.get("parallel")
        self.parallel = parallel if isinstance(parallel, int) else self.parallel
        self.opened.emit()
        self.report()

    def _show_and_start(self, opened: Opened) -> None:
        self._show(opened)
        self.start()

    def start(self) -> None:
        """Run what waits, as soon as the models are there."""
        if self.running or self.batch is None:
            return
        self._waits_for_models = True
        self.changed.emit()
        if self.models.pair is self._pair_with_room and self.parallel <= self._room:
            self._run()
        else:
            # The window's models hold one text: they are loaded again with room for all that are written at once.
            self._room = self.parallel
            self.models.load(self._choice().model_copy(update={"parallel": self.parallel}))

    def add_arms(self, arms: Sequence[Arm]) -> None:
        """Run the same problems under other settings, too. Raises SettingsError while the batch is running."""
        assert self.batch is not None
        self._refuse_while_running()
        store = self._stored()
        known = {arm.name for arm in self.batch.arms}
        for arm in arms:
            if arm.name not in known:
                store.batches.add_arm(self.batch.id, arm.stored())
        self.open(self.batch.id, start=True)

    def retry_errors(self) -> None:
        """The view offers it only while nothing runs."""
        assert self.batch is not None
        self._stored().batches.retry_failed(self.batch.id)
        self.open(self.batch.id, start=True)

    def pause(self) -> None:
        """What is being written comes to its end; nothing else is begun."""
        if self._runner:
            self._runner.pause()
        self.changed.emit()

    def resume(self) -> None:
        if self._runner:
            self._runner.resume()
        self.changed.emit()

    def stop(self) -> None:
        """Every text ends at its next token and is kept; the batch can go on another time."""
        self._waits_for_models = False
        if self._runner:
            self._runner.stop()
        self.changed.emit()

    def report(self) -> None:
        """Reads every run of the batch: in a thread, and one at a time."""
        if self.batch is None or self._reporting is not None:
            return
        store, batch_id = self._stored(), self.batch.id

        def work() -> Generator[Report, None, None]:
            began = time.monotonic()
            report = report_of(store, batch_id)
            self.report_seconds = time.monotonic() - began
            yield report

        self._reporting = self._do("report", work, lambda found: self.reported.emit(found))
        self._reporting.ended.connect(self._report_over)

    def export(self, path: Path) -> None:
        assert self.batch is not None
        store, batch_id = self._stored(), self.batch.id

        def work() -> Generator[Path, None, None]:
            export(store, batch_id, path)
            yield path

        self._do("export", work, lambda written: self.exported.emit(written))

    def finish(self) -> None:
        """The window is closing: what is being written is saved, and goes on next time."""
        self._waits_for_models = False
        for errand in self.findChildren(Errand):
            errand.finish()

    def _refuse_while_running(self) -> None:
        if self.running:
            name = self.batch.name if self.batch else "A batch"
            raise SettingsError(f"“{name}” is running.", "Stop it first, or wait until it is done.")

    def _models_changed(self) -> None:
        if not self._waits_for_models:
            return
        if self.models.state is State.READY:
            self._run()
        elif self.models.state in (State.FAILED, State.NONE):
            self._waits_for_models = False
            self.changed.emit()
            self.failed.emit(self.models.error or SettingsError("There are no models to run.", "Choose two."))

    def _run(self) -> None:
        assert self.batch is not None
        self._waits_for_models = False
        store, batch_id, pair = self._stored(), self.batch.id, self.models.pair
        self._pair_with_room = pair
        grader = Grader()
        runner = self._runner = Runner(store, batch_id, pair, grader, self.parallel)

        def work() -> Generator[object, None, None]:
            with grader:
                yield from runner.run()

        self._running = Errand("batch", work, cancel=runner.stop, parent=self)
        self._running.arrived.connect(self.happened)
        self._running.ended.connect(self._run_over)
        self._running.start()
        self.changed.emit()

    def _run_over(self, error: BatonError | None) -> None:
        if self._running:
            self._running.deleteLater()
        self._running, self._runner = None, None
        if self.batch and self.store:
            self.batch = self.store.batches.open(self.batch.id)
        self.changed.emit()
        self.report()
        if error:
            self.failed.emit(error)

    def _report_over(self) -> None:
        self._reporting = None

    def _do(self, name: str, work: Work, then: Callable[[Any], None]) -> Errand:
        errand = Errand(name, work, parent=self)

        def deliver(items: list[Any]) -> None:
            for item in items:
                then(item)

        errand.arrived.connect(deliver)
        errand.ended.connect(self._tell)
        errand.ended.connect(errand.deleteLater)
        return errand.start()

    def _tell(self, error: BatonError | None) -> None:
        if error:
            self.failed.emit(error)

    def _stored(self) -> Store:
        if self.store is None:
            raise StoreError("Results cannot be kept yet.", "Wait until the window has opened its data.")
        return self.store


def _opened(store: Store, batch_id: str) -> Opened:
    """Raises StoreError."""
    batches = store.batches
    return Opened(batches.open(batch_id), list(batches.problems(batch_id)), list(batches.results(batch_id)))
