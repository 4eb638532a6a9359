"""What the window says in toasts: errors with the actions that help, saved files, what can be undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QDesktopServices

from app.shared.format import short_path
from app.shared.labels import retreat_text
from app.shared.loaded_models import LoadedModels, LoadState
from app.shared.preferences import Preferences
from app.shared.widgets.notice import ToastAction, ToastMessage, Toasts
from app.window.dialogs import WindowDialogs
from core.errors import BatonError, EngineError, ModelFileError, SettingsError, StoreError


class WindowMessages(QObject):
    def __init__(self, toasts: Toasts, models: LoadedModels, preferences: Preferences, dialogs: WindowDialogs) -> None:
        super().__init__(toasts)
        self._toasts = toasts
        self._models = models
        self._preferences = preferences
        self._dialogs = dialogs
        self._load_failure: ToastMessage | None = None
        """Why the models could not be loaded, while that is so."""
        models.changed.connect(self._models_changed)

    def show_error(self, error: BatonError) -> None:
        """Show an error with the actions that fit it."""
        actions: list[ToastAction] = []
        if isinstance(error, EngineError | ModelFileError) or error is self._models.error:
            actions = [("Try again", self._reload), ("Choose models…", self._dialogs.choose_models)]
            if self._preferences.value.models.on_server:
                actions.insert(1, ("Server…", self._dialogs.connect_server))
        elif isinstance(error, SettingsError):
            actions = [("Settings…", self._dialogs.show_settings)]
        message = self._toasts.show_message(str(error), *actions)
        if error is self._models.error:
            self._load_failure = message

    def show_saved(self, path: Path) -> None:
        """Say where a file was saved, and offer to open it or its folder."""
        self._toasts.show_message(
            f"Saved to {short_path(path)}",
            ("Open", lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))),
            ("Show in folder", lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent)))),
            warns=False,
        )

    def show_deleted(self, name: str, undo: Callable[[], object]) -> None:
        """Say that something was deleted, and offer to bring it back."""
        self._toasts.show_message(f"“{name}” was deleted.", ("Undo", undo), warns=False)

    def show_saving(self, trouble: StoreError | None) -> None:
        """Say that saving fails, or that it works again."""
        if trouble:
            self.show_error(trouble)
        else:
            self._toasts.show_message("Everything is saved again.", warns=False)

    def _reload(self) -> None:
        self._models.load(self._preferences.value.models)

    def _models_changed(self) -> None:
        models = self._models
        if models.error:
            self.show_error(models.error)
            return
        if self._load_failure:
            self._toasts.dismiss(self._load_failure)
            self._load_failure = None
        if models.state is LoadState.READY:
            cards = [engine.card for engine in (models.pair.small, models.pair.large) if engine]
            if retreats := " ".join(dict.fromkeys(filter(None, map(retreat_text, cards)))):
                self._toasts.show_message(retreats)
