"""What can go wrong, and how it is brought about. Linux only: signals, rlimits, /proc and tmpfs do the work."""

import contextlib
import json
import os
import random
import re
import select
import shutil
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum
from pathlib import Path

import psutil

from tests.servers.link import Link
from tests.servers.llama_server import LlamaServer, ServerOptions
from tests.systems import user_folders

DISK_SIZE = "256m"
CHUNK = 65_536
_MODEL = re.compile(r"/(small|large)\.gguf")


class Fault(Enum):
    """Its name in the report, and how often it is drawn."""

    MODEL_KILLED = "model's process killed", 6
    MODEL_HUNG = "model's process hung", 1
    OUT_OF_MEMORY = "model's process out of memory", 3
    HELPER_KILLED = "grader or template process killed", 3
    SERVER_KILLED = "server killed", 2
    SERVER_GARBAGE = "server sends garbage", 3
    SERVER_REFUSES = "server answers 401", 3
    DISK_FULL = "disk full", 3
    STORE_LOCKED = "store locked", 3
    PROGRAM_KILLED = "program killed with -9", 4
    PROGRAM_STOPPED = "program stopped or closed", 2
    FILE_REPLACED = "model file replaced by another", 2


REMOTE_ONLY = frozenset({Fault.SERVER_KILLED, Fault.SERVER_GARBAGE, Fault.SERVER_REFUSES})
ENDS_PROGRAM = frozenset({Fault.PROGRAM_KILLED, Fault.PROGRAM_STOPPED})
"""After these the program is started again."""


def draw(chance: random.Random, is_remote: bool, can_fill_disk: bool) -> Fault:
    left_out = {Fault.FILE_REPLACED} if is_remote else set(REMOTE_ONLY)
    if not can_fill_disk:
        left_out.add(Fault.DISK_FULL)
    faults = [fault for fault in Fault if fault not in left_out]
    return chance.choices(faults, [fault.value[1] for fault in faults])[0]


class Workplace:
    """A lane's folder: copies of the models, a folder for temporary files, and a disk that can be filled."""

    def __init__(self, folder: Path, models: dict[str, Path]) -> None:
        self.folder = folder
        self.models = folder / "models"
        self.disk = folder / "disk"
        self.temporary = folder / "tmp"
        for each in (self.models, self.disk, self.temporary):
            each.mkdir(parents=True)
        self._originals = models
        for name in models:
            self._put_model(name, name)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "soak", str(self.disk)]
        mounted = subprocess.run(mount, capture_output=True, check=False)
        self.can_fill_disk = mounted.returncode == 0
        """Whether the disk is a tmpfs of its own, which needs root."""

    def model(self, name: str) -> Path:
        return self.models / f"{name}.gguf"

    def _put_model(self, original: str, name: str) -> None:
        """As a person would: a copy beside it, which then takes its name."""
        copy = self.models / f"{name}.copy"
        shutil.copyfile(self._originals[original], copy)
        copy.rename(self.model(name))

    @contextlib.contextmanager
    def with_another_model(self, name: str) -> Iterator[None]:
        self._put_model("large" if name == "small" else "small", name)
        try:
            yield
        finally:
            self._put_model(name, name)

    @contextlib.contextmanager
    def with_full_disk(self) -> Iterator[None]:
        filler = self.disk / "filler"
        with filler.open("wb", buffering=0) as file:
            for size in (2**20, 2**12):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))
        try:
            yield
        finally:
            filler.unlink()

    def environment(self) -> dict[str, str]:
        own = {"TMPDIR": str(self.temporary), "PYTHONFAULTHANDLER": "1", "QT_QPA_PLATFORM": "offscreen"}
        return os.environ | user_folders(self.disk / "home") | own

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


def attempt(fault: Callable[[], None]) -> None:
    """Do this to a process, which may have ended."""
    with contextlib.suppress(psutil.Error):
        fault()


@contextlib.contextmanager
def no_more_memory(process: psutil.Process) -> Iterator[None]:
    """What the process has it keeps; it gets no more."""
    with contextlib.suppress(psutil.Error, OSError):
        _, hard = process.rlimit(psutil.RLIMIT_AS)
        process.rlimit(psutil.RLIMIT_AS, (process.memory_info().vms, hard))
    yield
    with contextlib.suppress(psutil.Error, OSError):
        process.rlimit(psutil.RLIMIT_AS, (hard, hard))


@contextlib.contextmanager
def store_locked(store: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(store, timeout=5, isolation_level=None)) as connection:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("BEGIN IMMEDIATE")
        yield


class UnreliableServer(Link):
    """A real llama-server behind a connection whose `url` stays the same for its whole life; a context manager."""

    def __init__(self, model: Path, seed: int) -> None:
        self._fault: Fault | None = None
        self._random = random.Random(seed)
        self._over = threading.Event()
        self._server = LlamaServer(ServerOptions(str(model), context=1024, slots=4, key=""))
        self._options = replace(self._server.options, port=self._server.port)
        super().__init__(self._server.port)
        self.url = f"http://127.0.0.1:{self.port}"

    def __exit__(self, *_: object) -> None:
        self._over.set()
        super().__exit__()
        self._server.kill()

    @contextlib.contextmanager
    def disturbed_by(self, fault: Fault) -> Iterator[None]:
        self._fault = fault
        if fault is Fault.SERVER_KILLED:
            self._server.kill()
        try:
            yield
        finally:
            if fault is Fault.SERVER_KILLED:
                self._server = LlamaServer(self._options)
            self._fault = None

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self._target)) as server:
            while not self._over.is_set():
                for source in select.select([client, server], [], [], 0.2)[0]:
                    data = source.recv(CHUNK)
                    if not data:
                        return
                    if source is client and self._fault is Fault.SERVER_REFUSES:
                        client.sendall(_refusal())
                        return
                    if source is server and self._fault is Fault.SERVER_GARBAGE:
                        begin = self._random.randrange(len(data))
                        data = data[:begin] + self._random.randbytes(len(data) - begin)
                    (server if source is client else client).sendall(data)


def _refusal() -> bytes:
    body = json.dumps({"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}).encode()
    head = f"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
