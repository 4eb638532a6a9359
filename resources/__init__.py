"""The data that comes with the program: models, templates, tables, pictures and fonts."""

from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent


def resource_text(name: str) -> str:
    """Read a text of this folder."""
    return (FOLDER / name).read_text(encoding="utf-8")


def resource_lines(name: str) -> Iterator[str]:
    """Yield the lines of a text of this folder, without empty ones and those that begin with #."""
    yield from (line for line in map(str.strip, resource_text(name).splitlines()) if line and line[0] != "#")


def resource_table(name: str) -> Iterator[list[str]]:
    """Yield the words of each line of a text of this folder, as `resource_lines`."""
    yield from map(str.split, resource_lines(name))
