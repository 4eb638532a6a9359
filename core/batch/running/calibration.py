"""Finds the chance of takeover with which random takeovers give the large share of another arm.

A pilot writes a few problems of the batch under that arm, unless it has answered them, then under some chances. Each
answer is saved with the batch at once (`BatchSettings.pilots`), so that a pilot that is stopped or killed goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TypeVar

Event = TypeVar("Event")

PILOT_PROBLEMS = 24
PILOT_SEED = 999_983
"""No batch uses it, so that p is not fitted to the answers that count."""
TRIES = 4
"""Chances that are tried, at most."""
ROUNDS = 1 + TRIES
"""Of a pilot, at most: the first measures the share."""
CLOSE_ENOUGH = 0.005
"""Difference of large shares; a pilot varies far more by chance."""

PilotAnswers = Mapping[int, tuple[int, int]]
"""All tokens, and those of the large model, by the index of the problem in the batch."""


def pilot_places(problems: int) -> range:
    """Choose a few of so many problems, by their index, spread evenly over them."""
    return range(0, problems, max(1, problems // PILOT_PROBLEMS))[:PILOT_PROBLEMS]


def share_of(answers: PilotAnswers) -> float:
    """Return the large share of some answers together, 0 to 1."""
    return sum(large for _, large in answers.values()) / max(1, sum(every for every, _ in answers.values()))


def chance_for_share(
    share: float, measure: Callable[[float], Generator[Event, None, float]]
) -> Generator[Event, None, float]:
    """Return the chance p (0 to 1) at which `measure(p)` is nearest to a large share; yields what `measure` yields.

    Each of the `TRIES` is the point where the line between the nearest measurements on both sides meets the share.
    """
    if share <= 0:
        return 0.0
    known = [(0.0, 0.0)]
    chance = min(1.0, share)
    for _ in range(TRIES):
        known.append((chance, (yield from measure(chance))))
        if abs(known[-1][1] - share) <= CLOSE_ENOUGH:
            break
        chance = _interpolated(share, known)
    return min(known, key=lambda point: abs(point[1] - share))[0]


def _interpolated(share: float, known: list[tuple[float, float]]) -> float:
    below = max((point for point in known if point[1] <= share), key=lambda point: point[1])
    above = min((point for point in known if point[1] > share), key=lambda point: point[1], default=None)
    if above is None:
        # No measurement is above yet: extrapolate from the highest one.
        return min(1.0, below[0] * share / below[1]) if below[1] > 0 else min(1.0, 2 * max(p for p, _ in known))
    return below[0] + (above[0] - below[0]) * (share - below[1]) / (above[1] - below[1])
