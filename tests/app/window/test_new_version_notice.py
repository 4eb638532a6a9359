"""A new version is told of once it is wanted, and asked for at most once a day."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import partial

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QCheckBox
from pytestqt.qtbot import QtBot

from baton_reasoning.app.settings.dialog import SettingsDialog
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.app.window.new_version_notice import SECONDS_APART, NewVersionNotice
from baton_reasoning.core.version import newer_version, version
from tests.fakes.release_server import ReleaseServer, running_releases


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    with running_releases(json.dumps({"tag_name": "v99.0.0"})) as server:
        yield server


@pytest.fixture
def notice(window: MainWindow, server: ReleaseServer, qtbot: QtBot) -> NewVersionNotice:
    """In place of the window's own, which asks GitHub."""
    qtbot.waitUntil(lambda: window.session.ready)
    window._new_version.deleteLater()
    window.preferences.changed.disconnect(window._new_version.ask)
    return NewVersionNotice(window.preferences, window.page_actions, window, partial(newer_version, server.address))


def test_nothing_is_asked_until_the_box_is_ticked(
    window: MainWindow, notice: NewVersionNotice, server: ReleaseServer, qtbot: QtBot
) -> None:
    notice.ask()
    assert window.preferences.value.window.asked_for_version == 0
    window.page_actions.show_settings("updates")
    (dialog,) = window.findChildren(SettingsDialog)
    (box,) = (each for each in dialog.findChildren(QCheckBox) if each.accessibleName() == "Tell me of a new version")
    qtbot.waitUntil(box.isVisible)
    box.setFocus()
    QTest.keyClick(box, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.notice.text == f"Baton 99.0.0 was released; this is {version()}.")
    assert server.paths == ["/releases/latest"]


def test_it_is_asked_once_a_day(
    window: MainWindow, notice: NewVersionNotice, server: ReleaseServer, qtbot: QtBot
) -> None:
    updates = window.preferences.value.updates.model_copy(update={"tell": True})
    asked = time.time() - SECONDS_APART + 60
    window.preferences.change_window(asked_for_version=asked)
    window.preferences.change(updates=updates)
    assert window.preferences.value.window.asked_for_version == asked
    window.preferences.change_window(asked_for_version=time.time() - SECONDS_APART - 60)
    notice.ask()
    notice.ask()
    qtbot.waitUntil(lambda: window.notice.text.startswith("Baton 99.0.0 was released"))
    assert len(server.paths) == 1
