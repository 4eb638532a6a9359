"""What the window does for its pages: it tells of errors, files and deletions, loads models, and opens dialogs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QWidget

from baton_reasoning.app.chat.welcome import NEW_PROBLEM, another_problem
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.preferences import documents_folder, known_folder
from baton_reasoning.app.toolkit.background import BackgroundTask
from baton_reasoning.app.toolkit.messages import Cause, MessageAction, MessageBar
from baton_reasoning.app.toolkit.save_dialog import file_to_save
from baton_reasoning.core.conversation import Conversation, Exchange
from baton_reasoning.core.demo_pair import BeyondDemo
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import (
    BatonError,
    Busy,
    EngineError,
    ModelFileError,
    NotApplicable,
    ProblemFileError,
    SettingsError,
    StoreError,
)
from baton_reasoning.core.files import file_name, read_text
from baton_reasoning.core.models.gguf import GgufHeader, read_header
from baton_reasoning.core.models.ollama import is_blob, shown_name
from baton_reasoning.core.models.preferences import load_preferences
from baton_reasoning.core.models.source import ModelSource, file_source, parse_source
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.text import some_of
from baton_reasoning.core.words.authors import SIGN
from baton_reasoning.core.words.labels import STATES, fallback_text
from baton_reasoning.core.words.numbers import short_path

if TYPE_CHECKING:
    from baton_reasoning.core.store.store import Store

EXPORT_KINDS = {".html": "Web page", ".md": "Markdown", ".json": "JSON with the whole trace"}
MOST_RECENT = 6
"""Pairs that are remembered as recent."""


class PageActions(QObject):
    """The window's `WindowActions` and `ModelsActions`."""

    pairs_wanted = Signal()
    """The page of models is wanted, to choose a pair."""
    problems_dropped = Signal(object)
    """The Path of a file or a folder of problems."""
    imported = Signal(str)
    """The id of a conversation that has come into the store."""
    restored = Signal()
    """Conversations or batches that were deleted are in their lists again."""

    def __init__(
        self,
        window: QWidget,
        bar: MessageBar,
        session: ChatSession,
        paths: Paths,
    ) -> None:
        super().__init__(window)
        self._window, self._bar = window, bar
        self._session, self._models, self._preferences = session, session.models, session.preferences
        self._paths = paths
        self.store: Store | None = None
        """The conversations that can be exported, once it is open."""
        self._deletions: list[Callable[[], object]] = []
        """What undoes each deletion of this session, the latest last."""
        self._models.changed.connect(self._models_changed)
        self._models.ready.connect(self._models_ready)
        self._models.servers_changed.connect(self._servers_changed)
        self._models.writing_began.connect(lambda: bar.resolve(Cause.WRITING))

    # What it tells

    def show_error(self, error: BatonError) -> None:
        """Show an error with the actions that fit it, until its cause is over."""
        self._bar.show_message(str(error), *self._engine_actions(error), cause=self._cause_of(error))

    def remedies_of(self, error: BatonError) -> list[MessageAction]:
        """Return what can be done about an error that ended an answer or a batch."""
        is_setting = isinstance(error, SettingsError) and not isinstance(error, BeyondDemo)
        if is_setting and error is not self._models.error:
            return [("Settings…", self.show_settings)]
        return self._engine_actions(error)

    def show_writing_error(self, error: BatonError) -> None:
        """Show why an answer could not be written; if it is a setting, offer to change that."""
        cause = Cause.WRITING if isinstance(error, SettingsError) else self._cause_of(error)
        self._bar.show_message(str(error), *self.remedies_of(error), cause=cause)

    def end_busy(self) -> None:
        """Remove what was said about other work that had to end first."""
        self._bar.resolve(Cause.BUSY)

    def say(self, text: str, *actions: MessageAction) -> None:
        """Show a sentence that a person should know, and offer what can be done."""
        self._bar.show_message(text, *actions, warns=False)

    def ask(self, question: str, go_on: Callable[[], object]) -> None:
        """Ask whether to go on. “Leave it” closes the question."""
        self._bar.show_message(question, ("Continue", go_on), ("Leave it", lambda: None), warns=False, asks=True)

    def show_saved(self, path: Path) -> None:
        """Say where a file was saved, and offer to open it or its folder."""
        self.say(
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
        """Bring back what was deleted last; the next call brings back what was deleted before that."""
        if self._deletions:
            self._bar.resolve(Cause.DELETION)
            self._deletions.pop()()

    def show_recently_deleted(self) -> None:
        """List what was deleted in the last 30 days, and can be restored."""
        from baton_reasoning.app.window.deleted_dialog import DeletedDialog

        if self.store:
            dialog = DeletedDialog(self.store, self._window)
            dialog.restored.connect(self.restored)
            dialog.finished.connect(dialog.deleteLater)
            dialog.open()

    def show_saving(self, trouble: StoreError | None) -> None:
        """Say that saving fails, or that it works again."""
        if trouble:
            self._bar.show_message(str(trouble), cause=Cause.SAVING)
        else:
            self._bar.resolve(Cause.SAVING)
            self.say("Everything is saved again.")

    # The models

    def choose_models(self, choice: ModelChoice | None = None) -> None:
        """Choose two models, beginning with `choice`, else with the pair in use."""
        from baton_reasoning.app.window.pair_dialog import PairDialog

        dialog = PairDialog(choice or self._preferences.value.models, self._models, self._preferences, self._window)
        dialog.offer(self._models_here)
        dialog.chosen.connect(self.use_models)
        dialog.failed.connect(self.show_error)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def use_model(self, author: Author, source: ModelSource) -> None:
        """Load this model beside the other one in use; if they make no sense as a pair, ask first."""
        from baton_reasoning.app.window.pair_dialog import pair_warning

        choice = self._preferences.value.models.replaced(author, source)
        try:
            warning = pair_warning(choice.small, choice.large)
        except ModelFileError as error:
            self.show_error(error)
            return
        if warning:
            self.choose_models(choice)
        else:
            self.use_models(choice)

    def use_pair(self, small: ModelSource, large: ModelSource) -> None:
        """Load these two models."""
        self.use_models(self._preferences.value.models.model_copy(update={"small": small, "large": large}))

    def use_models(self, choice: ModelChoice) -> None:
        """Load this pair, now and when the window is opened again; if a batch or a review would end, ask first."""

        def switch() -> None:
            self._preferences.change(models=choice)
            self._models.load(choice)

        if self._models.is_wanted:
            told = "The models in use write a batch or a review."
            self.say(told, ("Stop it and switch", switch), ("Keep", lambda: None))
        else:
            switch()

    def use_context(self, tokens: int) -> None:
        """Load the pair in use again, with room for so many tokens."""
        self.use_models(self._preferences.value.models.model_copy(update={"context": tokens}))

    def reload_models(self) -> None:
        """Load the pair in use again: it failed, or choices about it have changed."""
        self.use_models(self._preferences.value.models)

    def connect_server(self) -> None:
        """Test a server, choose how it is used, and use it as one of the two models."""
        from baton_reasoning.app.window.server_dialog import ServerDialog

        chosen = self._preferences.value.models
        address = str(chosen.get(chosen.on_server)) if chosen.on_server else ""
        dialog = ServerDialog(self._models.servers, address, self._window, to_use=True)
        dialog.kept.connect(self._use_server)
        dialog.failed.connect(self.show_error)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def take_dropped(self, files: list[Path]) -> None:
        """Offer one model as small or large and two as a pair, open problems as a batch, import a conversation.

        Explain anything else, and name the files that are left out. A model is checked before it is called one.
        """
        from baton_reasoning.core.batch.reading.problems import SUPPORTED, can_hold_problems

        self._bar.resolve(Cause.PROBLEMS)
        models = [file for file in files if file.suffix.lower() == ".gguf" or is_blob(file)]
        first = next((file for file in files if can_hold_problems(file)), files[0])
        others = [file.name for file in files if file not in (models or [first])]
        left_out = f"Not opened: {some_of(others, 3)}. " if others else ""
        if len(models) > 2:
            self.show_error(NotApplicable(f"{len(models)} models were dropped; a pair has two.", "Drop two."))
        elif models:
            task = BackgroundTask(self, "read dropped models", lambda: [read_header(path) for path in models])
            task.success(partial(self._offer, left_out)).failure(self.show_error).start()
        elif not can_hold_problems(first) and not _is_conversation(first):
            told = f"{first.name} is neither a GGUF model nor a supported file of problems."
            self.show_error(NotApplicable(told, SUPPORTED))
        else:
            if left_out:
                self.say(f"{first.name} is opened. {left_out.strip()}")
            if self.store and first.suffix.lower() == ".json" and _is_conversation(first):
                self.read_file(self.store, first)
            else:
                self.problems_dropped.emit(first)

    # Settings and files

    def show_settings(self, section: str = "") -> None:
        """`section`: words that settings are searched for, "policy" say; by default the usual ones are shown."""
        from baton_reasoning.app.window.settings_dialog import SettingsDialog

        dialog = SettingsDialog(self._preferences, self._window, section)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def export(self, conversation: str = "", name: str = "") -> None:
        """Save a conversation, by default the open one, as a file that the person chooses."""
        shown = self._session.conversation
        if not conversation and shown.roots:
            conversation, name = shown.id, shown.name
        if not self.store or not conversation:
            self.show_error(NotApplicable("There is nothing to export yet.", "Ask something first."))
            return
        start = self._file_folder / f"{file_name(name[:40], 'conversation')}.html"
        if file := file_to_save(self._window, "Export the conversation", start, EXPORT_KINDS):
            self._preferences.change_window(file_folder=str(file.parent))
            self.write_file(self.store, conversation, file)

    def import_file(self) -> None:
        start = str(self._file_folder)
        file, _ = QFileDialog.getOpenFileName(self._window, "Import a conversation", start, "Conversations (*.json)")
        if file and self.store:
            self._preferences.change_window(file_folder=str(Path(file).parent))
            self.read_file(self.store, Path(file))

    def write_file(self, store: Store, conversation: str, path: Path) -> None:
        """Export in the format of the file's suffix, in the background: a long trace takes seconds."""
        from baton_reasoning.core.export.formats import FORMATS, write_file
        from baton_reasoning.core.export.json_format import gather

        def write() -> None:
            write_file(path, FORMATS, gather(store, conversation))

        task = BackgroundTask(self, "export", write).success(lambda _: self.show_saved(path))
        task.failure(self.show_error).start()

    def continue_in_chat(self, exchange: Exchange) -> None:
        """Store a copy of an answer of a batch as a conversation, in the background, and show it in the chat."""
        store = self.store
        assert store
        conversation = Conversation()
        conversation.add(Exchange(exchange.problem, exchange.settings, trace=exchange.trace))

        def add() -> str:
            store.add_conversation(conversation)
            return conversation.id

        BackgroundTask(self, "continue in chat", add).success(self.imported.emit).failure(self.show_error).start()

    def read_file(self, store: Store, path: Path) -> None:
        """Import what Baton exported as JSON, in the background."""
        from baton_reasoning.core.export.json_format import put_into, read_json

        def read() -> str:
            return put_into(store, read_json(read_text(path, "Choose a file that Baton exported.", StoreError)))

        BackgroundTask(self, "import", read).success(self.imported.emit).failure(self.show_error).start()

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _file_folder(self) -> Path:
        """The folder of the last export or import; at first, or if it is gone, that of documents."""
        return known_folder(self._preferences.value.window.file_folder) or documents_folder()

    def _models_here(self) -> list[Path]:
        """Return the paths of the models on this machine. Reads folders, so call it in a thread."""
        from baton_reasoning.core.models.library import known_folders, scan

        preferences = load_preferences(self._paths.model_preferences)
        folders = known_folders(preferences.folder or self._paths.models, preferences.added)
        return [model.header.path for model in scan(folders).models]

    def _offer(self, left_out: str, headers: list[GgufHeader]) -> None:
        """Offer models that were dropped. `left_out`: a sentence about what was dropped with them."""
        if len(headers) == 1:
            source = file_source(headers[0].path)
            self.say(
                f"{left_out}{shown_name(headers[0].path)} is a model.",
                ("Use as small", partial(self.use_model, Author.SMALL, source)),
                ("Use as large", partial(self.use_model, Author.LARGE, source)),
            )
            return
        small, large = (each.path for each in sorted(headers, key=lambda each: (each.parameters, each.file_bytes)))
        self.say(
            f"{left_out}{SIGN[Author.SMALL]} {shown_name(small)} and "
            f"{SIGN[Author.LARGE]} {shown_name(large)} can be a pair.",
            ("Use as pair", partial(self.use_pair, file_source(small), file_source(large))),
        )

    def _ask_new_problem(self) -> None:
        """Ask the demo pair a problem of its kind, in the conversation in view."""
        self._bar.resolve(Cause.WRITING)
        self._session.ask(another_problem())

    def _use_server(self, author: Author, address: str) -> None:
        self.use_models(self._preferences.value.models.replaced(author, parse_source(address)))

    def _engine_actions(self, error: BatonError) -> list[MessageAction]:
        if isinstance(error, BeyondDemo):
            return [(NEW_PROBLEM, self._ask_new_problem), ("Choose a pair", self.pairs_wanted.emit)]
        choose = ("Choose models…", self.choose_models)
        if isinstance(error, ModelFileError) and error is not self._models.error:
            return [choose]
        if not (isinstance(error, EngineError) or error is self._models.error):
            return []
        actions: list[MessageAction] = [("Load again", self.reload_models), choose]
        if self._preferences.value.models.on_server:
            actions.insert(1, ("Server…", self.connect_server))
        return actions

    def _cause_of(self, error: BatonError) -> Cause | None:
        if error is self._models.error:
            return Cause.MODELS
        if isinstance(error, BeyondDemo):
            return Cause.WRITING
        if isinstance(error, NotApplicable):
            return Cause.NOT_APPLICABLE
        if isinstance(error, Busy):
            return Cause.BUSY
        if isinstance(error, EngineError):
            return Cause.SERVER if self._has_server_problem() else Cause.WRITING
        return Cause.PROBLEMS if isinstance(error, ProblemFileError) else None

    def _has_server_problem(self) -> bool:
        statuses = filter(None, map(self._models.server_status, (Author.SMALL, Author.LARGE)))
        return any(STATES[status.state].is_problem for status in statuses)

    def _servers_changed(self) -> None:
        if not self._has_server_problem():
            self._bar.resolve(Cause.SERVER)

    def _models_ready(self) -> None:
        """Remember the pair, and say what a person should know of it."""
        choice = self._models.choice
        if choice == self._preferences.value.models and not choice.is_demo:
            pair = str(choice.small), str(choice.large)
            recent = dict.fromkeys((pair, *self._preferences.value.window.recent_pairs))
            self._preferences.change_window(recent_pairs=tuple(recent)[:MOST_RECENT])
        for cause in (Cause.MODELS, Cause.SERVER, Cause.WRITING):
            self._bar.resolve(cause)
        lacks = [fallback_text(card) for card in self._models.pair.cards.values()]
        if remarks := " ".join(dict.fromkeys(filter(None, [self._models.remark, *lacks]))):
            self._bar.show_message(remarks, cause=Cause.MODELS)

    def _models_changed(self) -> None:
        """Say why models could not be loaded."""
        if error := self._models.error:
            self.show_error(error)


def _is_conversation(file: Path) -> bool:
    """Tell whether a file is a conversation that Baton exported; reads its beginning."""
    from baton_reasoning.core.export.json_format import is_exported

    if not file.is_file():
        return False
    with suppress(OSError), file.open("rb") as opened:
        return is_exported(opened.read(2**20))
    return False
