"""The model files on this machine as one table, and what can be done with one of them, or with two."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices, QKeySequence, QShortcut
from PySide6.QtWidgets import QPushButton, QWidget

from baton_reasoning.app.models.controller import LibraryEntry, ModelsController, place
from baton_reasoning.app.models.model_dialog import ModelDialog
from baton_reasoning.app.toolkit.background import LatestTask
from baton_reasoning.app.toolkit.controls import button, delete_keys, key_text, label
from baton_reasoning.app.toolkit.layout import flowing, vbox
from baton_reasoning.app.toolkit.tables import RowTable
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.models.library import BrokenFile, LocalModel
from baton_reasoning.core.models.ollama import shown_name
from baton_reasoning.core.models.source import file_source
from baton_reasoning.core.table import NOTHING, Column
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import fit_text

COLUMNS = (Column("File", is_number=False), Column("Size"), Column("Quantisation", False), Column("Fits", False))
HINT = "Choose a file, or with Ctrl or ⌘ two of them for a pair; or drop GGUF files here."


class FilesTab(QWidget):
    def __init__(self, controller: ModelsController) -> None:
        super().__init__()
        self._controller = controller
        self.entries: list[LibraryEntry] = []
        self._fits: dict[Path, str] = {}
        self._wanted: Collection[Path] = ()
        """What `choose` waits for."""
        self._judging = LatestTask(self, "judge models", controller.actions.show_error)
        """Judging a model that does not fit takes milliseconds, so a thread does it, and what it found is kept."""
        self.table = RowTable("Models on this machine", COLUMNS, chooses_many=True)
        self.table.chosen_changed.connect(self._show_actions)
        self.table.activated.connect(lambda _: self._open_settings())
        self.hint = label(HINT, Role.MUTED, wrap=True)
        self.use = {author: self._use_button(author) for author in (Author.SMALL, Author.LARGE)}
        self.use_pair = button("Use as pair", self._use_pair, Role.PRIMARY)
        self.settings = button("Settings…", self._open_settings, tip="How it is loaded and writes (Enter)")
        self.folder = button("Open folder", self._open_folder)
        self.delete = button("Move to the trash", self._delete, Role.DANGER, tip=key_text(delete_keys()[0]))
        actions = flowing(*self.use.values(), self.use_pair, self.settings, self.folder, self.delete, gap=8)
        self.setLayout(vbox(self.hint, actions, (self.table, 1), margins=(0, 10, 0, 0), spacing=10))
        for key in delete_keys():
            here = Qt.ShortcutContext.WidgetShortcut
            QShortcut(QKeySequence(key), self.table, self._delete, context=here)
        controller.inventory_changed.connect(self._reload)
        controller.devices_found.connect(self._judge)
        controller.preferences_changed.connect(self._judge)
        controller.loaded_changed.connect(self._show)
        self._reload()

    def choose(self, paths: Collection[Path]) -> None:
        """Choose these files, or those in these folders, as soon as they are there."""
        self._wanted = paths
        self._show()

    @property
    def chosen(self) -> list[LibraryEntry]:
        return [self.entries[row] for row in self.table.chosen]

    def _reload(self) -> None:
        chosen = [path_of(entry) for entry in self.chosen]
        inventory = self._controller.inventory
        models = sorted(inventory.models, key=lambda model: shown_name(path_of(model)).lower())
        self.entries = [*models, *inventory.broken]
        self._show(chosen)
        self._judge()

    def _judge(self) -> None:
        devices, models = self._controller.devices, self._controller.inventory.models
        if devices is None:
            return
        choices = [(model, self._controller.loading_of(model.header.path)) for model in models]

        def judged() -> dict[Path, str]:
            return {model.header.path: fit_text(place(model, choice, devices)) for model, choice in choices}

        self._judging.run(judged, self._take_fits)

    def _take_fits(self, fits: dict[Path, str]) -> None:
        self._fits = fits
        self._show()

    def _show(self, chosen: Collection[Path] | None = None) -> None:
        """Fill the table; `chosen`: what was chosen before the entries changed."""
        paths = [path_of(entry) for entry in self.entries]
        if chosen is None:
            chosen = [paths[row] for row in self.table.chosen]
        if wanted := [path for path in paths if path in self._wanted or path.parent in self._wanted]:
            chosen, self._wanted = wanted, ()
        tips = [entry.reason if isinstance(entry, BrokenFile) else str(path_of(entry)) for entry in self.entries]
        cells = [(shown_name(path_of(entry)), *self._facts(entry)) for entry in self.entries]
        self.table.show_rows(cells, tips, [row for row, path in enumerate(paths) if path in chosen])

    def _facts(self, entry: LibraryEntry) -> tuple[str, str, str]:
        if isinstance(entry, BrokenFile):
            return NOTHING, NOTHING, "✗ cannot be used"
        header = entry.header
        in_use = " · ▶ in use" if header.path in self._controller.loaded else ""
        return in_gib(header.file_bytes), header.quantisation, self._fits.get(header.path, "") + in_use

    def _show_actions(self) -> None:
        """Offer what can be done with the chosen files, and say why nothing can be done with a broken one."""
        models = self._models
        (one,) = models if len(models) == 1 else (None,)
        broken = [entry.reason for entry in self.chosen if isinstance(entry, BrokenFile)]
        for each in (*self.use.values(), self.settings, self.folder):
            each.setVisible(one is not None)
        self.use_pair.setVisible(len(models) == 2 and not broken)
        self.delete.setVisible(one is not None and not one.why_kept)
        self.hint.setText(f"✗ {broken[0]}" if broken else (one and one.why_kept) or HINT)

    @property
    def _models(self) -> list[LocalModel]:
        return [entry for entry in self.chosen if isinstance(entry, LocalModel)]

    def _use_button(self, author: Author) -> QPushButton:
        def press() -> None:
            self._controller.actions.use_model(author, file_source(self._models[0].header.path))

        return button(f"{SIGN[author]} Use as {author.value}", press)

    def _use_pair(self) -> None:
        """Use two files as a pair, the one with fewer parameters as the small model."""
        headers = [model.header for model in self._models]
        small, large = sorted(headers, key=lambda header: (header.parameters, header.file_bytes))
        self._controller.use_pair(small.path, large.path)

    def _open_settings(self) -> None:
        if len(models := self._models) == 1:
            dialog = ModelDialog(models[0], self._controller, self.window())
            dialog.finished.connect(dialog.deleteLater)
            dialog.open()

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._models[0].header.path.parent)))

    def _delete(self) -> None:
        for model in self._models:
            if not model.why_kept:
                self._controller.delete(model)


def path_of(entry: LibraryEntry) -> Path:
    return entry.header.path if isinstance(entry, LocalModel) else entry.path
