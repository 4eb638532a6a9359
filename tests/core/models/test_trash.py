"""A deleted model frees its space at the end, and comes back until then."""

import errno
from pathlib import Path

import pytest

from core.errors import ModelFileError
from core.models.gguf import read_header
from core.models.library import Folder, FolderOrigin, Library, LocalModel
from core.models.trash import Trash
from tests.core.models.gguf_builder import write_gguf, write_split_gguf


@pytest.fixture
def trash(tmp_path: Path) -> Trash:
    return Trash(tmp_path / "data" / "trash")


def model_at(path: Path, source: FolderOrigin = FolderOrigin.OWN) -> LocalModel:
    return LocalModel(read_header(write_gguf(path)), source)


def test_a_deleted_model_is_gone_and_its_size_is_named(tmp_path: Path, trash: Trash) -> None:
    path = tmp_path / "models" / "m.gguf"
    model = model_at(path)
    size = path.stat().st_size
    assert trash.delete(model).freed_bytes == size
    assert not path.exists()
    assert Library((Folder(tmp_path / "models", FolderOrigin.OWN),)).scan().models == ()


def test_undo_brings_it_back_byte_for_byte(tmp_path: Path, trash: Trash) -> None:
    path = tmp_path / "m.gguf"
    model = model_at(path)
    before = path.read_bytes()
    trash.undo(trash.delete(model))
    assert path.read_bytes() == before


def test_all_parts_go_and_come_together(tmp_path: Path, trash: Trash) -> None:
    model = LocalModel(read_header(write_split_gguf(tmp_path)[0]), FolderOrigin.OWN)
    deletion = trash.delete(model)
    assert list(tmp_path.glob("*.gguf")) == []
    trash.undo(deletion)
    assert len(list(tmp_path.glob("*.gguf"))) == 2


def test_emptying_is_for_good(tmp_path: Path, trash: Trash) -> None:
    deletion = trash.delete(model_at(tmp_path / "m.gguf"))
    trash.empty()
    assert not trash.folder.exists()
    with pytest.raises(ModelFileError, match="gone for good"):
        trash.undo(deletion)


def test_a_place_taken_meanwhile_is_not_overwritten(tmp_path: Path, trash: Trash) -> None:
    path = tmp_path / "m.gguf"
    deletion = trash.delete(model_at(path))
    path.write_text("something new")
    with pytest.raises(ModelFileError, match="is there again"):
        trash.undo(deletion)
    assert path.read_text() == "something new"


def test_a_model_of_the_hub_cache_goes_with_its_blob(tmp_path: Path, trash: Trash) -> None:
    blob = write_gguf(tmp_path / "blobs" / "0123")
    link = tmp_path / "snapshots" / "m.gguf"
    link.parent.mkdir()
    link.symlink_to(Path("..") / "blobs" / "0123")
    deletion = trash.delete(LocalModel(read_header(link), FolderOrigin.HUB_CACHE))
    assert not blob.exists()
    assert not link.is_symlink()
    trash.undo(deletion)
    assert deletion.freed_bytes == blob.stat().st_size == read_header(link).file_bytes


def test_built_in_models_stay(tmp_path: Path, trash: Trash) -> None:
    model = model_at(tmp_path / "m.gguf", FolderOrigin.BUILT_IN)
    with pytest.raises(ModelFileError, match="comes with the program"):
        trash.delete(model)
    assert model.header.path.exists()


def test_a_model_on_another_disk_waits_beside_its_file(
    tmp_path: Path, trash: Trash, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def rename_within_a_disk(self: Path, target: Path) -> Path:
        if (trash.folder in target.parents) != (trash.folder in self.parents):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_within_a_disk)
    path = tmp_path / "other disk" / "m.gguf"
    model = model_at(path)
    trash.undo(trash.delete(model))
    assert path.exists()
    trash.delete(model)
    assert Library((Folder(path.parent, FolderOrigin.OWN),)).scan().models == ()
    Trash(trash.folder).empty()  # as after a crash: another program run empties it
    assert list(path.parent.iterdir()) == []


def test_a_failed_deletion_changes_nothing(tmp_path: Path, trash: Trash, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LocalModel(read_header(write_split_gguf(tmp_path)[0]), FolderOrigin.OWN)
    rename = Path.rename

    def second_is_in_use(self: Path, target: Path) -> Path:
        if self.name.startswith("m-00002"):
            raise PermissionError(errno.EACCES, "The file is in use")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_is_in_use)
    with pytest.raises(ModelFileError, match="The file is in use"):
        trash.delete(model)
    assert len(list(tmp_path.glob("*.gguf"))) == 2
