"""One HTTP connection to a server, which another thread may halt, and one streamed answer over it."""

from __future__ import annotations

import json
import queue
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from enum import Enum
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx2

from baton_reasoning.core.engines.remote.address import ServerAddress
from baton_reasoning.core.engines.remote.failures import from_status, from_transport, garbage
from baton_reasoning.core.engines.remote.fields import Fields, parsed
from baton_reasoning.core.engines.remote.retry import RetryPolicy
from baton_reasoning.core.errors import Cancelled, EngineError, EngineLost, EngineRefused

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
        self._beside: list[HttpConnection] = []

    def ask(self, path: str, payload: Payload | None = None, seconds: float | None = None) -> Fields:
        """Ask a short question, answered as a JSON object: GET, or POST with a payload. Raises EngineError.

        `seconds`: the time-out; None: that of the policy for short questions.
        """
        return Fields(self._asked(path, payload, seconds))

    def ask_list(self, path: str) -> list[Fields]:
        """Ask a short question, answered as a list of JSON objects. Raises EngineError."""
        answer = self._asked(path, None, None)
        return [Fields(each) for each in answer] if isinstance(answer, list) else []

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

    def beside(self) -> HttpConnection:
        """Open another connection to the same server, for use at the same time; it is halted with this one."""
        other = HttpConnection(self._address, self._policy, self._tls)
        other.model = self.model
        with self._lock:
            self._beside = [each for each in self._beside if not each.is_closed] + [other]
            if self._is_halted:
                other.halt()
        return other

    @property
    def is_closed(self) -> bool:
        return self._client.is_closed

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
            for other in self._beside:
                other.halt()
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


class BackgroundPing:
    """Asks, in a thread, whether a server still answers short questions while it is silent to a long one."""

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection
        self._failure: EngineLost | None = None
        self._thread = threading.Thread(target=self._ask, name=f"ping of {connection.host}", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    @property
    def failure(self) -> EngineLost | None:
        """Why there was no answer; None while it is asked, and if there was one."""
        return self._failure

    def close(self) -> None:
        self._connection.halt()
        self._thread.join()
        self._connection.close()

    def _ask(self) -> None:
        try:
            self._connection.ask("/v1/models")
        except EngineLost as error:
            self._failure = error
        except EngineError:
            pass  # it answers, even if it refuses


class Signal(Enum):
    """What `AnswerStream.next` may return instead of an event."""

    SILENCE = "nothing arrived in that time"
    ENDED = "the answer is complete"


class AnswerStream:
    """The events of one answer. A context manager: leaving it closes the socket, and so stops the server."""

    def __init__(self, connection: HttpConnection, path: str, payload: Payload, most_events: int) -> None:
        self._connection = connection
        self._messages: queue.SimpleQueue[Fields | Signal | EngineError] = queue.SimpleQueue()
        events = connection.events(path, payload)
        self._reader = threading.Thread(
            target=self._read, args=(events, most_events), name=f"answer of {connection.host}", daemon=True
        )
        self._reader.start()

    def __enter__(self) -> AnswerStream:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader.is_alive():
            self._connection.cut()
            self._reader.join()

    def next(self, seconds: float) -> Fields | Signal:
        """Return the next event, or a signal. Raises the EngineError that ended the answer: Cancelled, if halted."""
        message: Fields | Signal | EngineError = Signal.SILENCE
        with suppress(queue.Empty):
            message = self._messages.get(timeout=seconds)
        self._connection.refuse_if_halted()
        if isinstance(message, EngineError):
            raise message
        return message

    def _read(self, events: Iterator[str], most_events: int) -> None:
        try:
            for number, data in enumerate(events):
                if data == "[DONE]":  # the end in OpenAI's protocol
                    break
                if number >= most_events:
                    raise EngineRefused(
                        f"{self._connection.host} keeps writing after the end of its answer.",
                        "Look at the server's log.",
                    )
                self._messages.put(Fields(parsed(data)))
        except EngineError as error:
            self._messages.put(error)
        except ValueError:
            self._messages.put(garbage(self._connection.host))
        finally:
            self._messages.put(Signal.ENDED)
