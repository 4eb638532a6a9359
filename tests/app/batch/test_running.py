"""A batch runs beside the chat, beside other batches that are read, and on the demo pair; it stops and resumes."""

import json
import threading

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QPushButton

from baton_reasoning.app.batch.folded_parts import Fold
from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.batch.result_table import FIRST_ARM
from baton_reasoning.app.batch.session import BatchActivity
from baton_reasoning.app.session.loaded_models import LoadedModels, LoadState
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.app.toolkit.controls import ElidedButton, SwitchButton
from baton_reasoning.app.window.settings_dialog import SettingsDialog
from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.batch.reporting.failures import analyse
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, WHAT_IT_SOLVES
from baton_reasoning.core.engines.remote.known_servers import KnownServer
from baton_reasoning.core.errors import EngineLost, SettingsError
from baton_reasoning.core.models.source import DemoModel, ServerUrls
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import RunStarted
from tests.app.batch.conftest import begin, counting_file, preview, run, wait_until_done
from tests.app.conftest import OWN_MODELS, ScriptedLoader, last_exchange, press
from tests.core.batch.counting import number_in, rest, solution
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE

OTHER_MODELS = ModelChoice(small="another.gguf", large="large.gguf")
HELLO = "Hello to you, too.</think>\n\nGood day."
BATCH, CHAT = "First we count.", "Hello to you"

pytestmark = pytest.mark.slow


class HeldLoader(ScriptedLoader):
    """Texts that begin with `held` stop after their beginning until they are let go; all answers are right."""

    def __init__(self, held: str) -> None:
        super().__init__()
        self.let_go = threading.Event()

        def text(conversation, body):
            whole = HELLO if conversation[-1].content.startswith("Hello") else solution(number_in(conversation))
            return rest(whole, body)

        def hold(body):
            if body.startswith(held):
                self.let_go.wait(PATIENCE)

        self.small = ScriptedEngine(continue_with=text, before_token=hold)
        self.large = ScriptedEngine(name="large", continue_with=text)


@pytest.fixture
def problem_file(tmp_path):
    return counting_file(tmp_path)


@pytest.fixture
def held():
    """The models of a chat that a batch runs on, too; they hold the texts of the batch."""
    loader = HeldLoader(BATCH)
    yield loader
    loader.let_go.set()  # a text that is held would keep the window from closing


def badge(window):
    """What the switch to the batch page shows and says."""
    (page,) = [each for each in window.topbar.findChildren(SwitchButton) if each.text().startswith("Batch")]
    return page.text(), page.accessibleName()


# Chat and batch use the same models: neither takes them from the other, and nothing is lost.


def test_a_batch_waits_for_the_end_of_an_answer_before_it_loads_models_with_more_room(make_window, qtbot, problem_file):
    loader = HeldLoader(CHAT)
    window = make_window(loader, models=OWN_MODELS)
    qtbot.waitUntil(lambda: window.session.ready and window.models.state is LoadState.READY)
    window.session.ask("Hello?")
    qtbot.waitUntil(lambda: window.session.current and window.session.current.trace.text.startswith("Hello"))
    page = window.findChild(BatchPage)
    begin(page, qtbot, problem_file, "small")
    qtbot.waitUntil(lambda: "when the answer is written" in page.view.status.text())
    assert page.session.activity is BatchActivity.LOADING
    assert len(loader.choices) == 1
    loader.let_go.set()
    qtbot.waitUntil(lambda: window.session.ready)
    assert window.session.current.trace.text == HELLO
    wait_until_done(page, qtbot)
    assert [choice.parallel for choice in loader.choices] == [1, 9]
    assert page.session.progress.total.correct == 4


def test_an_answer_is_continued_in_the_chat_with_who_wrote_it_and_the_models(make_window, qtbot, problem_file, held):
    held.let_go.set()
    window = make_window(held, models=OWN_MODELS)
    page = window.findChild(BatchPage)
    run(page, qtbot, problem_file, "small")
    answer, session = page.view.answer, window.session
    page.view.table.activated.emit(page.view.model.index(1, FIRST_ARM))
    qtbot.waitUntil(answer.to_chat.isEnabled)
    trace = answer.pane.exchange.trace
    for _ in range(2):  # each time another conversation
        before = session.conversation
        qtbot.keyClick(answer.to_chat, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
        qtbot.waitUntil(lambda before=before: session.conversation is not before and session.ready)
        copy = session.conversation.leaf
        assert copy.problem == "Count to 1."
        assert [(each.author, each.text, each.card.name) for each in copy.trace.pieces] == [
            (each.author, each.text, each.card.name) for each in trace.pieces
        ]
        assert copy.settings.seed == trace.started.settings["seed"]
        window.show_page("batch")
    session.ask_again(copy)
    qtbot.waitUntil(lambda: session.ready and len(session.conversation.roots) == 2)


def test_what_ended_a_batch_offers_what_the_same_error_offers_in_the_chat(make_window, qtbot, problem_file, held):
    held.let_go.set()
    window = make_window(held, models=OWN_MODELS)
    page = window.findChild(BatchPage)
    run(page, qtbot, problem_file, "small")
    for error in (EngineLost("The small model ended."), SettingsError("No such context.", "Change it.")):
        window.session.failed.emit(error)
        page.session.viewed.error = error
        page.session.changed.emit()
        offered = [each.text() for each in page.view.error.buttons]
        assert offered == [each.text() for each in window.notice.findChildren(QPushButton) if each.isVisibleTo(window)]
        assert offered
    page.view.error.buttons[0].click()
    assert window.findChild(SettingsDialog)


def test_a_batch_says_how_far_it_has_read_the_files_of_its_models(
    make_window, qtbot, problem_file, tmp_path, monkeypatch
):
    let_go, model, loader = threading.Event(), tmp_path / "small.gguf", ScriptedLoader()

    def read_slowly(file):
        yield 4
        let_go.wait(PATIENCE)
        yield from (4, "0" * 64)

    monkeypatch.setattr("baton_reasoning.core.store.file_hashes.hash_file", read_slowly)
    model.write_bytes(b"weights!")
    loader.small = loader.small.with_card(path=model)
    page = make_window(loader, models=OWN_MODELS).findChild(BatchPage)
    begin(page, qtbot, problem_file, "small")
    qtbot.waitUntil(lambda: page.view.status.text() == "0 / 4 · reading the files of the models, 50%")
    let_go.set()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.done == 4


def test_the_chat_answers_while_a_batch_runs_and_other_models_stop_it_with_nothing_lost(
    make_window, qtbot, problem_file, held
):
    """It resumes with its own, though others are chosen; then the chat has those again."""
    window = make_window(held, models=OWN_MODELS)
    page = window.findChild(BatchPage)
    begin(page, qtbot, problem_file, "small")
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.RUNNING)
    qtbot.waitUntil(lambda: window.session.ready and window.models.state is LoadState.READY)
    window.session.ask("Hello?")
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not None)
    assert window.session.current.trace.text == HELLO
    assert page.session.running
    window.show_page("chat")
    assert badge(window) == ("Batch ▶", "Batch, running")
    for answer in ("Keep", "Stop it and switch"):
        assert window.preferences.value.models == OWN_MODELS
        window.page_actions.use_models(OTHER_MODELS)
        assert window.notice.text == "The models in use write a batch or a review."
        assert page.session.activity is BatchActivity.RUNNING
        press(window.notice, answer)
    qtbot.waitUntil(lambda: "The batch was stopped" in window.notice.text)
    held.let_go.set()
    wait_until_done(page, qtbot)
    assert badge(window) == ("Batch", "Batch")
    assert page.session.progress.total.failed == 0
    assert page.session.progress.total.done < 4
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    assert window.models.choice == OTHER_MODELS
    assert page.view.summary.text().startswith("4 problems · ● small")
    assert page.view.summary.text().endswith(" of 4, stopped") or page.session.progress.total.done == 0
    assert page.view.run.text().startswith("Load these and ")
    page.view.run.click()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.correct == 4

    def loaded():
        return [str(choice.small) for choice in held.choices]

    qtbot.waitUntil(lambda: loaded()[-3:] == ["another.gguf", "small.gguf", "another.gguf"])
    assert window.models.choice == OTHER_MODELS


def test_no_answer_of_the_chat_is_written_by_the_other_models_of_a_batch(make_window, qtbot, problem_file, held):
    """It waits for its own, which are loaded when the batch is done."""
    window = make_window(held, models=OWN_MODELS)
    page = window.findChild(BatchPage)
    held.let_go.set()
    run(page, qtbot, problem_file, "small")
    held.let_go.clear()
    window.page_actions.use_models(OTHER_MODELS)
    qtbot.waitUntil(lambda: window.models.choice == OTHER_MODELS and window.models.state is LoadState.READY)
    page.session.add_arm("baton")
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.RUNNING and page.session.under_way == 4)
    window.session.ask("Hello?")
    exchange = last_exchange(window)
    assert window.session.waiting_text(exchange).startswith("Waiting for the end of a batch")
    held.let_go.set()
    qtbot.waitUntil(lambda: window.session.ready and exchange.trace.text == HELLO)
    assert window.models.choice == OTHER_MODELS
    assert page.session.progress.total.done == 8


def test_an_arm_of_a_model_that_a_server_is_known_by_runs_in_the_window(make_window, qtbot, tmp_path, problem_file):
    loader = HeldLoader("nothing")
    window = make_window(loader, models=OWN_MODELS)
    page = window.findChild(BatchPage)
    window.models.servers.keep({"http://office:8080": KnownServer(name="office")})
    run(page, qtbot, problem_file, "small")
    page.session.store.batches.add_arm(
        page.session.batch.id, arms_of([], RunSettings(), larges=["office"])[0].stored(), [0]
    )
    with qtbot.waitSignal(page.session.opened):
        page.session.open(page.session.batch.id)
    page.session.start()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.done == 8
    assert ServerUrls(("http://office:8080",)) in [choice.large for choice in loader.choices]


def test_a_pilot_of_a_control_says_how_far_it_is(make_window, qtbot, tmp_path, held):
    """No answer of the batch is begun before, so nothing else shows that it runs."""
    window = make_window(held, models=OWN_MODELS)
    window.show_page("batch")
    page = window.findChild(BatchPage)
    begin(page, qtbot, counting_file(tmp_path), "baton", "random")
    qtbot.waitUntil(lambda: "calibrating random, round 1 of 5: 0 of 4" in page.view.status.text())
    assert page.view.run.text() == "Pause"
    held.let_go.set()
    wait_until_done(page, qtbot)
    assert (page.session.progress.total.done, page.session.progress.total.failed) == (8, 0)


# One batch runs while others are read: what is in view is not what runs.


def row(page, name):
    return next(each for each in page.welcome._rows.values() if each.batch.name == name)


def open_first(page, qtbot):
    page.view.left.emit()
    qtbot.waitUntil(lambda: len(page.welcome._rows) == 2)
    row(page, "first").findChildren(ElidedButton)[0].click()


@pytest.fixture
def two(make_window, qtbot, tmp_path, held):
    """A page on which “first” is done, and “second” runs and is held in its first texts."""
    held.let_go.set()
    window = make_window(held, models=OWN_MODELS)
    window.show_page("batch")
    page = window.findChild(BatchPage)
    begin(page, qtbot, counting_file(tmp_path, name="first"), "small")
    page.preview.start.click()  # which does nothing
    wait_until_done(page, qtbot)
    held.let_go.clear()
    begin(page, qtbot, counting_file(tmp_path, name="second"), "small")
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.RUNNING)
    return page


def test_while_one_batch_runs_another_is_read_and_waits_for_it_and_neither_is_changed(two, qtbot, held):
    page, notice, opened = two, two.view.window().notice, list[str]()
    busy = "“second” is running. Stop it first, or wait until it is done."
    after = "“second” is running; this batch begins after it."
    assert (page.preview.start.isEnabled(), page.preview.reason.text()) == (True, after)
    for act in (lambda: page.session.add_arm("large"), lambda: page.session.delete(page.session.batch)):
        act()
        assert notice.text == busy
        notice.close_newest()
    assert sorted(batch.name for batch in page.session.store.batches.all()) == ["first", "second"]
    page.session.opened.connect(lambda: opened.append(page.view.title.text()))
    page.session.open("not there")
    qtbot.waitUntil(lambda: "is not in the store" in notice.text)
    open_first(page, qtbot)
    assert row(page, "first").models.text() == "● small · ◆ large"
    assert row(page, "second").state.text() == "running, 0 of 4"
    qtbot.mouseClick(row(page, "first").state, Qt.MouseButton.LeftButton)  # while it is being read
    qtbot.waitUntil(lambda: not [task for task in page.session.findChildren(StreamTask) if task.name == "open batch"])
    assert opened == ["first"]
    assert (page.view.title.text(), page.view.status.text()) == ("first", "4 / 4")
    assert not page.session.running
    assert not page.view.stop.isVisible()
    page.session.add_arm("large")
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.WAITING)
    assert (notice.text, page.view.status.text()) == (after, "4 / 8 · waits for “second”")
    page.view.stop.click()
    assert not page.session.running
    page.session.start()
    page.view.table.activated.emit(page.view.model.index(0, FIRST_ARM))
    assert page.view.answer.isVisible()
    qtbot.keyClick(page.view.table, Qt.Key.Key_Escape)
    assert not page.view.answer.isVisible()
    assert page.session.batch.name == "first"
    page.session.open(page.session.executed.batch.id)
    page.view.left.emit()
    held.let_go.set()
    qtbot.waitUntil(lambda: row(page, "second").state.text() == "done")
    assert (page.view.title.text(), page.view.status.text()) == ("second", "4 / 4"), "with all that happened meanwhile"
    qtbot.waitUntil(lambda: row(page, "first").state.text() == "done" and not page.session.queue)
    qtbot.waitUntil(lambda: [page.view.model.index(at, FIRST_ARM).data() for at in range(4)] == ["✓"] * 4)
    assert page.preview.start.isEnabled()


def test_a_batch_never_shows_the_figures_of_another(two, qtbot, held):
    page = two
    with qtbot.waitSignal(page.session.reported):
        page.session.report()
    with qtbot.waitSignal(page.session.opened):
        open_first(page, qtbot)
        page.session.report()  # on the one that runs, which is delivered late
    assert page.view.sentence.text() == ""
    assert not page.view.folded.isVisible()
    reports: list[Report] = []
    page.session.reported.connect(reports.append)
    qtbot.waitUntil(lambda: page.view.folded.isVisible())
    assert [report.arms[0].answers for report in reports] == [4]
    held.let_go.set()
    qtbot.waitUntil(lambda: not page.session.executed)


def test_the_takeovers_of_one_batch_never_stand_under_another(page, qtbot, tmp_path, monkeypatch, held):
    """Also where they are counted so slowly that the other one is in view by then."""
    held.let_go.set()
    gate, counted = threading.Event(), list[str]()

    def count_slowly(store, batch):
        found = analyse(store, batch)
        if counted == [batch]:  # for the second time
            gate.wait(PATIENCE)
        counted.append(batch)
        return found

    def shown():
        return [row[0] for table in page.view.folded.takeovers.shown for row in table.rows]

    monkeypatch.setattr("baton_reasoning.app.batch.results_view.analyse", count_slowly)
    run(page, qtbot, counting_file(tmp_path, name="first"), "small", "every-step")
    page.view.folded.heads[Fold.WORTH].click()
    qtbot.waitUntil(lambda: bool(shown()))
    first, opening, slow = page.session.batch.id, shown(), page.view._analysing
    page.session.report()  # after which they are counted again
    qtbot.waitUntil(lambda: slow.busy)
    at_first = list[list[str]]()
    page.session.opened.connect(lambda: at_first.append(shown()))
    run(page, qtbot, counting_file(tmp_path, name="second"), "small")
    qtbot.waitUntil(lambda: page.session.batch.id in counted and not slow.busy)
    assert (at_first, counted.count(first)) == ([[]], 1)
    gate.set()
    qtbot.waitUntil(lambda: counted.count(first) == 2 and not page.view.findChildren(StreamTask))
    assert shown() == []
    page.session.open(first)
    qtbot.waitUntil(lambda: shown() == opening)


def test_the_sentence_follows_the_answers_of_the_batch_in_view(make_window, qtbot, tmp_path, monkeypatch):
    """At once when the first come, though reports are far apart; it never says that there are none when there are."""
    monkeypatch.setattr("baton_reasoning.app.batch.session.REPORT_EVERY_MS", 1_000_000)
    loader, begins, said = HeldLoader("nothing"), threading.Event(), list[tuple[bool, str]]()

    def text(conversation, body):
        (begins if number_in(conversation) < 2 else loader.let_go).wait(PATIENCE)
        return rest(solution(number_in(conversation)), body)

    loader.small = ScriptedEngine(continue_with=text)
    window = make_window(loader, models=OWN_MODELS)
    page = window.findChild(BatchPage)
    sentence = page.view.sentence
    page.session.opened.connect(lambda: said.append((False, sentence.text())))
    page.session.rows_changed.connect(lambda batch, _: said.append((batch.progress.total.done > 0, sentence.text())))
    begin(page, qtbot, counting_file(tmp_path), "small")
    qtbot.waitUntil(lambda: page.session.under_way == 4 and sentence.text() == "No answer yet.")
    begins.set()
    qtbot.waitUntil(lambda: sentence.text().startswith("So far: small alone"))
    assert said[0] == (False, "")
    assert (True, "No answer yet.") not in said
    loader.let_go.set()
    wait_until_done(page, qtbot)
    assert sentence.text() == "Small alone: 4 of 4 right."


# *Stop* first finishes the answers under way; pressed again, it stops them.


@pytest.fixture
def under_way(make_window, qtbot, problem_file, held):
    """A page with a batch of four answers, two of which are under way."""
    window = make_window(held, models=OWN_MODELS)
    window.show_page("batch")
    page = window.findChild(BatchPage)
    preview(page, qtbot, problem_file, "small")
    page.preview.parallel.setValue(2)
    page.preview.start.click()
    qtbot.waitUntil(lambda: len(held.small.sessions) == 2 and page.session.activity is BatchActivity.RUNNING)
    return page


def test_stop_finishes_the_answers_under_way_and_begins_no_other(under_way, qtbot, held):
    def spoken():
        return QAccessible.queryAccessibleInterface(view.stop).text(QAccessible.Text.Name)

    view = under_way.view
    assert (spoken(), view.stop.toolTip()) == ("Stop", "Finishes the answers under way, and begins no other")
    view.run.click()
    assert view.status.text() == "0 / 4 · paused"
    assert view.run.text() == "Resume"
    view.run.click()
    view.stop.click()
    assert view.status.text() == "0 / 4 · finishing 2 answers"
    assert spoken() == "Stop now"
    assert "written anew" in view.stop.toolTip()
    assert view.run.isHidden()
    held.let_go.set()
    wait_until_done(under_way, qtbot)
    assert under_way.session.progress.total.done == 2
    assert (view.run.text(), view.run.isHidden(), view.stop.isHidden()) == ("Resume", False, True)


@pytest.mark.parametrize("closes", [False, True])
def test_stop_now_and_a_window_that_is_closed_stop_them_and_they_are_written_anew(under_way, qtbot, held, closes):
    page = under_way

    def states():
        return sorted(row.state.value for row in page.session.viewed.rows.values())

    qtbot.waitUntil(lambda: states() == ["claimed", "claimed", "waiting", "waiting"])
    if closes:
        for task in page.session.findChildren(StreamTask):
            task.stop()  # as BackgroundTasks.close does, which would wait for the texts that are held here
    else:
        page.view.stop.click()
        page.view.stop.click()
    held.let_go.set()
    wait_until_done(page, qtbot)
    assert states() == ["waiting"] * 4
    page.session.start()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.correct == 4
    for result in page.session.store.batches.results(page.session.batch.id):
        events = page.session.store.runs.trace(result.run).events
        assert [type(event) for event in events].count(RunStarted) == 1


# A batch of the demo pair runs on a pair of its own beside the chat's.


@pytest.fixture
def demo_loader(held):
    return held


@pytest.fixture
def loader():
    return ScriptedLoader()


@pytest.fixture
def demo_page(page, qtbot):
    """With the demo pair chosen for the chat, and loaded there."""
    page._preferences.change(models=ModelChoice())
    page.session.models.load(ModelChoice())
    qtbot.waitUntil(lambda: page.session.models.state is LoadState.READY)
    return page


@pytest.fixture
def demo_problems(tmp_path):
    """Four of its kind, in their file with a problem of another kind between them."""
    lines = BATCH_PROBLEMS.read_text(encoding="utf-8").splitlines()[:4]
    lines.insert(1, json.dumps({"problem": "What is 2 + 2?", "answer": "4"}))
    (tmp_path / "some.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "some.jsonl"


def test_what_the_demo_pair_does_not_solve_is_left_out_and_the_preview_says_so(page, qtbot, demo_problems, tmp_path):
    preview(page, qtbot, demo_problems, "small")
    assert page.preview.left_out.text() == ""
    page._preferences.change(models=ModelChoice())
    assert page.preview.left_out.text() == f"⚠ {WHAT_IT_SOLVES} Other problems are left out: 1."
    assert page.preview.amount.text().endswith("4 answers")
    others = tmp_path / "others.txt"
    others.write_text("What is 2 + 2?\n", encoding="utf-8")
    preview(page, qtbot, others)
    page.preview.ungraded.setChecked(True)
    assert page.preview.reason.text().startswith(WHAT_IT_SOLVES)
    assert not page.preview.start.isEnabled()
    page._preferences.change(models=OWN_MODELS)
    assert page.preview.start.isEnabled()


def own_models(page):
    (models,) = page.findChildren(LoadedModels)
    return models


def test_the_tiny_files_are_opened_beside_the_chats_pair_and_closed_at_the_end(
    make_window, qtbot, tmp_path, monkeypatch
):
    """Also where the chat has costly ones."""
    monkeypatch.delenv("BATON_DEMO_PAIR")
    loader = ScriptedLoader()
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    chats = window.models.pair
    lines = BATCH_PROBLEMS.read_text(encoding="utf-8").splitlines()[:3]
    (tmp_path / "three.jsonl").write_text("\n".join(lines), encoding="utf-8")
    page = window.findChild(BatchPage)
    run(page, qtbot, tmp_path / "three.jsonl", "small", "large")
    assert (page.session.progress.total.done, page.session.progress.total.failed) == (6, 0)
    assert window.models.pair is chats
    assert len(loader.choices) == 1, "nothing was loaded for the chat"
    qtbot.waitUntil(lambda: own_models(page).state is LoadState.NONE)
    assert own_models(page).pair == Pair()
    settings = BatchSettings.of(page.session.store.batches.open(page.session.batch.id))
    assert [model and (model.source, model.file) for model in (settings.small, settings.large)] == [
        ("demo:small", DemoModel.SMALL.path.name),
        ("demo:large", DemoModel.LARGE.path.name),
    ]
    assert not list(tmp_path.rglob("*.gguf")), "no costly ones were made"


def test_other_models_for_the_chat_do_not_stop_it_and_each_time_it_goes_on_it_opens_a_pair_anew(
    demo_page, qtbot, problem_file, loader, held
):
    page, held.gate = demo_page, threading.Event()
    arms = page.session.make_arms(["small"], "")  # scripted models solve these problems
    page.session.create(read_problems(problem_file), arms, 1, 8)
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.LOADING and bool(held.choices))
    assert page.view.status.text().startswith("0 / 4 · ")
    page.session.stop()
    qtbot.waitUntil(lambda: not page.session.executed)
    held.gate.set()
    qtbot.waitUntil(lambda: own_models(page).state is LoadState.NONE)
    wait_until_done(page, qtbot)
    assert own_models(page).pair == Pair()
    assert page.session.progress.total.done == 0
    page.session.start()
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.RUNNING)
    page.session.models.load(OWN_MODELS)
    qtbot.waitUntil(lambda: page.session.models.state is LoadState.READY)
    assert page.session.running
    for _ in range(2):
        page.session.stop()
    held.let_go.set()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.done < 4
    assert own_models(page).pair == Pair()
    page.session.start()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.correct == 4
    assert [choice.parallel for choice in held.choices] == [9, 9, 9], "as many at once as with other models"
    assert [choice.parallel for choice in loader.choices] == [1, OWN_MODELS.parallel]
