"""Fetches the files of a data set on the Hugging Face Hub: `hf:OWNER/NAME[@REVISION][:SPLIT]`.

    hf:openai/gsm8k@e53f048:main/test     the split “test” of the configuration “main”, at this commit
    hf:HuggingFaceH4/MATH-500             its only split, as it is now

Files come through huggingface_hub's own cache, so a data set that was read once can be read offline.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from baton_reasoning.core.batch.reading.records import is_readable
from baton_reasoning.core.errors import DownloadError, ProblemFileError
from baton_reasoning.core.text import some_of

if TYPE_CHECKING:
    from baton_reasoning.core.models.hub import Hub  # with it comes the network

PREFIX = "hf:"
LARGEST = 2**30
"""Bytes of a split, at most."""
_NAME = re.compile(
    r"(?:hf:|https?://[^/]+/datasets/)?(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<split>[\w./-]+))?/?"
)
_SPLITS = ("test", "validation", "valid", "dev", "train")


class HubDataSet(NamedTuple):
    name: str
    """“owner/name”."""
    revision: str = ""
    """A commit, tag or branch; empty: the main branch."""
    split: str = ""
    """“test”, or “configuration/test”; empty: the only one, else the test split."""

    @classmethod
    def parse(cls, text: str) -> HubDataSet:
        """Parse the name of a data set, which needs no `hf:`, or the address of its page. Raises ProblemFileError."""
        found = _NAME.fullmatch(text.strip())
        if found is None:
            raise ProblemFileError(
                f"{text} names no data set.", "Write hf:OWNER/NAME, hf:OWNER/NAME@REVISION or hf:OWNER/NAME:SPLIT."
            )
        return cls(found["name"], found["revision"] or "", found["split"] or "")


def fetch(data: HubDataSet, hub: Hub) -> tuple[list[Path], str]:
    """Get the files of the split from the Hub or the cache; and the data set's name with the commit that was read.

    Raises ProblemFileError, DownloadError.
    """
    try:
        listing = hub.data_set(data.name, data.revision or None)
    except DownloadError as error:
        folder = hub.cached_data_set(data.name, data.revision or None)
        if folder is None:
            raise _not_cached(error, f"{data.name} is not in the cache of this computer, either.") from error
        paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        chosen = _files_of(data, paths)
        if not _are_all_shards(chosen):
            raise _not_cached(error, f"Of {data.name} only parts of its files are in the cache.") from error
        files, revision = [folder / path for path in chosen], folder.name
    else:
        chosen = _files_of(data, list(listing.files))
        size = sum(listing.files[path] for path in chosen)
        if size > LARGEST:
            raise ProblemFileError(
                f"{data.name} has {size / 2**30:.1f} GiB in this split.", "Name a smaller one: hf:OWNER/NAME:SPLIT."
            )
        files = [_file(data, hub, listing.revision, path) for path in chosen]
        revision = listing.revision
    return files, f"hf:{data.name}@{revision}" + (f":{data.split}" if data.split else "")


def _file(data: HubDataSet, hub: Hub, commit: str, path: str) -> Path:
    """Get a file by the revision that was named, so that the cache knows its commit without a network."""
    file = hub.data_file(data.name, data.revision or "main", path)
    return file if commit in file.parts else hub.data_file(data.name, commit, path)  # the data set has just changed


def _files_of(data: HubDataSet, paths: Sequence[str]) -> list[str]:
    """Choose the files of the split. Raises ProblemFileError if there are none, or several configurations."""
    readable = [path for path in paths if is_readable(path) and not path.lower().startswith("readme")]
    if not readable:
        raise ProblemFileError(f"{data.name} has no file of problems that can be read.", f"It has {some_of(paths)}.")
    folder, _, split = data.split.rpartition("/")
    inside = [path for path in readable if not folder or path.startswith(f"{folder}/")]
    for name in (split,) if split else _SPLITS:
        if found := [path for path in inside if re.search(rf"(^|[/_.-]){re.escape(name)}([-_./]|$)", path)]:
            break
    else:
        found = [] if split else inside
    if not found:
        raise ProblemFileError(f"{data.name} has no split “{data.split}”.", f"It has {some_of(readable)}.")
    # Parts of one table differ only in their numbers: test-00000-of-00002.parquet …
    if len({re.sub(r"\d+-of-\d+", "", path) for path in found}) > 1:
        raise ProblemFileError(
            f"{data.name} has several configurations: {some_of(found)}.",
            f"Name one: hf:{data.name}:CONFIGURATION/SPLIT.",
        )
    return sorted(found)


def _are_all_shards(paths: Sequence[str]) -> bool:
    """Tell whether all parts are there; a download that was broken off leaves only some."""
    counts = [int(found[1]) for path in paths if (found := re.search(r"\d+-of-(\d+)", path))]
    return not counts or len(counts) == counts[0]


def _not_cached(error: DownloadError, sentence: str) -> DownloadError:
    return DownloadError(error.message, f"{error.advice} {sentence}".strip())
