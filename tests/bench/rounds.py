"""Two ways of doing the same, taken in turn, so that a machine that slows down slows both."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping


def in_turn(ways: Mapping[str, Callable[[], float]], rounds: int = 5) -> dict[str, list[float]]:
    """Each way once uncounted, then `rounds` times in turn; what each returned, by name."""
    for way in ways.values():
        way()
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            figures[name].append(way())
    return figures


def spread(figures: list[float], unit: str) -> str:
    return f"{statistics.median(figures):.1f} {unit} ({min(figures):.1f}–{max(figures):.1f})"


def median_ratio(above: list[float], below: list[float]) -> float:
    """The median of the ratios round by round."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))
