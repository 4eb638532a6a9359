"""Typed access to the values of a GGUF header: a key of another type is a damaged file, not a crash later."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelFileError
from core.models.gguf_format import Value


@dataclass(frozen=True)
class Keys:
    """Values under one prefix (“llama.”). Each method raises ModelFileError on a value of the wrong type."""

    path: Path
    values: Mapping[str, Value]
    prefix: str = ""

    def text(self, key: str) -> str | None:
        value = self.values.get(self.prefix + key)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong(key, "text")

    def flag(self, key: str) -> bool | None:
        value = self.values.get(self.prefix + key)
        if value is None or isinstance(value, bool):
            return value
        raise self._wrong(key, "yes or no")

    def whole(self, key: str, default: int = 0) -> int:
        value = self.values.get(self.prefix + key)
        if value is None:
            return default
        if isinstance(value, int) and value >= 0:
            return value
        raise self._wrong(key, "a whole number")

    def optional_whole(self, key: str) -> int | None:
        return self.whole(key) if self.prefix + key in self.values else None

    def wholes(self, key: str, default: int) -> tuple[int, ...]:
        """One number for all blocks, or one a block."""
        value = self.values.get(self.prefix + key)
        if not isinstance(value, tuple):
            return (self.whole(key, default),)
        numbers = tuple(number for number in value if isinstance(number, int) and number >= 0)
        if len(numbers) == len(value):
            return numbers
        raise self._wrong(key, "a list of whole numbers")

    def all_wholes(self) -> dict[str, int]:
        """Every whole-number key under the prefix, named without it."""
        return {
            key.removeprefix(self.prefix): value
            for key, value in self.values.items()
            if key.startswith(self.prefix) and isinstance(value, int) and not isinstance(value, bool)
        }

    def _wrong(self, key: str, expected: str) -> ModelFileError:
        return ModelFileError(
            f"{self.path.name} is damaged: its key “{self.prefix}{key}” is not {expected}.",
            "Download the file again.",
        )
