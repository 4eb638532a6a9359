"""One HTTP connection to a server: its address, time-outs, the JSON that it answers, and how it fails."""

from __future__ import annotations

import ipaddress
import json
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import httpx2

from baton_reasoning.core.errors import Cancelled, ContextFull, EngineError, EngineLost, EngineRefused, SettingsError
from baton_reasoning.core.text import one_line, replace_lone_surrogates

LLAMA_SERVER_PORTS = (9931, 8080)
"""llama-server's default ports: today's, and that of builds before October 2026."""


def canonical(url: str) -> str:
    """Return the normal form of an address: without blanks, a last slash, and a trailing `/v1` before its `#model`."""
    base, _, model = url.strip().partition("#")
    base = base.rstrip("/").removesuffix("/v1")
    return f"{base}#{model}" if model else base


def without_model(url: str) -> str:
    """Return the normal form of the address of a server, without the model there."""
    return canonical(url.partition("#")[0])


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """An address as a person enters it: `http(s)://host[:port][/path][#model]`; a trailing `/v1` is dropped.

    Raises SettingsError if it is not an address.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    """Sent as a Bearer token, to this address only."""
    authority: Path | None = None
    """A private CA, or the server's own certificate, as PEM."""
    any_certificate: bool = False
    """Accept any certificate: a risk, see `risks`."""
    proxy: str | None = None
    """None: from the environment (HTTPS_PROXY, NO_PROXY …)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", canonical(self.url))
        advice = "Write it as http://host:port or https://host:port."
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError as error:
            raise SettingsError(f"“{self.url}” is not a server address.", advice) from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"“{self.url}” is not a server address.", advice)
        if parts.username or parts.password:
            raise SettingsError("A key does not belong in an address.", "Enter it in the field for the key.")
        if self.key is not None and not (self.key.isascii() and self.key.isprintable()):
            raise SettingsError("The key contains characters that no key has.", "Copy it again, without line breaks.")

    @property
    def base_url(self) -> str:
        """The address without the model."""
        return without_model(self.url)

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
        name = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name == "localhost"

    @property
    def risks(self) -> tuple[str, ...]:
        """Warnings to show before a text or a key is sent there, a sentence each."""
        risks = []
        if self.any_certificate:
            risks.append(f"Anyone in between can pose as {self.host}: its certificate is not checked.")
        if self.url.startswith("http:") and not self.is_this_machine:
            risks.append(f"Texts{' and the key' if self.key else ''} go to {self.host} unencrypted.")
        return tuple(risks)

    def tls(self) -> ssl.SSLContext:
        """Make the TLS settings. Raises SettingsError if the private CA cannot be read."""
        if self.any_certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        context = ssl.create_default_context()
        if self.authority:
            try:
                context.load_verify_locations(self.authority)
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(
                    f"{self.authority.name} cannot be used as a certificate file.",
                    "Choose a PEM file (it begins with “-----BEGIN CERTIFICATE-----”).",
                ) from error
        return context


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


class RetryState:
    """Counts the failures of one request in a row, and says how long to pause before the next attempt."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self.failures = 0
        self.pause = 0.0
        """Seconds until the next attempt."""
        self._waited_for_loading = 0.0

    def progressed(self) -> None:
        self.failures = 0
        self._waited_for_loading = 0.0

    def count(self, error: EngineLost) -> None:
        """Count a failure. Raises it after the last attempt that the policy allows."""
        policy = self._policy
        self.pause = min(policy.first_pause * 2.0**self.failures, policy.longest_pause)
        self.failures += 1
        if isinstance(error, NotReady):
            self._waited_for_loading += self.pause
            if self._waited_for_loading > policy.loading:
                raise error
        elif self.failures >= policy.tries:
            raise error


LARGEST_NUMBER = 2.0**53


def parsed(text: str | bytes) -> object:
    """Parse a JSON value. Raises ValueError for anything else, NaN and excessive nesting included."""
    try:
        value: object = json.loads(text, parse_constant=_refused)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) <= LARGEST_NUMBER else None  # also None for NaN and infinity


class Fields:
    """A JSON object from a server; anything else counts as an empty one."""

    def __init__(self, value: object) -> None:
        self._values: Mapping[str, Any] = value if isinstance(value, dict) else {}

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        """Return a text, with lone surrogates replaced by “?”."""
        value = self._values.get(name)
        return replace_lone_surrogates(value) if isinstance(value, str) else ""

    def line(self, name: str) -> str:
        """Return a text to show within a sentence: one printable line of bounded length."""
        return one_line(self.text(name))

    def integer(self, name: str, default: int = 0) -> int:
        value = self.number(name)
        return default if value is None else int(value)

    def count(self, name: str, default: int = 0) -> int:
        """Return an integer that is not negative."""
        value = self.integer(name, default)
        return value if value >= 0 else default

    def number(self, name: str) -> float | None:
        """Return a number that is finite, and small enough for every counter and database column."""
        return number(self._values.get(name))

    def logprob(self, name: str) -> float | None:
        """Return a natural log-probability, never above 0."""
        value = self.number(name)
        return None if value is None else min(value, 0.0)

    def flag(self, name: str) -> bool:
        return self._values.get(name) is True

    def inside(self, name: str) -> Fields:
        return Fields(self._values.get(name))

    def each(self, name: str) -> Iterator[Fields]:
        value = self._values.get(name)
        yield from map(Fields, value if isinstance(value, list) else [])

    def first(self, name: str) -> Fields:
        return next(self.each(name), Fields(None))

    def integers(self, name: str) -> tuple[int, ...]:
        value = self._values.get(name)
        return tuple(n for n in value if type(n) is int) if isinstance(value, list) else ()

    def list(self, name: str) -> list[Any]:
        value = self._values.get(name)
        return value if isinstance(value, list) else []

    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def numbers(self) -> Iterator[tuple[str, float]]:
        """Yield the members that are finite numbers."""
        for name, value in self._values.items():
            if (known := number(value)) is not None:
                yield replace_lone_surrogates(name), known


class NotReady(EngineLost):
    """The server is there but not ready: it loads its model, or is overloaded."""


class KeyRefused(EngineRefused):
    """The server does not accept the key."""


class UnknownModel(EngineRefused):
    """The address names no model that the server has."""


class UntrustedServer(EngineRefused):
    """Nothing was sent: the server's certificate is not trusted, or it redirects to another address."""


def from_transport(error: httpx2.HTTPError, host: str) -> EngineError:
    """Make the error for a request that got no answer, or only part of one."""
    if certificate := _certificate_fault(error):
        return UntrustedServer(
            f"The certificate of {host} is not trusted: {certificate}.",
            "Choose the certificate file of your authority; or accept any certificate, which is a risk.",
        )
    match error:
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            return EngineLost(
                f"Nothing answers at {host}.", "Start the server there, or check the address and the firewall."
            )
        case httpx2.ProxyError():
            return EngineLost(f"The proxy for {host} failed: {one_line(str(error))}.", "Check the proxy's address.")
        case httpx2.TimeoutException():
            return EngineLost(f"{host} has stopped answering.", "Look at the server's log.")
        case httpx2.SSEError() | httpx2.DecodingError():
            return garbage(host)
        case _:
            return EngineLost(f"The connection to {host} broke.", "Check that the server is still running.")


def garbage(host: str) -> EngineLost:
    """Make the error for an answer that no model server sends."""
    return EngineLost(
        f"{host} sent something that is not an answer of a model server.",
        "Check the address, and whether a proxy is in between.",
    )


def from_status(response: httpx2.Response, body: bytes, host: str) -> EngineError:
    """Make the error for an answer with a status other than 200."""
    status = response.status_code
    if response.is_redirect:
        return _redirected(response, host)
    try:
        answer = Fields(parsed(body))
    except ValueError:
        answer = Fields(None)
    return from_report(answer, host, status)


def from_report(answer: Fields, host: str, status: int = HTTPStatus.INTERNAL_SERVER_ERROR) -> EngineError:
    """Make the error for a server's own report: `{"error": {code, type, message}}`, in a body or within a stream."""
    report = answer.inside("error") if answer.inside("error").text("message") else answer
    message = (report.line("message") or answer.line("error") or answer.line("detail")).rstrip(".")
    match report.integer("code", status):
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return KeyRefused(f"{host} does not accept the key.", "Enter the key that the server was started with.")
        case HTTPStatus.NOT_FOUND | HTTPStatus.NOT_IMPLEMENTED:
            return EngineRefused(
                f"{host} does not offer what is needed{_quoted(message)}.",
                "Check the address, the model's name, and which kind of server it is.",
            )
        case HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.TOO_MANY_REQUESTS:
            return NotReady(f"{host} is not ready{_quoted(message)}.", "It will be asked again in a moment.")
        case code if code < HTTPStatus.INTERNAL_SERVER_ERROR:
            if _is_overflow(report, message):
                return _context_full(report, host)
            return EngineRefused(f"{host} refused the request{_quoted(message)}.", "Look at the server's log.")
        case _:
            return EngineLost(f"{host} reports a failure{_quoted(message)}.", "Look at the server's log.")


def foreign_token(id: int, vocabulary_size: int, host: str) -> EngineRefused:
    size = f" of {vocabulary_size:,}" if vocabulary_size else ""
    return EngineRefused(
        f"{host} sent token {one_line(str(id), 24)}, which is not in its vocabulary{size}.",
        "Restart the server, or use another build of it.",
    )


def _redirected(response: httpx2.Response, host: str) -> UntrustedServer:
    """Refuse a redirect: neither the key nor a text may go to an address that was not entered."""
    target = one_line(response.headers.get("location", "another address"))
    return UntrustedServer(
        f"{host} redirects to {target}; nothing was sent there.",
        "Enter that address instead, if you trust it.",
    )


def _is_overflow(report: Fields, message: str) -> bool:
    # llama-server has an error type for it; vLLM, SGLang and LM Studio only a message.
    return report.text("type") == "exceed_context_size_error" or "context length" in message.lower()


def _context_full(report: Fields, host: str) -> ContextFull:
    size, context = report.count("n_prompt_tokens"), report.count("n_ctx")
    numbers = f": {size:,} tokens, and it holds {context:,}" if size and context else ""
    return ContextFull(
        f"The text no longer fits the context of {host}{numbers}.",
        "Start the server with a larger context (-c), or ask for less.",
    )


def _certificate_fault(error: BaseException) -> str:
    """Find the reason if a certificate was refused (httpx2 keeps it as a cause or context); else empty."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message
        seen = seen.__cause__ or seen.__context__
    return "it speaks no TLS that is understood here" if "SSL" in str(error) else ""


def _quoted(message: str) -> str:
    return f": “{message}”" if message else ""


Payload = Mapping[str, Any]
LARGEST_ANSWER = 64 * 2**20
_CONNECTED = (".connect_tcp.complete", ".start_tls.complete")


class HttpConnection:
    """Sends requests one after another over one kept-alive connection.

    Only `cut` and `halt` may be called from elsewhere: from another thread, or from a signal handler within this one,
    so the lock is reentrant. httpx2 cannot end a request from another thread, and its time-outs measure silence, not
    slowness; so the trace hook records the socket, which `cut` and `halt` shut down.
    """

    def __init__(self, address: ServerAddress, policy: RetryPolicy, tls: ssl.SSLContext) -> None:
        self.host = address.host
        self.model = ""
        """Sent with each request: which model of a router."""
        self._address = address
        self._tls = tls
        self.bytes_sent = 0
        self.bytes_received = 0
        self._policy = policy
        try:
            self._client = httpx2.Client(
                base_url=address.base_url,
                headers={"Authorization": f"Bearer {address.key}"} if address.key else {},
                verify=tls,
                proxy=address.proxy,
                trust_env=not address.is_this_machine,  # the environment's proxy cannot know this machine's ports
                limits=httpx2.Limits(max_connections=1),
                timeout=httpx2.Timeout(None, connect=policy.connect),
                follow_redirects=False,
            )
        except (ValueError, httpx2.InvalidURL, ImportError) as error:  # of the given proxy, or the environment's
            raise EngineRefused(
                f"The proxy for {address.host} cannot be used: {str(error).rstrip('.')}.",
                "Write it as http://host:port, in the settings of the server or in HTTPS_PROXY.",
            ) from error
        self._lock = threading.RLock()
        self._socket: socket.socket | None = None
        self._is_cut = False
        self._is_halted = False
        self._halts: queue.SimpleQueue[None] = queue.SimpleQueue()
        """Ends a pause. Unlike an Event, it can be used by a signal handler in the thread that waits for it."""
        self._sibling: HttpConnection | None = None

    def ask(self, path: str, payload: Payload | None = None, seconds: float | None = None) -> Fields:
        """Ask a short question, answered as a JSON object: GET, or POST with a payload. Raises EngineError.

        `seconds`: the time-out; None: that of the policy for short questions.
        """
        return Fields(self._asked(path, payload, seconds))

    def ask_list(self, path: str) -> list[Fields]:
        """Ask a short question, answered as a list of JSON objects. Raises EngineError."""
        answer = self._asked(path, None, None)
        return [Fields(each) for each in answer] if isinstance(answer, list) else []

    def ping(self) -> float:
        """Ask what every server answers at once; return the milliseconds until it did. Raises EngineError."""
        began = time.perf_counter()
        self.ask("/v1/models")
        return (time.perf_counter() - began) * 1000

    def _asked(self, path: str, payload: Payload | None, seconds: float | None) -> object:
        timed_out = threading.Event()
        self._renew()

        def give_up() -> None:
            timed_out.set()
            self.cut()

        timer = threading.Timer(self._policy.answer if seconds is None else seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            with self._request(path, payload) as response:
                return parsed(self._body(response))
        except ValueError as error:
            self.refuse_if_halted()
            raise garbage(self.host) from error
        except EngineLost as error:
            if timed_out.is_set():
                raise EngineLost(f"{self.host} has stopped answering.", "Look at the server's log.") from error
            raise
        finally:
            timer.cancel()

    def events(self, path: str, payload: Payload) -> Iterator[str]:
        """Yield the data of each server-sent event; `cut` ends them from now on. Raises EngineError."""
        self._renew()

        def events() -> Iterator[str]:
            with self._request(path, payload) as response:
                for event in httpx2.EventSource(response):
                    yield event.data

        return events()

    def pause(self, seconds: float) -> None:
        """Wait before a request is tried again. Raises Cancelled if it is halted."""
        with suppress(queue.Empty):
            self._halts.get(timeout=seconds)
        self.refuse_if_halted()

    @contextmanager
    def sibling(self) -> Iterator[HttpConnection]:
        """Open another connection to the same server for a question meanwhile; it is halted with this one."""
        other = HttpConnection(self._address, self._policy, self._tls)
        other.model = self.model
        with self._lock:
            self._sibling = other
            if self._is_halted:
                other.halt()
        try:
            yield other
        finally:
            self._sibling = None
            other.close()

    @property
    def is_open(self) -> bool:
        """Whether the next request can use an open connection, as far as this side knows."""
        with self._lock:
            return self._socket is not None and self._socket.fileno() >= 0 and not self._is_cut

    def cut(self) -> None:
        """End the running request, or the events that were asked for last."""
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
        self._client.close()

    def _renew(self) -> None:
        """Prepare the next request, which a cut does not concern."""
        with self._lock:
            self._is_cut = self._is_halted

    @contextmanager
    def _request(self, path: str, payload: Payload | None) -> Iterator[httpx2.Response]:
        """Send a request; gives a response with status 200, not yet read."""
        if self.model:
            path, payload = _routed(path, payload, self.model)
        content = None if payload is None else json.dumps(payload).encode()
        self.bytes_sent += len(content or b"")
        try:
            if self._is_cut:
                raise httpx2.ReadError("cut")
            with closing(self._send(path, content)) as response:
                try:
                    if response.status_code != HTTPStatus.OK:
                        raise from_status(response, self._body(response), self.host)
                    yield response
                finally:
                    self.bytes_received += response.num_bytes_downloaded
        except httpx2.HTTPError as error:
            self.refuse_if_halted()
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
            # The server has closed the kept-alive connection: a new one is enough.
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
            # Not SSLSocket.shutdown: it would remove the TLS state while another thread is reading.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            self._socket = None  # it was closed already


def _routed(path: str, payload: Payload | None, model: str) -> tuple[str, Payload | None]:
    """Name the model as a router wants it: within the payload, or within the path of a GET."""
    if payload is None:
        return f"{path}?model={quote(model, safe='')}", None
    return path, {**payload, "model": model}
