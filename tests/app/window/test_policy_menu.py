"""The menu of policies in the top bar: what it offers to the models that are loaded."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QWidget
from pytestqt.qtbot import QtBot

from baton_reasoning.app.chat.welcome import demo_problem
from baton_reasoning.app.inspector.panel import Tab
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.policies.keywords import Keywords
from tests.app.conftest import last_answer, last_exchange


def opened_menu(window: MainWindow, qtbot: QtBot) -> QMenu:
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY and window.isActiveWindow())
    qtbot.keyClick(window, Qt.Key.Key_P, Qt.KeyboardModifier.ControlModifier)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    return menu


def opened_more(menu: QMenu, qtbot: QtBot) -> QMenu:
    """The menu of the other policies."""
    menu.setActiveAction(entry(menu, "More…"))
    qtbot.keyClick(menu, Qt.Key.Key_Right)
    more = QApplication.activePopupWidget()
    assert isinstance(more, QMenu)
    return more


def entry(menu: QMenu, title: str) -> QAction:
    return next(action for action in menu.actions() if action.text().startswith(title))


def drafted(page: QWidget) -> str:
    """What a page of the inspector says of drafts."""
    named = (label for label in page.findChildren(QLabel) if label.isVisible())
    return next(label.text() for label in named if label.accessibleName().startswith("Drafted: "))


@pytest.mark.slow
def test_large_only_drafted_is_written_by_the_large_model_and_shows_its_drafts(make_window, qtbot, tmp_path):
    """With the real demo pair, which is loaded for one text at a time."""
    window = make_window(PairLoader(Paths.under(tmp_path)))
    menu = opened_more(opened_menu(window, qtbot), qtbot)
    qtbot.mouseClick(
        menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(entry(menu, "Large only, drafted")).center()
    )
    assert window.topbar.policy.text().strip() == "Large only, drafted"
    composer = window.chat.composer.edit
    qtbot.mouseClick(composer.viewport(), Qt.MouseButton.LeftButton)
    qtbot.keyClicks(composer, demo_problem())
    qtbot.keyClick(composer, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.conversation.leaf is not None and window.session.ready)
    trace = last_exchange(window).trace
    assert (trace.finish, trace.large_share) == (Finish.END_OF_TEXT, 1)
    assert trace.totals[Author.SMALL].decoded == 0
    steps = last_answer(window).steps
    first = next(shown for shown in steps.shown if shown.piece.drafts)
    place = steps.place_of(first.piece)
    assert place
    qtbot.mouseClick(steps.viewport(), Qt.MouseButton.LeftButton, pos=place.center().toPoint())
    window.inspector.step.details_button.click()
    assert drafted(window.inspector.step).startswith("◇ ")
    window.inspector.tabs.setCurrentIndex(Tab.RUN)
    assert drafted(window.inspector.run).startswith("◇ ")


@pytest.mark.slow
def test_a_policy_that_these_models_cannot_run_is_not_offered_and_says_why(window, qtbot):
    menu = opened_more(opened_menu(window, qtbot), qtbot)
    assert not any("expected answer" in action.toolTip() for action in menu.actions()), "no question in a chat has one"
    action = entry(menu, "Large only, drafted")
    assert not action.isEnabled()
    assert "cannot draft for large, since both must be on this machine" in action.text()
    assert "llama-server with a draft model" in action.toolTip()


def test_four_policies_are_offered_and_the_others_after_more(window, qtbot):
    menu = opened_menu(window, qtbot)
    titles = [action.text().split("\t")[0] for action in menu.actions() if not action.isSeparator()]
    assert titles == ["Keywords", "Every step", "Small only", "Large only", "More…", "Parameters…"]
    others = [action.text().split("\t")[0] for action in opened_more(menu, qtbot).actions()]
    assert "Large only, drafted" in others
    assert set(titles).isdisjoint(others)


def test_each_policy_has_its_title_and_a_line_that_explains_it(window, qtbot):
    menu = opened_menu(window, qtbot)
    more = opened_more(menu, qtbot)
    assert not menu.toolTipsVisible(), "tool tips would cover the entries below"
    entries = dict(a.text().split("\t") for each in (menu, more) for a in each.actions() if a.isCheckable())
    assert entries["Keywords"] == Keywords.summary
    assert entries["Keywords (paper)"] == Keywords.preset_summaries["paper"]
    assert all(entries.values())
    qtbot.mouseClick(more, Qt.MouseButton.LeftButton, pos=more.actionGeometry(entry(more, "Keywords (paper)")).center())
    assert window.topbar.policy.text().strip() == "Keywords (paper)"
