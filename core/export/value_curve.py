"""Draws the values of an answer as a curve, for the window and for the HTML page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from baton_reasoning.core import charts
from baton_reasoning.core.analysis.values import StepValues, TextPlace, ValuedPlace
from baton_reasoning.core.charts import Axis
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.values import source_text

_WIDTH = 640
_REPLACED = "3 3"
"""The dashes of a line to replaced text."""
_HOLLOW = len(charts.SHAPES) + charts.CIRCLE
"""The marker of replaced text."""
_NUMBER_WIDTH = 26.0
"""Pixels between the numbers of two steps below the curve, at least."""


class PlaceOnCurve(NamedTuple):
    """Where a valued place is in a drawing, in its pixels."""

    place: ValuedPlace
    x: float
    y: float


class CurveDrawing(NamedTuple):
    svg: str
    places: tuple[PlaceOnCurve, ...]
    """From left to right; at one place the replaced text comes first."""


def captioned_curve(trace: Trace) -> tuple[str, str] | None:
    """Draw the values that were estimated last as SVG; with a caption. None if there are none."""
    values = StepValues.of(trace)
    if values is None or not values.places:
        return None
    caution = "" if values.estimated.is_expected else " Agreement is no proof."
    return draw_values(values).svg, f"{source_text(values.estimated)} With 95% intervals.{caution}"


def draw_values(values: StepValues, width: float = _WIDTH) -> CurveDrawing:
    """Draw a band for the intervals, a line with a marker for each place, and a dotted branch to what was replaced."""
    left, right, bottom = 32.0, width - 16.0, 140.0
    x, y = Axis(0, max(1, values.length), left, right), Axis(0, 1, bottom, 10)

    def at(position: int, place: ValuedPlace) -> tuple[float, float]:
        return x.at(position), y.at(place.value.value)

    upper = [(x.at(each.position), y.at(each.value.high)) for each in values.places]
    lower = [(x.at(each.position), y.at(each.value.low)) for each in values.places]
    middle = [at(each.position, each) for each in values.places]
    parts = [charts.band(upper, lower), *charts.y_gridlines(y, left, right), charts.line(middle, "text")]
    parts += _step_numbers(values, x, bottom)
    found = [PlaceOnCurve(each, *point) for each, point in zip(values.places, middle, strict=True)]
    for worth in values.takeovers:
        if worth.before.place.replaced:
            start = values.at(TextPlace(worth.span.start)) or worth.before
            point = at(worth.span.end, worth.before)
            parts.append(charts.line([at(worth.span.start, start), point], dashes=_REPLACED))
            parts.append(charts.marker(_HOLLOW, *point, "small"))
            found.append(PlaceOnCurve(worth.before, *point))
    for each, point in zip(values.places, middle, strict=True):
        number = charts.DIAMOND if each.author is Author.LARGE else charts.CIRCLE
        parts.append(charts.marker(number, *point, each.author.value if each.author else "inserted"))
    entries = [
        ("small model", charts.marker(charts.CIRCLE, 0, 0, "small")),
        ("large model", charts.marker(charts.DIAMOND, 0, 0, "large")),
        ("what it replaced", charts.marker(_HOLLOW, 0, 0, "small")),
    ]
    named, end = charts.legend(entries, left, bottom + 34, right)
    drawing = charts.svg(width, end, [*parts, *named], "Values along the answer, with 95% intervals")
    return CurveDrawing(drawing, tuple(sorted(found, key=lambda each: (each.x, not each.place.place.replaced))))


def _step_numbers(values: StepValues, x: Axis, bottom: float) -> Iterator[str]:
    """Write the number of each step below the place where it ends, as far as they fit beside each other."""
    last = x.start - _NUMBER_WIDTH / 2
    for before, after in pairwise(values.places):
        if after.step > before.step and x.at(after.position) - last >= _NUMBER_WIDTH:
            last = x.at(after.position)
            yield charts.text(last, bottom + 18, str(after.step + 1), "middle")
