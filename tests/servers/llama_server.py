"""Starts and ends real llama-servers for tests, on a free loopback port, with a key.

`make check-server SERVER=PATH` runs the tests with another llama-server than the prebuilt one of xllamacpp.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TextIO

KEY = "a-key-for-tests"
BINARY = "BATON_LLAMA_SERVER"
"""Environment variable: a llama-server of your own, to test and measure in place of the prebuilt one of xllamacpp."""
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True)
class ServerOptions:
    model: str = ""
    context: int = 1024
    slots: int = 1
    batch: int = 64
    """Small, so that a request that is given up ends soon."""
    port: int = 0
    """0: a free one."""
    key: str = KEY
    draft: str = ""
    """Another model of the same vocabulary that goes ahead of it."""
    threads: int = 1
    """0: as many as llama.cpp takes by itself."""
    flags: tuple[str, ...] = ()
    """More flags; only for a binary of your own, see `knows`."""


class LlamaServer:
    """One server process. A context manager."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self._process = subprocess.Popen(
            _command(options), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout
        self._output = self._process.stdout
        self._drain = threading.Thread(target=_read_to_the_end, args=(self._output,), daemon=True)
        said = (_ADDRESS.search(line) for line in self._output)
        address = next((found[0] for found in said if found), "")
        if not address:
            self.kill()
            raise RuntimeError("llama-server did not start")
        self.url = address
        self._drain.start()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def __enter__(self) -> LlamaServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """At once, as a crash would."""
        self._process.kill()
        self._process.wait()
        if self._drain.is_alive():
            self._drain.join()
        if self._process.stdin:
            self._process.stdin.close()
        self._output.close()


def _command(options: ServerOptions) -> list[str]:
    binary = os.environ.get(BINARY)
    if not binary:
        return [sys.executable, str(Path(__file__).with_name("serve.py")), json.dumps(asdict(options))]
    flags: dict[str, object] = {
        "--host": "127.0.0.1",
        "--port": options.port,
        "--ctx-size": options.context * options.slots,
        "--parallel": options.slots,
        "--batch-size": options.batch,
        "--ubatch-size": options.batch,
        "--cache-ram": 0,
    }
    if options.threads:
        flags["--threads"] = options.threads
    if options.model:
        flags["--model"] = options.model
    if options.key:
        flags["--api-key"] = options.key
    if options.draft:
        flags |= {"--model-draft": options.draft, "--threads-draft": 1}
        if knows("draft-simple"):  # a kind of `--spec-type` since May 2026; before, the draft model was enough
            flags["--spec-type"] = "draft-simple"
    # Old builds lack `--cache-ram`.
    known = (str(word) for flag, value in flags.items() if knows(flag) for word in (flag, value))
    return [binary, "--no-warmup", *known, *options.flags]


def knows(flag: str) -> bool:
    """Return whether the tests run with a binary that has this flag."""
    binary = os.environ.get(BINARY)
    return bool(binary) and flag in _help(binary)


@cache
def _help(binary: str) -> str:
    return subprocess.run([binary, "--help"], capture_output=True, text=True, check=True).stdout


def _read_to_the_end(output: TextIO) -> None:
    """A server that nobody listens to would wait for room in its pipe."""
    for _ in output:
        pass
