"""Draws the accuracy of arms against their large share, for the report and the window."""

from __future__ import annotations

import math
from itertools import product

from baton_reasoning.core import charts
from baton_reasoning.core.batch.reporting.baselines import LARGE_ALONE, SMALL_ALONE
from baton_reasoning.core.batch.reporting.report import ArmReport, Report
from baton_reasoning.core.charts import Axis

BY_CHANCE = "2 4"
"""The dash pattern of the lines of chance."""


def share_chart(report: Report, width: int = 640, height: int = 400) -> str:
    """Plot accuracy against large share, with lines of chance. `height`: without the legend below."""
    title = "Accuracy against large share, with 95% intervals"
    left, right, top, bottom = 56.0, width - 24.0, 28.0, height - 52.0
    arms = _answered(report)
    if not arms:
        return charts.svg(width, height, [charts.text(8, top, "No graded answer yet.")], title)
    lowest = min(10 * math.floor(10 * arm.accuracy.low) for arm in arms if arm.accuracy)
    x, y = Axis(-6, 106, left, right), Axis(min(90, lowest), 100, bottom, top)
    parts = [
        *charts.x_gridlines(x, top, bottom),
        *charts.y_gridlines(y, left, right),
        charts.text(8, top - 10, "% correct"),
        charts.text((left + right) / 2, height - 12, "% of tokens by the large model", "middle"),
    ]

    def place(arm: ArmReport) -> charts.Point:
        return x.at(100 * arm.large_share), y.at(_percent(arm))

    # Takeovers by chance are expected on the line between each small model alone and each large one.
    alone = product(arms, arms)
    by_chance = [pair for pair in alone if (pair[0].needs, pair[1].needs) == (SMALL_ALONE, LARGE_ALONE)]
    parts += [charts.line(list(map(place, models)), dashes=BY_CHANCE) for models in by_chance]
    markers, entries = [], []
    for number, (arm, (across, up)) in enumerate(zip(arms, charts.side_by_side(list(map(place, arms))), strict=True)):
        assert arm.accuracy
        parts.append(charts.line([(across, y.at(100 * end)) for end in arm.accuracy.interval]))
        markers.append(charts.marker(number, across, up, _colour(arm)))
        entries.append((arm.title, charts.marker(number, 0, 0, _colour(arm))))
    dashed = charts.line([(-12, 0), (12, 0)], dashes=BY_CHANCE)
    entries += [(f"By chance, from {small.name} to {large.name}", dashed) for small, large in by_chance]
    legend, end = charts.legend(entries, 8, height, right)
    return charts.svg(width, end + 8, [*parts, *markers, *legend], title)


def shares_in_words(report: Report) -> str:
    """Describe `share_chart` for screen readers."""
    arms = (f"{arm.name} {_percent(arm):.0f}% of {arm.graded:,} at {arm.large_share:.1%}" for arm in _answered(report))
    return "; ".join(arms) or "No graded answer yet."


def _answered(report: Report) -> list[ArmReport]:
    return [arm for arm in report.arms if arm.accuracy and arm.tokens]


def _percent(arm: ArmReport) -> float:
    assert arm.accuracy
    return 100 * arm.accuracy.value


def _colour(arm: ArmReport) -> str:
    """Return the colour of the only author, or of text if both models wrote."""
    if not arm.large_tokens:
        return "small"
    return "text" if arm.small_tokens else "large"
