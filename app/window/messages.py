"""What the window tells: errors with the actions that help, saved files, and deletions that can be undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QUrl
from PySide6.QtGui import QDesktopServices

from baton_reasoning.app.session.loaded_models import LoadedModels
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.messages import Cause, MessageAction, MessageBar
from baton_reasoning.app.window.dialogs import WindowDialogs
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import BatonError, Busy, EngineError, ModelFileError, SettingsError, StoreError
from baton_reasoning.core.words.labels import STATES, fallback_text
from baton_reasoning.core.words.numbers import short_path


class WindowMessages(QObject):
    """The actions that the window offers to its pages (`WindowActions`)."""

    def __init__(self, bar: MessageBar, models: LoadedModels, preferences: Preferences, dialogs: WindowDialogs) -> None:
        super().__init__(bar)
        self._bar = bar
        self._models = models
        self._preferences = preferences
        self._deletions: list[Callable[[], object]] = []
        """What undoes each deletion of this session, the latest last."""
        self._is_restoring = False
        """Whether the models are being loaded that worked before others that did not."""
        self.use_model = dialogs.use_model
        self.use_pair = dialogs.use_pair
        self.reload_models = dialogs.reload_models
        self._dialogs = dialogs
        self.choose_models = dialogs.choose_models
        self.connect_server = dialogs.connect_server
        self.show_settings = dialogs.show_settings
        self.use_context = dialogs.use_context
        self.export = dialogs.export
        models.changed.connect(self._models_changed)
        models.ready.connect(self._models_ready)
        models.servers_changed.connect(self._servers_changed)
        models.writing_began.connect(lambda: bar.resolve(Cause.WRITING))

    def show_error(self, error: BatonError) -> None:
        """Show an error with the actions that fit it, until its cause is over."""
        self._bar.show_message(str(error), *self._engine_actions(error), cause=self._cause_of(error))

    def show_writing_error(self, error: BatonError) -> None:
        """Show why an answer could not be written; if it is a setting, offer to change that."""
        if isinstance(error, SettingsError):
            self._bar.show_message(str(error), ("Settings…", self.show_settings), cause=Cause.WRITING)
        else:
            self.show_error(error)

    def end_busy(self) -> None:
        """Remove what was said about other work that had to end first."""
        self._bar.resolve(Cause.BUSY)

    def say(self, text: str) -> None:
        """Show a sentence that a person should know."""
        self.offer(text)

    def offer(self, text: str, *actions: MessageAction) -> None:
        """Say something that is no error, and offer what can be done."""
        self._bar.show_message(text, *actions, warns=False)

    def show_saved(self, path: Path) -> None:
        """Say where a file was saved, and offer to open it or its folder."""
        self.offer(
            f"Saved to {short_path(path)}",
            ("Open", lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))),
            ("Show in folder", lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.parent)))),
        )

    def show_deleted(self, name: str, undo: Callable[[], object]) -> None:
        """Say that something was deleted, and offer to bring it back."""
        self._deletions.append(undo)
        text, way = f"“{name}” was deleted.", ("Undo", self.undo_deletion)
        self._bar.show_message(text, way, warns=False, cause=Cause.DELETION)

    def undo_deletion(self) -> None:
        """Bring back what was deleted last; done again, what was deleted before it."""
        if self._deletions:
            self._bar.resolve(Cause.DELETION)
            self._deletions.pop()()

    def show_saving(self, trouble: StoreError | None) -> None:
        """Say that saving fails, or that it works again."""
        if trouble:
            self._bar.show_message(str(trouble), cause=Cause.SAVING)
        else:
            self._bar.resolve(Cause.SAVING)
            self.say("Everything is saved again.")

    def _engine_actions(self, error: BatonError) -> list[MessageAction]:
        choose = ("Choose models…", self.choose_models)
        if isinstance(error, ModelFileError) and error is not self._models.error:
            return [choose]
        if not (isinstance(error, EngineError) or error is self._models.error):
            return []
        actions: list[MessageAction] = [("Try again", self._dialogs.reload_models), choose]
        if self._preferences.value.models.on_server:
            actions.insert(1, ("Server…", self.connect_server))
        return actions

    def _cause_of(self, error: BatonError) -> Cause | None:
        if error is self._models.error:
            return Cause.MODELS
        if isinstance(error, Busy):
            return Cause.BUSY
        if isinstance(error, EngineError):
            return Cause.SERVER if self._has_server_problem() else Cause.WRITING
        return None

    def _has_server_problem(self) -> bool:
        statuses = filter(None, map(self._models.server_status, (Author.SMALL, Author.LARGE)))
        return any(STATES[status.state].is_problem for status in statuses)

    def _servers_changed(self) -> None:
        if not self._has_server_problem():
            self._bar.resolve(Cause.SERVER)

    def _models_ready(self) -> None:
        """Say what a person should know of the pair, unless it is still to be read why other models failed."""
        if self._is_restoring:
            self._is_restoring = False
            return
        self._bar.resolve(Cause.MODELS)
        self._bar.resolve(Cause.SERVER)
        lacks = [fallback_text(card) for card in self._models.pair.cards.values()]
        if remarks := " ".join(dict.fromkeys(filter(None, [self._models.remark, *lacks]))):
            self._bar.show_message(remarks, cause=Cause.MODELS)

    def _models_changed(self) -> None:
        """Say why models could not be loaded, and load those before them again, if there are any."""
        error, failed = self._models.error, self._models.choice
        if not error:
            return
        text, actions = str(error), self._engine_actions(error)
        self._is_restoring = self._dialogs.restore_models()
        if self._is_restoring and failed:
            text += " The previous models are loaded again."
            actions[:-1] = [("Try again", lambda: self._dialogs.use_models(failed))]
        self._bar.show_message(text, *actions, cause=Cause.MODELS)
