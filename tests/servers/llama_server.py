"""Starts and ends real llama-servers for tests, on a free loopback port, with a key."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

KEY = "a-key-for-tests"


@dataclass(frozen=True)
class ServerOptions:
    model: str
    context: int = 1024
    slots: int = 1
    batch: int = 64
    """Small, so that a request that is given up ends soon."""
    port: int = 0
    """0: a free one."""
    key: str = KEY
    draft: str = ""
    """Another model of the same vocabulary that goes ahead of it."""


class LlamaServer:
    """One server process. A context manager."""

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        command = [sys.executable, str(Path(__file__).with_name("serve.py")), json.dumps(asdict(options))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            self.kill()
            raise RuntimeError("llama-server did not start")

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
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
