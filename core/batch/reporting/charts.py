"""Draws the charts of a batch, for reports and the window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle, product
from typing import NamedTuple

from baton_reasoning.core import charts
from baton_reasoning.core.batch.reporting.failures import TakeoverOutcomes
from baton_reasoning.core.batch.reporting.report import ArmReport, Report
from baton_reasoning.core.batch.running.arms import arm_title
from baton_reasoning.core.charts import Axis
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.thinking.registry import POLICIES

DASHES = ("", "7 3", "9 3 2 3", "9 3 2 3 2 3")
"""Of curves and sweeps in turn, in pixels: lengths of dashes and gaps; empty for a solid line."""
BY_CHANCE = "2 4"
"""The dashes of the line of chance."""
MOST_KINDS = 8
"""Reasons and cues whose worth is drawn; tables have all."""


class ChartLine(NamedTuple):
    name: str
    points: tuple[tuple[float, float], ...]
    """x, and accuracy in percent."""
    dashes: str = ""
    colour: str = "muted"

    def sample(self) -> str:
        """Draw a piece of it for a legend."""
        return charts.line([(-12, 0), (12, 0)], self.colour, self.dashes)


class Point(NamedTuple):
    """An arm: accuracy in percent, with its interval."""

    name: str
    x: float
    y: float
    low: float
    high: float
    colour: str
    """Of the only author, or of text if both models wrote."""

    @classmethod
    def of(cls, arm: ArmReport, x: float) -> Point:
        assert arm.accuracy
        y, low, high = (100 * each for each in (arm.accuracy.value, *arm.accuracy.interval))
        return cls(arm.title, x, y, low, high, _colour(arm))


class Scatter(NamedTuple):
    title: str
    across: str
    """Label of the x axis."""
    points: tuple[Point, ...]
    lines: tuple[ChartLine, ...]
    x: Axis
    """Its ends in pixels are chosen by the drawing."""

    @property
    def description(self) -> str:
        """What screen readers say."""
        return "; ".join(f"{point.name} {point.y:.0f}% at {charts.quantity(point.x)}" for point in self.points)

    @property
    def bottom(self) -> float:
        """Lower end of the y axis: the next multiple of ten below all that is drawn. The upper end is 100."""
        lows = [point.low for point in self.points] + [percent for line in self.lines for _, percent in line.points]
        return min(90.0, 10.0 * math.floor(min(lows, default=0) / 10))


def scatter_chart(scatter: Scatter, width: int = 640, height: int = 400) -> str:
    """Draw a sign with an interval for each arm, and the lines behind them; the legend names all.

    `height`: without the legend, which is below.
    """
    left, right, top, bottom = 56.0, width - 24.0, 28.0, height - 52.0
    x, y = scatter.x._replace(start=left, end=right), Axis(scatter.bottom, 100.0, bottom, top)
    if not scatter.points:
        return charts.svg(width, height, [charts.text(8, top, "No right answer yet.")], scatter.title)
    parts = [
        *charts.columns(x, top, bottom),
        *charts.rows(y, left, right),
        charts.text(8, top - 10, "% correct"),
        charts.text((left + right) / 2, height - 12, scatter.across, "middle"),
    ]
    for line in scatter.lines:
        corners = [(x.at(at), y.at(percent)) for at, percent in line.points]
        parts.append(charts.line(corners, line.colour, line.dashes))
    signs, entries = [], []
    places = charts.side_by_side([(x.at(point.x), y.at(point.y)) for point in scatter.points])
    for number, (point, place) in enumerate(zip(scatter.points, places, strict=True)):
        parts.append(charts.line([(place[0], y.at(point.high)), (place[0], y.at(point.low))]))
        signs.append(charts.sign(number, *place, point.colour))
        entries.append((point.name, charts.sign(number, 0, 0, point.colour)))
    entries += [(line.name, line.sample()) for line in scatter.lines]
    legend, end = charts.legend(entries, 8, height, right)
    return charts.svg(width, end + 8, [*parts, *signs, *legend], f"{scatter.title}, with 95% intervals")


def accuracy_against_share(report: Report) -> Scatter:
    """Plot accuracy against large share, with the lines of chance; a line joins the arms of a sweep."""
    arms = _answered(report)
    points = {arm.name: Point.of(arm, 100 * arm.large_share) for arm in arms}
    place = {name: (point.x, point.y) for name, point in points.items()}
    sweeps = dict.fromkeys(arm.sweep for arm in arms if arm.sweep)
    lines = [
        ChartLine(f"Values of {name}", tuple(sorted(place[arm.name] for arm in arms if arm.sweep == name)), dashes)
        for name, dashes in zip(sweeps, cycle(DASHES))
    ]
    needs = {arm.name: POLICIES[arm.settings["settings"]["policy"]["policy"]].needs for arm in arms}
    smalls = [name for name in points if needs[name] == Needs(large=False)]
    larges = [name for name in points if needs[name] == Needs(small=False)]
    lines += [
        ChartLine(f"By chance, from {arm_title(small)} to {arm_title(large)}", (place[small], place[large]), BY_CHANCE)
        for small, large in product(smalls, larges)
    ]
    across = "% of tokens by the large model"
    return Scatter("Accuracy against large share", across, tuple(points.values()), tuple(lines), Axis(-6, 106))


def _answered(report: Report) -> list[ArmReport]:
    return [arm for arm in report.arms if arm.accuracy and arm.tokens]


def _colour(arm: ArmReport) -> str:
    if not arm.large_tokens:
        return "small"
    return "text" if arm.small_tokens else "large"


def takeovers_by_reason(arm: ArmReport, width: int = 640) -> str:
    """Draw takeovers by reason, as bars."""
    total, most = max(1, sum(arm.takeovers.values())), max(arm.takeovers.values(), default=1)
    parts = [] if arm.takeovers else [charts.text(8, 28, "No takeover.")]
    for row, (reason, count) in enumerate(arm.takeovers.items()):
        top, end = 12.0 + 28 * row, 180 + (width - 280) * count / most
        parts.append(charts.text(8, top + 12, reason.capitalize(), colour="text"))
        parts.append(charts.band([(180, top), (end, top)], [(180, top + 16), (end, top + 16)], "large"))
        parts.append(charts.text(end + 8, top + 12, f"{count / total:.0%} ({count:,})", colour="text"))
    height = 16 + 28 * max(1, len(arm.takeovers))
    return charts.svg(width, height, parts, f"Where the large model stepped in, {arm.title}")


def worth_by_cue(groups: Sequence[TakeoverOutcomes], width: int = 640) -> str:
    """Draw the mean worth of takeovers with intervals, for the commonest reasons and cues that have values."""
    valued = [(group, group.worth) for group in groups if group.worth][:MOST_KINDS]
    lowest = min([0.0, *(worth.mean.low for _, worth in valued)])
    highest = max([lowest + 0.1, *(worth.mean.high for _, worth in valued)])
    x, bottom = Axis(lowest, highest, 20, width - 20), 12.0 + 38 * len(valued)
    parts = [*charts.columns(x, 8, bottom), charts.line([(x.at(0), 8), (x.at(0), bottom)])]
    for number, (group, worth) in enumerate(valued):
        top, mean = 12.0 + 38 * number, worth.mean
        name = f"{group.reason}: {group.cue}" if group.cue else group.reason
        parts.append(charts.text(20, top + 12, f"{name} ({worth.takeovers:,})", colour="text"))
        parts.append(charts.line([(x.at(mean.low), top + 24), (x.at(mean.high), top + 24)]))
        parts.append(charts.sign(charts.DIAMOND, x.at(mean.value), top + 24, "large"))
    parts.append(charts.text(width / 2, bottom + 34, "worth: value after, less value before", "middle"))
    return charts.svg(width, bottom + 40, parts, "Worth of takeovers by cue, with 95% intervals")
