"""Draws the values of an answer as a curve for the HTML page, with a table that says the same in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.export.html_template import markup
from baton_reasoning.core.export.markdown import SIGNS
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.values import StepValues, TextPlace, ValuedPlace

_WIDTH, _HEIGHT = 640, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 24.0, _WIDTH - 8.0, 10.0, _HEIGHT - 10.0
_SIGN = 4.0
"""Half the width of a marker, in pixels."""


class ValueCurve(NamedTuple):
    drawing: str
    """SVG, coloured by the page's classes."""
    caption: str
    rows: tuple[tuple[str, ...], ...]
    """Step, author, value, interval, worth of the takeover that ends there."""


def curve_of(trace: Trace) -> ValueCurve | None:
    """Draw the values that were estimated last; None if there are none."""
    values = StepValues.of(trace)
    if values is None or not values.places:
        return None
    found = values.estimated
    what = f"that end in {found.target}" if found.is_expected else f"that agree with this answer, {found.target}"
    caption = f"Value: the share of continuations by {found.model} {what}, with 95% intervals."
    caption += "" if found.is_expected else " Agreement is no proof."
    return ValueCurve(markup(_drawn(values)), caption, tuple(_rows(values)))


def _rows(values: StepValues) -> Iterator[tuple[str, ...]]:
    worths = {worth.after.place: worth for worth in values.takeovers}
    for each in values.places:
        worth = worths.get(each.place)
        yield (
            str(each.step + 1) if each.position else "beginning",
            SIGNS[each.author] if each.author else "",
            f"{each.value.value:.2f}",
            _interval(each.value, "–") if each.continuations else "the answer's verdict",
            f"{worth.difference.value:+.2f} ({_interval(worth.difference, ' to ', '+')})" if worth else "",
        )


def _interval(estimate: Estimate, between: str, sign: str = "") -> str:
    return f"{estimate.low:{sign}.2f}{between}{estimate.high:{sign}.2f}"


def _drawn(values: StepValues) -> str:
    """Draw a band for the intervals, a line with a marker for each place, and a dotted branch to what was replaced."""

    def x(position: int) -> float:
        return _LEFT + (_RIGHT - _LEFT) * position / max(1, values.length)

    band = [(x(each.position), _y(each.value.high)) for each in values.places]
    band += [(x(each.position), _y(each.value.low)) for each in reversed(values.places)]
    line = [(x(each.position), _y(each.value.value)) for each in values.places]
    parts = [f'<polygon class="band" points="{_points(band)}"/>', f'<polyline points="{_points(line)}"/>']
    for value in (0.0, 0.5, 1.0):
        parts.append(f'<line class="rule" x1="{_LEFT}" y1="{_y(value):.1f}" x2="{_RIGHT}" y2="{_y(value):.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{_y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for worth in values.takeovers:
        if worth.before.place.replaced:
            start = values.at(TextPlace(worth.span.start)) or worth.before
            ends = f'y1="{_y(start.value.value):.1f}" y2="{_y(worth.before.value.value):.1f}"'
            parts.append(f'<line class="branch" x1="{x(worth.span.start):.1f}" x2="{x(worth.span.end):.1f}" {ends}/>')
    parts += [_marker(each, x(each.position), _y(each.value.value)) for each in values.places]
    title = "Values along the answer: ● after text of the small model, ◆ after text of the large one"
    return (
        f'<svg class="curve" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
        f"<title>{title}</title>{''.join(parts)}</svg>"
    )


def _y(value: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * value


def _points(points: list[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _marker(place: ValuedPlace, x: float, y: float) -> str:
    if place.author is Author.LARGE:
        r = _SIGN + 1
        return f'<polygon class="large" points="{_points([(x, y - r), (x + r, y), (x, y + r), (x - r, y)])}"/>'
    return (
        f'<circle class="{place.author.value if place.author else "inserted"}" cx="{x:.1f}" cy="{y:.1f}" r="{_SIGN}"/>'
    )
