"""Where to write the names of points so that they touch neither each other nor the points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

GAP = 5.0
"""Pixels between a point's sign and its name."""
RINGS = 4
"""Distances that are tried, each a line of text farther."""


class Box(NamedTuple):
    """Pixels, y downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Shared area."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.bottom - self.top)


def place_labels(
    signs: Sequence[Box], sizes: Sequence[tuple[float, float]], lines: Sequence[Box], area: Box
) -> list[Box]:
    """A box for each name (width and height in `sizes`), beside its sign and within the area.

    The nearest place that is free of signs, of names already placed and of `lines`; where none is, the one that
    covers least, and rather a line than a name.
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
    """A line from the middle of a sign to a name that stands apart from it, x1, y1, x2, y2; None where it is beside."""
    x, y = (sign.left + sign.right) / 2, (sign.top + sign.bottom) / 2
    end_x, end_y = min(max(x, name.left), name.right), min(max(y, name.top), name.bottom)
    reach = max(abs(end_x - x), abs(end_y - y))
    return (x, y, end_x, end_y) if reach > (sign.right - sign.left) / 2 + 2 * GAP else None


def _around(sign: Box, width: float, height: float) -> Iterator[Box]:
    """Right, left, above, below and between, ever farther."""
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
