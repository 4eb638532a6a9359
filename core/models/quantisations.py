"""The files of a repository as a person sees them: one entry a quantisation, however many parts it has."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from core.models.ggml_types import FILE_TYPES
from core.models.order import RemoteFile
from core.models.shards import shard_group

# Best first, of those that fit: four to five bits lose little, more cost speed (llama.cpp, tools/quantize/README).
PREFERRED = ("Q4_K_M", "Q5_K_M", "Q6_K", "Q4_K_S", "IQ4_XS", "Q4_0", "Q8_0", "Q3_K_M", "Q2_K")

_MORE_NAMES = {"BF16", "F16", "F32", "FP16", "MXFP4", "Q4_K", "Q5_K"}
_NAMES = sorted({name.upper() for name in FILE_TYPES.values()} | _MORE_NAMES, key=len)
_LABEL = re.compile(rf"(?:^|[-_.])((?:UD-)?(?:{'|'.join(map(re.escape, reversed(_NAMES)))})(?:_X?L)?)(?=[-_.]|$)", re.I)


@dataclass(frozen=True)
class Quantisation:
    """One choice in a repository: its files belong together."""

    label: str
    """As people say it, “Q4_K_M”; the file's name where it says nothing of the kind."""
    files: tuple[RemoteFile, ...]
    folder: str
    """Where in the repository, “” for its top."""

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def quantisations(files: Iterable[tuple[str, RemoteFile]]) -> tuple[Quantisation, ...]:
    """Group (path in the repository, file) into choices, smallest first. What is no language model is left out."""
    groups: dict[str, list[tuple[str, RemoteFile]]] = {}
    for path, file in files:
        if not path.lower().endswith(".gguf") or "mmproj" in path.lower() or "imatrix" in path.lower():
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


def label_of(path: str) -> str:
    name = PurePosixPath(path).stem
    labels = _LABEL.findall(name) or _LABEL.findall(str(PurePosixPath(path).parent))
    return str(labels[-1]).upper() if labels else name


def recommended(fitting: Iterable[Quantisation]) -> Quantisation | None:
    """The one to mark among those that fit: small losses at four to five bits, else the largest there is."""
    choices = list(fitting)
    for label in PREFERRED:
        for choice in choices:
            if choice.label == label:
                return choice
    return max(choices, key=lambda choice: choice.bytes, default=None)
