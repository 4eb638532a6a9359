"""Reads JSON from a server defensively: a field that is missing or of another type has its default.

Not a pydantic model or msgspec struct, which refuse the whole answer for one odd field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from baton_reasoning.core.text import one_line, replace_lone_surrogates

LARGEST_NUMBER = 2.0**53


def parsed(text: str | bytes) -> object:
    """Parse a JSON value. Raises ValueError for anything else, NaN and excessive nesting included."""
    try:
        value: object = json.loads(text, parse_constant=_refused)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return value


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) <= LARGEST_NUMBER else None  # also None for NaN and infinity


class Fields:
    """A JSON object from a server; anything else counts as an empty one."""

    def __init__(self, value: object) -> None:
        self._values: Mapping[str, Any] = value if isinstance(value, dict) else {}

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str) -> str:
        """Return a text, with lone surrogates replaced by “?”."""
        value = self._values.get(name)
        return replace_lone_surrogates(value) if isinstance(value, str) else ""

    def line(self, name: str) -> str:
        """Return a text to show within a sentence: one printable line of bounded length."""
        return one_line(self.text(name))

    def integer(self, name: str, default: int = 0) -> int:
        value = self.number(name)
        return default if value is None else int(value)

    def count(self, name: str, default: int = 0) -> int:
        """Return an integer that is not negative."""
        value = self.integer(name, default)
        return value if value >= 0 else default

    def number(self, name: str) -> float | None:
        """Return a number that is finite, and small enough for every counter and database column."""
        return number(self._values.get(name))

    def logprob(self, name: str) -> float | None:
        """Return a natural log-probability, never above 0."""
        value = self.number(name)
        return None if value is None else min(value, 0.0)

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
        return tuple(n for n in value if type(n) is int) if isinstance(value, list) else ()

    def list(self, name: str) -> list[Any]:
        value = self._values.get(name)
        return value if isinstance(value, list) else []

    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def numbers(self) -> Iterator[tuple[str, float]]:
        """Yield the members that are finite numbers."""
        for name, value in self._values.items():
            if (known := number(value)) is not None:
                yield replace_lone_surrogates(name), known
