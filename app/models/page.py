"""The Models page: pairs that fit, the files here, the Hub, where everything is kept; and downloads below them."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QTabWidget, QWidget

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.models.downloads import Downloads
from baton_reasoning.app.models.files_tab import FilesTab
from baton_reasoning.app.models.hub_search_tab import HubSearchTab
from baton_reasoning.app.models.hub_settings_tab import HubSettingsTab
from baton_reasoning.app.models.pairs_tab import PairsTab
from baton_reasoning.app.toolkit.controls import FileDrops
from baton_reasoning.app.toolkit.layout import vbox


class ModelsPage(QWidget):
    def __init__(self, controller: ModelsController) -> None:
        super().__init__()
        self.controller = controller
        self._has_looked = False
        self.downloads = Downloads(controller)
        self.pairs = PairsTab(controller, self.downloads)
        self.files = FilesTab(controller)
        self.search = HubSearchTab(controller, self.downloads)
        self.access = HubSettingsTab(controller)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName("Models")
        self.tabs.tabBar().setDrawBase(False)
        for name, tab in (
            ("Pairs", self.pairs),
            ("Files on this machine", self.files),
            ("Search the Hub", self.search),
            ("Folders and access", self.access),
        ):
            self.tabs.addTab(tab, name)
        self.setLayout(vbox((self.tabs, 1), self.downloads, margins=(18, 10, 18, 12)))
        FileDrops(self).dropped.connect(self._take_dropped)

    def showEvent(self, event: QShowEvent) -> None:
        """Look at the folders and the machine when the page is first shown."""
        super().showEvent(event)
        if not self._has_looked:
            self._has_looked = True
            self.controller.refresh()

    def _take_dropped(self, paths: list[Path]) -> None:
        """Add the files and folders to those on this machine, and choose them: two models can be used as a pair."""
        self.tabs.setCurrentWidget(self.files)
        self.files.choose(paths)
        self.controller.add(paths)
