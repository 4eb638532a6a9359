"""The dialog of two models: what its fields take and refuse, what it offers, and the way back to recent pairs."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QApplication
from pytestqt.qtbot import QtBot

from baton_reasoning.app.servers.server_dialog import ServerDialog
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.app.window.pair_dialog import PairDialog
from baton_reasoning.core.demo_pair.settings import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.known_servers import KnownServer
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import HubFile, LocalFile, ServerUrls, parse_source
from tests.app.conftest import ScriptedLoader


def opened_pair_dialog(window: MainWindow, qtbot: QtBot) -> PairDialog:
    dialog = PairDialog(window.preferences.value.models, window.models.servers, window.models.costs, window)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def test_another_pair_is_loaded_and_remembered(window, qtbot):
    loader = window.models._loader
    assert isinstance(loader, ScriptedLoader)
    qtbot.waitUntil(lambda: window.models.pair.small is not None)
    dialog = opened_pair_dialog(window, qtbot)
    dialog.chosen.connect(window.page_actions.use_models)
    dialog.edits[Author.LARGE].setText("http://host:8080")
    dialog.load.click()
    qtbot.waitUntil(lambda: len(loader.choices) == 2 and window.models.pair.small is not None)
    assert str(loader.choices[1].large) == "http://host:8080"


def test_a_file_that_is_no_model_is_refused_before_it_is_loaded(window, qtbot):
    dialog = opened_pair_dialog(window, qtbot)
    dialog.edits[Author.SMALL].setText("/nowhere/model.gguf")
    assert not dialog.load.isEnabled()
    assert "model.gguf" in dialog.messages[Author.SMALL].text()
    dialog.exchange()
    assert dialog.edits[Author.LARGE].text() == "/nowhere/model.gguf"
    for edit in dialog.edits.values():
        edit.clear()
    assert dialog.load.isEnabled()


def test_a_real_model_beside_one_of_the_demo_is_warned_of(window, qtbot, tmp_path):
    dialog = opened_pair_dialog(window, qtbot)
    assert not dialog.warning.isVisible()
    own = tmp_path / "own.gguf"
    own.write_bytes(SMALL_MODEL.read_bytes())
    qtbot.keyClicks(dialog.edits[Author.SMALL], str(own))
    assert "the demo's large model" in dialog.warning.text()
    assert dialog.load.text() == "Load anyway"
    dialog.edits[Author.SMALL].clear()
    assert not dialog.warning.isVisible()
    assert dialog.load.text() == "Load"


def test_a_large_model_smaller_than_the_small_one_is_warned_of(window, qtbot, tmp_path):
    small, large = tmp_path / "small.gguf", tmp_path / "large.gguf"
    small.write_bytes(SMALL_MODEL.read_bytes())
    large.write_bytes(LARGE_MODEL.read_bytes())
    sizes = read_header(small).parameters, read_header(large).parameters
    assert sizes[0] < sizes[1]
    dialog = opened_pair_dialog(window, qtbot)
    qtbot.keyClicks(dialog.edits[Author.SMALL], str(large))
    qtbot.keyClicks(dialog.edits[Author.LARGE], str(small))
    assert "smaller than the small one" in dialog.warning.text()
    (swap,) = (button for button in dialog.findChildren(QAbstractButton) if button.text() == "Swap")
    qtbot.mouseClick(swap, Qt.MouseButton.LeftButton)
    assert not dialog.warning.isVisible()


def test_recent_and_local_models_are_offered_by_any_part_of_their_name(window, qtbot, tmp_path):
    dialog = opened_pair_dialog(window, qtbot)
    qwen, phi = tmp_path / "Qwen3-14B.gguf", tmp_path / "Phi-4.gguf"
    used = window.preferences.value.models.replaced(Author.LARGE, LocalFile(phi))
    window.preferences.change(models=used)
    window.preferences.change_window(recent_pairs=((str(qwen), "http://office:8080"),))
    dialog.offer(window.preferences.value, lambda: [qwen, tmp_path / "Other.gguf"])
    qtbot.waitUntil(lambda: dialog.offered.rowCount() == 4)
    qtbot.keyClicks(dialog.edits[Author.LARGE], "qwen3-14b.")
    completer = dialog.edits[Author.LARGE].completer()
    assert completer.completionCount() == 1
    assert completer.currentCompletion() == str(qwen)
    assert [dialog.offered.item(row).text() for row in range(4)] == [
        f"Phi-4.gguf · {tmp_path} · in use ◆",
        f"Qwen3-14B.gguf · {tmp_path} · recent",
        "http://office:8080 · recent",
        f"Other.gguf · {tmp_path} · on this machine",
    ]


def test_a_server_is_offered_and_understood_by_its_name(window, qtbot):
    window.models.servers.keep({"http://office:8080": KnownServer(name="office")})
    dialog = opened_pair_dialog(window, qtbot)
    dialog.offer(window.preferences.value, list)
    qtbot.waitUntil(lambda: dialog.offered.rowCount() == 1)
    assert dialog.offered.item(0).text() == "office · http://office:8080 · server"
    qtbot.keyClicks(dialog.edits[Author.SMALL], "office")
    qtbot.keyClicks(dialog.edits[Author.LARGE], "office")
    with qtbot.waitSignal(dialog.chosen) as chosen:
        qtbot.mouseClick(dialog.load, Qt.MouseButton.LeftButton)
    assert chosen.args[0].large == ServerUrls(("http://office:8080",))


def test_a_model_on_the_hub_leads_to_its_download(window, qtbot):
    window.page_actions.choose_models()
    dialog = window.findChild(PairDialog)
    assert dialog
    assert not dialog.download.isVisible()
    dialog.edits[Author.LARGE].setText("hf:owner/name:Q4_K_M")
    assert not dialog.load.isEnabled()
    with qtbot.waitSignal(window.page_actions.downloads_wanted) as wanted:
        qtbot.mouseClick(dialog.download, Qt.MouseButton.LeftButton)
    assert not dialog.isVisible()
    assert wanted.args == [[HubFile("owner/name", "Q4_K_M")]]


def test_typing_a_path_moves_no_field_and_is_judged_when_it_is_left_or_rests(window, qtbot, tmp_path):
    dialog = opened_pair_dialog(window, qtbot)
    small, large = dialog.edits[Author.SMALL], dialog.edits[Author.LARGE]
    said = dialog.messages[Author.SMALL]
    assert said.text() == "The demo's small model"
    qtbot.waitUntil(dialog.isActiveWindow)
    small.setFocus()
    before = large.geometry()
    for letter in str(tmp_path / "no.gguf"):
        qtbot.keyClicks(small, letter)
        assert said.text() == "", f"“{small.text()}” is not finished"
        assert not dialog.load.isEnabled()
    qtbot.keyClick(small, Qt.Key.Key_Tab)
    assert "no.gguf cannot be read" in said.text()
    QApplication.processEvents()
    assert large.geometry() == before
    small.setFocus()
    qtbot.keyClicks(small, "x")
    assert said.text() == ""
    qtbot.waitUntil(lambda: "no.ggufx cannot be read" in said.text())
    assert large.geometry() == before


def test_a_wrong_name_on_the_hub_keeps_no_other_button_from_working(window, qtbot):
    dialog = opened_pair_dialog(window, qtbot)
    qtbot.keyClicks(dialog.edits[Author.SMALL], "hf:nonsense")
    assert not dialog.download.isVisible(), "there is nothing to download"
    dialog.server_buttons[Author.LARGE].click()
    (server,) = dialog.findChildren(ServerDialog)
    server.reject()
    dialog.edits[Author.LARGE].setText("hf:owner/name")
    with qtbot.waitSignal(dialog.downloads_wanted) as wanted:
        dialog.download.click()
    assert wanted.args == [[HubFile("owner/name")]]


def test_the_pair_button_goes_back_to_a_recent_pair(window, qtbot):
    qtbot.waitUntil(lambda: window.session.ready)
    with qtbot.waitSignal(window.topbar.pair.choose_wanted):
        window.topbar.pair.click()  # there is no other pair yet
    (dialog,) = window.findChildren(PairDialog)
    dialog.reject()
    first = window.preferences.value.models
    for address in ("http://one:8080", "http://two:8080", "http://one:8080", "http://two:8080"):
        window.page_actions.use_models(first.replaced(Author.LARGE, parse_source(address)))
        qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    window.models._loader.error = EngineLost("It does not answer.", "Check it.")
    with qtbot.waitSignal(window.models.ready):  # those before it
        window.page_actions.use_models(first.replaced(Author.LARGE, parse_source("http://never:8080")))
    assert window.preferences.value.window.recent_pairs == (
        ("demo:small", "http://two:8080"),
        ("demo:small", "http://one:8080"),
    )
    window.topbar.pair.click()
    menu = window.topbar.pair.pairs
    one, demo, _, choose = menu.actions()
    assert (one.text(), demo.text()) == ("● small.gguf  ◆ http://one:8080", "Demo pair")
    assert choose.text().startswith("Choose two models…")
    menu.close()
    one.trigger()
    assert str(window.preferences.value.models.large) == "http://one:8080"
    qtbot.waitUntil(lambda: window.session.ready)
