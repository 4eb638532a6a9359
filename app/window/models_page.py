"""Adds the Models page to the window."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QWidget

from baton_reasoning.app.toolkit.background import BackgroundTask
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.window.main_window import MainWindow

if TYPE_CHECKING:
    from baton_reasoning.app.models.page import ModelsPage
    from baton_reasoning.core.secrets import Secrets


class LazyModelsPage(QWidget):
    """Adds itself to the window, and makes the page when it is first shown, or first used."""

    def __init__(
        self, window: MainWindow, secrets: Callable[[], Secrets] | None = None, home: Path | None = None
    ) -> None:
        """`secrets` and `home` replace the user's own in tests."""
        super().__init__()
        self._window = window
        self._secrets = secrets
        self._home = home
        self._column = vbox(margins=0)
        self.setLayout(self._column)
        window.add_page("models", "Models", self)

    @cached_property
    def part(self) -> ModelsPage:
        from baton_reasoning.app.models.controller import ModelsController
        from baton_reasoning.app.models.page import ModelsPage
        from baton_reasoning.core.secrets import Secrets

        window, secrets = self._window, (self._secrets or Secrets)()
        controller = ModelsController(
            window.paths,
            secrets,
            window.page_actions,
            window.preferences,
            window.models.costs,
            window.models.servers,
            home=self._home,
            parent=window,
        )

        def show_loaded() -> None:
            cards = window.models.pair.cards.values()
            controller.show_loaded({path: card for card in cards if (path := card.chosen_file)})

        window.models.changed.connect(show_loaded)
        controller.pair_used.connect(lambda: window.show_page("chat"))
        page = ModelsPage(controller)
        show_loaded()
        self._column.addWidget(page)
        return page

    def showEvent(self, event: QShowEvent) -> None:
        """Import the page in a thread before it is made: that takes a tenth of a second."""
        super().showEvent(event)
        if not self._column.count():
            work = partial(import_module, "baton_reasoning.app.models.page")
            BackgroundTask(self, "import the Models page", work).done(lambda _: self.part.show()).start()
