"""The dialogs that save and open conversations: where they begin, and under which name."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QStandardPaths
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from baton_reasoning.app.window.main_window import MainWindow

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


def test_an_export_begins_in_documents_and_then_where_the_last_one_went(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposed: list[Path] = []

    def choose(_parent: object, _title: str, start: str, _filters: str) -> tuple[str, str]:
        proposed.append(Path(start))
        return str(tmp_path / "exports" / Path(start).name), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    (tmp_path / "exports").mkdir()
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("What is 1/2?")
    qtbot.waitUntil(lambda: window.session.ready and bool(window.session.conversation.leaf))
    for _ in range(2):
        with qtbot.waitSignal(window.dialogs.saved):
            window.dialogs.export()
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    assert [path.parent for path in proposed] == [Path(documents), tmp_path / "exports"]
    assert {path.name for path in proposed} == {"What is 1-2.html"}
