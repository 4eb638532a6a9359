"""What can go wrong, and how it is brought about. Linux only: signals, rlimits, /proc and tmpfs do the work."""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import psutil

from tests.soak.server import Mode, UnreliableServer

DISK_SIZE = "256m"
DAYS = 86_400.0
_MODEL = re.compile(r"/(small|large)\.gguf")


class Fault(Enum):
    MODEL_KILLED = "model's process killed"
    MODEL_HUNG = "model's process hung"
    OUT_OF_MEMORY = "model's process out of memory"
    HELPER_KILLED = "grader or template process killed"
    SERVER_KILLED = "server killed"
    SERVER_SLOW = "server slow"
    SERVER_GARBAGE = "server sends garbage"
    SERVER_REFUSES = "server answers 401"
    DISK_FULL = "disk full"
    STORE_LOCKED = "store locked"
    STORE_DAMAGED = "store damaged"
    PROGRAM_KILLED = "program killed with -9"
    PROGRAM_STOPPED = "program stopped or closed"
    CLOCK_MOVED = "clock moved"
    FILE_SWAPPED = "model file replaced by another"
    FILE_OVERWRITTEN = "model file overwritten in place"
    FILE_TRUNCATED = "model file truncated in place"


LOCAL_ONLY = frozenset({Fault.FILE_SWAPPED, Fault.FILE_OVERWRITTEN, Fault.FILE_TRUNCATED})
REMOTE_ONLY = frozenset({Fault.SERVER_KILLED, Fault.SERVER_SLOW, Fault.SERVER_GARBAGE, Fault.SERVER_REFUSES})
ENDS_PROGRAM = frozenset({Fault.PROGRAM_KILLED, Fault.PROGRAM_STOPPED, Fault.STORE_DAMAGED})
"""After these the program is started again."""
WEIGHTS = {
    Fault.MODEL_KILLED: 6,
    Fault.MODEL_HUNG: 1,
    Fault.OUT_OF_MEMORY: 3,
    Fault.HELPER_KILLED: 3,
    Fault.SERVER_KILLED: 2,
    Fault.SERVER_SLOW: 3,
    Fault.SERVER_GARBAGE: 3,
    Fault.SERVER_REFUSES: 3,
    Fault.DISK_FULL: 3,
    Fault.STORE_LOCKED: 3,
    Fault.STORE_DAMAGED: 1,
    Fault.PROGRAM_KILLED: 4,
    Fault.PROGRAM_STOPPED: 2,
    Fault.CLOCK_MOVED: 3,
    Fault.FILE_SWAPPED: 1,
    Fault.FILE_OVERWRITTEN: 1,
    Fault.FILE_TRUNCATED: 1,
}
CLOCK_STEPS = (-730 * DAYS, -1 * DAYS, -3_600.0, 3_600.0, 1 * DAYS, 29 * DAYS)
"""Below the 30 days after which deleted conversations are removed, which is no loss but a promise."""


def draw(chance: random.Random, is_remote: bool, can_fill_disk: bool) -> Fault:
    leaves_out = (LOCAL_ONLY if is_remote else REMOTE_ONLY) | (frozenset() if can_fill_disk else {Fault.DISK_FULL})
    faults = [fault for fault in Fault if fault not in leaves_out]
    return chance.choices(faults, [WEIGHTS[fault] for fault in faults])[0]


class Workplace:
    """A lane's folder: copies of the models, a clock, a folder for temporary files, and a disk that can be filled."""

    def __init__(self, folder: Path, models: dict[str, Path]) -> None:
        self.folder = folder
        self.models = folder / "models"
        self.disk = folder / "disk"
        self.temporary = folder / "tmp"
        self.clock = folder / "clock"
        for each in (self.models, self.disk, self.temporary):
            each.mkdir(parents=True)
        self._originals = models
        for name in models:
            self.restore_model(name)
        self.set_clock(0)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "soak", str(self.disk)],
            capture_output=True,
            check=False,
        )
        self.can_fill_disk = mounted.returncode == 0
        """Whether the disk is a tmpfs of its own, which needs root."""

    def model(self, name: str) -> Path:
        return self.models / f"{name}.gguf"

    def restore_model(self, name: str) -> None:
        """As a person would: a copy beside it, which then takes its name."""
        copy = self.models / f"{name}.copy"
        shutil.copyfile(self._originals[name], copy)
        copy.rename(self.model(name))

    def set_clock(self, seconds: float) -> None:
        copy = self.clock.with_suffix(".new")
        copy.write_text(str(seconds), encoding="ascii")
        copy.rename(self.clock)

    def environment(self) -> dict[str, str]:
        folders = {f"XDG_{kind}_HOME": str(self.disk / "home") for kind in ("DATA", "CONFIG", "CACHE", "STATE")}
        places = {"TMPDIR": str(self.temporary), "BATON_SOAK_CLOCK": str(self.clock), "QT_QPA_PLATFORM": "offscreen"}
        return {**os.environ, **folders, **places}

    def temporary_files(self) -> list[str]:
        return sorted(path.name for path in self.temporary.iterdir())

    def close(self) -> None:
        if self.can_fill_disk:
            subprocess.run(["umount", "-l", str(self.disk)], check=False)


def model_processes(program: int) -> dict[str, psutil.Process]:
    """By name, small or large, the processes that have a model file mapped."""
    found = {}
    for child in descendants(program):
        with contextlib.suppress(OSError):
            if match := _MODEL.search(Path(f"/proc/{child.pid}/maps").read_text(encoding="utf-8", errors="replace")):
                found[match[1]] = child
    return found


def helper_processes(program: int) -> list[psutil.Process]:
    """The grader and the renderer of chat templates."""
    models = {child.pid for child in model_processes(program).values()}
    found = []
    for child in descendants(program):
        with contextlib.suppress(psutil.Error):
            if child.pid not in models and "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def descendants(program: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(program).children(recursive=True))
    except psutil.Error:
        return []


def send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.Error):
        process.send_signal(number)


@contextlib.contextmanager
def no_more_memory(process: psutil.Process) -> Iterator[None]:
    """What the process has it keeps; it gets no more."""
    with contextlib.suppress(psutil.Error, OSError):
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_AS)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (process.memory_info().vms, hard))
    yield
    with contextlib.suppress(psutil.Error, OSError):
        resource.prlimit(process.pid, resource.RLIMIT_AS, (hard, hard))


@contextlib.contextmanager
def disk_full(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (2**20, 2**12):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def store_locked(store: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(store, timeout=5, isolation_level=None)) as connection:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("BEGIN IMMEDIATE")
        yield


@contextlib.contextmanager
def server_in(server: UnreliableServer, mode: Mode) -> Iterator[None]:
    server.mode = mode
    try:
        yield
    finally:
        server.mode = Mode.GOOD


@contextlib.contextmanager
def server_gone(server: UnreliableServer) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.restart()


@contextlib.contextmanager
def moved_clock(workplace: Workplace, seconds: float) -> Iterator[None]:
    """It stays moved: no clock goes back by itself."""
    workplace.set_clock(seconds)
    yield


@contextlib.contextmanager
def spoilt_file(workplace: Workplace, name: str, fault: Fault) -> Iterator[None]:
    file = workplace.model(name)
    match fault:
        case Fault.FILE_SWAPPED:
            copy = file.with_suffix(".new")
            shutil.copyfile(workplace.model("large" if name == "small" else "small"), copy)
            copy.rename(file)
        case Fault.FILE_OVERWRITTEN:
            with file.open("r+b") as opened:
                opened.seek(file.stat().st_size // 4)
                opened.write(bytes(file.stat().st_size // 2))
        case _:
            os.truncate(file, file.stat().st_size // 2)
    try:
        yield
    finally:
        workplace.restore_model(name)


def damage(store: Path, chance: random.Random) -> None:
    """A stretch of random bytes somewhere in the file, or its end gone."""
    size = store.stat().st_size
    if chance.random() < 0.3:
        os.truncate(store, size // 2 + 17)
        return
    with store.open("r+b") as file:
        file.seek(chance.randrange(max(1, size - 8192)))
        file.write(chance.randbytes(8192))
