"""A second opinion in the window: asked for, shown, walked through, and the conversation forked at a mark."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import cycle

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QTextCharFormat
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from baton_reasoning.app.inspector import opinion_page
from baton_reasoning.app.inspector.opinion_page import OpinionPage, PlaceFilter
from baton_reasoning.app.inspector.panel import Tab
from baton_reasoning.app.session.conversation import Exchange
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import OpinionGiven
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.opinion import SecondOpinion, Sequel
from baton_reasoning.core.thinking.policies.never import Never
from tests.app.conftest import ScriptedLoader, answer_to, last_exchange
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE

Make = Callable[..., MainWindow]
Open = Callable[..., OpinionPage]
SLIP = "So 2 + 2 is 5.\n\nAnd 2 + 3 is 5, of course 🎉, is 5.</think>\n\nIt is 5."


def knows_better(before: str, token: str) -> str:
    return " 4" if token == " 5" and not before.endswith("2 + 3 is") else token


def wait_for(gate: threading.Event | None) -> None:
    if gate:
        gate.wait(PATIENCE)


class OpinionLoader(ScriptedLoader):
    """A small model that slips, and a large one that does not."""

    def __init__(self, gate: threading.Event | None = None, returns_scores: bool = True) -> None:
        super().__init__()
        self.small = ScriptedEngine(SLIP)
        self.large = ScriptedEngine(
            "4.</think>\n\nIt is 4.",
            name="large",
            expects=knows_better,
            before_token=lambda _: wait_for(gate),
        ).with_card(returns_scores=returns_scores, location="this machine" if returns_scores else "gpu.example")


@pytest.fixture
def opened(make_window: Make, qtbot: QtBot) -> Open:
    """The tab of an answer that the small model wrote alone."""

    def opened(loader: ScriptedLoader | None = None) -> OpinionPage:
        window = make_window(loader or OpinionLoader())
        window.preferences.change_run(policy=Never.Settings())
        answer_to(window, qtbot, "2 + 2?")
        window.activateWindow()
        QTest.keyClick(window, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
        assert window.inspector.tabs.currentIndex() == Tab.OPINION
        return window.inspector.opinion

    return opened


def asked(page: OpinionPage, qtbot: QtBot) -> OpinionPage:
    qtbot.mouseClick(page.ask, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.opinion is not None)
    return page


def window_of(page: OpinionPage) -> MainWindow:
    window = page.window()
    assert isinstance(window, MainWindow)
    return window


def rows(page: OpinionPage) -> list[str]:
    return [page.places.index(row).data() for row in range(page.places.rowCount())]


def middle_of(page: OpinionPage, index: int) -> QPoint:
    """Where a mark is on the screen."""
    assert page.opinion
    place = page.opinion.disagreements[index]
    page.text.reveal(place)
    return page.text._rectangle(place).center()


def test_it_lists_the_slips_the_strongest_first_and_marks_them_in_the_text(opened: Open, qtbot: QtBot) -> None:
    page = asked(opened(), qtbot)
    assert rows(page) == [f"Step {step}: ·5 → ·4 (90%) · missed takeover" for step in (1, 2, 3)]
    assert page.counts.text().startswith("large: 3 strong disagreements, 3 missed takeovers.")
    marks = page.text.extraSelections()
    assert [mark.cursor.selectedText() for mark in marks] == [" 5", " 5", " 5"]
    assert {mark.format.underlineStyle() for mark in marks} == {QTextCharFormat.UnderlineStyle.WaveUnderline}
    assert not page.ask.isVisible()


def test_the_hovered_mark_tells_what_the_large_model_would_have_written(opened: Open, qtbot: QtBot) -> None:
    page = asked(opened(), qtbot)
    page.place.setText("")
    shifts = cycle((0, 1))

    def hovered() -> bool:
        """The mouse moves a little until the window has laid out the text and taken notice."""
        qtbot.mouseMove(page.text.viewport(), middle_of(page, 2) + QPoint(next(shifts), 0))
        return "Instead of “·5” (1%)" in page.place.text()

    qtbot.waitUntil(hovered)
    assert page.alternatives.accessibleDescription() == "·4 0.90, ·5 0.01"


def test_a_click_on_a_mark_forks_there_and_the_large_model_goes_on(opened: Open, qtbot: QtBot) -> None:
    page = asked(opened(), qtbot)
    window = window_of(page)
    before = window.session.conversation.leaf
    qtbot.mouseClick(page.text.viewport(), Qt.MouseButton.LeftButton, pos=middle_of(page, 0))
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not before)
    fork = last_exchange(window)
    assert fork.trace.text.startswith("So 2 + 2 is4.")
    assert [piece.author for piece in fork.trace.pieces[:2]] == [Author.SMALL, Author.LARGE]
    assert window.session.conversation.siblings(fork)[0] is before


def test_keys_walk_from_mark_to_mark_and_enter_forks(opened: Open, qtbot: QtBot) -> None:
    page = asked(opened(), qtbot)
    window = window_of(page)
    before = window.session.conversation.leaf
    page.text.setFocus()
    qtbot.waitUntil(page.text.hasFocus)
    page.text.chosen = None
    qtbot.keyClick(page.text, Qt.Key.Key_Right)
    qtbot.keyClick(page.text, Qt.Key.Key_Right)
    assert page.opinion
    assert page.text.chosen is page.opinion.disagreements[1]
    assert "It would have written" in page.text.accessibleDescription()
    window.session.reviews.changed.emit()
    assert page.text.chosen is page.opinion.disagreements[1], "whatever else goes on"
    qtbot.keyClick(page.text, Qt.Key.Key_Left)
    assert page.text.chosen is page.opinion.disagreements[0]
    qtbot.keyClick(page.text, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not before)


def test_enter_in_the_list_forks_at_the_chosen_place(opened: Open, qtbot: QtBot) -> None:
    page = asked(opened(), qtbot)
    window = window_of(page)
    before = window.session.conversation.leaf
    page.list.setFocus()
    qtbot.keyClick(page.list, Qt.Key.Key_Down)
    qtbot.keyClick(page.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not before)
    fork = last_exchange(window)
    assert fork.trace.text.startswith(SLIP[: SLIP.index("🎉, is 5") + 5] + "4.")


def test_it_is_still_there_when_the_conversation_is_opened_again(opened: Open, qtbot: QtBot) -> None:
    page = asked(opened(), qtbot)
    window = window_of(page)
    conversation = window.session.conversation.id
    window.session.new()
    window.session.open(conversation)
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.id == conversation)
    leaf = last_exchange(window)
    qtbot.waitUntil(lambda: leaf.trace.opinion is not None)
    assert len(rows(page)) == 3


def test_stop_ends_the_reading(opened: Open, qtbot: QtBot) -> None:
    gate = threading.Event()
    page = opened(OpinionLoader(gate))
    qtbot.mouseClick(page.ask, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.stop.isVisible)
    assert page.bar.isVisible()
    qtbot.mouseClick(page.stop, Qt.MouseButton.LeftButton)
    gate.set()
    qtbot.waitUntil(page.ask.isVisible)
    assert page.opinion is None


def test_an_answer_goes_before_an_opinion(opened: Open, qtbot: QtBot) -> None:
    gate = threading.Event()
    page = opened(OpinionLoader(gate))
    window = window_of(page)
    qtbot.mouseClick(page.ask, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(page.stop.isVisible)
    window.session.ask("And 3 + 3?")
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready and window.session.reviews.exchange is None)
    assert window.session.conversation.path[0].trace.opinion is None


def test_a_large_model_that_cannot_score_says_what_would_help(opened: Open) -> None:
    page = opened(OpinionLoader(returns_scores=False))
    assert not page.ask.isEnabled()
    assert "gives no log-probabilities" in page.note.text()
    assert "serve it with vLLM" in page.note.text()


def test_missed_takeovers_can_be_listed_alone(opened: Open, qtbot: QtBot) -> None:
    page = asked(opened(), qtbot)
    page.shown.setFocus()
    qtbot.keyClick(page.shown, Qt.Key.Key_Down)
    assert page.shown.currentData() is PlaceFilter.MISSED
    assert page.opinion
    assert len(rows(page)) == sum(place.sequel is Sequel.MISSED for place in page.opinion.disagreements) == 3


LONG_STEPS = 60


@pytest.fixture
def long_read(make_window: Make, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> OpinionPage:
    """The tab, not shown yet, of a long answer with a slip in each step, whose opinion has just been given."""
    monkeypatch.setattr(opinion_page, "MOST_AT_ONCE", 200)
    loader = OpinionLoader()
    loader.small = ScriptedEngine("So 2 + 2 is 5.\n\n" * LONG_STEPS)
    window = make_window(loader)
    window.preferences.change_run(policy=Never.Settings(), limits=Limits(repetition=False))
    exchange = answer_to(window, qtbot, "2 + 2?")
    for item in SecondOpinion(window.models.pair.large, exchange.trace).read():
        if isinstance(item, OpinionGiven):
            exchange.trace.apply(item)
    window.show_inspector(True)
    return window.inspector.opinion


def test_a_long_opinion_is_evaluated_in_the_background(long_read: OpinionPage, qtbot: QtBot) -> None:
    window_of(long_read).inspector.turn_to(Tab.OPINION)
    assert long_read.opinion is None
    assert not long_read.ask.isVisible(), "it is there already"
    assert not long_read.list.isVisible()
    qtbot.waitUntil(lambda: long_read.opinion is not None)
    assert long_read.list.isVisible()
    assert len(rows(long_read)) == LONG_STEPS


def test_only_marks_in_sight_are_drawn_and_follow_the_scroll_bar(long_read: OpinionPage, qtbot: QtBot) -> None:
    window_of(long_read).inspector.turn_to(Tab.OPINION)
    qtbot.waitUntil(lambda: long_read.opinion is not None)
    text, bar = long_read.text, long_read.text.verticalScrollBar()

    def drawn() -> set[int]:
        return {mark.cursor.selectionStart() for mark in text.extraSelections()}

    def lines_in_sight() -> int:
        return text.viewport().height() // text.fontMetrics().lineSpacing() + 2

    bar.setValue(0)
    at_first = drawn()
    assert 1 < len(at_first) <= lines_in_sight()
    assert min(at_first) < 20
    bar.setValue(bar.maximum())
    at_last = drawn()
    assert 1 < len(at_last) <= lines_in_sight()
    assert max(at_last) > len(text.toPlainText()) - 20
    assert not at_first & at_last


def test_another_answer_is_not_given_the_opinion_that_is_still_evaluated(long_read: OpinionPage, qtbot: QtBot) -> None:
    window = window_of(long_read)
    window.inspector.turn_to(Tab.OPINION)
    other = Exchange("2 + 2?", settings=window.session.settings)
    long_read.follow(other)
    qtbot.waitUntil(lambda: not BackgroundTasks.of(long_read).running)
    assert long_read.opinion is None


def test_an_opinion_on_an_earlier_answer_is_shown_when_it_is_there(opened: Open, qtbot: QtBot) -> None:
    page = opened()
    window = window_of(page)
    first = last_exchange(window)
    answer_to(window, qtbot, "And again?")
    window.chat.choose(first, first.trace.pieces[0])
    qtbot.mouseClick(page.ask, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.opinion is not None)
