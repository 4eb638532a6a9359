"""A batch of the demo pair runs on a pair of its own beside the chat's, and shows no seconds of it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from baton_reasoning.app.batch.execution import BatchActivity
from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.batch.results_view import ResultsView
from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.app.session.preferences import Preferences
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.models.options import DemoModel
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import ModelChoice, SettingsFile
from baton_reasoning.core.store.store import Store
from tests.app.batch.conftest import RecordedActions
from tests.app.batch.test_beside_chat import BATCH, HeldLoader, batch_page, wait_until_done
from tests.app.conftest import OWN_MODELS, ScriptedLoader
from tests.core.batch.counting import COPIES, DEMO, ended_batch

pytestmark = pytest.mark.slow


@pytest.fixture
def problem_file(tmp_path):
    path = tmp_path / "counting.csv"
    path.write_text("question,answer\n" + "\n".join(f"Count to {n}.,{n}" for n in range(4)))
    return path


@pytest.fixture
def chat():
    return ScriptedLoader()


@pytest.fixture
def demo():
    return HeldLoader(BATCH)


@pytest.fixture
def page(qtbot, tmp_path, chat, demo):
    """With the demo pair chosen for the chat, and loaded there."""
    models = LoadedModels(chat, ModelCosts(tmp_path / "costs.json"))
    models.load(ModelChoice())
    qtbot.waitUntil(lambda: models.state is LoadState.READY)
    preferences = Preferences(SettingsFile(tmp_path / "settings.json"))
    with Store.open(tmp_path / "baton.sqlite") as store:
        page = BatchPage(models, preferences, demo, RecordedActions(), store)
        qtbot.addWidget(page)
        yield page
        demo.let_go.set()
        for owner in (page, models):
            BackgroundTasks.of(owner).close()


def begin(page: BatchPage, qtbot: QtBot, path: Path) -> None:
    """Start a batch of the small model alone."""
    with qtbot.waitSignal(page.session.read):
        page.open_problems(path)
    for name, box in page.preview.arms.items():
        box.setChecked(name == "small")
    page.preview.start.click()


def own_models(page: BatchPage) -> LoadedModels:
    (models,) = page.findChildren(LoadedModels)
    return models


def shows_times(view: ResultsView) -> set[bool]:
    """Whether each place shows seconds of answers: the tables, and the sentence in their place."""
    return {
        "s/answer" in view.folded.tests.shown[0].headings,
        "end p50" in view.folded.times.shown[0].headings,
        "times say nothing here" not in view.folded.times.first.text(),
    }


def wait_for_times(view: ResultsView, qtbot: QtBot, shown: bool) -> None:
    """Cells that were replaced are deleted a moment later."""
    qtbot.waitUntil(lambda: shows_times(view) == {shown})


def test_the_tiny_files_are_opened_beside_the_chats_pair_and_closed_at_the_end(make_window, qtbot, tmp_path):
    loader = ScriptedLoader()
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    chats = window.models.pair
    lines = BATCH_PROBLEMS.read_text(encoding="utf-8").splitlines()[:3]
    (tmp_path / "three.jsonl").write_text("\n".join(lines), encoding="utf-8")
    page = batch_page(window, qtbot, tmp_path / "three.jsonl")
    page.preview.arms["large"].setChecked(True)
    page.preview.start.click()
    wait_until_done(page, qtbot)
    assert (page.session.progress.total.done, page.session.progress.total.failed) == (6, 0)
    assert window.models.pair is chats
    assert len(loader.choices) == 1, "nothing was loaded for the chat"
    qtbot.waitUntil(lambda: own_models(page).state is LoadState.NONE)
    assert own_models(page).pair == Pair()
    assert page.session.batch
    settings = BatchSettings.of(page.session.store.batches.open(page.session.batch.id))
    assert [model and (model.source, model.file) for model in (settings.small, settings.large)] == [
        ("demo:small", DemoModel.SMALL.path.name),
        ("demo:large", DemoModel.LARGE.path.name),
    ]
    assert shows_times(page.view) == {False}


def test_the_batch_keeps_the_tiny_files_where_the_chat_has_costly_ones(tmp_path, monkeypatch):
    monkeypatch.delenv("BATON_DEMO_PAIR")
    loader = PairLoader(Paths.under(tmp_path), costly_demo=False)
    (pair,) = (item for item in loader(ModelChoice(context=512), lambda _: None) if isinstance(item, Pair))
    try:
        assert pair.small
        assert pair.large
        assert (pair.small.card.path, pair.large.card.path) == (DemoModel.SMALL.path, DemoModel.LARGE.path)
        assert not list(tmp_path.rglob("*.gguf")), "no costly ones were made"
    finally:
        for engine in (pair.small, pair.large):
            if engine:
                engine.close()


def test_as_many_problems_are_solved_at_once_as_with_other_models(page, qtbot, problem_file, chat, demo):
    demo.let_go.set()
    begin(page, qtbot, problem_file)
    wait_until_done(page, qtbot)
    assert [choice.parallel for choice in demo.choices] == [9]
    assert [choice.parallel for choice in chat.choices] == [1]


def test_a_stopped_batch_resumes_on_a_pair_that_is_opened_again(page, qtbot, problem_file, chat, demo):
    begin(page, qtbot, problem_file)
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.RUNNING)
    for _ in range(2):
        page.session.stop()
    demo.let_go.set()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.done < 4
    assert own_models(page).pair == Pair()
    page.session.start()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.correct == 4
    assert (len(demo.choices), len(chat.choices)) == (2, 1)


def test_other_models_for_the_chat_do_not_stop_it(page, qtbot, problem_file, demo):
    begin(page, qtbot, problem_file)
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.RUNNING)
    page.session.models.load(OWN_MODELS)
    qtbot.waitUntil(lambda: page.session.models.state is LoadState.READY)
    assert page.session.running
    demo.let_go.set()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.correct == 4
    assert page.session.models.choice == OWN_MODELS


def test_a_batch_that_is_stopped_while_its_models_are_opened_leaves_none_behind(page, qtbot, problem_file, demo):
    demo.gate = threading.Event()
    begin(page, qtbot, problem_file)
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.LOADING and bool(demo.choices))
    assert page.view.status.text().startswith("0 / 4 · ")
    page.session.stop()
    assert not page.session.executed
    demo.gate.set()
    qtbot.waitUntil(lambda: own_models(page).state is LoadState.NONE)
    wait_until_done(page, qtbot)
    assert own_models(page).pair == Pair()
    assert page.session.progress.total.done == 0


def test_an_earlier_batch_of_the_demo_pair_opens_without_seconds_and_one_of_others_with_them(page, qtbot):
    with Grader() as grader:
        ids = [ended_batch(page.session.store, grader, *models) for models in (DEMO, COPIES, DEMO)]
    for batch, times in zip(ids, (False, True, False), strict=True):
        with qtbot.waitSignals([page.session.opened, page.session.reported]):
            page.session.open(batch)
        wait_for_times(page.view, qtbot, times)
