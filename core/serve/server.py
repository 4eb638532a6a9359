"""The socket of the endpoint, its addresses, and the process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import psutil
import uvicorn
from starlette.types import ASGIApp

from baton_reasoning.core.errors import BatonError

SHUTDOWN_SECONDS = 2
"""Requests that are still being answered have this long after Ctrl+C."""


class EndpointServer:
    """An ASGI application on an address that is bound at once, so that a taken port is an error before models load."""

    def __init__(self, host: str, port: int) -> None:
        """Bind the address; `port` 0 takes a free one. Raises BatonError if that fails."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Unless the protocol is named, asyncio leaves Nagle's algorithm on, which holds a response back for 40 ms.
        self._socket = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        # Elsewhere an address is free again at once; on Windows that option would let two programs share it.
        is_alone = getattr(socket, "SO_EXCLUSIVEADDRUSE", socket.SO_REUSEADDR)
        self._socket.setsockopt(socket.SOL_SOCKET, is_alone, 1)
        try:
            self._socket.bind((host, port))
            self._socket.listen()  # clients may connect as soon as `on_ready` has been called
        except OSError as error:
            self._socket.close()
            problem = f"{host}:{port} cannot be used: {error.strerror or error}."
            raise BatonError(problem, "Choose another port with --port.") from error
        self.host = host
        self._server: uvicorn.Server | None = None

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def urls(self) -> list[str]:
        """The base URLs for clients: one, or if it listens on all addresses of this machine, one for each."""
        is_everywhere = self._socket.getsockname()[0] in ("0.0.0.0", "::")
        hosts = _addresses(self._socket.family) if is_everywhere else [self.host]
        return [f"http://{f'[{host}]' if ':' in host else host}:{self.port}/v1" for host in hosts]

    def serve(self, application: ASGIApp, on_ready: Callable[[], object], on_stop: Callable[[], object]) -> None:
        """Answer requests; return after `stop`, raise KeyboardInterrupt after Ctrl+C.

        `on_stop` is called before that, so that requests which are being answered end, too.
        """
        config = uvicorn.Config(application, log_level="warning", access_log=False)
        config.timeout_graceful_shutdown = SHUTDOWN_SECONDS
        self._server = _Server(config, on_stop)
        on_ready()
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Stop within `SHUTDOWN_SECONDS`. May be called from any thread."""
        if self._server:
            self._server.should_exit = True

    def close(self) -> None:
        self._socket.close()


def _addresses(family: int) -> Iterator[str]:
    """Yield the addresses of this machine at which it can be reached, without those that need an interface's name."""
    running = {name for name, state in psutil.net_if_stats().items() if state.isup}
    for name, addresses in psutil.net_if_addrs().items():
        for each in addresses if name in running else ():
            if each.family == family and not ip_address(each.address).is_link_local:
                yield each.address


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)
