"""Servers: the form of one, and the window with its large model on one: states, the bill, a server that dies."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from baton_reasoning.app.inspector.panel import Tab
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.app.window.models_page import LazyModelsPage
from baton_reasoning.app.window.pair_dialog import PairDialog
from baton_reasoning.app.window.server_dialog import ServerDialog
from baton_reasoning.core.demo_pair import SMALL_MODEL
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.billing import Cap, Prices
from baton_reasoning.core.engines.remote.connection import RetryPolicy, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.known_servers import KnownServer, KnownServers
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.source import DemoModel, parse_source
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.secrets import Secrets
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policies.keywords import EveryStep
from baton_reasoning.core.thinking.requests import Until
from tests.app.conftest import ScriptedLoader
from tests.fakes.faulty_server import FaultyRouter, FaultyServer, about, end, error, hold, progress, stream, token
from tests.fakes.keyrings import NO_KEYRING, MemoryKeyring
from tests.patience import PATIENCE
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

pytestmark = pytest.mark.slow


@pytest.fixture
def ring():
    return MemoryKeyring()


@pytest.fixture
def servers(tmp_path, ring):
    return KnownServers(tmp_path / "servers.json", Secrets(ring))


@pytest.fixture
def open_dialog(servers, qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)

    def open(address="", to_use=True, servers=servers):
        dialog = ServerDialog(servers, address, parent, to_use=to_use)
        dialog.show()
        return dialog

    return open


def report_of(dialog):
    """What is said of the test, as a screen reader has it."""
    return "\n".join(each.accessibleName() for each in dialog.report.findChildren(QLabel) if each.isVisible())


@pytest.fixture
def tested(qtbot):
    """Presses the button, and waits for what it says."""

    def tested(dialog):
        dialog.test.click()
        qtbot.waitUntil(lambda: dialog.test.isEnabled() and bool(report_of(dialog)))
        return report_of(dialog)

    return tested


def write_setting(dialog, text, *path):
    edit = dialog.form.editor(*path)
    edit.setText(text)
    edit.editingFinished.emit()


# The form: the test with one click


def test_what_keeps_a_server_from_use_is_said(open_dialog, tested):
    with FaultyServer(stream(), routes={"/props": error(503, "Loading model")}) as server:
        dialog = open_dialog(server.url)
        assert "Loading model" in tested(dialog)
    found = tested(dialog)
    assert "✗ not reachable" in found
    assert "Start the server there" in found
    for name in ("office", "hf:nonsense"):
        dialog.address.setText(name)
        assert "is not a server address" in tested(dialog)


def test_several_servers_are_tested_as_they_are_set_up_in_the_form(open_dialog, tested):
    with FaultyServer(stream()) as proxy:
        dialog = open_dialog("http://one.example:8080, http://other.example:8080")
        write_setting(dialog, proxy.url, "access", "proxy")
        found = tested(dialog)
        for good in ("✓ reachable", "✓ no key needed", "✓ serves bytes"):
            assert found.count(good) == 2
        assert found.count("⚠ Texts go to") == 2
        assert {request.headers["Host"] for request in proxy.requests} == {"one.example:8080", "other.example:8080"}


def test_advice_for_another_kind_of_server_names_a_button_of_the_dialog(open_dialog):
    with FaultyServer(stream(), routes={"/props": {}}) as server, pytest.raises(EngineRefused) as raised:
        LlamaServerEngine(ServerAddress(server.url))
    assert f"“{open_dialog().test.text()}”" in raised.value.advice


def test_the_models_of_a_router_are_offered(open_dialog, tested):
    with FaultyRouter(stream(), models={"one": ["unloaded"], "other": ["loaded"]}) as server:
        dialog = open_dialog(server.url)
        assert not dialog.model.isVisible()
        assert "Write its name after the address" in tested(dialog)
        assert [dialog.model.itemText(n) for n in range(dialog.model.count())] == ["one (unloaded)", "other (loaded)"]
        dialog.model.setCurrentIndex(1)
        dialog.model.activated.emit(1)
        assert dialog.address.text() == f"{server.url}#other"
        assert "✓ serves other" in tested(dialog)
        assert dialog.model.currentData() == "other"
    dialog.address.setText("http://elsewhere:1")
    dialog.address.editingFinished.emit()
    assert not dialog.model.isVisible(), "these were the models of another server"


def test_closing_it_ends_the_wait_for_a_model_and_does_not_wait_for_a_silent_server(open_dialog, qtbot):
    def asking():
        return [thread for thread in threading.enumerate() if thread.name == "ask the server"]

    with FaultyRouter(stream(), models={"one": ["loading"]}) as router:
        dialog = open_dialog(router.url)
        dialog.test.click()
        qtbot.waitUntil(lambda: "is loading one" in dialog.testing.text())
        (waiting,) = asking()
        dialog.reject()
        waiting.join(PATIENCE)
        assert not waiting.is_alive()
    with FaultyServer(stream(), routes={"/props": hold}) as silent:
        dialog = open_dialog(silent.url)
        dialog.test.click()
        qtbot.waitUntil(lambda: bool(silent.requests))
        assert not dialog.test.isEnabled()
        dialog.reject()
        assert not dialog.isVisible()
        assert asking(), "it was waited for"


# The form: what is kept


def test_the_server_is_used_as_it_was_set_up(open_dialog, qtbot, servers):
    dialog = open_dialog("http://a:1, http://b:2")
    dialog.key.edit.setText("secret")
    assert dialog.fold.accessibleName().startswith("Show: ")
    dialog.fold.click()
    assert dialog.fold.accessibleName().startswith("Hide: ")
    assert dialog.form.isVisible()
    dialog.form.editor("cap", "tokens").setValue(500)
    with qtbot.waitSignal(dialog.kept) as used:
        dialog.use_buttons[-1].click()
    assert used.args == [Author.LARGE, "http://a:1, http://b:2"]
    for url in ("http://a:1", "http://b:2"):
        address, options = servers.server(url)
        assert (address.key, options.cap.tokens) == ("secret", 500)


def test_what_cannot_be_kept_is_said(open_dialog, servers, qtbot, tmp_path):
    servers.keep({"http://a:1": KnownServer(name="office")})
    dialog = open_dialog("http://b:2", to_use=False)
    write_setting(dialog, "office", "name")
    (save,) = dialog.use_buttons
    save.click()
    qtbot.waitUntil(lambda: "“office” already names http://a:1." in report_of(dialog))
    assert servers.address_of("office") == "http://a:1"

    (tmp_path / "a file").touch()
    unwritable = KnownServers(tmp_path / "a file" / "servers.json", Secrets(NO_KEYRING))
    dialog = open_dialog("http://b:2", servers=unwritable)
    problems: list[object] = []
    dialog.failed.connect(problems.append)
    qtbot.waitUntil(lambda: "until Baton is closed" in dialog.key.message.text())
    with qtbot.waitSignal(dialog.kept):
        dialog.use_buttons[0].click()
    assert ["could not be saved" in str(problem) for problem in problems] == [True]

    (tmp_path / "servers.json").write_text("damaged")
    assert "servers.json cannot be read" in report_of(open_dialog("http://a:1"))


def test_what_is_known_is_shown_again_but_never_the_key(open_dialog, servers, ring, qtbot):
    servers.keep({"http://a:1": KnownServer(cap=Cap(tokens=7))}, "secret")
    dialog = open_dialog("http://a:1/v1/", to_use=False)
    assert dialog.known.cap.tokens == 7
    assert dialog.key.typed == ""
    assert "kept" in dialog.key.edit.placeholderText()
    qtbot.waitUntil(lambda: "kept in the system's keyring" in dialog.key.message.text())
    ring.locked = True
    dialog.key.forget.click()
    qtbot.waitUntil(lambda: "did not forget the key" in dialog.key.message.text())
    ring.locked = False
    dialog.key.forget.click()
    qtbot.waitUntil(lambda: "forgotten" in dialog.key.message.text())
    assert servers.key("http://a:1") is None
    assert dialog.key.forget.isHidden()


# The window


def opened_by_the_large(tokens, **more):
    return RunSettings(policy=EveryStep.Settings(opening=tokens, n1=6, until=Until.TOKENS), **more)


@pytest.fixture
def connect(make_window, tmp_path):
    """A window whose large model is on the server, opened with what is known of it; the small one is the demo's."""

    def connect(url, known=None, key=""):
        window = make_window(PairLoader(Paths.under(tmp_path)), begin=False)
        window.models.servers.keep({url: known or KnownServer()}, key)
        choice = window.preferences.value.models.replaced(Author.LARGE, parse_source(url))
        window.preferences.change(models=choice, run=opened_by_the_large(6, max_tokens=80))
        window.begin_work()
        return window

    return connect


def words_of(widget):
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if not label.isHidden())


def test_a_wrong_key_keeps_the_models_from_loading_and_says_what_to_do(connect, qtbot):
    with FaultyServer(stream(), routes={"/props": error(401, "Invalid API Key")}) as server:
        window = connect(server.url, key="wrong")
        qtbot.waitUntil(lambda: window.models.state is LoadState.FAILED)
    assert "does not accept the key" in window.notice.text
    assert "Server…" in [way.text() for way in window.notice.findChildren(QPushButton)]


def test_a_server_is_connected_from_the_models_page_and_set_up_where_the_two_models_are_chosen(qtbot, make_window):
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
    window.page_actions.choose_models()
    pair = window.findChild(PairDialog)
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

    def __init__(self, *parts):
        self._parts = parts
        self._next = threading.Semaphore(0)

    def go_on(self):
        self._next.release()

    def __call__(self, wire):
        wire.head(200, Content_Type="text/event-stream")
        for part in self._parts:
            self._next.acquire()
            part(wire)


def test_each_state_of_the_server_is_seen_in_the_top_bar_and_its_bill_in_the_inspector(connect, qtbot):
    steps = Steps(progress(40, 100), token("a", 1), end(1, "eos"))
    with FaultyServer(steps, routes={"/props": error(503, "Loading model")}) as faulty:
        window = connect(faulty.url, KnownServer(prices=Prices(read=1, written=2, currency="EUR")))
        pair = window.topbar.pair

        def says(words):
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
        qtbot.waitUntil(lambda: window.session.ready)
        window.inspector.tabs.setCurrentIndex(Tab.RUN)
        assert "1 request, " in words_of(window.inspector.run)
        assert " EUR" in words_of(window.inspector.run)
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
    listed = {"data": [{"id": "texts-only", "owned_by": "somebody"}]}
    with FaultyServer(stream(), routes={"/props": error(404, "not found"), "/v1/models": listed}) as server:
        window = connect(server.url, KnownServer(template=Path(__file__).with_name("chat.jinja")))
        qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
        actions = window.topbar.policy.findChildren(QAction)
        score, every = (next(a for a in actions if name in a.text()) for name in ("Step score", "Every step"))
        assert not score.isEnabled()
        assert every.isEnabled()
        window.models.load(window.preferences.value.models.replaced(Author.LARGE, DemoModel.LARGE))
        qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
        assert score.isEnabled()


class ServedLoader(ScriptedLoader):
    """The demo's small model, and a large one on the server."""

    def __init__(self, url):
        super().__init__()
        self._address = ServerAddress(url, KEY)

    def __call__(self, choice, watcher):
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

        def written_by_large():
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
