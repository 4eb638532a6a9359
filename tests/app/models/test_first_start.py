"""The walk of somebody new: an empty home, one click on the Models page, one problem, one answer."""

import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from baton_reasoning.app.models.downloads import DownloadState
from baton_reasoning.app.models.page import ModelsPage
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.app.window.main_window import MainWindow
from baton_reasoning.app.window.models_page import LazyModelsPage
from baton_reasoning.app.window.pair_dialog import PairDialog
from baton_reasoning.core.demo_pair import LARGE_MODEL, READY_PROBLEMS, SMALL_MODEL
from baton_reasoning.core.demo_pair.settings import DEMO_SETTINGS
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.catalog import read_catalog
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import LoadOptions, ModelOverrides
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.secrets import Secrets
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.labels import placement_facts
from tests.app.models.conftest import REPOSITORY

pytestmark = pytest.mark.slow


SMALL, LARGE = "tiny-small-Q4_K_M.gguf", "tiny-large-Q4_K_M.gguf"


def opened(qtbot: QtBot, tmp_path: Path, secrets: Secrets) -> tuple[MainWindow, ModelsPage]:
    """The window of an empty home, on its Models page, with the machine looked at."""
    paths = Paths.under(tmp_path / "baton")
    window = MainWindow(paths, PairLoader(paths))
    qtbot.addWidget(window)
    page = LazyModelsPage(window, lambda: secrets, home=tmp_path).part
    with qtbot.waitSignals([page.controller.inventory_changed, page.controller.devices_found]):
        window.show()
        window.show_page("models")
    window.open_store()
    return window, page


def answered(window: MainWindow, qtbot: QtBot) -> Trace:
    """A problem asked in the chat, and its run to the end."""
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    window.preferences.change(run=DEMO_SETTINGS)
    problem = json.loads(READY_PROBLEMS.read_text().splitlines()[0])["problem"]
    window.chat.composer.set_text(problem)
    QTest.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)

    def trace() -> Trace:
        assert window.session.current is not None
        return window.session.current.trace

    qtbot.waitUntil(lambda: window.session.current is not None and trace().ended is not None)
    return trace()


def tiny_catalog() -> str:
    """The demo pair's files as if the Hub had them, with the figures of their headers."""
    models = {}
    for key, file, path in (("small", SMALL, SMALL_MODEL), ("large", LARGE, LARGE_MODEL)):
        header = read_header(path)
        models[key] = {
            "name": f"Tiny {key}",
            "repository": f"owner/{key}-GGUF",
            "file": file,
            "bytes": path.stat().st_size,
            "licence": "Apache 2.0",
            "parameters": header.parameters,
            "blocks": header.block_count,
            "embedding_length": header.embedding_length,
            "feed_forward_length": header.feed_forward_length,
            "kv_heads": 1,
            "head_length": header.blocks[0].cache_elements // 2,
            "vocabulary_size": header.vocabulary_size,
            "output_is_tied": header.output_is_tied,
        }
    pair = {"small": "small", "large": "large", "good_for": "A walk.", "evidence": "untested", "source": ""}
    return json.dumps({"models": models, "pairs": [pair]})


def test_from_an_empty_home_to_a_pair_from_the_hub_and_its_first_answer(qtbot, tmp_path, secrets, hub, monkeypatch):
    hub.files["owner/small-GGUF"] = {SMALL: SMALL_MODEL.read_bytes()}
    hub.files["owner/large-GGUF"] = {LARGE: LARGE_MODEL.read_bytes()}
    monkeypatch.setattr("baton_reasoning.core.models.catalog.catalog", lambda: read_catalog(tiny_catalog()))
    window, page = opened(qtbot, tmp_path, secrets)
    page.controller.change(endpoint=hub.endpoint)
    qtbot.waitUntil(lambda: page.pairs.table.rowCount() == 1)
    size = in_gib(SMALL_MODEL.stat().st_size + LARGE_MODEL.stat().st_size)
    assert page.pairs.names[Author.LARGE].text() == "Tiny large"
    assert page.pairs.about.text() == "A walk. No published benchmarks. Licence: Apache 2.0."
    assert page.pairs.press.text() == f"Get and use it ({size})"
    page.controller.replace(
        page.controller.preferences.with_loading(
            page.controller.folder / "owner" / "small-GGUF" / SMALL, LoadOptions(context=1024)
        )
    )
    page.pairs.press.click()
    qtbot.waitUntil(lambda: str(window.preferences.value.models.large).endswith(LARGE))
    qtbot.waitUntil(lambda: page.pairs.press.text() == "✓ In use")
    assert window.preferences.value.window.page == "models", "the person may be looking at something else"
    trace = answered(window, qtbot)
    assert trace.finish is Finish.END_OF_TEXT
    assert trace.answer.strip()
    assert trace.large_share > 0
    window.close()


def test_a_download_that_stops_can_be_taken_up_by_the_same_button_and_is_forgotten_when_it_is_cancelled(
    page, asked, hub, qtbot, monkeypatch
):
    hub.files["owner/small-GGUF"] = {SMALL: SMALL_MODEL.read_bytes()}
    hub.files["owner/large-GGUF"] = {LARGE: LARGE_MODEL.read_bytes()}
    monkeypatch.setattr("baton_reasoning.core.models.catalog.catalog", lambda: read_catalog(tiny_catalog()))
    page.controller.change(endpoint=hub.endpoint)
    page.pairs.refresh()
    qtbot.waitUntil(lambda: page.pairs.table.rowCount() == 1)
    hub.faults.refusals = [(429, {"Retry-After": "100"})] * 4
    page.pairs.press.click()
    qtbot.waitUntil(lambda: [row.state for row in page.downloads.rows] == [DownloadState.RUNNING] * 2)
    assert (page.pairs.press.text(), page.pairs.press.isEnabled()) == ("Downloading…", False)
    assert page.pairs.status.text() == "The pair is used as soon as both files are here."
    small, large = page.downloads.rows
    for row in (small, large):
        row.toggle()
    qtbot.waitUntil(page.pairs.press.isEnabled)
    page.pairs.press.click()
    qtbot.waitUntil(lambda: small.state is large.state is DownloadState.RUNNING)
    small.cancel()
    qtbot.waitUntil(lambda: page.downloads.rows == [large])
    large.cancel()
    qtbot.waitUntil(lambda: not page.downloads.rows)
    assert asked.models == []


@pytest.mark.long
def test_from_an_empty_home_to_the_first_answer(qtbot, tmp_path, secrets):
    window, page = opened(qtbot, tmp_path, secrets)
    page.controller.replace(page.controller.preferences.with_loading(SMALL_MODEL, LoadOptions(context=1024, batch=64)))
    page.controller.replace(page.controller.preferences.with_overrides(SMALL_MODEL, ModelOverrides(top_k=20)))
    page.pairs.demo.click()
    trace = answered(window, qtbot)
    assert trace.started is not None
    assert trace.started.small is not None
    assert trace.started.small.overrides.top_k == 20
    small = window.models.pair.small
    assert isinstance(small, LocalEngine)
    assert small.loaded_as.batch == 64
    assert trace.finish is Finish.END_OF_TEXT
    assert trace.answer.strip()
    assert trace.large_share > 0
    facts = dict(placement_facts(page.controller.loaded[SMALL_MODEL]))
    assert facts["Loaded with"].startswith("1,024 tokens, batch 64")
    assert facts["In RAM"].startswith(f"{read_header(SMALL_MODEL).block_count + 1} layers: weights")
    window.close()


def ask_for(window: MainWindow, qtbot: QtBot, **sources: str) -> None:
    """Write these into the fields of the two models, and press the button that leads to the downloads."""
    window.page_actions.choose_models()
    (dialog,) = window.findChildren(PairDialog)
    for author in Author.SMALL, Author.LARGE:
        dialog.edits[author].setText(sources.get(author.value, ""))
    qtbot.mouseClick(dialog.download, Qt.MouseButton.LeftButton)
    assert window.preferences.value.window.page == "models"


def test_the_button_of_the_chooser_leads_to_the_card_of_the_pair(qtbot, tmp_path, secrets, monkeypatch):
    monkeypatch.setattr("baton_reasoning.core.models.catalog.catalog", lambda: read_catalog(tiny_catalog()))
    window, page = opened(qtbot, tmp_path, secrets)
    window.resize(760, 480)
    window.show_page("chat")
    ask_for(window, qtbot, small="hf:owner/small-GGUF:Q4_K_M", large="hf:owner/large-GGUF:Q4_K_M")

    def is_in_sight() -> bool:
        button = page.pairs.press
        middle = button.mapTo(page, button.rect().center())
        return window.focusWidget() is button and page.rect().contains(middle) and page.childAt(middle) is button

    qtbot.waitUntil(is_in_sight)
    assert page.tabs.currentIndex() == 0
    page.pairs.refresh()  # as when a file came or went
    qtbot.waitUntil(is_in_sight)
    window.close()


def test_the_button_of_the_chooser_leads_to_one_file_that_is_in_no_pair(qtbot, tmp_path, secrets, hub):
    window, page = opened(qtbot, tmp_path, secrets)
    page.controller.change(endpoint=hub.endpoint)
    ask_for(window, qtbot, large=f"hf:{REPOSITORY}:Q8_0")
    qtbot.waitUntil(lambda: page.search.fetch.text().startswith("Download Q8_0"))
    assert page.search.isVisible()
    assert page.search.results.currentItem().text().startswith(REPOSITORY)
    window.close()
