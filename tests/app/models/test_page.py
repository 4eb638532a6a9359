"""The Models page with real models, a real download and a real folder, through its own widgets."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from baton_reasoning.app.models.card import facts_of
from baton_reasoning.app.models.controller import ModelsController
from baton_reasoning.app.models.downloads_tab import DownloadRow, DownloadState
from baton_reasoning.app.models.hub_search_tab import size_in
from baton_reasoning.app.models.local_models_tab import LocalModelsTab, names_of
from baton_reasoning.app.models.page import ModelsPage
from baton_reasoning.app.toolkit.background import BackgroundTasks
from baton_reasoning.app.toolkit.controls import IconButton
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.app.window.models_page import add_models_page
from baton_reasoning.core.demo_pair.settings import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.model_costs import ModelCost
from baton_reasoning.core.models.devices import Devices, has_gpu_backend
from baton_reasoning.core.models.library import LocalModel
from baton_reasoning.core.models.options import LoadOptions, load_preferences
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.secrets import Secrets
from tests.app.dropping import drop
from tests.app.models.conftest import REPOSITORY
from tests.core.models.hub_server import HubServer

# Without a screen there are no windows whose size a window system could hold.
pytestmark = pytest.mark.slow


def names_on(page: ModelsPage) -> list[str]:
    return [page.here.library.data(page.here.library.index(row)) for row in range(page.here.library.rowCount())]


def choose(page: ModelsPage, path: Path) -> LocalModel:
    for row, entry in enumerate(page.here.library.rows):
        if isinstance(entry, LocalModel) and entry.header.path == path:
            page.here.list.setCurrentIndex(page.here.library.index(row))
            return entry
    raise AssertionError(f"{path} is not in the list")


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


@pytest.mark.parametrize("width", [760, 1200])
def test_the_card_of_a_model_shows_its_buttons_at_any_width(page: ModelsPage, qtbot: QtBot, width: int) -> None:
    page.resize(width, 800)
    page.tabs.setCurrentIndex(1)
    here = page.here
    here.list.setCurrentIndex(here.library.index(0))
    qtbot.waitUntil(lambda: here.card.isVisible() and here.width() > 600)
    shown = here.card.viewport()
    for button in (*here.card.use.values(), here.card.delete):
        right = button.mapTo(shown, button.rect().topRight()).x()
        assert 0 < right <= shown.width(), f"{button.text()} is cut off"


def test_the_splitter_beside_the_card_is_where_it_was_left(
    make_window: Callable[..., MainWindow], secrets: Secrets, qtbot: QtBot, tmp_path: Path
) -> None:
    def opened() -> LocalModelsTab:
        window = make_window()
        tab = add_models_page(window, lambda: secrets, tmp_path / "home")
        window.show_page("models")
        tab.page.tabs.setCurrentIndex(1)
        qtbot.waitUntil(lambda: tab.page.here.isVisible() and tab.page.here.width() > 900)
        return tab.page.here

    here = opened()
    handle = here.handle(1)
    middle = handle.rect().center()
    qtbot.mousePress(handle, Qt.MouseButton.LeftButton, pos=middle)
    qtbot.mouseMove(handle, middle + QPoint(111, 0))
    qtbot.mouseRelease(handle, Qt.MouseButton.LeftButton, pos=middle + QPoint(111, 0))
    left = here.list.width()
    assert left > 400
    here.window().close()
    assert opened().list.width() == left


def test_the_demo_pair_is_there_from_the_start_with_size_and_fit(page: ModelsPage, qtbot: QtBot) -> None:
    assert len(names_on(page)) == 2

    def all_fit() -> bool:
        return all("fits in RAM" in name or "on the GPU" in name for name in names_on(page))

    qtbot.waitUntil(all_fit)


def test_a_card_tells_what_the_header_says_and_deletes_no_model_of_the_demo(page: ModelsPage) -> None:
    model = choose(page, LARGE_MODEL)
    facts = dict(facts_of(model, page.controller.inventory.models))
    assert facts["Parameters"].startswith(model.header.size_label)
    assert facts["Vocabulary"] == f"{model.header.vocabulary_size:,} tokens"
    assert page.here.card.template.toPlainText() == model.header.chat_template
    assert not page.here.card.delete.isEnabled()


def test_a_card_names_the_models_that_share_its_vocabulary(page: ModelsPage, tmp_path: Path, qtbot: QtBot) -> None:
    copy = own_copy(tmp_path)
    with qtbot.waitSignal(page.controller.inventory_changed):
        drop(page, copy)
    model = choose(page, copy)
    assert model.header.name in dict(facts_of(model, page.controller.inventory.models))["Shared with"]


def test_a_dropped_file_is_added_where_it_lies_and_chosen(page: ModelsPage, tmp_path: Path, qtbot: QtBot) -> None:
    copy = own_copy(tmp_path)
    (copy.parent / "other.gguf").write_bytes(LARGE_MODEL.read_bytes())
    with qtbot.waitSignal(page.controller.inventory_changed):
        drop(page, copy)
    assert len(names_on(page)) == 3, "without the others in its folder"
    entry = page.here.library.rows[page.here.list.currentIndex().row()]
    assert isinstance(entry, LocalModel)
    assert entry.header.path == copy
    assert load_preferences(Paths.under(tmp_path).model_preferences).added == (copy,)


def test_two_dropped_files_are_added_and_offered_as_a_pair(page: ModelsPage, tmp_path: Path, qtbot: QtBot) -> None:
    small = own_copy(tmp_path)
    large = small.with_name("large.gguf")
    large.write_bytes(LARGE_MODEL.read_bytes())
    with qtbot.waitSignal(page.pair_dropped) as dropped:
        drop(page, small, large)
    assert dropped.args == [[small, large]]
    qtbot.waitUntil(lambda: len(names_on(page)) == 4)


def test_a_pair_dropped_on_the_page_is_used_with_one_press(
    make_window: Callable[..., MainWindow], secrets: Secrets, qtbot: QtBot, tmp_path: Path
) -> None:
    window = make_window()
    tab = add_models_page(window, lambda: secrets, tmp_path / "home")
    window.show_page("models")
    qtbot.waitUntil(lambda: window.session.ready)
    small = own_copy(tmp_path)
    large = small.with_name("large.gguf")
    large.write_bytes(LARGE_MODEL.read_bytes())
    drop(tab.page, large, small)
    qtbot.waitUntil(lambda: window.notice.text == "● mine.gguf and ◆ large.gguf can be a pair.")
    (use,) = [each for each in window.notice.findChildren(QPushButton) if each.text() == "Use as pair"]
    qtbot.mouseClick(use, Qt.MouseButton.LeftButton)
    assert str(window.preferences.value.models.large) == str(large)
    qtbot.waitUntil(lambda: window.session.ready)


def test_models_of_one_name_are_told_apart_by_file_and_folder(page: ModelsPage, tmp_path: Path, qtbot: QtBot) -> None:
    mine = own_copy(tmp_path)
    twin = tmp_path / "twin" / "mine.gguf"
    twin.parent.mkdir()
    twin.write_bytes(mine.read_bytes())
    drop(page, mine, twin)
    qtbot.waitUntil(lambda: len(names_on(page)) == 4)
    titles = {text.split("\n")[0] for text in names_on(page)}
    assert {
        "Baton demo small · elsewhere/mine.gguf",
        "Baton demo small · twin/mine.gguf",
        "Baton demo small · small.gguf",
        "Baton demo large",
    } == titles


def test_a_file_that_was_loaded_by_its_path_is_listed_with_its_name(
    tmp_path: Path, secrets: Secrets, qtbot: QtBot
) -> None:
    copy = own_copy(tmp_path)
    controller = ModelsController(Paths.under(tmp_path), secrets, home=tmp_path / "home", used=lambda: [copy])
    with qtbot.waitSignal(controller.inventory_changed):
        controller.refresh()
    (name,) = names_of(controller.inventory.models).values()
    assert name == "Baton demo small · mine.gguf"
    BackgroundTasks.of(controller).close()


def test_a_dropped_file_that_is_no_model_says_why(page: ModelsPage, tmp_path: Path, qtbot: QtBot) -> None:
    letter = tmp_path / "letter.gguf"
    letter.write_text("Dear reader")
    drop(page, letter)
    qtbot.waitUntil(lambda: "letter.gguf" in page.notice.text)


def test_a_folder_that_was_added_can_be_left_out_again(page: ModelsPage, tmp_path: Path, qtbot: QtBot) -> None:
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


def test_the_chosen_model_stays_chosen_when_the_folders_are_looked_at_again(
    page: ModelsPage, tmp_path: Path, qtbot: QtBot
) -> None:
    model = choose(page, SMALL_MODEL)
    with qtbot.waitSignal(page.controller.inventory_changed):
        page.controller.add([own_copy(tmp_path)])
    assert page.here.list.currentIndex().data() in names_on(page)
    assert page.here.card._model == model


def test_a_deleted_model_is_in_the_trash_and_says_what_emptying_it_frees(
    page: ModelsPage, tmp_path: Path, trash: Path, qtbot: QtBot
) -> None:
    copy = own_copy(tmp_path)
    with qtbot.waitSignal(page.controller.inventory_changed):
        drop(page, copy)
    choose(page, copy)
    with qtbot.waitSignal(page.controller.inventory_changed):
        page.here.card.delete.click()
    assert [file.name for file in trash.iterdir()] == [copy.name]
    assert "is in the system's trash; emptying it frees" in page.notice.text
    assert len(names_on(page)) == 2


def test_a_model_that_the_trash_does_not_take_can_be_deleted_for_good(
    page: ModelsPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    def none_here(file: Path) -> None:
        raise OSError("There is no trash")

    monkeypatch.setattr("send2trash.send2trash", none_here)
    copy = own_copy(tmp_path)
    with qtbot.waitSignal(page.controller.inventory_changed):
        drop(page, copy)
    choose(page, copy)
    with qtbot.waitSignal(page.controller.inventory_changed):
        page.here.card.delete.click()
    assert "could not be moved to the system's trash: There is no trash" in page.notice.text
    (for_good,) = [way for way in page.notice.findChildren(QPushButton) if way.text() == "Delete it for good"]
    with qtbot.waitSignal(page.controller.inventory_changed):
        for_good.click()
    assert not copy.exists()


def test_loading_choices_are_kept_and_judged_before_loading(page: ModelsPage, tmp_path: Path) -> None:
    choose(page, LARGE_MODEL)
    page.here.card.loading.show_values(LoadOptions(context=256, batch=64, threads=2))
    kept = load_preferences(Paths.under(tmp_path).model_preferences).loading_of(LARGE_MODEL)
    assert kept is not None
    assert (kept.batch, kept.threads) == (64, 2)
    assert "KV cache" in page.here.card.loading.sentence.text()


def test_a_model_that_does_not_fit_says_what_would_help(page: ModelsPage, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = page.controller.devices
    assert devices is not None
    monkeypatch.setattr(page.controller, "devices", type(devices)(ram_total=2**30, ram_free=2**30, gpus=()))
    choose(page, LARGE_MODEL)
    assert page.here.card.loading.sentence.text().startswith("✗ ")
    assert "close other programs" in page.here.card.loading.sentence.text()


def test_either_model_of_the_pair_is_chosen_from_its_card(page: ModelsPage, qtbot: QtBot) -> None:
    choose(page, SMALL_MODEL)
    with qtbot.waitSignal(page.model_wanted) as wanted:
        page.here.card.use[Author.LARGE].click()
    assert wanted.args == [Author.LARGE, SMALL_MODEL]


def test_a_model_is_searched_downloaded_and_then_there(page: ModelsPage, hub: HubServer, qtbot: QtBot) -> None:
    search(page, hub, qtbot)
    assert page.search.fetch.text().startswith("Download Q4_K_M")
    page.search.download()
    (row,) = page.downloads.rows
    wait_for(row, DownloadState.DONE, qtbot)
    assert row.order.model.read_bytes() == SMALL_MODEL.read_bytes()
    qtbot.waitUntil(lambda: page.here.library.rowCount() == 3)
    choose(page, row.order.model)


def test_a_download_left_by_an_earlier_session_waits_and_goes_on(
    page: ModelsPage, hub: HubServer, qtbot: QtBot, secrets: Secrets, tmp_path: Path
) -> None:
    search(page, hub, qtbot)
    hub.faults.cuts = [10_000]
    hub.faults.refusals = [(429, {"Retry-After": "100"})]
    page.search.download()
    (row,) = page.downloads.rows
    qtbot.waitUntil(lambda: "HTTP 429" in row.status.text())
    row.toggle()
    wait_for(row, DownloadState.PAUSED, qtbot)
    qtbot.waitUntil(lambda: row.status.text().startswith("Paused"))
    later = ModelsPage(ModelsController(Paths.under(tmp_path), secrets, home=tmp_path / "home"), page.notice)
    qtbot.addWidget(later)
    later.downloads.find_unfinished()
    qtbot.waitUntil(lambda: len(later.downloads.rows) == 1)
    (found,) = later.downloads.rows
    assert found.order == row.order
    found.toggle()
    wait_for(found, DownloadState.DONE, qtbot)
    for owner in (later, later.controller):
        BackgroundTasks.of(owner).close()


def test_a_cancelled_download_leaves_nothing(page: ModelsPage, hub: HubServer, qtbot: QtBot) -> None:
    search(page, hub, qtbot)
    hub.faults.refusals = [(429, {"Retry-After": "100"})]
    page.search.download()
    (row,) = page.downloads.rows
    qtbot.waitUntil(lambda: "HTTP 429" in row.status.text())
    row.cancel()
    wait_for(row, DownloadState.CANCELLED, qtbot)
    qtbot.waitUntil(lambda: "nothing of it is left" in row.status.text())
    assert not row.order.folder.exists()


def test_a_download_that_the_disk_cannot_hold_says_so_before(
    page: ModelsPage, hub: HubServer, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baton_reasoning.app.models.hub_search_tab.disk_free", lambda _: 2**20)
    search(page, hub, qtbot)
    assert page.search.lack.text() == "✗ The disk has only 1 MiB free"


def test_a_pair_shows_its_speed_before_the_download_once_a_model_was_measured_here(
    page: ModelsPage, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_gpu = Devices(ram_total=2**35, ram_free=2**35, gpus=())
    monkeypatch.setattr(page.controller, "devices", no_gpu)
    cost = ModelCost(decode=0.01, further=0.01, prefill=0.001)
    page.controller.costs.keep(ModelCard("demo", "", 1024, path=LARGE_MODEL), cost)
    page.begin.refresh()

    def shown() -> list[str]:
        return [each.text() for each in page.begin.findChildren(QLabel) if "ran here" in each.text()]

    qtbot.waitUntil(lambda: bool(shown()))
    assert "tok/s; pair about" in shown()[0]


def test_sizes_are_told_where_names_tell_them() -> None:
    names = ("owner/Qwen3-14B-GGUF", "a/SmolLM2-135M-Instruct", "b/Qwen3-30B-A3B-Thinking-2507", "c/phi-4-gguf")
    assert [size_in(name) for name in names] == ["14B", "135M", "30B-A3B", ""]


def test_a_model_for_which_nothing_was_chosen_shows_what_the_settings_say(
    tmp_path: Path, secrets: Secrets, qtbot: QtBot
) -> None:
    general = LoadOptions(context=1024, threads=3)
    controller = ModelsController(Paths.under(tmp_path), secrets, general=lambda: general)
    assert controller.loading_of(SMALL_MODEL) == general
    controller.change_loading(SMALL_MODEL, LoadOptions(context=512))
    assert controller.loading_of(SMALL_MODEL).context == 512


def test_a_search_offline_says_so(page: ModelsPage, qtbot: QtBot) -> None:
    page.access.offline.setChecked(True)
    page.search.query.setText("demo")
    page.search.search()
    qtbot.waitUntil(lambda: "set to offline" in page.search.status.text())


def test_a_search_without_a_network_says_so_in_words(page: ModelsPage, qtbot: QtBot) -> None:
    page.controller.change(endpoint="http://hub.invalid")  # a name that no network knows (RFC 2606)
    page.search.query.setFocus()
    qtbot.keyClicks(page.search.query, "demo")
    qtbot.keyClick(page.search.query, Qt.Key.Key_Return)
    assert page.search.status.text() == "Searching…"
    qtbot.waitUntil(lambda: "cannot be reached" in page.search.status.text())
    assert "this machine may be offline" in page.search.status.text()
    assert "Errno" not in page.search.status.text()


def test_the_token_is_kept_out_of_every_file(page: ModelsPage, tmp_path: Path) -> None:
    page.access.token.setText("hf_secret_of_mine")
    page.access.token.returnPressed.emit()
    page.access.mirror.setText("mirror.example")
    page.access.mirror.editingFinished.emit()
    assert page.controller.access().token == "hf_secret_of_mine"
    assert page.controller.access().endpoint == "https://mirror.example"
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(b"hf_secret" in content for content in files)


def test_a_locked_keyring_is_said_when_the_token_is_to_be_forgotten(
    page: ModelsPage, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_name: str) -> None:
        raise SettingsError("The system's keyring did not forget the key.", "Unlock it and try again.")

    monkeypatch.setattr(secrets, "forget", refuse)
    page.access.token.returnPressed.emit()
    assert page.access.status.text() == "✗ The system's keyring did not forget the key. Unlock it and try again."


def test_the_page_begins_with_the_demo_pair_pairs_that_fit_and_a_server(page: ModelsPage, qtbot: QtBot) -> None:
    with qtbot.waitSignal(page.pair_wanted) as wanted:
        page.begin.demo_wanted.emit()
    assert wanted.args == [SMALL_MODEL, LARGE_MODEL]
    with qtbot.waitSignal(page.server_wanted):
        page.begin.server_wanted.emit()


def test_the_gated_search_result_leads_to_its_terms(page: ModelsPage, hub: HubServer, qtbot: QtBot) -> None:
    hub.gated.add(REPOSITORY)
    search(page, hub, qtbot)
    assert "agree to their terms" in page.search.status.text()
    page.search.download()
    (row,) = page.downloads.rows
    wait_for(row, DownloadState.FAILED, qtbot)
    assert "access token" in row.status.text()


@pytest.fixture
def unused_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has a GPU, of which this build of llama.cpp knows nothing."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA Example 9000 (UUID: GPU-1)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


@pytest.mark.skipif(has_gpu_backend(), reason="this build can use a GPU")
def test_a_gpu_that_this_build_cannot_use_is_said_with_the_remedy(
    unused_gpu: None, page: ModelsPage, qtbot: QtBot
) -> None:
    qtbot.waitUntil(lambda: page.begin.warnings.isVisible())
    assert "NVIDIA Example 9000 is here, and this build of llama.cpp cannot use it." in page.begin.warnings.text()
    assert "pip install --force-reinstall" in page.begin.warnings.text()
