"""A store, a grader and a Hub of its own for each test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import huggingface_hub.constants
import pytest

from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.store.store import Store
from tests.patience import PATIENCE

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "baton.sqlite"


@pytest.fixture
def store(path):
    with Store.open(path) as store:
        yield store


@pytest.fixture
def grader():
    with Grader(PATIENCE) as grader:
        yield grader


@dataclass
class DataHub:
    """The part of the Hub that data sets need, with one of them, `maths/sums`."""

    endpoint: str = ""
    files: dict[str, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    """Files that are listed, and cannot be had."""
    newer: str = ""
    """The commit of a branch or tag, if it has changed since the files were listed."""


@contextmanager
def running_data_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataHub]:
    """`cache`: the folder for what is downloaded."""
    data = DataHub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> bytes:
            path = self.path.partition("?")[0]
            revision, _, name = path.partition("/resolve/")[2].partition("/")
            content = None if name in data.missing else data.files.get(name)
            if path.startswith("/api/datasets/maths/sums"):
                siblings = [{"rfilename": name, "size": len(text)} for name, text in data.files.items()]
                content = json.dumps({"id": "maths/sums", "sha": COMMIT, "siblings": siblings})
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or "")))
            self.send_header("ETag", f'"{hash(content)}"')
            self.send_header("X-Repo-Commit", COMMIT if revision == COMMIT else data.newer or COMMIT)
            if content is None:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            return (content or "").encode()

        def do_GET(self) -> None:
            self.wfile.write(self.do_HEAD())

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    data.endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    try:
        yield data
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with running_data_hub(tmp_path / "cache", monkeypatch) as hub:
        yield hub
