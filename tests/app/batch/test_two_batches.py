"""One batch runs while others are read: what is in view is not what runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QRect, Qt

from baton_reasoning.app.batch.execution import BatchActivity
from baton_reasoning.app.batch.opened_batch import OpenedBatch
from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.batch.result_table import FIRST_ARM
from baton_reasoning.app.batch.welcome import BatchRow
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.app.toolkit.controls import ElidedButton
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.batch.reporting.report import Report
from baton_reasoning.core.store.store import Store
from tests.app.batch.test_beside_chat import BATCH, HeldLoader, batch_page, wait_until_done
from tests.app.conftest import OWN_MODELS
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow
Make = Callable[..., MainWindow]


def problems(folder: Path, name: str) -> Path:
    path = folder / f"{name}.csv"
    path.write_text("question,answer\n" + "\n".join(f"Count to {n}.,{n}" for n in range(4)))
    return path


def row(page: BatchPage, name: str) -> BatchRow:
    return next(each for each in page.welcome._rows.values() if each.batch.name == name)


@pytest.fixture
def loader():
    return HeldLoader(BATCH)


@pytest.fixture
def page(make_window, qtbot, tmp_path, loader):
    """On which “first” is done, and “second” runs and is held in its first texts."""
    loader.let_go.set()
    window = make_window(loader, models=OWN_MODELS)
    window.show_page("batch")
    page = batch_page(window, qtbot, problems(tmp_path, "first"))
    page.preview.start.click()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.done == 4
    loader.let_go.clear()
    page = batch_page(window, qtbot, problems(tmp_path, "second"))
    page.preview.start.click()
    qtbot.waitUntil(lambda: page.session.activity is BatchActivity.RUNNING)
    yield page
    loader.let_go.set()  # a text that is held would keep the window from closing


def test_while_one_batch_runs_another_is_read_and_not_resumed(page, qtbot, loader):
    page.view.left.emit()
    assert row(page, "second").state.text() == "▶ 0 of 4"
    with qtbot.waitSignal(page.session.opened):
        qtbot.mouseClick(row(page, "first").state, Qt.MouseButton.LeftButton)
    assert page.view.title.text() == "first"
    assert page.view.status.text() == "4 / 4"
    assert page.session.activity is BatchActivity.IDLE
    assert page.session.executed
    assert not page.view.stop.isVisible()
    page.session.start()
    assert page.view.window().notice.text == "“second” is running. Stop it first, or wait until it is done."
    page.view.left.emit()
    loader.let_go.set()
    qtbot.waitUntil(lambda: row(page, "second").state.text() == "✓")
    assert page.session.batch
    assert page.session.batch.name == "first"


def test_of_two_batches_the_one_chosen_last_is_shown_though_it_was_read_first(page, qtbot, monkeypatch):
    page.view.left.emit()
    first, second = (row(page, name).batch.id for name in ("first", "second"))
    gate, read = threading.Event(), OpenedBatch.read

    def read_slowly(store: Store, batch_id: str) -> OpenedBatch:
        if batch_id == first:
            gate.wait(PATIENCE)
        return read(store, batch_id)

    monkeypatch.setattr(OpenedBatch, "read", read_slowly)
    page.session.open(first)
    with qtbot.waitSignal(page.session.opened):
        page.session.open(second)
    gate.set()
    qtbot.waitUntil(lambda: not page.session._opening.findChildren(StreamTask))
    assert page.view.title.text() == "second"


def test_a_batch_never_shows_the_figures_of_another(page, qtbot, loader):
    with qtbot.waitSignal(page.session.reported):
        page.session.report()
    with qtbot.waitSignal(page.session.opened):
        page.view.left.emit()
        qtbot.mouseClick(row(page, "first"), Qt.MouseButton.LeftButton)
        page.session.report()  # on the one that runs, which is delivered late
    assert page.view.sentence.text() == ""
    assert not page.view.folded.isVisible()
    reports: list[Report] = []
    page.session.reported.connect(reports.append)
    qtbot.waitUntil(lambda: page.view.folded.isVisible())
    assert [report.arms[0].answers for report in reports] == [4]
    loader.let_go.set()
    qtbot.waitUntil(lambda: not page.session.executed)


def test_the_running_batch_is_viewed_again_with_all_that_happened_meanwhile(page, qtbot, loader):
    page.view.left.emit()
    with qtbot.waitSignal(page.session.opened):
        qtbot.mouseClick(row(page, "first"), Qt.MouseButton.LeftButton)
    assert page.session.executed
    page.session.open(page.session.executed.batch.id)
    loader.let_go.set()
    qtbot.waitUntil(lambda: page.view.title.text() == "second")
    qtbot.waitUntil(lambda: page.view.status.text() == "4 / 4")
    model = page.view.model

    def marks() -> list[str]:
        return [model.index(place, FIRST_ARM).data() for place in range(4)]

    qtbot.waitUntil(lambda: marks() == ["✓"] * 4)


def test_a_second_click_on_start_does_nothing(make_window, qtbot, tmp_path, loader):
    window = make_window(loader, models=OWN_MODELS)
    window.show_page("batch")
    page = batch_page(window, qtbot, problems(tmp_path, "once"))
    page.preview.start.click()
    page.preview.start.click()
    loader.let_go.set()
    qtbot.waitUntil(lambda: page.session.progress.total.done == 4)
    wait_until_done(page, qtbot)
    assert [batch.name for batch in page.session.store.batches.all()] == ["once"]


def test_no_message_covers_the_button_that_starts_a_batch(make_window, qtbot, tmp_path, loader):
    window = make_window(loader, models=OWN_MODELS)
    window.show_page("batch")
    window.notice.show_message("Something was saved.", warns=False)
    page = batch_page(window, qtbot, problems(tmp_path, "first"))
    start = page.preview.start

    def is_free() -> bool:
        return not window.notice.geometry().intersects(QRect(start.mapTo(window, QPoint()), start.size()))

    assert page.preview.isVisible()
    qtbot.waitUntil(is_free)
    assert window.notice.isVisible()


def test_a_second_click_on_a_batch_that_is_being_read_does_nothing(page, qtbot):
    opened: list[str] = []
    page.session.opened.connect(lambda: opened.append(page.view.title.text()))
    page.view.left.emit()
    choose = row(page, "first").findChildren(ElidedButton)[0]
    choose.click()
    choose.click()
    qtbot.waitUntil(lambda: not [task for task in page.session.findChildren(StreamTask) if task.name == "open batch"])
    assert opened == ["first"]


def test_a_batch_that_cannot_be_read_does_not_keep_others_from_being_opened(page, qtbot):
    page.session.open("not there")
    qtbot.waitUntil(lambda: "is not in the store" in page.view.window().notice.text)
    page.view.left.emit()
    with qtbot.waitSignal(page.session.opened):
        row(page, "first").findChildren(ElidedButton)[0].click()


def test_escape_closes_the_answer_beside_the_table(page, qtbot):
    page.view.left.emit()
    with qtbot.waitSignal(page.session.opened):
        row(page, "first").findChildren(ElidedButton)[0].click()
    page.view.table.activated.emit(page.view.model.index(0, FIRST_ARM))
    assert page.view.answer.isVisible()
    qtbot.keyClick(page.view.table, Qt.Key.Key_Escape)
    assert not page.view.answer.isVisible()
