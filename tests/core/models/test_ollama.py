"""Models of Ollama's store are found and named as Ollama names them, and nothing there is ever changed."""

import os

import pytest

from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.library import (
    Folder,
    FolderOrigin,
    delete_for_good,
    known_folders,
    move_to_trash,
    scan,
    source_named,
    text_of,
)
from baton_reasoning.core.models.ollama import SERVICE_STORE, find, models_in, stores
from baton_reasoning.core.models.source import DemoModel, HubFile, LocalFile, ServerUrls
from baton_reasoning.core.words.labels import source_name
from tests.core.models.gguf_builder import gguf_bytes, values_of_a_llama
from tests.core.models.ollama_store import ADAPTER, LIBRARY, MODEL, put_blob, put_model, write_manifest
from tests.systems import posix_only, unreadable

WHOLE = gguf_bytes()


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The only store there is; it is empty."""
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "store"))
    return tmp_path / "store"


def listed(store):
    return scan([Folder(store, FolderOrigin.OLLAMA)])


def of_architecture(name, **changes):
    values = values_of_a_llama(general__architecture=name, **changes)
    return gguf_bytes({key.replace("llama.", f"{name}."): value for key, value in values.items()})


def test_each_name_is_the_one_that_ollama_displays_and_finds_its_file_again(store):
    names = {
        f"{LIBRARY}/qwen3/8b": "qwen3:8b",
        f"{LIBRARY}/llama3.2/latest": "llama3.2:latest",
        "registry.ollama.ai/owner/deep-seek/q4_K_M": "owner/deep-seek:q4_K_M",
        "hf.co/owner/Model-GGUF/Q8_0": "hf.co/owner/Model-GGUF:Q8_0",
    }
    blobs = {
        shown: put_model(store, name, gguf_bytes() + bytes(1 + at)) for at, (name, shown) in enumerate(names.items())
    }
    write_manifest(store, f"{LIBRARY}/qwen3/.DS_Store", "not a manifest")
    (store / "manifests" / LIBRARY / "qwen3" / "folder").mkdir()
    assert dict(models_in(store)) == blobs
    assert {name: find(name) for name in blobs} == blobs
    assert find("registry.ollama.ai/library/qwen3:8b") == blobs["qwen3:8b"]
    found = listed(store)
    assert {model.name: model.header.path for model in found.models} == blobs
    assert {model.origin for model in found.models} == {FolderOrigin.OLLAMA}
    assert not found.broken
    for name in ("qwen3", "qwen3:4b", "other/qwen3:8b", "qwen3:8b/", "/qwen3:8b", "../qwen3:8b", "a/b/c/qwen3:8b"):
        assert find(name) is None


def test_a_file_of_two_names_counts_once_and_has_the_more_telling_one(store):
    put_model(store, f"{LIBRARY}/qwen3/latest", WHOLE)
    blob = put_model(store, f"{LIBRARY}/qwen3/q8_0", WHOLE)
    assert [model.name for model in listed(store).models] == ["qwen3:q8_0"]
    assert find("qwen3:latest") == find("qwen3:q8_0") == blob


def test_a_model_without_a_name_of_its_own_is_called_what_ollama_calls_it(store):
    put_model(store, f"{LIBRARY}/llama3.2/1b", gguf_bytes(values_of_a_llama(general__name=None)))
    (model,) = listed(store).models
    assert model.header.name == "llama3.2:1b"


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda store, _: write_manifest(store, f"{LIBRARY}/m/1b", "{"), "manifest or configuration is damaged"),
        (lambda store, _: write_manifest(store, f"{LIBRARY}/m/1b", '{"other": ' + "[" * 100_000), "is damaged"),
        (lambda store, _: write_manifest(store, f"{LIBRARY}/m/1b", '{"config": {"digest": "../../x"}}'), "is damaged"),
        (lambda _, blob: blob.unlink(), r"a file cannot be read \("),
        (lambda store, _: put_model(store, f"{LIBRARY}/m/1b", WHOLE, model_format="safetensors"), "format GGUF"),
        (lambda store, _: put_model(store, f"{LIBRARY}/m/1b", WHOLE, (MODEL, ADAPTER)), "used with an adapter"),
        (lambda store, _: put_model(store, f"{LIBRARY}/m/1b", WHOLE, ()), "format GGUF"),  # on Ollama's own servers
    ],
)
def test_what_cannot_be_used_is_left_out_and_explained_where_it_is_named(store, damage, reason):
    damage(store, put_model(store, f"{LIBRARY}/m/1b", WHOLE))
    put_model(store, f"{LIBRARY}/whole/1b", WHOLE + b"\0")
    found = listed(store)
    assert ([model.name for model in found.models], found.broken) == (["whole:1b"], ())
    with pytest.raises(ModelFileError, match=rf"Ollama's m:1b cannot be used: .*{reason}.*localhost:11434#m:1b"):
        source_named("m:1b")


def test_a_damaged_manifest_may_name_weights_as_its_configuration_which_are_not_read_whole(store):
    huge = put_blob(store, b'{"model_format": "gguf"' + b" " * 2**20 + b"}")
    blob = put_model(store, f"{LIBRARY}/m/1b", WHOLE)
    manifest = store / "manifests" / LIBRARY / "m" / "1b"
    text = manifest.read_text(encoding="utf-8")
    config = text.split('"digest": "')[1].partition('"')[0]
    assert list(models_in(store)) == [("m:1b", blob)]
    manifest.write_text(text.replace(config, huge.name.replace("-", ":")), encoding="utf-8")
    assert list(models_in(store)) == []


@posix_only("permissions of folders")
def test_folders_that_cannot_be_read_are_passed_over_and_named_where_a_model_is(store, tmp_path):
    blob = put_model(store, f"{LIBRARY}/m/1b", WHOLE)
    folders = known_folders(tmp_path / "own", (store, blob), home=tmp_path)
    with unreadable(store):
        found = scan(folders)
        assert (found.models, [broken.path for broken in found.broken]) == ((), [])
        with pytest.raises(ModelFileError, match=r"store cannot be read: .*localhost:11434#m:1b"):
            source_named("m:1b")
        assert source_named("localhost:80") == ServerUrls(("http://localhost:80",))


def test_stores_are_those_of_the_variable_the_user_and_the_service(tmp_path, monkeypatch):
    monkeypatch.setattr("baton_reasoning.core.models.ollama.SERVICE_STORE", SERVICE_STORE)
    usual = (tmp_path / ".ollama" / "models", SERVICE_STORE)
    monkeypatch.setenv("OLLAMA_MODELS", "  ")
    assert stores(tmp_path) == usual
    monkeypatch.setenv("OLLAMA_MODELS", f' "{tmp_path}" ')
    assert stores(tmp_path) == (tmp_path, *usual)


@pytest.mark.parametrize("remove", [move_to_trash, delete_for_good])
def test_a_model_of_ollama_is_never_deleted_wherever_it_is_found(store, tmp_path, remove, trash):
    blob = put_model(store, f"{LIBRARY}/qwen3/8b", WHOLE)
    found = [*listed(store).models, *scan([Folder(blob, FolderOrigin.USER)]).models]
    if os.name == "posix":
        (tmp_path / "links").mkdir()
        (tmp_path / "links" / "m.gguf").symlink_to(blob)
        found += scan([Folder(tmp_path / "links", FolderOrigin.LM_STUDIO)]).models
    assert len(found) == (3 if os.name == "posix" else 2)
    for model in found:
        with pytest.raises(ModelFileError, match=r"qwen3:8b belongs to Ollama.* ollama rm qwen3:8b$"):
            remove(model)
    assert blob.read_bytes() == WHOLE
    assert not list(trash.iterdir())


def test_a_link_to_a_model_of_ollama_hides_behind_its_name(store, tmp_path):
    put_model(store, f"{LIBRARY}/qwen3/8b", WHOLE)
    own = tmp_path / "own"
    own.mkdir()
    if os.name == "posix":
        (own / "m.gguf").symlink_to(next((store / "blobs").iterdir()))
    assert [model.name for model in scan(known_folders(own, home=tmp_path)).models] == ["qwen3:8b"]


def test_an_architecture_of_ollama_is_refused_with_the_server_as_the_way_out(store, tmp_path):
    put_model(store, f"{LIBRARY}/gpt-oss/20b", of_architecture("gptoss"))
    put_model(store, f"{LIBRARY}/nomic-embed-text/latest", of_architecture("nomic-bert"))
    found = listed(store)
    assert not found.models
    assert {broken.reason for broken in found.broken} == {
        "gpt-oss:20b has the architecture gptoss, which only Ollama loads. "
        "Let Ollama serve it: start it, and use http://localhost:11434#gpt-oss:20b.",
        "nomic-embed-text:latest is a nomic-bert model, a kind that cannot write text step by step. "
        "Choose a text model.",
    }
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(of_architecture("gptoss"))
    (broken,) = scan([Folder(copy, FolderOrigin.USER)]).broken
    assert broken.reason.endswith("which only Ollama loads. Choose another conversion of the model.")


def test_a_name_is_a_source_before_an_address_without_http_and_after_all_else(store):
    blob = put_model(store, f"{LIBRARY}/model/7", WHOLE)
    put_model(store, f"{LIBRARY}/demo/small", WHOLE + b"\0")
    assert source_named(" model:7 ") == LocalFile(blob)
    assert source_named("demo:small") is DemoModel.SMALL
    assert source_named("demo", DemoModel.LARGE) is DemoModel.LARGE
    assert source_named("hf:a/b:Q4") == HubFile("a/b", "Q4")
    assert source_named("model:8") == ServerUrls(("http://model:8",))
    assert source_named("http://model:7") == ServerUrls(("http://model:7",))
    blob.unlink()
    assert source_named("model:7") == ServerUrls(("http://model:7",))


def test_a_file_of_ollama_is_shown_and_typed_by_its_name(store, tmp_path, monkeypatch):
    blob = put_model(store, f"{LIBRARY}/qwen3/8b", WHOLE)
    assert source_name(LocalFile(blob)) == text_of(LocalFile(blob)) == "qwen3:8b"
    assert text_of(LocalFile(tmp_path / "m.gguf")) == str(tmp_path / "m.gguf")
    monkeypatch.delenv("OLLAMA_MODELS")
    assert text_of(LocalFile(blob)) == str(blob), "the name would not be found"
    nameless = put_blob(store, b"other")
    assert source_name(LocalFile(nameless)) == nameless.name
