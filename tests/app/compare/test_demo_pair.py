"""The real demo pair, side by side: its files are local models that hold one text at a time."""

from __future__ import annotations

import pytest

from baton_reasoning.app.chat.welcome import demo_problem
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.thinking.events import Finish
from tests.app.compare.conftest import dialog, settle, view_of

pytestmark = pytest.mark.slow


def test_the_small_model_is_wrong_alone_and_right_with_the_large_one(make_window, tmp_path, qtbot):
    window = make_window(PairLoader(Paths.under(tmp_path)))
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    window.chat.composer.set_text(demo_problem())  # the one that `baton demo` begins with
    window.chat.compare()
    assert dialog().expected.text()
    dialog().go.click()
    qtbot.waitUntil(lambda: window.session.ready)
    settle(window, qtbot)
    columns = view_of(window).columns
    assert [column.exchange.trace.finish for column in columns] == [Finish.END_OF_TEXT] * 3
    assert [column.title for column in columns] == ["Small only", "Keywords", "Large only"]
    assert [column.verdict.text()[0] for column in columns] == ["✗", "✓", "✓"]
    assert view_of(window).note.text().startswith("Columns 1 and 2 part at “")
    assert all(" · " in column.facts.text() for column in columns), "the demo pair's times can be compared"
