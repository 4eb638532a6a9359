"""Data sets of the Hub are read at a commit, through the cache, and again without a network."""

import json

import pytest
from huggingface_hub import constants, file_download
from huggingface_hub.utils import _headers

from baton_reasoning.core.batch.reading.hub_data import HubDataSet
from baton_reasoning.core.batch.reading.problems import read_data_set
from baton_reasoning.core.errors import BatonError, DownloadError, ProblemFileError
from baton_reasoning.core.models.hub import Hub
from baton_reasoning.core.models.preferences import HubAccess
from tests.core.batch.counting import texts
from tests.core.models.hub_server import REVISION, running_data_set
from tests.systems import is_wine

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    if is_wine():  # its links lead nowhere; a person without the right to make them has none either
        monkeypatch.setattr(file_download, "are_symlinks_supported", lambda _: False)
    with running_data_set() as hub:
        yield hub


def questions(*given):
    return "\n".join(json.dumps({"question": question, "answer": "1"}) for question in given)


def from_hub(name, endpoint):
    return texts(read_data_set(name, Hub(HubAccess(endpoint))))


def test_a_name_has_a_revision_and_a_split_or_is_refused():
    for name, revision, split in (
        ("hf:maths/sums@v1.0", "v1.0", ""),
        ("hf:maths/sums@abc:main/test", "abc", "main/test"),
        (" maths/sums:test ", "", "test"),
        ("https://huggingface.co/datasets/maths/sums/", "", ""),
    ):
        assert HubDataSet.parse(name) == ("maths/sums", revision, split)
    for refused in ("hf:", "hf:sums", "hf:maths/sums:a b", "hf:../x/y/z"):
        with pytest.raises(ProblemFileError, match="Write hf:OWNER/NAME"):
            HubDataSet.parse(refused)


@pytest.mark.parametrize("newer", [REVISION, REVISION[::-1]])
def test_the_test_split_is_read_as_it_was_listed_and_its_commit_named_and_nobody_is_told(hub, newer, monkeypatch):
    """huggingface_hub looks for the agent that runs it where it sends telemetry."""
    looked_for_agents: list[bool] = []
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr(_headers, "detect_agent", lambda: looked_for_agents.append(True))
    hub.files = {"README.md": "# Sums", "train.jsonl": questions("Old?"), "test.jsonl": questions("New?", "Newer?")}
    hub.newer = newer
    found = read_data_set("hf:maths/sums", Hub(HubAccess(hub.endpoint)), limit=1)
    assert (texts(found), found.name) == (["New?"], "sums")
    assert found.notes[0] == f"Read test.jsonl of hf:maths/sums@{REVISION}."
    assert found.origin.data_set == f"hf:maths/sums@{REVISION}"
    assert not looked_for_agents


def test_a_split_and_the_parts_of_a_split_are_chosen_by_name(hub, monkeypatch):
    hub.files = {
        "main/test-00000-of-00002.jsonl": questions("First?"),
        "main/test-00001-of-00002.jsonl": questions("Second?"),
        "main/train.jsonl": questions("Old?"),
        "hard/test.jsonl": questions("Hard?"),
    }
    assert from_hub("hf:maths/sums:main/test", hub.endpoint) == ["First?", "Second?"]
    assert from_hub(f"hf:maths/sums@{REVISION}:hard/test", hub.endpoint) == ["Hard?"]
    with pytest.raises(ProblemFileError, match=r"several configurations: .*hard/test.jsonl"):
        from_hub("hf:maths/sums:test", hub.endpoint)
    with pytest.raises(ProblemFileError, match=r"no split “other”"):
        from_hub("hf:maths/sums:other", hub.endpoint)
    monkeypatch.setattr("baton_reasoning.core.batch.reading.hub_data.LARGEST", 10)
    with pytest.raises(ProblemFileError, match=r"GiB in this split\. Name a smaller one"):
        from_hub("hf:maths/sums:hard/test", hub.endpoint)
    hub.files = {"sums.zip": "", "readme.txt": ""}
    with pytest.raises(ProblemFileError, match=r"no file of problems .* It has .*sums\.zip"):
        from_hub("hf:maths/sums", hub.endpoint)


@pytest.mark.parametrize("revision", ["", f"@{REVISION}", f"@{REVISION[:7]}", "@v1.0"])
def test_what_was_read_once_is_read_offline(hub, revision):
    hub.files = {"test.jsonl": questions("New?")}
    name = f"hf:maths/sums{revision}"
    assert from_hub(name, hub.endpoint) == from_hub(name, NOWHERE) == ["New?"]
    found = read_data_set(name, Hub(HubAccess(hub.endpoint, offline=True)))
    assert texts(found) == ["New?"]
    assert found.origin.data_set == f"hf:maths/sums@{REVISION}"


def test_a_part_that_does_not_arrive_is_an_error_and_not_left_out(hub):
    parts = ("First?", "Second?")
    hub.files = {f"test-0000{n}-of-00002.jsonl": questions(question) for n, question in enumerate(parts)}
    hub.missing = ["test-00001-of-00002.jsonl"]
    with pytest.raises(DownloadError, match="test-00001-of-00002"):
        from_hub("hf:maths/sums", hub.endpoint)
    with pytest.raises(DownloadError, match=r"cannot be reached.*only parts of its files are in the cache"):
        from_hub(f"hf:maths/sums@{REVISION}", NOWHERE)
    hub.missing = []
    for name, endpoint in (("hf:maths/sums", hub.endpoint), (f"hf:maths/sums@{REVISION}", NOWHERE)):
        assert from_hub(name, endpoint) == list(parts)


def test_what_is_not_there_not_in_the_cache_or_cannot_be_stored_is_named(hub, tmp_path, caplog):
    with pytest.raises(DownloadError, match=r"cannot be reached.*maths/sums is not in the cache"):
        from_hub("hf:maths/sums", NOWHERE)
    with pytest.raises(BatonError, match="maths/nothing"):
        from_hub("hf:maths/nothing", hub.endpoint)
    with pytest.raises(DownloadError, match=f"{NOWHERE} cannot be reached"):  # gone once its files are listed
        Hub(HubAccess(NOWHERE)).data_file("maths/sums", REVISION, "test.jsonl")
    assert "Retrying" not in caplog.text
    hub.files = {"test.jsonl": questions("New?")}
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(DownloadError, match=r"maths/sums/test\.jsonl cannot be stored"):
        from_hub("hf:maths/sums", hub.endpoint)
