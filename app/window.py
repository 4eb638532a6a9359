"""The window: top bar, notice, pages. It knows the parts and connects them; each part does its own work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from app.chat.archive import Archive
from app.chat.page import ChatPage
from app.chat.session import ChatSession
from app.chat.transfer import FILTERS, Transfer
from app.commands import install
from app.models_in_use import Loader, ModelsInUse, State
from app.placement_words import retreat_words
from app.servers.lookout import Lookout
from app.settings.preferences import Preferences
from app.theme import Scheme, apply
from app.topbar import TopBar
from app.widgets.controls import Hairline
from app.widgets.notice import Notice, Way
from app.window_commands import commands_of
from core.engines.body import Author
from core.errors import BatonError, EngineError, ModelFileError, SettingsError
from core.paths import Paths
from core.settings import Look, ModelChoice, SettingsFile

if TYPE_CHECKING:
    from app.batch.page import BatchPage
    from core.store.store import Store

NARROW = 1120
"""Pixels below which the inspector makes room for the text unless it is asked for."""


class Window(QMainWindow):
    def __init__(self, paths: Paths, loader: Loader) -> None:
        super().__init__()
        self.setWindowTitle("Baton")
        self.paths = paths
        self.preferences = Preferences(SettingsFile(paths.settings), self)
        self.models = ModelsInUse(loader, self)
        self._lookout = Lookout(self.models, self)
        self.session = ChatSession(self.models, self.preferences, self)
        self._look = self.preferences.value.appearance
        self._dress()
        self.notice = Notice()
        self.topbar = TopBar(self.models, self.preferences)
        self.chat = ChatPage(self.session, self.preferences)
        self._pages = QStackedWidget()
        self._shown_page = "chat"
        self._finishers: list[Callable[[], None]] = []
        self._transfer: Transfer | None = None
        self._batch: BatchPage | None = None
        self.setAcceptDrops(True)
        self.add_page("chat", "Chat", self.chat)
        self.commands = commands_of(self)
        install(self, self.commands)
        self._lay_out()
        self._connect()
        self._restore()

    def add_page(self, name: str, title: str, page: QWidget, finish: Callable[[], None] | None = None) -> None:
        """Another page; `finish` ends what it has running when the window closes."""
        page.setObjectName(name)
        self._pages.addWidget(page)
        self.topbar.add_page(name, title)
        self.topbar.show_page(self._shown_page)
        if finish:
            self._finishers.append(finish)
        if name == self.preferences.value.window.page:
            self.show_page(name)  # where the window was left

    def show_page(self, name: str) -> None:
        page = self._pages.findChild(QWidget, name)
        if page is not None:
            self._shown_page = name
            self._pages.setCurrentWidget(page)
            self.topbar.show_page(name)
            self.preferences.change_window(page=name)

    def begin_work(self) -> None:
        """What may come after the first paint: the store, the models, the typesetter."""
        from app.rendering import warm_up

        warm_up()
        self.open_store()
        self.models.load(self.preferences.value.models)

    def open_store(self) -> None:
        from core.store.store import Store

        try:
            store = Store.open(self.paths.store)
        except BatonError as error:
            self.tell(error)
            return
        archive = Archive(store, self)
        self.session.use_archive(archive)
        self.chat.sidebar.use_archive(archive)
        self._add_batch_page(store)
        self._transfer = Transfer(store, self)
        self._transfer.written.connect(lambda path: self.notice.tell(f"Written: {path}", warns=False))
        self._transfer.read.connect(self._imported)
        self._transfer.failed.connect(self.tell)
        for sentence in store.notices:
            self.notice.tell(sentence, warns=False)
        if last := self.preferences.value.window.conversation:
            self.session.open(last, quietly=True)

    def _add_batch_page(self, store: Store) -> None:
        from app.batch.page import BatchPage

        self._batch = batch = BatchPage(self.models, self.preferences)
        batch.failed.connect(self.tell)
        batch.told.connect(lambda words: self.notice.tell(words, warns=False))
        batch.deleted.connect(
            lambda gone: self.notice.tell(
                f"“{gone.name}” was deleted.", ("Undo", lambda: batch.restore(gone)), warns=False
            )
        )
        batch.use_store(store)
        self.add_page("batch", "Batch", batch, batch.finish)

    def tell(self, error: BatonError) -> None:
        """Say what went wrong, with the way on that fits it."""
        ways: list[Way] = []
        if isinstance(error, EngineError | ModelFileError) or error is self.models.error:
            ways = [("Try again", self.reload_models), ("Choose models …", self.choose_models)]
            if self.preferences.value.models.on_server:
                ways.insert(1, ("Server …", self.connect_server))
        elif isinstance(error, SettingsError):
            ways = [("Settings …", self.show_settings)]
        self.notice.tell(str(error), *ways)

    def reload_models(self) -> None:
        self.models.load(self.preferences.value.models)

    def choose_models(self) -> None:
        from app.pair_dialog import PairDialog

        dialog = PairDialog(self.preferences.value.models, self.models.servers, self)
        dialog.chosen.connect(self._take_models)
        dialog.failed.connect(self.tell)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def connect_server(self) -> None:
        """Test a server, say how it is to be used, and use it as one of the two models."""
        from app.servers.dialog import Purpose, ServerDialog
        from app.servers.probe import probe_beside

        chosen, pair = self.preferences.value.models, self.models.pair
        on_server = chosen.on_server
        beside = Author.LARGE if on_server is Author.SMALL else Author.SMALL
        dialog = ServerDialog(
            self.models.servers,
            chosen.get(on_server) if on_server else "",
            lambda: probe_beside(chosen.get(beside), pair.get(beside), beside),
            Purpose.USE,
            self,
        )
        dialog.use_wanted.connect(self._use_server)
        dialog.failed.connect(self.tell)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def export(self, conversation: str = "") -> None:
        """Save a conversation, the open one if none is named, as a file that the person chooses."""
        conversation = conversation or (self.session.conversation.id if self.session.conversation.roots else "")
        if not self._transfer or not conversation:
            self.tell(BatonError("There is nothing to export yet.", "Ask something first."))
            return
        name = f"{self.session.conversation.name[:40]}.html"
        file, _ = QFileDialog.getSaveFileName(self, "Export the conversation", name, FILTERS)
        if file:
            self._transfer.write(conversation, Path(file))

    def import_file(self) -> None:
        file, _ = QFileDialog.getOpenFileName(self, "Import a conversation", "", "Conversations (*.json)")
        if file and self._transfer:
            self._transfer.read_file(Path(file))

    def choose_problems(self) -> None:
        """A file of problems, for a batch."""
        if self._batch:
            self.show_page("batch")
            self._batch.choose_file()

    def show_settings(self, section: str = "") -> None:
        from app.settings.dialog import SettingsDialog

        dialog = SettingsDialog(self.preferences, self, section)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def turn_light_or_dark(self) -> None:
        is_dark = self.palette().window().color().lightness() < 128
        appearance = self.preferences.value.appearance
        self.preferences.change(appearance=appearance.model_copy(update={"look": Look.LIGHT if is_dark else Look.DARK}))

    def show_sidebar(self, shown: bool) -> None:
        self.chat.sidebar.setVisible(shown)
        self.preferences.change_window(sidebar=shown)

    def show_inspector(self, shown: bool) -> None:
        self.chat.inspector.setVisible(shown)
        self.preferences.change_window(inspector=shown)
        if shown and self.width() < NARROW:
            self.chat.sidebar.hide()

    # Qt's own

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        was_narrow = event.oldSize().width() < NARROW if event.oldSize().isValid() else None
        is_narrow = self.width() < NARROW
        self.topbar.pair.show_narrow(is_narrow)
        if is_narrow is not was_narrow:
            self.chat.inspector.setVisible(not is_narrow and self.preferences.value.window.inspector)
            self.chat.sidebar.setVisible(self.preferences.value.window.sidebar and not self.chat.is_comparing)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self._batch and any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Problems: whatever page is shown, they are a batch."""
        if self._batch:
            self.show_page("batch")
            self._batch.dropEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.preferences.change_window(
            geometry=bytes(self.saveGeometry().toBase64().data()).decode("ascii"),
        )
        self.hide()
        for finish in self._finishers:
            finish()
        if self._transfer:
            self._transfer.finish()
        self.session.finish()
        self.chat.finish()
        self._lookout.finish()
        self.models.finish()
        self.preferences.save()
        super().closeEvent(event)

    # -----------------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for widget in (self.topbar, Hairline(), self.notice, self._pages):
            column.addWidget(widget, 1 if widget is self._pages else 0)
        self.setCentralWidget(centre)
        self.setMinimumSize(760, 480)
        self.resize(1440, 900)

    def _connect(self) -> None:
        self.topbar.page_wanted.connect(self.show_page)
        self.topbar.look_wanted.connect(self.turn_light_or_dark)
        self.topbar.settings_wanted.connect(lambda: self.show_settings())
        self.topbar.sidebar_wanted.connect(lambda: self.show_sidebar(not self.chat.sidebar.isVisible()))
        self.topbar.inspector_wanted.connect(lambda: self.show_inspector(not self.chat.inspector.isVisible()))
        self.topbar.pair.choose_wanted.connect(self.choose_models)
        self.topbar.policy.parameters_wanted.connect(lambda: self.show_settings("run"))
        self.session.failed.connect(self.tell)
        self.session.path_changed.connect(self._remember_conversation)
        self.session.activity_changed.connect(self._remember_conversation)  # arms side by side change no path
        self.chat.sidebar.failed.connect(self.tell)
        self.chat.sidebar.deleted.connect(self._deleted)
        self.chat.sidebar.export_wanted.connect(self.export)
        self.chat.export_wanted.connect(self.export)
        self.chat.splitterMoved.connect(self._remember_widths)
        self.models.changed.connect(self._models_changed)
        self.preferences.changed.connect(self._dress)
        self.preferences.failed.connect(self.tell)

    def _restore(self) -> None:
        state = self.preferences.value.window
        if state.geometry:
            self.restoreGeometry(QByteArray.fromBase64(state.geometry.encode("ascii", errors="ignore")))
        middle = max(420, self.width() - state.sidebar_width - state.inspector_width)
        self.chat.setSizes([state.sidebar_width, middle, state.inspector_width])
        self.show_page(state.page)
        self.chat.composer.edit.setFocus()

    def _dress(self) -> None:
        appearance = self.preferences.value.appearance
        application = QApplication.instance()
        if isinstance(application, QApplication) and (appearance != self._look or not application.styleSheet()):
            apply(application, Scheme(appearance.look.value), appearance.text_size)
        self._look = appearance

    def _take_models(self, choice: ModelChoice) -> None:
        self.preferences.change(models=choice)
        self.reload_models()

    def _use_server(self, author: Author, address: str) -> None:
        self._take_models(self.preferences.value.models.model_copy(update={author.value: address}))

    def _models_changed(self) -> None:
        if self.models.error:
            self.tell(self.models.error)
        elif self.models.state is State.READY:
            pair = self.models.pair
            cards = [engine.card for engine in (pair.small, pair.large) if engine]
            if words := " ".join(dict.fromkeys(filter(None, map(retreat_words, cards)))):
                self.notice.tell(words)

    def _deleted(self, conversation: str, name: str) -> None:
        self.session.forget(conversation)
        self.notice.tell(f"“{name}” was deleted.", ("Undo", lambda: self._undo(conversation)), warns=False)

    def _imported(self, conversation: str) -> None:
        self.chat.sidebar.refresh()
        self.session.open(conversation)

    def _undo(self, conversation: str) -> None:
        self.chat.sidebar.restore(conversation)
        self.session.open(conversation)

    def _remember_conversation(self) -> None:
        conversation = self.session.conversation
        self.preferences.change_window(conversation=conversation.id if conversation.roots else "")

    def _remember_widths(self) -> None:
        sidebar, _, inspector = self.chat.sizes()
        if sidebar:
            self.preferences.change_window(sidebar_width=max(120, sidebar))
        if inspector:
            self.preferences.change_window(inspector_width=max(200, inspector))
