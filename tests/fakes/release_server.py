"""A server that answers like GitHub's address of the latest release."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


class ReleaseServer(HTTPServer):
    def __init__(self, body: str, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = body
        self.status = status
        self.paths: list[str] = []
        """What was asked for."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/releases/latest"


class _Handler(BaseHTTPRequestHandler):
    server: ReleaseServer

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        content = self.server.body.encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running_releases(body: str, status: int = 200) -> Iterator[ReleaseServer]:
    with ReleaseServer(body, status) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
