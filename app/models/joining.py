"""Puts the Models page into the window: a pair that is chosen there is the one that the window loads."""

from __future__ import annotations

from pathlib import Path

from app.models.page import ModelsPage
from app.models.room import ModelRoom
from app.window import Window
from core.demo_pair.files import LARGE_MODEL, SMALL_MODEL
from core.engines.body import Author
from core.secrets import Secrets


def add_models_page(window: Window, secrets: Secrets, home: Path | None = None) -> ModelsPage:
    """`home`: another home folder than the person's, for tests."""
    built_in = SMALL_MODEL.parent
    room = ModelRoom(window.paths, secrets, built_in=(built_in,), home=home, parent=window)
    page = ModelsPage(room)

    def use(**files: str) -> None:
        choice = window.preferences.value.models.model_copy(update=files)
        window.preferences.change(models=choice)
        window.reload_models()

    def use_pair(small: Path, large: Path) -> None:
        use(small=str(small), large=str(large))
        window.show_page("chat")

    def use_one(author: Author, model: Path) -> None:
        chosen = window.preferences.value.models
        # Until a person chooses, both are the demo pair.
        files = {"small": chosen.small or str(SMALL_MODEL), "large": chosen.large or str(LARGE_MODEL)}
        use(**(files | {author.value: str(model)}))

    page.pair_wanted.connect(use_pair)
    page.model_wanted.connect(use_one)
    page.server_wanted.connect(window.choose_models)
    window.add_page("models", "Models", page, page.finish)
    return page
