"""*Stop* first finishes the answers under way; pressed again, it stops them. A window that is closed does not wait."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QAccessible

from baton_reasoning.app.batch.results_view import ResultsView
from baton_reasoning.app.toolkit.background import StreamTask
from baton_reasoning.core.thinking.events import RunStarted
from tests.app.batch.test_beside_chat import BATCH, HeldLoader, batch_page, wait_until_done
from tests.app.conftest import OWN_MODELS

pytestmark = pytest.mark.slow


@pytest.fixture
def loader():
    return HeldLoader(BATCH)


@pytest.fixture
def page(make_window, qtbot, tmp_path, loader):
    """A batch of four answers, two of which are under way."""
    path = tmp_path / "counting.csv"
    path.write_text("question,answer\n" + "\n".join(f"Count to {n}.,{n}" for n in range(4)))
    window = make_window(loader, models=OWN_MODELS)
    window.show_page("batch")
    page = batch_page(window, qtbot, path)
    page.preview.parallel.setValue(2)
    page.preview.start.click()
    qtbot.waitUntil(lambda: len(loader.small.sessions) == 2)
    return page


def spoken(view: ResultsView) -> str:
    """The name of its button Stop for a screen reader."""
    return QAccessible.queryAccessibleInterface(view.stop).text(QAccessible.Text.Name)


def test_stop_finishes_the_answers_under_way_and_begins_no_other(page, qtbot, loader):
    view = page.view
    assert (spoken(view), view.stop.toolTip()) == ("Stop", "Finishes the answers under way, and begins no other")
    view.stop.click()
    assert view.status.text() == "0 / 4 · finishing 2 answers"
    assert spoken(view) == "Stop now"
    assert "written anew" in view.stop.toolTip()
    assert view.run.isHidden()
    loader.let_go.set()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.done == 2
    assert (view.run.text(), view.run.isHidden(), view.stop.isHidden()) == ("Resume", False, True)


def test_stop_now_stops_them_and_they_are_written_anew(page, qtbot, loader):
    page.view.stop.click()
    page.view.stop.click()
    loader.let_go.set()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.done == 0
    page.session.start()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.correct == 4
    assert page.session.batch
    for row in page.session.store.batches.results(page.session.batch.id):
        starts = [event for event in page.session.store.runs.trace(row.run).events if isinstance(event, RunStarted)]
        assert len(starts) == 1


def test_a_window_that_is_closed_stops_them_at_once(page, qtbot, loader):
    for task in page.session.findChildren(StreamTask):
        task.stop()  # as BackgroundTasks.close does, which would wait for the texts that are held here
    loader.let_go.set()
    wait_until_done(page, qtbot)
    assert page.session.progress.total.done == 0
