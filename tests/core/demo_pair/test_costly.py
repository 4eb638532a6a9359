"""The demo pair at the cost of a real one: the same models, in files with holes that are whole or not there."""

import ctypes
import errno
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import BinaryIO
from unittest.mock import Mock

import psutil
import pytest

from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, READY_PROBLEMS, SMALL_MODEL
from baton_reasoning.core.demo_pair.costly import (
    RATIO,
    SET_SPARSE,
    SMALL_BLOCKS,
    SWITCH,
    DemoFiles,
    Shape,
    SparseFile,
    costly,
)
from baton_reasoning.core.engines.open import EngineFactory, open_engine
from baton_reasoning.core.models.gguf_format import read_raw
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.preferences import LocalChoices
from baton_reasoning.core.models.source import DemoModel
from baton_reasoning.core.run import Pair, ask, run
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes.full_disk import a_full_disk

MB = 10**6


@pytest.fixture(autouse=True)
def as_costly_as_real(monkeypatch):
    monkeypatch.delenv(SWITCH)


def test_files_that_cost_as_1_to_13_and_take_little_room_are_made_once_and_again_if_they_are_damaged(tmp_path):
    demo = DemoFiles(tmp_path)
    for _ in range(2):
        assert demo.missing
        assert demo.make() == ""
        assert not DemoFiles(tmp_path).missing
        small, large = map(demo.path, DemoModel)
        blocks = [read_raw(path).values["llama.block_count"] for path in (small, large)]
        assert blocks == [SMALL_BLOCKS, RATIO * SMALL_BLOCKS]
        assert 400 * MB < small.stat().st_size + large.stat().st_size < 440 * MB
        if sys.platform != "win32":
            assert 512 * (small.stat().st_blocks + large.stat().st_blocks) < 150 * MB
        os.truncate(large, 200 * MB)
    assert set(tmp_path.iterdir()) == {small, large}


def test_all_that_a_header_says_but_the_shape_stays(tmp_path):
    before = read_raw(LARGE_MODEL)
    shape = Shape(embedding=128, feed_forward=512, blocks=5)
    after = read_raw(costly(LARGE_MODEL, tmp_path / "costly.gguf", shape).make())
    epsilon = before.values["llama.attention.layer_norm_rms_epsilon"]
    assert isinstance(epsilon, float)
    assert after.values == before.values | {
        "llama.block_count": 5,
        "llama.embedding_length": 128,
        "llama.feed_forward_length": 512,
        "llama.attention.layer_norm_rms_epsilon": pytest.approx(epsilon / 2),
        "llama.attention.key_length": 16,
        "llama.attention.value_length": 16,
    }
    assert {tensor.name for tensor in before.tensors} < {tensor.name for tensor in after.tensors}
    assert after.data_end == (tmp_path / "costly.gguf").stat().st_size


def test_without_room_and_in_tests_the_tiny_pair_runs_and_a_sentence_says_why(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    folder.write_text("a file, where a folder should be", encoding="utf-8")
    demo = DemoFiles(folder)
    assert demo.missing
    trouble = demo.make()
    assert "tiny models, which are equally fast" in trouble
    assert str(folder) in trouble
    assert [demo.path(model) for model in DemoModel] == [SMALL_MODEL, LARGE_MODEL]
    monkeypatch.setenv(SWITCH, "tiny")
    assert not DemoFiles(tmp_path).missing
    assert DemoFiles(tmp_path).path(DemoModel.LARGE) == LARGE_MODEL


@pytest.mark.slow
def test_a_costly_model_is_the_demo_model_on_one_thread(tmp_path):
    copy = costly(SMALL_MODEL, tmp_path / "copy.gguf", Shape(blocks=3)).make()
    asked = []

    def choices(path: Path) -> LocalChoices:
        asked.append(path)
        return LocalChoices(LoadOptions(context=512))

    with closing(open_engine(DemoModel.SMALL, EngineFactory(local=choices, demo=lambda _: copy))) as engine:
        card = engine.card
        assert (card.source, card.path, card.chosen_file) == (DemoModel.SMALL, copy, SMALL_MODEL)
        assert card.placement
        assert card.placement.threads == 1
    assert asked == [SMALL_MODEL], "what a person chose for the demo model holds for its copy"


@pytest.mark.long
def test_an_answer_of_each_kind_is_that_of_the_tiny_pair_within_500_mb(tmp_path, monkeypatch):
    problem = read_problems(READY_PROBLEMS).problems[0]
    texts: list[list[str]] = []
    memory: list[int] = []
    costly_files = DemoFiles(tmp_path)
    assert costly_files.make() == ""
    monkeypatch.setenv(SWITCH, "tiny")
    for files in (DemoFiles(tmp_path), costly_files):  # opened as the window does
        factory = EngineFactory(local=lambda _: LocalChoices(LoadOptions(context=1024)), demo=files.path)
        with (
            closing(open_engine(DemoModel.SMALL, factory)) as small,
            closing(open_engine(DemoModel.LARGE, factory)) as large,
        ):
            pair, arms = Pair(small, large), arms_of(["small", "baton", "large"], DEMO_SETTINGS)
            texts.append([Trace.of(run(pair, ask(problem.text, arm.settings), arm.settings)).text for arm in arms])
            memory.append(sum(child.memory_info().rss for child in psutil.Process().children(recursive=True)))
    assert texts[0] == texts[1]
    assert memory[1] - memory[0] < 500 * MB, "what both models add to the tiny pair's processes"


# Files with holes

MIB = 2**20
PIECES = ((0, b"head"), (3 * MIB, bytes(range(256)) * 64), (9 * MIB + 5, b"tail"))
SIZE = 12 * MIB


@pytest.fixture
def file(tmp_path):
    return SparseFile(tmp_path / "folder" / "large.gguf", PIECES, SIZE)


def test_between_its_pieces_are_holes_damage_is_noticed_and_mended_and_a_whole_file_stays_as_it_is(file):
    good = bytearray(SIZE)
    for start, data in PIECES:
        good[start : start + len(data)] = data
    assert not file.is_whole
    assert file.make().read_bytes() == good
    if sys.platform != "win32":
        assert file.path.stat().st_blocks * 512 < MIB
    other_pieces = good.replace(b"head", b"dead"), good.replace(bytes(range(256)), bytes(256), 1)
    for damaged in (*other_pieces, b"", good[:-1], good + b"\0"):
        file.path.write_bytes(damaged)
        assert not file.is_whole
        before = file.make().stat()
        assert file.path.read_bytes() == good
        after = file.make().stat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_windows_is_asked_for_holes_before_anything_is_written(file, monkeypatch):
    asked = list[tuple[int, int]]()

    def control(handle, code, *_):
        asked.append((code, os.fstat(handle.value).st_size))

    console = Mock()
    console.DeviceIoControl = control
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "windll", Mock(kernel32=console), raising=False)
    monkeypatch.setitem(sys.modules, "msvcrt", Mock(get_osfhandle=lambda descriptor: descriptor))
    assert file.make().stat().st_size == SIZE
    assert asked == [(SET_SPARSE, 0)]


@pytest.mark.parametrize("before", [[], [b"damaged"]])
def test_a_full_disk_leaves_what_was_there(file, before):
    for content in before:
        file.make().write_bytes(content)
    with a_full_disk(MIB), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        file.make()
    assert [path.read_bytes() for path in file.path.parent.iterdir()] == before
    file.make()  # once there is room again
    assert file.is_whole


def test_many_that_make_it_at_once_end_with_one_whole_file(file):
    makers = 6
    barrier = Barrier(makers)

    def make() -> bool:
        barrier.wait()
        file.make()
        return file.is_whole

    with ThreadPoolExecutor(makers) as pool:
        assert all(made.result() for made in [pool.submit(make) for _ in range(makers)])
    assert [path.name for path in file.path.parent.iterdir()] == ["large.gguf"]


def test_a_file_that_another_program_made_and_reads_is_taken_where_windows_refuses_to_replace_it(file, monkeypatch):
    def refused(part: Path, target: Path) -> None:
        shutil.copyfile(part, target)
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(Path, "replace", refused)
    assert file.make() == file.path
    assert file.is_whole
    assert [path.name for path in file.path.parent.iterdir()] == ["large.gguf"]


class Overtaken(SparseFile):
    """Another program makes the file while this one writes."""

    def _write(self, file: BinaryIO) -> None:
        super()._write(file)
        SparseFile(self.path, self.pieces, self.size).make()
        self.path.with_name("other").hardlink_to(self.path)


def test_a_file_that_another_window_has_loaded_is_not_replaced(file):
    made = Overtaken(file.path, file.pieces, file.size).make()
    assert made.samefile(file.path.with_name("other"))
    assert len(list(made.parent.iterdir())) == 2
