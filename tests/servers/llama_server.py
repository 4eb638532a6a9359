"""Starts and ends real llama-servers for tests, on a free loopback port, with a key.

llama.cpp's server comes as a Python package (xllamacpp), for tests only. It runs in a process of its own, which is this
file: `python llama_server.py OPTIONS_AS_JSON` prints its address when it is ready, and ends with its standard input.
`make check-server SERVER=PATH` runs the tests with another llama-server.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections import deque
from dataclasses import asdict, dataclass
from functools import cache

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
        # A server that nobody listens to would wait for room in its pipe.
        self._drain = threading.Thread(target=deque, args=(self._output, 0), daemon=True)
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
        return [sys.executable, __file__, json.dumps(asdict(options))]
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


def serve(options: ServerOptions) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.hostnames = ["127.0.0.1"]
    params.port = options.port
    params.n_ctx = options.context * options.slots
    params.n_parallel = options.slots
    params.n_batch = params.n_ubatch = options.batch
    params.api_keys = [options.key] if options.key else []
    params.cache_ram_mib = 0
    params.warmup = False
    params.verbosity = 0
    if options.draft:
        speculative = params.speculative
        speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
        speculative.draft.mparams.path = options.draft
        speculative.draft.cpuparams.n_threads = speculative.draft.cpuparams_batch.n_threads = 1
    # Two models and a test share two cores: threads that wait for a busy core spin.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads or -1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(ServerOptions(**json.loads(sys.argv[1])))
