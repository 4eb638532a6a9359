"""A link to a server on this machine that delays what passes, counts connections and round trips, and may break."""

from __future__ import annotations

import datetime
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Link:
    """A TCP proxy on 127.0.0.1. A context manager.

    `round_trips`: one for each connection, as TCP sets it up, and one each time that a client sends after it received.
    """

    def __init__(self, port: int, delay: float = 0.0, tls: ssl.SSLContext | None = None) -> None:
        """`delay`: seconds each way. `tls`: ends here; what it encrypts is delayed by a link in front of this one."""
        self.accepted = self.round_trips = 0
        self._target, self._delay, self._tls = port, delay, tls
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.scheme = "https" if tls else "http"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        for each in self._sockets:
            each.close()  # which wakes a thread that waits for data on Windows, as the shutdown does elsewhere
        for thread in self._threads:
            thread.join()

    def drop(self) -> None:
        """Close every connection, as a server does with idle ones."""
        for each in self._sockets:
            with suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    def _start(self, function: Callable[..., None], *args: object) -> None:
        self._threads.append(threading.Thread(target=function, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                self.round_trips += 1
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            # On one machine a connection is there at once; here its first bytes wait for the round trip that it takes.
            established = time.monotonic() + 2 * self._delay
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
            self._sockets.append(client)
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets.append(server)
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            turns = [True]  # whether the next bytes of the client begin a round trip
            self._start(self._pass, server, client, turns, False, 0.0)
            self._pass(client, server, turns, True, established)

    def _pass(
        self, source: socket.socket, target: socket.socket, turns: list[bool], is_client: bool, established: float
    ) -> None:
        """Pass on what arrives, `delay` later, until either end closes."""
        waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self._start(self._send, waiting, target)
        data = b"?"
        while data:
            data = b""
            with suppress(OSError):
                data = source.recv(65536)
            if is_client and data:
                self.round_trips += turns[0]
            turns[0] = not is_client
            waiting.put((max(time.monotonic(), established) + self._delay, data))

    @staticmethod
    def _send(waiting: queue.SimpleQueue[tuple[float, bytes]], target: socket.socket) -> None:
        with suppress(OSError):
            while True:
                due, data = waiting.get()
                threading.Event().wait(max(due - time.monotonic(), 0.0))
                if not data:
                    socket.socket.shutdown(target, socket.SHUT_RDWR)
                    return
                target.sendall(data)


def self_signed(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """How a server on 127.0.0.1 speaks TLS with a certificate that it signed itself, and that certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), today - day, today + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(certificate.public_bytes(pem))
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(public, private)
    return tls, public
