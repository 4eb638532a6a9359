"""Draws the values of an answer as a curve for the HTML page, with a table that says the same in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from baton_reasoning.core import charts
from baton_reasoning.core.charts import Axis
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.export.html_template import markup
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.table import Table, columns_of
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.values import StepValues, TextPlace
from baton_reasoning.core.words.authors import SIGN

_WIDTH = 640
_REPLACED = "3 3"
"""The dashes of a line to replaced text."""


class ValueCurve(NamedTuple):
    drawing: str
    """SVG."""
    caption: str
    table: Table


def curve_of(trace: Trace) -> ValueCurve | None:
    """Draw the values that were estimated last; None if there are none."""
    values = StepValues.of(trace)
    if values is None or not values.places:
        return None
    found = values.estimated
    what = f"that end in {found.target}" if found.is_expected else f"that agree with this answer, {found.target}"
    caption = f"Value: the share of continuations by {found.model} {what}, with 95% intervals."
    caption += "" if found.is_expected else " Agreement is no proof."
    return ValueCurve(markup(_drawn(values)), caption, _table(values))


def _table(values: StepValues) -> Table:
    titles = ("after step", "by", "value", "95% interval", "worth of the takeover")
    return Table("Values after each step", columns_of(titles), tuple(_rows(values)))


def _rows(values: StepValues) -> Iterator[tuple[str, ...]]:
    worths = {worth.after.place: worth for worth in values.takeovers}
    for each in values.places:
        worth = worths.get(each.place)
        yield (
            str(each.step + 1) if each.position else "beginning",
            SIGN[each.author] if each.author else "",
            f"{each.value.value:.2f}",
            _interval(each.value, "–") if each.continuations else "the answer's verdict",
            f"{worth.difference.value:+.2f} ({_interval(worth.difference, ' to ', '+')})" if worth else "",
        )


def _interval(estimate: Estimate, between: str, sign: str = "") -> str:
    return f"{estimate.low:{sign}.2f}{between}{estimate.high:{sign}.2f}"


def _drawn(values: StepValues) -> str:
    """Draw a band for the intervals, a line with a marker for each place, and a dotted branch to what was replaced."""
    left, right, bottom = 32.0, _WIDTH - 16.0, 140.0
    x, y = Axis(0, max(1, values.length), left, right), Axis(0, 1, bottom, 10)
    upper = [(x.at(each.position), y.at(each.value.high)) for each in values.places]
    lower = [(x.at(each.position), y.at(each.value.low)) for each in values.places]
    middle = [(x.at(each.position), y.at(each.value.value)) for each in values.places]
    parts = [charts.band(upper, lower), *charts.y_gridlines(y, left, right), charts.line(middle, "text")]
    for worth in values.takeovers:
        if worth.before.place.replaced:
            start = values.at(TextPlace(worth.span.start)) or worth.before
            ends = ((worth.span.start, start), (worth.span.end, worth.before))
            parts.append(charts.line([(x.at(at), y.at(each.value.value)) for at, each in ends], dashes=_REPLACED))
    for each, place in zip(values.places, middle, strict=True):
        number = charts.DIAMOND if each.author is Author.LARGE else charts.CIRCLE
        parts.append(charts.marker(number, *place, each.author.value if each.author else "inserted"))
    entries = [
        ("after text of the small model", charts.marker(charts.CIRCLE, 0, 0, "small")),
        ("after text of the large model", charts.marker(charts.DIAMOND, 0, 0, "large")),
        ("to text that the large model replaced", charts.line([(-12, 0), (12, 0)], dashes=_REPLACED)),
    ]
    named, end = charts.legend(entries, left, bottom + 16, right)
    return charts.svg(_WIDTH, end, [*parts, *named], "Values along the answer, with 95% intervals")
