"""Data sets of the Hub are read at a commit, through the cache, and again without a network."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _headers

from baton_reasoning.core.batch.reading.hub_data import HubDataSet
from baton_reasoning.core.batch.reading.problems import read_data_set
from baton_reasoning.core.errors import BatonError, DownloadError, ProblemFileError
from baton_reasoning.core.models.hub import Hub
from baton_reasoning.core.models.options import HubAccess
from tests.core.batch.data_hub import COMMIT, running_data_hub

NOWHERE = "http://127.0.0.1:9"


def lines(*questions: str) -> str:
    return "\n".join(json.dumps({"question": question, "answer": "1"}) for question in questions)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with running_data_hub(tmp_path / "cache", monkeypatch) as hub:
        yield hub


def texts(name: str, endpoint: str) -> list[str]:
    return [problem.text for problem in read_data_set(name, Hub(HubAccess(endpoint))).problems]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("hf:maths/sums", ("maths/sums", "", "")),
        ("hf:maths/sums@v1.0", ("maths/sums", "v1.0", "")),
        ("hf:maths/sums@abc:main/test", ("maths/sums", "abc", "main/test")),
        (" maths/sums:test ", ("maths/sums", "", "test")),
        ("https://huggingface.co/datasets/maths/sums/", ("maths/sums", "", "")),
    ],
)
def test_a_name_has_a_revision_and_a_split(name, parts):
    assert HubDataSet.parse(name) == parts


@pytest.mark.parametrize("name", ["hf:", "hf:sums", "hf:maths/sums:a b", "hf:../x/y/z"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ProblemFileError, match="Write hf:OWNER/NAME"):
        HubDataSet.parse(name)


def test_the_test_split_is_read_and_its_commit_named(hub):
    hub.files = {"README.md": "# Sums", "train.jsonl": lines("Old?"), "test.jsonl": lines("New?", "Newer?")}
    found = read_data_set("hf:maths/sums", Hub(HubAccess(hub.endpoint)))
    assert [problem.text for problem in found.problems] == ["New?", "Newer?"]
    assert found.name == "sums"
    assert found.notes[0] == f"Read test.jsonl of hf:maths/sums@{COMMIT}."
    assert found.origin.data_set == f"hf:maths/sums@{COMMIT}"


def test_a_split_and_the_parts_of_a_split_are_chosen_by_name(hub):
    hub.files = {
        "main/test-00000-of-00002.jsonl": lines("First?"),
        "main/test-00001-of-00002.jsonl": lines("Second?"),
        "main/train.jsonl": lines("Old?"),
        "hard/test.jsonl": lines("Hard?"),
    }
    assert texts("hf:maths/sums:main/test", hub.endpoint) == ["First?", "Second?"]
    assert texts(f"hf:maths/sums@{COMMIT}:hard/test", hub.endpoint) == ["Hard?"]
    with pytest.raises(ProblemFileError, match=r"several configurations: .*hard/test.jsonl"):
        texts("hf:maths/sums:test", hub.endpoint)
    with pytest.raises(ProblemFileError, match=r"no split “other”"):
        texts("hf:maths/sums:other", hub.endpoint)


@pytest.mark.parametrize("revision", ["", f"@{COMMIT}", f"@{COMMIT[:7]}", "@v1.0"])
def test_what_was_read_once_is_read_offline(hub, revision):
    hub.files = {"test.jsonl": lines("New?")}
    name = f"hf:maths/sums{revision}"
    assert texts(name, hub.endpoint) == ["New?"]
    assert texts(name, NOWHERE) == ["New?"]
    found = read_data_set(name, Hub(HubAccess(hub.endpoint, offline=True)))
    assert [problem.text for problem in found.problems] == ["New?"]
    assert found.origin.data_set == f"hf:maths/sums@{COMMIT}"


def test_what_changes_after_the_listing_is_read_as_it_was_listed(hub):
    hub.files, hub.newer = {"test.jsonl": lines("New?")}, COMMIT[::-1]
    found = read_data_set("hf:maths/sums", Hub(HubAccess(hub.endpoint)))
    assert found.notes[0] == f"Read test.jsonl of hf:maths/sums@{COMMIT}."
    assert found.problems


def test_a_part_that_does_not_arrive_is_an_error_and_not_left_out(hub):
    hub.files = {f"test-0000{n}-of-00002.jsonl": lines(question) for n, question in enumerate(("First?", "Second?"))}
    hub.missing = {"test-00001-of-00002.jsonl"}
    with pytest.raises(DownloadError, match="test-00001-of-00002"):
        texts("hf:maths/sums", hub.endpoint)
    with pytest.raises(DownloadError, match=r"cannot be reached.*only parts of its files are in the cache"):
        texts(f"hf:maths/sums@{COMMIT}", NOWHERE)
    hub.missing = set()
    assert texts("hf:maths/sums", hub.endpoint) == ["First?", "Second?"]
    assert texts(f"hf:maths/sums@{COMMIT}", NOWHERE) == ["First?", "Second?"]


def test_a_data_set_that_is_not_there_or_not_in_the_cache_is_named(hub):
    with pytest.raises(DownloadError, match=r"cannot be reached.*maths/sums is not in the cache"):
        texts("hf:maths/sums", NOWHERE)
    with pytest.raises(BatonError, match="maths/nothing"):
        texts("hf:maths/nothing", hub.endpoint)


def test_the_library_that_keeps_the_cache_sends_no_telemetry(hub, monkeypatch):
    looked_for_agents: list[bool] = []
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr(_headers, "detect_agent", lambda: looked_for_agents.append(True))
    hub.files = {"test.jsonl": lines("New?")}
    assert texts("hf:maths/sums", hub.endpoint) == ["New?"]
    assert not looked_for_agents


def test_a_cache_that_takes_no_file_is_said(hub, tmp_path):
    hub.files = {"test.jsonl": lines("New?")}
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(DownloadError, match=r"maths/sums/test\.jsonl cannot be stored"):
        texts("hf:maths/sums", hub.endpoint)


@pytest.mark.usefixtures("hub")
def test_a_hub_that_is_gone_once_its_files_are_listed_is_asked_once(caplog):
    with pytest.raises(DownloadError, match=f"{NOWHERE} cannot be reached"):
        Hub(HubAccess(NOWHERE)).data_file("maths/sums", COMMIT, "test.jsonl")
    assert "Retrying" not in caplog.text
