"""Warns of a loaded model whose file is damaged: it answers nonsense, and nothing else would say why."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.shared.background import StreamTask
from baton_reasoning.app.shared.loaded_models import LoadedModels, LoadState
from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.run import Pair


class FileCheck(QObject):
    """Looks at the files of each pair in a thread, once it is loaded."""

    found = Signal(object)
    """A ModelFileError."""

    def __init__(self, models: LoadedModels, checksums: Path, parent: QObject) -> None:
        """`checksums`: the file in which they are kept."""
        super().__init__(parent)
        self._models = models
        self._checksums = checksums
        self._checked = Pair()
        self._task: StreamTask[ModelFileError] | None = None
        models.changed.connect(self._check)

    def _check(self) -> None:
        pair = self._models.pair
        if self._models.state is not LoadState.READY or pair is self._checked:
            return
        self._checked = pair
        stopped = threading.Event()

        def check() -> Iterator[ModelFileError]:
            from baton_reasoning.core.models.checksums import Checksums

            files = [card.chosen_file for card in pair.cards.values()]
            return Checksums(self._checksums).changed(filter(None, files), stopped)

        if self._task:
            self._task.stop()
        self._task = StreamTask(self, "check model files", check, cancel=stopped.set).items(self._show).start()

    def _show(self, errors: list[ModelFileError]) -> None:
        for error in errors:
            self.found.emit(error)
