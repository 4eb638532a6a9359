"""The window while its real llama-server is killed in the middle of a takeover: one line, nothing lost, a way on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.session.loaded_models import Loading
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.demo_pair import SMALL_MODEL
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.connection import RetryPolicy, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.status import StatusCallback
from baton_reasoning.core.models.options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.requests import Until
from tests.app.conftest import ScriptedLoader
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

pytestmark = pytest.mark.real_models
TAKEOVER = 24
"""Tokens: long enough to be killed in the middle of it."""
SOON = RetryPolicy(first_pause=0.05, longest_pause=0.2)
RUN = RunSettings(
    policy=EveryStep.Settings(opening=TAKEOVER, n1=10, until=Until.TOKENS),
    max_tokens=TAKEOVER + 10,
    temperature=0,
    limits=Limits(repetition=False),
)


class ServedLoader(ScriptedLoader):
    """The demo's small model, and a large one on the server."""

    def __init__(self, url: str, retry_policy: RetryPolicy) -> None:
        super().__init__()
        self._address, self._retry_policy = ServerAddress(url, KEY), retry_policy

    def __call__(self, choice: ModelChoice, watcher: StatusCallback) -> Loading:
        self.choices.append(choice)
        small = LocalEngine(SMALL_MODEL, LoadOptions(context=512, threads=1))
        yield Pair(small, LlamaServerEngine(self._address, RemoteOptions(self._retry_policy), watcher))


class Served:
    """A window, and the server of its large model, which can be killed and started again at its address."""

    def __init__(self, window: MainWindow, server: LlamaServer) -> None:
        self.window, self.server = window, server

    def kill_in_a_takeover(self, qtbot: QtBot) -> Exchange:
        """The answer that was being written."""
        self.window.session.ask("Count from one to one hundred.")
        qtbot.waitUntil(lambda: self.written_by_large() > 5)
        self.server.kill()
        exchange = self.window.session.current
        assert exchange
        assert exchange.trace.ended is None
        assert self.written_by_large() < TAKEOVER, "the takeover was over before"
        return exchange

    def written_by_large(self) -> int:
        current = self.window.session.current
        return current.trace.totals[Author.LARGE].kept if current else 0

    def start_again(self) -> None:
        self.server = LlamaServer(replace(self.server.options, port=self.server.port))


@pytest.fixture
def serve(make_window, qtbot, smollm2):
    all_served: list[Served] = []

    def serve(retry_policy: RetryPolicy) -> Served:
        server = LlamaServer(ServerOptions(str(smollm2)))
        window = make_window(ServedLoader(server.url, retry_policy), begin=False)
        served = Served(window, server)
        all_served.append(served)
        window.preferences.change(run=RUN)
        window.begin_work()
        qtbot.waitUntil(lambda: window.models.pair.large is not None and window.session.ready)
        return served

    yield serve
    for served in all_served:
        served.window.close()
        served.server.kill()


def test_an_answer_goes_on_in_its_takeover_when_the_server_is_back(serve, qtbot):
    served = serve(replace(SOON, tries=10_000))
    window, line = served.window, served.window.chat.server_line
    exchange = served.kill_in_a_takeover(qtbot)
    before = exchange.trace.text
    qtbot.waitUntil(line.isVisible)
    assert "reconnecting (attempt" in line.text.text()
    assert not line.retry.isVisible(), "it retries by itself"
    assert window.notice.text == ""
    served.start_again()
    qtbot.waitUntil(lambda: window.session.ready)
    trace = exchange.trace
    assert trace.text.startswith(before)
    assert trace.finish is not Finish.FAILED
    assert trace.totals[Author.LARGE].kept >= TAKEOVER
    assert not line.isVisible()
    assert len(trace.notices) <= 1, "one line in the answer"


def test_a_server_that_stays_away_is_one_line_with_a_button_and_the_conversation_goes_on_later(serve, qtbot):
    served = serve(replace(SOON, tries=4))
    window, line = served.window, served.window.chat.server_line
    exchange = served.kill_in_a_takeover(qtbot)
    before = exchange.trace.text
    qtbot.waitUntil(lambda: window.session.ready)
    trace = exchange.trace
    assert trace.text.startswith(before)
    assert len(trace.text) > len(before), "the small model went on alone"
    assert trace.finish is not Finish.FAILED
    assert [notice.text.count("goes on alone") for notice in trace.notices].count(1) == 1
    qtbot.waitUntil(line.retry.isVisible)  # what the line says comes a moment later
    assert "✗" in line.text.text()
    assert line.text.text().count("127.0.0.1") == 1
    assert window.notice.text == "", "the line says it"
    qtbot.mouseClick(line.retry, Qt.MouseButton.LeftButton)  # in vain
    qtbot.waitUntil(line.retry.isEnabled)
    assert line.isVisible()

    served.start_again()
    qtbot.mouseClick(line.retry, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not line.isVisible())
    assert window.session.conversation.leaf is exchange
    window.session.ask("And now?")
    qtbot.waitUntil(lambda: window.session.ready and window.session.current is not exchange)
    assert served.written_by_large() > 0  # how much, is up to the model: the text before is another each time
    assert [each.problem for each in window.session.conversation.path] == [exchange.problem, "And now?"]
    assert window.session.conversation.path[0].trace.text.startswith(before)
