"""Arms as points over their accuracy: what the page and the report both draw, each in its own way."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from core.batch.report import ArmReport, Report
from core.engines.body import Author

NARROWEST = 10.0
"""Points of large share; arms that lie closer together are shown on the whole axis."""


class Point(NamedTuple):
    """An arm: accuracy in percent, with its interval."""

    name: str
    x: float
    y: float
    low: float
    high: float
    author: Author | None
    """Who wrote all of it; None: both models."""


class Line(NamedTuple):
    points: tuple[tuple[float, float], ...]
    dashed: bool = False


class Scatter(NamedTuple):
    title: str
    across: str
    """What x is."""
    points: tuple[Point, ...]
    lines: tuple[Line, ...]
    left: float
    right: float
    """The ends of the axis across."""

    @property
    def bottom(self) -> float:
        """The next ten below all intervals; the other end of the axis is 100."""
        return 10.0 * math.floor(min((point.low for point in self.points), default=0) / 10)

    @property
    def words(self) -> str:
        """For those who hear it."""
        return "; ".join(f"{point.name} {point.y:.0f}% at {point.x:,.0f}" for point in self.points)


def accuracy_against_speed(report: Report) -> Scatter:
    """The dashed line joins the arms that no other beats."""
    points = _points(report.arms, lambda arm: arm.tokens_per_second)
    front = {arm.name for arm in report.front()}
    line = Line(tuple(sorted((point.x, point.y) for point in points if point.name in front)), dashed=True)
    fastest = max((point.x for point in points), default=1.0)
    return Scatter("Accuracy against speed", "tokens per second", points, (line,), 0.0, 1.1 * fastest)


def accuracy_against_share(report: Report) -> Scatter:
    """A line joins the arms of a sweep, by their large share."""
    points = _points(report.arms, lambda arm: 100 * arm.large_share)
    place = {point.name: (point.x, point.y) for point in points}
    sweeps: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for arm in report.arms:
        if arm.sweep and arm.name in place:
            sweeps[arm.sweep].append(place[arm.name])
    lines = tuple(Line(tuple(sorted(joined))) for joined in sweeps.values())
    shares = [point.x for point in points]
    if len(shares) < 2 or max(shares) - min(shares) < NARROWEST:
        shares += [0.0, 100.0]
    margin = 0.06 * (max(shares) - min(shares))
    return Scatter(
        "Accuracy against large share",
        "% of tokens by the large model",
        points,
        lines,
        min(shares) - margin,
        max(shares) + margin,
    )


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers within the axis, 1, 2 or 5 times a power of ten apart."""
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= least)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _points(arms: Sequence[ArmReport], x: Callable[[ArmReport], float]) -> tuple[Point, ...]:
    return tuple(
        Point(
            arm.name,
            x(arm),
            100 * arm.accuracy.value,
            100 * arm.accuracy.interval.low,
            100 * arm.accuracy.interval.high,
            _only_author(arm),
        )
        for arm in arms
        if arm.accuracy and arm.tokens
    )


def _only_author(arm: ArmReport) -> Author | None:
    if not arm.large_tokens:
        return Author.SMALL
    return None if arm.small_tokens else Author.LARGE
