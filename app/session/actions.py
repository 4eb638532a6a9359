"""What a page may ask of the window that it is in, so that no signal has to be passed on from widget to widget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.errors import BatonError


class WindowActions(Protocol):
    def remedies_of(self, error: BatonError) -> list[tuple[str, Callable[[], object]]]:
        """Return what can be done about an error: texts of buttons, and what they do."""

    def show_error(self, error: BatonError) -> None:
        """Show an error with the actions that fit it, until its cause is over."""

    def say(self, text: str, *actions: tuple[str, Callable[[], object]]) -> None:
        """Show a sentence that a person should know, and offer what can be done: a button's text, and what it does."""

    def show_saved(self, path: Path) -> None:
        """Say where a file was saved, and offer to open it."""

    def show_deleted(self, name: str, undo: Callable[[], object]) -> None:
        """Say that something was deleted, and offer to bring it back."""

    def continue_in_chat(self, exchange: Exchange) -> None:
        """Begin a conversation with a copy of an answer that stands elsewhere, and show it."""

    def use_context(self, tokens: int) -> None:
        """Load the models again, with room for so many tokens."""

    def reload_models(self) -> None:
        """Load the pair in use again: it failed, or choices about it have changed."""

    def connect_server(self) -> None: ...

    def export(self, conversation: str = "", name: str = "") -> None:
        """Save a conversation, by default the one in view, as a file. `name`: what the file is called."""
