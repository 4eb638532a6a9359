"""What a person types for a model becomes one type, and prints back as the same text."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.options import (
    DemoModel,
    HubFile,
    LocalFile,
    ServerUrls,
    file_source,
    is_demo_pair,
    local_path,
    parse_source,
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
def test_a_text_names_a_source_and_the_source_prints_as_the_text(text: str, source: object) -> None:
    assert parse_source(text) == source
    assert str(source) == text


@pytest.mark.parametrize("text", ["", "  ", "demo"])
def test_demo_and_nothing_name_the_demo_model_of_the_part_they_are_for(text: str) -> None:
    assert parse_source(text) is DemoModel.SMALL
    assert parse_source(text, DemoModel.LARGE) is DemoModel.LARGE


def test_the_home_folder_is_written_out_and_blanks_between_servers_are_left_out() -> None:
    assert parse_source("~/m.gguf") == LocalFile(Path.home() / "m.gguf")
    assert parse_source("http://one , http://two,") == ServerUrls(("http://one", "http://two"))


@pytest.mark.parametrize("text", ["hf:", "hf:name", "hf:a/b/c", "hf:a b/c"])
def test_a_hub_name_without_owner_and_repository_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="hf:OWNER/NAME"):
        parse_source(text)


def test_the_demo_pairs_files_are_the_demo_pair_wherever_they_lie() -> None:
    assert file_source(DemoModel.LARGE.path) is DemoModel.LARGE
    assert file_source(Path("/other.gguf")) == LocalFile(Path("/other.gguf"))
    assert DemoModel.SMALL.path.is_file()


def test_the_demo_pair_is_recognised_by_the_bytes_of_its_files(tmp_path: Path) -> None:
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


def test_only_files_have_a_path() -> None:
    assert local_path(LocalFile(Path("m.gguf"))) == Path("m.gguf")
    assert local_path(HubFile("a/b")) is None
    assert local_path(ServerUrls(("http://one",))) is None


@given(st.text(max_size=40))
@example("0\r/")
@example("~\0")
def test_any_text_is_a_source_that_parses_to_itself_or_is_refused(text: str) -> None:
    try:
        source = parse_source(text)
    except SettingsError:
        return
    assert parse_source(str(source)) == source
