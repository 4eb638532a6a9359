"""The models on this machine: all of them as a list, and the card of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QListView, QSplitter, QWidget

from baton_reasoning.app.models.card import ModelCardView
from baton_reasoning.app.models.controller import LibraryEntry, ModelsController, place
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import LazyWidget
from baton_reasoning.core.models.fit import Fit, in_gib
from baton_reasoning.core.models.library import BrokenFile, FolderOrigin, LocalModel
from baton_reasoning.core.words.labels import fit_text

LIST_WIDTH = 260
"""Pixels, at least: a name, and below it size, quantisation and fit."""
CARD_WIDTH = 420
"""Pixels: the buttons of a card in one row."""


class LocalModelsTab(QSplitter):
    use_wanted = Signal(object, object)
    """Author and path: put this model into the pair."""
    reload_wanted = Signal()
    list_width_changed = Signal(int)
    """The person moved the splitter: pixels of the list."""

    def __init__(self, controller: ModelsController, list_width: int, parent: QWidget | None = None) -> None:
        """`list_width`: pixels, as the splitter was left."""
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._list_width = list_width
        self._wanted: Path | None = None
        self._chosen: Path | None = None
        """The model whose card is shown, while the list is filled anew."""
        self.library = LibraryModel(controller)
        self.list = QListView()
        self.list.setModel(self.library)
        self.list.setAccessibleName("Models on this machine")
        self.list.setSpacing(1)
        self.list.setMinimumWidth(LIST_WIDTH)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._controller = controller
        self._card = LazyWidget(self._make_card)
        self._card.setMinimumWidth(CARD_WIDTH)
        self.addWidget(self.list)
        self.addWidget(self._card)
        self.setStretchFactor(1, 1)
        self.setChildrenCollapsible(False)
        self.list.selectionModel().currentChanged.connect(self._show_card)
        self.library.modelAboutToBeReset.connect(self._keep_choice)
        self.library.modelReset.connect(self._reloaded)
        self.splitterMoved.connect(self._take_list_width)

    @property
    def card(self) -> ModelCardView:
        return self._card.part

    def choose(self, path: Path) -> None:
        """Show the card of this model, or of one in this folder, as soon as it is there."""
        self._wanted = path
        self._choose_wanted()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the width of the list; the card takes the rest."""
        super().resizeEvent(event)
        self.setSizes([self._list_width, max(CARD_WIDTH, self.width() - self.handleWidth() - self._list_width)])

    def _take_list_width(self) -> None:
        self._list_width = self.list.width()
        self.list_width_changed.emit(self._list_width)

    def _make_card(self) -> ModelCardView:
        card = ModelCardView(self._controller)
        card.use_wanted.connect(lambda author, model: self.use_wanted.emit(author, model.header.path))
        card.reload_wanted.connect(self.reload_wanted)
        return card

    def _keep_choice(self) -> None:
        row = self.list.currentIndex().row()
        self._chosen = path_of(self.library.rows[row]) if row >= 0 else None

    def _reloaded(self) -> None:
        if not self._choose_wanted() and not self._choose(lambda path: path == self._chosen):
            self._show_card(self.list.currentIndex())

    def _choose_wanted(self) -> bool:
        found = self._choose(lambda path: self._wanted in (path, path.parent))
        if found:
            self._wanted = None
        return found

    def _choose(self, is_meant: Callable[[Path], bool]) -> bool:
        """Select the first row that matches, and return whether there is one."""
        row = next((row for row, entry in enumerate(self.library.rows) if is_meant(path_of(entry))), None)
        if row is not None:
            self.list.setCurrentIndex(self.library.index(row))
        return row is not None

    def _show_card(self, index: QModelIndex) -> None:
        rows = self.library.rows
        row = rows[index.row()] if index.isValid() and index.row() < len(rows) else None
        if row is not None or self._card.is_made:  # a card of nothing needs not be made yet
            self.card.show_row(row)


def path_of(row: LibraryEntry) -> Path:
    return row.header.path if isinstance(row, LocalModel) else row.path


Index = QModelIndex | QPersistentModelIndex


IN_USE = " · ▶ in use"


class LibraryModel(QAbstractListModel):
    """Rows are models by name, then broken files."""

    def __init__(self, controller: ModelsController) -> None:
        super().__init__(controller)
        self._controller = controller
        self.rows: list[LibraryEntry] = []
        self._texts: list[str] = []
        self._names: dict[Path, str] = {}
        self._fits = LatestTask(self, "judge models", controller.failed.emit)
        """Judging a model that does not fit takes milliseconds, so a thread does it, and what it found is kept."""
        controller.inventory_changed.connect(self._reload)
        controller.devices_found.connect(self._update_fit)
        controller.preferences_changed.connect(self._update_fit)
        controller.loaded_changed.connect(self._mark)
        self._reload()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  Qt's own signature
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            in_use = isinstance(row, LocalModel) and row.header.path in self._controller.loaded
            return self._texts[index.row()] + (IN_USE if in_use else "")
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.reason if isinstance(row, BrokenFile) else str(row.header.path)
        return None

    def _reload(self) -> None:
        inventory = self._controller.inventory
        self.beginResetModel()
        self.rows = [*inventory.models, *inventory.broken]
        self._names = names_of(inventory.models)
        self._texts = [row_text(row, None, self._names) for row in self.rows]
        self.endResetModel()
        self._update_fit()

    def _update_fit(self) -> None:
        rows, names = tuple(self.rows), self._names
        devices, choice_of = self._controller.devices, self._controller.loading_of
        if devices is None:
            return
        choices = {row: choice_of(row.header.path) for row in rows if isinstance(row, LocalModel)}

        def judged() -> list[str]:
            fits = {row: place(row, choice, devices) for row, choice in choices.items()}
            return [row_text(row, fits.get(row) if isinstance(row, LocalModel) else None, names) for row in rows]

        self._fits.run(judged, self._show)

    def _mark(self) -> None:
        """Mark the models that are in use now."""
        if self.rows:
            self.dataChanged.emit(self.index(0), self.index(len(self.rows) - 1))

    def _show(self, texts: list[str]) -> None:
        if len(texts) == len(self.rows):  # a scan may have found others meanwhile; then they are judged next
            self._texts = texts
            self.dataChanged.emit(self.index(0), self.index(len(self.rows) - 1))


def names_of(models: Sequence[LocalModel]) -> dict[Path, str]:
    """Name each model: files of a person, and those whose names are equal, with the file; if that is equal, too, with
    its folder."""
    titles = Counter(model.header.name for model in models)
    files = Counter((model.header.name, model.header.path.name) for model in models)
    names = {}
    for model in models:
        title, path = model.header.name, model.header.path
        if files[title, path.name] > 1:
            title += f" · {path.parent.name}/{path.name}"
        elif titles[title] > 1 or model.source is FolderOrigin.USER:
            title += f" · {path.name}"
        names[path] = title
    return names


def row_text(row: LibraryEntry, fit: Fit | None, names: Mapping[Path, str]) -> str:
    """Return two lines: the name, and what it is; without a fit while the machine has not answered."""
    if isinstance(row, BrokenFile):
        return f"{row.path.name}\n✗ cannot be used · {row.source.value}"
    header = row.header
    facts = [header.size_label, header.quantisation, in_gib(header.file_bytes), fit_text(fit) if fit else ""]
    return f"{names[header.path]}\n{' · '.join(filter(None, facts))}"
