"""Runs the waiting jobs of one batch: loads the models of its arms, one pair after another, and writes with each.

They are loaded in the place of the chat's. The demo pair of a batch is loaded beside the chat's, which is made to cost
what a real pair costs, one answer at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import NamedTuple

from PySide6.QtCore import QObject

from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.core.batch.running.arms import OtherModels
from baton_reasoning.core.batch.running.progress import BatchEvent
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.errors import BatonError, SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.models.options import DemoModel, parse_source
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.store.store import Store


class BatchActivity(Enum):
    IDLE = auto()
    LOADING = auto()
    """Waits for the models of the next arms."""
    RUNNING = auto()
    PAUSED = auto()
    FINISHING = auto()
    """Completes the answers that are under way, and begins no other."""
    REGRADING = auto()


class LoadedPair(NamedTuple):
    """The pair loaded for a batch, which models it is by name, and for how many parallel requests it was loaded."""

    pair: Pair
    names: OtherModels
    parallel: int


class BatchExecution(QObject):
    """Runs one batch at a time. `take` gets its events; `changed` is called when it begins, pauses, goes on or ends."""

    def __init__(
        self,
        models: LoadedModels,
        demo: LoadedModels,
        choice: Callable[[], ModelChoice],
        actions: WindowActions,
        take: Callable[[list[BatchEvent]], object],
        changed: Callable[[], object],
        parent: QObject,
    ) -> None:
        """`models`: the chat's. `demo`: load the demo pair of a batch. `choice`: returns the models that are chosen for
        the chat."""
        super().__init__(parent)
        self._chat, self._demo = models, demo
        self._models = models
        """Those that the batch runs on."""
        self._choice, self._actions, self._take, self._changed = choice, actions, take, changed
        self._make_runner: Callable[[Grader], Runner] | None = None
        self._parallel = 1
        self._runner: Runner | None = None
        self._is_loading = False
        self._groups: list[OtherModels] = []
        """The models whose arms are still to be run, those that run now first."""
        self._loaded = LoadedPair(Pair(), OtherModels(), 0)
        for each in (models, demo):
            each.changed.connect(self._models_changed)

    @property
    def status(self) -> str:
        """The status text of the models: what they wait for."""
        return self._models.status

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

    def start(self, store: Store, batch_id: str, groups: list[OtherModels], parallel: int, retry: bool) -> None:
        """Run the waiting jobs of the arms that use these models. `parallel`: problems at once.

        `retry`: also the jobs that ended in an error.
        """

        def make_runner(grader: Grader) -> Runner:
            return Runner(store, batch_id, self._models.pair, grader, parallel, self._groups[0], retry)

        self._make_runner, self._groups, self._parallel = make_runner, groups, parallel
        if groups:
            self._run_when_loaded()

    def pause(self) -> None:
        """Finish the running jobs and start no other; if it is paused, go on."""
        if self._runner:
            (self._runner.resume if self._runner.paused else self._runner.pause)()
        self._changed()

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
        self._changed()

    def _run_when_loaded(self) -> None:
        """Run once the models are loaded for all texts that are written at once and one answer in the chat.

        If an answer is being written there, the models are loaded after it.
        """
        self._is_loading = True
        self._changed()
        names, loaded = self._groups[0], self._loaded
        is_loaded = self._models.state is LoadState.READY and self._models.pair is loaded.pair
        if is_loaded and names == loaded.names and self._parallel < loaded.parallel:
            self._run()
        else:
            self._load(names)

    def _load(self, names: OtherModels) -> None:
        parallel = self._parallel + 1
        self._loaded = LoadedPair(Pair(), names, parallel)
        others = {which: parse_source(name) for which, name in names._asdict().items() if name}
        choice = self._choice().model_copy(update={"parallel": parallel, **others})
        self._models = self._demo if _is_demo(choice) else self._chat
        self._models.load(choice)

    def _give_back(self) -> None:
        """Give the chat the models that were chosen for it, if the batch had others in their place."""
        if not any(self._groups[0]):
            return
        if _is_demo(self._choice()):
            self._chat.load(self._choice())
        else:
            self._load(OtherModels())

    def _cancel_loading(self) -> None:
        self._is_loading = False
        self._give_back()

    def _models_changed(self) -> None:
        if self._runner and self._models.state is LoadState.WAITING:
            self._end(at_once=True)
            self._actions.say("The batch was stopped, since other models were chosen. It can resume with its own.")
        if not self._is_loading:
            if not self._runner and self._demo.state is LoadState.READY:
                self._demo.unload()  # the batch was stopped while they were loaded
            return
        if self._models.state is LoadState.READY:
            self._loaded = self._loaded._replace(pair=self._models.pair)
            self._run()
        elif self._models.state in (LoadState.FAILED, LoadState.NONE):
            error = self._models.error or SettingsError("There are no models to run.", "Choose two.")
            self._cancel_loading()
            self._actions.show_error(error)
        self._changed()

    def _run(self) -> None:
        assert self._make_runner
        self._is_loading = False
        grader = Grader()
        runner = self._runner = self._make_runner(grader)

        def run() -> Iterator[BatchEvent]:
            with grader:
                yield from runner.run()

        self._models.begin_writing(self)
        task = StreamTask(self, "batch", run, cancel=runner.stop)
        task.items(self._take).failure(self._actions.show_error).done(self._ended).start()
        self._changed()

    def _ended(self, error: BatonError | None) -> None:
        self._runner = None
        self._models.end_writing(self)
        self._demo.unload()
        waiting = [] if error else self._groups[1:]
        if waiting:
            self._groups = waiting
            self._run_when_loaded()
        else:
            self._give_back()
            self._groups = []
            self._changed()


def _is_demo(choice: ModelChoice) -> bool:
    return isinstance(choice.small, DemoModel) and isinstance(choice.large, DemoModel)
