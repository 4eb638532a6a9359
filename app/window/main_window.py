"""The main window: creates the parts (header, pages, message bar), connects them, and closes them in order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QMainWindow, QMessageBox, QStackedWidget, QWidget
from shiboken6 import isValid

from baton_reasoning.app.chat.page import NARROW, ChatPage
from baton_reasoning.app.document.clipboard import release_clipboard
from baton_reasoning.app.document.row_writer import warm_up
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.loaded_models import LoadedModels, Loader
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.session.repository import ConversationRepository
from baton_reasoning.app.session.reviews import ReviewKind
from baton_reasoning.app.toolkit.background import BackgroundTask, BackgroundTasks
from baton_reasoning.app.toolkit.controls import FileDrops, Hairline
from baton_reasoning.app.toolkit.layout import holder, vbox
from baton_reasoning.app.toolkit.messages import Cause, MessageBar
from baton_reasoning.app.toolkit.theme import current_theme
from baton_reasoning.app.window.commands import Command, ShortcutList, install
from baton_reasoning.app.window.model_button import CHOOSE_MODELS
from baton_reasoning.app.window.page_actions import PageActions
from baton_reasoning.app.window.topbar import TopBar
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.errors import BatonError, NotApplicable, StoreError
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.settings import LARGEST_TEXT, SMALLEST_TEXT, ColourScheme, SettingsFile
from baton_reasoning.core.thinking.interruptions import Control

if TYPE_CHECKING:
    from baton_reasoning.app.batch.page import BatchPage
    from baton_reasoning.core.store.store import Store

FIRST_SIZE = QSize(1440, 900)
TEXT_STEP = 0.1
"""By which a key makes the text larger or smaller, as a share of its usual size."""
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
        self.session = ChatSession(self.models, self.preferences, self)
        self._appearance: tuple[ColourScheme, float] | None = None
        self._apply_appearance(with_sheet=False)
        self.notice = MessageBar()
        self.page_actions = PageActions(self, self.notice, self.session, paths)
        self.topbar = TopBar(self.models, self.preferences, self.page_actions)
        self.chat = ChatPage(self.session, self.page_actions)
        self.inspector = self.chat.inspector
        self.inspector.hide()
        self._pages = QStackedWidget()
        self.drops = FileDrops(self)
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
            self._pages.setCurrentWidget(page)
            if page is self.chat and not page.isAncestorOf(QApplication.focusWidget() or page):
                (self.chat.composer.edit.setFocus if self.session.conversation.leaf else self.chat.focus_first)()
            self.topbar.show_page(name)
            self.preferences.change_window(page=name)

    def begin_work(self) -> None:
        """Start what may come after the first paint: store, models, typesetter."""
        BackgroundTask(self, "load what renders texts", warm_up, waits=False).start()
        opening = self.open_store()
        opening.done(lambda _: None if self.tasks.closed else self.models.load(self.preferences.value.models))

    def open_store(self) -> BackgroundTask[Store]:
        """Open the store in the background: to migrate or mend it may take minutes, to import the batch page 0.3 s."""

        def open_it() -> Store:
            import baton_reasoning.app.batch.page  # noqa: F401 - here, so that the window need not wait for it
            from baton_reasoning.core.store.store import Store

            return Store.open(self.paths.store, self.saving_changed.emit)

        def opened(_: BatonError | None) -> None:
            self.session.is_opening = False

        self.session.is_opening = True
        opening = BackgroundTask(self, "open the history", open_it)
        return opening.success(self._use_store).failure(self._go_on_without_store).done(opened).start()

    def _go_on_without_store(self, error: BatonError) -> None:
        told = f"{error.message} Answers will not be saved. {error.advice}"
        self.notice.show_message(told, cause=Cause.STORE)
        self.chat.sidebar.use_repository(None)

    def _use_store(self, store: Store) -> None:
        self._store = store
        if self.tasks.closed:
            return
        last = self.preferences.value.window.conversation
        was_typed = bool(self.session.conversation.unsent)
        repository = ConversationRepository(store, self)
        self.saving_changed.connect(repository.saving_changed)
        self.session.use_repository(repository)
        self.chat.sidebar.use_repository(repository)
        self._add_batch_page(store)
        self.page_actions.store = store
        if store.notices:
            self.notice.show_message(" ".join(store.notices), cause=Cause.STORE)
        if last and not (self.session.conversation.roots or was_typed):  # else a person is at a new one already
            self.session.open(last, quietly=True)

    def _add_batch_page(self, store: Store) -> None:
        from baton_reasoning.app.batch.page import BatchPage
        from baton_reasoning.app.session.pair_loader import PairLoader

        tiny = PairLoader(self.paths, costly_demo=False)
        self._batch = batch = BatchPage(self.models, self.preferences, tiny, self.page_actions, store)
        batch.session.changed.connect(self._show_batch)
        batch.read.connect(lambda: self.notice.resolve(Cause.PROBLEMS))
        self.add_page("batch", "Batch", batch)

    def _show_batch(self) -> None:
        """Put a sign beside the page's name while a batch runs; call for attention when it has ended out of view."""
        assert self._batch
        runs = bool(self._batch.session.executed)
        if runs is self._batch_runs:
            return
        self._batch_runs = runs
        self.topbar.show_badge("batch", *(("▶", "running") if runs else ("", "")))
        if not runs:
            self.page_actions.end_busy()
            if self._shown_page != "batch":
                QApplication.alert(self)

    def escape(self) -> None:
        """Let the page handle Esc while it has something to close or stop; else close the message."""
        pages = {"chat": self.chat, "batch": self._batch}
        page = pages.get(self._shown_page)
        if not (page and page.escape()):
            self.notice.close_newest()

    def find_text(self, by: int = 0) -> None:
        """Find in the conversation, or go on by so many matches; on the page of a batch, find its problems."""
        if self._batch and self._shown_page == "batch" and self._batch.find_problems():
            return
        self.show_page("chat")
        self.chat.find_bar.step(by) if by else self.chat.find_bar.open()

    def choose_problems(self) -> None:
        """Choose a file of problems for a batch."""
        if self._batch:
            self.show_page("batch")
            self._batch.welcome.choose_file()

    def turn_light_or_dark(self) -> None:
        is_dark = self.palette().window().color().lightness() < 128
        appearance = self.preferences.value.appearance
        self.preferences.change(
            appearance=appearance.model_copy(update={"look": ColourScheme.LIGHT if is_dark else ColourScheme.DARK})
        )

    def change_text_size(self, by: float) -> None:
        """Make the text larger or smaller by a share of its usual size; for 0, give it that size."""
        appearance = self.preferences.value.appearance
        size = min(LARGEST_TEXT, max(SMALLEST_TEXT, round(appearance.text_size + by, 2))) if by else 1.0
        self.preferences.change(appearance=appearance.model_copy(update={"text_size": size}))

    def show_shortcuts(self) -> None:
        ShortcutList(self.commands, self).show()

    def show_sidebar(self, shown: bool) -> None:
        if shown and self.chat.is_narrow:
            self.inspector.hide()
        self.chat.sidebar.setVisible(shown)
        self.preferences.change_window(sidebar=shown)

    def show_inspector(self, shown: bool) -> None:
        self.inspector.setVisible(shown)

    # Qt's own

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() is QEvent.Type.ActivationChange and self.isActiveWindow():
            self._refresh_lists()  # `baton` in a terminal, or a second window, may have written into the store

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if not event.oldSize().isValid() or (event.oldSize().width() < NARROW) is not self.chat.is_narrow:
            self.topbar.pair.show_narrow(self.chat.is_narrow)
            self.chat.make_room()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        is_turned = event.type() in (QEvent.Type.ShowToParent, QEvent.Type.HideToParent)
        if watched is self.inspector and is_turned and self.chat.is_narrow:
            self.chat.make_room()
        return super().eventFilter(watched, event)

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._store and not self._closes_anyway and (trouble := self._store.flush()):
            event.ignore()
            self._ask_to_close(trouble)
            return
        self.preferences.change_window(geometry=bytes(self.saveGeometry().toBase64().data()).decode("ascii"))
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

    def _refresh_lists(self) -> None:
        self.chat.sidebar.refresh()
        if self._batch:
            self._batch.refresh()

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
        self.chat.composer.policy_wanted.connect(self.topbar.policy.showMenu)
        measure_when_loaded(self.models, self.topbar.pair.refresh)
        self.session.runs.ended.connect(self.topbar.pair.refresh)  # a model may have died
        self.session.failed.connect(self.page_actions.show_writing_error)
        self.session.asked.connect(self.page_actions.ask)
        self.session.activity_changed.connect(self.page_actions.end_busy)
        self.session.reviews.noticed.connect(self.page_actions.say)
        self.saving_changed.connect(self.page_actions.show_saving)
        self.page_actions.imported.connect(self._imported)
        self.page_actions.restored.connect(self._refresh_lists)
        self.page_actions.problems_dropped.connect(self._open_problems)
        self.page_actions.pairs_wanted.connect(lambda: self.show_page("models"))
        self.drops.dropped.connect(self.page_actions.take_dropped)
        self.session.path_changed.connect(self._remember_conversation)
        self.session.path_changed.connect(lambda: order_last(self.chat.foot))  # after the answers, which are made later
        self.session.activity_changed.connect(self._remember_conversation)  # arms side by side change no path
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

    def _imported(self, conversation: str) -> None:
        self.show_page("chat")
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


def measure_when_loaded(models: LoadedModels, measured: Callable[[], object]) -> None:
    """Measure in a thread what a pair costs when it has been loaded, so that speeds can be predicted.

    An answer that begins goes first. What was not measured then is measured when the pair is loaded the next time:
    after an answer it would push the conversation out of the models' caches.
    """
    control = Control()

    def begin() -> None:
        nonlocal control
        if not models.is_writing and models.costs.unmeasured(models.pair):
            control = Control()
            measure = partial(models.costs.measure, models.pair, control.attach)
            task = BackgroundTask(models, "measure models", measure, cancel=control.stop)
            task.success(lambda _: measured()).start()

    models.ready.connect(begin)
    for needed in (models.writing_began, models.changed):  # for an answer, or to be closed
        needed.connect(lambda: control.stop())


def order_last(part: QWidget) -> None:
    """Let Tab come to the widgets in this part of the window after all others, but not to those of its dialogs."""
    window = part.window()
    last = window.previousInFocusChain()
    while last and part.isAncestorOf(last):
        last = last.previousInFocusChain()
    for widget in reversed(part.findChildren(QWidget)):
        if last and widget.window() is window and widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            QWidget.setTabOrder(last, widget)


def is_tab_stop(widget: QWidget) -> bool:
    """Return whether Tab may focus a widget itself, and not another one to which it passes the focus on."""
    takes_tab = bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
    return takes_tab and widget.isVisible() and widget.isEnabled() and not widget.focusProxy()


def commands_of(window: MainWindow) -> list[Command]:
    """Return all commands, group by group."""
    session, chat, actions = window.session, window.chat, window.page_actions

    def on_last(act: Callable[[Exchange], object], writes: bool = True) -> Callable[[], None]:
        """Act on the last answer. `writes`: refused while one is being written here."""

        def do() -> None:
            exchange = session.conversation.leaf
            if exchange is None:
                actions.show_error(NotApplicable("There is no answer yet.", "Ask something first."))
            elif not writes or session.is_ready_or_says_why():
                act(exchange)

        return do

    def search() -> None:
        window.show_sidebar(True)
        chat.sidebar.search.setFocus()

    def toggle_steps() -> None:
        if session.current and (answer := chat.conversation.answer_of(session.current)):
            answer.toggle_fold()

    def review(kind: ReviewKind) -> Callable[[], None]:
        def do(last: Exchange) -> None:
            if answer := chat.conversation.answer_of(last):
                answer.review.open(kind)

        return on_last(do, writes=False)

    table: dict[str, tuple[tuple[str, str, Callable[[], object]], ...]] = {
        "Conversation": (
            ("New conversation", "Ctrl+N", chat.new),
            ("Find in the conversation, or problems of a batch", "Ctrl+F", window.find_text),
            ("Find next", "F3", lambda: window.find_text(1)),
            ("Find previous", "Shift+F3", lambda: window.find_text(-1)),
            ("Jump to the latest", "Alt+End", chat.conversation.jump_to_latest),
            ("Search conversations", "Ctrl+Shift+F", search),
            ("Undo the last deletion", "Ctrl+Z", actions.undo_deletion),
            ("Recently deleted…", "Ctrl+Shift+Z", actions.show_recently_deleted),
            ("Export the conversation…", "Ctrl+S", actions.export),
            ("Import a conversation…", "Ctrl+O", actions.import_file),
            ("System prompt…", "Ctrl+Shift+Y", chat.composer.edit_system),
            ("System prompt, seed, thinking, or compare", "Ctrl+Shift+H", chat.composer.show_menu),
            ("Write a problem", "Ctrl+L", chat.composer.edit.setFocus),
            ("Edit the last problem and ask again", "Ctrl+E", on_last(chat.edit_problem)),
        ),
        "Answer": (
            ("Answer again, with a new seed", "Ctrl+R", on_last(session.ask_again)),
            ("Continue the answer", "Ctrl+Shift+Return", on_last(session.go_on)),
            ("Previous attempt", "Alt+Left", on_last(lambda last: session.show_sibling(last, -1), writes=False)),
            ("Next attempt", "Alt+Right", on_last(lambda last: session.show_sibling(last, 1), writes=False)),
            ("Show or hide the steps", "Ctrl+J", toggle_steps),
            ("Next step", "Ctrl+Down", lambda: chat.step_through(1)),
            ("Previous step", "Ctrl+Up", lambda: chat.step_through(-1)),
            ("Edit the step, and go on from it", "F4", chat.edit_step),
            ("Show tokens, or no longer", "Ctrl+Shift+K", chat.toggle_tokens),
            ("Second opinion on the answer", "Ctrl+Shift+S", review(ReviewKind.OPINION)),
            ("Value of each step of the answer", "Ctrl+Shift+V", review(ReviewKind.VALUES)),
            ("Copy the answer", "Ctrl+Shift+C", on_last(chat.copy_answer, writes=False)),
            ("Copy the step", "Ctrl+Alt+C", chat.copy_step),
        ),
        "Side by side": (  # the comparison is created on first use
            ("Compare…", "Ctrl+D", chat.compare),
            ("Attempts side by side", "Ctrl+Shift+D", on_last(chat.show_attempts, writes=False)),
            ("Back to the conversation", "Alt+Up", lambda: chat.comparison.leave()),
        ),
        "While it writes": (
            ("Close what is open, or stop", "Esc", window.escape),
            ("Answer now: end the thinking", "Ctrl+G", session.answer_now),
            ("Take over now, or give back", "Ctrl+T", session.pass_baton),
            ("Take over at the next step", "Ctrl+Shift+T", session.take_over_at_next_step),
            ("Let the large model write this step again", "Ctrl+Shift+R", session.rewrite_step),
        ),
        "Window": (
            ("Chat", "Ctrl+1", lambda: window.show_page("chat")),
            ("Batch", "Ctrl+2", lambda: window.show_page("batch")),
            ("Models", "Ctrl+3", lambda: window.show_page("models")),
            ("Choose models…", CHOOSE_MODELS, actions.choose_models),
            ("Connect to a server…", "Ctrl+Shift+M", actions.connect_server),
            ("Policy…", "Ctrl+P", window.topbar.policy.showMenu),
            ("Settings…", "Ctrl+,", actions.show_settings),
            ("Conversations at the left", "Ctrl+B", lambda: window.show_sidebar(not chat.sidebar.isVisible())),
            ("Inspector at the right", "Ctrl+I", lambda: window.show_inspector(not chat.inspector.isVisible())),
            ("Batch of problems…", "Ctrl+Shift+O", window.choose_problems),
            ("Light or dark", "Ctrl+Shift+L", window.turn_light_or_dark),
            ("Larger text", "Ctrl+=", lambda: window.change_text_size(TEXT_STEP)),
            ("Smaller text", "Ctrl+-", lambda: window.change_text_size(-TEXT_STEP)),
            ("Usual size of text", "Ctrl+0", lambda: window.change_text_size(0)),
            ("Close the message", "Ctrl+Shift+X", window.notice.close_newest),
            ("Go to the message", "F6", window.notice.take_focus),
            ("Help: all shortcuts", "F1", window.show_shortcuts),
            ("Quit", "Ctrl+Q", window.close),
        ),
    }
    return [Command(group, *row) for group, rows in table.items() for row in rows]
