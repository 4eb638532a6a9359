"""A file that is written or chosen."""

from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QPushButton
from pytestqt.qtbot import QtBot

from baton_reasoning.app.toolkit.controls import FileEdit


def test_a_path_is_written_or_nothing(qtbot: QtBot) -> None:
    edit = FileEdit()
    qtbot.addWidget(edit)
    assert edit.path() is None
    edit.show_path(Path("/a/ca.pem"))
    assert edit.edit.text() == "/a/ca.pem"
    edit.edit.setText(" ~/ca.pem ")
    assert edit.path() == Path.home() / "ca.pem"


def test_a_chosen_file_is_told(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    edit = FileEdit()
    edit.setAccessibleName("Certificate file")
    qtbot.addWidget(edit)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("/a/ca.pem", ""))
    with qtbot.waitSignal(edit.changed):
        edit.findChildren(QPushButton)[0].click()
    assert edit.path() == Path("/a/ca.pem")
    assert edit.edit.accessibleName() == "Certificate file"
