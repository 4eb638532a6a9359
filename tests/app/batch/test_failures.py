"""The failures of a batch in the window: grouped, walked through with keys, noted, and read by the large model."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from baton_reasoning.app.batch.failure_view import FailureView
from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.batch.run_window import RunWindow
from baton_reasoning.core.batch.reporting.failures import FailureAnalysis, FailureKind, TakeoverOutcomes
from baton_reasoning.core.batch.reporting.worth import MeanWorth
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.thinking.trace import Trace
from tests.app.batch.conftest import ScriptedLoader
from tests.app.batch.test_page import run, wait_until_done
from tests.app.conftest import OWN_MODELS
from tests.core.batch.counting import large_engine
from tests.fakes.scripted import ScriptedEngine

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_models(page: BatchPage) -> None:
    """The batch runs on the chat's pair, whose large model gives the opinions."""
    page._preferences.change(models=OWN_MODELS)


@pytest.fixture
def view(page: BatchPage, qtbot: QtBot, problem_file: Path) -> FailureView:
    """The failures of six problems, three of which the small model alone gets wrong."""
    page.show()
    run(page, qtbot, problem_file, "small", "large")
    qtbot.mouseClick(page.view.failures, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.failures.failures.rowCount() == 3)
    assert page.currentWidget() is page.failures
    return page.failures


def shown(view: FailureView) -> str:
    return view.answer.heading.text()


def headings(view: FailureView) -> list[object]:
    columns = range(view.takeovers.columnCount())
    return [view.takeovers.headerData(column, Qt.Orientation.Horizontal) for column in columns]


def wait_for_text(view: FailureView, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: bool(view.answer.steps.toPlainText()))


def test_failed_answers_are_listed_by_group_and_the_first_one_is_shown(view: FailureView, qtbot: QtBot) -> None:
    assert view.summary.text() == "3 of 12 answers are not right"
    assert view.group.itemText(0) == "All failures (3)"
    assert view.group.itemText(1).startswith("Wrong answer (3)")
    wait_for_text(view, qtbot)
    assert "p1 · Small only" in shown(view)
    assert "expected 1" in view.answer.detail.text()


def test_keys_lead_to_the_next_and_the_previous_failure(view: FailureView, qtbot: QtBot) -> None:
    view.list.setFocus()
    qtbot.keyClick(view.list, Qt.Key.Key_F8)
    assert "p3" in shown(view)
    view.answer.note.setFocus()
    qtbot.keyClick(view.answer.note, Qt.Key.Key_F8)
    qtbot.keyClick(view.answer.note, Qt.Key.Key_F8)
    assert "p5" in shown(view)
    assert not view.next.isEnabled()
    qtbot.keyClick(view.answer.note, Qt.Key.Key_F8, Qt.KeyboardModifier.ShiftModifier)
    assert "p3" in shown(view)
    qtbot.mouseClick(view.previous, Qt.MouseButton.LeftButton)
    assert "p1" in shown(view)


def test_an_answer_that_cannot_be_read_is_not_shown_with_the_steps_of_another(
    view: FailureView, page: BatchPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_text(view, qtbot)
    assert page.session.store

    def refuse(_run: str) -> Trace:
        raise StoreError("A part of this run cannot be read.", "The rest of it is shown.")

    monkeypatch.setattr(page.session.store.runs, "trace", refuse)
    with qtbot.waitSignal(page.session.failed):
        view.step(1)
    assert "p3" in shown(view)
    assert view.answer.steps.toPlainText() == ""
    assert view.answer.ribbon.segments == ()


def test_a_note_is_kept_with_its_answer_also_when_the_page_is_left(
    view: FailureView, page: BatchPage, qtbot: QtBot
) -> None:
    view.answer.note.setFocus()
    qtbot.keyClicks(view.answer.note, "counts one too many")
    qtbot.keyClick(view.answer.note, Qt.Key.Key_F8)
    assert view.answer.note.toPlainText() == ""
    assert view.failures.index(0).data().startswith("✎ p1")
    qtbot.keyClick(view.answer.note, Qt.Key.Key_F8, Qt.KeyboardModifier.ShiftModifier)
    assert view.answer.note.toPlainText() == "counts one too many"
    qtbot.keyClick(view.answer.note, Qt.Key.Key_F8)
    qtbot.keyClicks(view.answer.note, "odd")
    view.left.emit()
    assert page.currentWidget() is page.view
    store, batch = page.session.store, page.session.batch
    assert store
    assert batch
    kept = {"counts one too many", "odd"}  # it is saved in a thread
    qtbot.waitUntil(lambda: {row.note for row in store.batches.results(batch.id) if row.note} == kept)


def test_the_large_model_names_the_first_error_of_each(
    page: BatchPage, qtbot: QtBot, problem_file: Path, loader: ScriptedLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.app.batch.conftest.large_engine", sceptic)
    page.show()
    run(page, qtbot, problem_file, "small")
    qtbot.mouseClick(page.view.failures, Qt.MouseButton.LeftButton)
    view = page.failures
    qtbot.waitUntil(lambda: view.failures.rowCount() == 3)
    qtbot.mouseClick(view.opinions, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "First error known (3)" in [view.group.itemText(n) for n in range(view.group.count())])
    wait_until_done(page, qtbot)
    assert "instead of" in view.failures.index(0).data()
    qtbot.waitUntil(view.answer.place.isVisible)
    qtbot.waitUntil(lambda: view.answer.steps.selected is not None)
    view.group.setFocus()
    qtbot.keyClick(view.group, Qt.Key.Key_End)
    assert view.group.currentData() is FailureKind.DIVERGED
    view.list.setFocus()
    qtbot.keyClick(view.list, Qt.Key.Key_Return)
    window = page.findChild(RunWindow)
    assert window is not None
    window.close()


def test_takeovers_show_their_worth_once_answers_are_valued(view: FailureView, qtbot: QtBot) -> None:
    view.tabs.setCurrentIndex(1)
    assert "Worth" not in headings(view)
    assert not view.worth.isVisible()
    worth = MeanWorth(9, 5, Estimate(0.3, 0.1, 0.5), 4, 3, 1, 144)
    groups = (
        TakeoverOutcomes("Reflection takeover", "wait", 12, 7, 2, 0, worth),
        TakeoverOutcomes("Affirmation takeover", "yes", 3, 3, 0, 0),
    )
    view.session.analysed.emit(FailureAnalysis(12, (), groups, 0))
    qtbot.waitUntil(view.worth.isVisible)
    assert headings(view)[-3:] == ["Worth", "Rescued", "Spoiled"]
    cells = [[view.takeovers.index(row, column).data() for column in range(9)] for row in range(2)]
    assert cells[0][6:] == ["▲ +0.30 (+0.10 to +0.50), 9 of them", "3", "1"]
    assert cells[1][6:] == ["–", "–", "–"]
    assert view.worth.picture.accessibleDescription() == "wait ▲ +0.30 (+0.10 to +0.50)"
    view.session.analyse(None)
    qtbot.waitUntil(lambda: not view.worth.isVisible())


def test_stopped_at_once_nothing_is_read(view: FailureView, page: BatchPage, qtbot: QtBot) -> None:
    large, stopped = page.session.models.pair.large, threading.Event()
    assert isinstance(large, ScriptedEngine)
    large.expects = lambda _, token: token if stopped.wait() else ""
    view.session.ask_opinions()
    view.session.stop()
    stopped.set()
    qtbot.waitUntil(lambda: not view.session.reviewing)
    store, batch = page.session.store, page.session.batch
    assert store
    assert batch
    assert all(store.runs.trace(row.run).opinion is None for row in store.batches.results(batch.id))


def test_takeovers_are_valued_once_and_their_worth_is_shown(page: BatchPage, qtbot: QtBot, problem_file: Path) -> None:
    page.show()
    run(page, qtbot, problem_file, "every-step")
    page.view.failures.click()
    view = page.failures
    qtbot.waitUntil(lambda: view.takeovers.rowCount() > 0)
    view.list.setFocus()
    qtbot.keyClick(view.list, Qt.Key.Key_F9)
    assert view.stop.isVisible()
    assert not view.values.isVisible()
    qtbot.waitUntil(lambda: "Worth" in headings(view))
    assert view.values.isVisible()
    small = page.session.models.pair.small
    assert isinstance(small, ScriptedEngine)
    written = small.written
    with qtbot.waitSignal(view.session.analysed):
        view.values.click()
    assert small.written == written


def test_takeovers_that_cannot_be_valued_are_told_in_a_sentence(
    view: FailureView, page: BatchPage, qtbot: QtBot
) -> None:
    view.session.analyse("small")
    with qtbot.waitSignal(page.session.failed) as refused:
        view.values.click()
    assert "contains a takeover" in str(refused.args[0])


def sceptic() -> ScriptedEngine:
    """A large model that would have ended every text of the small one otherwise."""
    engine = large_engine()
    engine.expects = lambda _, token: " other" if "boxed" in token else token
    return engine


def test_a_model_that_cannot_score_is_named(view: FailureView, page: BatchPage) -> None:
    large = page.session.models.pair.large
    assert isinstance(large, ScriptedEngine)
    large.with_card(returns_scores=False)
    page.session.changed.emit()
    assert not view.opinions.isEnabled()
    assert "no log-probabilities" in view.note.text()


def test_takeovers_are_listed_by_reason_and_cue(page: BatchPage, qtbot: QtBot, problem_file: Path) -> None:
    page.show()
    run(page, qtbot, problem_file, "small", "every-step")
    page.view.failures.click()
    view = page.failures
    qtbot.waitUntil(lambda: view.takeovers.rowCount() > 0)
    view.tabs.setFocus()
    qtbot.keyClick(view.tabs, Qt.Key.Key_Right)
    assert view.table.isVisible()
    assert headings(view) == ["Reason", "Takeovers", "Right", "Wrong", "% right"], "no cue led to any of them"
    header = view.table.horizontalHeader()
    assert sum(map(header.sectionSize, range(header.count()))) == header.width(), "the table is as wide as its place"
    reasons = [view.takeovers.index(row, 0).data() for row in range(view.takeovers.rowCount())]
    assert "Opening by the large model" in reasons


def test_one_arm_without_failures_shows_an_empty_list(view: FailureView, qtbot: QtBot) -> None:
    view.arm.setFocus()
    qtbot.keyClick(view.arm, Qt.Key.Key_End)
    assert view.arm.currentText() == "Large only"
    qtbot.waitUntil(lambda: view.failures.rowCount() == 0)
    assert shown(view) == "No answer of this kind."
    assert not view.next.isEnabled()
