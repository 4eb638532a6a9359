"""A Models page in an empty home, beside a small Hub on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from keyring.backends.null import Keyring
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.models.page import ModelsPage
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.app.toolkit.messages import MessageBar
from baton_reasoning.core.demo_pair.settings import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.secrets import Secrets
from tests.core.models.hub_server import HubServer, running_hub

REPOSITORY = "owner/demo-GGUF"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """It offers the demo pair's own files."""
    with running_hub() as server:
        server.files[REPOSITORY] = {
            "demo-Q4_K_M.gguf": SMALL_MODEL.read_bytes(),
            "demo-Q8_0.gguf": LARGE_MODEL.read_bytes(),
        }
        yield server


@pytest.fixture
def secrets() -> Secrets:
    return Secrets(Keyring())  # type: ignore[no-untyped-call]


@pytest.fixture
def controller(tmp_path: Path, secrets: Secrets, trash: Path, qtbot: QtBot) -> ModelsController:
    return ModelsController(
        Paths.under(tmp_path),
        secrets,
        built_in=(SMALL_MODEL.parent,),
        home=tmp_path / "home",
    )


@pytest.fixture
def page(controller: ModelsController, qtbot: QtBot) -> Iterator[ModelsPage]:
    """Shown, and with the machine and the folders looked at."""
    around = QWidget()
    qtbot.addWidget(around)
    page = ModelsPage(controller, MessageBar(around))
    qtbot.addWidget(page)
    page.resize(1200, 800)
    with qtbot.waitSignals([controller.inventory_changed, controller.devices_found]):
        page.show()
    yield page
    for owner in (page, controller):
        BackgroundTasks.of(owner).close()
