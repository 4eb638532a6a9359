"""Adds the Models page to the window, and loads the pair chosen there."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.toolkit.background import BackgroundTask
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.models.options import DEMO_FOLDER, HubFile, file_source

if TYPE_CHECKING:
    from baton_reasoning.app.models.controller import ModelsController
    from baton_reasoning.app.models.page import ModelsPage
    from baton_reasoning.core.secrets import Secrets


def add_models_page(
    window: MainWindow, secrets: Callable[[], Secrets] | None = None, home: Path | None = None
) -> LazyModelsPage:
    """`secrets` and `home` replace the user's own in tests."""
    tab = LazyModelsPage(window, secrets, home)
    window.add_page("models", "Models", tab)
    return tab


class LazyModelsPage(QWidget):
    """A placeholder that creates the Models page when it is first shown."""

    def __init__(self, window: MainWindow, secrets: Callable[[], Secrets] | None, home: Path | None) -> None:
        super().__init__()
        self._window = window
        self._secrets = secrets
        self._home = home
        self._page: ModelsPage | None = None
        self._controller: ModelsController | None = None
        self._is_importing = False
        window.dialogs.downloads_wanted.connect(self.offer)
        self.setLayout(vbox(margins=0))

    @property
    def page(self) -> ModelsPage:
        if self._page is None:
            self._page = self._make()
        return self._page

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._page is None and not self._is_importing:
            self._is_importing = True
            # In a thread: it takes a tenth of a second.
            task = BackgroundTask(
                self, "import the Models page", lambda: import_module("baton_reasoning.app.models.page")
            )
            task.done(lambda _: self.page.show()).start()

    def offer(self, files: list[HubFile]) -> None:
        """Show where these files are downloaded."""
        self._window.show_page("models")
        self.page.offer(files)

    def _make(self) -> ModelsPage:
        from baton_reasoning.app.models.controller import ModelsController
        from baton_reasoning.app.models.page import ModelsPage
        from baton_reasoning.core.secrets import Secrets

        secrets = (self._secrets or Secrets)()
        self._controller = controller = ModelsController(
            self._window.paths,
            secrets,
            built_in=(DEMO_FOLDER,),
            home=self._home,
            general=lambda: self._window.preferences.value.models.load_options,
            used=self._window.dialogs.files_used,
            parent=self,
        )
        preferences = self._window.preferences
        page = ModelsPage(controller, self._window.notice, preferences.value.window.model_list_width)
        page.list_width_changed.connect(lambda width: preferences.change_window(model_list_width=width))
        self._window.models.changed.connect(self._show_loaded)
        self._show_loaded()
        page.pair_wanted.connect(self._use_pair)
        page.model_wanted.connect(lambda author, model: self._window.dialogs.use_model(author, file_source(model)))
        page.reload_wanted.connect(self._window.reload_models)
        page.pair_dropped.connect(self._window.dropped.take)
        page.server_wanted.connect(self._window.dialogs.connect_server)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(page)
        return page

    def _show_loaded(self) -> None:
        cards = self._window.models.pair.cards.values()
        assert self._controller is not None
        self._controller.show_loaded({path: card for card in cards if (path := card.chosen_file)})

    def _use_pair(self, small: Path, large: Path) -> None:
        self._window.dialogs.use_pair(small, large)
        self._window.show_page("chat")
