"""One connection to a server, which another thread may cut."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from typing import Any

import httpx2

from core.engines.remote.address import ServerAddress
from core.engines.remote.failures import from_status, from_transport, garbage
from core.engines.remote.fields import Fields, parsed
from core.engines.remote.patience import Patience
from core.errors import EngineLost

Payload = Mapping[str, Any]
LARGEST_ANSWER = 64 * 2**20
_CONNECTED = (".connect_tcp.complete", ".start_tls.complete")


class Line:
    """Requests one after another over one connection, kept open in between. Only `cut` may come from elsewhere.

    httpx2 has no way to end a request from another thread, and its time-outs count silence, not slowness. So the
    socket is learned from its trace hook, and shut down when somebody has waited long enough.
    """

    def __init__(self, address: ServerAddress, patience: Patience, tls: ssl.SSLContext) -> None:
        self.host = address.host
        self.bytes_sent = 0
        self.bytes_received = 0
        self._patience = patience
        self._client = httpx2.Client(
            base_url=address.url,
            headers={"Authorization": f"Bearer {address.key}"} if address.key else {},
            verify=tls,
            proxy=address.proxy,
            trust_env=not address.is_this_machine,  # the environment's proxy cannot know this machine's ports
            limits=httpx2.Limits(max_connections=1),
            timeout=httpx2.Timeout(None, connect=patience.connect),
            follow_redirects=False,
        )
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    def ask(self, path: str, payload: Payload | None = None) -> Fields:
        """A short question, answered as a JSON object: GET, or POST with a payload. Raises EngineError."""
        return Fields(self._asked(path, payload))

    def ask_list(self, path: str) -> list[Fields]:
        """A short question, answered as a list of JSON objects. Raises EngineError."""
        answer = self._asked(path, None)
        return [Fields(each) for each in answer] if isinstance(answer, list) else []

    def _asked(self, path: str, payload: Payload | None) -> object:
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self.cut()

        alarm = threading.Timer(self._patience.answer, give_up)
        alarm.daemon = True
        alarm.start()
        try:
            with self._request(path, payload) as response:
                return parsed(self._body(response))
        except ValueError as error:
            raise garbage(self.host) from error
        except EngineLost as error:
            if late.is_set():
                raise EngineLost(f"{self.host} has stopped answering.", "Look at the server's log.") from error
            raise
        finally:
            alarm.cancel()

    def events(self, path: str, payload: Payload) -> Iterator[str]:
        """The data of each server-sent event. Raises EngineError."""
        with self._request(path, payload) as response:
            for event in httpx2.EventSource(response):
                yield event.data

    @property
    def is_open(self) -> bool:
        """Whether the next request finds a connection, as far as this side knows."""
        with self._lock:
            return self._socket is not None and self._socket.fileno() >= 0 and not self._is_cut

    def cut(self) -> None:
        """End the request that is going on, from any thread."""
        with self._lock:
            self._is_cut = True
            self._shut_down()

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _request(self, path: str, payload: Payload | None) -> Iterator[httpx2.Response]:
        """A response with status 200, not yet read."""
        with self._lock:
            self._is_cut = False
        content = None if payload is None else json.dumps(payload).encode()
        self.bytes_sent += len(content or b"")
        try:
            with closing(self._send(path, content)) as response:
                try:
                    if response.status_code != HTTPStatus.OK:
                        raise from_status(response, self._body(response), self.host)
                    yield response
                finally:
                    self.bytes_received += response.num_bytes_downloaded
        except httpx2.HTTPError as error:
            raise from_transport(error, self.host) from error

    def _body(self, response: httpx2.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise garbage(self.host)
        return bytes(body)

    def _send(self, path: str, content: bytes | None) -> httpx2.Response:
        request = self._client.build_request(
            "GET" if content is None else "POST",
            path,
            content=content,
            headers={"Content-Type": "application/json"},
            extensions={"trace": self._on_trace},
        )
        known = self._socket
        try:
            return self._client.send(request, stream=True)
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            if self._is_cut or self._socket is not known:
                raise
            # The server has closed a connection that was kept open from before: no more than a new one is needed.
            return self._client.send(request, stream=True)

    def _on_trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(_CONNECTED):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self._is_cut:
                    self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is None:
            return
        try:
            # Not SSLSocket's own: it would take the TLS state away from under the thread that is reading.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            self._socket = None  # it was closed already
