"""Searching and listing against a real server on this machine, and what is said when it will not answer."""

import hashlib
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from baton_reasoning.core.errors import DownloadError
from baton_reasoning.core.models.download import DownloadManifest, RemoteFile, refused, seconds_to_wait
from baton_reasoning.core.models.gguf_format import label_of
from baton_reasoning.core.models.hub import (
    Hub,
    Listing,
    Quantisation,
    Repository,
    downloaded,
    manifest_for,
    quantisations,
    recommended,
)
from baton_reasoning.core.models.options import HubAccess, HubFile
from tests.core.models.hub_server import REVISION, running_hub

REPOSITORY = "owner/model-GGUF"


@pytest.fixture
def hub():
    with running_hub() as server:
        server.files[REPOSITORY] = {
            "README.md": b"words",
            "model-Q4_K_M.gguf": b"four bits",
            "model-Q8_0/model-Q8_0-00001-of-00002.gguf": b"eight bits, ",
            "model-Q8_0/model-Q8_0-00002-of-00002.gguf": b"second part",
            "mmproj-model-f16.gguf": b"eyes",
        }
        yield server


def test_a_search_finds_repositories_by_name(hub):
    (found,) = Hub(HubAccess(hub.endpoint)).search("MODEL")
    assert (found.name, found.licence, found.downloads, found.gated) == (REPOSITORY, "mit", 10, False)
    assert Hub(HubAccess(hub.endpoint)).search("nothing-like-it") == ()


def test_a_listing_has_each_quantisation_with_sizes_and_hashes_at_one_commit(hub):
    listing = Hub(HubAccess(hub.endpoint)).list_files(REPOSITORY)
    assert [(choice.label, len(choice.files), choice.bytes) for choice in listing.choices] == [
        ("Q4_K_M", 1, 9),
        ("Q8_0", 2, 23),
    ]
    (file,) = listing.choices[0].files
    assert file.url == f"{hub.endpoint}/{REPOSITORY}/resolve/{REVISION}/model-Q4_K_M.gguf"
    assert file.sha256 == hashlib.sha256(b"four bits").hexdigest()
    assert listing.parameters == 1_777_088_000


def test_a_model_is_found_by_its_quantisation(hub, tmp_path):
    asking = Hub(HubAccess(hub.endpoint))
    order = asking.manifest(HubFile(REPOSITORY, "Q4_K_M"), tmp_path)
    assert order.model == tmp_path / "owner" / "model-GGUF" / "model-Q4_K_M.gguf"
    with pytest.raises(DownloadError, match=r"has no Q2_K\. It has Q4_K_M, Q8_0\."):
        asking.manifest(HubFile(REPOSITORY, "Q2_K"), tmp_path)


def test_an_unknown_repository_says_to_check_the_name_and_a_wrong_token_is_named(hub):
    with pytest.raises(DownloadError, match="does not accept the token"):
        Hub(HubAccess(hub.endpoint, "hf_wrong")).list_files(REPOSITORY)
    with pytest.raises(DownloadError, match="private, gated or does not exist"):
        Hub(HubAccess(hub.endpoint)).list_files("owner/unknown")
    with pytest.raises(DownloadError, match="does not exist, or no longer"):
        Hub(HubAccess(hub.endpoint, hub.token)).list_files("owner/unknown")


def test_a_name_that_is_none_is_refused_without_asking_and_offline_asks_nobody(hub):
    with pytest.raises(DownloadError, match="set to offline"):
        Hub(HubAccess(hub.endpoint, offline=True)).search("model")
    with pytest.raises(DownloadError, match="no name on the Hub"):
        Hub(HubAccess(hub.endpoint)).list_files("a/b/c")
    assert hub.asked == []


def test_a_host_that_is_not_there_is_named():
    with running_hub() as hub:
        gone = hub.endpoint
    with pytest.raises(DownloadError, match=rf"{gone} cannot be reached"):
        Hub(HubAccess(gone)).list_files(REPOSITORY)


def test_a_hub_that_is_silent_is_given_up(monkeypatch, caplog):
    monkeypatch.setattr("baton_reasoning.core.models.hub.SECONDS_TO_ANSWER", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asking = Hub(HubAccess(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        with pytest.raises(DownloadError, match="it does not answer"):
            asking.search("model")
        with pytest.raises(DownloadError, match="it does not answer"):
            asking.list_files(REPOSITORY)
    assert "Retrying" not in caplog.text


@pytest.mark.parametrize(("status", "words"), [(429, "too often"), (503, "fault")])
def test_a_hub_that_refuses_is_asked_once(hub, status, words):
    hub.refusal = status
    with pytest.raises(DownloadError, match=words):
        Hub(HubAccess(hub.endpoint)).search("model")
    assert len(hub.asked) == 1


def test_a_search_asks_for_one_page(hub):
    hub.listing, hub.next_page = [], f"{hub.endpoint}/api/models"
    assert Hub(HubAccess(hub.endpoint)).search("model") == ()
    assert len(hub.asked) == 1


@pytest.mark.parametrize(
    ("status", "words"), [(401, "requires a token"), (403, "agreement to terms"), (429, "too often"), (502, "fault")]
)
def test_every_refusal_has_its_own_words(status, words):
    assert words in str(refused("owner/model", status, "", False, "https://example.org/owner/model"))


def test_retry_after_may_be_seconds_a_date_or_nonsense():
    assert seconds_to_wait("30", 1.0) == 30
    assert seconds_to_wait("soon", 4.0) == 4
    assert seconds_to_wait(None, 4.0) == 4
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 1 < seconds_to_wait(in_a_minute, 1.0) <= 60


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("DeepSeek-R1-Distill-Qwen-1.5B-Q4_K_M.gguf", "Q4_K_M"),
        ("BF16/model-BF16-00001-of-00002.gguf", "BF16"),
        ("model-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("gemma-3-270m-q4_k_m.gguf", "Q4_K_M"),
        ("model-IQ4_XS.gguf", "IQ4_XS"),
        ("ggml-model.gguf", "ggml-model"),
    ],
)
def test_quantisations_are_named_as_people_say_them(path, label):
    assert label_of(path) == label


def test_of_the_files_that_are_here_the_usual_one_is_taken_and_never_a_projector(tmp_path):
    folder = tmp_path / "owner" / "model-GGUF"
    folder.mkdir(parents=True)
    for name in ("mmproj-f16.gguf", "model-IQ2_M.gguf", "model-Q8_0.gguf"):
        (folder / name).touch()
    assert downloaded(HubFile(REPOSITORY), tmp_path) == folder / "model-Q8_0.gguf"
    assert downloaded(HubFile(REPOSITORY, "IQ2_M"), tmp_path) == folder / "model-IQ2_M.gguf"
    assert downloaded(HubFile(REPOSITORY, "F16"), tmp_path) is None


def test_the_recommended_choice_has_four_bits_or_else_is_the_largest():
    def choices(*names: str) -> list[tuple[str, RemoteFile]]:
        return [(name, RemoteFile("", name, size)) for size, name in enumerate(names, start=1)]

    found = recommended(quantisations(choices("m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-F16.gguf")))
    assert found is not None
    assert found.label == "Q4_K_M"
    unusual = recommended(quantisations(choices("m-TQ1_0.gguf", "m-TQ2_0.gguf")))
    assert unusual is not None
    assert unusual.label == "TQ2_0"
    assert recommended([]) is None


@pytest.mark.parametrize(
    "name",
    ["../../../x", "owner/..", "owner/../../x", "/etc", "owner/.hidden", "owner\\..\\x/y", "C:/x", "a/b\x00", ""],
)
def test_a_mirror_cannot_choose_the_folder_that_a_model_goes_to(hub, tmp_path, name):
    file = {"rfilename": "m-Q4_K_M.gguf", "size": 9, "blobId": "0"}
    hub.listing = {"id": name, "sha": REVISION, "siblings": [file], "tags": ["gguf"]}
    order = Hub(HubAccess(hub.endpoint)).manifest(HubFile(REPOSITORY), tmp_path)
    assert order.folder == tmp_path / REPOSITORY, "that of the name which was asked for"
    hub.listing = [hub.listing]
    assert Hub(HubAccess(hub.endpoint)).search("m") == ()


def test_a_file_that_is_listed_twice_counts_once(hub):
    file = {"rfilename": "m-Q4_K_M.gguf", "size": 9}
    hub.listing = {"id": REPOSITORY, "sha": REVISION, "siblings": [file, file]}
    (choice,) = Hub(HubAccess(hub.endpoint)).list_files(REPOSITORY).choices
    assert choice.bytes == 9


@pytest.mark.parametrize(
    "listing",
    [
        *([], {"siblings": []}, "words", {"id": "a/b", "siblings": [{"rfilename": 5}]}),
        *({"id": "a/b", "downloads": "many"}, {"id": "a/b", "tags": [5]}, {"id": "a/b", "gguf": {"total": "many"}}),
        {"id": "a/b", "siblings": [{"rfilename": "m.gguf", "size": "large"}]},
    ],
)
def test_an_answer_that_is_no_listing_points_at_the_mirror(hub, listing):
    hub.listing = listing
    with pytest.raises(DownloadError, match="not a list of models") as raised:
        Hub(HubAccess(hub.endpoint)).list_files(REPOSITORY)
    assert "mirror" in raised.value.advice


@pytest.mark.parametrize(
    "name",
    ["", "..", "../x.gguf", "a/b.gguf", "..gguf", "a\\..\\x.gguf", "c:x.gguf", "\x1b]52;x.gguf", "con.gguf", "x" * 300],
)
def test_a_mirror_cannot_name_a_file_outside_the_models_folder(name, tmp_path):
    with pytest.raises(DownloadError, match="cannot be stored") as raised:
        DownloadManifest("m", tmp_path, (RemoteFile("http://x/y", name, 9),))
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("name", ["../../x", "owner/..", "owner/nul", "owner\\..\\x/y", "C:/x", "a/b\x00", ""])
def test_a_listing_that_was_made_elsewhere_is_checked_when_it_is_ordered(tmp_path, name):
    file = RemoteFile("http://x/m.gguf", "m.gguf", 9)
    choice = Quantisation("Q4_K_M", (file,))
    listing = Listing(Repository(name), None, (choice,))
    with pytest.raises(DownloadError, match="cannot be stored"):
        manifest_for(listing, choice, tmp_path / "models")


def test_a_repository_that_was_renamed_is_found_under_its_old_name(hub):
    hub.moved["/api/models/owner/old"] = f"/api/models/{REPOSITORY}"
    listing = Hub(HubAccess(hub.endpoint, hub.token)).list_files("owner/old")
    assert [choice.label for choice in listing.choices] == ["Q4_K_M", "Q8_0"]
    assert {asked.token for asked in hub.asked} == {hub.token}


def test_a_hub_that_redirects_for_ever_is_given_up_and_the_token_stays_with_the_first_host(hub):
    path = f"/api/models/{REPOSITORY}"
    hub.moved[path] = f"{hub.storage}{path}"
    with pytest.raises(DownloadError, match="maximum allowed redirects"):
        Hub(HubAccess(hub.endpoint, hub.token)).list_files(REPOSITORY)
    assert {(asked.host, asked.token) for asked in hub.asked} == {(hub.endpoint, hub.token), (hub.storage, None)}


@pytest.mark.parametrize(("limit", "value"), [("LARGEST_ANSWER", 1000), ("SECONDS_IN_ALL", -1.0)])
def test_a_page_that_is_too_large_or_too_slow_is_not_read_to_its_end(hub, monkeypatch, limit, value):
    monkeypatch.setattr(f"baton_reasoning.core.models.hub.{limit}", value)
    hub.listing = ["x" * 2000]
    with pytest.raises(DownloadError, match="its answer has no end"):
        Hub(HubAccess(hub.endpoint)).search("model")
