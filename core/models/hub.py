"""Queries the Hugging Face Hub, or a mirror of it: searches GGUF repositories, lists files with sizes and hashes.

Queries go through huggingface_hub; the download itself through `core.models.download`, which resumes and verifies.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url, set_client_factory
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
from huggingface_hub.hf_api import BlobLfsInfo, ModelInfo

from baton_reasoning.core.errors import DownloadError
from baton_reasoning.core.models.download import (
    DownloadManifest,
    RemoteFile,
    checked_part,
    offline,
    refused,
    unreachable,
)
from baton_reasoning.core.models.gguf_format import label_of, shard_group
from baton_reasoning.core.models.options import HubAccess, HubFile


@dataclass(frozen=True)
class Repository:
    """One search result."""

    name: str
    """“owner/name”."""
    downloads: int
    """In the last 30 days."""
    licence: str | None
    gated: bool
    """Its publisher requires agreement to terms first."""


@dataclass(frozen=True)
class Listing:
    """The files of a repository at one commit, so that sizes and hashes stay true."""

    repository: Repository
    revision: str
    parameters: int | None
    """Of the whole model, if the Hub reports it."""
    choices: tuple[Quantisation, ...]


def manifest_for(listing: Listing, choice: Quantisation, models: Path) -> DownloadManifest:
    """Make the manifest of one quantisation. It goes to `models`/owner/name, as in LM Studio.

    Raises DownloadError if the server named a folder or file outside it.
    """
    folder = models.joinpath(*map(checked_part, listing.repository.name.split("/")))
    return DownloadManifest(f"{listing.repository.name.rpartition('/')[2]} {choice.label}", folder, choice.files)


# Best first, of those that fit: four to five bits lose little, more cost speed (llama.cpp, tools/quantize/README).
PREFERRED = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q4_K_S", "IQ4_XS", "Q4_0", "Q8_0", "Q3_K_M", "Q2_K")


@dataclass(frozen=True)
class Quantisation:
    """One choice in a repository: its files belong together."""

    label: str
    """“Q4_K_M”, or the file's name if that names no quantisation."""
    files: tuple[RemoteFile, ...]
    folder: str
    """Where in the repository, “” for its top."""

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def quantisations(files: Iterable[tuple[str, RemoteFile]]) -> tuple[Quantisation, ...]:
    """Group (path in the repository, file) into choices, smallest first. Files of other kinds are left out."""
    groups: dict[str, list[tuple[str, RemoteFile]]] = {}
    for path, file in files:
        if not _is_model(path):
            continue
        group = shard_group(Path(file.name)) or file.name
        groups.setdefault(f"{PurePosixPath(path).parent}/{group}", []).append((path, file))
    found = []
    for members in groups.values():
        members.sort()
        first = PurePosixPath(members[0][0])
        folder = "" if str(first.parent) == "." else str(first.parent)
        found.append(Quantisation(label_of(str(first)), tuple(file for _, file in members), folder))
    return tuple(sorted(found, key=lambda choice: choice.bytes))


def _is_model(path: str) -> bool:
    return path.lower().endswith(".gguf") and not any(other in path.lower() for other in ("mmproj", "imatrix"))


def recommended(fitting: Iterable[Quantisation]) -> Quantisation | None:
    """Choose the one to recommend among those that fit: four to five bits, else the largest."""
    choices = list(fitting)
    for label in PREFERRED:
        for choice in choices:
            if choice.label == label:
                return choice
    return max(choices, key=lambda choice: choice.bytes, default=None)


def downloaded(source: HubFile, folder: Path) -> Path | None:
    """Find the complete file below the models folder, if there is one; of a model in several files, the first.

    Without a quantisation it is the one to recommend among those that are there.
    """
    found = sorted(folder.joinpath(*source.repository.split("/")).glob("*.gguf"))
    wanted = source.quantisation.upper()
    fitting = [path for path in found if _is_model(path.name) and wanted in ("", label_of(path.name))]
    firsts = [path for path in fitting if shard_group(path) is None or "-00001-of-" in path.name]
    order = {label: rank for rank, label in enumerate(PREFERRED)}
    return min(firsts, key=lambda path: order.get(label_of(path.name), len(order)), default=None)


SECONDS_TO_ANSWER = 15.0
"""Without a byte."""
SECONDS_IN_ALL = 60.0
"""For one query, all pages of the answer included."""
LARGEST_ANSWER = 32 * 2**20
"""Bytes of one page; a listing of 10,000 files takes 3 MiB."""
MOST_RESULTS = 40


# Queries --------------------------------------------------------------------------------------------------------------


class DataSetFiles(NamedTuple):
    """The files of a data set at one commit."""

    revision: str
    files: dict[str, int]
    """Bytes of each file, by its path."""


class Hub:
    """Queries to the Hub; each blocks for up to `SECONDS_IN_ALL`. Raises DownloadError with advice."""

    def __init__(self, access: HubAccess) -> None:
        self.access = access
        set_client_factory(_client)  # huggingface_hub itself has no time-out
        # Else every request says which agent and which libraries run here, and huggingface.co is asked for a list of
        # agents even where a mirror is used.
        constants.HF_HUB_DISABLE_TELEMETRY = True
        self._api = HfApi(endpoint=access.endpoint, token=access.token or False, library_name="baton")

    def search(self, text: str, limit: int = MOST_RESULTS) -> tuple[Repository, ...]:
        """Search repositories with GGUF files by name; the most downloaded come first."""
        with self._asking("The search", self.access.endpoint), _bounded():
            found = self._api.list_models(filter="gguf", search=text, sort="downloads", limit=limit, full=True)
            return tuple(repository for info in found if (repository := _repository(info)) is not None)

    def list_files(self, repository: str) -> Listing:
        """List every quantisation of a repository, with sizes and hashes."""
        with self._asking(repository, f"{self.access.endpoint}/{repository}"), _bounded():
            info = self._api.model_info(repository, files_metadata=True, timeout=SECONDS_TO_ANSWER)
            about = _repository(info)
            if about is None:
                raise ValueError("no name of a repository")
            revision = info.sha or "main"
            files = [
                (file.rfilename, self._remote_file(repository, revision, file.rfilename, file.size, file.lfs))
                for file in info.siblings or ()
                if file.size is not None
            ]
            return Listing(about, revision, _parameters(info), quantisations(files))

    def manifest(self, source: HubFile, models: Path) -> DownloadManifest:
        """Look up what has to be downloaded for a source. Raises DownloadError, which names what there is."""
        listing = self.list_files(source.repository)
        if not listing.choices:
            raise DownloadError(f"{source.repository} holds no GGUF file.", "Choose one whose name ends in GGUF.")
        if wanted := source.quantisation.upper():
            found = next((choice for choice in listing.choices if choice.label.upper() == wanted), None)
        else:
            found = recommended(listing.choices)
        if found is None:
            labels = ", ".join(choice.label for choice in listing.choices)
            raise DownloadError(f"{source.repository} has no {source.quantisation}.", f"It has {labels}.")
        return manifest_for(listing, found, models)

    def data_set(self, name: str, revision: str | None = None) -> DataSetFiles:
        """List the files of a data set at a commit, tag or branch; None is the main branch."""
        with self._asking(name, f"{self.access.endpoint}/datasets/{name}"), _bounded():
            info = self._api.dataset_info(name, revision=revision, files_metadata=True, timeout=SECONDS_TO_ANSWER)
            sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
            return DataSetFiles(str(info.sha or revision or "main"), sizes)

    def data_file(self, name: str, revision: str, path: str) -> Path:
        """Return a file of a data set, from huggingface_hub's cache or downloaded into it."""
        with self._asking(f"{name}/{path}", f"{self.access.endpoint}/datasets/{name}"):
            return Path(self._api.hf_hub_download(name, path, repo_type="dataset", revision=revision))

    def cached_data_set(self, name: str, revision: str | None = None) -> Path | None:
        """Find the folder of a data set in huggingface_hub's cache, named for its commit; None if it is not there."""
        try:
            return Path(
                self._api.snapshot_download(name, repo_type="dataset", revision=revision, local_files_only=True)
            )
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError):
            return None

    def _remote_file(self, repository: str, revision: str, path: str, size: int, lfs: BlobLfsInfo | None) -> RemoteFile:
        url = hf_hub_url(repository, path, revision=revision, endpoint=self.access.endpoint)
        return RemoteFile(url, path.rpartition("/")[2], size, lfs.sha256 if lfs else None)

    @contextmanager
    def _asking(self, what: str, page: str) -> Generator[None, None, None]:
        if self.access.offline:
            raise offline(what)
        try:
            yield
        except OfflineModeIsEnabled as error:  # HF_HUB_OFFLINE
            raise offline(what) from error
        except HfHubHTTPError as error:
            answer = error.response
            gated = answer.headers.get("X-Error-Code") == "GatedRepo"
            status = 403 if gated else answer.status_code
            raise refused(what, status, answer.reason_phrase, self.access.token is not None, page) from error
        except httpx2.TimeoutException as error:
            raise unreachable(self.access.endpoint, "it does not answer") from error
        except httpx2.HTTPError as error:
            raise unreachable(self.access.endpoint, str(error).rstrip(".") or type(error).__name__) from error
        except HFValidationError as error:
            raise DownloadError(f"“{what}” is no name on the Hub.", "Names have the form owner/model.") from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise DownloadError(
                f"{self.access.endpoint} answered with something that is not a list of models.",
                "Check the address of the mirror.",
            ) from error


class HubUnreachable(httpx2.TransportError):
    """The Hub cannot be reached, or is silent. huggingface_hub does not try again after this error."""


class HubClient(httpx2.Client):
    def send(self, *arguments: Any, **options: Any) -> httpx2.Response:
        """Send a request once, or raise HubUnreachable.

        huggingface_hub's own six attempts would take half a minute without a network, and two minutes if the Hub is
        silent.
        """
        try:
            return super().send(*arguments, **options)
        except httpx2.TimeoutException as error:
            raise HubUnreachable("it does not answer") from error
        except httpx2.ConnectError as error:
            raise HubUnreachable(str(error)) from error


def _client() -> httpx2.Client:
    return HubClient(
        follow_redirects=True,
        timeout=SECONDS_TO_ANSWER,
        headers={"Accept-Encoding": "identity"},  # so that the size of an answer is that of what is read
        event_hooks={"response": [_bound]},
    )


_query = threading.local()
"""Of this thread: `ends`, when its query has taken too long by time.monotonic; None outside of queries, as during the
download of a file. huggingface_hub has one client for all threads."""


@contextmanager
def _bounded() -> Generator[None, None, None]:
    """Limit the time of all requests inside together, and the size of each answer."""
    _query.ends = time.monotonic() + SECONDS_IN_ALL
    try:
        yield
    finally:
        _query.ends = None


def _bound(response: httpx2.Response) -> None:
    """Limit a response; redirects, whose bodies are read as well, come here too."""
    if (ends := getattr(_query, "ends", None)) is not None:
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _BoundedBody(response.stream, ends)


class _BoundedBody(httpx2.SyncByteStream):
    def __init__(self, body: httpx2.SyncByteStream, ends: float) -> None:
        self._body = body
        self._ends = ends

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self._body:
            size += len(piece)
            if size > LARGEST_ANSWER or time.monotonic() > self._ends:
                raise HubUnreachable("its answer has no end")
            yield piece

    def close(self) -> None:
        self._body.close()


def _repository(info: ModelInfo) -> Repository | None:
    """Read a search result; None if its name is not that of a folder."""
    try:
        name = "/".join(map(checked_part, info.id.split("/")))
    except DownloadError:
        return None
    licences = [tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")]
    return Repository(
        name=name,
        downloads=info.downloads or 0,
        licence=licences[0] if licences else None,
        gated=bool(info.gated),
    )


def _parameters(info: ModelInfo) -> int | None:
    return (info.gguf or {}).get("total")
