"""A real llama-server that can be killed, and a connection to it that can be slow, garbled or refused."""

from __future__ import annotations

import json
import random
import select
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

from tests.servers.llama_server import LlamaServer, ServerOptions

CHUNK = 65536
SLOW_SECONDS = 0.3


class Mode(Enum):
    GOOD = auto()
    SLOW = auto()
    GARBAGE = auto()
    REFUSES = auto()
    """Every request is answered by 401."""


class UnreliableServer:
    """A context manager. `url` stays the same for its whole life."""

    def __init__(self, model: Path, seed: int) -> None:
        self.mode = Mode.GOOD
        self._random = random.Random(seed)
        self._over = threading.Event()
        self._server = LlamaServer(ServerOptions(str(model), context=1024, slots=4, key=""))
        self._options = replace(self._server.options, port=self._server.port)
        outer = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    outer._serve(self.request)

        class Proxy(ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._proxy = Proxy(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._proxy.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._proxy.server_address[1]}"

    def __enter__(self) -> UnreliableServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._proxy.shutdown()
        self._thread.join()
        self._proxy.server_close()
        self._server.kill()

    def kill(self) -> None:
        self._server.kill()

    def restart(self) -> None:
        self._server = LlamaServer(self._options)

    def _serve(self, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._options.port)) as server:
            while not self._over.is_set():
                for source in select.select([client, server], [], [], 0.2)[0]:
                    data = source.recv(CHUNK)
                    if not data:
                        return
                    if source is client:
                        if self.mode is Mode.REFUSES:
                            client.sendall(_refusal())
                            return
                        server.sendall(data)
                    else:
                        client.sendall(self._spoilt(data))

    def _spoilt(self, data: bytes) -> bytes:
        if self.mode is Mode.SLOW:
            self._over.wait(SLOW_SECONDS)
        elif self.mode is Mode.GARBAGE:
            begin = self._random.randrange(len(data))
            return data[:begin] + self._random.randbytes(len(data) - begin)
        return data


def _refusal() -> bytes:
    body = json.dumps({"error": {"code": 401, "message": "Invalid API Key", "type": "authentication_error"}}).encode()
    head = f"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
