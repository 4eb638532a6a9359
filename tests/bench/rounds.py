"""Ways of doing the same thing, taken in turn, so that a machine that slows down slows all; and what came of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table of docs/measurements.md."""

    figure: str
    what: str
    goal: str
    measured: str
    is_met: bool | None = None
    """None: it has no goal, or was not measured."""


def in_turn(ways: Mapping[str, Callable[[], float]], rounds: int = 5) -> dict[str, list[float]]:
    """Each way once uncounted, then `rounds` times in turn; what each returned, by name."""
    for way in ways.values():
        way()
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            figures[name].append(way())
    return figures


def spread(figures: Sequence[float], unit: str = "", digits: int = 1) -> str:
    """Median, and the least and the greatest in brackets."""
    low, middle, high = min(figures), statistics.median(figures), max(figures)
    unit = f" {unit}" if unit else ""
    return f"{middle:.{digits}f}{unit} ({low:.{digits}f}–{high:.{digits}f})"


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Round by round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def at_least(figure: str, what: str, goal: float, values: Sequence[float], more: str = "") -> Row:
    """A row whose median is to reach a goal; `more` is said after it."""
    return Row(figure, what, f"≥ {goal:g}", spread(values, digits=3) + more, statistics.median(values) >= goal)


def at_most(figure: str, what: str, goal: float, values: Sequence[float], more: str = "", unit: str = "") -> Row:
    """A row whose median is to stay below a goal."""
    unit_words = f" {unit}" if unit else ""
    digits = 0 if unit == "ms" else 2
    is_met = statistics.median(values) <= goal
    return Row(figure, what, f"≤ {goal:g}{unit_words}", spread(values, unit, digits) + more, is_met)


def left_out(figure: str, why: str) -> Row:
    return Row(figure, "not measured", "", why)
