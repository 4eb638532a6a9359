"""Runs the waiting jobs of one batch: loads the models of its arms, one pair after another, and writes with each.

They are loaded in the place of the chat's. The demo pair of a batch is loaded beside the chat's, which is made to cost
what a real pair costs, one answer at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.core.batch.running.arms import Arm, OtherModels, by_models
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.batch.running.progress import (
    BatchEvent,
    BatchProgress,
    JobEnded,
    JobRetried,
    JobStarted,
    JobStopped,
)
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.errors import BatonError, SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.models.options import DemoModel, parse_source
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.store.batches import Batch, JobState, ResultRow
from baton_reasoning.core.store.store import Store


@dataclass(eq=False)
class OpenedBatch:
    """A batch as it was read from the store, and as it changes while it runs or is graded again."""

    batch: Batch
    problems: list[Problem]
    rows: dict[int, ResultRow]
    """The results by job, as they are now."""
    progress: BatchProgress

    @classmethod
    def read(cls, store: Store, batch_id: str) -> Self:
        """Read a batch, which may take seconds. Raises StoreError, SettingsError."""
        batches = store.batches
        batch, rows = batches.open(batch_id), {row.job: row for row in batches.results(batch_id)}
        progress = BatchProgress(batches.totals(batch_id), BatchSettings.of(batch).parallel)
        return cls(batch, list(batches.problems(batch_id)), rows, progress)

    def take(self, events: Iterable[BatchEvent]) -> list[ResultRow]:
        """Bring rows and progress up to date; return the rows that have changed."""
        changed: dict[int, ResultRow] = {}
        for event in events:
            match event:
                case JobStarted(job):
                    row = self.rows[job.id]._replace(state=JobState.CLAIMED)
                case JobStopped(job_id):
                    row = self.rows[job_id]._replace(state=JobState.WAITING)
                case JobRetried(row):
                    self.progress.retried(row)
                case JobEnded(row):
                    self.progress.ended(row)
                case _:
                    continue
            self.rows[row.job] = changed[row.job] = row
        return list(changed.values())


class BatchActivity(Enum):
    IDLE = auto()
    LOADING = auto()
    """Waits for the models of the next arms."""
    RUNNING = auto()
    PAUSED = auto()
    FINISHING = auto()
    """Completes the answers that are under way, and begins no other."""
    REGRADING = auto()


class BatchExecution(QObject):
    """Runs one batch at a time."""

    changed = Signal()
    """It has begun, paused, gone on or ended."""
    rows_changed = Signal(object, list)
    """The OpenedBatch, and its ResultRows that have changed."""

    def __init__(
        self,
        models: LoadedModels,
        demo: LoadedModels,
        choice: Callable[[], ModelChoice],
        actions: WindowActions,
        store: Store,
        parent: QObject,
    ) -> None:
        """`models`: the chat's. `demo`: load the demo pair of a batch. `choice`: returns the models that are chosen for
        the chat."""
        super().__init__(parent)
        self.opened: OpenedBatch | None = None
        """The batch that was started last."""
        self._chat, self._demo = models, demo
        self.models = models
        """Those that the batch runs on."""
        self._choice, self._actions, self._store = choice, actions, store
        self._runner: Runner | None = None
        self._is_loading = False
        self._groups: list[OtherModels] = []
        """The models whose arms are still to be run, those that run now first."""
        for each in (models, demo):
            each.changed.connect(self._models_changed)

    @property
    def activity(self) -> BatchActivity:
        if self._is_loading:
            return BatchActivity.LOADING
        if not self._runner:
            return BatchActivity.IDLE
        if self._runner.ending:
            return BatchActivity.FINISHING
        return BatchActivity.PAUSED if self._runner.paused else BatchActivity.RUNNING

    @property
    def under_way(self) -> int:
        """Answers that are being written or graded."""
        return self._runner.under_way if self._runner else 0

    def start(self, opened: OpenedBatch) -> None:
        """Run the jobs of a batch that wait or ended in an error, one pair of models after another."""
        try:
            arms = [arm for arm in map(Arm.of, opened.batch.arms) if opened.progress.to_run(arm.name)]
        except SettingsError as error:
            self._actions.show_error(error)
            return
        self.opened, self._groups = opened, list(by_models(arms))
        if arms:
            self._run_when_loaded()

    def pause(self) -> None:
        """Finish the running jobs and start no other; if it is paused, go on."""
        if self._runner:
            (self._runner.resume if self._runner.paused else self._runner.pause)()
        self.changed.emit()

    def stop(self) -> None:
        """Complete the answers that are under way, and begin no other; if asked again, stop them at their next token.

        The batch can be resumed, and then writes those anew.
        """
        self._end(at_once=self.activity is BatchActivity.FINISHING)

    def _end(self, at_once: bool) -> None:
        if self._is_loading:
            self._cancel_loading()
        self._groups = self._groups[:1]
        if self._runner:
            (self._runner.stop if at_once else self._runner.finish)()
        self.changed.emit()

    def _run_when_loaded(self) -> None:
        """Run once the models are loaded for all texts that are written at once and one answer in the chat.

        If an answer is being written there, the models are loaded after it.
        """
        assert self.opened
        self._is_loading = True
        self.changed.emit()
        others = {which: parse_source(name) for which, name in self._groups[0]._asdict().items() if name}
        wanted = self._choice().model_copy(update={"parallel": self.opened.progress.parallel + 1, **others})
        is_demo = isinstance(wanted.small, DemoModel) and isinstance(wanted.large, DemoModel)
        self.models = self._demo if is_demo else self._chat
        loaded = self.models.choice if self.models.state is LoadState.READY else None
        if loaded and loaded == wanted.model_copy(update={"parallel": max(wanted.parallel, loaded.parallel)}):
            self._run()
        else:
            self.models.load(wanted)

    def _give_back(self) -> None:
        """Give the chat the models that were chosen for it, if the batch had others in their place."""
        if any(self._groups[0]):
            self._chat.load(self._choice())

    def _cancel_loading(self) -> None:
        self._is_loading = False
        self._give_back()

    def _models_changed(self) -> None:
        if self._runner and self.models.state is LoadState.WAITING:
            self._end(at_once=True)
            self._actions.say("The batch was stopped, since other models were chosen. It can resume with its own.")
        if not self._is_loading:
            if not self._runner and self._demo.state is LoadState.READY:
                self._demo.unload()  # the batch was stopped while they were loaded
            return
        if self.models.state is LoadState.READY:
            self._run()
        elif self.models.state in (LoadState.FAILED, LoadState.NONE):
            error = self.models.error or SettingsError("There are no models to run.", "Choose two.")
            self._cancel_loading()
            self._actions.show_error(error)
        self.changed.emit()

    def _run(self) -> None:
        opened, grader = self.opened, Grader()
        assert opened
        self._is_loading = False
        runner = self._runner = Runner(
            self._store,
            opened.batch.id,
            self.models.pair,
            grader,
            opened.progress.parallel,
            self._groups[0],
        )

        def run() -> Iterator[BatchEvent]:
            with grader:
                yield from runner.run()

        self.models.begin_writing(self)
        task = StreamTask(self, "batch", run, cancel=runner.stop)
        task.items(lambda events: self.rows_changed.emit(opened, opened.take(events)))
        task.failure(self._actions.show_error).done(self._ended).start()
        self.changed.emit()

    def _ended(self, error: BatonError | None) -> None:
        self._runner = None
        self.models.end_writing(self)
        self._demo.unload()
        waiting = [] if error else self._groups[1:]
        if waiting:
            self._groups = waiting
            self._run_when_loaded()
        else:
            self._give_back()
            self._groups = []
            self.changed.emit()
