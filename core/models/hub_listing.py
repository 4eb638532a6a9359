"""Repositories of the Hub and their files as data, without the library that queries them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from baton_reasoning.core.models.download import DownloadManifest, RemoteFile, checked_part
from baton_reasoning.core.models.ggml_types import label_of
from baton_reasoning.core.models.gguf_format import shard_group
from baton_reasoning.core.models.source import HubFile

ENDPOINT = "https://huggingface.co"


@dataclass(frozen=True)
class HubAccess:
    """How the Hub is reached. `endpoint`: as HF_ENDPOINT, for a mirror; `token`: never written to a file."""

    endpoint: str = ENDPOINT
    token: str | None = None
    offline: bool = False


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
