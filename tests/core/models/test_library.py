"""Models are found where they lie, once each; broken files come with their reason; what is deleted is in the trash."""

import errno
import os
import sys
from pathlib import Path

import pytest

from baton_reasoning.core.child_process import run_in_subprocess
from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.library import (
    Folder,
    FolderOrigin,
    Inventory,
    LocalModel,
    delete_for_good,
    known_folders,
    move_to_trash,
    scan,
)
from tests.core.models.gguf_builder import values_of_a_llama, write_gguf, write_split_gguf


def named(name: str) -> dict[str, object]:
    return values_of_a_llama(general__name=name)


def scanned(*folders: Path) -> Inventory:
    return scan(Folder(folder, FolderOrigin.USER) for folder in folders)


def names(inventory: Inventory) -> list[str]:
    return [model.header.name for model in inventory.models]


def test_models_are_found_in_every_folder_by_name(tmp_path):
    write_gguf(tmp_path / "a" / "publisher" / "repository" / "m.gguf", named("zebra"))
    write_gguf(tmp_path / "b" / "n.GGUF", named("Ape"))
    (tmp_path / "b" / "notes.txt").write_text("not a model")
    assert names(scanned(tmp_path / "a", tmp_path / "b", tmp_path / "missing")) == ["Ape", "zebra"]


def test_a_single_file_is_found_without_the_others_in_its_folder(tmp_path):
    write_gguf(tmp_path / "a.gguf", named("wanted"))
    write_gguf(tmp_path / "b.gguf", named("other"))
    assert names(scanned(tmp_path / "a.gguf")) == ["wanted"]


def test_a_model_knows_who_put_it_there(tmp_path):
    write_gguf(tmp_path / "own" / "m.gguf")
    write_gguf(tmp_path / "studio" / "n.gguf")
    found = scan([Folder(tmp_path / "own", FolderOrigin.OWN), Folder(tmp_path / "studio", FolderOrigin.LM_STUDIO)])
    assert {model.source for model in found.models} == {FolderOrigin.OWN, FolderOrigin.LM_STUDIO}


def test_broken_files_are_listed_with_their_reason(tmp_path):
    (tmp_path / "page.gguf").write_bytes(b"<html>")
    write_gguf(tmp_path / "good.gguf")
    inventory = scanned(tmp_path)
    assert names(inventory) == ["Little Llama"]
    (broken,) = inventory.broken
    assert broken.path == tmp_path / "page.gguf"
    assert "web page" in broken.reason


def test_parts_are_one_model(tmp_path):
    first, _ = write_split_gguf(tmp_path)
    inventory = scanned(tmp_path)
    assert [len(model.header.shards) for model in inventory.models] == [2]
    first.unlink()
    inventory = scanned(tmp_path)
    assert inventory.models == ()
    assert ["m-00001-of-00002.gguf" in broken.reason for broken in inventory.broken] == [True]


def test_a_model_reached_by_two_ways_counts_once(tmp_path):
    blob = write_gguf(tmp_path / "hub" / "blobs" / "0123abcd")
    for snapshot in ("one", "two"):
        link = tmp_path / "hub" / "snapshots" / snapshot / "m.gguf"
        link.parent.mkdir(parents=True)
        link.symlink_to(blob)
    inventory = scanned(tmp_path / "hub", tmp_path / "hub" / "snapshots")
    assert [model.header.path.parent.name for model in inventory.models] == ["one"]


def test_a_second_scan_sees_what_changed(tmp_path):
    path = write_gguf(tmp_path / "m.gguf", named("before"))
    first = scanned(tmp_path)
    assert scanned(tmp_path).models[0].header is first.models[0].header
    write_gguf(path, named("afterwards"))
    write_gguf(tmp_path / "n.gguf", named("new"))
    assert names(scanned(tmp_path)) == ["afterwards", "new"]
    path.unlink()
    assert names(scanned(tmp_path)) == ["new"]


def test_a_file_that_was_completed_is_no_longer_broken(tmp_path):
    path = write_gguf(tmp_path / "m.gguf")
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert "cut short" in scanned(tmp_path).broken[0].reason
    path.write_bytes(whole)
    assert names(scanned(tmp_path)) == ["Little Llama"]


def test_very_deep_folders_are_not_searched_and_a_link_to_nothing_is_passed_over(tmp_path):
    (tmp_path / "m.gguf").symlink_to(tmp_path / "gone")
    write_gguf(tmp_path / "1/2/3/4/5/6/m.gguf", named("deep"))
    write_gguf(tmp_path / "1/2/3/4/5/6/7/m.gguf", named("too deep"))
    inventory = scanned(tmp_path)
    assert (names(inventory), inventory.broken) == (["deep"], ())


def test_vocabularies_are_the_same_or_not(tmp_path):
    one = read_header(write_gguf(tmp_path / "a.gguf", named("one")))
    sibling = read_header(write_gguf(tmp_path / "b.gguf", named("sibling")))
    stranger = read_header(write_gguf(tmp_path / "c.gguf", values_of_a_llama(tokenizer__ggml__pre="llama-bpe")))
    assert one.vocabulary_hash == sibling.vocabulary_hash
    assert one.vocabulary_hash != stranger.vocabulary_hash


@pytest.fixture(autouse=True)
def without_variables(monkeypatch):
    for name in ("HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)


def test_the_folders_of_the_programs_people_use_are_known(tmp_path):
    folders = known_folders(tmp_path / "own", (tmp_path / "mine",), built_in=(tmp_path / "packaged",), home=tmp_path)
    found = {(folder.source, folder.path) for folder in folders}
    assert found >= {
        (FolderOrigin.OWN, tmp_path / "own"),
        (FolderOrigin.LM_STUDIO, tmp_path / ".lmstudio" / "models"),
        (FolderOrigin.HUB_CACHE, tmp_path / ".cache" / "huggingface" / "hub"),
        (FolderOrigin.USER, tmp_path / "mine"),
        (FolderOrigin.BUILT_IN, tmp_path / "packaged"),
    }


@pytest.mark.parametrize(
    ("variable", "value", "source", "expected"),
    [
        ("HF_HOME", "hf", FolderOrigin.HUB_CACHE, "hf/hub"),
        ("HF_HUB_CACHE", "cache", FolderOrigin.HUB_CACHE, "cache"),
        ("LLAMA_CACHE", "llamas", FolderOrigin.LLAMA_CPP, "llamas"),
    ],
)
def test_known_folders_follow_the_environment(tmp_path, monkeypatch, variable, value, source, expected):
    monkeypatch.setenv(variable, str(tmp_path / value))
    folders = known_folders(tmp_path / "own", home=tmp_path)
    assert tmp_path / expected in [folder.path for folder in folders if folder.source is source]


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("linux", ".cache/llama.cpp"),
        ("darwin", "Library/Caches/llama.cpp"),
        ("win32", "AppData/Local/llama.cpp"),
    ],
)
def test_known_folders_follow_the_system(tmp_path, monkeypatch, platform, expected):
    monkeypatch.setattr("baton_reasoning.core.models.library.sys.platform", platform)
    folders = known_folders(tmp_path / "own", home=tmp_path)
    assert tmp_path / expected in [folder.path for folder in folders]


def test_a_pipe_that_is_called_gguf_is_a_broken_file_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelFileError, match="is not a file"):
        read_header(tmp_path / "pipe.gguf")
    (broken,) = scanned(tmp_path).broken
    assert broken.path.name == "pipe.gguf"


# Deleting


def model_at(path: Path, source: FolderOrigin = FolderOrigin.OWN) -> LocalModel:
    return LocalModel(read_header(write_gguf(path)), source)


def test_a_trashed_model_is_gone_from_its_folder(tmp_path, trash):
    path = tmp_path / "models" / "m.gguf"
    content = write_gguf(path).read_bytes()
    move_to_trash(LocalModel(read_header(path), FolderOrigin.OWN))
    assert scanned(path.parent).models == ()
    assert (trash / "m.gguf").read_bytes() == content


def test_all_parts_go_together(tmp_path, trash):
    move_to_trash(LocalModel(read_header(write_split_gguf(tmp_path)[0]), FolderOrigin.OWN))
    assert len(list(trash.iterdir())) == 2
    assert list(tmp_path.glob("*.gguf")) == []


@pytest.mark.parametrize("remove", [move_to_trash, delete_for_good])
def test_a_model_of_the_hub_cache_goes_with_its_blob(remove, tmp_path, trash):
    blob = write_gguf(tmp_path / "blobs" / "0123")
    link = tmp_path / "snapshots" / "m.gguf"
    link.parent.mkdir()
    link.symlink_to(Path("..") / "blobs" / "0123")
    remove(LocalModel(read_header(link), FolderOrigin.HUB_CACHE))
    assert not blob.exists()
    assert not link.is_symlink()


def test_a_model_that_the_trash_does_not_take_stays_and_can_be_deleted(tmp_path, monkeypatch):
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
def test_built_in_models_stay(remove, tmp_path, trash):
    model = model_at(tmp_path / "m.gguf", FolderOrigin.BUILT_IN)
    with pytest.raises(ModelFileError, match="comes with the program"):
        remove(model)
    assert model.header.path.exists()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only there it is found by variables")
def test_the_trash_is_that_of_the_desktop(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    run_in_subprocess(move_to_trash, model_at(tmp_path / "m.gguf"), seconds=60)
    assert (tmp_path / "share" / "Trash" / "files" / "m.gguf").exists()
    assert f"Path={tmp_path}/m.gguf" in (tmp_path / "share" / "Trash" / "info" / "m.gguf.trashinfo").read_text()
