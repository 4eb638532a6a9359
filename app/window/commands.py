"""All commands of the window in one table, for the shortcuts, the menus, the command palette and the list of
shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QScrollArea,
    QWidget,
)

from baton_reasoning.app.document.clipboard import copy_answer
from baton_reasoning.app.inspector.answer_review import AnswerReview
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.toolkit.controls import label, line_edit
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.core.errors import NotApplicable

if TYPE_CHECKING:
    from baton_reasoning.app.window.main_window import MainWindow

IN_MENU = (("Ctrl+B", "Ctrl+I"), ("Ctrl+S", "Ctrl+O"), ("Ctrl+Shift+L", "Ctrl+,"), ("Ctrl+K", "F1"))
"""The keys of the commands in the menu of the header, section by section."""
ELSEWHERE = (
    ("In the composer", "Send the problem", "Return"),
    ("In the composer", "New line", "Shift+Return"),
    ("In the composer", "Earlier problem, while it is empty", "Up"),
    ("In ribbon, tokens and curve", "Along it", "Right"),
    ("In ribbon, tokens and curve", "Choose", "Space"),
    ("In ribbon, tokens and curve", "First or last", "Home"),
    ("In a step that is edited", "Go on from the edited step", "Ctrl+Return"),
    ("In a text", "Copy what is selected", "Ctrl+C"),
    ("In the list of conversations", "Pin conversation, or no longer", "P"),
    ("In the list of conversations", "Rename conversation", "F2"),
    ("In the list of conversations", "Delete conversation (can be undone)", "Delete"),
)
"""Keys that a widget has while it has the focus: group, what it does, key."""


class Command(NamedTuple):
    group: str
    title: str
    key: str
    """As Qt writes it in English."""
    act: Callable[[], object]


def key_name(key: str) -> str:
    """Return a key as this system writes it."""
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)


def install(window: QWidget, commands: Sequence[Command], menu: QMenu) -> None:
    """Install the shortcuts in the window, and fill the menu of the header."""
    actions: dict[str, QAction] = {}
    for command in commands:
        actions[command.key] = action = QAction(command.title, window)
        action.setShortcut(QKeySequence(command.key))
        action.triggered.connect(lambda _checked=False, act=command.act: act())
        window.addAction(action)
    for section in IN_MENU:
        menu.addSeparator()
        menu.addActions([actions[key] for key in section])


class CommandPalette(QDialog):
    def __init__(self, commands: Sequence[Command], parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Commands")
        self._commands = commands
        self.edit = line_edit("Search commands", "What do you want to do?")
        self.edit.textChanged.connect(self._filter)
        self.edit.installEventFilter(self)
        self.list = QListWidget()
        self.list.setAccessibleName("Commands")
        self.list.itemActivated.connect(lambda: self._run())
        self.list.itemClicked.connect(lambda: self._run())
        self.setLayout(vbox(self.edit, self.list, margins=8))
        self.resize(min(520, parent.width() - 40), 360)
        self.move(parent.mapToGlobal(QPoint((parent.width() - self.width()) // 2, 0)))
        self._filter("")

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() is QEvent.Type.KeyPress:
            match event.key():
                case Qt.Key.Key_Down | Qt.Key.Key_Up:
                    step = 1 if event.key() == Qt.Key.Key_Down else -1
                    self.list.setCurrentRow(min(max(self.list.currentRow() + step, 0), self.list.count() - 1))
                    return True
                case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                    self._run()
                    return True
        return super().eventFilter(watched, event)

    def _filter(self, text: str) -> None:
        self.list.clear()
        for index, command in enumerate(self._commands):
            if all(word in command.title.lower() for word in text.lower().split()):
                item = QListWidgetItem(f"{command.title}   {key_name(command.key)}", self.list)
                item.setData(Qt.ItemDataRole.UserRole, index)
        if not self.list.count():
            nothing = QListWidgetItem("No matches", self.list)
            nothing.setFlags(Qt.ItemFlag.NoItemFlags)
        self.list.setCurrentRow(0)

    def _run(self) -> None:
        item = self.list.currentItem()
        if item and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.close()
            self._commands[item.data(Qt.ItemDataRole.UserRole)].act()


class ShortcutList(QDialog):
    def __init__(self, commands: Sequence[Command], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Shortcuts")
        content = QWidget()
        grid = QGridLayout(content)
        grid.setHorizontalSpacing(26)
        known = [*(command[:3] for command in commands), *ELSEWHERE]
        for group, members in groupby(known, key=lambda command: command[0]):
            grid.addWidget(label(group, Role.HEADING), grid.rowCount(), 0, 1, 2)
            for _, title, key in members:
                row = grid.rowCount()
                grid.addWidget(label(title), row, 0)
                grid.addWidget(label(key_name(key), Role.MUTED), row, 1, Qt.AlignmentFlag.AlignRight)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(content)
        scroll.setMinimumWidth(content.sizeHint().width() + scroll.verticalScrollBar().sizeHint().width() + 2)
        self.setLayout(vbox(scroll))
        self.resize(460, 560)


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

    def find(by: int = 0) -> None:
        window.show_page("chat")
        chat.find_bar.step(by) if by else chat.find_bar.open()

    def search() -> None:
        window.show_sidebar(True)
        chat.sidebar.search.setFocus()

    def toggle_steps() -> None:
        if session.current and (answer := chat.conversation.answer_of(session.current)):
            answer.toggle_fold()

    def review(act: Callable[[AnswerReview], object]) -> Callable[[], None]:
        def do(last: Exchange) -> None:
            if answer := chat.conversation.answer_of(last):
                act(answer.review)

        return on_last(do, writes=False)

    table: dict[str, tuple[tuple[str, str, Callable[[], object]], ...]] = {
        "Conversation": (
            ("New conversation", "Ctrl+N", chat.new),
            ("Find in the conversation", "Ctrl+F", find),
            ("Find next", "F3", lambda: find(1)),
            ("Find previous", "Shift+F3", lambda: find(-1)),
            ("Jump to the latest", "Alt+End", chat.conversation.jump_to_latest),
            ("Search conversations", "Ctrl+Shift+F", search),
            ("Undo the last deletion", "Ctrl+Z", actions.undo_deletion),
            ("Export the conversation…", "Ctrl+S", actions.export),
            ("Import a conversation…", "Ctrl+O", actions.import_file),
            ("System prompt…", "Ctrl+Shift+Y", chat.composer.edit_system),
            ("Thinking: on, off or a budget", "Ctrl+Shift+H", chat.composer.show_menu),
            ("Write a problem", "Ctrl+L", chat.composer.edit.setFocus),
            ("Edit the last problem and ask again", "Ctrl+E", on_last(chat.composer.begin_edit)),
        ),
        "Answer": (
            ("Regenerate (new seed)", "Ctrl+R", on_last(session.ask_again)),
            ("Continue the answer", "Ctrl+Shift+Return", on_last(session.go_on)),
            ("Previous attempt", "Alt+Left", on_last(lambda last: session.show_sibling(last, -1), writes=False)),
            ("Next attempt", "Alt+Right", on_last(lambda last: session.show_sibling(last, 1), writes=False)),
            ("Show or hide the steps", "Ctrl+H", toggle_steps),
            ("Next step", "Ctrl+Down", lambda: chat.step_through(1)),
            ("Previous step", "Ctrl+Up", lambda: chat.step_through(-1)),
            ("Edit the step, and go on from it", "F4", chat.edit_step),
            ("Second opinion on the answer", "Ctrl+Shift+S", review(lambda of: of.opinion.carry_out())),
            ("Value of each step of the answer", "Ctrl+Shift+V", review(lambda of: of.values.toggle())),
            ("Copy the answer", "Ctrl+Shift+C", on_last(copy_answer, writes=False)),
            ("Copy the step", "Ctrl+Alt+C", chat.copy_step),
        ),
        "Side by side": (  # the comparison is created on first use
            ("Compare policies…", "Ctrl+D", chat.compare),
            (
                "Compare attempts",
                "Ctrl+Shift+D",
                on_last(lambda last: chat.comparison.show_attempts(last), writes=False),
            ),
            ("Back to the conversation", "Alt+Up", lambda: chat.comparison.leave()),
        ),
        "While it writes": (
            ("Close find, cancel editing, stop, or close a message", "Esc", window.escape),
            ("Take over now, or give back", "Ctrl+T", chat.composer.pass_baton),
            ("Take over at the next step", "Ctrl+Shift+T", lambda: session.take_over(now=False)),
            ("Let the large model write this step again", "Ctrl+Shift+R", session.rewrite_step),
        ),
        "Window": (
            ("Chat", "Ctrl+1", lambda: window.show_page("chat")),
            ("Batch", "Ctrl+2", lambda: window.show_page("batch")),
            ("Models", "Ctrl+3", lambda: window.show_page("models")),
            ("Choose models…", "Ctrl+M", actions.choose_models),
            ("Connect to a server…", "Ctrl+Shift+M", actions.connect_server),
            ("Policy…", "Ctrl+P", window.topbar.policy.showMenu),
            ("Settings…", "Ctrl+,", actions.show_settings),
            ("Conversations at the left", "Ctrl+B", lambda: window.show_sidebar(not chat.sidebar.isVisible())),
            ("Inspector at the right", "Ctrl+I", lambda: window.show_inspector(not chat.inspector.isVisible())),
            ("Batch of problems…", "Ctrl+Shift+O", window.choose_problems),
            ("Light or dark", "Ctrl+Shift+L", window.turn_light_or_dark),
            ("Close the message", "Ctrl+Shift+X", window.notice.close_newest),
            ("Go to the message", "F6", window.notice.take_focus),
            ("Command palette", "Ctrl+K", window.show_palette),
            ("Help: all shortcuts", "F1", window.show_shortcuts),
            ("Quit", "Ctrl+Q", window.close),
        ),
    }
    return [Command(group, *row) for group, rows in table.items() for row in rows]
