"""What stopped a newcomer, driven as a person would: focus, folding, the demo pair asked for something else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog

from baton_reasoning.app.chat.scoreboard_view import BEYOND
from baton_reasoning.app.inspector.run_page import parameters
from baton_reasoning.app.session.run_list import Activity
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.core.models.options import DemoModel, LocalFile, ServerUrls, parse_source
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.policies.keywords import Keywords
from tests.app.conftest import ScriptedLoader, answer_to, last_answer, last_exchange
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE

Make = Callable[..., MainWindow]


def test_the_focus_stays_with_the_work_when_its_button_goes(make_window, qtbot):
    gate, loader = threading.Event(), ScriptedLoader()

    def pause(_token: str) -> None:
        assert gate.wait(PATIENCE)

    loader.small = ScriptedEngine("Done.</think>\n\nFour.", before_token=pause)
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready and window.isActiveWindow())
    composer = window.chat.composer
    composer.edit.setPlainText("2 + 2?")
    composer._send_button.setFocus()
    qtbot.keyClick(composer._send_button, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.session.activity is Activity.WRITING)
    assert QApplication.focusWidget() is composer.edit
    composer._stop_button.setFocus()
    qtbot.keyClick(composer._stop_button, Qt.Key.Key_Space)
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)
    assert QApplication.focusWidget() is composer.edit


def test_a_step_that_one_looks_at_is_not_collapsed_when_the_answer_arrives(make_window, qtbot):
    gate, loader = threading.Event(), ScriptedLoader()
    whole = "First step.\n\nSecond step.\n\nEnd.</think>\n\nFour."

    def pause(token: str) -> None:
        if "End" in token:
            assert gate.wait(PATIENCE)

    loader.small = ScriptedEngine(continue_with=lambda _, body: whole.removeprefix(body), before_token=pause)
    window = make_window(loader)
    qtbot.waitUntil(lambda: window.session.ready)
    window.session.ask("2 + 2?")
    qtbot.waitUntil(lambda: len(last_answer(window).steps.shown) > 0)
    steps = last_answer(window).steps
    place = steps.place_of(steps.shown[0].piece)
    assert place
    qtbot.mouseClick(steps.viewport(), Qt.MouseButton.LeftButton, pos=place.center().toPoint())
    gate.set()
    qtbot.waitUntil(lambda: window.session.ready)
    assert not last_answer(window).folded
    assert steps.selected is steps.shown[0].piece


def test_reasoning_without_an_answer_is_not_collapsed(make_window, qtbot):
    loader = ScriptedLoader()
    loader.small = ScriptedEngine("All there is.</think>")
    window = make_window(loader)
    answer_to(window, qtbot, "2 + 2?")
    assert not last_answer(window).folded


def test_the_demo_pair_says_what_is_beyond_it(make_window, qtbot):
    loader = ScriptedLoader()
    loader.small = ScriptedEngine("One.\n\nTwo.\n\nThree.\n\nFour.</think>\n\nSeven.").with_card(source=DemoModel.SMALL)
    loader.large = ScriptedEngine("Wait.", name="large").with_card(source=DemoModel.LARGE)
    window = make_window(loader)
    answer_to(window, qtbot, "Who wrote Faust?")
    row = last_answer(window).scoreboard
    assert row.isVisible()
    assert row.text.text() == BEYOND
    qtbot.mouseClick(row.choose, Qt.MouseButton.LeftButton)
    (dialog,) = window.findChildren(QDialog)
    assert dialog.isVisible()
    dialog.close()


def test_parameters_have_the_names_of_the_settings():
    settings = RunSettings(policy=Keywords.Settings(n1=18))
    facts = dict(parameters("keywords", settings.model_dump(mode="json")))
    assert facts["Policy"] == "Keywords"
    assert "18" in facts.values()
    assert not {"n1", "n3_step", "c_most", "max_tokens", "small_alone"} & facts.keys()


@pytest.mark.parametrize("text", ["localhost:8080", "office-server:8080/v1", "10.0.0.2:80"])
def test_an_address_without_http_is_a_server(text):
    assert parse_source(text) == ServerUrls((f"http://{text}",))


@pytest.mark.parametrize("text", ["models/a.gguf", "C:/models/a.gguf", "a:b.gguf"])
def test_a_path_is_still_a_file(text):
    assert parse_source(text) == LocalFile(Path(text))


@pytest.mark.parametrize("text", ["</think>\n\nFour.", "\n\n</think>\n\nThe answer is \\boxed{4}."])
def test_nothing_is_offered_to_be_shown_where_all_text_is_the_answer(make_window, qtbot, text):
    loader = ScriptedLoader()
    loader.small = ScriptedEngine(text)
    window = make_window(loader)
    answer_to(window, qtbot, "2 + 2?")
    assert not last_answer(window)._fold.isVisible()
    assert not last_answer(window).steps.isVisible()


def test_an_answer_knows_the_seed_that_was_used(make_window, qtbot):
    window = make_window()
    qtbot.waitUntil(lambda: window.session.ready and window.isActiveWindow())
    window.preferences.change_run(seed=41)
    composer = window.chat.composer.edit
    qtbot.keyClicks(composer, "2 + 2?")
    qtbot.keyClick(composer, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.ready and bool(window.session.conversation.leaf))
    leaf = last_exchange(window)
    assert leaf.trace.started
    assert leaf.trace.started.seed == leaf.settings.seed == 41
    qtbot.keyClick(composer, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.session.ready and window.session.conversation.leaf is not leaf)
    assert last_exchange(window).settings.seed == 42
    assert window.preferences.value.run.seed == 41, "it is that of the next problem"
