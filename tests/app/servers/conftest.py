"""The form of a server, and a real llama-server to be tested with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtWidgets import QLabel, QWidget

from baton_reasoning.app.servers.server_dialog import Probe, Purpose, ServerDialog
from baton_reasoning.core.engines.remote.known_servers import KnownServers
from baton_reasoning.core.secrets import Secrets
from tests.fakes.keyrings import MemoryKeyring
from tests.servers.llama_server import LlamaServer, ServerOptions

Open = Callable[..., ServerDialog]


@pytest.fixture(scope="session")
def server(smollm2):
    with LlamaServer(ServerOptions(str(smollm2))) as server:
        yield server


@pytest.fixture
def ring():
    return MemoryKeyring()


@pytest.fixture
def servers(tmp_path, ring):
    return KnownServers(tmp_path / "servers.json", lambda: Secrets(ring))


@pytest.fixture
def parent(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    return parent


@pytest.fixture
def open_dialog(servers, parent):
    def open(address: str = "", key: str = "", probe: Probe = tuple, purpose: Purpose = Purpose.USE) -> ServerDialog:
        dialog = ServerDialog(servers, address, probe, purpose, parent)
        dialog.key.edit.setText(key)
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
