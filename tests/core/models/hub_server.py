"""A small Hub on this machine, over real sockets, with a second host for the files; a test says what goes wrong."""

import hashlib
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import NamedTuple

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Asked(NamedTuple):
    host: str
    range: str | None
    token: str | None


@dataclass
class Faults:
    """What goes wrong. Lists are used up from the front, one an answer with a file's bytes."""

    cuts: list[int] = field(default_factory=list)
    """End the connection after so many bytes of the body."""
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Answer with this status and these headers instead."""
    silent_after: int | None = None
    """Send so many bytes of the next body and then nothing, until the test is over."""
    is_over: threading.Event = field(default_factory=threading.Event)
    ignores_ranges: bool = False


@dataclass
class HubServer:
    """`files`: repository → path → content."""

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    token: str = "hf_right"
    listing: object = None
    """Sent in place of every listing and search result, if it is not None."""
    next_page: str = ""
    """Where the next `listing` is said to go on."""
    refusal: int | None = None
    """The status of every answer, if it is not None."""
    moved: dict[str, str] = field(default_factory=dict)
    """Paths that redirect, with where to."""
    faults: Faults = field(default_factory=Faults)
    asked: list[Asked] = field(default_factory=list)
    endpoint: str = ""
    storage: str = ""
    """The second host, where the bytes are."""

    def file_requests(self):
        return [asked for asked in self.asked if asked.host == self.storage]

    def respond(self, handler):
        host = f"http://{handler.headers['Host']}"
        authorization = handler.headers.get("Authorization")
        token = authorization.removeprefix("Bearer ") if authorization else None
        self.asked.append(Asked(host, handler.headers.get("Range"), token))
        path, _, query = handler.path.partition("?")
        if self.refusal is not None:
            _answer(handler, self.refusal)
        elif path in self.moved:
            _answer(handler, 307, {"Location": self.moved[path]})
        elif host == self.storage:
            self._send_file(handler, path)
        elif self.listing is not None:
            next_page, self.next_page = self.next_page, ""
            _send_json(handler, self.listing, {"Link": f'<{next_page}>; rel="next"'} if next_page else {})
        elif path == "/api/models":
            self._send_search(handler, query)
        elif path.startswith("/api/models/"):
            self._send_listing(handler, path.removeprefix("/api/models/"), token)
        else:
            name = "/".join(path.split("/")[1:3])
            if name in self.gated and token != self.token:
                _answer(handler, 401 if token is None else 403, {"X-Error-Code": "GatedRepo"})
            else:
                _answer(handler, 302, {"Location": self.storage + path})

    def _about(self, name):
        gated = "manual" if name in self.gated else False
        return {"id": name, "downloads": 10, "likes": 3, "tags": ["gguf", "license:mit"], "gated": gated}

    def _send_search(self, handler, query):
        words = [part.partition("=")[2] for part in query.split("&") if part.startswith("search=")]
        found = [name for name in self.files if words and words[0].lower() in name.lower()]
        _send_json(handler, list(map(self._about, found)))

    def _send_listing(self, handler, name, token):
        if token not in (None, self.token):
            _answer(handler, 401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif name not in self.files:
            _answer(handler, 401 if token is None else 404, {"X-Error-Code": "RepoNotFound"})
        else:
            siblings = []
            for path, data in self.files[name].items():
                lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
                siblings.append({"rfilename": path, "size": len(data), "blobId": "0", "lfs": lfs})
            found = {"sha": REVISION, "siblings": siblings, "gguf": {"total": 1_777_088_000}}
            _send_json(handler, self._about(name) | found)

    def _send_file(self, handler, path):
        owner, name, _, _, *inside = path.strip("/").split("/")
        data = self.files[f"{owner}/{name}"].get("/".join(inside))
        faults = self.faults
        if data is None or faults.refusals:
            _answer(handler, *(faults.refusals.pop(0) if data is not None else (404,)))
            return
        asked = None if faults.ignores_ranges else handler.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if asked else {}
        cut = faults.cuts.pop(0) if faults.cuts else len(data)
        silent, faults.silent_after = faults.silent_after, None
        body = data[start : start + (cut if silent is None else silent)]
        _answer(handler, 206 if asked else 200, headers | {"Content-Length": str(len(data) - start)}, body)
        if silent is not None:
            handler.wfile.flush()
            faults.is_over.wait()
        handler.close_connection = True


def _send_json(handler, content, headers=()):
    body = json.dumps(content).encode()
    _answer(handler, 200, dict(headers) | {"Content-Type": "application/json", "Content-Length": str(len(body))}, body)


def _answer(handler, status, headers=(), body=b""):
    handler.send_response(status)
    for name, value in ({"Content-Length": "0"} | dict(headers)).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body if handler.command == "GET" else b"")


class _Listener(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that goes away in the middle is what these tests do."""


@contextmanager
def listening(respond, hosts=1):
    """The addresses of so many hosts, at free ports; `respond` is given the handler of each request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            respond(self)

        def do_HEAD(self):
            respond(self)

        def log_message(self, format, *arguments):
            pass

    servers = [_Listener(("127.0.0.1", 0), Handler) for _ in range(hosts)]
    threads = [threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield [f"http://127.0.0.1:{server.server_port}" for server in servers]
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


@contextmanager
def running_hub():
    hub = HubServer()
    with listening(hub.respond, hosts=2) as (hub.endpoint, hub.storage):
        try:
            yield hub
        finally:
            hub.faults.is_over.set()


@contextmanager
def running_data_set():
    """A Hub with one data set, `maths/sums`: its texts by the names of their files.

    `missing`: files that are listed, and cannot be had. `newer`: the commit of a branch or tag, if it has changed since
    the files were listed.
    """
    hub = SimpleNamespace(files={}, missing=(), newer=REVISION)

    def respond(handler):
        path = handler.path.partition("?")[0]
        revision, _, name = path.partition("/resolve/")[2].partition("/")
        content = None if name in hub.missing else hub.files.get(name)
        if path.startswith("/api/datasets/maths/sums"):
            siblings = [{"rfilename": name, "size": len(text)} for name, text in hub.files.items()]
            content = json.dumps({"id": "maths/sums", "sha": REVISION, "siblings": siblings})
        if content is None:
            _answer(handler, 404, {"X-Error-Code": "RepoNotFound"})
            return
        commit = REVISION if revision == REVISION else hub.newer
        headers = {"Content-Length": str(len(content)), "ETag": f'"{hash(content)}"', "X-Repo-Commit": commit}
        _answer(handler, 200, headers, content.encode())

    with listening(respond) as (hub.endpoint,):
        yield hub
