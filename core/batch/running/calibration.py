"""Finds the chance of takeover at which a random policy gives the large model a certain share of the tokens.

The share rises with the chance, but how fast depends on the lengths of steps and takeovers: it is measured on a pilot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from baton_reasoning.core.problem import Problem

ROUNDS = 4
CLOSE_ENOUGH = 0.005
"""Absolute difference of the large share; far less than a pilot varies by chance."""
PILOT_PROBLEMS = 24
PILOT_SEED = 999_983
"""Not a seed of any batch: no answer that counts was used to choose p."""


def chance_for_share(share: float, measure: Callable[[float], float], rounds: int = ROUNDS) -> float:
    """Find the chance p (0 to 1) at which `measure(p)` is nearest to `share`.

    Each of the `rounds` tries the point where the line between the nearest measurements on both sides meets the share.
    """
    if share <= 0:
        return 0.0
    known = [(0.0, 0.0)]
    chance = min(1.0, share)
    for _ in range(rounds):
        known.append((chance, measure(chance)))
        if abs(known[-1][1] - share) <= CLOSE_ENOUGH:
            break
        chance = _interpolated(share, known)
    return min(known, key=lambda point: abs(point[1] - share))[0]


def pilot_of(problems: Sequence[Problem]) -> Sequence[Problem]:
    """Choose a few problems, spread evenly over the set."""
    step = max(1, len(problems) // PILOT_PROBLEMS)
    return problems[::step][:PILOT_PROBLEMS]


def _interpolated(share: float, known: list[tuple[float, float]]) -> float:
    below = max((point for point in known if point[1] <= share), key=lambda point: point[1])
    above = min((point for point in known if point[1] > share), key=lambda point: point[1], default=None)
    if above is None:
        # No measurement is above yet: extrapolate from the highest one.
        return min(1.0, below[0] * share / below[1]) if below[1] > 0 else min(1.0, 2 * max(p for p, _ in known))
    return below[0] + (above[0] - below[0]) * (share - below[1]) / (above[1] - below[1])
