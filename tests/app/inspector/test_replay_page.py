"""Another policy over a recorded answer: counted, marked, listed, and a click leads to the step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from baton_reasoning.app.inspector.panel import Tab
from baton_reasoning.app.inspector.replay_page import ReplayPage
from baton_reasoning.app.shared.conversations.conversation import Exchange
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.cues import Category
from baton_reasoning.core.thinking.registry import POLICIES

Ask = Callable[[str], MainWindow]
pytestmark = pytest.mark.qt_log_ignore("This plugin does not support")


@pytest.fixture
def replayed(ask: Ask, qtbot: QtBot) -> Callable[[Callable[[ReplayPage], None]], ReplayPage]:
    """The page after a change, when the replay is over."""
    window = ask("2 + 2?")
    window.inspector.tabs.setCurrentIndex(Tab.REPLAY)
    page = window.inspector.replay

    def change(how: Callable[[ReplayPage], None]) -> ReplayPage:
        qtbot.waitUntil(lambda: not page.replaying.busy)
        how(page)
        qtbot.waitUntil(lambda: not page.replaying.busy)
        return page

    return change


Replayed = Callable[[Callable[[ReplayPage], None]], ReplayPage]


def rows(page: ReplayPage) -> list[str]:
    return [page.places.index(row).data() for row in range(page.places.rowCount())]


def choose(page: ReplayPage, policy: str) -> None:
    index = list(POLICIES).index(policy)
    page.choice.policy.setCurrentIndex(index)
    page.choice.policy.activated.emit(index)


def test_it_begins_with_the_policy_of_the_run_and_finds_nothing_else(replayed: Replayed) -> None:
    page = replayed(lambda _: None)
    assert rows(page) == ["=  Step 2: Reflection takeover: Wait"]
    assert page.counts.text().startswith("= 1 in both   − 0")
    assert "taken as given" in page.note.text()
    assert [s.author for s in page.would_be.segments] == [s.author for s in page.was.segments]


def test_without_the_cue_it_would_not_have_stepped_in(replayed: Replayed, qtbot: QtBot) -> None:
    def without_wait(page: ReplayPage) -> None:
        edit = page.choice.cues[Category.REFLECTION]
        edit.clear()
        qtbot.keyClicks(edit, "first")

    page = replayed(without_wait)
    assert rows(page) == ["−  Step 2: Reflection takeover: Wait"]
    assert "in step 2, this policy would have read another text" in page.note.text()
    assert {s.author for s in page.would_be.segments} == {Author.SMALL}


def test_another_policy_shows_its_own_parameters_and_says_what_it_cannot_know(replayed: Replayed) -> None:
    page = replayed(lambda page: choose(page, "step-score"))
    assert page.choice.editors["threshold"].widget.isVisible()
    assert "c" not in page.choice.editors
    assert "No step of this run was scored" in page.note.text()


def test_a_policy_that_decides_on_the_whole_answer_has_a_remark_instead_of_places(replayed: Replayed) -> None:
    page = replayed(lambda page: choose(page, "cascade"))
    assert page.note.text() == "This policy decides on the whole answer at its end, so there are no places to compare."
    assert not any(part.isVisible() for part in (page.would_be, page.marks, page.counts, page.list))
    page = replayed(lambda page: page.reset())
    assert all(part.isVisible() for part in (page.would_be, page.marks, page.counts, page.list))


def test_a_row_leads_to_its_step(replayed: Replayed, qtbot: QtBot) -> None:
    page = replayed(lambda page: choose(page, "always"))
    with qtbot.waitSignal(page.piece_chosen) as chosen:
        page.list.setCurrentIndex(page.places.index(0))
        qtbot.keyClick(page.list, Qt.Key.Key_Return)
    assert chosen.args
    assert chosen.args[0].step == 0


def test_of_many_changes_in_a_row_only_the_last_is_replayed(replayed: Replayed) -> None:
    shown: list[object] = []

    def turn(page: ReplayPage) -> None:
        page.replaying.changed.connect(shown.append)
        for value in range(1, 30):
            page.choice.editors["c"].show(value)

    page = replayed(turn)
    assert len(shown) == 1
    assert page.choice.settings.policy.model_dump()["c"] == 29


def test_as_in_the_run_brings_its_own_values_back(replayed: Replayed) -> None:
    page = replayed(lambda page: choose(page, "never"))
    assert rows(page)[0].startswith("−")
    assert rows(replayed(lambda page: page.reset()))[0].startswith("=")


def test_an_answer_that_has_not_begun_has_no_replay_of_another(replayed: Replayed) -> None:
    page = replayed(lambda page: page.follow(Exchange("3 + 3?", RunSettings())))
    assert not any(part.isVisible() for part in (page.would_be, page.marks, page.counts, page.list))
    assert page.note.text() == ""


def test_a_replay_that_ends_when_another_answer_is_shown_is_dropped(replayed: Replayed, qtbot: QtBot) -> None:
    page = replayed(lambda _: None)
    with qtbot.waitSignal(page.replaying.changed) as changed:
        choose(page, "always")
    page.follow(Exchange("3 + 3?", RunSettings()))
    assert changed.args
    page.replaying.changed.emit(changed.args[0])
    assert not page.list.isVisible()
