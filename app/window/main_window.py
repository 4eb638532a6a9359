"""The main window: creates the parts (top bar, pages, toasts), connects them, and closes them in order."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QStackedWidget, QWidget
from shiboken6 import isValid

from baton_reasoning.app.chat.page import ChatPage
from baton_reasoning.app.servers.monitor import ServerMonitor
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.loaded_models import LoadedModels, Loader
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.session.repository import ConversationRepository
from baton_reasoning.app.toolkit.background import BackgroundTask, BackgroundTasks
from baton_reasoning.app.toolkit.controls import Hairline
from baton_reasoning.app.toolkit.file_drops import FileDrops
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.messages import Toasts
from baton_reasoning.app.toolkit.theme import apply
from baton_reasoning.app.window.commands import CommandPalette, ShortcutList, commands_of, install
from baton_reasoning.app.window.dialogs import WindowDialogs
from baton_reasoning.app.window.dropped_files import DroppedFiles
from baton_reasoning.app.window.messages import WindowMessages
from baton_reasoning.app.window.new_version_notice import NewVersionNotice
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
"""Pixels below which the inspector makes room for the text unless it is asked for."""
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
        self.dialogs = WindowDialogs(self, self.session, self.models, self.preferences, paths, self.show_error)
        self._centre = QWidget()
        self.notice = Toasts(self._centre, self._toast_area)
        self.messages = WindowMessages(self.notice, self.models, self.preferences, self.dialogs)
        self.chat = ChatPage(self.session, self.preferences, self.messages)
        self.inspector = self.chat.inspector
        self._pages = QStackedWidget()
        self._new_version = NewVersionNotice(self.preferences, self.messages, self)
        self.drops = FileDrops(self)
        self.dropped = DroppedFiles(self.drops, self.messages, self.dialogs, self._open_problems)
        self._shown_page = "chat"
        self._batch: BatchPage | None = None
        self._batch_runs = False
        self._store: Store | None = None
        self.add_page("chat", "Chat", self.chat)
        self.commands = commands_of(self)
        install(self, self.commands)
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
            self.topbar.show_page(name)
            self.preferences.change_window(page=name)
            self.notice.place_soon()

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
            self.show_error(error)
            return
        self._store = store
        repository = ConversationRepository(store, self)
        self.saving_changed.connect(repository.saving_changed)
        self.session.use_repository(repository)
        self.chat.sidebar.use_repository(repository)
        self._add_batch_page(store)
        self.dialogs.use_import_export(ImportExport(store, self))
        for sentence in store.notices:
            self.notice.show_message(sentence, warns=False)
        if last := self.preferences.value.window.conversation:
            self.session.open(last, quietly=True)

    def _close_store(self) -> None:
        """Close the store last of all, since everything else may still save something."""
        if self._store:
            try:
                self._store.close()
            except StoreError as error:
                self.show_error(error)

    def _add_batch_page(self, store: Store) -> None:
        from baton_reasoning.app.batch.page import BatchPage
        from baton_reasoning.app.session.pair_loader import PairLoader
        from baton_reasoning.core.models.options import hub_access

        access = partial(hub_access, self.paths.model_preferences)
        tiny = PairLoader(self.paths, costly_demo=False)
        self._batch = batch = BatchPage(self.models, self.preferences, tiny, access)
        batch.failed.connect(self.show_error)
        batch.saved.connect(self.messages.show_saved)
        batch.noticed.connect(lambda text: self.notice.show_message(text, warns=False))
        batch.deleted.connect(lambda gone: self.messages.show_deleted(gone.name, lambda: batch.restore(gone)))
        batch.session.changed.connect(self._show_batch)
        batch.currentChanged.connect(self.notice.place_soon)  # other controls are in view
        batch.use_store(store)
        self.add_page("batch", "Batch", batch)

    def _show_batch(self) -> None:
        """Put a sign beside the page's name while a batch runs, and when one has ended that is not in view."""
        assert self._batch
        session = self._batch.session
        is_over = self._batch_runs and not session.executes
        self._batch_runs = session.executes
        if is_over:
            self.messages.end_busy()
        if session.executes:
            self.topbar.show_badge("batch", "▶", "running")
        elif is_over and self._shown_page != "batch" and (running := session.running_batch):
            is_done = running.progress.total.done == running.progress.total.jobs
            self.topbar.show_badge("batch", "✓" if is_done else "‖", "has ended")
            QApplication.alert(self)
        elif is_over or self._shown_page == "batch":
            self.topbar.show_badge("batch", "", "")

    def show_error(self, error: BatonError) -> None:
        """Show an error with the actions that fit it."""
        self.messages.show_error(error)

    def escape(self) -> None:
        """Let the chat page handle Esc while it has something to close or stop; else close the newest message."""
        if not (self._shown_page == "chat" and self.chat.escape()):
            self.notice.close_newest()

    def reload_models(self) -> None:
        self.models.load(self.preferences.value.models)

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
        self.chat.sidebar.setVisible(shown)
        self.preferences.change_window(sidebar=shown)

    def show_inspector(self, shown: bool) -> None:
        self.chat.inspector.setVisible(shown)
        self.preferences.change_window(inspector=shown)
        if shown and self.width() < NARROW:
            self.chat.sidebar.hide()

    # Qt's own

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.ActivationChange and self.isActiveWindow():
            self._refresh_lists()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        was_narrow = event.oldSize().width() < NARROW if event.oldSize().isValid() else None
        is_narrow = self.width() < NARROW
        self.topbar.show_narrow(is_narrow)
        if is_narrow is not was_narrow:
            self.chat.inspector.setVisible(not is_narrow and self.preferences.value.window.inspector)
            self.chat.sidebar.setVisible(self.preferences.value.window.sidebar and not self.chat.is_comparing)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.preferences.change_window(
            geometry=bytes(self.saveGeometry().toBase64().data()).decode("ascii"),
        )
        self.hide()
        self.session.runs.stop()
        self.tasks.close()  # answers and batches deliver their last events, which are saved
        for models in self.findChildren(LoadedModels):  # the chat's, and those of a demo batch
            models.close()
        self.preferences.save()
        self._close_store()
        super().closeEvent(event)

    # -----------------------------------------------------------------------------------------------------------------

    def _open_problems(self, path: Path) -> None:
        if self._batch:
            self.show_page("batch")
            self._batch.open_file(path)

    def _refresh_lists(self) -> None:
        """Show what `baton` in a terminal, or a second window, may have written into the store meanwhile."""
        self.chat.sidebar.refresh()
        if self._batch:
            self._batch.refresh()

    def _lay_out(self) -> None:
        self._centre.setLayout(vbox(self.topbar, Hairline(), (self._pages, 1), margins=0, spacing=0))
        self.setCentralWidget(self._centre)
        self.setMinimumSize(760, 480)
        self.resize(first_size(self.screen().availableSize()))

    def _connect(self) -> None:
        self.topbar.page_wanted.connect(self.show_page)
        self.topbar.look_wanted.connect(self.turn_light_or_dark)
        self.topbar.settings_wanted.connect(lambda: self.dialogs.show_settings())
        self.topbar.sidebar_wanted.connect(lambda: self.show_sidebar(not self.chat.sidebar.isVisible()))
        self.topbar.inspector_wanted.connect(lambda: self.show_inspector(not self.chat.inspector.isVisible()))
        self.topbar.pair.choose_wanted.connect(self.dialogs.choose_models)
        self.topbar.policy.parameters_wanted.connect(lambda: self.dialogs.show_settings("policy"))
        self.dialogs.imported.connect(self._imported)
        self.dialogs.saved.connect(lambda path: self.messages.show_saved(Path(path)))
        self._speeds.measured.connect(self.topbar.pair.refresh)
        self.session.failed.connect(self.messages.show_writing_error)
        self.session.activity_changed.connect(self.messages.end_busy)
        self.session.reviews.noticed.connect(lambda text: self.notice.show_message(text, warns=False))
        self.saving_changed.connect(self.messages.show_saving)
        self.session.path_changed.connect(self._remember_conversation)
        self.session.activity_changed.connect(self._remember_conversation)  # arms side by side change no path
        self.chat.server_line.retry.clicked.connect(self._monitor.check)
        self._monitor.checked.connect(self.chat.server_line.asked)
        self.chat.splitterMoved.connect(self._remember_widths)
        self.preferences.changed.connect(self._apply_appearance)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._keep_focus)
        self.preferences.failed.connect(self.show_error)

    def _keep_focus(self, old: QWidget | None, new: QWidget | None) -> None:
        """When a focused button goes away with its work, put the focus where the work goes on, not on the top bar."""
        page = self._pages.currentWidget()
        if old is None or not isValid(old) or not self.isAncestorOf(old) or (old.isVisible() and old.isEnabled()):
            return
        if page is None or new is None:
            return
        if page is self.chat and (page.isAncestorOf(old) or not page.isAncestorOf(new)):
            self.chat.composer.edit.setFocus()
        elif not page.isAncestorOf(new):
            fields = (each for each in page.findChildren(QWidget) if each.focusPolicy() & Qt.FocusPolicy.TabFocus)
            if first := next((each for each in fields if each.isVisible() and each.isEnabled()), None):
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
            apply(application, *appearance, with_sheet)
        self._appearance = appearance

    def _toast_area(self) -> QRect:
        """Return where toasts may lie: below the top bar, and above the composer, which is never covered."""
        pages = self._pages.geometry()
        if self._shown_page == "chat":
            pages.setBottom(self.chat.foot.mapTo(self._centre, QPoint(0, 0)).y() - 1)
        return pages

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
