"""All commands of the window in one list, for the shortcuts, the command palette and the list of shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from PySide6.QtCore import QEvent, QObject, QPoint, Qt
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QListWidget,
    QListWidgetItem,
    QScrollArea,
    QWidget,
)

from baton_reasoning.app.chat.page import ChatPage
from baton_reasoning.app.chat.remedies import AnswerAction
from baton_reasoning.app.document.clipboard import copy_answer
from baton_reasoning.app.session.chat_session import ChatSession
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.toolkit.controls import label, line_edit
from baton_reasoning.app.toolkit.layout import vbox
from baton_reasoning.app.toolkit.messages import Toasts
from baton_reasoning.app.toolkit.theme import Role
from baton_reasoning.app.window.dialogs import WindowDialogs
from baton_reasoning.app.window.topbar import TopBar
from baton_reasoning.core.errors import BatonError


class CommandTarget(Protocol):
    """The main window, as the commands use it."""

    @property
    def session(self) -> ChatSession: ...

    @property
    def chat(self) -> ChatPage: ...

    @property
    def topbar(self) -> TopBar: ...

    @property
    def dialogs(self) -> WindowDialogs: ...

    def show_error(self, error: BatonError) -> None: ...

    def show_page(self, name: str) -> None: ...

    def show_sidebar(self, shown: bool) -> None: ...

    def show_inspector(self, shown: bool) -> None: ...

    @property
    def notice(self) -> Toasts: ...

    def escape(self) -> None: ...

    def show_palette(self) -> None: ...

    def show_shortcuts(self) -> None: ...

    def choose_problems(self) -> None: ...

    def turn_light_or_dark(self) -> None: ...

    def close(self) -> bool: ...


@dataclass(frozen=True)
class Command:
    title: str
    act: Callable[[], object]
    key: str = ""
    """The key as Qt writes it in English; "" if it has none."""
    group: str = "Window"

    @property
    def key_name(self) -> str:
        """The key as this system writes it."""
        return QKeySequence(self.key).toString(QKeySequence.SequenceFormat.NativeText)


def install(window: QWidget, commands: Sequence[Command]) -> None:
    """Install the shortcuts in the window."""
    for command in commands:
        if command.key:
            action = QAction(command.title, window)
            action.setShortcut(QKeySequence(command.key))
            action.triggered.connect(lambda _checked=False, act=command.act: act())
            window.addAction(action)


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
            if matches(command.title, text):
                item = QListWidgetItem(command.title + (f"   {command.key_name}" if command.key else ""))
                item.setData(Qt.ItemDataRole.UserRole, index)
                self.list.addItem(item)
        if not self.list.count():
            nothing = QListWidgetItem("No matches", self.list)
            nothing.setFlags(Qt.ItemFlag.NoItemFlags)
        self.list.setCurrentRow(0)

    def _run(self) -> None:
        item = self.list.currentItem()
        if item and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.close()
            self._commands[item.data(Qt.ItemDataRole.UserRole)].act()


def matches(title: str, words: str) -> bool:
    """Return whether every word occurs in the title."""
    return all(word in title.lower() for word in words.lower().split())


ELSEWHERE = (
    Command("Send the problem", lambda: None, "Return", "In the composer"),
    Command("New line", lambda: None, "Shift+Return", "In the composer"),
    Command("Earlier problem, while it is empty", lambda: None, "Up", "In the composer"),
    Command("Along it", lambda: None, "Right", "In ribbon, tokens and curve"),
    Command("Choose", lambda: None, "Space", "In ribbon, tokens and curve"),
    Command("First or last", lambda: None, "Home", "In ribbon, tokens and curve"),
    Command("Go on from the edited step", lambda: None, "Ctrl+Return", "In a step that is edited"),
    Command("Copy what is selected", lambda: None, "Ctrl+C", "In a text"),
    Command("Pin conversation, or no longer", lambda: None, "P", "In the list of conversations"),
    Command("Rename conversation", lambda: None, "F2", "In the list of conversations"),
    Command("Delete conversation (can be undone)", lambda: None, "Delete", "In the list of conversations"),
)
"""Keys that a widget has while it has the focus."""


class ShortcutList(QDialog):
    def __init__(self, commands: Sequence[Command], parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Shortcuts")
        content = QWidget()
        grid = QGridLayout(content)
        grid.setHorizontalSpacing(26)
        row = 0
        known = [command for command in (*commands, *ELSEWHERE) if command.key]
        for group, members in groupby(known, key=lambda command: command.group):
            grid.addWidget(label(group, Role.HEADING), row, 0, 1, 2)
            row += 1
            for command in members:
                grid.addWidget(label(command.title), row, 0)
                grid.addWidget(label(command.key_name, Role.MUTED), row, 1, Qt.AlignmentFlag.AlignRight)
                row += 1
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(content)
        scroll.setMinimumWidth(content.sizeHint().width() + scroll.verticalScrollBar().sizeHint().width() + 2)
        self.setLayout(vbox(scroll))
        self.resize(460, 560)


def commands_of(window: CommandTarget) -> list[Command]:
    """Return all commands, group by group."""
    return [
        *_conversation_commands(window),
        *_answer_commands(window),
        *_comparison_commands(window),
        *_steering_commands(window),
        *_window_commands(window),
    ]


def _conversation_commands(window: CommandTarget) -> list[Command]:
    chat, dialogs = window.chat, window.dialogs
    return _group(
        "Conversation",
        ("New conversation", chat.new, "Ctrl+N"),
        ("Find in the conversation", lambda: _find(window), "Ctrl+F"),
        ("Find next", lambda: _find(window, 1), "F3"),
        ("Find previous", lambda: _find(window, -1), "Shift+F3"),
        ("Jump to the latest", chat.conversation.jump_to_latest, "Alt+End"),
        ("Search conversations", lambda: _focus_search(window), "Ctrl+Shift+F"),
        ("Export the conversation…", dialogs.export, "Ctrl+S"),
        ("Import a conversation…", dialogs.import_file, "Ctrl+O"),
        ("System prompt…", chat.composer.edit_system, "Ctrl+Shift+Y"),
        ("Options of the next answer: thinking, seed…", chat.composer.show_menu, "Ctrl+Shift+H"),
        ("Write a problem", chat.composer.edit.setFocus, "Ctrl+L"),
        ("Edit the last problem and ask again", _on_last(window, chat.edit_again), "Ctrl+E"),
    )


def _answer_commands(window: CommandTarget) -> list[Command]:
    session, chat = window.session, window.chat
    earlier = _on_last(window, lambda exchange: session.show_sibling(exchange, -1), writes=False)
    later = _on_last(window, lambda exchange: session.show_sibling(exchange, 1), writes=False)
    opinion = _on_last(window, lambda exchange: chat.carry_out(exchange, AnswerAction.OPINION), writes=False)
    values = _on_last(window, lambda exchange: chat.carry_out(exchange, AnswerAction.VALUES), writes=False)
    return _group(
        "Answer",
        ("Regenerate (new seed)", _on_last(window, session.ask_again), "Ctrl+R"),
        ("Continue the answer", _on_last(window, session.go_on), "Ctrl+Return"),
        ("Previous attempt", earlier, "Alt+Left"),
        ("Next attempt", later, "Alt+Right"),
        ("Show or hide the steps", lambda: _toggle_steps(window), "Ctrl+H"),
        ("Next step", lambda: chat.step_through(1), "Ctrl+Down"),
        ("Previous step", lambda: chat.step_through(-1), "Ctrl+Up"),
        ("Edit the step, and go on from it", chat.edit_step, "F4"),
        ("Second opinion on the answer", opinion, "Ctrl+Shift+S"),
        ("Value of each step of the answer", values, "Ctrl+Shift+V"),
        ("Copy the answer", _on_last(window, copy_answer, writes=False), "Ctrl+Shift+C"),
        ("Copy the step", chat.copy_step, "Ctrl+Alt+C"),
    )


def _comparison_commands(window: CommandTarget) -> list[Command]:
    chat = window.chat  # whose comparison is created on first use
    show_attempts = _on_last(window, lambda exchange: chat.comparison.show_attempts(exchange), writes=False)
    return _group(
        "Side by side",
        ("Compare policies…", chat.compare, "Ctrl+D"),
        ("Compare attempts", show_attempts, "Ctrl+Shift+D"),
        ("The same row in the next column", lambda: chat.comparison.cross(), "Alt+Down"),
        ("Back to the conversation", lambda: chat.comparison.leave(), "Alt+Up"),
    )


def _steering_commands(window: CommandTarget) -> list[Command]:
    session = window.session
    return _group(
        "While it writes",
        ("Close find, cancel editing, stop, or close a message", window.escape, "Esc"),
        ("Take over now, or give back", window.chat.composer.press_baton, "Ctrl+T"),
        ("Take over at the next step", lambda: session.take_over(now=False), "Ctrl+Shift+T"),
        ("Let the large model write this step again", session.rewrite_step, "Ctrl+Shift+R"),
    )


def _window_commands(window: CommandTarget) -> list[Command]:
    dialogs, topbar, notice = window.dialogs, window.topbar, window.notice
    return _group(
        "Window",
        ("Chat", lambda: window.show_page("chat"), "Ctrl+1"),
        ("Batch", lambda: window.show_page("batch"), "Ctrl+2"),
        ("Models", lambda: window.show_page("models"), "Ctrl+3"),
        ("Choose models…", dialogs.choose_models, "Ctrl+M"),
        ("Connect to a server…", dialogs.connect_server, "Ctrl+Shift+M"),
        ("Policy…", topbar.policy.showMenu, "Ctrl+P"),
        ("Settings…", dialogs.show_settings, "Ctrl+,"),
        ("Conversations at the left", topbar.sidebar_wanted.emit, "Ctrl+B"),
        ("Inspector at the right", topbar.inspector_wanted.emit, "Ctrl+I"),
        ("Batch of problems…", window.choose_problems, "Ctrl+Shift+O"),
        ("Light or dark", window.turn_light_or_dark, "Ctrl+Shift+L"),
        ("Close the newest message", notice.close_newest, "Ctrl+Shift+X"),
        ("Go to the newest message", notice.take_focus, "F6"),
        ("Command palette", window.show_palette, "Ctrl+K"),
        ("Help: all shortcuts", window.show_shortcuts, "F1"),
        ("Quit", window.close, "Ctrl+Q"),
    )


def _group(name: str, *commands: tuple[str, Callable[[], object], str]) -> list[Command]:
    return [Command(title, act, key, name) for title, act, key in commands]


def _on_last(window: CommandTarget, act: Callable[[Exchange], object], writes: bool = True) -> Callable[[], None]:
    """Return a command on the last answer. `writes`: it is refused while one is being written here."""

    def do() -> None:
        exchange = window.session.conversation.leaf
        if exchange is None:
            window.show_error(BatonError("There is no answer yet.", "Ask something first."))
        elif not writes or window.session.is_ready_or_says_why():
            act(exchange)

    return do


def _toggle_steps(window: CommandTarget) -> None:
    exchange = window.session.current
    if exchange and (answer := window.chat.conversation.answer_of(exchange)):
        answer.toggle_fold()


def _find(window: CommandTarget, by: int = 0) -> None:
    window.show_page("chat")
    window.chat.find_words(by)


def _focus_search(window: CommandTarget) -> None:
    window.show_sidebar(True)
    window.chat.sidebar.search.setFocus()
