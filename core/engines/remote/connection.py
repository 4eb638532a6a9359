"""One HTTP connection to a server: its address, its time-outs, and requests that another thread may end."""

from __future__ import annotations

import ipaddress
import json
import queue
import selectors
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.engines.remote.answers import (
    SEE_LOG,
    Fields,
    NotReady,
    from_status,
    from_transport,
    garbage,
    parsed,
)
from baton_reasoning.core.errors import Cancelled, EngineError, EngineLost, EngineRefused, SettingsError
from baton_reasoning.core.waiting import taken


def canonical(url: str) -> str:
    """Return the normal form of an address: without blanks, a last slash, and a trailing `/v1` before its `#model`."""
    base, _, model = url.strip().partition("#")
    base = base.rstrip("/").removesuffix("/v1")
    return f"{base}#{model}" if model else base


def without_model(url: str) -> str:
    """Return the normal form of the address of a server, without the model there."""
    return canonical(url.partition("#")[0])


class ServerAccess(BaseModel):
    """How the server is reached, and how its identity is checked."""

    model_config = ConfigDict(frozen=True)

    authority: Path | None = Field(
        None, title="Certificate file", description="A private CA, or the server's own certificate, as PEM."
    )
    any_certificate: bool = Field(
        False,
        title="Accept any certificate",
        description="A risk: anyone in between can pose as the server, and read texts and key.",
    )
    proxy: str = Field("", title="Proxy", description="Replaces HTTPS_PROXY: http://host:port.")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """An address as a person enters it: `http(s)://host[:port][/path][#model]`; a trailing `/v1` is dropped.

    Raises SettingsError if it is not an address.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    """Sent as a Bearer token, to this address only."""
    access: ServerAccess = field(default_factory=ServerAccess)

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", canonical(self.url))
        try:
            parts = urlsplit(self.url)
            is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # of a port, say
            is_address = False
        if not is_address:
            raise SettingsError(
                f"“{self.url}” is not a server address.", "Write it as http://host:port or https://host:port."
            )
        if parts.username or parts.password:
            raise SettingsError("A key does not belong in an address.", "Enter it in the field for the key.")
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise SettingsError("The key contains characters that no key has.", "Copy it again, without line breaks.")

    @property
    def model(self) -> str:
        """Which model, where the server has several; empty: not named."""
        return self.url.partition("#")[2]

    @property
    def host(self) -> str:
        """Host and port, for people."""
        return urlsplit(self.url).netloc

    @property
    def is_this_machine(self) -> bool:
        return is_loopback(urlsplit(self.url).hostname or "")

    @property
    def risks(self) -> tuple[str, ...]:
        """Warnings to show before a text or a key is sent there, a sentence each."""
        risks = []
        if self.access.any_certificate:
            risks.append(f"Anyone in between can pose as {self.host}: its certificate is not checked.")
        if self.url.startswith("http:") and not self.is_this_machine:
            risks.append(f"Texts{' and the key' if self.key else ''} go to {self.host} unencrypted.")
        return tuple(risks)

    def tls(self) -> ssl.SSLContext:
        """Make the TLS settings. Raises SettingsError if the private CA cannot be read."""
        context = ssl.create_default_context()
        authority = self.access.authority
        if self.access.any_certificate:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif authority:
            try:
                context.load_verify_locations(authority)
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(
                    f"{authority.name} cannot be used as a certificate file.",
                    "Choose a PEM file (it begins with “-----BEGIN CERTIFICATE-----”).",
                ) from error
        return context


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server bound to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Time-outs and pauses, all in seconds."""

    connect: float = 5.0
    answer: float = 30.0
    """For a short question (tokenise, properties)."""
    first_token: float = 1800.0
    """Without any progress: other users may occupy all slots, and a long prompt is read for minutes."""
    between_tokens: float = 120.0
    notice_every: float = 10.0
    """While nothing arrives, progress is reported this often."""
    tries: int = 8
    """Failures in a row, without a token in between, before the server is given up."""
    first_pause: float = 0.5
    """Doubled at each failure, up to `longest_pause`."""
    longest_pause: float = 3.0
    loading: float = 300.0
    """In all, while the server answers that it is not ready (503, 429)."""


@dataclass
class RetryState:
    """Counts the failures of one request in a row, and says how long to pause before the next attempt."""

    policy: RetryPolicy
    failures: int = 0
    """In which the server was lost; one that is not ready is given seconds, not tries."""
    errors: int = 0
    pause: float = 0.0
    """Seconds until the next attempt."""
    _waited_for_loading: float = 0.0

    def progressed(self) -> None:
        self.failures = self.errors = 0
        self._waited_for_loading = 0.0

    def count(self, error: EngineLost) -> None:
        """Count an error. Raises it after the last attempt that the policy allows."""
        policy = self.policy
        self.pause = min(policy.first_pause * 2.0**self.errors, policy.longest_pause)
        self.errors += 1
        if isinstance(error, NotReady):
            self._waited_for_loading += self.pause
        else:
            self.failures += 1
        if self._waited_for_loading > policy.loading or self.failures >= policy.tries:
            raise error


Payload = Mapping[str, Any]
LARGEST_ANSWER = 64 * 2**20
_CONNECTED = (".connect_tcp.complete", ".start_tls.complete")


class HttpConnection:
    """Sends requests one after another over one kept-alive connection.

    Only `cut` and `halt` may be called from elsewhere: from another thread, or from a signal handler within this one,
    so the lock is reentrant. httpx2 cannot end a request from another thread, and its time-outs measure silence, not
    slowness; so the trace hook records the socket, which `cut` and `halt` shut down.
    """

    def __init__(self, address: ServerAddress, policy: RetryPolicy, tls: ssl.SSLContext, model: str = "") -> None:
        self.host = address.host
        self.model = model
        """Which of a router's models; sent in the payload of a POST or the query of a GET."""
        self._address = address
        self._tls = tls
        self.was_sent = False
        """Whether the server has got the whole last request, and has not refused it."""
        self.bytes_sent = 0
        self.bytes_received = 0
        self._policy = policy
        try:
            self._client = httpx2.Client(
                base_url=without_model(address.url),
                headers={"Authorization": f"Bearer {address.key}"} if address.key else {},
                verify=tls,
                proxy=address.access.proxy or None,  # none: from the environment (HTTPS_PROXY, NO_PROXY …)
                trust_env=not address.is_this_machine,  # the environment's proxy cannot know this machine's ports
                limits=httpx2.Limits(max_connections=1, keepalive_expiry=None),  # the server says when
                follow_redirects=False,
            )
        except (ValueError, httpx2.InvalidURL, ImportError) as error:  # of the given proxy, or the environment's
            raise EngineRefused(
                f"The proxy for {address.host} cannot be used: {str(error).rstrip('.')}.",
                "Write it as http://host:port, in the settings of the server or in HTTPS_PROXY.",
            ) from error
        self._lock = threading.RLock()
        self._socket: socket.socket | None = None
        self._opening: threading.Thread | None = None
        """Opens the connection ahead of the next request."""
        self._stays_open = True
        """False once the server was found to close it after each answer."""
        self._is_cut = False
        self._is_halted = False
        self._halts: queue.SimpleQueue[None] = queue.SimpleQueue()
        """Ends a pause. Unlike an Event, it can be used by a signal handler in the thread that waits for it."""
        self._sibling: HttpConnection | None = None

    def ask(self, path: str, payload: Payload | None = None, seconds: float | None = None) -> Fields:
        """Ask a short question: GET, or POST with a payload. Raises EngineError.

        The answer is a JSON object; a list becomes the member “list” of one. `seconds`: the time-out; None: that of the
        policy for short questions.
        """
        with HttpRequest(self, path, payload, self._whole) as request:
            answer = request.next(self._policy.answer if seconds is None else seconds)
            if answer is Signal.SILENCE:
                raise EngineLost(f"{self.host} has stopped answering.", SEE_LOG)
            request.finish()
        return Fields({"list": answer} if isinstance(answer, list) else answer)

    def _whole(self, response: httpx2.Response) -> Iterator[object]:
        yield parsed(self._body(response))

    def pause(self, seconds: float) -> None:
        """Wait before a request is tried again. Raises Cancelled if it is halted."""
        with suppress(queue.Empty):
            taken(self._halts, seconds)
        self.refuse_if_halted()

    @contextmanager
    def sibling(self) -> Iterator[HttpConnection]:
        """Open another connection to the same server for a question meanwhile; it is halted with this one."""
        other = HttpConnection(self._address, self._policy, self._tls, self.model)
        with self._lock:
            self._sibling = other
            if self._is_halted:
                other.halt()
        try:
            yield other
        finally:
            with self._lock:
                self._sibling = None
            other.close()

    def cut(self) -> None:
        """End the running request, and the one that `forget_cut` has announced."""
        with self._lock:
            self._is_cut = True
            self._shut_down()

    def halt(self) -> None:
        """End the running request, and every later one until `resume`: they raise Cancelled."""
        with self._lock:
            self._is_halted = True
            self.cut()
            if self._sibling:
                self._sibling.halt()
        self._halts.put(None)

    def resume(self) -> None:
        """Undo `halt`. Call it while no request is running."""
        with self._lock:
            self._is_halted = False
            self._halts = queue.SimpleQueue()

    def refuse_if_halted(self) -> None:
        """Raise Cancelled if the connection is halted."""
        if self._is_halted:
            raise Cancelled

    def close(self) -> None:
        with self._lock:
            opening, self._stays_open = self._opening, False
            if opening and opening.is_alive():
                self.cut()
        if opening:
            opening.join()
        self._client.close()

    def open_ahead(self) -> None:
        """Open the connection in the background, unless it is open: the next request then takes one round trip.

        Call it while no request is running. What goes wrong is left to the next request, which opens its own.
        """
        with self._lock:
            is_opening = self._opening and self._opening.is_alive()
            if self._is_halted or not self._stays_open or is_opening or self._is_open():
                return
            self._is_cut = False
            self._opening = threading.Thread(target=self._open, name=f"connection to {self.host}", daemon=True)
            self._opening.start()

    def _open(self) -> None:
        with (
            suppress(httpx2.HTTPError),
            closing(self._send("HEAD", "/v1/models", None, self._policy.connect)) as answer,
        ):
            answer.read()
            self._stays_open = self._stays_open and (self._is_cut or self._is_open())

    def _is_open(self) -> bool:
        """Return whether the last connection is there: one with something to read was closed by the server."""
        if self._socket is None or self._socket.fileno() < 0:
            return False
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            return not selector.select(0)

    def forget_cut(self) -> None:
        """Announce a request, which an earlier `cut` does not concern."""
        with self._lock:
            self._is_cut = self._is_halted

    @contextmanager
    def request(self, path: str, payload: Payload | None) -> Iterator[httpx2.Response]:
        """Send a request; gives a response with status 200, not yet read."""
        if self.model and payload is None:
            path = f"{path}?model={quote(self.model, safe='')}"
        elif self.model and payload is not None:
            payload = {**payload, "model": self.model}
        content = None if payload is None else json.dumps(payload).encode()
        self.bytes_sent += len(content or b"")
        if self._opening:
            self._opening.join()
        self.was_sent = False
        try:
            if self._is_cut:
                raise httpx2.ReadError("cut")
            method = "GET" if content is None else "POST"
            with closing(self._send(method, path, content)) as response:
                try:
                    if response.status_code != HTTPStatus.OK:
                        self.was_sent = False
                        raise from_status(response, self._body(response), self.host)
                    yield response
                finally:
                    self.bytes_received += response.num_bytes_downloaded
        except httpx2.HTTPError as error:
            self.refuse_if_halted()
            raise from_transport(error, self.host) from error
        except OSError as error:  # httpcore looks at the socket, which `cut` has just closed on Windows
            if not self._is_cut:
                raise
            self.refuse_if_halted()
            raise from_transport(httpx2.ReadError("cut"), self.host) from error

    def _body(self, response: httpx2.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > LARGEST_ANSWER:
                raise garbage(self.host)
        return bytes(body)

    def _send(self, method: str, path: str, content: bytes | None, seconds: float | None = None) -> httpx2.Response:
        request = self._client.build_request(
            method,
            path,
            content=content,
            headers={"Content-Type": "application/json"},
            timeout=httpx2.Timeout(seconds, connect=self._policy.connect),
            extensions={"trace": self._on_trace},
        )
        known = self._socket
        try:
            return self._client.send(request, stream=True)
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            if self._is_cut or self._socket is not known:
                raise
            # The server has closed the kept-alive connection: a new one is enough.
            return self._client.send(request, stream=True)

    def _on_trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "http11.send_request_body.complete":
            self.was_sent = True
        if event.endswith(_CONNECTED):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self._is_cut:
                    self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is None:
            return
        try:
            # Not SSLSocket.shutdown: it would remove the TLS state while another thread is reading.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            if sys.platform == "win32":  # where only this wakes a thread that waits for bytes
                socket.close(self._socket.detach())
        except OSError:
            self._socket = None  # it was closed already


class Signal(Enum):
    """What `HttpRequest.next` may return instead of a message."""

    SILENCE = "nothing arrived in that time"
    ENDED = "the answer is complete"


class HttpRequest:
    """One request, whose answer a thread reads. A context manager: leaving it early closes the socket.

    Time-outs are for whole messages: a server whose bytes trickle in is silent.
    """

    def __init__(
        self,
        connection: HttpConnection,
        path: str,
        payload: Payload | None,
        read: Callable[[httpx2.Response], Iterator[object]],
    ) -> None:
        """`read`: yields the messages of a response. Raises ValueError or EngineError."""
        self._connection = connection
        self._messages: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._is_over = False
        connection.forget_cut()
        self._reader = threading.Thread(
            target=self._read, args=(path, payload, read), name=f"answer of {connection.host}", daemon=True
        )
        self._reader.start()

    def __enter__(self) -> HttpRequest:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_over:
            self._connection.cut()
        self._reader.join()

    def finish(self) -> None:
        """Wait until the answer, which has arrived as a whole, is over, so that the connection stays open."""
        self._reader.join()

    def next(self, seconds: float) -> object:
        """Return the next message, or a signal. Raises the EngineError that ended the answer: Cancelled, if halted."""
        message: object = Signal.SILENCE
        with suppress(queue.Empty):
            message = taken(self._messages, seconds)
        self._connection.refuse_if_halted()
        if isinstance(message, EngineError):
            raise message
        return message

    def _read(self, path: str, payload: Payload | None, read: Callable[[httpx2.Response], Iterator[object]]) -> None:
        end: Signal | EngineError = garbage(self._connection.host)
        try:
            with suppress(ValueError), self._connection.request(path, payload) as response:
                for message in read(response):
                    self._messages.put(message)
                end = Signal.ENDED
        except EngineError as error:
            end = error
        finally:
            self._is_over = True
            self._messages.put(end)
