"""JSON from a server, read defensively: a field that is missing or of another type has its default."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn


def parsed(text: str | bytes) -> object:
    """A JSON value. Raises ValueError for anything else, NaN and excessive nesting included."""
    try:
        value: object = json.loads(text, parse_constant=_refused)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class Fields:
    """A JSON object from a server; anything else counts as an empty one."""

    def __init__(self, value: object) -> None:
        self._values: Mapping[str, Any] = value if isinstance(value, dict) else {}

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        value = self._values.get(name)
        return value if isinstance(value, str) else ""

    def integer(self, name: str, default: int = 0) -> int:
        value = self.number(name)
        return default if value is None else int(value)

    def number(self, name: str) -> float | None:
        """Finite."""
        value = self._values.get(name)
        try:
            return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
        except OverflowError:  # an integer of hundreds of digits
            return None

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
