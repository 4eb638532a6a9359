"""The dialogs that the main window opens: models, a server, settings, and files to export and import."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.loaded_models import LoadedModels
from baton_reasoning.app.session.preferences import Preferences, documents_folder
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, ModelFileError
from baton_reasoning.core.models.options import ModelSource, file_source, parse_source
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.settings import ModelChoice

if TYPE_CHECKING:
    from baton_reasoning.app.chat.import_export import ImportExport

EXPORT_FILTERS = "Web page (*.html);;Markdown (*.md);;JSON with the whole trace (*.json)"
MOST_RECENT = 6
"""Pairs that are remembered as recent."""


class WindowDialogs(QObject):
    """Opens each dialog over the window and takes what a person chose there."""

    downloads_wanted = Signal(list)
    """HubFiles were chosen, which have to be downloaded first."""

    def __init__(
        self,
        window: QWidget,
        session: ChatSession,
        models: LoadedModels,
        preferences: Preferences,
        paths: Paths,
        show_error: Callable[[BatonError], None],
    ) -> None:
        super().__init__(window)
        self._window = window
        self._session = session
        self._models = models
        self._preferences = preferences
        self._paths = paths
        self._show_error = show_error
        self._import_export: ImportExport | None = None
        self._working: ModelChoice | None = None
        """The choice that was loaded last."""
        models.ready.connect(self._remember_working)

    def use_import_export(self, import_export: ImportExport) -> None:
        """Allow export and import, now that the store is open."""
        self._import_export = import_export

    def choose_models(self, choice: ModelChoice | None = None) -> None:
        """Choose two models, beginning with `choice`, else with the pair in use."""
        from baton_reasoning.app.window.pair_dialog import PairDialog

        chosen = self._preferences.value
        dialog = PairDialog(choice or chosen.models, self._models.servers, self._models.costs, self._window)
        dialog.offer(chosen, self._models_here)
        dialog.downloads_wanted.connect(self.downloads_wanted)
        dialog.chosen.connect(self.use_models)
        dialog.failed.connect(self._show_error)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def use_model(self, author: Author, source: ModelSource) -> None:
        """Load this model beside the other one in use; if they make no sense as a pair, ask first."""
        from baton_reasoning.app.window.pair_dialog import pair_warning

        choice = self._preferences.value.models.replaced(author, source)
        try:
            warning = pair_warning(choice.small, choice.large)
        except ModelFileError as error:
            self._show_error(error)
            return
        if warning:
            self.choose_models(choice)
        else:
            self.use_models(choice)

    def use_pair(self, small: Path, large: Path) -> None:
        """Load these two files."""
        sources = {"small": file_source(small), "large": file_source(large)}
        self.use_models(self._preferences.value.models.model_copy(update=sources))

    def use_models(self, choice: ModelChoice) -> None:
        """Load this pair, and remember it."""
        self._preferences.change(models=choice)
        if not choice.is_demo:
            pair = str(choice.small), str(choice.large)
            recent = dict.fromkeys((pair, *self._preferences.value.window.recent_pairs))
            self._preferences.change_window(recent_pairs=tuple(recent)[:MOST_RECENT])
        self._models.load(choice)

    def use_context(self, tokens: int) -> None:
        """Load the pair in use again, with room for so many tokens."""
        self.use_models(self._preferences.value.models.model_copy(update={"context": tokens}))

    def reload_models(self) -> None:
        """Load the pair in use again: it failed, or choices about it have changed."""
        self._models.load(self._preferences.value.models)

    def restore_models(self) -> bool:
        """Choose and load the models again that worked before those that could not be loaded; False if there are none.

        Models that were not chosen here, such as those of a batch, are left to whoever loaded them.
        """
        failed, working = self._models.choice, self._working
        if working is None or working == failed or failed != self._preferences.value.models:
            return False
        self._preferences.change(models=working)
        self._models.load(working)
        return True

    def _remember_working(self) -> None:
        if self._models.choice == self._preferences.value.models:
            self._working = self._models.choice

    def _models_here(self) -> list[Path]:
        """Return the paths of the models on this machine. Reads folders, so call it in a thread."""
        from baton_reasoning.core.models.library import known_folders, scan
        from baton_reasoning.core.models.options import load_preferences

        preferences = load_preferences(self._paths.model_preferences)
        folders = known_folders(preferences.folder or self._paths.models, preferences.added)
        return [model.header.path for model in scan(folders).models]

    def connect_server(self) -> None:
        """Test a server, choose how it is used, and use it as one of the two models."""
        from baton_reasoning.app.servers.server_dialog import Purpose, ServerDialog, probe_beside

        chosen, pair = self._preferences.value.models, self._models.pair
        on_server = chosen.on_server
        beside = Author.LARGE if on_server is Author.SMALL else Author.SMALL
        dialog = ServerDialog(
            self._models.servers,
            str(chosen.get(on_server)) if on_server else "",
            lambda: probe_beside(chosen.get(beside), pair.get(beside)),
            Purpose.USE,
            self._window,
        )
        dialog.use_wanted.connect(self._use_server)
        dialog.failed.connect(self._show_error)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def show_settings(self, section: str = "") -> None:
        """`section`: name of the section to show, "policy" say; by default the first."""
        from baton_reasoning.app.settings.dialog import SettingsDialog

        dialog = SettingsDialog(self._preferences, self._window, section)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def export(self, conversation: str = "", name: str = "") -> None:
        """Save a conversation, by default the open one, as a file that the person chooses."""
        shown = self._session.conversation
        if not conversation and shown.roots:
            conversation, name = shown.id, shown.name
        if not self._import_export or not conversation:
            self._show_error(BatonError("There is nothing to export yet.", "Ask something first."))
            return
        start = self._file_folder() / f"{_file_name(name)}.html"
        file, _ = QFileDialog.getSaveFileName(self._window, "Export the conversation", str(start), EXPORT_FILTERS)
        if file:
            self._preferences.change_window(file_folder=str(Path(file).parent))
            self._import_export.write(conversation, Path(file))

    def import_file(self) -> None:
        start = str(self._file_folder())
        file, _ = QFileDialog.getOpenFileName(self._window, "Import a conversation", start, "Conversations (*.json)")
        if file and self._import_export:
            self._preferences.change_window(file_folder=str(Path(file).parent))
            self._import_export.read_file(Path(file))

    def _file_folder(self) -> Path:
        """Return the folder of the last export or import; at first, or if it is gone, that of documents."""
        last = Path(self._preferences.value.window.file_folder)
        return last if last.is_absolute() and last.is_dir() else documents_folder()

    def _use_server(self, author: Author, address: str) -> None:
        self.use_models(self._preferences.value.models.replaced(author, parse_source(address)))


def _file_name(name: str) -> str:
    """Leave out of a conversation's name what the names of files cannot have."""
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]+', "-", name[:40]).strip(" .-") or "conversation"
