"""The recommended pair and the table of the others, on machines of several kinds."""

import os
from pathlib import Path

import pytest

from baton_reasoning.app.models.pairs import JudgedPair, judge_pairs, recommended
from baton_reasoning.app.models.pairs_tab import figures_of
from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.model_costs import ModelCost, ModelCosts
from baton_reasoning.core.models.catalog import catalog
from baton_reasoning.core.models.devices import Device, DeviceKind, Devices, has_gpu_backend
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.library import FolderOrigin, LocalModel

pytestmark = pytest.mark.slow
GIB = 2**30


def machine(ram: int, gpu: int = 0) -> Devices:
    gpus = (Device("GPU", "a GPU", DeviceKind.GPU, gpu * GIB, gpu * GIB),) if gpu else ()
    return Devices(ram * GIB, ram * GIB, gpus)


def judged(costs: ModelCosts, ram: int, gpu: int = 0, disk: int = 500, *files: Path) -> tuple[JudgedPair, ...]:
    models = [LocalModel(read_header(file), FolderOrigin.USER) for file in files]
    return judge_pairs(machine(ram, gpu), disk * GIB, models, costs)


def named(pair: JudgedPair | None) -> tuple[str, str]:
    assert pair
    return pair.pair.small.key, pair.pair.large.key


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
    ],
)
def test_the_strongest_pair_is_recommended_that_is_fast_enough(costs, ram, gpu, disk, large):
    assert named(recommended(judged(costs, ram, gpu, disk))) == ("r1-qwen-1.5b", large)


def test_nothing_is_recommended_where_nothing_fits(costs):
    assert recommended(judged(costs, ram=2)) is None


def test_a_speed_is_estimated_on_a_cpu_and_left_out_on_a_gpu_until_it_was_measured(costs, tmp_path):
    lightest = judged(costs, ram=10)[0]
    assert figures_of(lightest) == ("5.4 GiB", "7.3 GiB", "≈ 13", "≈ 48%")
    assert figures_of(judged(costs, ram=64, gpu=80)[0])[2:] == ("–", "≈ 48%")
    files = [tmp_path / lightest.pair.small.file, tmp_path / lightest.pair.large.file]
    for file, model, decode in zip(files, (SMALL_MODEL, LARGE_MODEL), (0.02, 0.1), strict=True):
        file.write_bytes(model.read_bytes())
        cost = ModelCost(decode=decode, further=decode, prefill=decode / 10)
        costs.keep(ModelCard("m", "", 1024, path=file), cost)
    assert figures_of(judged(costs, 64, 80, 500, *files)[0]) == ("here", "7.3 GiB", "23", "44%")


def test_a_model_that_ran_here_tells_how_fast_others_are(costs, tmp_path):
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(LARGE_MODEL.read_bytes())
    decode = read_header(mine).active_bytes / 60e9  # twice as fast as is assumed
    costs.keep(ModelCard("m", "", 1024, path=mine), ModelCost(decode=decode, further=decode, prefill=decode))
    assert figures_of(judged(costs, 10, 0, 500, mine)[0])[2] == "≈ 27"


def test_a_machine_without_a_gpu_is_not_told_of_one(page, asked, qtbot):
    page.controller.devices = machine(ram=22)
    page.pairs.refresh()
    qtbot.waitUntil(lambda: "RAM 22.0 GiB" in page.pairs.machine.text())
    tab = page.pairs
    assert tab.heading.text() == "★ Recommended for this machine"
    texts = [tab.machine.text(), tab.about.text(), *(pair.good_for for pair in catalog())]
    assert not any("GPU" in text for text in texts)
    assert [label.text() for figure in tab.figures for label in figure] == [
        *("9.4 GiB", "to download", "13.5 GiB", "of memory", "9", "tokens a second, estimated"),
        *("38%", "of the time of the large model alone, estimated"),
    ]
    assert tab.press.text() == "Get and use it (9.4 GiB)"
    assert tab.table.texts()[0] == [
        *("DeepSeek-R1-Distill-Qwen-1.5B with DeepSeek-R1-Distill-Qwen-7B", "5.4 GiB", "7.3 GiB", "≈ 13", "≈ 48%")
    ]
    tab.table.choose([0])
    assert tab.heading.text() == "Fits this machine"
    assert tab.press.accessibleName().endswith("DeepSeek-R1-Distill-Qwen-1.5B with DeepSeek-R1-Distill-Qwen-7B")


def test_the_demo_pair_and_a_server_are_offered(page, asked):
    page.pairs.demo.click()
    assert asked.models == [(None, str(SMALL_MODEL)), (None, str(LARGE_MODEL))]
    page.controller.show_loaded({SMALL_MODEL: ModelCard("demo", "", 1024)})
    assert not page.pairs.demo.isVisibleTo(page), "it is in use"


@pytest.fixture
def unused_gpu(tmp_path, monkeypatch):
    """The system has a GPU, of which this build of llama.cpp knows nothing."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA Example 9000 (UUID: GPU-1)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


@pytest.mark.skipif(has_gpu_backend(), reason="this build can use a GPU")
def test_a_gpu_that_this_build_cannot_use_is_said_with_the_remedy(unused_gpu, page, qtbot):
    qtbot.waitUntil(lambda: page.pairs.warnings.isVisible())
    assert "NVIDIA Example 9000 is here, and this build of llama.cpp cannot use it." in page.pairs.warnings.text()
    assert "pip install --force-reinstall" in page.pairs.warnings.text()
