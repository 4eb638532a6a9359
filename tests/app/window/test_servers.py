"""The window with its large model on a server: loading, states, the bill, what is not possible, a server that dies."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from baton_reasoning.app.inspector.panel import Tab
from baton_reasoning.app.session.loaded_models import Loading, LoadState
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.app.window.models_page import LazyModelsPage
from baton_reasoning.app.window.pair_dialog import PairDialog
from baton_reasoning.app.window.server_dialog import ServerDialog
from baton_reasoning.core.demo_pair import SMALL_MODEL
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.connection import RetryPolicy, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.known_servers import KnownServer, KnownServers
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.status import StatusCallback
from baton_reasoning.core.engines.usage import Prices
from baton_reasoning.core.models.options import DemoModel, LoadOptions, Switch, parse_source
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.secrets import Secrets
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policies.keywords import EveryStep
from baton_reasoning.core.thinking.requests import Until
from tests.app.conftest import ScriptedLoader
from tests.fakes.faulty_server import Answer, FaultyServer, Wire, about, end, error, hold, progress, stream, token
from tests.fakes.keyrings import MemoryKeyring
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

pytestmark = pytest.mark.slow


def opened_by_the_large(tokens: int, **more: Any) -> RunSettings:
    return RunSettings(policy=EveryStep.Settings(opening=tokens, n1=6, until=Until.TOKENS), **more)


@pytest.fixture
def connect(qtbot, tmp_path):
    """A window whose large model is on the server, opened with what is known of it; the small one is the demo's."""
    windows: list[MainWindow] = []

    def connect(url: str, known: KnownServer | None = None, key: str = "") -> MainWindow:
        paths = Paths.under(tmp_path)
        loader = PairLoader(paths)
        loader.servers = KnownServers(paths.servers, Secrets(MemoryKeyring()))
        loader.servers.keep({url: known or KnownServer()}, key)
        window = MainWindow(paths, loader)
        windows.append(window)
        choice = window.preferences.value.models.replaced(Author.LARGE, parse_source(url))
        window.preferences.change(models=choice, run=opened_by_the_large(6, max_tokens=80))
        window.resize(1440, 900)
        window.show()
        window.begin_work()
        return window

    yield connect
    for window in windows:
        window.close()
        window.deleteLater()


def words_of(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if not label.isHidden())


@pytest.mark.real_models
def test_the_bill_stands_in_the_inspector(connect, qtbot, server):
    known = KnownServer(prices=Prices(read=1, written=2, currency="EUR"), supports_prefetch=Switch.ON)
    window = connect(server.url, known, KEY)
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    assert "its server: ✓ connected" in window.topbar.pair.accessibleName()
    window.session.ask("What is 2 + 2?")
    qtbot.waitUntil(lambda: window.session.ready and window.session.current is not None)
    assert window.session.current.trace.totals[Author.LARGE].decoded > 0
    window.inspector.tabs.setCurrentIndex(Tab.RUN)
    assert " requests, " in words_of(window.inspector.run)
    assert " EUR" in words_of(window.inspector.run)


@pytest.mark.real_models
def test_a_wrong_key_keeps_the_models_from_loading_and_says_what_to_do(connect, qtbot, server):
    window = connect(server.url, key="wrong")
    qtbot.waitUntil(lambda: window.models.state is LoadState.FAILED)
    assert "does not accept the key" in window.notice.text
    assert "Server…" in [way.text() for way in window.notice.findChildren(QPushButton)]


def test_a_server_is_connected_from_the_models_page(qtbot, make_window):
    window = make_window()
    tab = LazyModelsPage(window, lambda: Secrets(MemoryKeyring()), home=window.paths.data)
    (connect,) = [each for each in tab.part.pairs.findChildren(QPushButton) if each.text() == "Connect to a server…"]
    connect.click()
    dialog = window.findChild(ServerDialog)
    assert dialog.isVisible()
    dialog.address.setText("http://office:8080")
    dialog.key.edit.setText("secret")
    dialog.use_buttons[-1].click()
    qtbot.waitUntil(lambda: str(window.preferences.value.models.large) == "http://office:8080")
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    assert window.models.servers.server("http://office:8080").address.key == "secret"
    assert "secret" not in window.preferences.value.model_dump_json()


def test_a_server_is_set_up_where_the_two_models_are_chosen(qtbot, make_window):
    window = make_window()
    window.page_actions.choose_models()
    pair = window.findChild(PairDialog)
    pair.edits[Author.LARGE].setText("http://office:8080")
    pair.server_buttons[Author.LARGE].click()
    form = pair.findChild(ServerDialog)
    assert form.address.text() == "http://office:8080"
    form.address.setText("http://office:8081, http://office:8082")
    form.use_buttons[0].click()
    qtbot.waitUntil(lambda: "8082" in pair.edits[Author.LARGE].text())
    assert pair.load.isEnabled()
    pair.reject()


class Steps:
    """A stream whose parts are sent when the test says so."""

    def __init__(self, *parts: Answer) -> None:
        self._parts = parts
        self._next = threading.Semaphore(0)

    def go_on(self) -> None:
        self._next.release()

    def __call__(self, wire: Wire) -> None:
        wire.head(200, Content_Type="text/event-stream")
        for part in self._parts:
            self._next.acquire()
            part(wire)


def test_each_state_of_the_server_is_seen_in_the_top_bar(connect, qtbot):
    steps = Steps(progress(40, 100), token("a", 1), end(1, "eos"))
    with FaultyServer(steps, routes={"/props": error(503, "Loading model")}) as faulty:
        window = connect(faulty.url)
        pair = window.topbar.pair

        def says(words: str) -> None:
            qtbot.waitUntil(lambda: words in pair.accessibleName())
            assert words in words_of(pair)

        qtbot.waitUntil(lambda: "Loading model" in pair.accessibleName())
        faulty.routes |= about()
        says("✓ connected")
        window.session.ask("What is 2 + 2?")
        says("◷ waiting for a slot")
        steps.go_on()
        says("≡ reading 40%")
        steps.go_on()
        says("▶ busy")
        window.session.stop()
        steps.go_on()
        says("✓ connected")
        name = window.models.pair.cards[Author.LARGE].name
        pair.show_narrow(True)
        assert f"✓ {name}" in words_of(pair).splitlines(), "a narrow header has room for the sign"
    pair.show_narrow(False)
    window.models.check_servers()
    says("✗ not answering")
    assert "not answering: Nothing answers at 127.0.0.1" in pair.toolTip(), "the reason"


def test_the_window_closes_at_once_while_a_server_is_silent(connect, qtbot):
    with FaultyServer(stream(), routes={"/props": hold}) as silent:
        window = connect(silent.url)
        qtbot.waitUntil(lambda: bool(silent.requests))
        window.close()
        assert "open-model_0" in {thread.name for thread in threading.enumerate()}, "it was waited for"


def test_a_policy_that_a_server_cannot_serve_is_offered_again_with_other_models(connect, qtbot):
    routes: dict[str, Any] = {
        "/props": error(404, "not found"),
        "/v1/models": {"data": [{"id": "texts-only", "owned_by": "somebody"}]},
    }
    with FaultyServer(stream(), routes=routes) as server:
        window = connect(server.url, KnownServer(template=Path(__file__).with_name("chat.jinja")))
        qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
        actions = window.topbar.policy.findChildren(QAction)
        score, every = (next(a for a in actions if name in a.text()) for name in ("Step score", "Every step"))
        assert not score.isEnabled()
        assert every.isEnabled()
        window.models.load(window.preferences.value.models.replaced(Author.LARGE, DemoModel.LARGE))
        qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
        assert score.isEnabled()


# A server that dies


class ServedLoader(ScriptedLoader):
    """The demo's small model, and a large one on the server."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._address = ServerAddress(url, KEY)

    def __call__(self, choice: ModelChoice, watcher: StatusCallback) -> Loading:
        self.choices.append(choice)
        small = LocalEngine(SMALL_MODEL, LoadOptions(context=512, threads=1))
        options = RemoteOptions(RetryPolicy(first_pause=0.05, longest_pause=0.2, tries=4))
        yield Pair(small, LlamaServerEngine(self._address, options, watcher))


@pytest.mark.real_models
def test_a_server_that_is_killed_is_shown_in_the_header_and_the_conversation_goes_on_later(make_window, qtbot, smollm2):
    with LlamaServer(ServerOptions(str(smollm2))) as server:
        window = make_window(ServedLoader(server.url), begin=False)
        run = opened_by_the_large(24, max_tokens=34, temperature=0, limits=Limits(repetition=False))
        window.preferences.change(run=run)
        window.begin_work()
        qtbot.waitUntil(lambda: window.models.pair.large is not None and window.session.ready)
        pair = window.topbar.pair

        def written_by_large() -> int:
            current = window.session.current
            return current.trace.totals[Author.LARGE].kept if current else 0

        window.session.ask("Count from one to one hundred.")
        qtbot.waitUntil(lambda: written_by_large() > 5)
    exchange = window.session.current
    before = exchange.trace.text
    assert written_by_large() < 24, "the takeover was over before"
    qtbot.waitUntil(lambda: window.session.ready)
    assert exchange.trace.text.startswith(before)
    assert len(exchange.trace.text) > len(before), "the small model went on alone"
    assert exchange.trace.finish is not Finish.FAILED
    qtbot.waitUntil(lambda: "its server: ✗" in pair.accessibleName())  # it comes a moment later
    assert window.notice.text == "", "the header says it"

    with LlamaServer(replace(server.options, port=server.port)):
        window.models.check_servers()
        qtbot.waitUntil(lambda: "its server: ✓ connected" in pair.accessibleName())
        window.session.ask("And now?")
        qtbot.waitUntil(lambda: window.session.ready and window.session.current is not exchange)
        assert written_by_large() > 0  # how much, is up to the model: the text before is another each time
        assert [each.problem for each in window.session.conversation.path] == [exchange.problem, "And now?"]
        window.close()
