"""The walk of somebody new: an empty home, one click on the Models page, one problem, one answer."""

import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from app.loading import PairLoader
from app.models.joining import add_models_page
from app.models_in_use import State
from app.placement_words import placement_facts
from app.window import Window
from core.demo_pair import READY_PROBLEMS, SMALL_MODEL
from core.demo_pair.settings import DEMO_SETTINGS
from core.engines.local.client import LocalEngine
from core.models.gguf import read_header
from core.models.preferences import LoadingChoice
from core.paths import Paths
from core.secrets import Secrets
from core.thinking.events import Finish
from core.thinking.trace import Trace

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


def test_from_an_empty_home_to_the_first_answer(qtbot: QtBot, tmp_path: Path, secrets: Secrets) -> None:
    paths = Paths.under(tmp_path / "baton")
    window = Window(paths, PairLoader(paths))
    qtbot.addWidget(window)
    page = add_models_page(window, lambda: secrets, home=tmp_path).page
    with qtbot.waitSignals([page.room.inventory_changed, page.room.devices_found]):
        window.show()
        window.show_page("models")
    window.open_store()
    page.room.change_loading(SMALL_MODEL, LoadingChoice(context=1024, batch=64))
    (demo,) = [press for press in page.begin.findChildren(QPushButton) if press.text() == "Use the demo pair"]
    demo.click()
    qtbot.waitUntil(lambda: window.models.state is State.READY, timeout=60_000)
    small = window.models.pair.small
    assert isinstance(small, LocalEngine)
    assert small.loaded_as.batch == 64
    window.preferences.change(run=DEMO_SETTINGS)
    problem = json.loads(READY_PROBLEMS.read_text().splitlines()[0])["problem"]
    window.chat.composer.set_text(problem)
    QTest.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)

    def trace() -> Trace:
        assert window.session.current is not None
        return window.session.current.trace

    qtbot.waitUntil(lambda: window.session.current is not None and trace().ended is not None, timeout=60_000)
    assert trace().finish is Finish.END_OF_TEXT
    assert trace().answer.strip()
    assert trace().large_share > 0
    facts = dict(placement_facts(page.room.loaded[SMALL_MODEL]))
    assert facts["Loaded with"].startswith("1,024 tokens, batch 64")
    assert facts["In RAM"].startswith(f"{read_header(SMALL_MODEL).block_count + 1} layers: weights")
    window.close()
