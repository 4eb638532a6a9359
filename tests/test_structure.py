"""Check the structure of the source: a class name exists once, and imports make no circle."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = sorted(path for top in ("app", "core") for path in (ROOT / top).rglob("*.py") if path.stat().st_size)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("baton_reasoning", *parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


@cache
def imports() -> Mapping[str, set[str]]:
    """Each module with those that it imports, also inside functions and for type checking."""
    found: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        named: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        found[module] = {
            name for name in named if name in MODULES and name != module and not name.startswith(f"{module}.")
        }
    return found


def circle_in(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_class_name_exists_once() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module)
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_files_import_each_other_in_one_direction() -> None:
    assert not circle_in(imports())


def test_packages_import_each_other_in_one_direction() -> None:
    graph: defaultdict[str, set[str]] = defaultdict(set)
    for module, named in imports().items():
        package = ".".join(module.split(".")[:2])
        graph[package] |= {".".join(name.split(".")[:2]) for name in named} - {package}
    assert not circle_in(graph)
