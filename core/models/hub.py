"""Queries the Hugging Face Hub, or a mirror of it: searches GGUF repositories, lists files with sizes and hashes.

Queries are single requests to the Hub's API, limited in time and size. The files of models come through
`core.models.download`, which resumes and verifies; those of data sets through huggingface_hub and its cache, so that
what was read once can be read offline. huggingface_hub takes a third of a second to import.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from baton_reasoning.core.errors import DownloadError
from baton_reasoning.core.models import download
from baton_reasoning.core.models.download import DownloadManifest, RemoteFile
from baton_reasoning.core.models.gguf_format import label_of, shard_group
from baton_reasoning.core.models.options import HubAccess, HubFile


class Repository(msgspec.Struct, frozen=True):
    """A repository as the Hub's API describes it."""

    name: str = msgspec.field(name="id")
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
    """Group (path in the repository, file) into choices, smallest first. Files of other kinds are left out."""
    groups: dict[str, list[tuple[str, RemoteFile]]] = {}
    for path, file in dict(files).items():  # a faulty mirror may name a file twice
        if _is_model(path):
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
    found = sorted(folder.joinpath(*source.repository.split("/")).glob("*.gguf"))
    wanted = source.quantisation.upper()
    fitting = [path for path in found if _is_model(path.name) and wanted in ("", label_of(path.name))]
    firsts = [path for path in fitting if shard_group(path) is None or "-00001-of-" in path.name]
    return min(firsts, key=lambda path: _rank(label_of(path.name)), default=None)


# Queries --------------------------------------------------------------------------------------------------------------

SECONDS_TO_ANSWER = 15.0
"""Without a byte."""
SECONDS_IN_ALL = 60.0
"""For one query, redirects included."""
LARGEST_ANSWER = 32 * 2**20
"""Bytes; a listing of 10,000 files takes 3 MiB."""
MOST_RESULTS = 40
MOST_REDIRECTS = 5
"""A repository that was renamed redirects once."""

_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)


class _Lfs(msgspec.Struct):
    sha256: str


class _File(msgspec.Struct):
    rfilename: str
    """Its path in the repository."""
    size: int | None = None
    lfs: _Lfs | None = None


class _Gguf(msgspec.Struct, frozen=True):
    total: int | None = None
    """Parameters of the model."""


class _Contents(Repository, frozen=True):
    """A repository with its files at one commit."""

    sha: str = ""
    siblings: tuple[_File, ...] = ()
    gguf: _Gguf = _Gguf()


Answer = TypeVar("Answer")


class DataSetFiles(NamedTuple):
    """The files of a data set at one commit."""

    revision: str
    files: dict[str, int]
    """Bytes of each file, by its path."""


class Hub:
    """Queries to the Hub; each blocks for up to `SECONDS_IN_ALL`. Raises DownloadError with advice."""

    def __init__(self, access: HubAccess) -> None:
        self.access = access

    def search(self, text: str, limit: int = MOST_RESULTS) -> tuple[Repository, ...]:
        """Search repositories with GGUF files by name; the most downloaded come first."""
        with self._asking("The search", self.access.endpoint):
            query: dict[str, str | int] = {
                "filter": "gguf",
                "search": text,
                "sort": "downloads",
                "limit": limit,
                "full": True,
            }
            found = self._get("models", list[Repository], query)
        return tuple(repository for repository in found if _NAME.fullmatch(repository.name))

    def list_files(self, repository: str) -> Listing:
        """List every quantisation of a repository, with sizes and hashes."""
        with self._asking(repository, f"{self.access.endpoint}/{repository}"):
            contents = self._get(f"models/{_checked_name(repository)}", _Contents, {"blobs": True})
        revision = contents.sha or "main"
        folder = f"{self.access.endpoint}/{repository}/resolve/{quote(revision, safe='')}"
        files = [(file.rfilename, _remote_file(folder, file)) for file in contents.siblings if file.size is not None]
        about = msgspec.structs.replace(contents, name=repository)  # no server chooses the folder of a model
        return Listing(about, revision, contents.gguf.total, quantisations(files))

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
            at = f"/revision/{quote(revision, safe='')}" if revision else ""
            contents = self._get(f"datasets/{_checked_name(name)}{at}", _Contents, {"blobs": True})
        sizes = {file.rfilename: file.size or 0 for file in contents.siblings}
        return DataSetFiles(contents.sha or revision or "main", sizes)

    def data_file(self, name: str, revision: str, path: str) -> Path:
        """Return a file of a data set, from huggingface_hub's cache or downloaded into it."""
        with self._asking(f"{name}/{path}", f"{self.access.endpoint}/datasets/{name}"):
            from huggingface_hub import constants, hf_hub_download, set_client_factory

            # Else every request says which agent and which libraries run here, and huggingface.co is asked for a list
            # of agents even where a mirror is used.
            constants.HF_HUB_DISABLE_TELEMETRY = True
            set_client_factory(lambda: _OneTryClient(follow_redirects=True, timeout=SECONDS_TO_ANSWER))
            return Path(
                hf_hub_download(
                    name,
                    path,
                    repo_type="dataset",
                    revision=revision,
                    endpoint=self.access.endpoint,
                    token=self.access.token or False,
                )
            )

    def cached_data_set(self, name: str, revision: str | None = None) -> Path | None:
        """Find the folder of a data set in huggingface_hub's cache, named for its commit; None if it is not there."""
        from huggingface_hub import snapshot_download

        try:
            return Path(snapshot_download(name, repo_type="dataset", revision=revision, local_files_only=True))
        except (OSError, ValueError):
            return None

    @contextmanager
    def _asking(self, what: str, page: str) -> Generator[None, None, None]:
        """Refuse to ask while offline, and map every failure inside to DownloadError. `page` has the terms."""
        if self.access.offline:
            raise download.offline(what)
        try:
            yield
        except httpx2.HTTPError as error:
            answer: httpx2.Response | None = getattr(error, "response", None)  # huggingface_hub's errors have one, too
            if answer is None:
                raise download.unreachable(self.access.endpoint, download.reason_of(error)) from error
            gated = answer.headers.get("X-Error-Code") == "GatedRepo"
            status = 403 if gated else answer.status_code
            raise download.refused(what, status, answer.reason_phrase, bool(self.access.token), page) from error
        except (FileNotFoundError, ConnectionError) as error:  # huggingface_hub gave up, and has it not in its cache
            raise download.unreachable(self.access.endpoint, "it does not answer") from error
        except OSError as error:
            raise DownloadError(f"{what} cannot be stored: {error.strerror or error}.", "Free disk space.") from error
        except (ValueError, RecursionError, httpx2.InvalidURL) as error:
            raise DownloadError(
                f"{self.access.endpoint} answered with something that is not a list of models.",
                "Check the address of the mirror.",
            ) from error

    def _get(self, path: str, kind: type[Answer], query: dict[str, str | int]) -> Answer:
        """Ask the API once, following redirects by hand so that their bodies are not read.

        Raises httpx2.HTTPError, and ValueError for an answer of another kind.
        """
        ends = time.monotonic() + SECONDS_IN_ALL
        headers = {"User-Agent": "baton"}
        if self.access.token:
            headers["Authorization"] = f"Bearer {self.access.token}"
        with httpx2.Client(headers=headers, timeout=SECONDS_TO_ANSWER) as client:
            request = client.build_request("GET", f"{self.access.endpoint}/api/{path}", params=query)
            for _ in range(MOST_REDIRECTS):
                with closing(client.send(request, stream=True)) as answer:
                    if answer.next_request is None:
                        return msgspec.json.decode(_body(answer.raise_for_status(), ends), type=kind)
                    request = answer.next_request
            raise httpx2.TooManyRedirects("it redirects again and again")


class _OneTryClient(httpx2.Client):
    """A client whose failures huggingface_hub does not retry: its six attempts take minutes where the Hub is silent."""

    def send(self, *arguments: Any, **options: Any) -> httpx2.Response:
        try:
            return super().send(*arguments, **options)
        except (httpx2.TimeoutException, httpx2.NetworkError) as error:
            raise httpx2.TransportError(download.reason_of(error)) from error


def _body(answer: httpx2.Response, ends: float) -> bytes:
    """Read an answer. Raises httpx2.ReadError if it is too large, or not there when time.monotonic() is `ends`."""
    body = bytearray()
    for piece in answer.iter_bytes():
        body += piece
        if len(body) > LARGEST_ANSWER or time.monotonic() > ends:
            raise httpx2.ReadError("its answer has no end")
    return bytes(body)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise DownloadError(f"“{name}” is no name on the Hub.", "Names have the form owner/model.")
    return name


def _remote_file(folder: str, file: _File) -> RemoteFile:
    """Make a file to download; `folder` is the address of the repository's files."""
    name = file.rfilename.rpartition("/")[2]
    return RemoteFile(f"{folder}/{quote(file.rfilename)}", name, file.size or 0, file.lfs.sha256 if file.lfs else None)
