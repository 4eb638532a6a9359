"""The chat and a batch use the same models: neither takes them from the other, and nothing is lost."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from baton_reasoning.app.batch.execution import BatchActivity
from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.app.toolkit.controls import SwitchButton
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.base import Conversation
from baton_reasoning.core.settings import ModelChoice
from tests.app.conftest import OWN_MODELS, ScriptedLoader
from tests.core.batch.counting import number_in, rest, solution
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE

HELLO = "Hello to you, too.</think>\n\nGood day."
BATCH, CHAT = "First we count.", "Hello to you"

pytestmark = pytest.mark.slow


class HeldLoader(ScriptedLoader):
    """Texts that begin with `held` stop after their beginning until they are let go."""

    def __init__(self, held: str) -> None:
        super().__init__()
        self.let_go = threading.Event()

        def text(conversation: Conversation, body: str) -> str:
            whole = HELLO if conversation[-1].content.startswith("Hello") else solution(number_in(conversation))
            return rest(whole, body)

        def hold(body: str) -> None:
            if body.startswith(held):
                self.let_go.wait(PATIENCE)

        self.small = ScriptedEngine(continue_with=text, before_token=hold)
        self.large = ScriptedEngine(name="large", continue_with=text)


@pytest.fixture
def problem_file(tmp_path):
    path = tmp_path / "counting.csv"
    path.write_text("question,answer\n" + "\n".join(f"Count to {n}.,{n}" for n in range(4)))
    return path


def batch_page(window: MainWindow, qtbot: QtBot, path: Path) -> BatchPage:
    """With the file open, and the small model alone as its arm."""
    page = window.findChild(BatchPage)
    assert page is not None
    with qtbot.waitSignal(page.session.read):
        page.open_problems(path)
    for name, box in page.preview.arms.items():
        box.setChecked(name == "small")
    return page


def wait_until_done(page: BatchPage, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not page.session.findChildren(StreamTask) and not page.session.running)


def ask(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: window.session.ready and window.models.state is LoadState.READY)
    window.session.ask("Hello?")


def answer(window: MainWindow) -> str:
    exchange = window.session.current
    return exchange.trace.text if exchange else ""


def badge(window: MainWindow) -> tuple[str, str]:
    """What the switch to the batch page shows and says."""
    (page,) = [each for each in window.topbar.findChildren(SwitchButton) if each.property("page") == "batch"]
    return page.text(), page.accessibleName()


def test_a_batch_waits_for_the_end_of_an_answer_before_it_loads_the_models_with_more_room(
    make_window, qtbot, problem_file
):
    loader = HeldLoader(CHAT)
    window = make_window(loader, models=OWN_MODELS)
    ask(window, qtbot)
    qtbot.waitUntil(lambda: answer(window).startswith("Hello"))
    page = batch_page(window, qtbot, problem_file)
    page.preview.start.click()
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.LOADING)
    assert "when the answer is written" in page.view.status.text()
    assert len(loader.choices) == 1
    loader.let_go.set()
    qtbot.waitUntil(lambda: window.session.ready)
    assert answer(window) == HELLO
    wait_until_done(page, qtbot)
    assert [choice.parallel for choice in loader.choices] == [1, 9]
    assert page.session.progress.total.correct == 4


def test_the_chat_answers_while_a_batch_is_running(make_window, qtbot, problem_file):
    loader = HeldLoader(BATCH)
    window = make_window(loader, models=OWN_MODELS)
    page = batch_page(window, qtbot, problem_file)
    page.preview.start.click()
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.RUNNING)
    ask(window, qtbot)
    qtbot.waitUntil(lambda: window.session.ready and bool(answer(window)))
    assert answer(window) == HELLO
    assert page.session.running
    window.show_page("chat")
    assert badge(window) == ("Batch ▶", "Batch, running")
    loader.let_go.set()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.correct == 4
    assert badge(window) == ("Batch ✓", "Batch, has ended")
    window.show_page("batch")
    assert badge(window) == ("Batch", "Batch")


def test_other_models_stop_the_batch_which_loses_nothing_and_goes_on_later(make_window, qtbot, problem_file):
    loader = HeldLoader(BATCH)
    window = make_window(loader, models=OWN_MODELS)
    page = batch_page(window, qtbot, problem_file)
    page.preview.start.click()
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.RUNNING)
    window.models.load(ModelChoice(small="another.gguf"))
    qtbot.waitUntil(lambda: "The batch was stopped" in window.notice.text)
    loader.let_go.set()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.failed == 0
    assert page.session.progress.total.done < 4
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    assert str(loader.choices[-1].small) == "another.gguf"
    page.session.start()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.correct == 4


def test_a_batch_begun_while_other_models_wait_for_an_answer_runs_with_those(make_window, qtbot, problem_file):
    loader = HeldLoader(CHAT)
    window = make_window(loader, models=OWN_MODELS)
    page = batch_page(window, qtbot, problem_file)
    page.preview.start.click()
    wait_until_done(page, qtbot)
    ask(window, qtbot)
    qtbot.waitUntil(lambda: answer(window).startswith("Hello"))
    window.page_actions.use_models(ModelChoice(small="another.gguf"))
    assert window.models.state is LoadState.WAITING
    page = batch_page(window, qtbot, problem_file)
    page.preview.start.click()
    qtbot.waitUntil(lambda: bool(page.session.executed))
    assert page.session.activity is BatchActivity.LOADING
    loader.let_go.set()
    wait_until_done(page, qtbot)
    assert [(str(choice.small), choice.parallel) for choice in loader.choices[2:]] == [("another.gguf", 9)]
    assert page.session.progress.total.correct == 4
