"""Takes files that are dropped on the window: models for the pair, and problems for a batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject

from baton_reasoning.app.toolkit.background import BackgroundTask
from baton_reasoning.app.toolkit.file_drops import FileDrops
from baton_reasoning.app.window.page_actions import PageActions
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import NotApplicable
from baton_reasoning.core.models.gguf import GgufHeader, read_header
from baton_reasoning.core.models.options import file_source
from baton_reasoning.core.words.authors import SIGN


class DroppedFiles(QObject):
    """Says what was dropped, and offers what can be done with it. A model is checked before it is called one."""

    def __init__(self, drops: FileDrops, actions: PageActions, open_problems: Callable[[Path], object]) -> None:
        super().__init__(drops)
        self._actions = actions
        self._open_problems = open_problems
        drops.dropped.connect(self.take)

    def take(self, files: list[Path]) -> None:
        """Offer one model as small or large and two as a pair, open problems as a batch, and explain anything else."""
        from baton_reasoning.core.batch.reading.problems import can_hold_problems

        models = [file for file in files if file.suffix.lower() == ".gguf"]
        if len(models) > 2:
            self._actions.show_error(NotApplicable(f"{len(models)} models were dropped; a pair has two.", "Drop two."))
        elif models:
            task = BackgroundTask(self, "read dropped models", lambda: [read_header(path) for path in models])
            task.success(self._offer).failure(self._actions.show_error).start()
        elif can_hold_problems(files[0]):
            self._open_problems(files[0])
        else:
            error = NotApplicable(f"{files[0].name} is neither a GGUF model nor a supported file of problems.")
            self._actions.show_error(error)

    def _offer(self, headers: list[GgufHeader]) -> None:
        actions, names = self._actions, [header.path.name for header in headers]
        if len(headers) == 1:
            source = file_source(headers[0].path)
            actions.say(
                f"{names[0]} is a model.",
                ("Use as small", partial(actions.use_model, Author.SMALL, source)),
                ("Use as large", partial(actions.use_model, Author.LARGE, source)),
            )
            return
        small, large = sorted(headers, key=lambda header: (header.parameters, header.file_bytes))
        actions.say(
            f"{SIGN[Author.SMALL]} {small.path.name} and {SIGN[Author.LARGE]} {large.path.name} can be a pair.",
            ("Use as pair", lambda: actions.use_pair(small.path, large.path)),
        )
