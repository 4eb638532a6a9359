"""The demo pair at the cost of a real one: the same models, in files that are made when they are missing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, READY_PROBLEMS, SMALL_MODEL
from baton_reasoning.core.demo_pair.costly import RATIO, SMALL_BLOCKS, SWITCH, DemoFiles, Shape, costly, costly_pair
from baton_reasoning.core.engines.open import EngineFactory, open_engine
from baton_reasoning.core.models.gguf_format import read_raw
from baton_reasoning.core.models.options import DemoModel, LoadOptions, LocalChoices
from baton_reasoning.core.run import Pair, ask, run
from baton_reasoning.core.thinking.trace import Trace

MB = 10**6


@pytest.fixture(autouse=True)
def as_costly_as_real(monkeypatch):
    monkeypatch.delenv(SWITCH)


def test_the_pair_costs_as_1_to_13_and_takes_little_room(tmp_path):
    small, large = costly_pair(RATIO, tmp_path)
    blocks = [read_raw(path).values["llama.block_count"] for path in (small, large)]
    assert blocks == [SMALL_BLOCKS, RATIO * SMALL_BLOCKS]
    assert 400 * MB < small.stat().st_size + large.stat().st_size < 440 * MB
    if sys.platform != "win32":
        assert 512 * (small.stat().st_blocks + large.stat().st_blocks) < 150 * MB


def test_all_that_a_header_says_but_the_shape_stays(tmp_path):
    before = read_raw(LARGE_MODEL)
    shape = Shape(embedding=128, feed_forward=512, blocks=5)
    after = read_raw(costly(LARGE_MODEL, tmp_path / "costly.gguf", shape, llama__context_length=33_000))
    epsilon = before.values["llama.attention.layer_norm_rms_epsilon"]
    assert isinstance(epsilon, float)
    assert after.values == before.values | {
        "llama.block_count": 5,
        "llama.context_length": 33_000,
        "llama.embedding_length": 128,
        "llama.feed_forward_length": 512,
        "llama.attention.layer_norm_rms_epsilon": pytest.approx(epsilon / 2),
        "llama.attention.key_length": 16,
        "llama.attention.value_length": 16,
    }
    assert {tensor.name for tensor in before.tensors} < {tensor.name for tensor in after.tensors}
    assert after.data_end == (tmp_path / "costly.gguf").stat().st_size


def test_files_are_made_once_and_again_if_they_are_damaged(tmp_path):
    demo = DemoFiles(tmp_path)
    assert demo.missing
    assert demo.make() == ""
    assert not DemoFiles(tmp_path).missing
    with demo.path(DemoModel.LARGE).open("r+b") as file:
        file.seek(200 * MB)
        file.write(b"?")
    assert DemoFiles(tmp_path).missing
    assert demo.make() == ""
    assert not DemoFiles(tmp_path).missing
    assert {path.name for path in tmp_path.iterdir()} == {demo.path(model).name for model in DemoModel}


def test_without_room_the_tiny_pair_runs_and_a_sentence_says_why(tmp_path):
    folder = tmp_path / "cache"
    folder.write_text("a file, where a folder should be", encoding="utf-8")
    demo = DemoFiles(folder)
    assert demo.missing
    trouble = demo.make()
    assert "tiny models, which are equally fast" in trouble
    assert str(folder) in trouble
    assert [demo.path(model) for model in DemoModel] == [SMALL_MODEL, LARGE_MODEL]


def test_tests_run_the_tiny_pair(tmp_path, monkeypatch):
    monkeypatch.setenv(SWITCH, "tiny")
    demo = DemoFiles(tmp_path)
    assert not demo.missing
    assert demo.path(DemoModel.LARGE) == LARGE_MODEL


@pytest.mark.slow
def test_a_costly_model_is_the_demo_model_on_one_thread(tmp_path):
    copy = costly(SMALL_MODEL, tmp_path / "copy.gguf", Shape(blocks=3))
    asked = []

    def choices(path: Path) -> LocalChoices:
        asked.append(path)
        return LocalChoices(LoadOptions(context=512))

    with closing(open_engine(DemoModel.SMALL, EngineFactory(local=choices, demo=lambda _: copy))) as engine:
        assert engine.card.source is DemoModel.SMALL
        assert engine.card.path == copy
        assert engine.card.chosen_file == SMALL_MODEL
        assert engine.card.placement is not None
        assert engine.card.placement.threads == 1
    assert asked == [SMALL_MODEL], "what a person chose for the demo model holds for its copy"


def opened(demo: DemoFiles) -> Iterator[Pair]:
    """Open the pair as the window does."""
    factory = EngineFactory(local=lambda _: LocalChoices(LoadOptions(context=1024)), demo=demo.path)
    with (
        closing(open_engine(DemoModel.SMALL, factory)) as small,
        closing(open_engine(DemoModel.LARGE, factory)) as large,
    ):
        yield Pair(small, large)


@pytest.mark.long
def test_an_answer_of_each_kind_is_that_of_the_tiny_pair_within_500_mb(tmp_path, monkeypatch):
    problem = read_problems(READY_PROBLEMS).problems[0]
    texts: list[list[str]] = []
    memory: list[int] = []
    costly_files = DemoFiles(tmp_path)
    assert costly_files.make() == ""
    monkeypatch.setenv(SWITCH, "tiny")
    for files in (DemoFiles(tmp_path), costly_files):
        for pair in opened(files):
            arms = arms_of(["small", "baton", "large"], DEMO_SETTINGS)
            texts.append([Trace.of(run(pair, ask(problem.text, arm.settings), arm.settings)).text for arm in arms])
            memory.append(sum(child.memory_info().rss for child in psutil.Process().children(recursive=True)))
    assert texts[0] == texts[1]
    assert memory[1] - memory[0] < 500 * MB, "what both models add to the tiny pair's processes"
