"""Downloads against a real server on this machine: cut, resumed, refused, checked, paused, cancelled, disk full."""

import hashlib
import random
import resource
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from baton_reasoning.core.errors import DownloadError
from baton_reasoning.core.models.download import (
    Downloader,
    DownloadManifest,
    DownloadProgress,
    RemoteFile,
    Stage,
    discard,
    find_unfinished,
)
from baton_reasoning.core.models.hub import Hub, downloaded, manifest_for
from baton_reasoning.core.models.options import HubAccess, HubFile
from tests.core.models.hub_server import HubServer, running_hub

REPOSITORY = "owner/model-GGUF"
FILE = "model-Q4_K_M.gguf"
CONTENT = random.Random(1).randbytes(3_000_000)


@pytest.fixture
def hub():
    with running_hub() as server:
        server.files[REPOSITORY] = {FILE: CONTENT}
        yield server


@pytest.fixture
def waits():
    """How long the downloader would have slept."""
    return []


@pytest.fixture
def downloader(waits):
    downloader = Downloader(sleep=waits.append)
    yield downloader
    downloader.close()


def order_of(hub: HubServer, folder: Path, token: str | None = None, repository: str = REPOSITORY) -> DownloadManifest:
    asking = Hub(HubAccess(hub.endpoint, token))
    listing = asking.list_files(repository)
    return manifest_for(listing, listing.choices[0], folder)


def pause(downloader: Downloader, order: DownloadManifest) -> None:
    """Stop after the first bytes."""
    with closing(downloader.download(order)) as running:
        next(running)


def everything_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_fifty_cuts_give_one_right_file(hub, tmp_path, downloader):
    chance = random.Random(2)
    hub.faults.cuts = [chance.randrange(0, 2 * len(CONTENT) // 50) for _ in range(50)]
    order = order_of(hub, tmp_path)
    list(downloader.download(order))
    assert order.model.read_bytes() == CONTENT
    assert everything_in(tmp_path) == {FILE}
    assert len(hub.file_requests()) > 40


def test_each_request_asks_only_for_what_is_missing(hub, tmp_path, downloader):
    hub.faults.cuts = [1_000_000, 500_000]
    list(downloader.download(order_of(hub, tmp_path)))
    assert [asked.range for asked in hub.file_requests()] == ["bytes=0-", "bytes=1000000-", "bytes=1500000-"]


def test_a_new_program_goes_on_where_the_last_one_crashed(hub, tmp_path):
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom baton_reasoning.core.models.download import Downloader\n"
        "from baton_reasoning.core.models.hub import Hub, manifest_for\n"
        "from baton_reasoning.core.models.options import HubAccess\n"
        "hub = Hub(HubAccess(sys.argv[1])); listing = hub.list_files(sys.argv[2])\n"
        "for progress in Downloader().download(manifest_for(listing, listing.choices[0], Path(sys.argv[3]))):\n"
        "    if progress.done > 1_000_000: os._exit(9)\n"
    )
    arguments = [sys.executable, "-c", program, hub.endpoint, REPOSITORY, str(tmp_path)]
    assert subprocess.run(arguments, check=False).returncode == 9
    (unfinished,) = find_unfinished(tmp_path)
    there = unfinished.bytes_here()
    assert there > 1_000_000
    downloader = Downloader()
    list(downloader.download(unfinished))
    downloader.close()
    assert unfinished.model.read_bytes() == CONTENT
    assert hub.file_requests()[-1].range == f"bytes={there}-"
    assert find_unfinished(tmp_path) == ()


def test_pausing_keeps_what_is_there_and_cancelling_leaves_nothing(hub, tmp_path, downloader):
    order = order_of(hub, tmp_path)
    pause(downloader, order)
    assert find_unfinished(tmp_path) == (order,)
    assert not order.model.exists()
    discard(order)
    assert everything_in(tmp_path) == set()


def test_wrong_bytes_are_refused_and_thrown_away(hub, tmp_path, downloader):
    order = order_of(hub, tmp_path)
    hub.files[REPOSITORY][FILE] = CONTENT[:-1] + b"x"
    with pytest.raises(DownloadError, match="SHA-256 is wrong"):
        list(downloader.download(order))
    assert not order.model.exists()
    assert not order.part(order.files[0]).exists()


def test_bytes_damaged_on_the_disk_are_found_too(hub, tmp_path, downloader):
    order = order_of(hub, tmp_path)
    pause(downloader, order)
    part = order.part(order.files[0])
    part.write_bytes(bytes(part.stat().st_size))
    with pytest.raises(DownloadError, match="SHA-256 is wrong"):
        list(downloader.download(order))


def test_several_shards_appear_together(hub, tmp_path, downloader):
    shards = {f"Q8_0/big-Q8_0-0000{number}-of-00003.gguf": CONTENT[: number * 100_000] for number in (1, 2, 3)}
    hub.files["owner/big"] = shards
    hub.faults.cuts = [50_000, 150_000, 20_000]
    order = order_of(hub, tmp_path, repository="owner/big")
    seen: set[frozenset[str]] = set()
    for progress in downloader.download(order):
        assert progress.total == 600_000
        seen.add(frozenset(name for name in everything_in(tmp_path) if name.endswith(".gguf")))
    assert seen == {frozenset()}
    assert everything_in(tmp_path) == {path.rpartition("/")[2] for path in shards}
    assert order.model.name == "big-Q8_0-00001-of-00003.gguf"


def test_a_program_that_ends_between_two_shards_leaves_no_model_in_parts(hub, tmp_path, monkeypatch):
    replace = Path.replace

    def ends_before_the_first(part: Path, target: Path) -> Path:
        if target.name == "big-Q8_0-00001-of-00002.gguf":
            raise KeyboardInterrupt
        return replace(part, target)

    hub.files["owner/big"] = {f"big-Q8_0-0000{number}-of-00002.gguf": CONTENT for number in (1, 2)}
    order = order_of(hub, tmp_path, repository="owner/big")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", ends_before_the_first)
        with pytest.raises(KeyboardInterrupt):
            list(Downloader().download(order))
    assert downloaded(HubFile("owner/big", "Q8_0"), tmp_path) is None
    list(Downloader().download(order))
    assert downloaded(HubFile("owner/big", "Q8_0"), tmp_path) == order.model
    assert everything_in(tmp_path) == set(hub.files["owner/big"])


def test_a_cancelled_set_of_shards_leaves_no_lone_shard(hub, tmp_path):
    files = tuple(RemoteFile(f"{hub.endpoint}/x", f"m-0000{n}-of-00002.gguf", 5) for n in (1, 2))
    order = DownloadManifest("m", tmp_path / "m", files)
    order.folder.mkdir()
    order.target(files[0]).write_bytes(b"12345")
    order.part(files[1]).write_bytes(b"123")
    discard(order)
    assert everything_in(tmp_path) == set()


def test_the_token_does_not_follow_a_redirect_to_another_host(hub, tmp_path):
    hub.gated.add(REPOSITORY)
    downloader = Downloader(token=hub.token)
    list(downloader.download(order_of(hub, tmp_path, hub.token)))
    downloader.close()
    tokens = {(asked.host, asked.token) for asked in hub.asked}
    assert tokens == {(hub.endpoint, hub.token), (hub.storage, None)}


def test_a_gated_model_says_what_to_do(hub, tmp_path, downloader):
    hub.gated.add(REPOSITORY)
    order = order_of(hub, tmp_path)
    with pytest.raises(DownloadError, match="set HF_TOKEN to an access token"):
        list(downloader.download(order))
    stranger = Downloader(token="hf_of_somebody_else")
    with pytest.raises(DownloadError, match=rf"Agree on {hub.endpoint}/{REPOSITORY}"):
        list(stranger.download(order))
    stranger.close()


def test_a_busy_server_is_given_the_time_it_asks_for(hub, tmp_path, downloader, waits):
    hub.faults.refusals = [(429, {"Retry-After": "7"}), (503, {})]
    steps: list[DownloadProgress] = list(downloader.download(order_of(hub, tmp_path)))
    assert sum(waits) == pytest.approx(7 + 2)
    assert any(step.stage is Stage.WAITING and "HTTP 429" in step.note for step in steps)


def test_a_server_that_wants_a_very_long_wait_is_left_to_a_person(hub, tmp_path, downloader):
    hub.faults.refusals = [(429, {"Retry-After": "86400"})]
    with pytest.raises(DownloadError, match="asked too often"):
        list(downloader.download(order_of(hub, tmp_path)))


def test_a_server_that_never_sends_a_byte_is_given_up(hub, tmp_path, downloader, waits):
    hub.faults.cuts = [0] * 20
    with pytest.raises(DownloadError, match="cannot be reached"):
        list(downloader.download(order_of(hub, tmp_path)))
    assert len(hub.file_requests()) == 6
    assert waits


def test_a_server_without_ranges_starts_over_and_still_ends_right(hub, tmp_path, downloader):
    hub.faults.ignores_ranges = True
    hub.faults.cuts = [1_000_000]
    order = order_of(hub, tmp_path)
    steps = list(downloader.download(order))
    assert order.model.read_bytes() == CONTENT
    assert max(step.done for step in steps) == len(CONTENT)


def test_a_file_that_changed_on_the_server_is_refused(hub, tmp_path, downloader):
    hub.faults.wrong_total = True
    with pytest.raises(DownloadError, match="not the file that was listed"):
        list(downloader.download(order_of(hub, tmp_path)))


def test_parts_of_another_file_of_the_same_name_are_not_continued(hub, tmp_path, downloader):
    pause(downloader, order_of(hub, tmp_path))
    hub.files[REPOSITORY][FILE] = CONTENT[::-1]
    newer = order_of(hub, tmp_path)
    list(downloader.download(newer))
    assert newer.model.read_bytes() == CONTENT[::-1]


def test_a_file_of_the_same_name_is_never_overwritten(hub, tmp_path, downloader):
    order = order_of(hub, tmp_path)
    order.folder.mkdir(parents=True)
    order.model.write_bytes(b"mine")
    with pytest.raises(DownloadError, match="is there already"):
        list(downloader.download(order))
    assert order.model.read_bytes() == b"mine"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own, of 68 MiB: the spare room that is always left, and a little more than one file."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=68m", "tmpfs", str(folder)]
    if subprocess.run(mounting, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_refused_before_a_byte_is_asked_for(hub, small_disk, downloader):
    (small_disk / "other").write_bytes(bytes(2 * 2**20))
    with pytest.raises(DownloadError, match=r"needs 3 MiB more; the disk of .* has 66 MiB free\. Free \d+ KiB"):
        list(downloader.download(order_of(hub, small_disk)))
    assert hub.file_requests() == []


def test_a_disk_that_another_program_fills_meanwhile_ends_clean_and_can_go_on(hub, small_disk, downloader):
    order = order_of(hub, small_disk)
    running = downloader.download(order)
    next(running)
    (small_disk / "other").write_bytes(bytes(66 * 2**20))
    with pytest.raises(DownloadError, match=r"took no more: No space left .* no byte is lost"):
        list(running)
    assert not order.model.exists()
    (small_disk / "other").unlink()
    list(downloader.download(order))
    assert order.model.read_bytes() == CONTENT


def test_a_file_too_large_for_the_file_system_ends_clean_and_can_go_on(hub, tmp_path, downloader):
    order = order_of(hub, tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, before[1]))
    try:
        with pytest.raises(DownloadError, match="took no more"):
            list(downloader.download(order))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not order.model.exists()
    list(downloader.download(order))
    assert hashlib.sha256(order.model.read_bytes()).hexdigest() == order.files[0].sha256


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"title": "m", "files": [{"url": "", "name": "../m", "bytes": 1}]}',
        '{"title": "m", "files": [{"url": "", "name": "m.gguf", "bytes": 0}]}',
        '{"title": "m", "files": [{"url": "", "name": 5, "bytes": 1}]}',
        '{"title": "m", "files": [{"url": "", "name": null, "bytes": 1}]}',
        '{"title": "m", "files": [{"url": "", "name": "m.gguf", "bytes": NaN}]}',
        '{"title": "m", "files": [{"url": 5, "name": "m.gguf", "bytes": 1}]}',
        '{"title": "m", "files": [{"url": "", "name": "m.gguf", "bytes": 1, "sha256": 5}]}',
    ],
)
def test_a_manifest_of_any_content_is_ignored(tmp_path, content):
    (tmp_path / "m.gguf.order.json").write_text(content)
    assert find_unfinished(tmp_path) == ()
