"""The window as a whole: keys, look, layout, closing, and the dialogs that save."""

import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest
from PySide6.QtCore import QSize, QStandardPaths, Qt, QTranslator
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QFileDialog,
    QInputDialog,
    QLabel,
    QMenu,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QWidget,
)

from baton_reasoning.app.batch.page import BatchPage
from baton_reasoning.app.compare.controller import Chooser
from baton_reasoning.app.session.loaded_models import LoadState, Remark
from baton_reasoning.app.toolkit.theme import DARK
from baton_reasoning.app.window.commands import ShortcutList
from baton_reasoning.app.window.main_window import first_size
from baton_reasoning.core.engines.base import Placement
from baton_reasoning.core.settings import SMALLEST_TEXT, ColourScheme
from tests.app.chat.test_history import names
from tests.app.conftest import LARGE, ScriptedLoader, answer_to, last_answer, last_exchange, pick, press
from tests.fakes.full_disk import a_full_disk
from tests.fakes.scripted import ScriptedEngine
from tests.systems import user_in


@pytest.mark.slow
def test_the_window_opens_without_the_libraries_that_take_long_to_import():
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
def test_the_first_window_of_a_program_wears_the_theme_before_the_event_loop_runs(tmp_path, monkeypatch):
    """Until then Qt tells no widget that exists already of another font or other colours."""
    file = user_in(tmp_path, monkeypatch).settings
    file.parent.mkdir(parents=True)
    file.write_text('{"appearance": {"look": "dark"}}', encoding="utf-8")
    command = [sys.executable, "-c", FIRST_WINDOW]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert shown.split("\n")[0] == f"{{'Inter'}} {{'{DARK.background}'}}"


def test_the_first_window_fits_its_screen_with_the_composer_in_sight(make_window):
    window = make_window(begin=False, width=None)
    available = window.screen().availableSize()
    assert window.frameSize().boundedTo(available) == window.frameSize()
    composer = window.chat.composer
    assert composer.mapTo(window, composer.rect().bottomRight()).y() < available.height()
    for screen in (QSize(1366, 768), QSize(1024, 600), QSize(2560, 1440)):
        size = first_size(screen)
        assert size.width() <= min(screen.width(), 1440)
        assert size.height() <= min(screen.height() - 50, 900), "room for the title bar"


def test_menu_list_of_shortcuts_and_manual_name_every_command_and_its_key(window, qtbot):
    qtbot.mouseClick(window.topbar.more, Qt.MouseButton.LeftButton)
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    menus = [menu, *menu.findChildren(QMenu)]
    own, *shown = [
        [(each.text(), key) for each in one.actions() if (key := each.shortcut().toString())] for one in menus
    ]
    assert {("Conversations at the left", "Ctrl+B"), ("Settings…", "Ctrl+,"), ("Help: all shortcuts", "F1")} <= {*own}
    everything = [*own, *(each for some in shown for each in some)]
    assert sorted(everything) == sorted((command.title, command.key) for command in window.commands)
    assert len({key for _, key in everything}) == len(everything), "each key is given once"
    (inspector,) = (action for action in menu.actions() if action.shortcut().toString() == "Ctrl+I")
    qtbot.mouseClick(menu, Qt.MouseButton.LeftButton, pos=menu.actionGeometry(inspector).center())
    assert window.inspector.isVisible()
    qtbot.keyClick(window, Qt.Key.Key_F1)
    (shortcuts,) = window.findChildren(ShortcutList)
    assert shortcuts.isVisible()
    labels = {label.text() for label in shortcuts.findChildren(QLabel)}
    assert {command.title for command in window.commands} <= labels
    shortcuts.close()
    page = (Path(__file__).parents[3] / "docs" / "window.md").read_text(encoding="utf-8")
    named = page.split("| key | does |\n|---|---|\n")[1].split("\n\n")[0].splitlines()
    assert set(named) <= {f"| {command.key} | {command.title} |" for command in window.commands}


TAKEN = {
    *(f"Ctrl+{key}" for key in ("H", "M", "W", "`", "Tab", "Space", "F5", "Esc")),
    *(f"Ctrl+Shift+{key}" for key in ("3", "4", "5", "6", "Q", "/", "Esc", "Tab", "U")),
    *(f"Ctrl+Alt+{key}" for key in ("H", "M", "D", "Esc", "Space", "Del", "T", "L", "Left", "Right", "Up", "Down")),
    *(f"Alt+{key}" for key in ("F1", "F2", "F4", "F7", "F8", "F10", "Tab", "Space", "Esc")),
}
"""Keys that macOS (Ctrl is ⌘), Windows or a desktop of Linux take for themselves."""


def test_keys_make_the_text_larger_and_smaller_and_give_it_its_usual_size(window, qtbot):
    def size_after(*keys):
        for key in keys:
            qtbot.keyClick(window, key, Qt.KeyboardModifier.ControlModifier)
        return window.preferences.value.appearance.text_size

    larger, smaller, usual = Qt.Key.Key_Equal, Qt.Key.Key_Minus, Qt.Key.Key_0
    assert size_after(larger, larger) == 1.2
    assert size_after(usual) == 1.0
    assert size_after(*[smaller] * 5) == SMALLEST_TEXT
    assert size_after(usual) == 1.0


def test_no_system_takes_the_key_of_a_command(window):
    assert {command.key for command in window.commands} & TAKEN == set()


class KeysOfAMac(QTranslator):
    def translate(self, context: str, source: str, disambiguation: str | None = None, n: int = -1) -> str:
        return {"Ctrl": "⌘", "Shift": "⇧", "Alt": "⌥"}.get(source, source) if context == "QShortcut" else source

    def isEmpty(self) -> bool:
        return False


def test_every_key_is_written_as_this_system_writes_it(answered_by, qtbot):
    translator = KeysOfAMac()
    QApplication.installTranslator(translator)
    try:
        window = answered_by(ScriptedLoader())
        window.chat.composer.menu.fill(lambda: None, lambda: None)
        qtbot.keyClick(window, Qt.Key.Key_F1)
        texts = [text for each in [window, *window.findChildren(QWidget)] for text in texts_of(each)]
        texts += [action.text() for action in window.findChildren(QAction)]
    finally:
        QApplication.removeTranslator(translator)
    assert {"Copy the answer (⌘+⇧+C)", "New conversation (⌘+N)", "⌘+⇧+P", "System prompt…\t⌘+⇧+Y"} <= {*texts}
    assert [text for text in texts if re.search(r"(Ctrl|Shift|Alt)\+", text)] == []


def texts_of(widget: QWidget) -> list[str]:
    """What is read of a widget, and what screen readers and its tool tip say."""
    text = widget.text() if isinstance(widget, QLabel | QAbstractButton) else ""
    return [text, widget.toolTip(), widget.accessibleName(), widget.accessibleDescription()]


def test_the_inspector_opens_with_a_step_and_closes_with_it_unless_it_was_opened_for_what_is_shown(ask, qtbot):
    window = ask("2 + 2?")
    first, answer = window.session.conversation, last_answer(window)
    assert not window.inspector.isVisible()
    if answer.folded:
        answer.toggle_fold()
    place = answer.steps.place_of(answer.steps.pieces[0])
    qtbot.mouseClick(answer.steps.viewport(), Qt.MouseButton.LeftButton, pos=place.center().toPoint())
    assert window.inspector.isVisible()
    assert window.inspector.piece is answer.steps.pieces[0]
    qtbot.keyClick(window, Qt.Key.Key_I, Qt.KeyboardModifier.ControlModifier)
    assert not window.inspector.isVisible()
    window.chat.step_through(1)
    assert window.inspector.isVisible()
    window.chat.new()
    assert not window.inspector.isVisible()
    window.show_inspector(True)
    ask("3 + 3?")
    assert window.inspector.isVisible()
    window.session.open(first.id)
    assert not window.inspector.isVisible()
    qtbot.waitUntil(lambda: window.session.ready)
    window.chat.step_through(1)
    window.chat.compare()
    window.findChild(Chooser).go.click()
    assert not window.inspector.isVisible()


def test_a_fork_by_key_leaves_the_focus_where_the_work_goes_on(ask, qtbot):
    window = ask("2 + 2?")
    qtbot.waitUntil(window.isActiveWindow)
    for number, key in enumerate((Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space), 2):
        window.chat.step_through(1)
        (fork,) = [each for each in window.inspector.findChildren(QPushButton) if each.text() == "Fork here"]
        fork.setFocus()
        qtbot.keyClick(fork, key)
        assert len(window.session.conversation.roots) == number
        assert QApplication.focusWidget() is window.chat.composer.edit
        qtbot.waitUntil(lambda: window.session.ready)


def test_in_a_narrow_window_the_list_makes_room_for_the_inspector(make_window):
    window = make_window(width=900)
    assert window.width() == 900
    assert window.chat.sidebar.isVisible()
    window.show_inspector(True)
    assert not window.chat.sidebar.isVisible()
    window.resize(1440, 900)
    assert window.chat.sidebar.isVisible()
    assert window.inspector.isVisible()
    window.resize(900, 900)
    assert not window.chat.sidebar.isVisible()
    window.show_inspector(False)
    assert window.chat.sidebar.isVisible()
    window.show_inspector(True)
    window.show_sidebar(True)
    assert window.chat.sidebar.isVisible()
    assert not window.inspector.isVisible()


def test_tab_goes_from_the_header_to_the_list_the_text_and_the_composer(ask, qtbot):
    window = ask("2 + 2?")
    qtbot.waitUntil(lambda: window.session.ready and window.isActiveWindow())
    chat = window.chat
    parts = {"header": window.topbar, "list": chat.sidebar, "composer": chat.foot, "text": chat}
    chat.composer.edit.setFocus()
    stops: list[QWidget] = []
    while not stops or stops[-1] is not chat.composer.edit:
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        focused = QApplication.focusWidget()
        assert focused
        assert focused not in stops, "Tab goes around in less than the window"
        stops.append(focused)
    assert not any(isinstance(stop, QScrollArea) for stop in stops), "it would not show that it has the focus"
    passed = [next(name for name, part in parts.items() if part.isAncestorOf(stop)) for stop in stops]
    assert [name for name, _ in groupby(passed)] == ["composer", "header", "list", "text", "composer"]
    for stop in reversed([chat.composer.edit, *stops[:-1]]):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab, Qt.KeyboardModifier.ShiftModifier)
        assert QApplication.focusWidget() is stop


def test_ctrl_z_brings_a_deleted_conversation_back_unless_a_field_has_something_to_undo(ask, qtbot):
    window = ask("First?")
    window.chat.new()
    view, edit = window.chat.sidebar.list, window.chat.composer.edit
    qtbot.waitUntil(lambda: names(window) == ["First?"])
    view.setCurrentIndex(view.model().index(1, 0))
    qtbot.keyClick(view, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: names(window) == [] and window.notice.text == "“First?” was deleted.")
    edit.setFocus()
    qtbot.keyClicks(edit, "x")
    qtbot.keyClick(edit, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (edit.toPlainText(), window.notice.text[-12:]) == ("", "was deleted.")
    edit.document().clearUndoRedoStacks()
    qtbot.keyClick(edit, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: names(window) == ["First?"])
    assert not window.notice.text
    qtbot.keyClick(view, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.session.ready and names(window) == ["First?"])


class RemarkingLoader(ScriptedLoader):
    def __call__(self, choice, watcher):
        yield Remark("There is no room for the demo pair.")
        yield from super().__call__(choice, watcher)


def test_what_is_to_be_known_of_a_pair_is_told_once_it_is_loaded(make_window, qtbot):
    less = Placement((), 128, 2, "f16", "with 12 of 29 layers on the GPU")
    window = make_window(RemarkingLoader(large=ScriptedEngine(*LARGE, name="large", placement=less)))
    told = "large was loaded with 12 of 29 layers on the GPU: out of memory."
    qtbot.waitUntil(lambda: window.notice.text == f"There is no room for the demo pair. {told}")
    assert told in window.topbar.pair.toolTip()
    window.models._loader = ScriptedLoader()
    window.page_actions.reload_models()
    qtbot.waitUntil(lambda: not window.notice.text)


def test_page_and_look_are_those_in_which_the_window_was_left_and_the_chat_has_the_focus_when_it_comes_into_view(
    ask, make_window, qtbot
):
    window, page = ask("2 + 2?"), QWidget()
    window.add_page("more", "More", page)
    window.show_page("more")
    assert page.isVisible()
    assert window.preferences.value.window.page == "more"
    window.show_page("batch")
    window.turn_light_or_dark()
    look = window.preferences.value.appearance.look
    assert look in (ColourScheme.LIGHT, ColourScheme.DARK)
    window.close()
    again = make_window()
    assert again.findChild(BatchPage).isVisible()
    assert again.preferences.value.appearance.look is look
    again.turn_light_or_dark()
    assert {look, again.preferences.value.appearance.look} == {ColourScheme.LIGHT, ColourScheme.DARK}
    qtbot.waitUntil(lambda: again.session.conversation.leaf is not None and again.isActiveWindow())
    qtbot.keyClick(again, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.focusWidget() is again.chat.composer.edit
    again.chat.sidebar.list.setFocus()
    assert QApplication.focusWidget() is again.chat.sidebar.list


def test_a_store_that_is_damaged_or_cannot_be_opened_is_a_warning_that_stays(make_window, qtbot):
    window = make_window(begin=False)
    window.paths.store.mkdir(parents=True)
    window.open_store()
    qtbot.waitUntil(lambda: "cannot be opened. Answers will not be saved. Check" in window.notice.text)
    assert window.chat.sidebar.list.count() == 0
    window.paths.store.rmdir()
    window.paths.store.write_bytes(b"no database" * 1000)
    window.open_store()
    qtbot.waitUntil(lambda: "was damaged" in window.notice.text)
    told = window.notice.text
    assert str(window.paths.store.parent) in told
    window.page_actions.say("Something was saved.")
    window.notice.timer.timeout.emit()
    assert window.notice.text == told
    assert not window.notice.timer.isActive()


def test_what_a_full_disk_refused_is_in_the_list_can_be_opened_and_is_not_lost_by_closing(make_window, qtbot):
    window = make_window()
    qtbot.waitUntil(lambda: window.session.ready and window.models.state is LoadState.READY)
    view = window.chat.sidebar.list

    def close(answer):
        assert not window.close()
        assert window.isVisible()
        (box,) = window.findChildren(QMessageBox)
        assert "could not be saved" in box.text()
        press(box, answer)
        qtbot.waitUntil(lambda: not window.findChildren(QMessageBox))

    with a_full_disk():
        window.session.ask("2 + 2?")
        qtbot.waitUntil(lambda: window.session.ready)
        conversation = window.session.conversation
        window.chat.new()
        qtbot.waitUntil(lambda: names(window) == ["2 + 2?"])
        view.setCurrentRow(1)
        qtbot.keyClick(view, Qt.Key.Key_Delete)
        assert "could not be saved yet" in window.notice.text
        window.session.open(conversation.id)
        assert window.session.conversation is conversation
        window.chat.new()
    repository = window.session._repository
    qtbot.waitUntil(lambda: window.notice.text == "Everything is saved again.")
    qtbot.waitUntil(lambda: repository is not None and not repository._unsaved)
    assert names(window) == ["2 + 2?"]
    view.setCurrentRow(1)
    qtbot.keyClick(view, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: names(window) == [])
    with a_full_disk():
        window.session.ask("3 + 3?")
        close("Keep open")
        qtbot.waitUntil(lambda: window.session.ready)
        assert last_exchange(window).trace.ended
        close("Close anyway")
        assert not window.isVisible()


def test_an_export_begins_in_documents_then_where_the_last_one_went_with_the_name_of_what_is_exported(
    window, qtbot, monkeypatch, tmp_path
):
    proposed: list[Path] = []
    (tmp_path / "exports").mkdir()

    def choose(_parent, _title, start, *_):
        """In a folder of its own; the export of pets is cancelled."""
        proposed.append(Path(start))
        return "" if "Pets" in start else str(tmp_path / "exports" / Path(start).name), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    answer_to(window, qtbot, "What is 1/2?")
    for _ in range(2):
        window.page_actions.export()
        qtbot.waitUntil(lambda: window.notice.text.startswith("Saved to "))
        window.notice.close_newest()
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    assert [path.parent for path in proposed] == [Path(documents), tmp_path / "exports"]
    view, model = window.chat.sidebar.list, window.chat.sidebar.list.model()
    qtbot.waitUntil(lambda: model.rowCount() == 2)
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("Pets", True))
    qtbot.keyClick(view, Qt.Key.Key_F2)
    qtbot.waitUntil(lambda: model.index(1, 0).data() == "Pets")
    assert window.session.conversation.name == "Pets"
    window.page_actions.export()
    assert not window.notice.text
    window.chat.new()
    view.customContextMenuRequested.emit(view.visualRect(model.index(1, 0)).center())
    (menu,) = window.chat.sidebar.findChildren(QMenu, options=Qt.FindChildOption.FindDirectChildrenOnly)
    pick(menu, "Export…")
    assert [path.name for path in proposed] == ["What is 1-2.html"] * 2 + ["Pets.html"] * 2
