"""The socket of the endpoint, its addresses, and how long it waits for clients.

uvicorn answers requests, but waits for a client without end: for the rest of a header, and until it reads its answer.
A few hundred such connections would keep everybody else out, so here they have limits.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import psutil
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from baton_reasoning.core.errors import BatonError

SHUTDOWN_SECONDS = 2
"""Requests that are still being answered have this long after Ctrl+C."""
MAX_CONNECTIONS = 200
"""Open at once. Systems allow a program 256 open files (macOS) or 1,024 (Linux) unless told otherwise."""
BACKLOG = 128
"""asyncio accepts as many in one go, before it can close any."""
CLIENT_SECONDS = 60.0
"""The header of a request has this long to arrive, and a client this long to read on."""


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
        config = uvicorn.Config(
            application,
            http=_Connection,
            ws="none",
            log_level="warning",
            access_log=False,
            limit_concurrency=MAX_CONNECTIONS + 1,  # reached only if all are being answered: then status 503
            backlog=BACKLOG,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
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


class _Connection(H11Protocol):
    """A connection that is dropped once its client has been waited for too long.

    A new one beyond `MAX_CONNECTIONS` takes the place of the one whose client has been waited for longest, so
    connections on which no whole request arrives keep nobody out.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._header = _Deadline(self.loop, self._drop)
        self._reading = _Deadline(self.loop, self._drop)
        self._waits_since = self.loop.time()
        self._header.set()
        if len(self.connections) > MAX_CONNECTIONS:
            others = (each for each in self.connections if isinstance(each, _Connection) and each is not self)
            waiting = (each for each in others if each._is_waiting)
            if longest := min(waiting, key=lambda each: each._waits_since, default=None):
                longest._drop()

    @property
    def _is_waiting(self) -> bool:
        """Whether the client has yet to send a request, or the rest of one."""
        return not self.cycle or self.cycle.response_complete or self.cycle.more_body

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle and not self.cycle.response_complete:
            self._header.lift()
        else:
            self._header.set()

    def on_response_complete(self) -> None:
        self._waits_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading.set()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reading.lift()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._header.lift()
        self._reading.lift()

    def shutdown(self) -> None:
        """End the connection with its answer; a request that has not arrived is not waited for."""
        if self.cycle and self.cycle.more_body and not self.cycle.response_complete:
            self._drop()
        else:
            super().shutdown()

    def _drop(self) -> None:
        self.connections.discard(self)  # which otherwise happens later, when the loop says that it is lost
        self.transport.abort()


class _Deadline:
    """Calls a function `CLIENT_SECONDS` after it was set, unless it is lifted before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, missed: Callable[[], object]) -> None:
        self._loop = loop
        self._missed = missed
        self._timer: asyncio.TimerHandle | None = None

    def set(self) -> None:
        """Set it, unless it is set already."""
        self._timer = self._timer or self._loop.call_later(CLIENT_SECONDS, self._missed)

    def lift(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
