"""A model file that has other bytes than it should have is named; one that was only touched is read once."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from baton_reasoning.core.models import checksums
from baton_reasoning.core.models.checksums import SUMS, Checksums, published_sha256, sha256_of
from baton_reasoning.core.models.options import DemoModel

WEIGHTS = b"GGUF" + bytes(range(256)) * 16
DAMAGED = WEIGHTS[:2048] + bytes(len(WEIGHTS) - 2048)


class Shelf:
    """A model file, and what is known of it across programs."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "large.gguf"
        self.known = folder / "data" / "checksums.json"
        self._modified = 10**18

    def write(self, content: bytes) -> None:
        """As another program would, a second later."""
        self.file.write_bytes(content)
        self._modified += 10**9
        os.utime(self.file, ns=(self._modified, self._modified))

    def warnings(self) -> list[str]:
        """What a program says that has just been started."""
        return [error.message for error in Checksums(self.known).changed([self.file], threading.Event())]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    shelf = Shelf(tmp_path)
    shelf.write(WEIGHTS)
    return shelf


@pytest.mark.parametrize("damaged", [DAMAGED, WEIGHTS[:2048] + b"\xff" * (len(WEIGHTS) - 2048), WEIGHTS[::-1]])
def test_a_file_with_other_bytes_than_at_its_first_use_is_named_each_time(shelf: Shelf, damaged: bytes) -> None:
    assert shelf.warnings() == []
    shelf.write(damaged)
    for _ in range(2):
        assert shelf.warnings() == [
            "large.gguf is damaged or was replaced: its bytes are not those of its download or first use."
        ]
    shelf.write(WEIGHTS)
    assert shelf.warnings() == []


def test_a_file_that_was_only_touched_is_read_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def reading(file: Path, *more: object) -> str:
        read.append(file)
        return hashlib.sha256(file.read_bytes()).hexdigest()

    monkeypatch.setattr(checksums, "sha256_of", reading)
    for _ in range(3):
        assert shelf.warnings() == []
    shelf.write(WEIGHTS)
    for _ in range(3):
        assert shelf.warnings() == []
    assert len(read) == 2


def test_a_file_of_another_size_is_another_model_but_a_damaged_download_is_named_whatever_its_size(
    shelf: Shelf,
) -> None:
    assert shelf.warnings() == []
    shelf.write(WEIGHTS + b"more")
    assert shelf.warnings() == []
    (shelf.file.parent / SUMS).write_text(f"{hashlib.sha256(WEIGHTS).hexdigest()} *large.gguf\n", encoding="utf-8")
    shelf.write(WEIGHTS[:-1])
    assert len(shelf.warnings()) == 1


def test_what_was_compared_while_it_was_downloaded_is_not_read_again(shelf: Shelf) -> None:
    Checksums(shelf.known).learn(shelf.file, "ab" * 32)
    assert shelf.warnings() == [], "the file was not read"
    shelf.write(WEIGHTS)
    assert len(shelf.warnings()) == 1


def test_every_part_of_a_model_is_compared(tmp_path: Path) -> None:
    parts = [tmp_path / f"m-0000{number}-of-00002.gguf" for number in (1, 2)]
    for part in parts:
        part.write_bytes(WEIGHTS)
    kept = Checksums(tmp_path / "checksums.json")
    assert list(kept.changed(parts[:1], threading.Event())) == []
    parts[1].write_bytes(DAMAGED)
    os.utime(parts[1], ns=(1, 1))
    assert ["m-00002-of-00002.gguf" in error.message for error in kept.changed(parts[:1], threading.Event())] == [True]


def test_a_check_that_is_stopped_says_and_keeps_nothing(shelf: Shelf) -> None:
    stopped = threading.Event()
    stopped.set()
    assert list(Checksums(shelf.known).changed([shelf.file], stopped)) == []
    assert not shelf.known.exists()


def test_a_folder_that_cannot_be_written_and_a_damaged_note_are_no_error(shelf: Shelf) -> None:
    shelf.known.parent.write_text("a file where the folder should be", encoding="utf-8")
    assert shelf.warnings() == []
    shelf.known = shelf.file.with_name("checksums.json")
    shelf.known.write_text('{"files": {"x": {"bytes": "many"}}', encoding="utf-8")
    assert shelf.warnings() == []


def test_the_cache_of_hugging_face_names_a_file_by_its_checksum(tmp_path: Path) -> None:
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    (tmp_path / digest).write_bytes(WEIGHTS)
    (tmp_path / "model.gguf").symlink_to(tmp_path / digest)
    assert published_sha256(tmp_path / "model.gguf") == digest


@pytest.mark.parametrize("demo", DemoModel)
def test_the_list_beside_the_demo_pair_is_that_of_its_files(demo: DemoModel) -> None:
    assert published_sha256(demo.path) == sha256_of(demo.path)
