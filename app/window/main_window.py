"""The main window: creates the parts (header, pages, message bar), connects them, and closes them in order."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QMessageBox, QStackedWidget, QWidget
from shiboken6 import isValid

from baton_reasoning.app.chat.page import ChatPage
from baton_reasoning.app.document.clipboard import release_clipboard
from baton_reasoning.app.servers.monitor import ServerMonitor
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.loaded_models import LoadedModels, Loader
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.session.repository import ConversationRepository
from baton_reasoning.app.toolkit.background import BackgroundTask, BackgroundTasks
from baton_reasoning.app.toolkit.controls import Hairline
from baton_reasoning.app.toolkit.file_drops import FileDrops
from baton_reasoning.app.toolkit.layout import holder, vbox
from baton_reasoning.app.toolkit.messages import Cause, MessageBar
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.app.window.commands import CommandPalette, ShortcutList, commands_of, install
from baton_reasoning.app.window.dropped_files import DroppedFiles
from baton_reasoning.app.window.focus import UndoKey, is_tab_stop, order_last
from baton_reasoning.app.window.new_version_notice import NewVersionNotice
from baton_reasoning.app.window.page_actions import PageActions
from baton_reasoning.app.window.speed_measurement import SpeedMeasurement
from baton_reasoning.app.window.topbar import TopBar
from baton_reasoning.core.errors import BatonError, StoreError
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.settings import ColourScheme, SettingsFile

if TYPE_CHECKING:
    from baton_reasoning.app.batch.page import BatchPage
    from baton_reasoning.core.store.store import Store

NARROW = 1120
"""Pixels below which the list of conversations makes room for an open inspector."""
FIRST_SIZE = QSize(1440, 900)
FRAME = QSize(16, 56)
"""Pixels kept free for the title bar and borders, whose size is not known before the window is shown."""


class MainWindow(QMainWindow):
    saving_changed = Signal(object)
    """A StoreError when saving begins to fail, None when it works again; emitted in the store's own thread."""

    def __init__(self, paths: Paths, loader: Loader) -> None:
        super().__init__()
        self.setWindowTitle("Baton")
        self.paths = paths
        self.tasks = BackgroundTasks.of(self)
        self.preferences = Preferences(SettingsFile(paths.settings), self)
        self.models = LoadedModels(loader, ModelCosts(paths.model_costs), self)
        self._monitor = ServerMonitor(self.models, self)
        self.session = ChatSession(self.models, self.preferences, self)
        self._speeds = SpeedMeasurement(self.models, self)
        self._appearance: tuple[ColourScheme, float] | None = None
        self._apply_appearance(with_sheet=False)
        self.topbar = TopBar(self.models, self.preferences)
        self.notice = MessageBar()
        self.page_actions = PageActions(self, self.notice, self.session, self.models, self.preferences, paths)
        self.chat = ChatPage(self.session, self.page_actions)
        self.inspector = self.chat.inspector
        self.inspector.hide()
        self._pages = QStackedWidget()
        self._new_version = NewVersionNotice(self.preferences, self.page_actions, self)
        self.drops = FileDrops(self)
        self.dropped = DroppedFiles(self.drops, self.page_actions, self._open_problems)
        self._undo_key = UndoKey(self)
        self._shown_page = "chat"
        self._batch: BatchPage | None = None
        self._batch_runs = False
        self._closes_anyway = False
        """Whether a person has agreed to lose what cannot be saved."""
        self._store: Store | None = None
        self.add_page("chat", "Chat", self.chat)
        self.commands = commands_of(self)
        install(self, self.commands, self.topbar.menu)
        self._lay_out()
        self._apply_appearance()
        self._connect()
        self._restore()

    def add_page(self, name: str, title: str, page: QWidget) -> None:
        page.setObjectName(name)
        self._pages.addWidget(page)
        self.topbar.add_page(name, title)
        self.topbar.show_page(self._shown_page)
        if name == self.preferences.value.window.page:
            self.show_page(name)  # where the window was left

    def show_page(self, name: str) -> None:
        page = self._pages.findChild(QWidget, name)
        if page is not None:
            self._shown_page = name
            if name == "batch" and not self._batch_runs:
                self.topbar.show_badge("batch", "", "")
            self._pages.setCurrentWidget(page)
            if page is self.chat and not page.isAncestorOf(QApplication.focusWidget() or page):
                (self.chat.composer.edit.setFocus if self.session.conversation.leaf else self.chat.focus_first)()
            self.topbar.show_page(name)
            self.preferences.change_window(page=name)

    def begin_work(self) -> None:
        """Start what may come after the first paint: store, models, typesetter."""
        from baton_reasoning.app.document import warm_up

        BackgroundTask(self, "load what renders texts", warm_up, waits=False).start()
        self.open_store()
        self.models.load(self.preferences.value.models)
        self._new_version.ask()

    def open_store(self) -> None:
        from baton_reasoning.app.chat.import_export import ImportExport
        from baton_reasoning.core.store.store import Store

        try:
            store = Store.open(self.paths.store, self.saving_changed.emit)
        except BatonError as error:
            told = f"{error.message} Answers will not be saved. {error.advice}"
            self.notice.show_message(told, cause=Cause.STORE)
            return
        self._store = store
        repository = ConversationRepository(store, self)
        self.saving_changed.connect(repository.saving_changed)
        self.session.use_repository(repository)
        self.chat.sidebar.use_repository(repository)
        self._add_batch_page(store)
        transfer = ImportExport(store, self.page_actions, self)
        transfer.read.connect(self._imported)
        self.page_actions.use_import_export(transfer)
        if store.notices:
            self.notice.show_message(" ".join(store.notices), cause=Cause.STORE)
        if last := self.preferences.value.window.conversation:
            self.session.open(last, quietly=True)

    def _add_batch_page(self, store: Store) -> None:
        from baton_reasoning.app.batch.page import BatchPage
        from baton_reasoning.app.session.pair_loader import PairLoader
        from baton_reasoning.core.models.options import hub_access

        access = partial(hub_access, self.paths.model_preferences)
        tiny = PairLoader(self.paths, costly_demo=False)
        self._batch = batch = BatchPage(self.models, self.preferences, tiny, self.page_actions, store, access)
        batch.session.changed.connect(self._show_batch)
        self.add_page("batch", "Batch", batch)

    def _show_batch(self) -> None:
        """Put a sign beside the page's name while a batch runs, and when one has ended that is not in view."""
        assert self._batch
        session = self._batch.session
        is_over = self._batch_runs and not session.executed
        self._batch_runs = bool(session.executed)
        if is_over:
            self.page_actions.end_busy()
        if session.executed:
            self.topbar.show_badge("batch", "▶", "running")
        elif is_over and self._shown_page != "batch" and (ended := session.execution.opened):
            is_done = ended.progress.total.done == ended.progress.total.jobs
            self.topbar.show_badge("batch", "✓" if is_done else "‖", "has ended")
            QApplication.alert(self)
        elif is_over or self._shown_page == "batch":
            self.topbar.show_badge("batch", "", "")

    def escape(self) -> None:
        """Let the page handle Esc while it has something to close or stop; else close the message."""
        pages = {"chat": self.chat, "batch": self._batch}
        page = pages.get(self._shown_page)
        if not (page and page.escape()):
            self.notice.close_newest()

    def choose_problems(self) -> None:
        """Choose a file of problems for a batch."""
        if self._batch:
            self.show_page("batch")
            self._batch.choose_file()

    def turn_light_or_dark(self) -> None:
        is_dark = self.palette().window().color().lightness() < 128
        appearance = self.preferences.value.appearance
        self.preferences.change(
            appearance=appearance.model_copy(update={"look": ColourScheme.LIGHT if is_dark else ColourScheme.DARK})
        )

    def show_palette(self) -> None:
        palette = CommandPalette(self.commands, self)
        palette.show()
        palette.edit.setFocus()

    def show_shortcuts(self) -> None:
        ShortcutList(self.commands, self).show()

    def show_sidebar(self, shown: bool) -> None:
        if shown and self._is_narrow:
            self.inspector.hide()
        self.chat.sidebar.setVisible(shown)
        self.preferences.change_window(sidebar=shown)

    def show_inspector(self, shown: bool) -> None:
        self.inspector.setVisible(shown)

    # Qt's own

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.ActivationChange and self.isActiveWindow():
            # what `baton` in a terminal, or a second window, may have written into the store meanwhile
            self.chat.sidebar.refresh()
            if self._batch:
                self._batch.refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if not event.oldSize().isValid() or (event.oldSize().width() < NARROW) is not self._is_narrow:
            self.topbar.show_narrow(self._is_narrow)
            self._make_room()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        is_turned = event.type() in (QEvent.Type.ShowToParent, QEvent.Type.HideToParent)
        if watched is self.inspector and is_turned and self._is_narrow:
            self._make_room()
        return super().eventFilter(watched, event)

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._store and not self._closes_anyway and (trouble := self._store.flush()):
            event.ignore()
            self._ask_to_close(trouble)
            return
        self.preferences.change_window(
            geometry=bytes(self.saveGeometry().toBase64().data()).decode("ascii"),
        )
        self.hide()
        self.session.runs.stop()
        self.tasks.close()  # answers and batches deliver their last events, which are saved
        for models in self.findChildren(LoadedModels):  # the chat's, and those of a demo batch
            models.close()
        self.preferences.save()
        if self._store:  # last of all, since everything else may still save something
            with suppress(StoreError):  # it was asked about
                self._store.close()
        release_clipboard()
        super().closeEvent(event)

    # -----------------------------------------------------------------------------------------------------------------

    def _ask_to_close(self, trouble: StoreError) -> None:
        lost = f"An answer, or a change to one, could not be saved. {trouble.message}"
        box = QMessageBox(QMessageBox.Icon.Warning, "Baton", f"{lost} Close anyway, or keep the window open?")
        box.setParent(self, box.windowFlags())
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        close = box.addButton("Close anyway", QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton("Keep open", QMessageBox.ButtonRole.RejectRole))
        close.clicked.connect(self._close_anyway)
        box.open()

    def _close_anyway(self) -> None:
        self._closes_anyway = True
        self.close()

    def _open_problems(self, path: Path) -> None:
        if self._batch:
            self.show_page("batch")
            self._batch.open_problems(path)

    def _lay_out(self) -> None:
        parts = self.topbar, Hairline(), (self._pages, 1), self.notice
        self.setCentralWidget(holder(vbox(*parts, margins=0, spacing=0)))
        self.setMinimumSize(760, 480)
        self.resize(first_size(self.screen().availableSize()))

    def _connect(self) -> None:
        self.topbar.page_wanted.connect(self.show_page)
        self.topbar.pair.choose_wanted.connect(self.page_actions.choose_models)
        self.topbar.pair.pair_chosen.connect(self.page_actions.use_models)
        self.topbar.policy.parameters_wanted.connect(lambda: self.page_actions.show_settings("policy"))
        self._speeds.measured.connect(self.topbar.pair.refresh)
        self.session.runs.ended.connect(self.topbar.pair.refresh)  # a model may have died
        self.session.failed.connect(self.page_actions.show_writing_error)
        self.session.activity_changed.connect(self.page_actions.end_busy)
        self.session.reviews.noticed.connect(self.page_actions.say)
        self.saving_changed.connect(self.page_actions.show_saving)
        self.session.path_changed.connect(self._remember_conversation)
        self.session.path_changed.connect(lambda: order_last(self.chat.foot))  # after the answers, which are made later
        self.session.activity_changed.connect(self._remember_conversation)  # arms side by side change no path
        self.chat.server_line.retry.clicked.connect(self._monitor.check)
        self._monitor.checked.connect(self.chat.server_line.asked)
        self.chat.splitterMoved.connect(self._remember_widths)
        self.preferences.changed.connect(self._apply_appearance)
        self.inspector.installEventFilter(self)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._keep_focus)
        self.preferences.failed.connect(self.page_actions.show_error)

    def _keep_focus(self, old: QWidget | None, new: QWidget | None) -> None:
        """When a focused button goes away with its work, put the focus where the work goes on, not on the top bar."""
        page = self._pages.currentWidget()
        self._undo_key.follow(old, new)
        if old is None or not isValid(old) or not self.isAncestorOf(old) or (old.isVisible() and old.isEnabled()):
            return
        if page is None or new is None:
            return
        if page is self.chat and (page.isAncestorOf(old) or not page.isAncestorOf(new)):
            self.chat.composer.edit.setFocus()
        elif not page.isAncestorOf(new) and (first := next(filter(is_tab_stop, page.findChildren(QWidget)), None)):
            first.setFocus()

    def _restore(self) -> None:
        state = self.preferences.value.window
        if state.geometry:
            self.restoreGeometry(QByteArray.fromBase64(state.geometry.encode("ascii", errors="ignore")))
        middle = max(420, self.width() - state.sidebar_width - state.inspector_width)
        self.chat.setSizes([state.sidebar_width, middle, state.inspector_width])
        self.show_page(state.page)
        self.chat.focus_first()

    def _apply_appearance(self, with_sheet: bool = True) -> None:
        chosen = self.preferences.value.appearance
        appearance = chosen.look, chosen.text_size
        application = QApplication.instance()
        if isinstance(application, QApplication) and (appearance != self._appearance or not application.styleSheet()):
            current_theme().use(*appearance, with_sheet)
        self._appearance = appearance

    @property
    def _is_narrow(self) -> bool:
        return self.width() < NARROW

    def _make_room(self) -> None:
        """Let the list of conversations go while a narrow window shows the inspector."""
        is_tight = self._is_narrow and not self.inspector.isHidden()
        self.chat.sidebar.setVisible(
            self.preferences.value.window.sidebar and not is_tight and not self.chat.is_comparing
        )

    def _imported(self, conversation: str) -> None:
        self.chat.sidebar.refresh()
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


def first_size(available: QSize) -> QSize:
    """Return the size of a window that was never resized, title bar excluded, on a screen with `available` pixels."""
    return FIRST_SIZE.boundedTo(available - FRAME)
