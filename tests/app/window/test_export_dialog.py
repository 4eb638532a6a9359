"""The dialogs that save and open conversations: where they begin, and under which name."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QStandardPaths, Qt
from PySide6.QtWidgets import QFileDialog, QInputDialog, QMenu

from tests.app.conftest import answer_to


def test_an_export_begins_in_documents_and_then_where_the_last_one_went(window, qtbot, tmp_path, monkeypatch):
    proposed: list[Path] = []

    def choose(_parent: object, _title: str, start: str, _filters: str) -> tuple[str, str]:
        proposed.append(Path(start))
        return str(tmp_path / "exports" / Path(start).name), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    (tmp_path / "exports").mkdir()
    answer_to(window, qtbot, "What is 1/2?")
    for _ in range(2):
        window.page_actions.export()
        qtbot.waitUntil(lambda: window.notice.text.startswith("Saved to "))
        window.notice.close_newest()
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    assert [path.parent for path in proposed] == [Path(documents), tmp_path / "exports"]
    assert {path.name for path in proposed} == {"What is 1-2.html"}


@pytest.fixture
def proposed(monkeypatch):
    """The names of files that a dialog has proposed; each is cancelled."""
    names: list[str] = []

    def cancel(_parent: object, _title: str, start: str, _filters: str) -> tuple[str, str]:
        names.append(Path(start).name)
        return "", ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", cancel)
    return names


def test_the_proposed_name_is_that_of_the_conversation_which_is_exported(window, qtbot, proposed):
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("How many fish")
    view, model = window.chat.sidebar.list, window.chat.sidebar.list.model()
    qtbot.waitUntil(lambda: window.session.ready and model.rowCount() == 2)
    window.chat.new()
    view.customContextMenuRequested.emit(view.visualRect(model.index(1, 0)).center())
    (menu,) = window.chat.sidebar.findChildren(QMenu, options=Qt.FindChildOption.FindDirectChildrenOnly)
    next(action for action in menu.actions() if action.text() == "Export…").trigger()
    menu.close()
    assert proposed == ["How many fish.html"]


def test_an_open_conversation_that_was_renamed_is_exported_under_its_new_name(window, qtbot, monkeypatch, proposed):
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("Pets", True))
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("How many fish")
    qtbot.waitUntil(lambda: window.session.ready and window.chat.sidebar.list.model().rowCount() == 2)
    qtbot.keyClick(window.chat.sidebar.list, Qt.Key.Key_F2)
    qtbot.waitUntil(lambda: window.session.conversation.name == "Pets")
    window.page_actions.export()
    assert proposed == ["Pets.html"]
