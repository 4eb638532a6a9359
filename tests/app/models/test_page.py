"""The Models page with real models, a real download and a real folder, through its own widgets."""

import sys
from unittest.mock import Mock

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QLabel, QPushButton

from baton_reasoning.app.models.files_tab import path_of
from baton_reasoning.app.models.model_dialog import ModelDialog, facts_of
from baton_reasoning.app.toolkit.controls import IconButton
from baton_reasoning.app.window.models_page import LazyModelsPage
from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.devices import Devices
from baton_reasoning.core.models.download import DownloadProgress, Stage
from baton_reasoning.core.models.library import LocalModel
from baton_reasoning.core.models.load_options import KvType, LoadOptions, Switch
from baton_reasoning.core.models.overrides import ModelOverrides, TagSource
from baton_reasoning.core.models.preferences import load_preferences
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.words.downloads import progress_text
from baton_reasoning.core.words.labels import own_facts
from baton_reasoning.core.words.numbers import parameter_count, short_path
from tests.app.conftest import drop
from tests.app.models.conftest import REPOSITORY, own_copy
from tests.core.models.gguf_builder import gguf_bytes, values_of_a_llama
from tests.core.models.ollama_store import put_model

pytestmark = pytest.mark.slow
CUES = '{"reflection": {"wait": ["waits"], "hmm": []}}'


def names_on(page):
    return [cells[0] for cells in page.files.table.texts()]


def choose(page, *paths):
    """Choose these files, and return the first of them."""
    rows = [row for row, entry in enumerate(page.files.entries) if path_of(entry) in paths]
    assert len(rows) == len(paths)
    page.files.table.choose(rows)
    entry = page.files.chosen[0]
    assert isinstance(entry, LocalModel)
    return entry


def kept(tmp_path):
    return load_preferences(Paths.under(tmp_path).model_preferences)


# Files on this machine.


def test_the_demo_pair_is_there_from_the_start_with_size_fit_and_what_its_header_says(page, asked, qtbot):
    assert names_on(page) == ["large.gguf", "small.gguf"]

    def all_fit():
        return all("fits in RAM" in cells[3] or "on the GPU" in cells[3] for cells in page.files.table.texts())

    qtbot.waitUntil(all_fit)
    page.controller.show_loaded({SMALL_MODEL: ModelCard("demo", "", 1024)})
    assert [cells[3].endswith("▶ in use") for cells in page.files.table.texts()] == [False, True]
    model = choose(page, LARGE_MODEL)
    facts = dict(facts_of(model, page.controller.inventory.models))
    assert facts["Parameters"] == f"{parameter_count(model.header.parameters)} ({model.header.parameters:,})"
    assert facts["Vocabulary"] == f"{model.header.vocabulary_size:,} tokens"
    assert not page.files.delete.isVisibleTo(page.files), "the demo's cannot be deleted"
    page.files.use[Author.SMALL].click()
    assert asked.models == [(Author.SMALL, "demo:large")]


def test_a_dropped_file_is_added_where_it_lies_chosen_and_left_out_again(page, settings, tmp_path, qtbot, monkeypatch):
    copy, folders = own_copy(tmp_path / "elsewhere"), list[QUrl]()
    monkeypatch.setattr(QDesktopServices, "openUrl", folders.append)
    own_copy(copy.parent, "other.gguf", LARGE_MODEL)
    with qtbot.waitSignal(page.controller.inventory_changed):
        drop(page, copy)
    assert len(names_on(page)) == 3, "without the others in its folder"
    assert [path_of(entry) for entry in page.files.chosen] == [copy]
    assert kept(tmp_path).added == (copy,)
    page.files.folder.click()
    assert folders == [QUrl.fromLocalFile(str(copy.parent))]
    model = choose(page, copy)
    assert SMALL_MODEL.name in dict(facts_of(model, page.controller.inventory.models))["Shared with"]
    settings.change_window(recent_pairs=((str(own_copy(tmp_path / "twin")), "http://office:8080"),))
    with qtbot.waitSignal(page.controller.inventory_changed):
        page.controller.refresh()
    assert len(names_on(page)) == 4, "what was loaded by its path is listed, too"
    assert page.files.chosen == [model], "it stays chosen"
    forget = page.access.folders.findChildren(IconButton)[0]
    assert short_path(copy) in forget.accessibleName()
    with qtbot.waitSignal(page.controller.inventory_changed):
        forget.click()
    assert names_on(page) == ["large.gguf", "mine.gguf", "small.gguf"]
    assert copy.exists()
    letter = tmp_path / "letter.gguf"
    letter.write_text("Dear reader")
    drop(page, letter)
    qtbot.waitUntil(lambda: page.files.hint.text().startswith("✗ letter.gguf is not a GGUF file"))


def test_a_pair_dropped_on_the_page_is_used_with_one_press(make_window, secrets, qtbot, tmp_path):
    window = make_window()
    page = LazyModelsPage(window, lambda: secrets, tmp_path / "home").part
    window.show_page("models")
    small = own_copy(tmp_path / "own")
    large = own_copy(tmp_path / "own", "large.gguf", LARGE_MODEL)
    drop(page, large, small)
    qtbot.waitUntil(page.files.use_pair.isVisible)
    assert not page.files.use[Author.SMALL].isVisible(), "there are two"
    qtbot.mouseClick(page.files.use_pair, Qt.MouseButton.LeftButton)
    assert str(window.preferences.value.models.large) == str(large), "it has more parameters"
    assert window.preferences.value.window.page == "chat"


def test_a_mac_moves_a_model_to_the_trash_with_backspace(make_page, tmp_path, trash, monkeypatch, qtbot):
    with monkeypatch.context() as on_a_mac:
        on_a_mac.setattr(sys, "platform", "darwin")
        page = make_page()
    copy = own_copy(tmp_path / "own")
    with qtbot.waitSignal(page.controller.inventory_changed):
        drop(page, copy)
    choose(page, copy)
    with qtbot.waitSignal(page.controller.inventory_changed):
        qtbot.keyClick(page.files.table, Qt.Key.Key_Backspace)
    assert [file.name for file in trash.iterdir()] == [copy.name]


def test_a_deleted_model_is_in_the_trash_or_stays(page, asked, tmp_path, trash, monkeypatch, qtbot):
    copy = own_copy(tmp_path / "own")
    with qtbot.waitSignal(page.controller.inventory_changed):
        drop(page, copy)

    def delete():
        choose(page, copy)
        with qtbot.waitSignal(page.controller.inventory_changed):
            page.files.delete.click()

    with monkeypatch.context() as broken:
        broken.setattr("send2trash.send2trash", Mock(side_effect=OSError("There is no trash")))
        delete()
    assert "could not be moved to the system's trash: There is no trash" in asked.text
    assert copy.exists()
    delete()
    assert [file.name for file in trash.iterdir()] == [copy.name]
    assert "is in the system's trash; emptying it frees" in asked.text
    assert len(names_on(page)) == 2


def test_the_models_of_ollama_are_listed_by_name_used_and_never_deleted(make_page, asked, tmp_path, trash, qtbot):
    store = tmp_path / "home" / ".ollama" / "models"
    blob = put_model(store, "registry.ollama.ai/library/qwen3/8b", SMALL_MODEL.read_bytes())
    other = gguf_bytes(values_of_a_llama(general__architecture="gptoss"))
    refused = put_model(store, "registry.ollama.ai/library/gpt-oss/20b", other)
    page = make_page()
    assert names_on(page) == ["large.gguf", "qwen3:8b", "small.gguf", "gpt-oss:20b"]
    model = choose(page, blob)
    assert dict(facts_of(model, page.controller.inventory.models))["Found in"] == "Ollama"
    assert not page.files.delete.isVisible()
    assert page.files.hint.text().startswith("qwen3:8b belongs to Ollama")
    qtbot.keyClick(page.files.table, Qt.Key.Key_Delete)
    page.files.use[Author.SMALL].click()
    assert asked.models == [(Author.SMALL, str(blob))]
    page.files.settings.click()
    (dialog,) = page.findChildren(ModelDialog)
    assert dialog.windowTitle() == "qwen3:8b"
    dialog.accept()
    page.files.table.choose([page.files.entries.index(page.controller.inventory.broken[0])])
    assert page.files.hint.text().startswith("✗ gpt-oss:20b has the architecture gptoss, which only Ollama loads.")
    assert "http://localhost:11434#gpt-oss:20b" in page.files.hint.text()
    assert all(path.is_file() for path in (blob, refused))
    assert not list(trash.iterdir())


# The Hub.


def search(page, hub, qtbot):
    """Find the repository and wait until its quantisations are listed."""
    page.controller.change(endpoint=hub.endpoint)
    page.search.query.setText("demo")
    page.search.search()
    qtbot.waitUntil(lambda: page.search.results.count() == 1)
    page.search.results.setCurrentRow(0)
    qtbot.waitUntil(lambda: page.search.choices.rowCount() == 2)


def test_a_model_is_searched_and_a_download_that_was_stopped_goes_on_until_it_is_there(page, asked, hub, qtbot):
    search(page, hub, qtbot)
    assert page.search.fetch.text().startswith("Download Q4_K_M")
    hub.faults.cuts = [10_000, 0, 0, 0, 0]
    page.search.download()
    (row,) = page.downloads.rows
    order = row.order
    qtbot.waitUntil(lambda: "trying again" in row.status.text())
    hub.faults.cuts = []
    row.stop.click()
    assert row.status.text() == "Stopping…"
    qtbot.waitUntil(lambda: not page.downloads.rows)
    assert "has stopped; getting it again goes on from there" in asked.text
    assert not page.downloads.isVisible(), "an empty list is not shown"
    assert order.bytes_here() == 10_000
    page.search.download()
    qtbot.waitUntil(lambda: "is on this machine" in asked.text)
    assert hub.file_requests()[-1].range == "bytes=10000-"
    assert order.model.read_bytes() == SMALL_MODEL.read_bytes()
    qtbot.waitUntil(lambda: len(page.files.entries) == 3)
    choose(page, order.model)


def test_a_gated_result_leads_to_its_terms(page, asked, hub, qtbot):
    hub.gated.add(REPOSITORY)
    search(page, hub, qtbot)
    page.search.download()
    assert "agree to their terms" in page.search.status.text()
    qtbot.waitUntil(lambda: not page.downloads.rows)
    assert "access token" in asked.text


def test_folders_are_chosen_in_dialogs_and_a_download_says_how_far_it_is(page, tmp_path, qtbot, monkeypatch):
    own = own_copy(tmp_path / "own")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(own.parent))
    for text in ("Add a folder…", "Change…"):
        with qtbot.waitSignal(page.controller.inventory_changed):
            next(each for each in page.access.findChildren(QPushButton) if each.text() == text).click()
        assert "mine.gguf" in names_on(page)
    assert (kept(tmp_path).added, page.controller.folder) == ((own.parent,), own.parent)
    half = DownloadProgress(Stage.DOWNLOADING, 2**30, 2**31, speed=2**24, note="HTTP 429")
    assert progress_text(half) == "1.0 GiB of 2.0 GiB · 16.8 MB/s · 64.0 s left"
    assert progress_text(half._replace(speed=0.0)) == "1.0 GiB of 2.0 GiB"
    assert progress_text(half._replace(stage=Stage.CHECKING)) == "Checking what arrived: 1.0 GiB of 2.0 GiB"
    assert progress_text(half._replace(stage=Stage.WAITING)) == "1.0 GiB of 2.0 GiB · HTTP 429"


def test_a_search_offline_or_without_a_network_says_so_in_words(page, qtbot):
    page.controller.change(endpoint="http://hub.invalid")  # a name that no network knows (RFC 2606)
    page.search.query.setFocus()
    qtbot.keyClicks(page.search.query, "demo")
    qtbot.keyClick(page.search.query, Qt.Key.Key_Return)
    assert page.search.status.text() == "Searching…"
    qtbot.waitUntil(lambda: "cannot be reached" in page.search.status.text())
    assert "this machine may be offline" in page.search.status.text()
    assert "Errno" not in page.search.status.text()
    page.access.offline.setChecked(True)
    page.search.search()
    qtbot.waitUntil(lambda: "set to offline" in page.search.status.text())


def test_the_token_is_kept_out_of_every_file_and_a_locked_keyring_is_said(page, secrets, tmp_path, monkeypatch):
    access = page.access
    access.token.setText("hf_secret_of_mine")
    access.token.returnPressed.emit()
    access.mirror.setText("mirror.example")
    access.mirror.editingFinished.emit()
    assert page.controller.access().token == "hf_secret_of_mine"
    assert page.controller.access().endpoint == "https://mirror.example"
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(b"hf_secret" in content for content in files)

    def refuse(_name):
        raise SettingsError("The system's keyring did not forget the key.", "Unlock it and try again.")

    monkeypatch.setattr(secrets, "forget", refuse)
    access.token.returnPressed.emit()
    assert access.status.text() == "✗ The system's keyring did not forget the key. Unlock it and try again."


# The settings of a model file.


def opened(page, qtbot, path=SMALL_MODEL):
    """The settings of this model."""
    dialog = ModelDialog(choose(page, path), page.controller, page)
    qtbot.addWidget(dialog)
    return dialog


def field(dialog, name):
    form = dialog.loading if name in LoadOptions.model_fields else dialog.writing
    return form.editor(name)


def pick(dialog, name, text):
    """Choose this in a list."""
    box = field(dialog, name)
    box.setCurrentText(text)
    box.activated.emit(box.currentIndex())


def test_every_choice_about_writing_is_kept_and_one_that_is_taken_back_is_forgotten(page, tmp_path, qtbot):
    dialog = opened(page, qtbot)
    field(dialog, "temperature").setValue(0.8)
    field(dialog, "top_k").setValue(20)
    assert not field(dialog, "opening").isVisibleTo(dialog), "there are no others to be named"
    pick(dialog, "tags", "others")
    assert field(dialog, "opening").isVisibleTo(dialog)
    for name, text in (("opening", "[T]"), ("closing", "[/T]"), ("cue_list", CUES)):
        field(dialog, name).setText(text)
        field(dialog, name).editingFinished.emit()
    own = ModelOverrides(temperature=0.8, top_k=20, tags=TagSource.OTHER, opening="[T]", closing="[/T]", cue_list=CUES)
    assert kept(tmp_path).overrides_of(SMALL_MODEL) == own
    assert dict(own_facts(own)) == {
        "Own sampling": "temperature 0.8, top-k 20",
        "Own tags": "[T] … [/T]",
        "Own cues": "wait, hmm",
    }
    for name in ("temperature", "top_k"):
        field(dialog, name).setValue(field(dialog, name).minimum())
    pick(dialog, "tags", "its template's")
    field(dialog, "cue_list").clear()
    field(dialog, "cue_list").editingFinished.emit()
    assert kept(tmp_path).overrides_of(SMALL_MODEL) == ModelOverrides()


def test_loading_choices_are_kept_judged_before_loading_and_used_after_it(page, asked, tmp_path, monkeypatch, qtbot):
    dialog = opened(page, qtbot, LARGE_MODEL)
    assert not field(dialog, "parallel").isVisibleTo(dialog), "it is chosen for the program"
    assert {field(dialog, name).text() for name in ("threads", "gpu_layers")} == {"automatic"}
    assert dialog.template.toPlainText() == choose(page, LARGE_MODEL).header.chat_template
    assert any(label.text() == "Baton demo large" for label in dialog.findChildren(QLabel))
    assert not dialog.load_again.isVisibleTo(dialog)
    page.controller.show_loaded({LARGE_MODEL: ModelCard("demo", "", 1024)})
    for name, value in (("context", 256), ("batch", 64), ("threads", 2)):
        field(dialog, name).setValue(value)
    pick(dialog, "drafts", "on")
    chosen = LoadOptions(context=256, batch=64, threads=2, drafts=Switch.ON)
    assert kept(tmp_path).loading_of(LARGE_MODEL) == chosen
    assert "KV cache" in dialog.fit.text()
    assert dialog.load_again.isVisibleTo(dialog)
    dialog.load_again.click()
    assert asked.calls == ["reload_models"]
    pick(dialog, "kv_type", "q8_0")
    pick(dialog, "flash_attention", "off")
    assert dialog.fit.text().startswith("✗ ")
    assert "leave that automatic, or choose f16" in dialog.fit.text()
    monkeypatch.setattr(page.controller, "devices", Devices(ram_total=2**30, ram_free=2**30, gpus=()))
    pick(dialog, "kv_type", "f16")
    assert dialog.fit.text().startswith("✗ ")
    assert "close other programs" in dialog.fit.text()


@pytest.mark.parametrize("loading", [{"kv_type": KvType.Q4_0}, {"context": 2**20}, {"gpu_layers": 999}])
def test_what_the_settings_or_a_file_say_stays_when_something_else_is_chosen(page, settings, loading, qtbot):
    settings.change(models=settings.value.models.model_copy(update={"context": 1024, "threads": 3}))
    assert page.controller.loading_of(SMALL_MODEL) == LoadOptions(context=1024, threads=3)
    page.controller.replace(page.controller.preferences.with_loading(SMALL_MODEL, LoadOptions(**loading)))
    field(opened(page, qtbot), "batch").setValue(64)
    assert page.controller.loading_of(SMALL_MODEL) == LoadOptions(**loading, batch=64)
