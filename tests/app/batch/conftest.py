"""A batch page over scripted models and a store in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.session.loaded_models import LoadedModels, Loading
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.core.engines.remote.known_servers import KnownServers
from baton_reasoning.core.engines.remote.status import StatusCallback
from baton_reasoning.core.errors import BatonError, ModelFileError
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.models.options import DemoModel
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import ModelChoice, SettingsFile
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import large_engine, small_engine
from tests.fakes.scripted import Fault, ScriptedEngine


class ScriptedLoader:
    """Loads the counting pair; remembers with which large model."""

    def __init__(self) -> None:
        self.large: list[str] = []
        self.missing = ""
        """A large model whose file is not there."""
        self.faults: list[Fault] = []
        """Of the small model."""

    def __call__(self, choice: ModelChoice, watcher: StatusCallback) -> Loading:
        large = "" if choice.large is DemoModel.LARGE else str(choice.large)
        self.large.append(large)
        if large and large == self.missing:
            raise ModelFileError(f"{Path(large).name} is not there.", "Choose another file.")
        small = ScriptedEngine(continue_with=small_engine().continue_with, faults=self.faults)
        yield Pair(small, large_engine())

    @property
    def servers(self) -> KnownServers:
        return KnownServers(Path("no-such-folder", "servers.json"))


class RecordedActions(QObject):
    """What the page asks of its window, as signals."""

    failed = Signal(object)
    """A BatonError."""
    said = Signal(str)
    saved = Signal(object)
    """A Path."""
    deleted = Signal(str, object)
    """A name, and the function that undoes it."""

    def show_error(self, error: BatonError) -> None:
        self.failed.emit(error)

    def say(self, text: str, *actions: tuple[str, Callable[[], object]]) -> None:
        self.said.emit(text)

    def show_saved(self, path: Path) -> None:
        self.saved.emit(path)

    def show_deleted(self, name: str, undo: Callable[[], object]) -> None:
        self.deleted.emit(name, undo)

    def choose_models(self) -> None: ...

    def connect_server(self) -> None: ...

    def show_settings(self, section: str = "") -> None: ...

    def export(self, conversation: str = "", name: str = "") -> None: ...

    def use_context(self, tokens: int) -> None: ...

    def reload_models(self) -> None: ...


@pytest.fixture
def actions(qapp):
    return RecordedActions()


@pytest.fixture
def loader():
    return ScriptedLoader()


@pytest.fixture
def page(qtbot, tmp_path, loader, actions):
    models = LoadedModels(loader, ModelCosts(tmp_path / "costs.json"))
    preferences = Preferences(SettingsFile(tmp_path / "settings.json"))
    with Store.open(tmp_path / "baton.sqlite") as store:
        page = BatchPage(models, preferences, loader, actions, store)
        qtbot.addWidget(page)
        page.resize(1400, 900)
        yield page
        for owner in (page, models):
            BackgroundTasks.of(owner).close()
        models.close()


@pytest.fixture
def problem_file(tmp_path):
    """Six problems; the small model gets the odd ones wrong."""
    path = tmp_path / "counting.csv"
    lines = [f"p{n},Count to {n}.,{n},{7 - n}" for n in range(6)]
    path.write_text("id,question,answer,other\n" + "\n".join(lines))
    return path
