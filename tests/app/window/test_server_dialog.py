"""The form of a server: the test with one click, and what is kept."""

from __future__ import annotations

import threading

import pytest
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QSpinBox, QWidget

from baton_reasoning.app.window.server_dialog import ServerDialog
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.known_servers import KnownServer, KnownServers
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.usage import Cap
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.secrets import Secrets
from tests.fakes.faulty_server import FaultyRouter, FaultyServer, error, hold, stream
from tests.fakes.keyrings import NO_KEYRING, MemoryKeyring
from tests.patience import PATIENCE
from tests.servers.llama_server import KEY

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

    def open(address: str = "", to_use: bool = True, servers: KnownServers = servers) -> ServerDialog:
        dialog = ServerDialog(servers, address, parent, to_use=to_use)
        dialog.show()
        return dialog

    return open


def report_of(dialog: ServerDialog) -> str:
    """What is said of the test, as a screen reader has it."""
    return "\n".join(each.accessibleName() for each in dialog.report.findChildren(QLabel) if each.isVisible())


@pytest.fixture
def tested(qtbot):
    """Presses the button, and waits for what it says."""

    def tested(dialog: ServerDialog) -> str:
        dialog.test.click()
        qtbot.waitUntil(lambda: dialog.test.isEnabled() and bool(report_of(dialog)))
        return report_of(dialog)

    return tested


def write_setting(dialog: ServerDialog, text: str, *path: str) -> None:
    edit = dialog.form.editor(*path)
    assert isinstance(edit, QLineEdit)
    edit.setText(text)
    edit.editingFinished.emit()


# The test


@pytest.mark.real_models
def test_a_good_server_is_described(open_dialog, tested, server):
    dialog = open_dialog(server.url)
    dialog.key.edit.setText(KEY)
    found = tested(dialog)
    for good in ("reachable", "key accepted", "serves SmolLM2"):
        assert f"✓ {good}" in found
    assert "✗" not in found


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
        assert found.count("✓ serves bytes") == 2
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
    def asking() -> list[threading.Thread]:
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


# What is kept


def test_the_server_is_used_as_it_was_set_up(open_dialog, qtbot, servers):
    dialog = open_dialog("http://a:1, http://b:2")
    dialog.key.edit.setText("secret")
    tokens = dialog.form.editor("cap", "tokens")
    assert isinstance(tokens, QSpinBox)
    tokens.setValue(500)
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
    ring.locked = True
    dialog.key.forget.click()
    qtbot.waitUntil(lambda: "did not forget the key" in dialog.key.message.text())
    ring.locked = False
    dialog.key.forget.click()
    qtbot.waitUntil(lambda: "forgotten" in dialog.key.message.text())
    assert servers.key("http://a:1") is None
    assert dialog.key.forget.isHidden()


def test_a_person_is_told_how_long_a_key_is_kept(open_dialog, qtbot, tmp_path):
    dialog = open_dialog()
    qtbot.waitUntil(lambda: "kept in the system's keyring" in dialog.key.message.text())
    keyless = open_dialog(servers=KnownServers(tmp_path / "other.json", Secrets(NO_KEYRING)))
    qtbot.waitUntil(lambda: "until Baton is closed" in keyless.key.message.text())


def test_everything_has_a_name(open_dialog):
    dialog = open_dialog("http://a:1")
    dialog.fold.click()
    assert dialog.form.isVisible()
    for press in dialog.findChildren(QPushButton):
        assert press.accessibleName() or press.text()
    for edit in dialog.findChildren(QLineEdit):
        if not edit.objectName().startswith("qt_"):
            assert edit.accessibleName(), edit.placeholderText()
