"""Draws the charts of a batch as SVG, for reports and the window; readable in grey and in print.

`recoloured` gives a drawing the colours of a theme.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from baton_reasoning.core.batch.reporting.failures import TakeoverOutcomes
from baton_reasoning.core.batch.reporting.report import ArmReport, Report
from baton_reasoning.core.engines.body import Author


class ChartColours(NamedTuple):
    """As `#rrggbb`."""

    ink: str
    faint: str
    """Axes, intervals and their labels."""
    rule: str
    """Lines behind the points."""
    small: str
    large: str
    ground: str


PRINT = ChartColours("#1b1c1f", "#62656d", "#e4e3df", "#2462c9", "#a84f06", "#ffffff")
INK, FAINT, RULE, SMALL, LARGE, GROUND = PRINT
FONTS = "Inter, Helvetica, Arial, sans-serif"
"""Of a browser, in the order of preference."""
_SIGNS = ("circle", "diamond", "square", "triangle")
DASHES = ("", "7 3", "2 3", "9 3 2 3")
"""Of the curves, in pixels, as an SVG has them."""
_INKS = {Author.SMALL: SMALL, Author.LARGE: LARGE, None: INK}
_SIGN = 5.5
"""Half the width of a marker, in pixels."""
MOST_KINDS = 8
"""Reasons and cues whose worth is drawn; tables have all."""
_LETTER = 6.6
"""Pixels of a letter: an upper bound for the mean over a name."""


def scatter_chart(scatter: Scatter, width: int = 640, height: int = 400) -> str:
    """Draw a marker with interval and name for each arm, and the lines of the scatter behind them."""
    if not scatter.points:
        return _svg(width, height, [_text(width / 2, height / 2, "No right answer yet.", "middle")], "Nothing")
    left, right, top, bottom = 56, width - 24, 28, height - 52

    def x(value: float) -> float:
        return left + (right - left) * scatter.place(value)

    def y(percent: float) -> float:
        return bottom - (bottom - top) * (percent - scatter.bottom) / max(10.0, 100.0 - scatter.bottom)

    parts = [_text(8, top - 10, "% correct"), _text((left + right) / 2, height - 12, scatter.across, "middle")]
    for percent in ticks(scatter.bottom, 100.0):
        parts.append(_line(left, y(percent), right, y(percent), RULE))
        parts.append(_text(left - 8, y(percent) + 4, f"{percent:g}", "end"))
    parts += [_text(x(value), bottom + 18, quantity(value), "middle") for value in scatter.ticks]
    signs, drawn = [], []
    for line in scatter.lines:
        corners = [(x(at), y(percent)) for at, percent in line.points]
        parts.append(_polyline(corners, line))
        drawn += [Box.around(*ends) for ends in pairwise(corners)]
    for index, point in enumerate(scatter.points):
        px, py = x(point.x), y(point.y)
        drawn.append(Box(px - 1, y(point.high), px + 1, y(point.low)))
        signs.append(Box(px - _SIGN, py - _SIGN, px + _SIGN, py + _SIGN))
        parts.append(_line(px, y(point.high), px, y(point.low), FAINT))
        parts.append(_sign(_SIGNS[index % len(_SIGNS)], px, py, _INKS[point.author]))
    sizes = [(_LETTER * len(point.name), 14.0) for point in scatter.points]
    boxes = place_labels(signs, sizes, drawn, Box(left, top - 8, right, bottom))
    for point, sign, box in zip(scatter.points, signs, boxes, strict=True):
        if apart := leader(sign, box):
            parts.append(_line(*apart, FAINT))
        parts.append(_text((box.left + box.right) / 2, box.top + 11, point.name, "middle", INK))
    return _svg(width, height, parts, f"{scatter.title}, with 95% intervals")


def takeovers_by_reason(arm: ArmReport, width: int = 640) -> str:
    """Draw takeovers by reason, as bars."""
    total = max(1, sum(arm.takeovers.values()))
    height = 16 + 28 * max(1, len(arm.takeovers))
    parts = [] if arm.takeovers else [_text(8, 28, "No takeover.")]
    most = max(arm.takeovers.values(), default=1)
    for row, (reason, count) in enumerate(arm.takeovers.items()):
        top, length = 8 + 28 * row, (width - 260) * count / most
        parts.append(_text(8, top + 16, reason.capitalize(), colour=INK))
        parts.append(f'<rect x="180" y="{top + 4}" width="{length:.1f}" height="16" rx="2" fill="{LARGE}"/>')
        parts.append(_text(188 + length, top + 16, f"{count / total:.0%} ({count:,})", colour=INK))
    return _svg(width, height, parts, f"Where the large model stepped in, {arm.title}")


def worth_by_cue(groups: Sequence[TakeoverOutcomes], width: int = 640) -> str:
    """Draw the mean worth of takeovers with intervals, for the commonest reasons and cues that have values."""
    valued = [(group, group.worth) for group in groups if group.worth][:MOST_KINDS]
    left, right, row = 20.0, width - 20.0, 38
    bottom, height = 12.0 + row * len(valued), 12 + row * len(valued) + 40
    lowest = min([0.0, *(worth.mean.low for _, worth in valued)])
    highest = max([0.0, *(worth.mean.high for _, worth in valued)])
    breadth = max(0.1, highest - lowest)

    def x(at: float) -> float:
        return left + (right - left) * (at - lowest) / breadth

    parts = []
    for at in ticks(lowest, lowest + breadth):
        parts.append(_line(x(at), 8, x(at), bottom, FAINT if abs(at) < breadth / 1e6 else RULE))
        parts.append(_text(x(at), bottom + 16, f"{at + 0.0:.2g}", "middle"))
    for number, (group, worth) in enumerate(valued):
        top, mean = 12 + row * number, worth.mean
        name = f"{group.reason}: {group.cue}" if group.cue else group.reason
        parts.append(_text(left, top + 12, f"{name} ({worth.takeovers:,})", colour=INK))
        parts.append(_line(x(mean.low), top + 24, x(mean.high), top + 24, FAINT))
        parts.append(_sign("diamond", x(mean.value), top + 24, LARGE))
    parts.append(_text((left + right) / 2, height - 6, "worth: value after, less value before", "middle"))
    return _svg(width, height, parts, "Worth of takeovers by cue, with 95% intervals")


def recoloured(drawing: str, colours: ChartColours) -> str:
    """Replace the colours of print in a drawing of this module."""
    replacements = dict(zip(PRINT, colours, strict=True))
    return re.sub("|".join(map(re.escape, PRINT)), lambda found: replacements[found[0]], drawing)


def _sign(kind: str, x: float, y: float, colour: str, r: float = _SIGN) -> str:
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{colour}"/>'
    corners = {
        "diamond": ((0, -r - 1), (r + 1, 0), (0, r + 1), (-r - 1, 0)),
        "square": ((-r, -r), (r, -r), (r, r), (-r, r)),
        "triangle": ((0, -r), (r, r), (-r, r)),
    }[kind]
    return f'<polygon points="{" ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)}" fill="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _polyline(corners: Sequence[tuple[float, float]], line: ChartLine) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    dashes = f' stroke-dasharray="{line.dashes}"' if line.dashes else ""
    return f'<polyline points="{points}" fill="none" stroke="{line.colour}"{dashes}/>'


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = FAINT) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="12" font-family="{FONTS}">{escape(text)}</text>'


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img"><title>{escape(title)}</title><rect width="{width}" height="{height}" fill="{GROUND}"/>'
        f"{''.join(parts)}</svg>"
    )


NARROWEST = 10.0
"""Percentage points of large share: if all arms lie closer together, the axis shows 0 to 100."""


class Point(NamedTuple):
    """An arm: accuracy in percent, with its interval."""

    name: str
    x: float
    y: float
    low: float
    high: float
    author: Author | None
    """The only author; None: both models wrote."""


class ChartLine(NamedTuple):
    points: tuple[tuple[float, float], ...]
    dashes: str = ""
    """Lengths of dashes and gaps in pixels; empty for a solid line."""
    colour: str = FAINT


class Scatter(NamedTuple):
    title: str
    across: str
    """Label of the x axis."""
    points: tuple[Point, ...]
    lines: tuple[ChartLine, ...]
    left: float
    right: float
    """Ends of the x axis."""
    is_logarithmic: bool = False
    """Whether the x axis is."""

    @property
    def bottom(self) -> float:
        """Lower end of the y axis: the next multiple of ten below all that is drawn. The upper end is 100."""
        lows = [point.low for point in self.points] + [percent for line in self.lines for _, percent in line.points]
        return 10.0 * math.floor(min(lows, default=0) / 10)

    @property
    def ticks(self) -> list[float]:
        """Return round numbers on the x axis."""
        return logarithmic_ticks(self.left, self.right) if self.is_logarithmic else ticks(self.left, self.right)

    def place(self, value: float) -> float:
        """Return where a value stands on the x axis: 0 at its left end, 1 at its right one."""
        scale: Callable[[float], float] = math.log if self.is_logarithmic else float
        return (scale(value) - scale(self.left)) / (scale(self.right) - scale(self.left))

    @property
    def description(self) -> str:
        """What screen readers say."""
        return "; ".join(f"{point.name} {point.y:.0f}% at {quantity(point.x)}" for point in self.points)


def accuracy_against_share(report: Report) -> Scatter:
    """Plot accuracy against large share; a line joins the arms of a sweep."""
    points = _points(report.arms, lambda arm: 100 * arm.large_share)
    place = {point.name: (point.x, point.y) for point in points}
    sweeps: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for arm in report.arms:
        if arm.sweep and arm.title in place:
            sweeps[arm.sweep].append(place[arm.title])
    lines = tuple(ChartLine(tuple(sorted(joined))) for joined in sweeps.values())
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
    """Choose round numbers within the axis, 1, 2 or 5 times a power of ten apart."""
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= least)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def logarithmic_ticks(low: float, high: float, most: int = 9) -> list[float]:
    """Choose round numbers within a logarithmic axis: 1, 2 and 5 times powers of ten, or these powers alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1,)):
        found = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(found) <= most:
            break
    return found if len(found) > 1 else ticks(low, high, most)


def quantity(value: float) -> str:
    """Format a number with three digits that count."""
    return f"{float(f'{value:.3g}'):,g}"


def _points(arms: Sequence[ArmReport], x: Callable[[ArmReport], float]) -> tuple[Point, ...]:
    return tuple(
        Point(
            arm.title,
            x(arm),
            100 * arm.accuracy.value,
            100 * arm.accuracy.low,
            100 * arm.accuracy.high,
            _only_author(arm),
        )
        for arm in arms
        if arm.accuracy and arm.tokens
    )


def _only_author(arm: ArmReport) -> Author | None:
    if not arm.large_tokens:
        return Author.SMALL
    return None if arm.small_tokens else Author.LARGE


GAP = 5.0
"""Pixels between a marker and its name."""
RINGS = 4
"""Distances to try, each one line of text farther."""


class Box(NamedTuple):
    """Pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Return the shared area."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)

    @classmethod
    def around(cls, one: tuple[float, float], other: tuple[float, float]) -> Box:
        """Return the box around a line from left to right, a pixel larger."""
        return cls(one[0], min(one[1], other[1]) - 1, other[0], max(one[1], other[1]) + 1)

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)


def place_labels(
    signs: Sequence[Box], sizes: Sequence[tuple[float, float]], lines: Sequence[Box], area: Box
) -> list[Box]:
    """Place a box for each name (width and height in `sizes`) beside its marker and within the area.

    It takes the nearest place that is free of signs, of names already placed and of `lines`; if none is free, the one
    that covers least, and rather a line than a name.
    """
    placed: list[Box] = []
    for sign, size in zip(signs, sizes, strict=True):
        candidates = list(_around(sign, *size))

        def cost(box: Box) -> float:
            outside = box.area - box.overlap(area)
            names = sum(box.overlap(other) for other in placed) + sum(box.overlap(other) for other in signs)
            return 8 * outside + 4 * names + sum(box.overlap(line) for line in lines)

        placed.append(min(candidates, key=cost))  # of equals the first, which is the nearest
    return placed


def leader(sign: Box, name: Box) -> tuple[float, float, float, float] | None:
    """Return a line (x1, y1, x2, y2) from a marker to a name that is not beside it; None if it is."""
    x, y = (sign.left + sign.right) / 2, (sign.top + sign.bottom) / 2
    end_x, end_y = min(max(x, name.left), name.right), min(max(y, name.top), name.bottom)
    reach = max(abs(end_x - x), abs(end_y - y))
    return (x, y, end_x, end_y) if reach > (sign.right - sign.left) / 2 + 2 * GAP else None


def _around(sign: Box, width: float, height: float) -> Iterator[Box]:
    """Yield candidate boxes around a marker, nearest first."""
    middle_x, middle_y = (sign.left + sign.right) / 2, (sign.top + sign.bottom) / 2
    for ring in range(RINGS):
        far = ring * height
        right, left = sign.right + GAP, sign.left - GAP - width
        above, below = sign.top - GAP - height - far, sign.bottom + GAP + far
        beside = (middle_y - height / 2 - far, middle_y - height / 2 + far) if ring else (middle_y - height / 2,)
        for top in beside:
            for at in (right, left):
                yield Box(at, top, at + width, top + height)
        for top in (above, below):
            for at in (middle_x - width / 2, sign.right, sign.left - width):
                yield Box(at, top, at + width, top + height)
