"""The recommended pair on machines of several kinds, and the walk of somebody new from an empty home to an answer."""

import json
import os
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from baton_reasoning.app.models.pairs_tab import UNCHECKED, figures_of
from baton_reasoning.app.session.loaded_models import LoadState
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.app.window.models_page import LazyModelsPage
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, READY_PROBLEMS, SMALL_MODEL, WHAT_IT_SOLVES
from baton_reasoning.core.demo_pair.costly import DemoFiles
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.known_servers import KnownServer
from baton_reasoning.core.model_costs import ModelCost, ModelCosts
from baton_reasoning.core.models.catalog import catalog, read_catalog
from baton_reasoning.core.models.devices import Device, DeviceKind, Devices, has_gpu_backend
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.library import FolderOrigin, LocalModel
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.overrides import ModelOverrides
from baton_reasoning.core.models.source import LocalFile, parse_source
from baton_reasoning.core.pairs import judge_pairs, recommended
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.words.labels import placement_facts
from tests.app.models.conftest import own_copy
from tests.systems import posix_only

pytestmark = pytest.mark.slow
GIB = 2**30
SMALL, LARGE = "tiny-small-Q4_K_M.gguf", "tiny-large-Q4_K_M.gguf"


def machine(ram, gpu=0):
    gpus = (Device("GPU", "a GPU", DeviceKind.GPU, gpu * GIB, gpu * GIB),) if gpu else ()
    return Devices(ram * GIB, ram * GIB, gpus)


def judged(costs, ram, gpu=0, disk=500, files=()):
    models = [LocalModel(read_header(file), FolderOrigin.USER) for file in files]
    return judge_pairs(machine(ram, gpu), disk * GIB, models, costs, DemoFiles(Path("nowhere")), {})


@pytest.fixture
def costs(tmp_path):
    return ModelCosts(tmp_path / "costs.json")


@pytest.mark.parametrize(
    ("ram", "gpu", "disk", "large"),
    [
        (10, 0, 500, "r1-qwen-7b"),
        (20, 0, 500, "r1-qwen-14b"),
        (64, 0, 500, "r1-qwen-14b"),  # 32B would fit, and write fewer than five tokens a second
        (64, 0, 7, "r1-qwen-7b"),  # the disk holds no more
        (64, 48, 500, "r1-qwen-32b"),
        (2, 0, 500, ""),  # nothing fits
    ],
)
def test_the_strongest_pair_is_recommended_that_is_fast_enough(costs, ram, gpu, disk, large):
    best = recommended(judged(costs, ram, gpu, disk))
    assert (best and best.key) == (("r1-qwen-1.5b", large) if large else None)


def test_a_speed_is_estimated_on_a_cpu_and_left_out_on_a_gpu_until_it_was_measured(costs, tmp_path):
    def of_paper(*options, **more):
        return next(each for each in judged(costs, *options, **more) if each.large.key == "r1-qwen-7b")

    lightest = of_paper(ram=10)
    assert figures_of(lightest) == ("≈ 2 min", "5.4 GiB", "7.3 GiB", "≈ 48%")
    assert figures_of(of_paper(ram=64, gpu=80))[0] == "–"
    names = [model.file for model in lightest.missing]
    files = [own_copy(tmp_path, *file) for file in zip(names, (SMALL_MODEL, LARGE_MODEL), strict=True)]
    for file, decode in zip(files, (0.02, 0.1), strict=True):
        cost = ModelCost(decode=decode, further=decode, prefill=decode / 10)
        costs.keep(ModelCard("m", "", 1024, path=file), cost)
    assert figures_of(of_paper(64, 80, files=files)) == ("89 s", "on this machine", "7.3 GiB", "44%")
    mine, others = own_copy(tmp_path, model=LARGE_MODEL), ModelCosts(tmp_path / "others.json")
    decode = read_header(mine).active_bytes / 60e9  # twice as fast as is assumed
    others.keep(ModelCard("m", "", 1024, path=mine), ModelCost(decode=decode, further=decode, prefill=decode))
    costs = others
    assert figures_of(of_paper(10, files=[mine]))[0] == "≈ 74 s", "it tells how fast others are"


def test_the_pairs_of_a_machine_without_a_gpu_are_told_with_the_demo_pair_among_them(page, asked, qtbot):
    page.controller.devices = machine(ram=22)
    page.pairs.refresh()
    qtbot.waitUntil(lambda: "RAM 22.0 GiB" in page.pairs.machine.text())
    tab = page.pairs
    assert tab.heading.text() == "★ Recommended for this machine"
    texts = [tab.machine.text(), tab.about.text(), *(pair.good_for for pair in catalog())]
    assert not any("GPU" in text for text in texts)
    assert [label.text() for figure in tab.figures for label in figure] == [
        *("about 4 min", "for 2,000 tokens, estimated", "9.4 GiB", "to download", "13.5 GiB", "of memory"),
        *("about 38%", "of the time of the large model alone, estimated"),
    ]
    assert tab.press.text() == "Get and use it (9.4 GiB)"
    seconds = [each.answer_seconds for each in tab._pairs]
    assert seconds == sorted(seconds)
    fastest = "gemma-3-270m-it with gemma-3-1b-it"
    assert tab.table.texts()[1][:3] == [fastest, "≈ 29 s", "1010 MiB"]
    tab.table.choose([1])
    assert tab.heading.text() == "Fits this machine"
    assert tab.about.text().endswith(UNCHECKED)
    assert tab.press.accessibleName().endswith(fastest)
    assert tab.table.texts()[0][2] == "demo"
    tab.table.choose([0])
    assert WHAT_IT_SOLVES in tab.about.text()
    assert UNCHECKED not in tab.about.text(), "there is nothing to download"
    tab.press.click()
    assert asked.models == [(None, "demo:small"), (None, "demo:large")]
    loaded = [SMALL_MODEL, LARGE_MODEL]
    page.controller.show_loaded({file: ModelCard("demo", "", 1024) for file in loaded})
    assert (tab.press.text(), tab.press.isEnabled()) == ("✓ In use", False)


def test_a_pair_of_files_and_a_server_are_chosen_in_the_table_and_used(page, asked, settings, tmp_path, qtbot):
    page.controller.servers.keep({"http://office:8080": KnownServer(name="office")})
    small = own_copy(tmp_path / "own", "own-small.gguf")
    large = own_copy(tmp_path / "own", "own-large.gguf", LARGE_MODEL)
    page.controller.add([small.parent])
    tab = page.pairs

    def row_of(name):
        return next((row for row, cells in enumerate(tab.table.texts()) if cells[0].endswith(name)), None)

    qtbot.waitUntil(lambda: row_of("own-small with own-large") is not None)
    tab.table.choose([row_of("own-small with own-large")])
    tab.press.click()
    assert asked.models == [(None, str(small)), (None, str(large))]
    server = row_of("own-small with office")
    assert tab.table.texts()[server][1:3] == ["–", "server"]
    tab.table.choose([server])
    assert tab.heading.text() == "With your server"
    assert [caption.text() for _, caption in tab.figures if caption.isVisibleTo(page)] == ["of memory"]
    tab.press.click()
    assert asked.models[2:] == [(None, str(small)), (None, "http://office:8080")]
    chosen = {"small": LocalFile(small), "large": parse_source("http://office:8080")}
    settings.change(models=settings.value.models.model_copy(update=chosen))
    assert tab.press.text() == "Use this pair", "it is not loaded yet"
    page.controller.show_loaded({small: ModelCard("m", "", 1024)})
    assert tab.press.text() == "✓ In use"


def test_a_damaged_list_of_servers_is_told_and_hides_no_other_pair(page, tmp_path, qtbot):
    Paths.under(tmp_path).servers.parent.mkdir(exist_ok=True)
    Paths.under(tmp_path).servers.write_text("no list")
    page.pairs.refresh()
    qtbot.waitUntil(lambda: "servers.json cannot be read" in page.pairs.warnings.text())
    assert page.pairs.table.rowCount()


@posix_only("a program that is a shell script")
@pytest.mark.skipif(has_gpu_backend(), reason="this build can use a GPU")
def test_a_gpu_that_this_build_cannot_use_is_said_with_the_remedy(make_page, tmp_path, monkeypatch, qtbot):
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA Example 9000 (UUID: GPU-1)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    page = make_page()
    qtbot.waitUntil(lambda: page.pairs.warnings.isVisible())
    assert "NVIDIA Example 9000 is here, and this build of llama.cpp cannot use it." in page.pairs.warnings.text()
    assert "pip install --force-reinstall" in page.pairs.warnings.text()


# The walk of somebody new.


@pytest.fixture
def tiny_catalog(hub, monkeypatch):
    """The demo pair's files, which the Hub has, with the figures of their headers."""
    models = {}
    for key, file, path in (("small", SMALL, SMALL_MODEL), ("large", LARGE, LARGE_MODEL)):
        hub.files[f"owner/{key}-GGUF"] = {file: path.read_bytes()}
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
            "is_checked": True,
        }
    pair = {"small": "small", "large": "large", "good_for": "A walk.", "evidence": "untested", "source": ""}
    tiny = json.dumps({"models": models, "pairs": [pair]})
    monkeypatch.setattr("baton_reasoning.core.pairs.catalog", lambda: read_catalog(tiny))


@pytest.fixture
def opened(make_window, qtbot, tmp_path, secrets):
    """The window of an empty home, and its Models page, with the machine looked at."""
    paths = Paths.under(tmp_path / "baton")
    window = make_window(PairLoader(paths), begin=False, paths=paths)
    page = LazyModelsPage(window, lambda: secrets, home=tmp_path).part
    with qtbot.waitSignals([page.controller.inventory_changed, page.controller.devices_found]):
        window.show_page("models")
    window.open_store()
    qtbot.waitUntil(lambda: not window.session.is_opening)
    return window, page


def answered(window, qtbot):
    """A problem asked in the chat, and its run to the end."""
    qtbot.waitUntil(lambda: window.models.state is LoadState.READY)
    window.preferences.change(run=DEMO_SETTINGS)
    problem = json.loads(READY_PROBLEMS.read_text().splitlines()[0])["problem"]
    window.chat.composer.set_text(problem)
    QTest.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.current is not None and window.session.current.trace.ended is not None)
    trace = window.session.current.trace
    assert trace.finish is Finish.END_OF_TEXT
    assert trace.answer.strip()
    assert trace.large_share > 0
    return trace


def test_from_an_empty_home_to_a_pair_from_the_hub_and_its_first_answer(opened, qtbot, hub, tiny_catalog):
    window, page = opened
    page.controller.change(endpoint=hub.endpoint)
    page.pairs.refresh()
    qtbot.waitUntil(lambda: page.pairs.table.rowCount() == 2)
    size = in_gib(SMALL_MODEL.stat().st_size + LARGE_MODEL.stat().st_size)
    assert page.pairs.names[Author.LARGE].text() == "Tiny large"
    assert page.pairs.about.text() == "A walk. No published benchmarks. Licence: Apache 2.0."
    assert page.pairs.press.text() == f"Get and use it ({size})"
    own = page.controller.folder / "owner" / "small-GGUF" / SMALL
    preferences = page.controller.preferences.with_loading(own, LoadOptions(context=1024, batch=64))
    page.controller.replace(preferences.with_overrides(own, ModelOverrides(top_k=20)))
    page.pairs.press.click()
    qtbot.waitUntil(lambda: str(window.preferences.value.models.large).endswith(LARGE))
    qtbot.waitUntil(lambda: page.pairs.press.text() == "✓ In use")
    assert window.preferences.value.window.page == "models", "the person may be looking at something else"
    assert answered(window, qtbot).started.small.overrides.top_k == 20
    facts = dict(placement_facts(page.controller.loaded[own]))
    assert facts["Loaded with"].startswith("1,024 tokens, batch 64")
    assert facts["In RAM"].startswith(f"{read_header(own).block_count + 1} layers: weights")


def test_a_pair_is_not_used_after_its_download_was_stopped_and_can_be_got_again(page, asked, hub, qtbot, tiny_catalog):
    page.controller.change(endpoint=hub.endpoint)
    page.pairs.refresh()
    qtbot.waitUntil(lambda: page.pairs.table.rowCount() == 2)
    hub.faults.refusals = [(429, {"Retry-After": "100"})] * 2
    page.pairs.press.click()
    qtbot.waitUntil(lambda: len(page.downloads.rows) == 2)
    assert (page.pairs.press.text(), page.pairs.press.isEnabled()) == ("Downloading…", False)
    assert page.pairs.status.text() == "The pair is used as soon as both files are here."
    for row in page.downloads.rows:
        qtbot.waitUntil(lambda row=row: "HTTP 429" in row.status.text())
    page.downloads.rows[0].stop.click()
    qtbot.waitUntil(lambda: page.pairs.status.text() == "")
    assert page.pairs.press.text() == "Downloading…", "the other file, which alone makes no pair"
    page.downloads.rows[0].stop.click()
    qtbot.waitUntil(lambda: not page.downloads.rows)
    page.pairs.refresh()
    assert page.pairs.press.isEnabled()
    assert asked.models == []
    page.pairs.press.click()
    qtbot.waitUntil(lambda: len(asked.models) == 2)
