"""TLS in front of a server that speaks none, as a reverse proxy would put it there."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

CHUNK = 65536


class TlsProxy:
    """Passes each connection on to a port of this machine, decrypted. A context manager."""

    def __init__(self, port: int, tls: ssl.SSLContext) -> None:
        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                # A client that does not trust the certificate hangs up in the middle of the handshake.
                with (
                    suppress(OSError),
                    tls.wrap_socket(self.request, server_side=True) as client,
                    socket.create_connection(("127.0.0.1", port)) as server,
                ):
                    _pass_on(client, server)

        class Server(ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> TlsProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _pass_on(client: ssl.SSLSocket, server: socket.socket) -> None:
    """All that comes from either side, until one of them hangs up."""
    while True:
        # What is decrypted already lies in no socket, so that `select` would wait for it in vain.
        waiting = [client] if client.pending() else select.select([client, server], [], [])[0]
        for source in waiting:
            data = source.recv(CHUNK)
            if not data:
                return
            (server if source is client else client).sendall(data)
