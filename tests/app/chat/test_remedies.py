"""Below an answer: what wrote it, and one click against how it ended. Above the composer: a server that is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.models.options import LocalFile
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import Finish
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange
from tests.fakes.held import ServedEngine
from tests.fakes.scripted import Fault, ScriptedEngine

Make = Callable[..., MainWindow]
MODEL = Path("model.gguf")
PLAIN = "One.\n\nTwo.\n\nThree.\n\nFour.</think>\n\nThe answer is 4."


def answered(make_window: Make, qtbot: QtBot, loader: ScriptedLoader, **settings: object) -> MainWindow:
    window = make_window(loader)
    window.preferences.change_run(**settings)
    answer_to(window, qtbot, "2 + 2?")
    return window


def press(window: MainWindow, qtbot: QtBot, words: str) -> None:
    def found() -> list[QPushButton]:
        buttons = last_answer(window).findChildren(QPushButton)
        return [button for button in buttons if words in button.text() and button.isVisible()]

    qtbot.waitUntil(lambda: len(found()) == 1)
    qtbot.mouseClick(found()[0], Qt.MouseButton.LeftButton)


def test_without_a_cue_another_policy_is_one_click_away(make_window, qtbot):
    loader = ScriptedLoader()
    loader.small = ScriptedEngine(continue_with=lambda _, body: PLAIN.removeprefix(body))
    window = answered(make_window, qtbot, loader)
    press(window, qtbot, "Every step")
    qtbot.waitUntil(lambda: window.session.ready)
    leaf = last_exchange(window)
    assert len(window.session.conversation.roots) == 2
    assert leaf.settings.policy.policy == "every-step"
    assert window.preferences.value.run.policy.policy == "keywords", "an attempt, not another setting"


def test_at_the_length_limit_the_answer_continues_with_twice_as_many_tokens(make_window, qtbot):
    loader = ScriptedLoader()
    loader.small = ScriptedEngine(continue_with=lambda _, body: PLAIN.removeprefix(body))
    window = answered(make_window, qtbot, loader, max_tokens=8)
    trace = last_answer(window).exchange.trace
    assert trace.finish is Finish.MAX_TOKENS
    press(window, qtbot, "Continue up to 16 tokens")
    qtbot.waitUntil(lambda: window.session.ready)
    assert trace.tokens == 16
    press(window, qtbot, "Continue up to 32 tokens")
    qtbot.waitUntil(lambda: window.session.ready)
    assert trace.text == PLAIN


def test_a_full_context_is_doubled_and_the_answer_continues(make_window, qtbot):
    loader = ScriptedLoader()
    loader.small = ScriptedEngine(continue_with=lambda _, body: PLAIN.removeprefix(body), context=30)
    window = answered(make_window, qtbot, loader)
    window.preferences.change(models=ModelChoice(small=LocalFile(MODEL), large=LocalFile(MODEL)))
    trace = last_answer(window).exchange.trace
    assert last_answer(window).exchange.trace.finish is Finish.CONTEXT_FULL
    loader.small = ScriptedEngine(continue_with=lambda _, body: PLAIN.removeprefix(body), context=60)
    press(window, qtbot, "Continue with a context of 60")
    qtbot.waitUntil(lambda: window.session.ready and trace.finish is Finish.END_OF_TEXT)
    assert loader.choices[-1].context == 60
    assert trace.text == PLAIN


class MortalEngine(ScriptedEngine):
    """A model on this machine, whose process may die."""

    @property
    def is_lost(self) -> bool:
        return self._gone is not None


def test_models_that_died_are_shown_in_the_header_and_loaded_again(make_window, qtbot):
    loader = ScriptedLoader()
    lost = EngineLost("The process of small.gguf was killed.", "Load the model again, or choose another one.")
    loader.small = MortalEngine("One.\n\nTwo and more.", faults=[Fault(4, lost, for_good=True)])
    window = answered(make_window, qtbot, loader)
    pair = window.topbar.pair
    assert last_exchange(window).trace.finish is Finish.FAILED
    assert "✗ small" in [part.text() for part in pair.findChildren(QLabel)]
    assert "has ended" in pair.accessibleName()
    loader.small = ScriptedEngine(continue_with=lambda _, body: PLAIN.removeprefix(body))
    press(window, qtbot, "Load again")
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.small is loader.small)
    assert "✗ small" not in [part.text() for part in pair.findChildren(QLabel)]


def test_an_unreachable_server_has_one_line_that_is_updated_and_goes(make_window, qtbot):
    loader = ScriptedLoader()
    loader.large = served = ServedEngine("Wait.", name="large")
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready and window.models.pair.large is not None)
    qtbot.waitUntil(lambda: served.pings == 1 and not window._monitor._request.busy)
    line = window.chat.server_line
    assert not line.isVisible()
    served.status = ServerStatus(ServerState.RECONNECTING, reason="Connection refused.", attempt=2, attempts=6)
    window.models.servers_changed.emit()
    assert line.isVisible()
    assert line.text.text().startswith("◆ ")
    assert line.text.text().endswith("↻ reconnecting (attempt 3 of 6). Connection refused.")
    assert not line.retry.isVisible()
    served.status = ServerStatus(ServerState.LOST, reason="Connection refused.")
    window.models.servers_changed.emit()
    assert "not answering" in line.text.text()
    qtbot.mouseClick(line.retry, Qt.MouseButton.LeftButton)
    assert not line.retry.isEnabled()
    qtbot.waitUntil(lambda: served.pings == 2)
    qtbot.waitUntil(line.retry.isEnabled)
    served.status = ServerStatus(ServerState.CONNECTED)
    window.models.servers_changed.emit()
    assert not line.isVisible()
    assert window.models.server_status(Author.LARGE)
