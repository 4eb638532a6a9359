"""Download a model so that nothing is lost and nothing is half: byte ranges, hash check, one rename at the end.

    room on the disk? → each file into NAME.part, from where it stopped → SHA-256 of what lies on the disk → rename all

`download(order)` is a generator of `Progress`. To pause, close it: what has arrived stays, and the next call goes on
there, in this program or the next one. To cancel, close it and call `discard(order)`.
"""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Generator
from http import HTTPStatus
from pathlib import Path

import httpx2

from core.errors import DownloadError
from core.models.devices import disk_free
from core.models.download_progress import Meter, Progress, Stage
from core.models.fit import in_gib
from core.models.hub_failures import LONGEST_POLITE_WAIT, refused, seconds_to_wait, unreachable
from core.models.order import SPARE_BYTES, Order, RemoteFile, keep_only_what_fits, write_note

CHUNK = 2**20  # bytes hashed between two looks at whether to go on
SILENCE = 10.0  # seconds without a byte after which the connection is made anew
ATTEMPTS = 6  # in a row without a single byte
_RETRIED = frozenset({429, 500, 502, 503, 504})


Steps = Generator[Progress, None, None]


class Downloader:
    """One connection pool for all downloads. `token` goes to the first host only, not to where it redirects.

    `sleep` and `clock` may be replaced by tests.
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        client: httpx2.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token
        self._client = client or httpx2.Client(follow_redirects=True, timeout=SILENCE)
        self._sleep = sleep
        self._clock = clock

    def close(self) -> None:
        self._client.close()

    def download(self, order: Order) -> Steps:
        """Bring every file of the order to its folder. Raises DownloadError; what has arrived is kept unless it
        proved wrong."""
        try:
            order.folder.mkdir(parents=True, exist_ok=True)
            keep_only_what_fits(order)
            _check_room(order)
            write_note(order)
            meter = Meter(order.bytes, order.bytes_here(), self._clock)
            for file in order.files:
                yield from self._fetch(order, file, meter)
            yield from _check_hashes(order)
            _settle(order)
        except OSError as error:
            raise _disk_failure(order, error) from error

    # One file ----------------------------------------------------------------------------------------------------

    def _fetch(self, order: Order, file: RemoteFile, meter: Meter) -> Steps:
        """Ask again after every cut, from the byte that is missing; give up after `ATTEMPTS` answers without one."""
        fruitless = 0
        while order.bytes_of(file) < file.bytes or not _is_there(order, file):
            before = order.bytes_of(file)
            wait, why = min(2.0**fruitless, 30.0), ""
            try:
                wait, why = yield from self._request(order, file, meter, wait)
            except httpx2.TransportError as error:
                why = _reason(error)
                if fruitless + 1 >= ATTEMPTS:
                    raise unreachable(httpx2.URL(file.url).host, why) from error
            fruitless = 0 if order.bytes_of(file) > before else fruitless + 1
            if why and order.bytes_of(file) < file.bytes:
                if fruitless >= ATTEMPTS:
                    raise unreachable(httpx2.URL(file.url).host, why)
                yield from self._pause(meter, wait if fruitless else 0.0, why)

    def _request(
        self, order: Order, file: RemoteFile, meter: Meter, wait: float
    ) -> Generator[Progress, None, tuple[float, str]]:
        """One request; returns how long to wait before the next and why ("" if nothing is wrong)."""
        offset = order.bytes_of(file)
        headers = {"Range": f"bytes={offset}-", "Accept-Encoding": "identity"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        with self._client.stream("GET", file.url, headers=headers) as answer:
            if answer.status_code in _RETRIED:
                wait = seconds_to_wait(answer.headers.get("Retry-After"), wait)
                if wait <= LONGEST_POLITE_WAIT:
                    return max(wait, 0.01), f"the server asks to wait (HTTP {answer.status_code})"
            if answer.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
                if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    raise _changed(file)
                raise refused(file.name, answer.status_code, answer.reason_phrase, bool(self._token), _page(file.url))
            start = _start_of(answer, file, offset)
            with order.part(file).open("r+b" if order.part(file).exists() else "wb") as part:
                part.seek(start)
                part.truncate()
                meter.set_back(offset - start)
                # Pieces as they come from the network: a cut must not lose what was gathered for a larger one.
                for piece in answer.iter_raw():
                    if part.tell() + len(piece) > file.bytes:
                        raise _changed(file)
                    part.write(piece)
                    yield meter.advance(len(piece))
        return 0.0, "" if order.bytes_of(file) >= file.bytes else "the connection was cut"

    def _pause(self, meter: Meter, seconds: float, why: str) -> Steps:
        """Wait in small pieces, so that closing the generator takes effect soon."""
        while seconds > 0:
            piece = min(seconds, 0.5)
            yield Progress(Stage.WAITING, meter.done, meter.total, 0.0, f"{why}; trying again in {seconds:.0f} s")
            self._sleep(piece)
            seconds -= piece


# Before, between and after -----------------------------------------------------------------------------------------


def _check_room(order: Order) -> None:
    for file in order.files:
        target = order.target(file)
        if target.exists() and target.stat().st_size != file.bytes:
            raise DownloadError(f"{target} is there already, with another size.", "Rename or delete it first.")
    missing = order.bytes - order.bytes_here()
    free = disk_free(order.folder)
    if missing and missing + SPARE_BYTES > free:
        raise DownloadError(
            f"{order.title} needs {in_gib(missing)} more, and the disk of {order.folder} has {in_gib(free)} free.",
            f"Free {in_gib(missing + SPARE_BYTES - free)} there, or keep models in another folder.",
        )


def _is_there(order: Order, file: RemoteFile) -> bool:
    return order.target(file).exists() or order.part(file).exists()


def _start_of(answer: httpx2.Response, file: RemoteFile, offset: int) -> int:
    """Where in the file the answer begins. Raises DownloadError if it is a piece of something else."""
    if answer.status_code == HTTPStatus.OK:
        length = answer.headers.get("Content-Length")
        if length is not None and length != str(file.bytes):
            raise _changed(file)
        return 0
    if answer.headers.get("Content-Range", "") not in _ranges(file, offset):
        raise _changed(file)
    return offset


def _ranges(file: RemoteFile, offset: int) -> tuple[str, str]:
    asked = f"bytes {offset}-{file.bytes - 1}/"
    return f"{asked}{file.bytes}", f"{asked}*"


def _check_hashes(order: Order) -> Steps:
    """SHA-256 of what lies on the disk; wrong bytes are thrown away."""
    done = 0
    for file in order.files:
        part = order.part(file)
        if not part.exists() or file.sha256 is None:
            done += file.bytes
            continue
        digest = hashlib.sha256()
        with part.open("rb") as content:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
                done += len(chunk)
                yield Progress(Stage.CHECKING, done, order.bytes)
        if digest.hexdigest() != file.sha256.lower():
            part.unlink()
            raise DownloadError(
                f"{file.name} arrived with other bytes than were published: its SHA-256 is wrong.",
                "Download it again; if that fails too, the mirror or a proxy in between changes it.",
            )


def _settle(order: Order) -> None:
    """All files are whole: give them their names. From here on the library sees the model."""
    for file in order.files:
        part = order.part(file)
        if part.exists():
            with part.open("rb") as content:
                os.fsync(content.fileno())
            part.replace(order.target(file))
    order.note.unlink(missing_ok=True)


def _changed(file: RemoteFile) -> DownloadError:
    return DownloadError(
        f"{file.name} on the server is not the file that was listed.", "List the files again, and download it anew."
    )


def _disk_failure(order: Order, error: OSError) -> DownloadError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DownloadError(
            f"The disk of {order.folder} took no more: {error.strerror}.",
            f"Free {in_gib(max(order.bytes - order.bytes_here(), 0))} there, then go on: what has arrived is kept.",
        )
    where = Path(error.filename) if error.filename else order.folder
    return DownloadError(f"{where} cannot be written: {error.strerror or error}.", "Keep models in another folder.")


def _reason(error: httpx2.TransportError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "it does not answer"
    return str(error).rstrip(".") or type(error).__name__


def _page(url: str) -> str:
    """The model's page, which has the terms."""
    return url.partition("/resolve/")[0]
