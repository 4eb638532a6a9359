"""What a person chooses about a model: its source is a text and back, and the choices are kept in a file."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from baton_reasoning.core.demo_pair import SMALL_MODEL
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.fit import estimate
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import (
    ENDPOINT,
    DemoModel,
    HubFile,
    KvType,
    LoadOptions,
    LocalFile,
    ModelOverrides,
    ModelPreferences,
    ServerUrls,
    Switch,
    TagSource,
    ThinkingTags,
    file_source,
    is_demo_pair,
    load_preferences,
    local_path,
    parse_source,
    save_preferences,
)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("demo:large", DemoModel.LARGE),
        ("models/large.gguf", LocalFile(Path("models/large.gguf"))),
        ("hf:Qwen/Qwen3-8B-GGUF", HubFile("Qwen/Qwen3-8B-GGUF")),
        ("hf:Qwen/Qwen3-8B-GGUF:Q4_K_M", HubFile("Qwen/Qwen3-8B-GGUF", "Q4_K_M")),
        ("http://office:8080", ServerUrls(("http://office:8080",))),
        ("http://office:9931#ours/4B:Q4", ServerUrls(("http://office:9931#ours/4B:Q4",))),
        ("http://one:8080,https://two", ServerUrls(("http://one:8080", "https://two"))),
    ],
)
def test_a_text_names_a_source_and_the_source_prints_as_the_text(text, source):
    assert parse_source(text) == source
    assert str(source) == text


@pytest.mark.parametrize("text", ["", "  ", "demo"])
def test_demo_and_nothing_name_the_demo_model_of_the_part_they_are_for(text):
    assert parse_source(text) is DemoModel.SMALL
    assert parse_source(text, DemoModel.LARGE) is DemoModel.LARGE


def test_the_home_folder_is_written_out_and_blanks_between_servers_are_left_out():
    assert parse_source("~/m.gguf") == LocalFile(Path.home() / "m.gguf")
    assert parse_source("http://one , http://two,") == ServerUrls(("http://one", "http://two"))


@pytest.mark.parametrize("text", ["hf:", "hf:name", "hf:a/b/c", "hf:a b/c"])
def test_a_hub_name_without_owner_and_repository_is_refused(text):
    with pytest.raises(SettingsError, match="hf:OWNER/NAME"):
        parse_source(text)


def test_the_demo_pairs_files_are_the_demo_pair_wherever_they_lie():
    assert file_source(DemoModel.LARGE.path) is DemoModel.LARGE
    assert file_source(Path("/other.gguf")) == LocalFile(Path("/other.gguf"))
    assert DemoModel.SMALL.path.is_file()


def test_the_demo_pair_is_recognised_by_the_bytes_of_its_files(tmp_path):
    small, large = LocalFile(tmp_path / "one.gguf"), LocalFile(tmp_path / "two.gguf")
    small.path.write_bytes(DemoModel.SMALL.path.read_bytes())
    large.path.write_bytes(DemoModel.LARGE.path.read_bytes())
    assert is_demo_pair(DemoModel.SMALL, DemoModel.LARGE)
    assert is_demo_pair(small, large)
    assert not is_demo_pair(large, small)
    large.path.write_bytes(DemoModel.LARGE.path.read_bytes()[:-1] + b"?")
    assert not is_demo_pair(small, large)
    assert not is_demo_pair(small, LocalFile(tmp_path / "missing.gguf"))
    assert not is_demo_pair(DemoModel.SMALL, ServerUrls(("http://one",)))


def test_only_files_have_a_path():
    assert local_path(LocalFile(Path("m.gguf"))) == Path("m.gguf")
    assert local_path(HubFile("a/b")) is None
    assert local_path(ServerUrls(("http://one",))) is None


@given(st.text(max_size=40))
@example("0\r/")
@example("~\0")
def test_any_text_is_a_source_that_parses_to_itself_or_is_refused(text):
    try:
        source = parse_source(text)
    except SettingsError:
        return
    assert parse_source(str(source)) == source


# Choices, kept in models.json


CUES = '{"reflection": {"moment": []}}'


def test_what_was_saved_is_loaded_again(tmp_path):
    choice = LoadOptions(context=4096, kv_type=KvType.Q8_0, flash_attention=Switch.ON)
    writing = ModelOverrides(temperature=0.8, tags=TagSource.OTHER, opening="<t>", closing="</t>", cue_list=CUES)
    preferences = ModelPreferences(offline=True, added=(tmp_path,)).with_loading(Path("m.gguf"), choice)
    preferences = preferences.with_overrides(Path("m.gguf"), writing)
    save_preferences(preferences, tmp_path / "config" / "models.json")
    assert load_preferences(tmp_path / "config" / "models.json") == preferences


@pytest.mark.parametrize(
    "content", ["", "[]", "[" * 100_000, '{"models": ' * 100_000, '{"endpoint": "not an address"}']
)
def test_a_file_that_cannot_be_read_gives_the_defaults(tmp_path, content):
    (tmp_path / "models.json").write_text(content)
    assert load_preferences(tmp_path / "models.json") == ModelPreferences()


def test_one_wrong_value_falls_back_alone(tmp_path):
    file = tmp_path / "models.json"
    chosen = ModelPreferences(added=(tmp_path,)).with_loading(Path("/m.gguf"), LoadOptions(context=512))
    save_preferences(chosen, file)
    file.write_text(file.read_text().replace('"batch": 512', '"batch": "many"'))
    assert load_preferences(file) == chosen


def test_what_an_older_version_kept_beside_is_ignored(tmp_path):
    (tmp_path / "models.json").write_text('{"offline": true, "cue_shares": {"/m.gguf": 0.5}}')
    assert load_preferences(tmp_path / "models.json") == ModelPreferences(offline=True)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "config").write_text("a file, not a folder")
    with pytest.raises(SettingsError, match="could not be saved"):
        save_preferences(ModelPreferences(), tmp_path / "config" / "models.json")


def test_a_choice_for_one_model_leaves_the_others_and_the_texts_at_once_alone(tmp_path, monkeypatch):
    general = LoadOptions(context=1024, parallel=3)
    preferences = ModelPreferences().with_loading(tmp_path / "m.gguf", LoadOptions(context=4096))
    monkeypatch.chdir(tmp_path)  # a file is the same from wherever it is named
    assert preferences.choices_for(Path("other.gguf"), general) == (general, ModelOverrides())
    own = preferences.choices_for(Path("m.gguf"), general).load
    assert (own.context, own.parallel) == (4096, 3)


def test_how_a_model_writes_reaches_the_engine_even_where_its_loading_is_left_alone():
    preferences = ModelPreferences().with_overrides(Path("m.gguf"), ModelOverrides(top_k=20, cue_list=CUES))
    choices = preferences.choices_for(Path("m.gguf"), LoadOptions(context=1024))
    assert choices == (LoadOptions(context=1024), ModelOverrides(top_k=20, cue_list=CUES))
    as_it_was = preferences.with_overrides(Path("m.gguf"), ModelOverrides())
    assert as_it_was == ModelPreferences(), "what leaves everything as it is is not kept"


def test_a_choice_is_judged_with_all_that_takes_memory():
    header = read_header(SMALL_MODEL)
    usual, without = (
        estimate(header, LoadOptions(context=2048, flash_attention=choice)) for choice in (Switch.AUTOMATIC, Switch.OFF)
    )
    scores = 4 * 512 * ((header.head_count + 1) * 2048 + 5 * header.embedding_length)
    assert without.compute_bytes == max(scores, usual.compute_bytes) > usual.compute_bytes


def test_tags_are_the_templates_others_or_none():
    template = ThinkingTags("<think>", "</think>")
    assert ModelOverrides().thinking_tags(template) == template
    assert ModelOverrides(tags=TagSource.NONE).thinking_tags(template) is None
    other = ModelOverrides(tags=TagSource.OTHER, opening="[T]", closing="[/T]")
    assert other.thinking_tags(template) == ThinkingTags("[T]", "[/T]")
    assert other.model_copy(update={"closing": ""}).thinking_tags(template) == template


def test_mirror_and_token_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    monkeypatch.setenv("HF_TOKEN", "hf_environment")
    assert ModelPreferences().access(None).endpoint == "https://mirror.example"
    assert ModelPreferences().access(None).token == "hf_environment"
    chosen = ModelPreferences(endpoint="https://other.example").access("hf_keyring")
    assert (chosen.endpoint, chosen.token) == ("https://other.example", "hf_keyring")
    assert not chosen.offline
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert ModelPreferences().access(None).offline
    monkeypatch.delenv("HF_ENDPOINT")
    assert ModelPreferences().access(None).endpoint == ENDPOINT
