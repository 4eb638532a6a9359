"""A batch page over scripted models and a store in a temporary folder, and how a batch is begun on one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Signal

from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.session.loaded_models import LoadedModels
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.background import BackgroundTasks, StreamTask
from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import SettingsFile
from baton_reasoning.core.store.store import Store
from tests.app.conftest import OWN_MODELS, ScriptedLoader
from tests.core.batch.counting import large_engine, small_engine
from tests.fakes.scripted import Fault, ScriptedEngine


def wait_until_done(page, qtbot):
    """No errand is left: nothing is opened, run or reported."""
    qtbot.waitUntil(lambda: not page.session.findChildren(StreamTask) and not page.session.running)


def wait_until_read(page, qtbot):
    """The file of problems is in the preview, or an error was shown."""
    qtbot.waitUntil(lambda: not page._reading.busy)


def preview(page, qtbot, path, *arms):
    """Open a file, and choose these arms, if any are given."""
    page.open_problems(path)
    wait_until_read(page, qtbot)
    for name, box in page.preview.arms.items():
        box.setChecked(name in arms if arms else box.isChecked())


def begin(page, qtbot, path, *arms):
    preview(page, qtbot, path, *arms)
    page.preview.start.click()


def run(page, qtbot, path, *arms):
    begin(page, qtbot, path, *arms)
    wait_until_done(page, qtbot)


class CountingLoader(ScriptedLoader):
    """Loads the counting pair."""

    def __init__(self) -> None:
        super().__init__()
        self.missing = ""
        """A large model whose file is not there."""
        self.faults: list[Fault] = []
        """Of the small model."""

    def __call__(self, choice, watcher):
        self.choices.append(choice)
        if str(choice.large) == self.missing:
            raise ModelFileError(f"{Path(self.missing).name} is not there.", "Choose another file.")
        small = ScriptedEngine(continue_with=small_engine().continue_with, faults=self.faults)
        yield Pair(small, large_engine())

    @property
    def larges(self) -> list[str]:
        """With which large models; "" for the person's own."""
        return ["" if choice.large == OWN_MODELS.large else str(choice.large) for choice in self.choices]


class RecordedActions(QObject):
    """What the page asks of its window, as signals."""

    failed = Signal(object)
    """A BatonError."""
    said = Signal(str)
    saved = Signal(object)
    """A Path."""
    continued = Signal(object)
    """An Exchange."""
    deleted = Signal(str, object)
    """A name, and the function that undoes it."""

    def __init__(self) -> None:
        super().__init__()
        self.show_error = self.failed.emit
        self.offers: dict[str, Callable[[], object]] = {}
        """What the last sentence offers to do."""
        self.remedies: list[str] = []
        """What is offered against any error."""
        self.show_saved = self.saved.emit
        self.continue_in_chat = self.continued.emit
        self.show_deleted = self.deleted.emit

    def remedies_of(self, error):
        return [(text, lambda: None) for text in self.remedies]

    def say(self, text, *actions):
        self.offers = dict(actions)
        self.said.emit(text)


@pytest.fixture
def actions(qapp):
    return RecordedActions()


@pytest.fixture
def loader():
    return CountingLoader()


@pytest.fixture
def demo_loader(loader):
    return loader


@pytest.fixture
def page(qtbot, tmp_path, loader, demo_loader, actions):
    models = LoadedModels(loader, ModelCosts(tmp_path / "costs.json"))
    preferences = Preferences(SettingsFile(tmp_path / "settings.json"))
    with Store.open(tmp_path / "baton.sqlite") as store:
        preferences.change(models=OWN_MODELS)
        page = BatchPage(models, preferences, demo_loader, actions, store)
        qtbot.addWidget(page)
        page.resize(1400, 900)
        yield page
        for owner in (page, models):
            BackgroundTasks.of(owner).close()
        models.close()


def counting_file(folder, problems=4, name="counting"):
    """Problems of which the small model, where it is the counting pair's, gets the odd ones wrong."""
    path = folder / f"{name}.csv"
    lines = [f"p{n},Count to {n}.,{n},{7 - n}" for n in range(problems)]
    path.write_text("id,question,answer,other\n" + "\n".join(lines))
    return path


@pytest.fixture
def problem_file(tmp_path):
    return counting_file(tmp_path, 6)
