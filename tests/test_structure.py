"""Check the source: a class name exists once, imports make no circle, and few files reach the network.

SECURITY.md speaks of those that can, and of those that can open a port.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODIFIER = re.compile(r"(Ctrl|Shift|Alt)\+(?!\S+\Z)|[^+](Ctrl|Shift|Alt)\+")
"""A modifier key in a text that is more than a key."""
FILES = sorted(path for top in ("app", "core") for path in (ROOT / top).rglob("*.py") if path.stat().st_size)

SPEAKS = {"httpx2", "huggingface_hub", "requests", "urllib3", "aiohttp", "http.client", "urllib.request", "websockets"}
LISTENS = {"socket", "socketserver", "http.server", "uvicorn", "PySide6.QtNetwork", "PySide6.QtWebEngineCore"} | {
    *("asyncio", "multiprocessing.managers", "multiprocessing.connection.Listener", "xmlrpc", "wsgiref"),
}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("baton_reasoning", *parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


@cache
def imports() -> Mapping[str, set[str]]:
    """Each module with what it imports, also inside functions and for type checking."""
    found: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        named = found[module] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def importing(modules: set[str]) -> set[str]:
    """The files of Baton that import one of these modules, or a part of it."""
    return {
        MODULES[file].relative_to(ROOT).as_posix()
        for file, named in imports().items()
        if any(name == module or name.startswith(f"{module}.") for name in named for module in modules)
    }


def test_a_class_name_exists_once():
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module)
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_files_import_each_other_in_one_direction():
    own = {
        module: {name for name in named if name in MODULES and name != module and not name.startswith(f"{module}.")}
        for module, named in imports().items()
    }
    TopologicalSorter(own).prepare()  # raises CycleError, which names the circle


def test_only_servers_and_the_hub_are_spoken_to():
    speaking = importing(SPEAKS)
    assert {Path(file).parent.as_posix() for file in speaking} == {"core/engines/remote", "core/models"}
    hub = {file for file in speaking if file.startswith("core/models/")}
    assert hub == {"core/models/hub.py", "core/models/download.py"}


def test_only_serve_can_open_a_port():
    """connection.py names socket's errors and options; display.py looks whether an X server answers."""
    served = {f"core/serve/{name}.py" for name in ("api", "server", "stream")}
    assert importing(LISTENS) == {*served, "core/engines/remote/connection.py", "app/display.py"}
    for file in ("core/engines/remote/connection.py", "app/display.py"):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert ".listen(" not in text
        assert ".bind(" not in text


def test_a_key_within_a_text_of_the_window_is_not_written_by_hand():
    """A Mac shows “⌘N”, which `key_text` knows; a constant that is a key and nothing else is for Qt."""
    by_hand = []
    for module, path in MODULES.items():
        if ".app." in module and ".app.terminal" not in module:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
            texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose]
            by_hand += [f"{module}: {text}" for text in texts if isinstance(text, str) and MODIFIER.search(text)]
    assert by_hand == []
