"""The window as a whole: keys, palette, look, layout, closing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.session.loaded_models import Loading, LoadState, Remark
from baton_reasoning.app.toolkit.theme.colours import DARK
from baton_reasoning.app.window.commands import CommandPalette, ShortcutList
from baton_reasoning.app.window.main_window import MainWindow, first_size
from baton_reasoning.core.engines.base import Placement
from baton_reasoning.core.engines.remote.status import StatusCallback
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.settings import ColourScheme, ModelChoice, SettingsFile
from baton_reasoning.core.thinking.registry import matching_preset
from tests.app.conftest import LARGE, ScriptedLoader, last_exchange
from tests.fakes.scripted import ScriptedEngine

Make = Callable[..., MainWindow]


@pytest.mark.slow
def test_the_window_opens_without_the_libraries_that_take_long_to_import() -> None:
    slow = {"numpy", "httpx2", "huggingface_hub", "jinja2", "math_verify", "ziamath", "llama_cpp", "starlette"}
    slow |= {"markdown_it", "psutil"}
    slow |= {f"baton_reasoning.core.{name}" for name in ("store.store", "store.runs", "grading.extract")}
    modules = "baton_reasoning.app.window.main_window, baton_reasoning.app.session.pair_loader"
    code = f"import sys, {modules}; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "PySide6" in imported
    assert slow & set(imported) == set()


FIRST_WINDOW = """
from baton_reasoning.app.__main__ import shown_window
from PySide6.QtWidgets import QLabel
application, window = shown_window()
application.processEvents()
words = window.chat.welcome.findChildren(QLabel)
print({label.font().family() for label in words}, {label.palette().window().color().name() for label in words})
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="folders of a user are set by XDG_* on Linux")
def test_the_first_window_of_a_program_wears_the_theme_before_the_event_loop_runs(tmp_path: Path) -> None:
    """Until then Qt tells no widget that exists already of another font or other colours."""
    config = tmp_path / "config" / "baton"
    config.mkdir(parents=True)
    (config / "settings.json").write_text('{"appearance": {"look": "dark"}}', encoding="utf-8")
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(config.parent)}
    command = [sys.executable, "-c", FIRST_WINDOW]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert shown.split("\n")[0] == f"{{'Inter'}} {{'{DARK.background}'}}"


def test_keys_are_given_once(window: MainWindow) -> None:
    keys = [command.key for command in window.commands if command.key]
    assert len(keys) == len(set(keys))


def test_whatever_can_be_pressed_or_written_into_has_a_name(window: MainWindow) -> None:
    for kind in (QAbstractButton, QLineEdit):
        for widget in window.findChildren(kind):
            if widget.objectName().startswith("qt_") or isinstance(widget.parent(), QLineEdit):
                continue  # Qt's own, inside a widget of ours that has a name
            named = widget.accessibleName() or (isinstance(widget, QAbstractButton) and widget.text())
            assert named, f"{widget} in {widget.parent()} has no name"


def test_the_keys_of_the_page_are_those_of_the_window(window: MainWindow) -> None:
    page = (Path(__file__).parents[3] / "docs" / "window.md").read_text(encoding="utf-8")
    named = page.split("| key | does |\n|---|---|\n")[1].split("\n\n")[0].splitlines()
    assert set(named) <= {f"| {command.key} | {command.title} |" for command in window.commands}


def test_the_palette_finds_a_command_and_runs_it(window: MainWindow, qtbot: QtBot) -> None:
    looked = window.preferences.value.appearance.look
    palette = CommandPalette(window.commands, window)
    palette.show()
    qtbot.keyClicks(palette.edit, "light dark")
    qtbot.keyClick(palette.edit, Qt.Key.Key_Return)
    assert window.preferences.value.appearance.look is not looked


def test_the_palette_opens_over_the_window_and_says_that_nothing_matches(window: MainWindow, qtbot: QtBot) -> None:
    window.move(40, 600)
    window.show_palette()
    (palette,) = window.findChildren(CommandPalette)
    assert window.frameGeometry().contains(palette.geometry())
    qtbot.keyClicks(palette.edit, "xyzzy")
    assert [palette.list.item(row).text() for row in range(palette.list.count())] == ["No matches"]
    qtbot.keyClick(palette.edit, Qt.Key.Key_Return)
    assert palette.isVisible()
    palette.close()


def test_f1_opens_the_list_of_shortcuts_which_names_every_key(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.waitUntil(window.isActiveWindow)
    qtbot.keyClick(window, Qt.Key.Key_F1)
    (shortcuts,) = window.findChildren(ShortcutList)
    assert shortcuts.isVisible()
    shown = {label.text() for label in shortcuts.findChildren(QLabel)}
    assert {command.title for command in window.commands if command.key} <= shown
    shortcuts.close()


def test_light_and_dark_hold_until_the_next_start(make_window: Make) -> None:
    window = make_window()
    window.turn_light_or_dark()
    chosen = window.preferences.value.appearance.look
    assert chosen in (ColourScheme.LIGHT, ColourScheme.DARK)
    window.close()
    assert SettingsFile(window.paths.settings).load().appearance.look is chosen


def test_the_first_window_fits_its_screen_with_the_composer_in_sight(qtbot: QtBot, tmp_path: Path) -> None:
    window = MainWindow(Paths.under(tmp_path), ScriptedLoader())
    qtbot.addWidget(window)
    window.show()
    available = window.screen().availableSize()
    assert window.frameSize().boundedTo(available) == window.frameSize()
    composer = window.chat.composer
    assert composer.mapTo(window, composer.rect().bottomRight()).y() < available.height()
    window.close()


@pytest.mark.parametrize("screen", [QSize(1366, 768), QSize(1024, 600), QSize(2560, 1440)])
def test_the_first_window_leaves_room_for_its_title_bar(screen: QSize) -> None:
    size = first_size(screen)
    assert size.width() <= min(screen.width(), 1440)
    assert size.height() <= min(screen.height() - 50, 900)


def test_a_narrow_window_leaves_the_inspector_out_until_it_is_asked_for(make_window: Make) -> None:
    window = make_window(width=900)
    assert window.width() == 900
    assert not window.chat.inspector.isVisible()
    window.show_inspector(True)
    assert window.chat.inspector.isVisible()
    assert not window.chat.sidebar.isVisible()
    window.resize(1440, 900)
    assert window.chat.sidebar.isVisible()
    assert window.chat.inspector.isVisible()


def test_a_model_that_got_less_than_was_asked_for_is_told_of(make_window: Make, qtbot: QtBot) -> None:
    loader = ScriptedLoader()
    less = Placement((), 128, 2, "f16", "with 12 of 29 layers on the GPU")
    loader.large = ScriptedEngine(*LARGE, name="large", placement=less)
    window = make_window(loader)
    told = "large was loaded with 12 of 29 layers on the GPU: out of memory."
    qtbot.waitUntil(lambda: window.notice.text == told)
    assert told in window.topbar.pair.toolTip()


class RemarkingLoader(ScriptedLoader):
    def __call__(self, choice: ModelChoice, watcher: StatusCallback) -> Loading:
        yield Remark("There is no room for the demo pair.")
        yield from super().__call__(choice, watcher)


def test_what_is_to_be_known_of_a_pair_is_told_once_it_is_loaded(make_window: Make, qtbot: QtBot) -> None:
    window = make_window(RemarkingLoader())
    qtbot.waitUntil(lambda: window.notice.text == "There is no room for the demo pair.")
    window.models._loader = ScriptedLoader()
    window.reload_models()
    qtbot.waitUntil(lambda: not window.notice.text)


def test_policy_and_preset_are_chosen_in_the_top_bar(window: MainWindow) -> None:
    window.topbar.policy.choose("keywords", "paper")
    assert matching_preset(window.preferences.value.run.policy) == "paper"
    assert "paper" in window.topbar.policy.text()
    window.topbar.policy.choose("never")
    assert window.preferences.value.run.policy.policy == "never"
    assert window.topbar.policy.text().strip() == "Small only"


def test_a_further_page_is_shown_in_the_top_bar(window: MainWindow) -> None:
    page = QWidget()
    window.add_page("more", "More", page)
    window.show_page("more")
    assert page.isVisible()
    assert window.preferences.value.window.page == "more"


def test_closing_while_an_answer_is_written_keeps_what_is_there(make_window: Make, qtbot: QtBot) -> None:
    from tests.app.chat.test_answers import endless

    window = make_window(endless())
    window.session.ask("2 + 2?")
    qtbot.waitUntil(lambda: bool(window.session.current and window.session.current.trace.tokens > 20))
    kept = window.session.current
    assert kept
    window.close()
    again = make_window()
    qtbot.waitUntil(lambda: again.session.ready and bool(again.session.conversation.leaf))
    leaf = last_exchange(again)
    assert leaf.trace.text == kept.trace.text
    assert leaf.trace.ended is not None


def test_a_chat_page_that_comes_into_view_later_has_the_focus_where_one_writes(
    ask: Callable[[str], MainWindow], make_window: Make, qtbot: QtBot
) -> None:
    first = ask("2 + 2?")
    first.show_page("batch")
    first.close()
    window = make_window()
    qtbot.waitUntil(lambda: window.session.conversation.leaf is not None and window.isActiveWindow())
    qtbot.keyClick(window, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.focusWidget() is window.chat.composer.edit
    window.chat.sidebar.list.setFocus()
    assert QApplication.focusWidget() is window.chat.sidebar.list


def test_the_window_opens_on_the_page_where_it_was_left(make_window: Make) -> None:
    window = make_window()
    window.show_page("batch")
    window.close()
    assert make_window().findChild(BatchPage).isVisible()  # type: ignore[union-attr]


def test_the_window_closes_the_store_after_everything_that_still_saves(
    make_window: Callable[..., MainWindow], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = make_window()
    qtbot.waitUntil(lambda: window.session.ready and window.models.state is LoadState.READY)
    order: list[str] = []

    def noted(name: str, close: Callable[[], None]) -> None:
        order.append(name)
        close()

    for owner, name in ((window.tasks, "close"), (window.models, "close"), (window.preferences, "save")):
        done = getattr(owner, name)
        monkeypatch.setattr(owner, name, partial(noted, type(owner).__name__, done))
    assert window._store
    monkeypatch.setattr(window._store, "close", partial(noted, "Store", window._store.close))
    window.close()
    assert order == ["BackgroundTasks", "LoadedModels", "Preferences", "Store"]
