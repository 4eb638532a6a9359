"""The batch page, which opens a file of problems, previews it and runs it."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget

from baton_reasoning.app.batch.preview import Preview
from baton_reasoning.app.batch.session import BatchSession
from baton_reasoning.app.batch.welcome import BatchWelcome
from baton_reasoning.app.session.actions import WindowActions
from baton_reasoning.app.session.loaded_models import LoadedModels, Loader
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.core.batch.reading.columns import GUESS, Corrections
from baton_reasoning.core.batch.reading.problems import ProblemSet, read_problems
from baton_reasoning.core.errors import UnknownEncoding
from baton_reasoning.core.store.store import Store

if TYPE_CHECKING:
    from baton_reasoning.app.batch.results_view import ResultsView


class BatchPage(QStackedWidget):
    read = Signal()
    """A file of problems could be read."""

    def __init__(
        self, models: LoadedModels, preferences: Preferences, demo_loader: Loader, actions: WindowActions, store: Store
    ) -> None:
        """`models`: the chat's. `demo_loader`: opens the demo pair of a batch."""
        super().__init__()
        self._preferences, self._actions = preferences, actions
        demo = LoadedModels(demo_loader, models.costs, self)
        self.session = BatchSession(models, demo, preferences, actions, store, self)
        self.welcome = BatchWelcome(self.session)
        self._reading = LatestTask(self, "read problems", actions.show_error)
        self._listing = LatestTask(self, "list batches", actions.show_error)
        self._previewed = Path()
        self.addWidget(self.welcome)
        self.session.opened.connect(self._show_view)
        self.session.changed.connect(self._show_running)
        self.welcome.problems_wanted.connect(self.open_problems)
        self.refresh()

    @cached_property
    def preview(self) -> Preview:
        """The first problems of a file, created on first use, as the results are."""
        preview = Preview(self.session)
        self.session.changed.connect(preview.count_answers)  # which says what another batch would wait for
        self._preferences.changed.connect(preview.count_answers)
        preview.corrected.connect(lambda named: self._read(self._previewed, named))
        preview.cancelled.connect(self._show_welcome)
        self.addWidget(preview)
        return preview

    @cached_property
    def view(self) -> ResultsView:
        """The results of a batch, created on first use to keep start-up fast."""
        from baton_reasoning.app.batch.results_view import ResultsView

        view = ResultsView(self.session, self._actions)
        view.left.connect(self._show_welcome)
        self.addWidget(view)
        return view

    def open_problems(self, path: Path) -> None:
        """Read a file or a folder, and show its preview."""
        self._read(path, GUESS, is_new=True)

    def refresh(self) -> None:
        """List the batches that are in the store now; until they are read, the list before stays."""
        self._listing.run(self.session.store.batches.all, self.welcome.show_batches)

    def find_problems(self) -> bool:
        """Let a person find problems, if results are shown; whether they are."""
        if self._shows_results:
            self.view.filters.search.setFocus()
        return self._shows_results

    def escape(self) -> bool:
        """Close the answer beside the results; whether there was one."""
        return self._shows_results and self.view.close_answer()

    @property
    def _shows_results(self) -> bool:
        return self.currentWidget() not in (self.welcome, vars(self).get("preview"))

    def _read(self, path: Path, named: Corrections, is_new: bool = False) -> None:
        """Read with these corrections; unless the file is new, keep what was chosen for its batch."""

        def read() -> ProblemSet | UnknownEncoding:
            try:
                return read_problems(path, named=named)
            except UnknownEncoding as error:
                return error

        self._reading.run(read, partial(self._show_preview, path, is_new))

    def _show_preview(self, path: Path, is_new: bool, found: ProblemSet | UnknownEncoding) -> None:
        self.read.emit()
        self._previewed = path
        if is_new:
            self.preview.start_anew(self._preferences.value.run.system)
        if isinstance(found, UnknownEncoding):
            self.preview.show_unread(path.name, found)
        else:
            self.preview.show_problems(found)
        self.setCurrentWidget(self.preview)

    def _show_running(self) -> None:
        """List the batches again, where a person sees them."""
        if self.currentWidget() is self.welcome:
            self.refresh()

    def _show_welcome(self) -> None:
        self.refresh()
        self.setCurrentWidget(self.welcome)

    def _show_view(self) -> None:
        self.view.show_batch()
        self.setCurrentWidget(self.view)
