"""Draws the parts of an SVG chart: axes, gridlines, lines, bands, markers and a legend.

A colour is a CSS variable of the surrounding page, such as `--text`, with the colour for print as its fallback.
`coloured` replaces the variables for programs that read no CSS. The legend names points and lines by markers that
differ in shape, so that a chart can be read in grey.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from textwrap import wrap
from typing import NamedTuple

from baton_reasoning.resources import resource_table

PRINT = {name: light for name, light, _ in resource_table("tables/colours.txt")} | {"background": "#ffffff"}
"""The colours for print, by the name of their CSS variable."""
FONTS = "Inter, Helvetica, Arial, sans-serif"
"""Font families as CSS lists them, the preferred one first."""
SHAPES = (
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",  # circle
    "M0 -6.5L6.5 0L0 6.5L-6.5 0z",  # diamond
    "M-5 -5H5V5H-5z",  # square
    "M0 -6L6 5H-6z",  # triangle
    "M0 6L-6 -5H6z",  # triangle that stands on its tip
    "M-2 -6H2V-2H6V2H2V6H-2V2H-6V-2H-2z",  # plus
    "M-6 -7H6L-6 7H6z",  # hourglass
)
"""Markers as SVG paths around the origin, in pixels."""
CIRCLE, DIAMOND = 0, 1
"""Indices into `SHAPES`: the markers of the small and of the large model."""
MARKER_WIDTH = 12.0
_INTERVAL_WIDTH = 3.0
_LETTER = 6.6
"""Pixels: at least the mean width of a letter in a name."""
_LINE = 18.0
"""Line height of the legend, in pixels."""
_SAMPLE = 28.0
"""Pixels in the legend from the left edge of a sample to its name."""

Point = tuple[float, float]
"""x and y in pixels, y downwards."""


class Axis(NamedTuple):
    """A linear scale from values to pixels."""

    low: float
    high: float
    start: float = 0.0
    """Pixel of `low`."""
    end: float = 1.0
    """Pixel of `high`."""

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Choose up to seven round numbers on the axis, 1, 2 or 5 times a power of ten apart."""
        least = (self.high - self.low) / 6
        exponent = math.floor(math.log10(least))
        factor = next(factor for factor in (1, 2, 5, 10) if factor * 10.0**exponent >= least)
        step = factor * 10.0**exponent
        numbers = range(math.floor(self.low / step), math.ceil(self.high / step) + 1)
        ticks = (float(f"{factor * number}e{exponent}") for number in numbers)  # a product of floats may lie beside it
        return [tick for tick in ticks if self.low <= tick <= self.high]


def svg(width: float, height: float, parts: Iterable[str], title: str) -> str:
    """Return the SVG document of these parts. `title`: what a screen reader says."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" font-size="12" font-family="{FONTS}"><title>{escape(title)}</title>'
        f'<rect width="{width:g}" height="{height:g}" fill="{_colour("background")}"/>{"".join(parts)}</svg>'
    )


def coloured(drawing: str, colours: Mapping[str, str]) -> str:
    """Replace the CSS variables in an SVG by colours. `colours`: with the keys of `PRINT`."""
    return re.sub(r"var\(--(\w+), #\w+\)", lambda found: colours[found[1]], drawing)


def text(x: float, y: float, words: str, anchor: str = "start", colour: str = "muted") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{_colour(colour)}">{escape(words)}</text>'


def line(points: Sequence[Point], colour: str = "muted", dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<polyline points="{_points(points)}" fill="none" stroke="{_colour(colour)}"{dashed}/>'


def band(upper: Sequence[Point], lower: Sequence[Point]) -> str:
    """Fill the area between two lines, both from left to right."""
    return f'<polygon points="{_points([*upper, *reversed(lower)])}" fill="{_colour("panel")}"/>'


def marker(number: int, x: float, y: float, colour: str) -> str:
    """Draw marker `number`, from 0: seven filled shapes, then seven hollow ones, then numbers in a circle."""
    if number >= 2 * len(SHAPES):
        ring = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="{_colour("background")}" stroke="{_colour(colour)}"/>'
        return ring + text(x, y + 4, str(number + 1), "middle", colour)
    fill, stroke = ("background", colour) if number >= len(SHAPES) else (colour, "background")
    return (
        f'<path d="{SHAPES[number % len(SHAPES)]}" transform="translate({x:.1f} {y:.1f})" '
        f'fill="{_colour(fill)}" stroke="{_colour(stroke)}" stroke-width="1.5"/>'
    )


def y_gridlines(y: Axis, left: float, right: float) -> Iterator[str]:
    """Draw a horizontal line for each tick of the y axis, with its label at the left."""
    for tick in y.ticks():
        yield line([(left, y.at(tick)), (right, y.at(tick))], "border")
        yield text(left - 8, y.at(tick) + 4, quantity(tick), "end")


def x_gridlines(x: Axis, top: float, bottom: float) -> Iterator[str]:
    """Draw a vertical line for each tick of the x axis, with its label below."""
    for tick in x.ticks():
        yield line([(x.at(tick), top), (x.at(tick), bottom)], "border")
        yield text(x.at(tick), bottom + 18, quantity(tick), "middle")


def legend(entries: Iterable[tuple[str, str]], left: float, top: float, right: float) -> tuple[list[str], float]:
    """Draw samples with their names, row by row; returns the parts and the y of the legend's lower edge.

    `entries`: names, each with a sample around the origin, at most 24 pixels wide. Long names are wrapped.
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


def side_by_side(points: Sequence[Point]) -> list[Point]:
    """Move markers sideways, as little as needed, until none covers another or its interval."""
    moved = list[Point]()
    # Each marker takes at most eight of these steps from another, so one is always free.
    steps = sorted(range(-4 * len(points), 4 * len(points)), key=abs)
    for x, y in points:
        beside = ((x + step * MARKER_WIDTH / 4, y) for step in steps)
        moved.append(next(place for place in beside if not any(_touches(place, other) for other in moved)))
    return moved


def _touches(one: Point, other: Point) -> bool:
    apart = MARKER_WIDTH if abs(one[1] - other[1]) < MARKER_WIDTH else _INTERVAL_WIDTH
    return abs(one[0] - other[0]) < apart


def quantity(value: float) -> str:
    """Format a number with three significant digits."""
    return f"{float(f'{value:.3g}'):,g}"


def _colour(name: str) -> str:
    return f"var(--{name}, {PRINT[name]})"


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
