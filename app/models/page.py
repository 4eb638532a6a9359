"""The Models page: begin, what is on this machine, the Hub, downloads, and where everything is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QTabWidget, QWidget

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.models.downloads_tab import DownloadsTab
from baton_reasoning.app.models.hub_search_tab import HubSearchTab
from baton_reasoning.app.models.hub_settings_tab import HubSettingsTab
from baton_reasoning.app.models.local_models_tab import LocalModelsTab
from baton_reasoning.app.models.start_tab import StartTab
from baton_reasoning.app.toolkit.controls import LazyWidget
from baton_reasoning.app.toolkit.file_drops import FileDrops
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.messages import MessageBar
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.models.download import DownloadManifest
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.models.library import LocalModel
from baton_reasoning.core.models.options import DemoModel, HubFile


class ModelsPage(QWidget):
    pair_wanted = Signal(object, object)
    """Paths of the small and the large model to load."""
    model_wanted = Signal(object, object)
    """An author and the path of the model that it should have; the other one stays."""
    server_wanted = Signal()
    reload_wanted = Signal()
    """Load the window's pair again: choices about it have changed."""
    pair_dropped = Signal(list)
    """The paths of two models, which may be used as a pair."""
    list_width_changed = Signal(int)
    """The person moved the splitter beside the list of models: pixels of the list."""

    def __init__(
        self, controller: ModelsController, notice: MessageBar, list_width: int = 340, parent: QWidget | None = None
    ) -> None:
        """`notice`: where the window says what happened. `list_width`: pixels of the list of models."""
        super().__init__(parent)
        self._list_width = list_width
        self.controller = controller
        self.notice = notice
        self._has_scanned = False
        self._begin = LazyWidget(self._make_begin)
        self._here = LazyWidget(self._make_here)
        self._search = LazyWidget(self._make_search)
        self._downloads = LazyWidget(self._make_downloads)
        self._access = LazyWidget(lambda: HubSettingsTab(controller))
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName("Models")
        self.tabs.tabBar().setDrawBase(False)
        for name, tab in (
            ("Get started", self._begin),
            ("On this machine", self._here),
            ("Search the Hub", self._search),
            ("Downloads", self._downloads),
            ("Folders and access", self._access),
        ):
            self.tabs.addTab(tab, name)
        self.setLayout(vbox((self.tabs, 1), margins=(18, 10, 18, 12)))
        FileDrops(self).dropped.connect(self._take_dropped)
        controller.failed.connect(self._show_error)
        controller.trashed.connect(self._say_trashed)
        controller.not_trashed.connect(self._offer_deletion)

    @property
    def begin(self) -> StartTab:
        return self._begin.part

    @property
    def here(self) -> LocalModelsTab:
        return self._here.part

    @property
    def search(self) -> HubSearchTab:
        return self._search.part

    @property
    def downloads(self) -> DownloadsTab:
        return self._downloads.part

    @property
    def access(self) -> HubSettingsTab:
        return self._access.part

    def offer(self, files: Sequence[HubFile]) -> None:
        """Show where these files are downloaded: the card of their pair, else the first one among what the Hub has."""
        if files:
            self.tabs.setCurrentWidget(self._begin)
            self.begin.offer(files)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._has_scanned:
            self._has_scanned = True
            QTimer.singleShot(0, self, self._scan)

    def _take_dropped(self, paths: list[Path]) -> None:
        """Add the files and folders to those on this machine."""
        self.tabs.setCurrentWidget(self._here)
        self.here.choose(paths[0])
        self.controller.add(paths)
        if len(paths) == 2 and all(path.suffix.lower() == ".gguf" for path in paths):
            self.pair_dropped.emit(paths)

    # -----------------------------------------------------------------------------------------------------------------

    def _tabs(self) -> list[LazyWidget[Any]]:
        return [self._begin, self._here, self._search, self._downloads, self._access]

    def _scan(self) -> None:
        """Look at the folders, the machine and unfinished downloads, when the page is first shown."""
        self.controller.refresh()
        self.downloads.find_unfinished()
        QTimer.singleShot(0, self, self._make_next)

    def _make_next(self) -> None:
        """Make the tabs that were not shown yet one by one, with the window's other work in between."""
        waiting = [tab for tab in self._tabs() if not tab.is_made]
        if waiting:
            _ = waiting[0].part
            QTimer.singleShot(0, self, self._make_next)

    def _make_begin(self) -> StartTab:
        begin = StartTab(self.controller)
        begin.demo_wanted.connect(lambda: self.pair_wanted.emit(DemoModel.SMALL.path, DemoModel.LARGE.path))
        begin.server_wanted.connect(self.server_wanted)
        begin.pair_wanted.connect(self.pair_wanted)
        begin.download_wanted.connect(self._download)
        begin.not_offered.connect(self._search_for)
        return begin

    def _make_here(self) -> LocalModelsTab:
        here = LocalModelsTab(self.controller, self._list_width)
        here.list_width_changed.connect(self.list_width_changed)
        here.use_wanted.connect(self.model_wanted)
        here.reload_wanted.connect(self.reload_wanted)
        return here

    def _make_search(self) -> HubSearchTab:
        search = HubSearchTab(self.controller)
        search.download_wanted.connect(self._download)
        return search

    def _make_downloads(self) -> DownloadsTab:
        downloads = DownloadsTab(self.controller)
        downloads.count_changed.connect(self._count_downloads)
        downloads.arrived.connect(self._arrived)
        return downloads

    def _search_for(self, file: HubFile) -> None:
        self.tabs.setCurrentWidget(self._search)
        self.search.look_for(file)

    def _count_downloads(self, count: int) -> None:
        self.tabs.setTabText(self.tabs.indexOf(self._downloads), f"Downloads ({count})" if count else "Downloads")

    def _download(self, order: DownloadManifest) -> None:
        self.tabs.setCurrentWidget(self._downloads)
        self.downloads.begin(order)

    def _arrived(self, path: Path) -> None:
        self.here.choose(path)
        self.notice.show_message(f"{path.name} is on this machine.", ("Show it", self._show_here), warns=False)

    def _show_here(self) -> None:
        self.tabs.setCurrentWidget(self._here)

    def _say_trashed(self, model: LocalModel) -> None:
        freed = in_gib(model.header.file_bytes)
        self.notice.show_message(
            f"{model.header.name} is in the system's trash; emptying it frees {freed}.", warns=False
        )

    def _offer_deletion(self, model: LocalModel, error: BatonError) -> None:
        self.notice.show_message(str(error), ("Delete it for good", lambda: self.controller.delete_for_good(model)))

    def _show_error(self, error: BatonError) -> None:
        self.notice.show_message(str(error))
