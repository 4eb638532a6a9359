"""The form of a server: the test with one click, and what is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QCheckBox, QLineEdit, QPushButton, QSpinBox

from baton_reasoning.app.servers.server_dialog import Purpose, ServerDialog, probe_beside
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.known_servers import KnownServer, KnownServers
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.usage import Cap
from baton_reasoning.core.errors import EngineRefused
from baton_reasoning.core.models.options import LocalFile
from baton_reasoning.core.secrets import Secrets
from tests.app.servers.conftest import report_of
from tests.fakes.faulty_router import FaultyRouter
from tests.fakes.faulty_server import Answer, FaultyServer, Json, error, hold, stream
from tests.fakes.keyrings import NO_KEYRING
from tests.patience import PATIENCE
from tests.servers.certificates import self_signed
from tests.servers.llama_server import KEY

pytestmark = pytest.mark.slow

Tested = Callable[[ServerDialog], str]


@pytest.mark.real_models
def test_a_good_server_is_described(open_dialog, tested, server, smollm2):
    found = tested(open_dialog(server.url, KEY, lambda: probe_beside(LocalFile(smollm2), None)))
    assert "✓ reachable" in found
    assert "✓ key accepted" in found
    assert "✓ serves SmolLM2" in found
    assert "1,024 tokens of context" in found
    assert "✓ same vocabulary" in found
    assert "1 of 1 slots free" in found
    assert "answers in" in found
    assert "✗" not in found


def test_nobody_there_is_said(open_dialog, tested):
    with FaultyServer(stream()) as gone:
        pass
    dialog = open_dialog(gone.url)
    found = tested(dialog)
    assert "✗ not reachable" in found
    assert "Start the server there" in found
    assert not any(way.isEnabled() for way in dialog.use_buttons)
    dialog.address.setText("http://other:8080")
    assert all(way.isEnabled() for way in dialog.use_buttons)


def test_a_server_that_loads_its_model_is_reachable(open_dialog, tested):
    with FaultyServer(stream(), routes={"/props": error(503, "Loading model")}) as loading:
        found = tested(open_dialog(loading.url))
    assert "✓ reachable" in found
    assert "Loading model" in found


def test_a_certificate_of_ones_own_is_accepted_by_file_or_knowing_the_risk(open_dialog, tested, tmp_path):
    tls, file = self_signed(tmp_path)
    with FaultyServer(stream(), tls=tls) as server:
        dialog = open_dialog(server.url)
        found = tested(dialog)
        assert "The certificate" in found
        assert "is not trusted" in found

        authority = dialog.form.editor("access", "authority")
        assert isinstance(authority, QLineEdit)
        authority.setText(str(file))
        authority.editingFinished.emit()
        found = tested(dialog)
        assert "✓ serves bytes" in found
        assert "⚠" not in found

        authority.clear()
        authority.editingFinished.emit()
        anyone = dialog.form.editor("access", "any_certificate")
        assert isinstance(anyone, QCheckBox)
        anyone.click()
        assert "⚠ Anyone in between can pose as" in tested(dialog)


def test_advice_for_another_kind_of_server_names_a_button_of_the_dialog(open_dialog):
    routes: dict[str, Json | Answer] = {"/props": {}, "/v1/models": {"data": [{"id": "m", "owned_by": "vllm"}]}}
    with FaultyServer(stream(), routes=routes) as server, pytest.raises(EngineRefused) as raised:
        LlamaServerEngine(server.url)
    assert f"“{open_dialog('').test.text()}”" in raised.value.advice


def test_several_servers_are_tested_one_after_the_other(open_dialog, tested):
    with FaultyServer(stream()) as one, FaultyServer(stream()) as other:
        found = tested(open_dialog(f"{one.url}, {other.url}"))
        assert found.count("✓ serves bytes") == 2


def test_the_models_of_a_router_are_offered(open_dialog, tested):
    with FaultyRouter(stream(), models={"one": ["unloaded"], "other": ["loaded"]}) as server:
        dialog = open_dialog(server.url)
        assert not dialog.model.isVisible()
        assert "Write its name after the address" in tested(dialog)
        assert not any(way.isEnabled() for way in dialog.use_buttons)
        assert [dialog.model.itemText(n) for n in range(dialog.model.count())] == ["one (unloaded)", "other (loaded)"]
        dialog.model.setCurrentIndex(1)
        dialog.model.activated.emit(1)
        assert dialog.address.text() == f"{server.url}#other"
        assert all(way.isEnabled() for way in dialog.use_buttons)
        assert "✓ serves other" in tested(dialog)
        assert dialog.model.currentData() == "other"
    dialog.address.setText("http://elsewhere:1")
    dialog.address.editingFinished.emit()
    assert not dialog.model.isVisible(), "these were the models of another server"


def test_closing_it_ends_the_wait_for_a_model(open_dialog, qtbot):
    with FaultyRouter(stream(), models={"one": ["loading"]}) as server:
        dialog = open_dialog(server.url)
        dialog.test.click()
        qtbot.waitUntil(lambda: "is loading one" in dialog.testing.text())
        (asking,) = [thread for thread in threading.enumerate() if thread.name == "ask the server"]
        dialog.reject()
        asking.join(PATIENCE)
        assert not asking.is_alive()


def test_what_cannot_be_an_address_is_said(open_dialog, tested):
    for name in ("office", "hf:nonsense"):
        assert "is not a server address" in tested(open_dialog(name))


def test_the_result_of_a_test_is_no_verdict_on_an_address_written_meanwhile(open_dialog, qtbot):
    gate = threading.Event()

    def wait() -> tuple[int, ...]:
        gate.wait(PATIENCE)
        return ()

    dialog = open_dialog("http://127.0.0.1:1", probe=wait)
    dialog.test.click()
    dialog.address.setText("http://127.0.0.1:2")
    gate.set()
    qtbot.waitUntil(dialog.test.isEnabled)
    assert all(press.isEnabled() for press in dialog.use_buttons)
    dialog.address.setText("http://127.0.0.1:1")
    assert not any(press.isEnabled() for press in dialog.use_buttons)


def test_it_closes_while_a_silent_server_is_asked(open_dialog, qtbot):
    with FaultyServer(stream(), routes={"/props": hold}) as server:
        dialog = open_dialog(server.url)
        dialog.test.click()
        qtbot.waitUntil(lambda: bool(server.requests))
        assert not dialog.test.isEnabled()
        dialog.reject()
        assert not dialog.isVisible()
        assert "ask the server" in {thread.name for thread in threading.enumerate()}, "it was waited for"


def test_the_server_is_used_as_it_was_set_up(open_dialog, qtbot, servers):
    dialog = open_dialog("http://a:1, http://b:2", "secret")
    tokens = dialog.form.editor("cap", "tokens")
    assert isinstance(tokens, QSpinBox)
    tokens.setValue(500)
    with qtbot.waitSignal(dialog.use_wanted) as used:
        dialog.use_buttons[-1].click()
    assert used.args == [Author.LARGE, "http://a:1, http://b:2"]
    for url in ("http://a:1", "http://b:2"):
        address, options = servers.server(url)
        assert (address.key, options.cap.tokens) == ("secret", 500)


def test_a_name_that_cannot_be_given_is_said_before_anything_is_kept(open_dialog, servers, qtbot):
    servers.keep({"http://a:1": KnownServer(name="office")})
    dialog = open_dialog("http://b:2", purpose=Purpose.KEEP)
    name = dialog.form.editor("name")
    assert isinstance(name, QLineEdit)
    qtbot.keyClicks(name, "office")
    name.editingFinished.emit()
    dialog.use_buttons[0].click()
    qtbot.waitUntil(lambda: "“office” already names http://a:1." in report_of(dialog))
    assert servers.address_of("office") == "http://a:1"


def test_what_is_known_is_shown_again_but_never_the_key(open_dialog, servers, qtbot):
    servers.keep({"http://a:1": KnownServer(cap=Cap(tokens=7))}, "secret")
    dialog = open_dialog("http://a:1/v1/", purpose=Purpose.KEEP)
    assert dialog.known.cap.tokens == 7
    assert dialog.key.typed == ""
    assert "kept" in dialog.key.edit.placeholderText()
    dialog.key.forget.click()
    qtbot.waitUntil(lambda: "forgotten" in dialog.key.message.text())
    assert servers.key("http://a:1") is None
    assert dialog.key.forget.isHidden()


def test_a_person_is_told_how_long_a_key_is_kept(open_dialog, servers, qtbot, tmp_path):
    dialog = open_dialog()
    qtbot.waitUntil(lambda: "kept in the system's keyring" in dialog.key.message.text())
    keyless = ServerDialog(
        KnownServers(tmp_path / "other.json", lambda: Secrets(NO_KEYRING)), "", tuple, Purpose.KEEP, dialog
    )
    qtbot.waitUntil(lambda: "until Baton is closed" in keyless.key.message.text())


def test_a_locked_keyring_is_said_when_a_key_is_to_be_forgotten(open_dialog, servers, ring, qtbot):
    servers.keep({"http://a:1": KnownServer()}, "secret")
    ring.locked = True
    dialog = open_dialog("http://a:1")
    dialog.key.forget.click()
    qtbot.waitUntil(lambda: "did not forget the key" in dialog.key.message.text())


def test_everything_has_a_name(open_dialog):
    dialog = open_dialog("http://a:1")
    dialog.fold.click()
    for press in dialog.findChildren(QPushButton):
        assert press.accessibleName() or press.text()
    for edit in dialog.findChildren(QLineEdit):
        if not edit.objectName().startswith("qt_"):
            assert edit.accessibleName(), edit.placeholderText()
