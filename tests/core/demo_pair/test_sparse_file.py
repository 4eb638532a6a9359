"""A file with holes is whole or not there, however its disk and other programs behave."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import BinaryIO

import pytest

from baton_reasoning.core.demo_pair.sparse_file import SparseFile
from tests.fakes.full_disk import a_full_disk

MIB = 2**20
PIECES = ((0, b"head"), (3 * MIB, bytes(range(256)) * 64), (9 * MIB + 5, b"tail"))
SIZE = 12 * MIB


@pytest.fixture
def file(tmp_path):
    return SparseFile(tmp_path / "folder" / "large.gguf", PIECES, SIZE)


def test_what_lies_between_the_pieces_is_zero(file):
    assert not file.is_whole
    content = file.make().read_bytes()
    assert file.is_whole
    expected = bytearray(SIZE)
    for start, data in PIECES:
        expected[start : start + len(data)] = data
    assert content == expected


@pytest.mark.skipif(sys.platform == "win32", reason="no holes there")
def test_holes_take_no_room(file):
    assert file.make().stat().st_blocks * 512 < MIB


def changed(position: int) -> Callable[[BinaryIO], object]:
    def change(file: BinaryIO) -> None:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))

    return change


DAMAGES: dict[str, Callable[[BinaryIO], object]] = {
    "truncated": lambda file: file.truncate(SIZE - 1),
    "nothing left": lambda file: file.truncate(0),
    "longer": lambda file: file.truncate(SIZE + 1),
    "a byte of the first piece": changed(1),
    "a byte of the second piece": changed(3 * MIB + 77),
    "a byte in a hole": changed(2 * MIB + 4321),
    "a byte beside a piece": changed(3 * MIB - 1),
    "a byte in the last hole": changed(SIZE - 1),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("knows_holes", [True, False], ids=["with holes", "without holes"])
def test_damage_is_noticed_and_mended(file, damage, knows_holes, monkeypatch):
    if not knows_holes:
        monkeypatch.delattr(os, "SEEK_DATA", raising=False)
    good = file.make().read_bytes()
    with file.path.open("r+b") as opened:
        damage(opened)
    assert not file.is_whole
    file.make()
    assert file.is_whole
    assert file.path.read_bytes() == good


def test_a_file_that_is_whole_stays_as_it_is(file):
    before = file.make().stat()
    after = file.make().stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_full_disk_leaves_nothing_behind(file):
    with a_full_disk(MIB), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        file.make()
    assert list(file.path.parent.iterdir()) == []
    file.make()  # once there is room again
    assert file.is_whole


def test_a_damaged_file_stays_where_no_other_can_be_written(file):
    file.make().write_bytes(b"damaged")
    with a_full_disk(MIB), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        file.make()
    assert [path.read_bytes() for path in file.path.parent.iterdir()] == [b"damaged"]


def test_what_is_in_the_way_is_an_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "inside", tmp_path / "folder"):
        with pytest.raises(OSError, match=re.escape(tmp_path.name)):
            SparseFile(path, PIECES, SIZE).make()
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


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
