"""A scripted server for all that a good one does not do: it breaks off, trickles, lies, redirects.

    with FaultyServer(stream(token("a"), token("b"), broken_off), stream(token("c"), end)) as server: …

It says of itself what a llama-server says, and its vocabulary is the 256 bytes. Each completion takes the next
answer; the last one is repeated. `routes` replaces what other paths say.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Json = dict[str, Any]


class Request(NamedTuple):
    path: str
    headers: Mapping[str, str]
    body: Json
    query: str = ""


class Wire:
    """The server's end of one answer."""

    def __init__(self, handler: BaseHTTPRequestHandler, over: threading.Event) -> None:
        self._handler = handler
        self._over = over

    def send(self, data: bytes) -> None:
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def head(self, status: int, **headers: str) -> None:
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.send_header("Connection", "close")
        self._handler.end_headers()

    def json(self, value: object, status: int = 200, **headers: str) -> None:
        body = json.dumps(value).encode()
        self.head(status, Content_Type="application/json", Content_Length=str(len(body)), **headers)
        self.send(body)

    def hold(self) -> None:
        """Send nothing more until the test is over."""
        self._over.wait()

    def trickle(self, data: bytes, first: bytes = b"") -> None:
        """The same few bytes again and again, never a whole event."""
        self.send(first)
        while not self._over.wait(0.01):
            self.send(data)


Answer = Callable[[Wire], None]


def stream(*parts: Answer, status: int = 200, kind: str = "text/event-stream") -> Answer:
    """A stream of these parts, then the end of the connection."""

    def answer(wire: Wire) -> None:
        wire.head(status, Content_Type=kind)
        for part in parts:
            part(wire)

    return answer


def event(value: Json) -> Answer:
    return lambda wire: wire.send(f"data: {json.dumps(value)}\n\n".encode())


def raw(data: bytes) -> Answer:
    return lambda wire: wire.send(data)


def progress(done: int, total: int, cache: int = 0) -> Answer:
    return event({"content": "", "prompt_progress": {"total": total, "cache": cache, "processed": done}})


def token(text: str, number: int, *ids: int) -> Answer:
    """The `number`-th token, one byte; or one without text, by its id."""
    return event({"content": text, "tokens": ids or list(text.encode()), "stop": False, "tokens_predicted": number})


def end(number: int, why: str = "limit") -> Answer:
    return event({"content": "", "stop": True, "stop_type": why, "tokens_predicted": number, "tokens_evaluated": 9})


def error(status: int, message: str, **more: Any) -> Answer:
    """An error as llama-server reports it."""
    return json_error(status, {"error": {"code": status, "message": message} | more})


def json_error(status: int, body: Json) -> Answer:
    """An error as any other server reports it."""
    return lambda wire: wire.json(body, status)


def hold(wire: Wire) -> None:
    wire.hold()


def flood(part: Answer) -> Answer:
    """The same again and again, as fast as it is taken."""

    def answer(wire: Wire) -> None:
        while True:
            part(wire)

    return answer


def about(model: str = "bytes.gguf", context: int = 1000) -> dict[str, Json]:
    return {
        "/api/version": {},
        "/slots": {},
        "/props": {"default_generation_settings": {"n_ctx": context}, "total_slots": 1, "chat_template": ""},
        "/v1/models": {"data": [{"id": model, "owned_by": "llamacpp", "meta": {"n_params": 7, "ftype": "Q8_0"}}]},
    }


def _tokenize(body: Json) -> Json:
    data = str(body["content"]).encode()
    if body.get("with_pieces"):
        return {"tokens": [{"id": byte, "piece": [byte]} for byte in data]}
    return {"tokens": list(data)}


class FaultyServer:
    """A context manager. `requests`: all that came, in order."""

    def __init__(
        self,
        *answers: Answer,
        routes: Mapping[str, Json | Answer] | None = None,
        tls: ssl.SSLContext | None = None,
        keeps_open: bool = False,
    ) -> None:
        """`keeps_open`: a connection that nothing but HEAD was asked on."""
        self.keeps_open = keeps_open
        self.requests: list[Request] = []
        self.routes: dict[str, Json | Answer] = {**about(), **(routes or {})}
        self._answers = list(answers)
        self._over = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._serve(self, {})

            def do_HEAD(self) -> None:
                self.close_connection = not server.keeps_open
                self.send_response(200)
                self.send_header("Connection", "keep-alive" if server.keeps_open else "close")
                self.end_headers()

            def do_POST(self) -> None:
                server._serve(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, format: str, *args: object) -> None:
                """Tests look at `requests` instead."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> FaultyServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def completions(self) -> list[Json]:
        return [request.body for request in self.requests if request.path.endswith(("/completion", "/completions"))]

    def _serve(self, handler: BaseHTTPRequestHandler, body: Json) -> None:
        path, query = urlsplit(handler.path)[2:4]  # a proxy is asked for whole URLs
        self.requests.append(Request(path, dict(handler.headers), body, query))
        wire = Wire(handler, self._over)
        handler.close_connection = True
        try:
            self._answer(wire, path, body)
        except (BrokenPipeError, ConnectionResetError):
            return  # whoever asked has had enough, as it should

    def _answer(self, wire: Wire, path: str, body: Json) -> None:
        match self.routes.get(path):
            case dict() as known:
                wire.json(known)
            case None if path == "/tokenize":
                wire.json(_tokenize(body))
            case None:
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                answer(wire)
            case route:
                route(wire)


class FaultyRouter(FaultyServer):
    """A llama-server in router mode, for models that load slowly, fail, or are not there.

    `models`: the status of each, look by look; the last one is repeated.
    """

    def __init__(self, *answers: Answer, models: Mapping[str, Sequence[str | Json]]) -> None:
        super().__init__(
            *answers,
            routes={"/props": self._props, "/v1/models": self._list, "/models/load": {"success": True}},
        )
        self._models = {name: list(statuses) for name, statuses in models.items()}

    def _props(self, wire: Wire) -> None:
        wire.json(about()["/props"] if self.requests[-1].query else {"role": "router", "models_autoload": True})

    def _list(self, wire: Wire) -> None:
        wire.json({"data": [self._entry(name, statuses) for name, statuses in self._models.items()]})

    @staticmethod
    def _entry(name: str, statuses: list[str | Json]) -> dict[str, Any]:
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        return {"id": name, "owned_by": "llamacpp", "status": {"value": status} if isinstance(status, str) else status}
