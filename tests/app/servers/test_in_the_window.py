"""The window with its large model on a server: loading, states, the bill, a cap, what is not possible there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from baton_reasoning.app.inspector.panel import Tab
from baton_reasoning.app.servers.monitor import ServerMonitor
from baton_reasoning.app.servers.server_dialog import ServerDialog
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.app.window.models_page import LazyModelsPage
from baton_reasoning.app.window.pair_dialog import PairDialog
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.known_servers import KnownServer, KnownServers
from baton_reasoning.core.engines.usage import Prices
from baton_reasoning.core.models.options import DemoModel, Switch, parse_source
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.secrets import Secrets
from baton_reasoning.core.thinking.policies.every_step import EveryStep
from baton_reasoning.core.thinking.requests import Until
from tests.fakes.faulty_server import Answer, FaultyServer, Wire, end, error, hold, progress, stream, token
from tests.fakes.keyrings import MemoryKeyring
from tests.servers.llama_server import KEY

pytestmark = pytest.mark.slow
OPENED_BY_THE_LARGE = RunSettings(policy=EveryStep.Settings(opening=6, n1=6, until=Until.TOKENS), max_tokens=80)
Connect = Callable[..., MainWindow]


@pytest.fixture
def connect(qtbot, tmp_path):
    """A window whose large model is on the server, opened with what is known of it; the small one is the demo's."""
    windows: list[MainWindow] = []

    def connect(url: str, known: KnownServer | None = None, key: str = "") -> MainWindow:
        paths = Paths.under(tmp_path)
        loader = PairLoader(paths)
        loader.servers = KnownServers(paths.servers, lambda: Secrets(MemoryKeyring()))
        loader.servers.keep({url: known or KnownServer()}, key)
        window = MainWindow(paths, loader)
        windows.append(window)
        choice = window.preferences.value.models.replaced(Author.LARGE, parse_source(url))
        window.preferences.change(models=choice, run=OPENED_BY_THE_LARGE)
        window.resize(1440, 900)
        window.show()
        window.begin_work()
        return window

    yield connect
    for window in windows:
        window.close()
        window.deleteLater()


def wait_until_ready(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)


def wait_for_the_answer(qtbot: QtBot, window: MainWindow) -> None:
    def over() -> bool:
        return window.session.current is not None and window.session.current.trace.ended is not None

    qtbot.waitUntil(lambda: over() and window.session.ready)


def words_of(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if not label.isHidden())


@pytest.mark.real_models
def test_the_bill_stands_in_the_inspector(connect, qtbot, server):
    known = KnownServer(prices=Prices(read=1, written=2, currency="EUR"), supports_prefetch=Switch.ON)
    window = connect(server.url, known, KEY)
    wait_until_ready(qtbot, window)
    assert "its server: ✓ connected" in window.topbar.pair.accessibleName()
    window.session.ask("What is 2 + 2?")
    wait_for_the_answer(qtbot, window)
    assert window.session.current
    trace = window.session.current.trace
    assert trace.totals[Author.LARGE].decoded > 0
    window.inspector.tabs.setCurrentIndex(Tab.RUN)
    assert "s for first tokens" in words_of(window.inspector.run)
    assert " in its KV cache already" in words_of(window.inspector.run)


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
    assert dialog
    assert dialog.isVisible()
    dialog.address.setText("http://office:8080")
    dialog.key.edit.setText("secret")
    use_as_large = dialog.use_buttons[-1]
    use_as_large.click()
    qtbot.waitUntil(lambda: str(window.preferences.value.models.large) == "http://office:8080")
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    assert window.models.servers.server("http://office:8080").address.key == "secret"
    assert "secret" not in window.preferences.value.model_dump_json()


def test_a_server_is_set_up_where_the_two_models_are_chosen(qtbot, make_window):
    window = make_window()
    window.page_actions.choose_models()
    pair = window.findChild(PairDialog)
    assert pair
    pair.edits[Author.LARGE].setText("http://office:8080")
    pair.server_buttons[Author.LARGE].click()
    form = pair.findChild(ServerDialog)
    assert form
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
    with FaultyServer(steps, error(400, "no more")) as faulty:
        window = connect(faulty.url)
        wait_until_ready(qtbot, window)
        pair = window.topbar.pair

        def says(words: str) -> None:
            qtbot.waitUntil(lambda: words in pair.accessibleName())
            assert words in words_of(pair)

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


def test_a_server_that_goes_away_while_nobody_asks_it_is_seen(connect, qtbot):
    with FaultyServer(stream()) as server:
        window = connect(server.url)
        wait_until_ready(qtbot, window)
        qtbot.waitUntil(lambda: " ms" in words_of(window.topbar.pair))
    lookout = window.findChild(ServerMonitor)
    assert lookout
    lookout.check()
    qtbot.waitUntil(lambda: "✗ not answering" in words_of(window.topbar.pair))


def test_a_server_that_loads_its_model_is_waited_for_and_that_is_seen(connect, qtbot):
    loading = [True]

    def props(wire: Wire) -> None:
        if loading:
            error(503, "Loading model")(wire)
        else:
            wire.json({"default_generation_settings": {"n_ctx": 1000}, "total_slots": 1, "chat_template": ""})

    with FaultyServer(stream(end(0)), routes={"/props": props}) as server:
        window = connect(server.url)
        qtbot.waitUntil(lambda: "Loading model" in window.topbar.pair.accessibleName())
        loading.clear()
        wait_until_ready(qtbot, window)


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
        known = KnownServer(template=Path(__file__).with_name("chat.jinja"))
        window = connect(server.url, known)
        wait_until_ready(qtbot, window)
        actions = window.topbar.policy.findChildren(QAction)
        score, every = (next(a for a in actions if name in a.text()) for name in ("Step score", "Every step"))
        assert not score.isEnabled()
        assert every.isEnabled()
        window.models.load(window.preferences.value.models.replaced(Author.LARGE, DemoModel.LARGE))
        wait_until_ready(qtbot, window)
        assert score.isEnabled()
