"""The batch page, which opens a file of problems, previews it and runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QStackedWidget, QWidget

from baton_reasoning.app.batch.preview import Preview
from baton_reasoning.app.batch.session import BatchSession
from baton_reasoning.app.batch.welcome import BatchWelcome
from baton_reasoning.app.session.loaded_models import LoadedModels, Loader
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.core.batch.reading.columns import ColumnNames
from baton_reasoning.core.batch.reading.problems import ProblemSet
from baton_reasoning.core.batch.running.arms import Arm, arms_of
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, DEMO_SETTINGS
from baton_reasoning.core.errors import BatonError, StoreError
from baton_reasoning.core.models.options import HubAccess, local_path
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import RunSettings, effective_settings
from baton_reasoning.core.store.batches import Batch, ResultRow
from baton_reasoning.core.store.store import Store

if TYPE_CHECKING:
    from baton_reasoning.app.batch.failure_view import FailureView
    from baton_reasoning.app.batch.run_view import RunView
    from baton_reasoning.app.batch.run_window import RunsInOrder


class BatchPage(QStackedWidget):
    failed = Signal(object)
    """A BatonError, for the window's notice."""
    noticed = Signal(str)
    """Something to know, for the window's notice."""
    saved = Signal(object)
    """The Path of a file that was written."""
    deleted = Signal(object)
    """A Batch, which `restore` brings back."""

    def __init__(
        self,
        models: LoadedModels,
        preferences: Preferences,
        demo_loader: Loader,
        hub_access: Callable[[], HubAccess] = HubAccess,
        parent: QWidget | None = None,
    ) -> None:
        """`models`: the chat's. `demo_loader`: opens the demo pair of a batch. `hub_access`: returns how to reach the
        Hub; called in a thread."""
        super().__init__(parent)
        self._hub_access = hub_access
        self._preferences = preferences
        demo = LoadedModels(demo_loader, models.costs, self)
        self.session = BatchSession(models, demo, lambda: preferences.value.models, self)
        self.welcome, self.preview = BatchWelcome(), Preview()
        self._source: Path | str = Path()
        """What was opened last: a file, a folder, or the name of a data set on the Hub."""
        self._previewed: Path | str = Path()
        for page in (self.welcome, self.preview):
            self.addWidget(page)
        self._connect()

    @cached_property
    def view(self) -> RunView:
        """The results of a batch, created on first use to keep start-up fast."""
        from baton_reasoning.app.batch.run_view import RunView

        view = RunView(self.session)
        view.left.connect(self._show_welcome)
        view.arm_wanted.connect(lambda recipe: self._add_arms([recipe]))
        view.larges_wanted.connect(lambda: self._add_arms([], self._choose_larges()))
        view.row_opened.connect(lambda row, problem: self._open_run(row, problem, view.model, view.point_to))
        view.failures_wanted.connect(self._show_failures)
        self.addWidget(view)
        return view

    @cached_property
    def failures(self) -> FailureView:
        """The failures of a batch, created on first use."""
        from baton_reasoning.app.batch.failure_view import FailureView

        failures = FailureView(self.session)
        failures.left.connect(lambda: self.setCurrentWidget(self.view))
        failures.row_opened.connect(lambda row, problem: self._open_run(row, problem, failures.failures))
        self.addWidget(failures)
        return failures

    def use_store(self, store: Store) -> None:
        """Use the opened store: batches can be saved, and earlier ones are listed."""
        self.session.use_store(store)
        self._show_welcome()

    def open_file(self, path: Path) -> None:
        """Read a file of problems and show its preview."""
        self._source = path
        self.session.read_file(path)

    def open_data_set(self, name: str) -> None:
        """Read a data set of the Hub, named as a person writes it, and show its preview."""
        self._source = name
        self.welcome.show_reading(True)
        self.session.read_data_set(self._source, self._hub_access)

    def choose_file(self) -> None:
        where, _ = QFileDialog.getOpenFileName(self, "Problems")
        if where:
            self.open_file(Path(where))

    def _show_preview(self, found: ProblemSet) -> None:
        self.welcome.show_reading(False)
        self._previewed = self._source
        self.preview.show_problems(found)
        self.preview.system.setText(self._preferences.value.run.system)
        self.setCurrentWidget(self.preview)

    def refresh(self) -> None:
        """List the batches that are in the store now."""
        if store := self.session.store:
            try:
                self.welcome.show_batches(store.batches.all())
            except StoreError as error:
                self.failed.emit(error)

    def _show_running(self) -> None:
        """Mark the batch that runs in the list of all."""
        running = self.session.running_batch
        self.welcome.show_running(running.batch.id if running and self.session.executes else "")
        if self.currentWidget() is self.welcome:
            self.refresh()

    def _show_welcome(self) -> None:
        self.refresh()
        self.setCurrentWidget(self.welcome)

    def restore(self, batch: Batch) -> None:
        """Undo a deletion."""
        self.session.restore(batch, self._show_welcome)

    def _delete(self, batch: Batch) -> None:
        def deleted() -> None:
            self._show_welcome()
            self.deleted.emit(batch)

        try:
            self.session.delete(batch, deleted)
        except BatonError as error:
            self.failed.emit(error)

    def _show_view(self) -> None:
        self.view.show_batch()
        self.setCurrentWidget(self.view)

    def _show_failures(self) -> None:
        self.setCurrentWidget(self.failures)
        self.failures.show_batch()

    def _open_run(
        self,
        row: ResultRow,
        problem: Problem,
        runs: RunsInOrder,
        turned: Callable[[ResultRow], object] = lambda _: None,
    ) -> None:
        """Open a window with every step of one run.

        Keys show the other `runs`; `turned` is called with the one that is shown instead.
        """
        from baton_reasoning.app.batch.run_window import RunWindow

        assert self.session.store
        stored = self.session.store.runs
        try:
            window = RunWindow(row, problem, lambda each: stored.trace(each.run), runs, self)
        except BatonError as error:
            self.failed.emit(error)
            return
        window.turned.connect(turned)
        window.failed.connect(self.failed)
        window.show()

    def _read_again(self, columns: ColumnNames) -> None:
        self._source = self._previewed
        if isinstance(self._source, Path):
            self.session.read_file(self._source, columns)
        else:
            self.session.read_data_set(self._source, self._hub_access, columns)

    def _start(self) -> None:
        preview = self.preview
        try:
            chosen = preview.chosen_arms or ([] if preview.larges else ["chosen"])
            arms = arms_of(chosen, self._settings(preview.system.text()), preview.larges)
            problems = preview.chosen_problems()
            self.session.create(problems, arms, preview.seeds.value(), preview.parallel.value())
        except BatonError as error:
            self.failed.emit(error)

    def _add_arms(self, recipes: Sequence[str], larges: Sequence[str] = ()) -> None:
        try:
            if recipes or larges:
                batch = self.session.batch
                system = Arm.shown(batch.arms[0]).settings.system if batch and batch.arms else None
                self.session.add_arms(arms_of(recipes, self._settings(system), larges))
        except BatonError as error:
            self.failed.emit(error)

    def _open_batch(self, batch_id: str) -> None:
        try:
            self.session.open(batch_id)
        except BatonError as error:
            self.failed.emit(error)

    def _settings(self, system: str | None = None) -> RunSettings:
        """Return the chosen settings without alternatives for every token; the demo pair has its own lengths.

        `system`: the system prompt of this batch; None is the one for new conversations.
        """
        chosen = self._preferences.value
        settings = effective_settings(chosen.run, DEMO_SETTINGS if chosen.models.is_demo else None)
        system = settings.system if system is None else system.strip()
        return settings.model_copy(update={"alternatives": 0, "system": system})

    def _choose_larges(self) -> list[str]:
        """Ask for the files of other large models."""
        large = local_path(self._preferences.value.models.large)
        folder = str(large.parent) if large else ""
        return QFileDialog.getOpenFileNames(self, "Other large models", folder, "Models (*.gguf)")[0]

    def _choose_folder(self) -> None:
        if where := QFileDialog.getExistingDirectory(self, "Folder of problems"):
            self.open_file(Path(where))

    def _connect(self) -> None:
        session = self.session
        session.read.connect(self._show_preview)
        session.opened.connect(self._show_view)
        session.failed.connect(self.failed)
        session.failed.connect(lambda _: self.welcome.show_reading(False))
        session.noticed.connect(self.noticed)
        session.progressed.connect(self.welcome.show_progress)
        session.changed.connect(self._show_running)
        session.exported.connect(lambda path: self.saved.emit(Path(path)))
        self.welcome.file_wanted.connect(self.choose_file)
        self.welcome.folder_wanted.connect(self._choose_folder)
        self.welcome.data_set_wanted.connect(self.open_data_set)
        self.welcome.sample_wanted.connect(lambda: self.open_file(BATCH_PROBLEMS))
        self.welcome.batch_wanted.connect(self._open_batch)
        self.welcome.delete_wanted.connect(self._delete)
        self.preview.columns_wanted.connect(self._read_again)
        self.preview.start_wanted.connect(self._start)
        self.preview.larges_wanted.connect(lambda: self.preview.show_larges(self._choose_larges()))
        self.preview.cancelled.connect(self._show_welcome)
