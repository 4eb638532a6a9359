"""Adds the Models page to the window."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from baton_reasoning.app.toolkit.background import BackgroundTask
from baton_reasoning.app.toolkit.controls import LazyWidget
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.models.options import DEMO_FOLDER, HubFile

if TYPE_CHECKING:
    from baton_reasoning.app.models.page import ModelsPage
    from baton_reasoning.core.secrets import Secrets


class ImportedPage(LazyWidget["ModelsPage"]):
    """Imports the page in a thread before it is made: that takes a tenth of a second."""

    def _fill(self) -> None:
        task = BackgroundTask(self, "import the Models page", lambda: import_module("baton_reasoning.app.models.page"))
        task.done(lambda _: self.part.show()).start()


def add_models_page(
    window: MainWindow, secrets: Callable[[], Secrets] | None = None, home: Path | None = None
) -> ImportedPage:
    """Add a page that is made when it is first shown. `secrets` and `home` replace the user's own in tests."""

    def make() -> ModelsPage:
        from baton_reasoning.app.models.controller import ModelsController
        from baton_reasoning.app.models.page import ModelsPage
        from baton_reasoning.core.secrets import Secrets

        controller = ModelsController(
            window.paths,
            (secrets or Secrets)(),
            window.page_actions,
            built_in=(DEMO_FOLDER,),
            home=home,
            general=lambda: window.preferences.value.models.load_options,
            used=window.page_actions.files_used,
            parent=window,
        )

        def show_loaded() -> None:
            cards = window.models.pair.cards.values()
            controller.show_loaded({path: card for card in cards if (path := card.chosen_file)})

        window.models.changed.connect(show_loaded)
        controller.pair_used.connect(lambda: window.show_page("chat"))
        page = ModelsPage(controller)
        show_loaded()
        return page

    def offer(files: list[HubFile]) -> None:
        window.show_page("models")
        page.part.offer(files)

    page = ImportedPage(make)
    window.page_actions.downloads_wanted.connect(offer)
    window.add_page("models", "Models", page)
    return page
