"""How often a random takeover must happen to give the large model a certain share: found by trying.

The share rises with the chance, but how fast depends on how long steps and takeovers are, which only a run tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.problem import Problem

ROUNDS = 4
CLOSE_ENOUGH = 0.005
"""Of the large share, absolute: a fraction of what chance alone moves it by in a pilot."""
PILOT_PROBLEMS = 24
PILOT_SEED = 999_983
"""Away from the seeds of any batch, so that what is counted was never used to choose p."""


def chance_for_share(share: float, measure: Callable[[float], float], rounds: int = ROUNDS) -> float:
    """The chance p (0 to 1) at which `measure(p)` is nearest to `share`, after so many measurements.

    Each round tries where the straight line between the nearest measurements below and above meets the share.
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
    """A few problems from all over the set."""
    step = max(1, len(problems) // PILOT_PROBLEMS)
    return problems[::step][:PILOT_PROBLEMS]


def _interpolated(share: float, known: list[tuple[float, float]]) -> float:
    below = max((point for point in known if point[1] <= share), key=lambda point: point[1])
    above = min((point for point in known if point[1] > share), key=lambda point: point[1], default=None)
    if above is None:
        # Nothing reaches it yet: go on as steeply as from nothing to the best so far.
        return min(1.0, below[0] * share / below[1]) if below[1] > 0 else min(1.0, 2 * max(p for p, _ in known))
    return below[0] + (above[0] - below[0]) * (share - below[1]) / (above[1] - below[1])
