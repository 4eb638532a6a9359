"""The table of docs/measurements.md: ways of doing the same thing, taken in turn, so that a slow machine slows all of
them; and the rows that come of it, which replace those that were measured before."""

import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

PAGE = Path(__file__).resolve().parents[2] / "docs" / "measurements.md"
HEAD = ("| | what | goal | measured |", "|---|---|---|---|")
Figure = TypeVar("Figure")


class Row(NamedTuple):
    """One line of the table of docs/measurements.md."""

    figure: str
    what: str
    goal: str
    measured: str
    is_met: bool | None = None
    """None: it has no goal, or was not measured."""


def in_turn(ways: Mapping[str, Callable[[], Figure]], rounds: int = 5) -> dict[str, list[Figure]]:
    """Each way once uncounted, then `rounds` times in turn; what each returned, by name."""
    for way in ways.values():
        way()
    figures: dict[str, list[Figure]] = {name: [] for name in ways}
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
    digits = 0 if unit == "ms" and goal >= 10 else 2
    is_met = statistics.median(values) <= goal
    return Row(figure, what, f"≤ {goal:g}{unit_words}", spread(values, unit, digits) + more, is_met)


def left_out(figure: str, why: str) -> Row:
    return Row(figure, "not measured", "", why)


def line(row: Row) -> str:
    missed = "; **missed**" if row.is_met is False else ""
    return f"| {row.figure} | {row.what} | {row.goal} | {row.measured}{missed} |"


def write(rows: Iterable[Row], page: Path = PAGE) -> None:
    """Replace the rows of these figures in the page's table, which is the first that begins with `HEAD`."""
    lines = page.read_text(encoding="utf-8").split("\n")
    start = lines.index(HEAD[1]) + 1
    end = next(number for number in range(start, len(lines)) if not lines[number].startswith("|"))
    lines[start:end] = merged(lines[start:end], [*rows])
    page.write_text("\n".join(lines), encoding="utf-8")


def merged(old: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """The lines of a table in the order of their figures, with those of newly measured figures replaced."""
    new = {row.figure for row in rows}
    kept = [each for each in old if figure_of(each) not in new]
    return sorted([*kept, *map(line, rows)], key=lambda each: _number(figure_of(each)))


def figure_of(table_line: str) -> str:
    return table_line.split("|")[1].strip()


def _number(figure: str) -> tuple[int, str]:
    """Sort P11 after P9, and what has no number last."""
    digits = figure.removeprefix("P")
    return (int(digits), "") if digits.isdigit() else (sys.maxsize, figure)
