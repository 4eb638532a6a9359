"""What the window says in toasts: errors with the actions that help, saved files, what can be undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QDesktopServices

from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.messages import Cause, ToastAction, Toasts
from baton_reasoning.app.window.dialogs import WindowDialogs
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, Busy, EngineError, ModelFileError, SettingsError, StoreError
from baton_reasoning.core.words.labels import STATES, fallback_text
from baton_reasoning.core.words.numbers import short_path


class WindowMessages(QObject):
    def __init__(self, toasts: Toasts, models: LoadedModels, preferences: Preferences, dialogs: WindowDialogs) -> None:
        super().__init__(toasts)
        self._toasts = toasts
        self._models = models
        self._preferences = preferences
        self._dialogs = dialogs
        self._is_restoring = False
        """Whether the models are being loaded that worked before others that did not."""
        models.changed.connect(self._models_changed)
        models.servers_changed.connect(self._servers_changed)
        models.writing_began.connect(lambda: toasts.resolve(Cause.WRITING))

    def show_error(self, error: BatonError) -> None:
        """Show an error with the actions that fit it, until its cause is over."""
        self._toasts.show_message(str(error), *self._engine_actions(error), cause=self._cause_of(error))

    def show_writing_error(self, error: BatonError) -> None:
        """Show why an answer could not be written; if it is a setting, offer to change that."""
        if isinstance(error, SettingsError):
            self._toasts.show_message(str(error), ("Settings…", self._dialogs.show_settings), cause=Cause.WRITING)
        else:
            self.show_error(error)

    def end_busy(self) -> None:
        """Remove what was said about other work that had to end first."""
        self._toasts.resolve(Cause.BUSY)

    def offer(self, text: str, *actions: ToastAction) -> None:
        """Say something that is no error, and offer what can be done."""
        self._toasts.show_message(text, *actions, warns=False)

    def say(self, text: str) -> None:
        self._toasts.show_message(text, warns=False)

    def choose_models(self) -> None:
        self._dialogs.choose_models()

    def connect_server(self) -> None:
        self._dialogs.connect_server()

    def show_settings(self, section: str = "") -> None:
        self._dialogs.show_settings(section)

    def export(self, conversation: str = "", name: str = "") -> None:
        self._dialogs.export(conversation, name)

    def use_context(self, tokens: int) -> None:
        self._dialogs.use_models(self._preferences.value.models.model_copy(update={"context": tokens}))

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
        self._toasts.show_message(f"“{name}” was deleted.", warns=False, undo=undo)

    def show_saving(self, trouble: StoreError | None) -> None:
        """Say that saving fails, or that it works again."""
        if trouble:
            self._toasts.show_message(str(trouble), cause=Cause.SAVING)
        else:
            self._toasts.resolve(Cause.SAVING)
            self._toasts.show_message("Everything is saved again.", warns=False)

    def _engine_actions(self, error: BatonError) -> list[ToastAction]:
        choose = ("Choose models…", self._dialogs.choose_models)
        if isinstance(error, ModelFileError) and error is not self._models.error:
            return [choose]
        if not (isinstance(error, EngineError) or error is self._models.error):
            return []
        actions: list[ToastAction] = [("Try again", self._reload), choose]
        if self._preferences.value.models.on_server:
            actions.insert(1, ("Server…", self._dialogs.connect_server))
        return actions

    def _cause_of(self, error: BatonError) -> Cause | None:
        if error is self._models.error:
            return Cause.MODELS
        if isinstance(error, Busy):
            return Cause.BUSY
        if isinstance(error, EngineError):
            return Cause.SERVER if self._has_server_problem() else Cause.WRITING
        return None

    def _reload(self) -> None:
        self._models.load(self._preferences.value.models)

    def _has_server_problem(self) -> bool:
        statuses = filter(None, map(self._models.server_status, (Author.SMALL, Author.LARGE)))
        return any(STATES[status.state].is_problem for status in statuses)

    def _servers_changed(self) -> None:
        if not self._has_server_problem():
            self._toasts.resolve(Cause.SERVER)

    def _models_changed(self) -> None:
        models = self._models
        if models.error:
            self._show_load_error(models.error)
        elif models.state is LoadState.READY and self._is_restoring:
            self._is_restoring = False  # why the other models could not be loaded is still to be read
        elif models.state is LoadState.READY:
            self._toasts.resolve(Cause.MODELS)
            self._toasts.resolve(Cause.SERVER)
            cards = [engine.card for engine in (models.pair.small, models.pair.large) if engine]
            if remarks := " ".join(dict.fromkeys(filter(None, [models.remark, *map(fallback_text, cards)]))):
                self._toasts.show_message(remarks, cause=Cause.MODELS)

    def _show_load_error(self, error: BatonError) -> None:
        """Say why models could not be loaded, and load those before them again, if there are any."""
        text, actions, failed = str(error), self._engine_actions(error), self._models.choice
        self._is_restoring = self._dialogs.restore_models()
        if self._is_restoring and failed:
            text += " The previous models are loaded again."
            actions[:-1] = [("Try again", lambda: self._dialogs.use_models(failed))]
        self._toasts.show_message(text, *actions, cause=Cause.MODELS)
