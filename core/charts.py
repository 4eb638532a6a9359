"""The parts of which every chart is drawn as SVG: axes, lines, bands, signs, bars and a legend.

A colour is a CSS variable of the page around the chart, such as `--text`; a page that defines none shows the colours of
print. `coloured` replaces the variables for programs that read no CSS. Points and lines are named in a legend, by signs
that differ in shape, so that a chart can be read in grey.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import NamedTuple

PRINT = {
    "background": "#ffffff",
    "panel": "#f0efec",  # of bands
    "border": "#e4e3df",  # lines behind the points
    "text": "#1b1c1f",
    "muted": "#62656d",  # intervals and the labels of axes
    "small": "#2462c9",
    "large": "#a84f06",
    "inserted": "#62656d",
    "person": "#61188a",
}
"""Every colour of a chart, by the name of its variable, as it is printed."""
FONTS = "Inter, Helvetica, Arial, sans-serif"
"""Of a browser, in the order of preference."""
SHAPES = (
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",  # circle
    "M0 -6.5L6.5 0L0 6.5L-6.5 0z",  # diamond
    "M-5 -5H5V5H-5z",  # square
    "M0 -6L6 5H-6z",  # triangle
    "M0 6L-6 -5H6z",  # triangle that stands on its tip
    "M-2 -6H2V-2H6V2H2V6H-2V2H-6V-2H-2z",  # plus
    "M-6 -7H6L-6 7H6z",  # hourglass
)
"""Paths around the origin, in pixels."""
CIRCLE, DIAMOND = 0, 1
"""Numbers of the signs of the small and of the large model."""
SIGN_WIDTH = 12.0
_INTERVAL_WIDTH = 3.0
_LETTER = 6.6
"""Pixels of a letter: an upper bound for the mean over a name."""
_LINE = 18.0
"""Pixels from one line of a legend to the next."""
_SAMPLE = 28.0
"""Pixels of a legend from the beginning of a sample to its name."""

Place = tuple[float, float]
"""x and y in pixels, y downwards."""


class Axis(NamedTuple):
    """Places values between two ends of a chart."""

    low: float
    high: float
    start: float = 0.0
    """Where `low` is, in pixels."""
    end: float = 1.0
    """Where `high` is."""

    def at(self, value: float) -> float:
        """Return where a value stands, in pixels."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Choose up to seven round numbers on the axis, 1, 2 or 5 times a power of ten apart."""
        least = (self.high - self.low) / 6
        power = 10.0 ** math.floor(math.log10(least))
        step = next(step * power for step in (1, 2, 5, 10) if step * power >= least)
        return [step * number for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def svg(width: float, height: float, parts: Iterable[str], title: str) -> str:
    """Put the parts of a chart together. `title`: what a screen reader says."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" font-size="12" font-family="{FONTS}"><title>{escape(title)}</title>'
        f'<rect width="{width:g}" height="{height:g}" fill="{_colour("background")}"/>{"".join(parts)}</svg>'
    )


def coloured(drawing: str, colours: Mapping[str, str]) -> str:
    """Replace the variables in a drawing by colours, which have the names of `PRINT`."""
    return re.sub(r"var\(--(\w+), #\w+\)", lambda found: colours[found[1]], drawing)


def text(x: float, y: float, words: str, anchor: str = "start", colour: str = "muted") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{_colour(colour)}">{escape(words)}</text>'


def line(places: Sequence[Place], colour: str = "muted", dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{_points(places)}" fill="none" stroke="{_colour(colour)}"{dashed}/>'


def band(upper: Sequence[Place], lower: Sequence[Place], colour: str = "panel") -> str:
    """Fill the area between two lines, both from left to right."""
    return f'<polygon points="{_points([*upper, *reversed(lower)])}" fill="{_colour(colour)}"/>'


def sign(number: int, x: float, y: float, colour: str) -> str:
    """Draw the sign of a number: seven filled shapes, then seven hollow ones, then the numbers themselves."""
    if number >= 2 * len(SHAPES):
        ring = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="{_colour("background")}" stroke="{_colour(colour)}"/>'
        return ring + text(x, y + 4, str(number + 1), "middle", colour)
    fill, stroke = ("background", colour) if number >= len(SHAPES) else (colour, "background")
    return (
        f'<path d="{SHAPES[number % len(SHAPES)]}" transform="translate({x:.1f} {y:.1f})" '
        f'fill="{_colour(fill)}" stroke="{_colour(stroke)}" stroke-width="1.5"/>'
    )


def rows(y: Axis, left: float, right: float) -> Iterator[str]:
    """Draw a line across the chart for each tick of its y axis, and the number at its left."""
    for tick in y.ticks():
        yield line([(left, y.at(tick)), (right, y.at(tick))], "border")
        yield text(left - 8, y.at(tick) + 4, quantity(tick), "end")


def columns(x: Axis, top: float, bottom: float) -> Iterator[str]:
    """Draw a line down the chart for each tick of its x axis, and the number below."""
    for tick in x.ticks():
        yield line([(x.at(tick), top), (x.at(tick), bottom)], "border")
        yield text(x.at(tick), bottom + 18, quantity(tick), "middle")


def legend(entries: Iterable[tuple[str, str]], left: float, top: float, right: float) -> tuple[list[str], float]:
    """Draw samples with their names, from left to right and row by row; returns the parts and where the legend ends.

    `entries`: names, each with a sample around the origin, of 24 pixels at most. A name that is too long for a row is
    wrapped.
    """
    parts, x, bottom = list[str](), left, top
    for name, sample in entries:
        lines = wrap(name, int((right - left - _SAMPLE) / _LETTER))
        end = x + _SAMPLE + _LETTER * max(map(len, lines))
        if end > right and x > left:
            x, top, end = left, bottom, left + end - x
        parts.append(f'<g transform="translate({x + 12:.1f} {top + 5:.1f})">{sample}</g>')
        parts += [text(x + _SAMPLE, top + 9 + at * _LINE, words, colour="text") for at, words in enumerate(lines)]
        x, bottom = end + 24, max(bottom, top + _LINE * len(lines))
    return parts, bottom


def side_by_side(places: Sequence[Place]) -> list[Place]:
    """Move signs that would cover each other, or each other's interval, to the nearest free place beside."""
    moved = list[Place]()
    # Each sign takes at most eight of these steps from another, so one is always free.
    steps = sorted(range(-4 * len(places), 4 * len(places)), key=abs)
    for x, y in places:
        beside = ((x + step * SIGN_WIDTH / 4, y) for step in steps)
        moved.append(next(place for place in beside if not any(_touches(place, other) for other in moved)))
    return moved


def _touches(one: Place, other: Place) -> bool:
    apart = SIGN_WIDTH if abs(one[1] - other[1]) < SIGN_WIDTH else _INTERVAL_WIDTH
    return abs(one[0] - other[0]) < apart


def quantity(value: float) -> str:
    """Format a number with three digits that count."""
    return f"{float(f'{value:.3g}'):,g}"


def _colour(name: str) -> str:
    return f"var(--{name}, {PRINT[name]})"


def _points(places: Iterable[Place]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
