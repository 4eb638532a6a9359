"""A deleted model is in the system's trash, or gone for good."""

import errno
import sys
from pathlib import Path

import pytest

from baton_reasoning.core.child_process import answered_apart
from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.library import Folder, FolderOrigin, Library, LocalModel
from baton_reasoning.core.models.trash import delete_for_good, move_to_trash
from tests.core.models.gguf_builder import write_gguf, write_split_gguf


def model_at(path: Path, source: FolderOrigin = FolderOrigin.OWN) -> LocalModel:
    return LocalModel(read_header(write_gguf(path)), source)


def test_a_trashed_model_is_gone_from_its_folder(tmp_path: Path, trash: Path) -> None:
    path = tmp_path / "models" / "m.gguf"
    content = write_gguf(path).read_bytes()
    move_to_trash(LocalModel(read_header(path), FolderOrigin.OWN))
    assert Library((Folder(path.parent, FolderOrigin.OWN),)).scan().models == ()
    assert (trash / "m.gguf").read_bytes() == content


def test_all_parts_go_together(tmp_path: Path, trash: Path) -> None:
    move_to_trash(LocalModel(read_header(write_split_gguf(tmp_path)[0]), FolderOrigin.OWN))
    assert len(list(trash.iterdir())) == 2
    assert list(tmp_path.glob("*.gguf")) == []


@pytest.mark.parametrize("remove", [move_to_trash, delete_for_good])
def test_a_model_of_the_hub_cache_goes_with_its_blob(remove: type, tmp_path: Path, trash: Path) -> None:
    blob = write_gguf(tmp_path / "blobs" / "0123")
    link = tmp_path / "snapshots" / "m.gguf"
    link.parent.mkdir()
    link.symlink_to(Path("..") / "blobs" / "0123")
    remove(LocalModel(read_header(link), FolderOrigin.HUB_CACHE))
    assert not blob.exists()
    assert not link.is_symlink()


def test_a_model_that_the_trash_does_not_take_stays_and_can_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_here(file: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("send2trash.send2trash", none_here)
    model = model_at(tmp_path / "m.gguf")
    with pytest.raises(ModelFileError, match=r"m.gguf could not be moved to the system's trash: Permission denied\."):
        move_to_trash(model)
    assert model.header.path.exists()
    delete_for_good(model)
    assert not model.header.path.exists()


@pytest.mark.parametrize("remove", [move_to_trash, delete_for_good])
def test_built_in_models_stay(remove: type, tmp_path: Path, trash: Path) -> None:
    model = model_at(tmp_path / "m.gguf", FolderOrigin.BUILT_IN)
    with pytest.raises(ModelFileError, match="comes with the program"):
        remove(model)
    assert model.header.path.exists()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there it is found by variables")
def test_the_trash_is_that_of_the_desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    answered_apart(move_to_trash, model_at(tmp_path / "m.gguf"), seconds=60)
    assert (tmp_path / "share" / "Trash" / "files" / "m.gguf").exists()
    assert f"Path={tmp_path}/m.gguf" in (tmp_path / "share" / "Trash" / "info" / "m.gguf.trashinfo").read_text()
