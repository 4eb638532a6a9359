"""A Models page in an empty home, beside a small Hub on this machine."""

import pytest
from keyring.backends.null import Keyring

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.models.page import ModelsPage
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.known_servers import KnownServers
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.secrets import Secrets
from baton_reasoning.core.settings import SettingsFile
from tests.core.models.hub_server import running_hub

REPOSITORY = "owner/demo-GGUF"


class Asked:
    """What the page has asked of the window."""

    def __init__(self) -> None:
        self.text = ""
        """What was said last."""
        self.models: list[tuple[Author | None, str]] = []
        """Models to be used, those of a pair without an author."""
        self.calls: list[str] = []

    def show_error(self, error):
        self.text = str(error)

    def say(self, text):
        self.text = text

    def use_model(self, author, source):
        self.models.append((author, str(source)))

    def use_pair(self, small, large):
        self.models += [(None, str(small)), (None, str(large))]

    def __getattr__(self, name):
        return lambda *_: self.calls.append(name)


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture
def hub():
    """It offers the demo pair's own files."""
    with running_hub() as server:
        server.files[REPOSITORY] = {
            "demo-Q4_K_M.gguf": SMALL_MODEL.read_bytes(),
            "demo-Q8_0.gguf": LARGE_MODEL.read_bytes(),
        }
        yield server


@pytest.fixture
def secrets():
    return Secrets(Keyring())


@pytest.fixture
def settings(tmp_path, qtbot):
    return Preferences(SettingsFile(Paths.under(tmp_path).settings))


@pytest.fixture
def make_page(tmp_path, secrets, asked, settings, trash, qtbot):
    """Pages of one home, shown, and with the machine and the folders looked at."""
    pages: list[ModelsPage] = []

    def make():
        home, paths = tmp_path / "home", Paths.under(tmp_path)
        costs, servers = ModelCosts(paths.model_costs), KnownServers(paths.servers, secrets)
        page = ModelsPage(ModelsController(paths, secrets, asked, settings, costs, servers, home=home))
        pages.append(page)
        qtbot.addWidget(page)
        page.resize(1200, 800)
        with qtbot.waitSignals([page.controller.inventory_changed, page.controller.devices_found]):
            page.show()
        return page

    yield make
    for page in pages:
        for owner in (page, page.controller):
            BackgroundTasks.of(owner).close()


@pytest.fixture
def page(make_page):
    return make_page()


def own_copy(folder, name="mine.gguf", model=SMALL_MODEL):
    """A model in a folder of the person's."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(model.read_bytes())
    return path
