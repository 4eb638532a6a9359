"""What a server sent, read with care: a field that is missing or of another type has its default."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Fields:
    """A JSON object at the edge where it is parsed."""

    def __init__(self, value: object) -> None:
        self._values: Mapping[str, Any] = value if isinstance(value, dict) else {}

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        value = self._values.get(name)
        return value if isinstance(value, str) else ""

    def integer(self, name: str, default: int = 0) -> int:
        value = self._values.get(name)
        return int(value) if isinstance(value, int | float) else default

    def number(self, name: str) -> float | None:
        value = self._values.get(name)
        return float(value) if isinstance(value, int | float) else None

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
        return tuple(n for n in value if isinstance(n, int)) if isinstance(value, list) else ()

    def list(self, name: str) -> list[Any]:
        value = self._values.get(name)
        return value if isinstance(value, list) else []

    def mapping(self, name: str) -> Mapping[str, Any]:
        value = self._values.get(name)
        return value if isinstance(value, dict) else {}
