"""The batches of the window: the one in view, and those that run one after another, which may be others.

Creates, opens, runs, regrades, reports and exports batches. A batch runs on the models that it names, which are loaded
in the place of the chat's if they are others. The demo pair is loaded beside the chat's: it is made to cost what a real
pair costs, one answer at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from baton_reasoning.app.batch.opened_batch import OpenedBatch
from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.background import BackgroundTask, LatestTask, StreamTask
from baton_reasoning.core.batch.reading.problems import ProblemSet
from baton_reasoning.core.batch.reporting.exports import export
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.arms import Arm, OtherModels, arms_of, known_arms
from baton_reasoning.core.batch.running.batch import (
    Provenance,
    add_arms,
    create_batch,
    without_duplicates,
    without_password,
)
from baton_reasoning.core.batch.running.control import BatchControl
from baton_reasoning.core.batch.running.execution import WantedPair, execute
from baton_reasoning.core.batch.running.progress import BatchEvent, BatchProgress, JobEnded, JobRetried, PolicyChosen
from baton_reasoning.core.batch.running.regrading import Regraded, regrade, regraded_in_words
from baton_reasoning.core.batch.running.workload import MeasuredPair
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, Busy
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import GradingMethod
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.store.batches import Batch
from baton_reasoning.core.store.store import Store

REPORT_EVERY_MS = 3000
Prepared = tuple[OpenedBatch, Sequence[str]]
"""A batch to be viewed and started, and what a person should know of its arms."""


class BatchActivity(Enum):
    IDLE = auto()
    WAITING = auto()
    """For the batch that runs before it."""
    LOADING = auto()
    """Waits for the models of the next arms."""
    RUNNING = auto()
    PAUSED = auto()
    FINISHING = auto()
    """Completes the answers that are under way, and begins no other."""
    REGRADING = auto()


@dataclass(eq=False)
class Execution:
    """A batch that runs, or waits for its turn."""

    opened: OpenedBatch
    models: LoadedModels
    """Those on which it runs now."""
    control: BatchControl = field(default_factory=BatchControl)


@dataclass(eq=False)
class Regrading:
    """A batch that is graded again."""

    opened: OpenedBatch
    task: StreamTask[Regraded]
    found: list[Regraded]


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
        preferences: Preferences,
        actions: WindowActions,
        store: Store,
        parent: QObject | None = None,
    ) -> None:
        """`models`: the chat's. `demo`: load the demo pair of a batch."""
        super().__init__(parent)
        self.models, self.store = models, store
        self._demo, self._preferences, self._actions = demo, preferences, actions
        self.viewed: OpenedBatch | None = None
        """The batch in view."""
        self.queue: list[Execution] = []
        """The first one runs."""
        self.regrading: Regrading | None = None
        self._next_report_ms = 0
        """Milliseconds from the next results to a report; 0 until the first results since the batch came into view."""
        for each in (models, demo):
            each.changed.connect(self._models_changed)
        self._report_timer = QTimer(self, singleShot=True)
        self._report_timer.timeout.connect(self.report)
        self._reporting = LatestTask(self, "report", actions.show_error, one_at_a_time=True)
        self._opening = LatestTask(self, "open batch", actions.show_error)
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
    def chosen_models(self) -> ModelChoice:
        """Those of the chat."""
        return self._preferences.value.models

    @property
    def chosen_settings(self) -> RunSettings:
        """Those of the chat, with the policy that follows the pair once it is loaded."""
        chosen = self._preferences.value
        return chosen.effective_run(self.models.cards_of(chosen.models))

    @property
    def chosen_costs(self) -> MeasuredPair:
        """What the chosen models cost, once they are loaded; nothing of the demo pair."""
        if self.chosen_models.is_demo or self.models.choice is None:
            return MeasuredPair()
        cards = self.models.pair.cards
        return MeasuredPair(*(self.models.costs.of(cards.get(author)) for author in (Author.SMALL, Author.LARGE)))

    @property
    def executed(self) -> OpenedBatch | None:
        """The batch that runs, in view or not."""
        return self.queue[0].opened if self.queue else None

    @property
    def execution(self) -> Execution | None:
        """That of the batch in view."""
        return next((each for each in self.queue if each.opened is self.viewed), None)

    @property
    def activity(self) -> BatchActivity:
        """What is being done with the batch in view."""
        if self.viewed and self.regrading and self.viewed is self.regrading.opened:
            return BatchActivity.REGRADING
        execution = self.execution
        if execution is None:
            return BatchActivity.IDLE
        if execution is not self.queue[0]:
            return BatchActivity.WAITING
        if execution.control.ending:
            return BatchActivity.FINISHING
        if not execution.opened.progress.is_open:
            return BatchActivity.LOADING
        return BatchActivity.PAUSED if execution.control.paused else BatchActivity.RUNNING

    @property
    def running(self) -> bool:
        """Whether the batch in view must be left as it is: it runs, is about to, or is graded again."""
        return self.activity is not BatchActivity.IDLE

    @property
    def is_busy(self) -> bool:
        """Whether a batch runs, or the one in view is graded again."""
        return bool(self.queue) or self.running

    @property
    def loads_others(self) -> bool:
        """Whether the models of the batch in view must be loaded in the place of the chat's."""
        if self.viewed is None or self.viewed.settings.is_demo:  # which is loaded beside it
            return False
        chosen = self.models.choice or self.chosen_models
        named = zip(Author, self.viewed.settings.named(OtherModels()), strict=False)
        return any(name and name != without_password(str(chosen.get(author))) for author, name in named)

    @property
    def under_way(self) -> int:
        """Answers that are being written or graded."""
        return self.queue[0].control.under_way if self.queue else 0

    @property
    def waits_for(self) -> str:
        """What a batch that is begun now waits for, in a sentence; "" for nothing."""
        return f"“{self.executed.batch.name}” is running; this batch begins after it." if self.executed else ""

    # Batches of the store. None is changed or deleted while it runs or waits: an error says so.

    def make_arms(self, recipes: Sequence[str], system: str, larges: Sequence[str] = ()) -> Sequence[Arm]:
        """Make arms from the chosen settings, without alternatives for every token. Raises SettingsError.

        `system`: the system prompt of the batch. `larges`: other large models that run as well.
        """
        settings = self.chosen_settings.model_copy(update={"system": system.strip(), "alternatives": 0})
        return arms_of(recipes, settings, larges)

    def create(self, found: ProblemSet, arms: Sequence[Arm], seeds: int, parallel: int) -> None:
        """Create a batch, view and start it."""
        store, models, notes = self.store, self.chosen_models, without_duplicates(arms).notes
        provenance = Provenance.of_this_machine((), str(models.small), str(models.large), found.origin)

        def create() -> Prepared:
            batch = create_batch(store, found.name, found.problems, arms, range(seeds), parallel, provenance=provenance)
            return OpenedBatch.read(store, batch), notes

        self._prepare(create)

    def open(self, batch_id: str) -> None:
        """View a batch, once it is read, which may take seconds. What runs goes on."""
        known = [each.opened for each in (*self.queue, self.regrading) if each]
        if found := next((each for each in known if each.batch.id == batch_id), None):
            self._show(found)  # what is in the store may be older
            return
        self._opening.run(lambda: OpenedBatch.read(self.store, batch_id), self._show)

    def delete(self, batch: Batch) -> None:
        """Delete a batch, unless it runs, and offer to restore it."""

        def deleted() -> None:
            self.changed.emit()
            self._actions.show_deleted(batch.name, restore)

        def restore() -> None:
            self._do("restore batch", lambda: self.store.batches.restore(batch.id), self.changed.emit)

        if not self._is_refused(batch.id):
            self._do("delete batch", lambda: self.store.batches.delete(batch.id), deleted)

    def add_arm(self, recipe: str) -> None:
        """Run the problems of the batch in view with this arm, too."""
        assert self.viewed
        store, batch_id = self.store, self.viewed.batch.id
        if self._is_refused(batch_id):
            return
        system = next((arm.settings.system for arm in known_arms(self.viewed.batch.arms)), "")
        arms = self.make_arms([recipe], system)

        def add() -> Prepared:
            notes = add_arms(store, batch_id, arms)
            return OpenedBatch.read(store, batch_id), notes

        self._prepare(add)

    # Running

    def start(self) -> None:
        """Run the jobs of the batch in view that wait or have failed, after the batch that runs now.

        Each error stays until the models that ran it are loaded.
        """
        if self.viewed and not (self.running or self._preparing.busy):
            self._add(self.viewed)

    def pause(self) -> None:
        """Complete the answers that are under way, and begin no other; if it is paused, go on."""
        if self.execution:
            control = self.execution.control
            (control.resume if control.paused else control.pause)()
        self.changed.emit()

    def stop(self) -> None:
        """Complete the answers that are under way, and begin no other; if asked again, stop them at their next token.

        The batch can be resumed, and then writes those anew. Grading is stopped at once, and then changes nothing.
        """
        activity, execution = self.activity, self.execution
        if self.regrading and activity is BatchActivity.REGRADING:
            self.regrading.task.stop()
        elif execution and activity is BatchActivity.WAITING:
            self.queue.remove(execution)
        elif execution:
            (execution.control.stop if execution.control.ending else execution.control.finish)()
        self.changed.emit()

    def regrade(self, how: GradingMethod) -> None:
        """Look for the answers of the batch in view again, and compare them in this way, unless it is running."""
        viewed = self.viewed
        if viewed is None or self.running or self.regrading:
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
            self.changed.emit()

        def done(error: BatonError | None) -> None:
            self.regrading = None
            if is_saved:
                known = [row for row, _ in found if row.job in viewed.rows]
                viewed.rows.update((row.job, row) for row in known)
                self.rows_changed.emit(viewed, known)
            self.changed.emit()
            if not error:
                stopped = "The grading was stopped, and has changed nothing."
                self._actions.say(regraded_in_words(found) if is_saved else stopped)
            self.report()

        self.regrading = Regrading(viewed, StreamTask(self, "regrade", grade), found)
        self.regrading.task.items(take).failure(self._actions.show_error).done(done).start()
        self.changed.emit()

    # Results

    def report(self) -> None:
        """Compute the report in a thread. While one is computed, the next request waits."""
        if (viewed := self.viewed) is None:
            return

        def compute() -> tuple[Results, Report, float]:
            began = time.monotonic()
            results = Results.read(self.store, viewed.batch.id)
            return results, results.report, time.monotonic() - began

        def deliver(found: tuple[Results, Report, float]) -> None:
            results, report, seconds = found
            viewed.batch = results.batch  # which names its models once they are loaded
            if self._next_report_ms:  # on a large one less often, a tenth of the time at most
                self._next_report_ms = max(REPORT_EVERY_MS, int(10_000 * seconds))
            if self.viewed is viewed:  # another one may have been opened meanwhile
                self.reported.emit(report)

        self._reporting.run(compute, deliver)

    def export(self, path: Path) -> None:
        """Write the results into a file, in the format of its suffix."""
        assert self.viewed
        store, batch_id = self.store, self.viewed.batch.id
        self._do("export", lambda: export(store, batch_id, path), lambda: self._actions.show_saved(path))

    # -----------------------------------------------------------------------------------------------------------------

    def _is_refused(self, batch_id: str) -> bool:
        """Refuse what cannot be done with a batch that runs, or waits to."""
        execution = next((each for each in self.queue if each.opened.batch.id == batch_id), None)
        if execution:
            told = f"“{execution.opened.batch.name}” is running."
            self._actions.show_error(Busy(told, "Stop it first, or wait until it is done."))
        return execution is not None

    def _prepare(self, prepare: Callable[[], Prepared]) -> None:
        """Create or extend a batch, then view and start it. Does nothing while another is being prepared."""

        def start(prepared: Prepared) -> None:
            opened, notes = prepared
            self._show(opened)
            self._add(opened)
            for note in notes:
                self._actions.say(note)

        if not self._preparing.busy:
            self._preparing.run(prepare, start)

    def _show(self, opened: OpenedBatch) -> None:
        self._opening.cancel()
        self.viewed, self._next_report_ms = opened, 0
        self.opened.emit()
        self.report()

    def _add(self, opened: OpenedBatch) -> None:
        """Execute a batch, after those that run or wait already."""
        if self.waits_for:
            self._actions.say(self.waits_for)
        self.queue.append(Execution(opened, self.models))
        if len(self.queue) == 1:
            self._begin()
        self.changed.emit()

    def _begin(self) -> None:
        execution = self.queue[0]
        opened, control = execution.opened, execution.control
        open_pair = partial(self._open_pair, execution, self.chosen_models)

        def run() -> Iterator[BatchEvent]:
            return execute(self.store, opened.batch.id, open_pair, control, parallel=opened.progress.parallel)

        def take(events: list[BatchEvent]) -> None:
            self.rows_changed.emit(opened, opened.take(events))
            for event in events:
                if isinstance(event, PolicyChosen):
                    self._actions.say(f"{event.arm}: {event.reason}")
            if any(isinstance(event, JobEnded | JobRetried) for event in events):
                self._report_soon(opened)

        task = StreamTask(self, "batch", run, cancel=control.stop)
        opened.error = None
        task.items(take).done(partial(self._ended, execution)).start()

    @contextmanager
    def _open_pair(self, execution: Execution, chosen: ModelChoice, wanted: WantedPair) -> Iterator[Pair]:
        """Load the pair of some arms, with room for one answer in the chat; called in the thread of the batch."""
        choice = self.models.choice_for(wanted._replace(parallel=wanted.parallel + 1), chosen)
        execution.models = self._demo if choice.is_demo else self.models
        with execution.models.lent(choice, execution.control.stopping) as pair:  # without what only the chat needs
            yield Pair(pair.small if wanted.small else None, pair.large if wanted.large else None)

    def _ended(self, execution: Execution, error: BatonError | None) -> None:
        """Begin the batch that is next. An error stays with its batch."""
        self.queue.remove(execution)
        execution.opened.progress.is_open, execution.opened.error = False, error
        self._demo.unload()
        if self.queue:
            self._begin()
        self.changed.emit()
        if self.viewed is execution.opened:
            self.report()

    def _models_changed(self) -> None:
        """Stop for other models that were chosen for the chat."""
        if not self.queue:
            return
        first = self.queue[0]
        is_in_the_way = self.models.state is LoadState.WAITING and self.models.is_lent
        if is_in_the_way and first.models is self.models and not first.control.ending:
            del self.queue[1:]
            first.control.stop()
            self._actions.say("The batch was stopped, since other models were chosen. Resuming it loads its own.")
        self.changed.emit()

    def _report_soon(self, opened: OpenedBatch) -> None:
        """Report on the batch that runs from time to time."""
        if opened is self.viewed and not self._report_timer.isActive():
            self._report_timer.start(self._next_report_ms)
            self._next_report_ms = self._next_report_ms or REPORT_EVERY_MS

    def _do(self, name: str, function: Callable[[], object], success: Callable[[], object]) -> None:
        """Read or change the store in the background: another program may hold it for seconds."""
        BackgroundTask(self, name, function).success(lambda _: success()).failure(self._actions.show_error).start()
