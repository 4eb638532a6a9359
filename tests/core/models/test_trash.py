"""A deleted model frees its space at the end, and comes back until then."""

import errno
from pathlib import Path

import pytest

from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.library import Folder, FolderOrigin, Library, LocalModel
from baton_reasoning.core.models.trash import Trash
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


def test_one_deletion_is_made_final_and_others_can_be_undone(tmp_path: Path, trash: Trash) -> None:
    kept, gone = model_at(tmp_path / "kept.gguf"), model_at(tmp_path / "gone.gguf")
    other, deletion = trash.delete(kept), trash.delete(gone)
    trash.erase(deletion)
    assert [file.name.partition("-")[2] for file in trash.folder.iterdir()] == ["kept.gguf"]
    trash.undo(other)
    assert kept.header.path.exists()
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


def test_a_file_of_a_person_goes_to_the_systems_trash_and_back(tmp_path: Path) -> None:
    system = tmp_path / "Trash" / "files"
    notes = tmp_path / "Trash" / "info"
    system.mkdir(parents=True)
    notes.mkdir()

    def to_system_trash(file: Path) -> Path:
        (notes / f"{file.name}.trashinfo").write_text("[Trash Info]")
        return file.rename(system / file.name)

    trash = Trash(tmp_path / "data" / "trash", to_system_trash)
    own = model_at(tmp_path / "downloaded.gguf")
    assert not trash.delete(own).in_system_trash
    path = tmp_path / "m.gguf"
    deletion = trash.delete(model_at(path, FolderOrigin.USER))
    trash.empty()
    assert deletion.in_system_trash
    assert [file.name for file in system.iterdir()] == ["m.gguf"]
    trash.undo(deletion)
    assert path.exists()
    assert list(notes.iterdir()) == []


def test_a_file_that_the_systems_trash_does_not_take_goes_to_ours(tmp_path: Path) -> None:
    trash = Trash(tmp_path / "data" / "trash", lambda _: None)
    deletion = trash.delete(model_at(tmp_path / "m.gguf", FolderOrigin.USER))
    assert not deletion.in_system_trash
    assert deletion.moves[0].trashed.parent == trash.folder


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
