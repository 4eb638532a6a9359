"""The Models page: begin, what is on this machine, the Hub, downloads, and where everything is kept."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QShowEvent
from PySide6.QtWidgets import QListView, QSplitter, QTabWidget, QVBoxLayout, QWidget

from app.models.access import Access
from app.models.card import ModelCardView
from app.models.downloads import Downloads
from app.models.library_list import LibraryModel
from app.models.pairs import Begin
from app.models.room import ModelRoom
from app.models.search import HubSearch
from app.widgets.notice import Notice
from core.demo_pair.files import LARGE_MODEL, SMALL_MODEL
from core.errors import BatonError
from core.models.fit import in_gib
from core.models.library import Model
from core.models.trash import Deletion

LIST_WIDTH = 260
"""Pixels: a name, and below it size, quantisation and fit."""


class ModelsPage(QWidget):
    pair_wanted = Signal(object, object)
    """Paths of the small and the large model to load."""
    model_wanted = Signal(object, object)
    """An author and the path of the model that it should have; the other one stays."""
    server_wanted = Signal()
    reload_wanted = Signal()
    """Load the window's pair again: choices about it have changed."""
    policy_wanted = Signal(str)
    """Decide by another policy than keywords."""

    def __init__(self, room: ModelRoom, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.room = room
        self._has_looked = False
        self._wanted: Path | None = None
        """A model to choose in the list as soon as it is there."""
        self.notice = Notice()
        self.begin = Begin(room)
        self.library = LibraryModel(room)
        self.list = QListView()
        self.list.setModel(self.library)
        self.list.setAccessibleName("Models on this machine")
        self.list.setSpacing(1)
        self.list.setMinimumWidth(LIST_WIDTH)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.card = ModelCardView(room)
        self.search = HubSearch(room)
        self.downloads = Downloads(room)
        self.access = Access(room)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        here = QSplitter(Qt.Orientation.Horizontal)
        here.addWidget(self.list)
        here.addWidget(self.card)
        here.setStretchFactor(0, 2)
        here.setStretchFactor(1, 3)
        here.setChildrenCollapsible(False)
        for name, tab in (
            ("Begin", self.begin),
            ("On this machine", here),
            ("Search the Hub", self.search),
            ("Downloads", self.downloads),
            ("Folders and access", self.access),
        ):
            self.tabs.addTab(tab, name)
        column = QVBoxLayout(self)
        column.setContentsMargins(18, 10, 18, 12)
        column.addWidget(self.notice)
        column.addWidget(self.tabs, 1)
        self.setAcceptDrops(True)
        self._connect()

    def refresh(self) -> None:
        """Look at the folders, the machine and what was left half downloaded. Asked for when the page is shown."""
        self._has_looked = True
        self.room.refresh()
        self.downloads.find_unfinished()

    def finish(self) -> None:
        """The window is closing."""
        self.downloads.finish()
        self.search.finish()
        self.begin.finish()
        self.card.finish()
        self.room.finish()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._has_looked:
            self.refresh()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            event.acceptProposedAction()
            self.tabs.setCurrentIndex(1)
            self._wanted = paths[0]
            self.room.add(paths)

    # -----------------------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        room = self.room
        room.failed.connect(self._say_error)
        room.deleted.connect(self._offer_undo)
        room.inventory_changed.connect(self._choose_wanted)
        self.list.selectionModel().currentChanged.connect(self._show_card)
        self.library.modelReset.connect(lambda: self._show_card(self.list.currentIndex()))
        self.card.use_wanted.connect(lambda author, model: self.model_wanted.emit(author, model.header.path))
        self.card.reload_wanted.connect(self.reload_wanted)
        self.card.policy_wanted.connect(self.policy_wanted)
        self.begin.demo_wanted.connect(lambda: self.pair_wanted.emit(SMALL_MODEL, LARGE_MODEL))
        self.begin.server_wanted.connect(self.server_wanted)
        self.begin.pair_wanted.connect(self.pair_wanted)
        self.begin.download_wanted.connect(self._download)
        self.search.download_wanted.connect(self._download)
        self.downloads.count_changed.connect(
            lambda count: self.tabs.setTabText(3, f"Downloads ({count})" if count else "Downloads")
        )
        self.downloads.arrived.connect(self._arrived)

    def _download(self, order: object) -> None:
        self.tabs.setCurrentWidget(self.downloads)
        self.downloads.begin(order)  # type: ignore[arg-type]

    def _arrived(self, path: Path) -> None:
        self._wanted = path
        self.notice.tell(f"{path.name} is on this machine.", ("Show it", self._show_library), warns=False)

    def _show_library(self) -> None:
        self.tabs.setCurrentIndex(1)

    def _choose_wanted(self) -> None:
        for row, entry in enumerate(self.library.rows):
            path = entry.header.path if isinstance(entry, Model) else entry.path
            if self._wanted in (path, path.parent):
                self.list.setCurrentIndex(self.library.index(row))
                self._wanted = None
                return

    def _show_card(self, index: QModelIndex) -> None:
        rows = self.library.rows
        self.card.show_row(rows[index.row()] if index.isValid() and index.row() < len(rows) else None)

    def _offer_undo(self, deletion: Deletion) -> None:
        self.notice.tell(
            f"{deletion.name} was deleted; {in_gib(deletion.freed_bytes)} are free when Baton closes.",
            ("Undo", lambda: self.room.undo(deletion)),
            warns=False,
        )

    def _say_error(self, error: BatonError) -> None:
        self.notice.tell(str(error))
