"""Queries the Hugging Face Hub, or a mirror of it: searches GGUF repositories, lists files with sizes and hashes.

Queries go through huggingface_hub, which takes a third of a second to import. The files of models come through
`core.models.download`, which resumes and verifies; those of data sets through huggingface_hub and its cache, so that
what was read once can be read offline.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2
from msgspec import convert

from baton_reasoning.core.errors import DownloadError
from baton_reasoning.core.models import download
from baton_reasoning.core.models.download import DownloadManifest, RemoteFile
from baton_reasoning.core.models.gguf_format import label_of, shard_group
from baton_reasoning.core.models.preferences import HubAccess
from baton_reasoning.core.models.source import HubFile

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelInfo
    from huggingface_hub.hf_api import RepoSibling


@dataclass(frozen=True)
class Repository:
    """A repository as the Hub describes it."""

    name: str
    """“owner/name”."""
    downloads: int = 0
    """In the last 30 days."""
    tags: tuple[str, ...] = ()
    gated: bool | str = False
    """Its publisher requires agreement to terms first."""

    @property
    def licence(self) -> str | None:
        return next((tag.removeprefix("license:") for tag in self.tags if tag.startswith("license:")), None)


@dataclass(frozen=True)
class Listing:
    """The files of a repository; their addresses name one commit, so that sizes and hashes stay true."""

    repository: Repository
    parameters: int | None
    """Of the whole model, if the Hub reports it."""
    choices: tuple[Quantisation, ...]


def manifest_for(listing: Listing, choice: Quantisation, models: Path) -> DownloadManifest:
    """Make the manifest of one quantisation. It goes to `models`/owner/name, as in LM Studio.

    Raises DownloadError if the server named a folder or file outside it.
    """
    folder = models.joinpath(*map(download.checked_part, listing.repository.name.split("/")))
    return DownloadManifest(f"{listing.repository.name.rpartition('/')[2]} {choice.label}", folder, choice.files)


# Best first, of those that fit: four to five bits lose little, more cost speed (llama.cpp, tools/quantize/README).
PREFERRED = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q4_K_S", "IQ4_XS", "Q4_0", "Q8_0", "Q3_K_M", "Q2_K")


@dataclass(frozen=True)
class Quantisation:
    """One choice in a repository: its files belong together."""

    label: str
    """“Q4_K_M”, or the file's name if that names no quantisation."""
    files: tuple[RemoteFile, ...]

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def quantisations(files: Iterable[tuple[str, RemoteFile]]) -> tuple[Quantisation, ...]:
    """Group (path in the repository, file) into choices, smallest first."""
    groups: dict[str, list[tuple[str, RemoteFile]]] = {}
    for path, file in dict(files).items():  # a faulty mirror may name a file twice
        group = shard_group(Path(file.name)) or file.name
        groups.setdefault(f"{PurePosixPath(path).parent}/{group}", []).append((path, file))
    found = [
        Quantisation(label_of(members[0][0]), tuple(file for _, file in members))
        for members in map(sorted, groups.values())
    ]
    return tuple(sorted(found, key=lambda choice: choice.bytes))


def _is_model(path: str) -> bool:
    return path.lower().endswith(".gguf") and not any(other in path.lower() for other in ("mmproj", "imatrix"))


def recommended(fitting: Iterable[Quantisation]) -> Quantisation | None:
    """Choose the one to recommend among those that fit: four to five bits, else the largest."""
    return min(fitting, key=lambda choice: (_rank(choice.label), -choice.bytes), default=None)


def _rank(label: str) -> int:
    return PREFERRED.index(label) if label in PREFERRED else len(PREFERRED)


def downloaded(source: HubFile, folder: Path) -> Path | None:
    """Find the complete file below the models folder, if there is one; of a model in several files, the first.

    Without a quantisation it is the one to recommend among those that are there.
    """
    found = sorted(folder.joinpath(*source.repository.split("/")).glob("*.gguf"), key=lambda path: path.name)
    wanted = source.quantisation.upper()
    fitting = [path for path in found if _is_model(path.name) and wanted in ("", label_of(path.name))]
    firsts = [path for path in fitting if shard_group(path) is None or "-00001-of-" in path.name]
    return min(firsts, key=lambda path: _rank(label_of(path.name)), default=None)


# Queries --------------------------------------------------------------------------------------------------------------

SECONDS_TO_ANSWER = 15.0
"""Without a byte."""
SECONDS_IN_ALL = 60.0
"""For one query."""
LARGEST_ANSWER = 32 * 2**20
"""Bytes; a listing of 10,000 files takes 3 MiB."""
MOST_RESULTS = 40

_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)


class DataSetFiles(NamedTuple):
    """The files of a data set at one commit."""

    revision: str
    files: dict[str, int]
    """Bytes of each file, by its path."""


class Hub:
    """Queries to the Hub; each blocks for up to `SECONDS_IN_ALL`. Raises DownloadError with advice."""

    def __init__(self, access: HubAccess) -> None:
        self.access = access

    def search(self, text: str) -> tuple[Repository, ...]:
        """Search repositories with GGUF files by name; the most downloaded come first."""
        with self._asking("The search", self.access.endpoint):
            found = self._api().list_models(filter="gguf", search=text, sort="downloads", limit=MOST_RESULTS, full=True)
            return tuple(_repository(info.id, info) for info in found if _NAME.fullmatch(info.id))

    def list_files(self, repository: str) -> Listing:
        """List every quantisation of a repository, with sizes and hashes."""
        with self._asking(repository, f"{self.access.endpoint}/{repository}"):
            info = self._api().model_info(repository, files_metadata=True)
            revision = info.sha or "main"
            files = [
                (file.rfilename, self._remote_file(repository, revision, file))
                for file in info.siblings or ()
                if _is_model(file.rfilename) and file.size is not None
            ]
            about = _repository(repository, info)  # no server chooses the folder of a model
            parameters = convert((info.gguf or {}).get("total"), int | None)
            return Listing(about, parameters, quantisations(files))

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
        with self._asking(name, f"{self.access.endpoint}/datasets/{name}"):
            info = self._api().dataset_info(name, revision=revision, files_metadata=True)
            sizes = convert({file.rfilename: file.size or 0 for file in info.siblings or ()}, dict[str, int])
            return DataSetFiles(info.sha or revision or "main", sizes)

    def data_file(self, name: str, revision: str, path: str) -> Path:
        """Return a file of a data set, from huggingface_hub's cache or downloaded into it."""
        with self._asking(f"{name}/{path}", f"{self.access.endpoint}/datasets/{name}"):
            return Path(self._api().hf_hub_download(name, path, repo_type="dataset", revision=revision))

    def cached_data_set(self, name: str, revision: str | None = None) -> Path | None:
        """Find the folder of a data set in huggingface_hub's cache, named for its commit; None if it is not there."""
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(name, repo_type="dataset", revision=revision, local_files_only=True))
        except (OSError, ValueError):
            return None

    def _api(self) -> HfApi:
        from huggingface_hub import HfApi, constants

        # Else every request says which agent and which libraries run here, and huggingface.co is asked for a list of
        # agents even where a mirror is used.
        constants.HF_HUB_DISABLE_TELEMETRY = True
        with _CLIENT_LOCK:
            _set_client()
        return HfApi(endpoint=self.access.endpoint, token=self.access.token or False, library_name="baton")

    def _remote_file(self, repository: str, revision: str, file: RepoSibling) -> RemoteFile:
        from huggingface_hub import hf_hub_url

        url = hf_hub_url(repository, file.rfilename, revision=revision, endpoint=self.access.endpoint)
        name = file.rfilename.rpartition("/")[2]
        sha256 = file.lfs.sha256 if file.lfs else None
        return convert({"url": url, "name": name, "bytes": file.size, "sha256": sha256}, RemoteFile)

    @contextmanager
    def _asking(self, what: str, page: str) -> Generator[None, None, None]:
        """Refuse to ask while offline, and map every failure inside to DownloadError. `page` has the terms."""
        if self.access.offline:
            advice = f"Untick “Offline” ({download.IN_WINDOW})."
            raise DownloadError(f"{what} needs the Hub, and Baton is set to offline.", advice)
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            yield
        except httpx2.HTTPError as error:
            answer: httpx2.Response | None = getattr(error, "response", None)  # huggingface_hub's errors have one, too
            if answer is None:
                raise download.unreachable(self.access.endpoint, download.reason_of(error)) from error
            gated = answer.headers.get("X-Error-Code") == "GatedRepo"
            status = 403 if gated else answer.status_code
            raise download.refused(what, status, answer.reason_phrase, bool(self.access.token), page) from error
        except (LocalEntryNotFoundError, ConnectionError) as error:  # not in its cache either
            raise download.unreachable(self.access.endpoint, "it does not answer") from error
        except OSError as error:
            raise DownloadError(f"{what} cannot be stored: {error.strerror or error}.", "Free disk space.") from error
        except HFValidationError as error:
            raise DownloadError(f"“{what}” is no name on the Hub.", "Names have the form owner/model.") from error
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError, httpx2.InvalidURL) as error:
            raise DownloadError(
                f"{self.access.endpoint} answered with something that is not a list of models.",
                "Check the address of the mirror.",
            ) from error


class _HubClient(httpx2.Client):
    """The client of huggingface_hub: it tries once, not six times, which takes minutes where the Hub is silent.

    It also limits the time and size of queries: the library searches without a time-out.
    """

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Send a request. Raises httpx2.TransportError itself, no subclass: the library does not try again after it.

        Queries, which are not streamed, are read here; for them it also raises httpx2.HTTPStatusError.
        """
        request.extensions["timeout"] = httpx2.Timeout(SECONDS_TO_ANSWER).as_dict()
        ends = time.monotonic() + SECONDS_IN_ALL
        try:
            if stream or request.method != "GET":
                return super().send(request, stream=stream, **options)
            with closing(super().send(request, stream=True, **options)) as answer:
                body = _body(answer.raise_for_status(), ends)
        except httpx2.TransportError as error:
            raise httpx2.TransportError(download.reason_of(error)) from error
        answer.headers.pop("Content-Encoding", None)
        answer.headers.pop("Link", None)  # one page is enough, and a faulty mirror may have pages without end
        return httpx2.Response(answer.status_code, headers=answer.headers, content=body, request=answer.request)


_CLIENT_LOCK = threading.Lock()


@cache
def _set_client() -> None:
    """Give huggingface_hub our client, once: each call closes the one before, which another thread may be using."""
    from huggingface_hub import set_client_factory

    set_client_factory(lambda: _HubClient(follow_redirects=True))


def _body(answer: httpx2.Response, ends: float) -> bytes:
    """Read an answer. Raises httpx2.ReadError if it is too large, or not there when time.monotonic() is `ends`."""
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > LARGEST_ANSWER or time.monotonic() > ends:
            raise httpx2.ReadError("its answer has no end")
    return bytes(body)


def _repository(name: str, info: ModelInfo) -> Repository:
    """Describe a repository. Raises ValueError for values of other types: huggingface_hub does not check them."""
    about = {"name": name, "downloads": info.downloads or 0, "tags": info.tags or (), "gated": info.gated or False}
    return convert(about, Repository)
