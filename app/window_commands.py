"""The commands of the window, with their keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from app.chat.copying import copy_answer
from app.commands import Command
from app.rendering import Form
from core.errors import BatonError

if TYPE_CHECKING:
    from app.chat.conversation import Exchange
    from app.window import Window


def commands_of(window: Window) -> list[Command]:
    session, chat = window.session, window.chat

    def on_last(act: Callable[[Exchange], object]) -> Callable[[], None]:
        """Something that is done to the answer in front, when none is being written."""

        def do() -> None:
            exchange = session.conversation.leaf
            if exchange and session.ready:
                act(exchange)
            elif exchange is None:
                window.tell(BatonError("There is no answer yet.", "Ask something first."))
            else:
                window.tell(BatonError("An answer is being written.", "Stop it, or wait for its end."))

        return do

    def toggle_fold() -> None:
        exchange = session.current
        if exchange and (answer := chat.conversation.answer_of(exchange)):
            answer.toggle_fold()

    return [
        Command("New conversation", chat.new, "Ctrl+N", "Conversation"),
        Command("Search conversations", lambda: _focus_search(window), "Ctrl+F", "Conversation"),
        Command("Export the conversation …", window.export, "Ctrl+S", "Conversation"),
        Command("Import a conversation …", window.import_file, "Ctrl+O", "Conversation"),
        Command("Write a problem", chat.composer.edit.setFocus, "Ctrl+L", "Conversation"),
        Command("Edit the last problem and ask again", on_last(chat.edit_again), "Ctrl+E", "Conversation"),
        Command("Answer once more, with another seed", on_last(session.ask_again), "Ctrl+R", "Answer"),
        Command("Continue the answer", on_last(session.go_on), "Ctrl+Return", "Answer"),
        Command("Earlier try", on_last(lambda exchange: session.step_aside(exchange, -1)), "Alt+Left", "Answer"),
        Command("Later try", on_last(lambda exchange: session.step_aside(exchange, 1)), "Alt+Right", "Answer"),
        Command("Show or hide the steps", toggle_fold, "Ctrl+H", "Answer"),
        Command("Next step", lambda: chat.step_through(1), "Ctrl+Down", "Answer"),
        Command("Previous step", lambda: chat.step_through(-1), "Ctrl+Up", "Answer"),
        Command("Replay the answer with another policy", lambda: _show_replay(window), "Ctrl+Shift+P", "Answer"),
        *copies("the answer", "Ctrl+Shift+C", lambda form: on_last(lambda exchange: copy_answer(exchange, form))()),
        *copies("the step", "Ctrl+Alt+C", chat.copy_step),
        Command("Compare arms …", chat.compare, "Ctrl+D", "Side by side"),
        Command(
            "The tries side by side",
            on_last(lambda exchange: chat.comparing.show_tries(exchange)),
            "Ctrl+Shift+D",
            "Side by side",
        ),
        Command("The same row in the next column", lambda: chat.comparing.cross(), "Alt+Down", "Side by side"),
        Command("Back to the conversation", lambda: chat.comparing.leave(), "Alt+Up", "Side by side"),
        Command("Stop", session.stop, "Esc", "While it writes"),
        Command("Take over now, or give back", chat.composer.press_baton, "Ctrl+T", "While it writes"),
        Command("Take over at the next step", lambda: session.take_over(now=False), "Ctrl+Shift+T", "While it writes"),
        Command("Let the large model write this step again", session.rewrite_step, "Ctrl+Shift+R", "While it writes"),
        Command("Chat", lambda: window.show_page("chat"), "Ctrl+1", "Window"),
        Command("Batch", lambda: window.show_page("batch"), "Ctrl+2", "Window"),
        Command("Models", lambda: window.show_page("models"), "Ctrl+3", "Window"),
        Command("Choose models …", window.choose_models, "Ctrl+M", "Window"),
        Command("Connect to a server …", window.connect_server, "Ctrl+Shift+M", "Window"),
        Command("Policy …", window.topbar.policy.showMenu, "Ctrl+P", "Window"),
        Command("Settings …", window.show_settings, "Ctrl+,", "Window"),
        Command("Conversations at the left", window.topbar.sidebar_wanted.emit, "Ctrl+B", "Window"),
        Command("Inspector at the right", window.topbar.inspector_wanted.emit, "Ctrl+I", "Window"),
        Command("Batch of problems …", window.choose_problems, "Ctrl+Shift+O", "Window"),
        Command("Light or dark", window.turn_light_or_dark, "Ctrl+Shift+L", "Window"),
        Command("Command palette", lambda: _show_palette(window), "Ctrl+K", "Window"),
        Command("Shortcuts", lambda: _show_shortcuts(window), "Ctrl+/", "Window"),
        Command("Quit", window.close, "Ctrl+Q", "Window"),
    ]


def copies(what: str, key: str, copy: Callable[[Form], None]) -> list[Command]:
    """A command for each form; the key copies Markdown, as the model wrote it."""
    return [
        Command(f"Copy {what} as {form.value}", partial(copy, form), key if form is Form.MARKDOWN else "", "Answer")
        for form in Form
    ]


def _focus_search(window: Window) -> None:
    window.show_sidebar(True)
    window.chat.sidebar.search.setFocus()


def _show_replay(window: Window) -> None:
    from app.inspector.panel import Tab

    window.show_inspector(True)
    window.chat.inspector.tabs.setCurrentIndex(Tab.REPLAY)


def _show_palette(window: Window) -> None:
    from app.palette import Palette

    palette = Palette(window.commands, window)
    palette.show()
    palette.edit.setFocus()


def _show_shortcuts(window: Window) -> None:
    from app.shortcuts import Shortcuts

    Shortcuts(window.commands, window).show()
