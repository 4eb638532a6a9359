"""Models are found where they lie, once each, and deleted as a person chose; what a person chooses for them is kept."""

import errno
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from baton_reasoning.core.errors import ModelFileError, SettingsError
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.library import (
    Folder,
    FolderOrigin,
    LocalModel,
    delete_for_good,
    known_folders,
    move_to_trash,
    scan,
)
from baton_reasoning.core.models.load_options import KvType, LoadOptions, Switch
from baton_reasoning.core.models.overrides import ModelOverrides, TagSource
from baton_reasoning.core.models.preferences import ENDPOINT, ModelPreferences, load_preferences, save_preferences
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.models.source import (
    DemoModel,
    HubFile,
    LocalFile,
    ServerUrls,
    file_source,
    is_demo_pair,
    local_path,
    parse_source,
    server_urls,
)
from baton_reasoning.core.models.thinking_tags import ThinkingTags
from tests.core.models.gguf_builder import values_of_a_llama, write_gguf, write_split_gguf
from tests.systems import posix_only, unreadable


def write_named(path, name):
    return write_gguf(path, values_of_a_llama(general__name=name))


WITH_LINKS = posix_only("links without a permission")


def scanned(*folders):
    return scan(Folder(folder, FolderOrigin.USER) for folder in folders)


def names(*folders):
    return [model.header.name for model in scanned(*folders).models]


def test_models_are_found_by_name_in_folders_that_are_not_too_deep_and_as_single_files(tmp_path):
    write_named(tmp_path / "a" / "publisher" / "repository" / "m.gguf", "zebra")
    single = write_named(tmp_path / "b" / "n.GGUF", "Ape")
    write_named(tmp_path / "b/1/2/3/4/5/6/m.gguf", "deep")
    write_named(tmp_path / "b/1/2/3/4/5/6/7/m.gguf", "too deep")
    (tmp_path / "b" / "notes.txt").write_text("not a model")
    if os.name == "posix":
        (tmp_path / "b" / "m.gguf").symlink_to(tmp_path / "gone")
    assert names(tmp_path / "a", tmp_path / "b", tmp_path / "missing") == ["Ape", "deep", "zebra"]
    assert scanned(tmp_path).broken == ()
    assert names(single) == ["Ape"]
    (found,) = scan([Folder(single, FolderOrigin.LM_STUDIO)]).models
    assert found.origin is FolderOrigin.LM_STUDIO


def test_broken_files_are_listed_with_their_reason(tmp_path):
    (tmp_path / "page.gguf").write_bytes(b"<html>")
    write_gguf(tmp_path / "good.gguf")
    assert names(tmp_path) == ["Little Llama"]
    (page,) = scanned(tmp_path).broken
    assert page.path == tmp_path / "page.gguf"
    assert "web page" in page.reason


@posix_only("pipes that are files")
def test_a_pipe_is_not_waited_for(tmp_path):
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe.gguf")
    (pipe,) = scanned(tmp_path).broken
    assert pipe.path == tmp_path / "pipe.gguf"
    assert "is not a file" in pipe.reason


@posix_only("permissions of folders")
def test_what_lies_below_a_folder_that_cannot_be_read_is_passed_over(tmp_path):
    locked = tmp_path / "locked"
    hidden = write_gguf(locked / "models" / "m.gguf")
    with TemporaryDirectory() as other:  # root's `tmp_path` is for root alone
        links = Path(other)
        links.chmod(0o755)
        (links / "a.gguf").symlink_to(hidden)
        write_gguf(links / "b.gguf")
        with unreadable(locked):
            found = scanned(locked, locked / "models", hidden, links)
    assert ([model.header.path.name for model in found.models], found.broken) == (["b.gguf"], ())


def test_parts_count_once(tmp_path):
    first, second = write_split_gguf(tmp_path / "split")
    assert [len(model.header.shards) for model in scanned(tmp_path).models] == [2]
    assert [model.header.path for model in scanned(second, first).models] == [first]
    first.unlink()
    inventory = scanned(tmp_path)
    assert inventory.models == ()
    assert ["m-00001-of-00002.gguf" in broken.reason for broken in inventory.broken] == [True]


@WITH_LINKS
def test_a_model_reached_by_two_ways_counts_once(tmp_path):
    blob = write_gguf(tmp_path / "hub" / "blobs" / "0123abcd")
    for snapshot in ("one", "two"):
        link = tmp_path / "hub" / "snapshots" / snapshot / "m.gguf"
        link.parent.mkdir(parents=True)
        link.symlink_to(blob)
    models = scanned(tmp_path / "hub", tmp_path / "hub" / "snapshots").models
    assert [model.header.path.parent.name for model in models] == ["one"]


def test_the_folders_of_the_programs_people_use_are_known(tmp_path, monkeypatch):
    variables = ("OLLAMA_MODELS", "HF_HUB_CACHE", "HF_HOME", "LLAMA_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA")
    for name in variables:
        monkeypatch.delenv(name, raising=False)

    def known(platform="linux"):
        monkeypatch.setattr("baton_reasoning.core.models.library.sys.platform", platform)
        chosen, built_in = (tmp_path / "mine",), (tmp_path / "packaged",)
        found = known_folders(tmp_path / "own", chosen, built_in=built_in, home=tmp_path)
        within = [folder for folder in found if folder.path.is_relative_to(tmp_path)]
        return [(folder.path.relative_to(tmp_path).as_posix(), folder.origin) for folder in within]

    assert known() == [
        (".ollama/models", FolderOrigin.OLLAMA),
        ("own", FolderOrigin.OWN),
        (".lmstudio/models", FolderOrigin.LM_STUDIO),
        (".cache/lm-studio/models", FolderOrigin.LM_STUDIO),
        (".cache/llama.cpp", FolderOrigin.LLAMA_CPP),
        (".cache/huggingface/hub", FolderOrigin.HUB_CACHE),
        ("mine", FolderOrigin.USER),
        ("packaged", FolderOrigin.BUILT_IN),
    ]
    assert known("darwin")[4] == ("Library/Caches/llama.cpp", FolderOrigin.LLAMA_CPP)
    assert known("win32")[4] == ("AppData/Local/llama.cpp", FolderOrigin.LLAMA_CPP)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert [path for path, _ in known()[4:6]] == ["xdg/llama.cpp", "hf/hub"]
    for name in variables:
        monkeypatch.setenv(name, str(tmp_path / name))
    assert [path for path, _ in known()[:2]] == ["OLLAMA_MODELS", ".ollama/models"]
    assert [path for path, _ in known()[5:7]] == ["LLAMA_CACHE", "HF_HUB_CACHE"]


# Deleting


def model_at(path, source=FolderOrigin.OWN):
    return LocalModel(read_header(path), source)


@pytest.mark.parametrize("remove", [move_to_trash, delete_for_good])
def test_a_model_goes_with_all_its_parts(remove, tmp_path, trash):
    first, second = write_split_gguf(tmp_path / "models")
    remove(model_at(first))
    assert not first.exists()
    assert not second.exists()
    if remove is move_to_trash:
        assert {first.name, second.name} == {path.name for path in trash.iterdir()}


@WITH_LINKS
@pytest.mark.parametrize("remove", [move_to_trash, delete_for_good])
def test_a_model_goes_with_its_blob_in_the_hub_cache_and_the_built_in_stay(remove, tmp_path, trash):
    blob, link = write_gguf(tmp_path / "blobs" / "0123"), tmp_path / "snapshots" / "m.gguf"
    link.parent.mkdir()
    link.symlink_to(Path("..") / "blobs" / "0123")
    with pytest.raises(ModelFileError, match="comes with the program"):
        remove(model_at(link, FolderOrigin.BUILT_IN))
    assert blob.exists()
    remove(model_at(link, FolderOrigin.HUB_CACHE))
    assert not any(path.exists() or path.is_symlink() for path in (blob, link))


def test_a_model_that_the_trash_does_not_take_stays_and_can_be_deleted(tmp_path, monkeypatch):
    def none_here(file):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("send2trash.send2trash", none_here)
    model = model_at(write_gguf(tmp_path / "m.gguf"))
    with pytest.raises(ModelFileError, match=r"m.gguf could not be moved to the system's trash: Permission denied\."):
        move_to_trash(model)
    assert model.header.path.exists()
    delete_for_good(model)
    assert not model.header.path.exists()


# Where a model comes from: a text and back


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("demo:large", DemoModel.LARGE),
        (str(Path("models/large.gguf")), LocalFile(Path("models/large.gguf"))),
        ("hf:Qwen/Qwen3-8B-GGUF:Q4_K_M", HubFile("Qwen/Qwen3-8B-GGUF", "Q4_K_M")),
        ("http://one:8080,https://two", ServerUrls(("http://one:8080", "https://two"))),
    ],
)
def test_a_text_names_a_source_and_the_source_prints_as_the_text(text, source):
    assert parse_source(text) == source
    assert str(source) == text


@given(st.text(max_size=40))
@example("0\r/")
@example("~\0")
def test_any_text_is_a_source_that_parses_to_itself_or_is_refused(text):
    try:
        source = parse_source(text)
    except SettingsError:
        return
    assert parse_source(str(source)) == source


def test_what_a_text_leaves_out_is_added_but_not_the_owner_of_a_repository():
    for text in ("", "  ", "demo"):
        assert parse_source(text) is DemoModel.SMALL
        assert parse_source(text, DemoModel.LARGE) is DemoModel.LARGE
    assert parse_source("~/m.gguf") == LocalFile(Path.home() / "m.gguf")
    assert parse_source("http://one , http://two,") == ServerUrls(("http://one", "http://two"))
    assert parse_source("localhost:8080#m") == ServerUrls(("http://localhost:8080#m",))
    assert server_urls("one:80") == ("http://one:80",)
    assert server_urls(" hf:x ") == ("hf:x",)
    assert server_urls(" ") == ()
    for text in ("hf:", "hf:name", "hf:a/b/c", "hf:a b/c"):
        with pytest.raises(SettingsError, match="hf:OWNER/NAME"):
            parse_source(text)


def test_the_demo_pair_is_known_by_its_paths(tmp_path):
    assert file_source(DemoModel.LARGE.path) is DemoModel.LARGE
    assert file_source(Path("/other.gguf")) == LocalFile(Path("/other.gguf"))
    small, large = LocalFile(DemoModel.SMALL.path), LocalFile(DemoModel.LARGE.path)
    assert is_demo_pair(DemoModel.SMALL, DemoModel.LARGE)
    assert is_demo_pair(small, large)
    assert not is_demo_pair(large, small)
    for other in (LocalFile(tmp_path / "missing.gguf"), ServerUrls(("http://one",))):
        assert not is_demo_pair(small, other)
    assert (local_path(small), local_path(HubFile("a/b"))) == (small.path, None)


# Choices, kept in models.json

CUES = '{"reflection": {"moment": []}}'


def test_what_was_saved_is_loaded_again_and_one_wrong_value_falls_back_alone(tmp_path):
    file = tmp_path / "config" / "models.json"
    choice = LoadOptions(context=4096, kv_type=KvType.Q8_0, flash_attention=Switch.ON)
    writing = ModelOverrides(temperature=0.8, tags=TagSource.OTHER, opening="<t>", closing="</t>", cue_list=CUES)
    preferences = ModelPreferences(offline=True, added=(tmp_path,)).with_loading(Path("m.gguf"), choice)
    preferences = preferences.with_overrides(Path("m.gguf"), writing)
    save_preferences(preferences, file)
    assert load_preferences(file) == preferences
    file.write_text(file.read_text().replace('"batch": 512', '"batch": "many"').replace(ENDPOINT, "no address"))
    assert load_preferences(file) == preferences


def test_a_choice_for_one_model_leaves_the_others_and_the_texts_at_once_alone(tmp_path, monkeypatch):
    general = LoadOptions(context=1024, parallel=3)
    preferences = ModelPreferences().with_loading(tmp_path / "m.gguf", LoadOptions(context=4096))
    monkeypatch.chdir(tmp_path)  # a file is the same from wherever it is named
    assert preferences.choices_for(Path("other.gguf"), general) == (general, ModelOverrides())
    own = preferences.choices_for(Path("m.gguf"), general).load
    assert (own.context, own.parallel) == (4096, 3)
    writing = ModelPreferences().with_overrides(Path("m.gguf"), ModelOverrides(top_k=20, cue_list=CUES))
    assert writing.choices_for(Path("m.gguf"), general) == (general, ModelOverrides(top_k=20, cue_list=CUES))
    as_it_was = writing.with_overrides(Path("m.gguf"), ModelOverrides())
    assert as_it_was == ModelPreferences(), "what leaves everything as it is is not kept"


def test_a_model_has_its_own_sampling_and_tags_where_they_are_set():
    run = Sampling(0.1, 0.2, 3)
    assert ModelOverrides().sampling(run) == run
    assert ModelOverrides(temperature=0, top_p=1, top_k=0).sampling(run) == Sampling(0, 1, 0)
    template = ThinkingTags("<think>", "</think>")
    assert ModelOverrides().thinking_tags(template) == template
    assert ModelOverrides(tags=TagSource.NONE).thinking_tags(template) is None
    other = ModelOverrides(tags=TagSource.OTHER, opening="[T]", closing="[/T]")
    assert other.thinking_tags(template) == ThinkingTags("[T]", "[/T]")
    assert other.model_copy(update={"closing": ""}).thinking_tags(template) == template


def test_mirror_and_token_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    access = ModelPreferences().access(None)
    assert (access.endpoint, access.token) == ("https://mirror.example", "hf_environment")
    chosen = ModelPreferences(endpoint="https://other.example").access("hf_keyring")
    assert (chosen.endpoint, chosen.token, chosen.offline) == ("https://other.example", "hf_keyring", False)
    assert ModelPreferences(offline=True).access(None).offline
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_ENDPOINT")
    assert ModelPreferences().access(None).offline
    assert ModelPreferences().access(None).endpoint == ENDPOINT
