"""The Models page with real models, a real download and a real folder, through its own widgets."""

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.models.downloads import DownloadRow, DownloadState
from baton_reasoning.app.models.files_tab import path_of
from baton_reasoning.app.models.hub_search_tab import size_in
from baton_reasoning.app.models.model_dialog import facts_of
from baton_reasoning.app.models.page import ModelsPage
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.app.toolkit.controls import IconButton
from baton_reasoning.app.window.models_page import LazyModelsPage
from baton_reasoning.core.demo_pair.settings import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.library import LocalModel
from baton_reasoning.core.models.options import LoadOptions, load_preferences
from baton_reasoning.core.paths import Paths
from tests.app.dropping import drop
from tests.app.models.conftest import REPOSITORY
from tests.core.models.hub_server import HubServer

pytestmark = pytest.mark.slow


def names_on(page: ModelsPage) -> list[str]:
    return [cells[0] for cells in page.files.table.texts()]


def choose(page: ModelsPage, *paths: Path) -> LocalModel:
    """Choose these files, and return the first of them."""
    rows = [row for row, entry in enumerate(page.files.entries) if path_of(entry) in paths]
    assert len(rows) == len(paths)
    page.files.table.choose(rows)
    entry = page.files.chosen[0]
    assert isinstance(entry, LocalModel)
    return entry


def own_copy(tmp_path: Path) -> Path:
    """A model in a folder of the person's."""
    path = tmp_path / "elsewhere" / "mine.gguf"
    path.parent.mkdir()
    path.write_bytes(SMALL_MODEL.read_bytes())
    return path


def search(page: ModelsPage, hub: HubServer, qtbot: QtBot) -> None:
    """Find the repository and wait until its quantisations are listed."""
    page.controller.change(endpoint=hub.endpoint)
    page.search.query.setText("demo")
    page.search.search()
    qtbot.waitUntil(lambda: page.search.results.count() == 1)
    page.search.results.setCurrentRow(0)
    qtbot.waitUntil(lambda: page.search.choices.rowCount() == 2)


def wait_for(row: DownloadRow, state: DownloadState, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: row.state is state)


def test_the_demo_pair_is_there_from_the_start_with_size_and_fit(page, qtbot):
    assert names_on(page) == ["large.gguf", "small.gguf"]

    def all_fit() -> bool:
        return all("fits in RAM" in cells[3] or "on the GPU" in cells[3] for cells in page.files.table.texts())

    qtbot.waitUntil(all_fit)
    page.controller.show_loaded({SMALL_MODEL: ModelCard("demo", "", 1024)})
    assert [cells[3].endswith("▶ in use") for cells in page.files.table.texts()] == [False, True]


def test_a_file_tells_what_its_header_says_and_the_demos_cannot_be_deleted(page):
    model = choose(page, LARGE_MODEL)
    facts = dict(facts_of(model, page.controller.inventory.models))
    assert facts["Parameters"].startswith(model.header.size_label)
    assert facts["Vocabulary"] == f"{model.header.vocabulary_size:,} tokens"
    assert page.files.use[Author.SMALL].isVisibleTo(page.files)
    assert not page.files.delete.isVisibleTo(page.files)


def test_a_file_names_the_models_that_share_its_vocabulary(page, tmp_path, qtbot):
    copy = own_copy(tmp_path)
    with qtbot.waitSignal(page.controller.inventory_changed):
        drop(page, copy)
    model = choose(page, copy)
    assert SMALL_MODEL.name in dict(facts_of(model, page.controller.inventory.models))["Shared with"]


def test_a_dropped_file_is_added_where_it_lies_and_chosen(page, tmp_path, qtbot):
    copy = own_copy(tmp_path)
    (copy.parent / "other.gguf").write_bytes(LARGE_MODEL.read_bytes())
    with qtbot.waitSignal(page.controller.inventory_changed):
        drop(page, copy)
    assert len(names_on(page)) == 3, "without the others in its folder"
    assert [path_of(entry) for entry in page.files.chosen] == [copy]
    assert load_preferences(Paths.under(tmp_path).model_preferences).added == (copy,)


def test_a_pair_dropped_on_the_page_is_used_with_one_press(make_window, secrets, qtbot, tmp_path):
    window = make_window()
    page = LazyModelsPage(window, lambda: secrets, tmp_path / "home").part
    window.show_page("models")
    qtbot.waitUntil(lambda: window.session.ready)
    small = own_copy(tmp_path)
    large = small.with_name("large.gguf")
    large.write_bytes(LARGE_MODEL.read_bytes())
    drop(page, large, small)
    qtbot.waitUntil(page.files.use_pair.isVisible)
    assert not page.files.use[Author.SMALL].isVisible(), "there are two"
    qtbot.mouseClick(page.files.use_pair, Qt.MouseButton.LeftButton)
    assert str(window.preferences.value.models.large) == str(large), "it has more parameters"
    assert window.preferences.value.window.page == "chat"
    qtbot.waitUntil(lambda: window.session.ready)


def test_files_of_one_name_are_told_apart_by_their_folders(page, tmp_path, qtbot):
    mine = own_copy(tmp_path)
    twin = tmp_path / "twin" / "mine.gguf"
    twin.parent.mkdir()
    twin.write_bytes(mine.read_bytes())
    drop(page, mine, twin)
    qtbot.waitUntil(lambda: len(names_on(page)) == 4)
    assert {"elsewhere/mine.gguf", "twin/mine.gguf", "small.gguf", "large.gguf"} == {*names_on(page)}


def test_a_file_that_was_loaded_by_its_path_is_listed(page, settings, tmp_path, qtbot):
    copy = own_copy(tmp_path)
    settings.change_window(recent_pairs=((str(copy), "http://office:8080"),))
    with qtbot.waitSignal(page.controller.inventory_changed):
        page.controller.refresh()
    assert "mine.gguf" in names_on(page)


def test_a_dropped_file_that_is_no_model_says_why(page, asked, tmp_path, qtbot):
    letter = tmp_path / "letter.gguf"
    letter.write_text("Dear reader")
    drop(page, letter)
    qtbot.waitUntil(lambda: "letter.gguf" in asked.text)


def test_a_folder_that_was_added_can_be_left_out_again(page, tmp_path, qtbot):
    copy = own_copy(tmp_path)
    with qtbot.waitSignal(page.controller.inventory_changed):
        drop(page, copy)
    (forget,) = page.access.folders.findChildren(IconButton)
    assert str(copy) in forget.accessibleName()
    with qtbot.waitSignal(page.controller.inventory_changed):
        forget.click()
    assert page.controller.preferences.added == ()
    assert len(names_on(page)) == 2
    assert copy.exists()


def test_the_chosen_model_stays_chosen_when_the_folders_are_looked_at_again(page, tmp_path, qtbot):
    model = choose(page, SMALL_MODEL)
    with qtbot.waitSignal(page.controller.inventory_changed):
        page.controller.add([own_copy(tmp_path)])
    assert page.files.chosen == [model]


def test_a_deleted_model_is_in_the_trash_and_says_what_emptying_it_frees(page, asked, tmp_path, trash, qtbot):
    copy = own_copy(tmp_path)
    with qtbot.waitSignal(page.controller.inventory_changed):
        drop(page, copy)
    choose(page, copy)
    with qtbot.waitSignal(page.controller.inventory_changed):
        page.files.delete.click()
    assert [file.name for file in trash.iterdir()] == [copy.name]
    assert "is in the system's trash; emptying it frees" in asked.text
    assert len(names_on(page)) == 2


def test_a_model_that_the_trash_does_not_take_can_be_deleted_for_good(page, asked, tmp_path, monkeypatch, qtbot):
    def none_here(file: Path) -> None:
        raise OSError("There is no trash")

    monkeypatch.setattr("send2trash.send2trash", none_here)
    copy = own_copy(tmp_path)
    with qtbot.waitSignal(page.controller.inventory_changed):
        drop(page, copy)
    choose(page, copy)
    with qtbot.waitSignal(page.controller.inventory_changed):
        page.files.delete.click()
    assert "could not be moved to the system's trash: There is no trash" in asked.text
    with qtbot.waitSignal(page.controller.inventory_changed):
        asked.offered["Delete it for good"]()
    assert not copy.exists()


def test_either_model_of_the_pair_is_chosen_from_its_file(page, asked):
    choose(page, SMALL_MODEL)
    page.files.use[Author.LARGE].click()
    assert asked.models == [(Author.LARGE, "demo:small")]


def test_a_model_is_searched_downloaded_and_then_there(page, hub, qtbot):
    search(page, hub, qtbot)
    assert page.search.fetch.text().startswith("Download Q4_K_M")
    page.search.download()
    (row,) = page.downloads.rows
    wait_for(row, DownloadState.DONE, qtbot)
    assert row.order.model.read_bytes() == SMALL_MODEL.read_bytes()
    assert not page.downloads.isVisible(), "an empty list is not shown"
    qtbot.waitUntil(lambda: len(page.files.entries) == 3)
    choose(page, row.order.model)


def test_a_download_left_by_an_earlier_session_waits_and_goes_on(page, hub, qtbot, secrets, asked, settings, tmp_path):
    search(page, hub, qtbot)
    hub.faults.cuts = [10_000]
    hub.faults.refusals = [(429, {"Retry-After": "100"})]
    page.search.download()
    (row,) = page.downloads.rows
    qtbot.waitUntil(lambda: "HTTP 429" in row.status.text())
    row.toggle()
    wait_for(row, DownloadState.PAUSED, qtbot)
    qtbot.waitUntil(lambda: row.status.text().startswith("Paused"))
    later = ModelsPage(ModelsController(Paths.under(tmp_path), secrets, asked, settings, home=tmp_path / "home"))
    qtbot.addWidget(later)
    later.downloads.find_unfinished()
    qtbot.waitUntil(lambda: len(later.downloads.rows) == 1)
    (found,) = later.downloads.rows
    assert found.order == row.order
    found.toggle()
    wait_for(found, DownloadState.DONE, qtbot)
    for owner in (later, later.controller):
        BackgroundTasks.of(owner).close()


def test_a_cancelled_download_leaves_nothing(page, asked, hub, qtbot):
    search(page, hub, qtbot)
    hub.faults.refusals = [(429, {"Retry-After": "100"})]
    page.search.download()
    (row,) = page.downloads.rows
    qtbot.waitUntil(lambda: "HTTP 429" in row.status.text())
    row.cancel()
    wait_for(row, DownloadState.CANCELLED, qtbot)
    qtbot.waitUntil(lambda: "nothing of it is left" in asked.text)
    assert not row.order.folder.exists()


def test_a_download_that_the_disk_cannot_hold_says_so_before(page, hub, qtbot, monkeypatch):
    monkeypatch.setattr("baton_reasoning.app.models.hub_search_tab.disk_free", lambda _: 2**20)
    search(page, hub, qtbot)
    assert page.search.lack.text() == "✗ The disk has only 1 MiB free"


def test_sizes_are_told_where_names_tell_them():
    names = ("owner/Qwen3-14B-GGUF", "a/SmolLM2-135M-Instruct", "b/Qwen3-30B-A3B-Thinking-2507", "c/phi-4-gguf")
    assert [size_in(name) for name in names] == ["14B", "135M", "30B-A3B", ""]


def test_a_model_for_which_nothing_was_chosen_shows_what_the_settings_say(controller, settings):
    settings.change(models=settings.value.models.model_copy(update={"context": 1024, "threads": 3}))
    assert controller.loading_of(SMALL_MODEL) == LoadOptions(context=1024, threads=3)
    controller.replace(controller.preferences.with_loading(SMALL_MODEL, LoadOptions(context=512)))
    assert controller.loading_of(SMALL_MODEL).context == 512


def test_a_search_offline_says_so(page, qtbot):
    page.access.offline.setChecked(True)
    page.search.query.setText("demo")
    page.search.search()
    qtbot.waitUntil(lambda: "set to offline" in page.search.status.text())


def test_a_search_without_a_network_says_so_in_words(page, qtbot):
    page.controller.change(endpoint="http://hub.invalid")  # a name that no network knows (RFC 2606)
    page.search.query.setFocus()
    qtbot.keyClicks(page.search.query, "demo")
    qtbot.keyClick(page.search.query, Qt.Key.Key_Return)
    assert page.search.status.text() == "Searching…"
    qtbot.waitUntil(lambda: "cannot be reached" in page.search.status.text())
    assert "this machine may be offline" in page.search.status.text()
    assert "Errno" not in page.search.status.text()


def test_the_token_is_kept_out_of_every_file(page, tmp_path):
    page.access.token.setText("hf_secret_of_mine")
    page.access.token.returnPressed.emit()
    page.access.mirror.setText("mirror.example")
    page.access.mirror.editingFinished.emit()
    assert page.controller.access().token == "hf_secret_of_mine"
    assert page.controller.access().endpoint == "https://mirror.example"
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(b"hf_secret" in content for content in files)


def test_a_locked_keyring_is_said_when_the_token_is_to_be_forgotten(page, secrets, monkeypatch):
    def refuse(_name: str) -> None:
        raise SettingsError("The system's keyring did not forget the key.", "Unlock it and try again.")

    monkeypatch.setattr(secrets, "forget", refuse)
    page.access.token.returnPressed.emit()
    assert page.access.status.text() == "✗ The system's keyring did not forget the key. Unlock it and try again."


def test_the_gated_search_result_leads_to_its_terms(page, hub, qtbot):
    hub.gated.add(REPOSITORY)
    search(page, hub, qtbot)
    assert "agree to their terms" in page.search.status.text()
    page.search.download()
    (row,) = page.downloads.rows
    wait_for(row, DownloadState.FAILED, qtbot)
    assert "access token" in row.status.text()
