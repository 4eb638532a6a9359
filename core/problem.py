"""One problem of a batch: the text for the models and the expected answer."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A problem as the models see it, and its expected answer (None: it cannot be graded)."""

    id: str
    text: str
    expected: str | None
    metadata: Mapping[str, str]
    source_line: int
    source: str = ""
    """Name of the file it came from."""
