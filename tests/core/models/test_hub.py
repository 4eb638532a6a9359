"""Searching, listing and downloading against a real server on this machine, and what is said when that fails."""

import hashlib
import os
import random
import re
import socket
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from baton_reasoning.core.child_process import NoAnswer, run_in_subprocess
from baton_reasoning.core.errors import DownloadError
from baton_reasoning.core.models.download import (
    Downloader,
    DownloadManifest,
    RemoteFile,
    SpeedMeter,
    Stage,
    unreachable,
)
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
from baton_reasoning.core.models.preferences import HubAccess
from baton_reasoning.core.models.source import HubFile
from tests.core.models.hub_server import REVISION, running_hub
from tests.fakes.full_disk import a_full_disk
from tests.patience import PATIENCE

REPOSITORY = "owner/model-GGUF"
FILE = "model-Q4_K_M.gguf"
CONTENT = random.Random(1).randbytes(3_000_000)


@pytest.fixture
def hub():
    with running_hub() as server:
        server.files[REPOSITORY] = {
            "README.md": b"words",
            "model-Q8_0/model-Q8_0-00001-of-00002.gguf": CONTENT,
            "model-Q8_0/model-Q8_0-00002-of-00002.gguf": b"second part",
            FILE: CONTENT,
            "mmproj-model-f16.gguf": b"eyes",
        }
        yield server


@pytest.fixture
def asked(hub):
    return Hub(HubAccess(hub.endpoint))


# Searching and listing


def test_a_search_finds_repositories_by_name_on_one_page(hub, asked):
    (found,) = asked.search("MODEL")
    assert (found.name, found.licence, found.downloads, found.gated) == (REPOSITORY, "mit", 10, False)
    assert asked.search("nothing-like-it") == ()
    before = len(hub.asked)
    hub.listing, hub.next_page = [], f"{hub.endpoint}/api/models"
    assert asked.search("model") == ()
    assert len(hub.asked) == before + 1


def test_a_listing_has_each_quantisation_with_sizes_and_hashes_at_one_commit(hub, asked, tmp_path):
    hub.moved["/api/models/owner/old"] = f"/api/models/{REPOSITORY}"
    for name in (REPOSITORY, "owner/old"):
        listing = asked.list_files(name)
        assert [(choice.label, len(choice.files), choice.bytes) for choice in listing.choices] == [
            ("Q4_K_M", 1, 3_000_000),
            ("Q8_0", 2, 3_000_011),
        ]
    listing = asked.list_files(REPOSITORY)
    (file,) = listing.choices[0].files
    assert file.url == f"{hub.endpoint}/{REPOSITORY}/resolve/{REVISION}/{FILE}"
    assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert listing.parameters == 1_777_088_000
    for source in (HubFile(REPOSITORY), HubFile(REPOSITORY, "q4_k_m")):
        assert asked.manifest(source, tmp_path).model == tmp_path / "owner" / "model-GGUF" / FILE
    with pytest.raises(DownloadError, match=r"has no Q2_K\. It has Q4_K_M, Q8_0\."):
        asked.manifest(HubFile(REPOSITORY, "Q2_K"), tmp_path)
    hub.files[REPOSITORY] = {"README.md": b"words"}
    with pytest.raises(DownloadError, match="holds no GGUF file"):
        asked.manifest(HubFile(REPOSITORY), tmp_path)


def test_who_may_not_ask_is_told_why(hub, asked):
    with pytest.raises(DownloadError, match="set to offline"):
        Hub(HubAccess(hub.endpoint, offline=True)).search("model")
    with pytest.raises(DownloadError, match="no name on the Hub"):
        asked.list_files("a/b/c")
    assert hub.asked == []
    with pytest.raises(DownloadError, match=r"does not accept the token .* Make a new one"):
        Hub(HubAccess(hub.endpoint, "hf_wrong")).list_files(REPOSITORY)
    with pytest.raises(DownloadError, match="private, gated or does not exist"):
        asked.list_files("owner/unknown")
    with pytest.raises(DownloadError, match="does not exist, or no longer"):
        Hub(HubAccess(hub.endpoint, hub.token)).list_files("owner/unknown")


def test_a_host_that_is_not_there_is_named_and_one_that_is_silent_is_given_up(monkeypatch, caplog):
    monkeypatch.setattr("baton_reasoning.core.models.hub.SECONDS_TO_ANSWER", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for ask in (Hub(HubAccess(address)).search, Hub(HubAccess(address)).list_files):
            with pytest.raises(DownloadError, match="it does not answer"):
                ask("model")
    with pytest.raises(DownloadError, match=rf"{address} cannot be reached"):
        Hub(HubAccess(address)).list_files(REPOSITORY)
    assert "Retrying" not in caplog.text


def test_a_hub_that_refuses_is_asked_once_and_quoted(hub, asked):
    for status, words in ((418, "HTTP 418: I'm a Teapot"), (429, "HTTP 429: Too Many"), (503, "HTTP 503")):
        hub.refusal = status
        with pytest.raises(DownloadError, match=words):
            asked.search("model")
    assert len(hub.asked) == 3
    assert "may be offline" in str(unreachable("host", "[Errno -2] Name or service not known"))


@pytest.mark.parametrize(
    "listing",
    [
        *([], {"siblings": []}, "words", {"id": "a/b", "siblings": [{"rfilename": 5}]}),
        *({"id": "a/b", "downloads": "many"}, {"id": "a/b", "tags": [5]}, {"id": "a/b", "gguf": {"total": "many"}}),
        {"id": "a/b", "siblings": [{"rfilename": "m.gguf", "size": "large"}]},
    ],
)
def test_an_answer_that_is_no_listing_points_at_the_mirror(hub, asked, listing):
    hub.listing = listing
    with pytest.raises(DownloadError, match=r"not a list of models.* mirror"):
        asked.list_files(REPOSITORY)


@pytest.mark.parametrize(("limit", "value"), [("LARGEST_ANSWER", 1000), ("SECONDS_IN_ALL", -1.0)])
def test_a_page_that_is_too_large_or_too_slow_is_not_read_to_its_end(hub, asked, monkeypatch, limit, value):
    monkeypatch.setattr(f"baton_reasoning.core.models.hub.{limit}", value)
    hub.listing = ["x" * 2000]
    with pytest.raises(DownloadError, match="its answer has no end"):
        asked.search("model")


def test_a_hub_that_redirects_for_ever_is_given_up_and_the_token_stays_with_the_first_host(hub):
    path = f"/api/models/{REPOSITORY}"
    hub.moved[path] = f"{hub.storage}{path}"
    with pytest.raises(DownloadError, match="maximum allowed redirects"):
        Hub(HubAccess(hub.endpoint, hub.token)).list_files(REPOSITORY)
    assert {(asked.host, asked.token) for asked in hub.asked} == {(hub.endpoint, hub.token), (hub.storage, None)}
    with pytest.raises(DownloadError, match="no files to download"):
        DownloadManifest("m", Path("models"), ())


# Names


def test_quantisations_are_named_as_people_say_them_and_the_recommended_one_has_four_bits_or_is_the_largest(tmp_path):
    for path, label in (
        ("BF16/model-BF16-00001-of-00002.gguf", "BF16"),
        ("Q8_0/model-00001-of-00002.gguf", "Q8_0"),
        ("model-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("gemma-3-270m-q4_k_m.gguf", "Q4_K_M"),
        ("ggml-model.gguf", "ggml-model"),
    ):
        assert label_of(path) == label

    def label_of_best(*names):
        choices = quantisations((name, RemoteFile("", name, size)) for size, name in enumerate(names, start=1))
        best = recommended(choices)
        return best and best.label

    assert label_of_best("m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-F16.gguf") == "Q4_K_M"
    assert label_of_best("m-TQ1_0.gguf", "m-TQ2_0.gguf") == "TQ2_0"
    assert recommended([]) is None
    folder = tmp_path / "owner" / "model-GGUF"
    folder.mkdir(parents=True)
    for name in ("mmproj-f16.gguf", "model-IQ2_M.gguf", "model-Q8_0.gguf"):
        (folder / name).touch()
    assert downloaded(HubFile(REPOSITORY), tmp_path) == folder / "model-Q8_0.gguf"
    assert downloaded(HubFile(REPOSITORY, "iq2_m"), tmp_path) == folder / "model-IQ2_M.gguf"
    assert downloaded(HubFile(REPOSITORY, "F16"), tmp_path) is None


@pytest.mark.parametrize("name", ["../../../x", "owner/..", "C:/x", "a/b\x00", "", "/etc", "owner/.hidden"])
def test_a_mirror_cannot_choose_the_folder_that_a_model_goes_to_nor_list_a_file_twice(hub, asked, tmp_path, name):
    file = {"rfilename": "m-Q4_K_M.gguf", "size": 9, "blobId": "0"}
    hub.listing = {"id": name, "sha": REVISION, "siblings": [file, file], "tags": ["gguf"]}
    order = asked.manifest(HubFile(REPOSITORY), tmp_path)
    assert order.folder == tmp_path / REPOSITORY, "that of the name which was asked for"
    assert order.bytes == 9
    hub.listing = [hub.listing]
    assert asked.search("m") == ()


@given(st.text(max_size=8) | st.sampled_from(["..gguf", "c:x", "\x1b]52;x", "con.gguf", "x" * 201, "x.", "x ", "NUL"]))
@example("")
@example("..")
@example("a/../x")
@example("a\\x")
def test_no_name_leads_out_of_the_models_folder_or_is_one_that_a_system_refuses(name):
    choice = Quantisation("Q4_K_M", (RemoteFile("http://x/y", name, 9),))
    is_refused = re.search(r'(?i)[/\\:*?"<>|]|^\.|[. ]$|^$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', name)
    if is_refused or not name.isprintable() or len(name.encode()) > 200:
        with pytest.raises(DownloadError, match="cannot be stored") as raised:
            DownloadManifest("m", Path("models"), choice.files)
        assert str(raised.value).isprintable()
        choice = replace(choice, files=(RemoteFile("http://x/y", "m.gguf", 9),))
        with pytest.raises(DownloadError, match="cannot be stored"):
            manifest_for(Listing(Repository(f"{name}/.."), None, (choice,)), choice, Path("models"))
    else:
        order = manifest_for(Listing(Repository(f"owner/{name}"), None, (choice,)), choice, Path("models"))
        assert order.model.parts == ("models", "owner", name, name)


# Downloads: cut, stopped, continued, refused, checked, disk full


@pytest.fixture
def waits():
    """How long the downloader would have slept."""
    return []


@pytest.fixture
def downloader(waits):
    with closing(Downloader(sleep=waits.append)) as downloader:
        yield downloader


@pytest.fixture
def order(asked, tmp_path):
    return asked.manifest(HubFile(REPOSITORY), tmp_path / "models")


def refused(downloader, order, reason):
    with pytest.raises(DownloadError, match=reason):
        list(downloader.download(order))


def stop(downloader, order):
    """Stop after the first bytes."""
    with closing(downloader.download(order)) as running:
        next(running)


def everything_in(folder):
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_fifty_cuts_give_one_right_file_and_each_request_asks_only_for_what_is_missing(hub, order, downloader):
    chance = random.Random(2)
    hub.faults.cuts = cuts = [chance.randrange(0, 2 * len(CONTENT) // 50) for _ in range(50)]
    ends = [sum(cuts[:number]) for number in range(51)]
    steps = list(downloader.download(order))
    assert order.model.read_bytes() == CONTENT
    assert everything_in(order.folder) == {FILE}
    ranges = [asked.range for asked in hub.file_requests()]
    assert ranges == [f"bytes={end}-" for end in ends[: len(ranges)]]
    assert len(ranges) > 40
    assert [step.done for step in steps if step.stage is Stage.DOWNLOADING][-1] == order.bytes


def test_a_download_ends_where_only_what_may_be_written_can_be_flushed(order, downloader, monkeypatch):
    """As on Windows, which refuses to flush a file that was opened for reading."""
    flushed, flush = list[int](), os.fsync

    def of_windows(descriptor):
        os.write(descriptor, b"")  # EBADF, if it is open for reading only
        flush(descriptor)
        flushed.append(descriptor)

    monkeypatch.setattr(os, "fsync", of_windows)
    list(downloader.download(order))
    assert flushed
    assert order.model.read_bytes() == CONTENT


def crash_in_the_middle(order):
    for progress in Downloader().download(order):
        if progress.done > 1_000_000:
            os._exit(9)


def test_a_new_program_goes_on_where_the_last_one_crashed(hub, order, downloader):
    with pytest.raises(NoAnswer):
        run_in_subprocess(crash_in_the_middle, order, seconds=PATIENCE)
    there = order.bytes_here()
    assert there > 1_000_000
    assert not order.model.exists()
    list(downloader.download(order))
    assert order.model.read_bytes() == CONTENT
    assert hub.file_requests()[-1].range == f"bytes={there}-"


@pytest.mark.parametrize("has_asked", [False, True], ids=["is ahead", "was ahead"])
def test_of_two_programs_that_download_a_file_one_says_so_and_the_other_ends(order, downloader, monkeypatch, has_asked):
    first, start_of = downloader.download(order), Downloader._start_of

    def grown(*arguments):
        """The first program writes on while the server answers the second."""
        monkeypatch.undo()
        next(first)
        return start_of(*arguments)

    next(first)
    with closing(Downloader()) as other:
        second = other.download(order)
        if has_asked:
            monkeypatch.setattr(Downloader, "_start_of", grown)
        else:
            while order.bytes_here() < len(CONTENT) - 500_000:  # further than one piece of the first brings it
                next(second)
        with pytest.raises(DownloadError, match="Another program is downloading"):
            next(second if has_asked else first)
        list(first if has_asked else second)
    assert order.model.read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_thrown_away_also_those_damaged_on_the_disk(hub, order, downloader):
    hub.files[REPOSITORY][FILE] = CONTENT[:-1] + b"x"
    refused(downloader, order, "SHA-256 is wrong")
    part = order.part(order.files[0])
    assert not order.model.exists()
    assert not part.exists()
    hub.files[REPOSITORY][FILE] = CONTENT
    stop(downloader, order)
    part.write_bytes(bytes(part.stat().st_size))
    refused(downloader, order, "SHA-256 is wrong")


def test_shards_appear_together_the_first_last_and_none_stays_alone(hub, asked, tmp_path, monkeypatch, downloader):
    rename, source = Path.replace, HubFile(REPOSITORY, "Q8_0")
    order = asked.manifest(source, tmp_path)

    def ends_before_the_first(part, target):
        if target == order.model:
            raise KeyboardInterrupt
        return rename(part, target)

    hub.faults.cuts = [50_000, 150_000, 20_000]
    seen: set[tuple[object, ...]] = set()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", ends_before_the_first)
        with pytest.raises(KeyboardInterrupt):
            seen.update((progress.total, *tmp_path.rglob("*.gguf")) for progress in downloader.download(order))
    assert seen == {(order.bytes,)}
    assert downloaded(source, tmp_path) is None
    list(downloader.download(order))
    assert downloaded(source, tmp_path) == order.model
    assert everything_in(tmp_path) == {f"model-Q8_0-0000{number}-of-00002.gguf" for number in (1, 2)}


def test_a_gated_model_says_what_to_do_and_the_token_does_not_follow_a_redirect_to_another_host(hub, order, downloader):
    hub.gated.add(REPOSITORY)
    refused(downloader, order, "give an access token")
    with closing(Downloader(token="hf_of_somebody_else")) as stranger:
        refused(stranger, order, rf"Agree on {hub.endpoint}/{REPOSITORY} with your account, then try again")
    hub.asked.clear()
    with closing(Downloader(token=hub.token)) as allowed:
        list(allowed.download(order))
    assert {(asked.host, asked.token) for asked in hub.asked} == {(hub.endpoint, hub.token), (hub.storage, None)}


def test_a_busy_server_is_given_a_short_time_that_it_asks_for_and_a_silent_one_six_tries(hub, order, downloader, waits):
    hub.faults.refusals = [(429, {"Retry-After": "7"}), (503, {})]
    steps = list(downloader.download(order))
    assert sum(waits) == pytest.approx(7 + 2)
    assert max(waits) == 0.5, "in small pieces"
    assert any(step.stage is Stage.WAITING and "HTTP 429" in step.note for step in steps)
    order.model.unlink()
    hub.faults.refusals = [(429, {"Retry-After": "86400"})]
    refused(downloader, order, "HTTP 429: Too Many Requests")
    waits.clear()
    before = len(hub.file_requests())
    hub.faults.cuts = [0] * 20
    refused(downloader, order, "cannot be reached")
    assert len(hub.file_requests()) == before + 6
    assert sum(waits) == 1 + 2 + 4 + 8 + 16


def test_a_server_without_ranges_or_hashes_is_enough_and_a_file_that_changed_there_is_refused(hub, order, downloader):
    hub.faults.ignores_ranges = True
    hub.faults.cuts = [1_000_000]
    unhashed = replace(order, files=(replace(order.files[0], sha256=None),))
    steps = list(downloader.download(unhashed))
    assert order.model.read_bytes() == CONTENT
    assert max(step.done for step in steps) == len(CONTENT)
    order.model.unlink()
    hub.faults.ignores_ranges = False
    hub.files[REPOSITORY][FILE] = CONTENT[:-1]
    refused(downloader, order, "not the file that was listed")


def test_a_file_of_the_same_name_is_neither_continued_nor_overwritten(hub, asked, order, downloader, tmp_path):
    stop(downloader, order)
    hub.files[REPOSITORY][FILE] = CONTENT[::-1]
    newer = asked.manifest(HubFile(REPOSITORY), tmp_path / "models")
    list(downloader.download(newer))
    assert newer.model.read_bytes() == CONTENT[::-1]
    assert everything_in(newer.folder) == {FILE}
    order.model.write_bytes(b"mine")
    refused(downloader, order, "is there already")
    assert order.model.read_bytes() == b"mine"


def test_the_speed_is_the_mean_of_what_has_arrived(monkeypatch):
    moments = iter(range(0, 100, 2))
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    meter = SpeedMeter(total=1000, done=100)
    assert [meter.advance(size).speed for size in (20, 40, 0)] == [10, 15, 10]
    meter.set_back(40)
    step = meter.advance(80)
    assert (step.done, step.speed, step.seconds_left) == (200, 40, 20)
    assert SpeedMeter(total=1000, done=100).advance(0).seconds_left is None


def test_a_disk_that_is_too_full_is_said_before_a_byte_is_asked_for_and_one_that_fills_later_loses_none(
    hub, order, downloader, monkeypatch
):
    with monkeypatch.context() as patched:
        patched.setattr("baton_reasoning.core.models.download.disk_free", lambda _: 66 * 2**20)
        refused(downloader, order, r"needs 3 MiB more; the disk of .* has 66 MiB free\. Free 882 KiB")
    assert hub.file_requests() == []
    with a_full_disk(1_500_000):
        refused(downloader, order, r"took no more: .* no byte is lost")
    assert not order.model.exists()
    list(downloader.download(order))
    assert order.model.read_bytes() == CONTENT
    assert hub.file_requests()[-1].range == "bytes=1500000-"
