"""Downloads a model completely or not at all.

    free disk space? → each file into NAME.ID.part, from where it stopped → SHA-256 of what is on the disk → rename all

`Downloader.download(manifest)` is a generator of `DownloadProgress`. To stop, close it: what has arrived stays, and the
next call continues there, in this program or the next one.

Not done by huggingface_hub, which lists the files: its `hf_hub_download` (2.4) writes to a temporary file with a random
name and deletes it on any failure, so nothing is resumed by the next call; it compares sizes but no hashes, cannot be
paused, tells nobody that it waits, and refuses files over 50 GB without a native extension.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import httpx2

from baton_reasoning.core.errors import DownloadError
from baton_reasoning.core.files import DEVICE_NAME, FULL_DISK, hash_file
from baton_reasoning.core.models.devices import disk_free
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.text import one_line

LONGEST_POLITE_WAIT = 120.0  # seconds; for longer waits a person should retry
IN_WINDOW = "in the window: Models, Folders and access"
TOKEN_IS_SET = f"({IN_WINDOW}; in a terminal: HF_TOKEN)"
MIRROR_IS_SET = f"({IN_WINDOW}; in a terminal: HF_ENDPOINT)"
GIVE_TOKEN = f"give an access token {TOKEN_IS_SET}"


def refused(what: str, status: int, reason: str, has_token: bool, page: str) -> DownloadError:
    """Make the error for a request that was answered with this status. `page` has the terms, for a person."""
    match status:
        case HTTPStatus.UNAUTHORIZED if has_token:
            return DownloadError(
                f"The Hub does not accept the token that was sent for {what}.",
                f"Make a new one on the Hub (Settings, Access Tokens) and give it {TOKEN_IS_SET}.",
            )
        case HTTPStatus.UNAUTHORIZED:
            return DownloadError(
                f"{what} is private, gated or does not exist: the Hub requires a token.",
                f"Check the name; if it is right, {GIVE_TOKEN}.",
            )
        case HTTPStatus.FORBIDDEN:
            return DownloadError(
                f"{what} is gated: its publisher requires agreement to terms first.",
                f"Agree on {page} with your account, " + ("then try again." if has_token else f"then {GIVE_TOKEN}."),
            )
        case HTTPStatus.NOT_FOUND:
            return DownloadError(f"{what} does not exist, or no longer.", "Check the name, or search for it again.")
    return DownloadError(f"The Hub refused {what} (HTTP {status}: {reason}).", "Try again later.")


def unreachable(host: str, reason: str) -> DownloadError:
    """Make the error for a host that cannot be reached."""
    if any(sign in reason for sign in ("Errno -2", "Errno -3", "Errno 8]", "11001", "getaddrinfo", "resolution")):
        reason = "its name is not found, so this machine may be offline"
    return DownloadError(
        f"{host} cannot be reached: {reason}.",
        f"Check the connection; if the Hub is blocked here, give the address of a mirror {MIRROR_IS_SET}.",
    )


# What is downloaded ------------------------------------------------------------------------------------------------

PART = ".part"
LONGEST_NAME = 200
"""Bytes; file systems take 255, and parts add an ending."""
CHECK_MIRROR = f"Check the address of the mirror {MIRROR_IS_SET}."


@dataclass(frozen=True)
class RemoteFile:
    """One file on a server. `sha256` as 64 hexadecimal digits, None where the server does not say."""

    url: str
    name: str
    bytes: int
    sha256: str | None = None


@dataclass(frozen=True)
class DownloadManifest:
    """The files of one model, and the folder they go to; they appear there together, when all are right."""

    title: str
    folder: Path
    files: tuple[RemoteFile, ...]

    def __post_init__(self) -> None:
        if not self.files:
            raise DownloadError(f"{self.title} has no files to download.")
        for file in self.files:
            checked_part(file.name)
            if file.bytes < 1:
                raise DownloadError(f"The server gives {one_line(file.name)} no size.", CHECK_MIRROR)

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def model(self) -> Path:
        """The file to load when all are there."""
        return self.target(self.files[0])

    def target(self, file: RemoteFile) -> Path:
        return self.folder / file.name

    def part(self, file: RemoteFile) -> Path:
        """Return where a file is kept until all are complete; named for its content, of which servers tell the hash."""
        identity = crc32(repr((file.sha256 or file.url, file.bytes)).encode())
        return self.folder / f"{file.name}.{identity:08x}{PART}"

    def bytes_here(self) -> int:
        """Count the bytes on this disk, checked or not."""
        return sum(self.bytes_of(file) for file in self.files)

    def bytes_of(self, file: RemoteFile) -> int:
        for path in (self.target(file), self.part(file)):
            if path.exists():
                return min(path.stat().st_size, file.bytes)
        return 0


def checked_part(name: str) -> str:
    """Return a part of a path that a server named, if it is one plain name that every system can store.

    Raises DownloadError for anything else: it could lead out of the models folder, or be hidden.
    """
    plain = name.isprintable() and not set(name) & set('/\\:*?"<>|') and not name.startswith(".")
    if not plain or not name or name[-1] in ". " or len(name.encode()) > LONGEST_NAME or DEVICE_NAME.match(name):
        raise DownloadError(
            f"The server names a file or folder that cannot be stored: “{one_line(name)}”.", CHECK_MIRROR
        )
    return name


# Progress ----------------------------------------------------------------------------------------------------------


class Stage(Enum):
    DOWNLOADING = auto()
    WAITING = auto()
    """For the server, or for the connection to come back."""
    CHECKING = auto()


class DownloadProgress(NamedTuple):
    """Progress of a download. `done` and `total` in bytes of the stage, all files together; speed in bytes a second."""

    stage: Stage
    done: int
    total: int
    speed: float = 0.0
    note: str = ""
    """Why it is waiting."""

    @property
    def seconds_left(self) -> float | None:
        return (self.total - self.done) / self.speed if self.speed > 0 else None


ProgressReports = Generator[DownloadProgress, None, None]


class SpeedMeter:
    """Counts bytes, and their mean speed."""

    def __init__(self, total: int, done: int) -> None:
        self.total = total
        self.done = done
        self._began, self._here = time.monotonic(), done

    def advance(self, size: int) -> DownloadProgress:
        self.done += size
        seconds = time.monotonic() - self._began
        speed = (self.done - self._here) / seconds if seconds else 0.0
        return DownloadProgress(Stage.DOWNLOADING, self.done, self.total, speed)

    def set_back(self, size: int) -> None:
        """Take back bytes that have to be downloaded again."""
        if size:
            self.done -= size
            self._began, self._here = time.monotonic(), self.done


# The download ------------------------------------------------------------------------------------------------------

SILENCE = 10.0
"""Seconds without a byte, then a new connection."""
ATTEMPTS = 6
"""Responses in a row without a single byte, then the download is given up."""
SPARE_BYTES = 64 * 2**20
"""Left free by a download: a disk filled to the last byte harms other programs."""
_RETRIED = frozenset({429, 500, 502, 503, 504})


class Downloader:
    """Downloads over one connection pool. `token` goes to the first host only, not to where it redirects.

    `sleep` may be replaced by tests.
    """

    def __init__(self, token: str | None = None, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._token = token
        self._client = httpx2.Client(follow_redirects=True, timeout=SILENCE)
        self._sleep = sleep

    def close(self) -> None:
        self._client.close()

    def download(self, manifest: DownloadManifest) -> ProgressReports:
        """Bring every file of the manifest to its folder.

        Raises DownloadError; what has arrived is kept unless it proved wrong.
        """
        try:
            manifest.folder.mkdir(parents=True, exist_ok=True)
            _delete_parts_of_other_files(manifest)
            _check_disk(manifest)
            meter = SpeedMeter(manifest.bytes, manifest.bytes_here())
            for file in manifest.files:
                yield from self._fetch(manifest, file, meter)
            yield from _check_hashes(manifest)
            self._finish(manifest)
        except OSError as error:
            raise _disk_failure(manifest, error) from error

    def _finish(self, manifest: DownloadManifest) -> None:
        """Rename all files, which are complete; the first, by which a model is found, comes last."""
        for file in reversed(manifest.files):
            part = manifest.part(file)
            if part.exists():
                with part.open("r+b") as content:  # Windows flushes no file that is open for reading only
                    os.fsync(content.fileno())
                part.replace(manifest.target(file))

    def _fetch(self, manifest: DownloadManifest, file: RemoteFile, meter: SpeedMeter) -> ProgressReports:
        """Request the rest of a file after every cut."""
        fruitless = 0
        while manifest.bytes_of(file) < file.bytes:
            before = manifest.bytes_of(file)
            wait, cause = min(2.0**fruitless, 30.0), None
            try:
                wait, reason = yield from self._request(manifest, file, meter, wait)
            except httpx2.TransportError as error:
                reason, cause = reason_of(error), error
            fruitless = 0 if manifest.bytes_of(file) > before else fruitless + 1
            if reason and manifest.bytes_of(file) < file.bytes:
                if fruitless >= ATTEMPTS:
                    raise unreachable(httpx2.URL(file.url).host, reason) from cause
                yield from self._pause(meter, wait if fruitless else 0.0, reason)

    def _request(
        self, manifest: DownloadManifest, file: RemoteFile, meter: SpeedMeter, wait: float
    ) -> Generator[DownloadProgress, None, tuple[float, str]]:
        """Send one request. Return how long to wait before the next, and why; "" if the file is complete."""
        offset = manifest.bytes_of(file)
        headers = {"Range": f"bytes={offset}-", "Accept-Encoding": "identity"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        with self._client.stream("GET", file.url, headers=headers) as answer:
            if answer.status_code in _RETRIED:
                asked = answer.headers.get("Retry-After", "")
                wait = float(asked) if asked.isdecimal() else wait
                if wait <= LONGEST_POLITE_WAIT:
                    return max(wait, 0.01), f"the server asks to wait (HTTP {answer.status_code})"
            start = self._start_of(answer, file, offset)
            manifest.part(file).touch()
            with manifest.part(file).open("r+b") as part:
                if part.seek(0, os.SEEK_END) != offset:
                    raise _written_by_another(file)
                part.seek(start)
                part.truncate()
                meter.set_back(offset - start)
                # Small pieces as they arrive: a cut must not lose what a larger buffer held.
                for piece in answer.iter_raw():
                    if part.tell() + len(piece) > file.bytes:
                        raise _changed(file)
                    part.write(piece)
                    if os.fstat(part.fileno()).st_size > part.tell():
                        raise _written_by_another(file)
                    yield meter.advance(len(piece))
        return 0.0, "" if manifest.bytes_of(file) >= file.bytes else "the connection was cut"

    def _start_of(self, answer: httpx2.Response, file: RemoteFile, offset: int) -> int:
        """Return where in the file the answer begins. Raises DownloadError if it is a refusal, or of another file."""
        match answer.status_code:
            case HTTPStatus.OK:  # ranges are not supported
                if answer.headers.get("Content-Length") not in (None, str(file.bytes)):
                    raise _changed(file)
                return 0
            case HTTPStatus.PARTIAL_CONTENT:
                asked = f"bytes {offset}-{file.bytes - 1}/"
                if answer.headers.get("Content-Range") not in (f"{asked}{file.bytes}", f"{asked}*"):
                    raise _changed(file)
                return offset
            case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise _changed(file)
            case status:
                page = file.url.partition("/resolve/")[0]  # the model's page, which has the terms
                raise refused(file.name, status, answer.reason_phrase, bool(self._token), page)

    def _pause(self, meter: SpeedMeter, seconds: float, reason: str) -> ProgressReports:
        """Wait in small pieces, so that closing the generator takes effect soon."""
        while seconds > 0:
            piece = min(seconds, 0.5)
            note = f"{reason}; trying again in {seconds:.0f} s"
            yield DownloadProgress(Stage.WAITING, meter.done, meter.total, note=note)
            self._sleep(piece)
            seconds -= piece


def _delete_parts_of_other_files(manifest: DownloadManifest) -> None:
    """Delete parts of an earlier download if another file has been published under the same name since."""
    for file in manifest.files:
        for part in manifest.folder.glob(f"{glob.escape(file.name)}*{PART}"):
            if part != manifest.part(file):
                part.unlink()


def _check_disk(manifest: DownloadManifest) -> None:
    """Raises DownloadError if another file has the name of one of these, or if they do not fit on the disk."""
    for file in manifest.files:
        target = manifest.target(file)
        if target.exists() and target.stat().st_size != file.bytes:
            raise DownloadError(f"{target} is there already, with another size.", "Rename or delete it first.")
    missing = manifest.bytes - manifest.bytes_here()
    free = disk_free(manifest.folder)
    if missing and missing + SPARE_BYTES > free:
        raise DownloadError(
            f"{manifest.title} needs {in_gib(missing)} more; the disk of {manifest.folder} has {in_gib(free)} free.",
            f"Free {in_gib(missing + SPARE_BYTES - free)} there, or keep models in another folder.",
        )


def _check_hashes(manifest: DownloadManifest) -> ProgressReports:
    """Compare the SHA-256 of what is on the disk; a wrong part is deleted."""
    done = 0
    for file in manifest.files:
        part = manifest.part(file)
        if not part.exists() or file.sha256 is None:
            done += file.bytes
            continue
        for read in hash_file(part):
            if isinstance(read, int):
                done += read
                yield DownloadProgress(Stage.CHECKING, done, manifest.bytes)
            elif read != file.sha256.lower():
                part.unlink()
                raise DownloadError(
                    f"{file.name} arrived with other bytes than were published: its SHA-256 is wrong.",
                    "Download it again; if that fails too, the mirror or a proxy in between changes it.",
                )


def _changed(file: RemoteFile) -> DownloadError:
    return DownloadError(
        f"{file.name} on the server is not the file that was listed.", "List the files again, and download it again."
    )


def _written_by_another(file: RemoteFile) -> DownloadError:
    """What both wrote is right, and nothing that the other one wrote has been cut off."""
    return DownloadError(
        f"Another program is downloading {file.name}.", "Wait until it is there, or stop the other one."
    )


def _disk_failure(manifest: DownloadManifest, error: OSError) -> DownloadError:
    if error.errno in FULL_DISK:
        return DownloadError(
            f"The disk of {manifest.folder} took no more: {error.strerror}.",
            f"Free {in_gib(max(manifest.bytes - manifest.bytes_here(), 0))} there, then resume: no byte is lost.",
        )
    where = Path(error.filename) if error.filename else manifest.folder
    return DownloadError(f"{where} cannot be written: {error.strerror or error}.", "Keep models in another folder.")


def reason_of(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "it does not answer"
    return str(error).rstrip(".") or type(error).__name__
