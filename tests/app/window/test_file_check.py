"""A damaged model is named in the window, though it loads and answers."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from baton_reasoning.app.shared.background import BackgroundTasks
from baton_reasoning.app.shared.loaded_models import LoadedModels
from baton_reasoning.app.window.file_check import FileCheck
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.servers import KnownServers
from baton_reasoning.core.engines.remote.state import StatusCallback
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.models.checksums import SUMS
from baton_reasoning.core.models.source import DemoModel
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import ModelChoice

pytestmark = pytest.mark.slow


class FileLoader:
    """Loads one file as the small model."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.servers = KnownServers(file.with_name("servers.json"))

    def __call__(self, choice: ModelChoice, watcher: StatusCallback) -> Generator[str | Pair, None, None]:
        yield Pair(LocalEngine(self._file))


def test_a_damaged_file_is_named_once_it_is_loaded(qtbot: QtBot, tmp_path: Path) -> None:
    content = DemoModel.SMALL.path.read_bytes()
    file = tmp_path / DemoModel.SMALL.path.name
    file.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    (tmp_path / SUMS).write_text(DemoModel.SMALL.path.with_name(SUMS).read_text("utf-8"), encoding="utf-8")
    window = QObject()
    models = LoadedModels(FileLoader(file), ModelCosts(tmp_path / "costs.json"), window)
    check = FileCheck(models, tmp_path / "checksums.json", window)
    try:
        with qtbot.waitSignal(check.found) as found:
            models.load(ModelChoice())
        assert "small.gguf is damaged or was replaced" in str(found.args[0])
    finally:
        BackgroundTasks.of(window).close()
        models.close()
