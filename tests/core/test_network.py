"""Which files can reach the network, and which can open a port: only those that docs/security.md speaks of."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPEAKS = {"httpx2", "huggingface_hub", "requests", "urllib3", "aiohttp", "http.client", "urllib.request", "websockets"}
LISTENS = {"socket", "socketserver", "http.server", "uvicorn", "PySide6.QtNetwork", "PySide6.QtWebEngineCore"} | {
    *("asyncio", "multiprocessing.managers", "multiprocessing.connection.Listener", "xmlrpc", "wsgiref"),
}


def importing(modules: set[str]) -> set[str]:
    """The files of Baton that import one of these modules, or a part of it."""
    files = (path for folder in ("core", "app") for path in (ROOT / folder).rglob("*.py"))
    return {
        path.relative_to(ROOT).as_posix()
        for path in files
        if any(name == module or name.startswith(f"{module}.") for name in _imported(path) for module in modules)
    }


@cache
def _imported(path: Path) -> frozenset[str]:
    return frozenset(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_only_servers_the_hub_and_the_page_of_releases_are_spoken_to() -> None:
    others = importing(SPEAKS) - {"core/new_version.py"}
    assert {str(Path(file).parent) for file in others} == {"core/engines/remote", "core/models"}
    hub = {file for file in importing(SPEAKS) if file.startswith("core/models/")}
    assert hub == {"core/models/hub.py", "core/models/hub_failures.py", "core/models/download.py"} & importing(SPEAKS)


def test_only_serve_can_open_a_port() -> None:
    """transport.py names socket's errors and options; display.py looks whether an X server answers."""
    served = {f"core/serve/{name}.py" for name in ("server", "endpoint", "answers")}
    assert importing(LISTENS) == {*served, "core/engines/remote/transport.py", "app/display.py"}
    for file in ("core/engines/remote/transport.py", "app/display.py"):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert ".listen(" not in text
        assert ".bind(" not in text
