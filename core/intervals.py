"""Confidence intervals of 95% for proportions and for the difference of two of them; a test whether two are equal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
"""Standard errors on each side of a normally distributed estimate."""


@dataclass(frozen=True)
class Estimate:
    """A value with the limits of its confidence interval."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        return self.low, self.high


def wilson(successes: float, trials: float) -> Estimate:
    """Estimate a proportion with Wilson's score interval (1927), which holds for small samples and near 0 and 1.

    The counts may be fractions (effective sample sizes). Raises ValueError for impossible counts.
    """
    if not 0 <= successes <= trials or trials <= 0:
        raise ValueError(f"{successes} successes of {trials} trials")
    z = Z
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # Rounding must not leave 0 of n a hair above 0, nor n of n below 1.
    low = 0.0 if successes == 0 else (centre - spread) / scale
    high = 1.0 if successes == trials else (centre + spread) / scale
    return Estimate(share, low, high)


def newcombe(first: Estimate, second: Estimate) -> Estimate:
    """Estimate second − first, two independent proportions with their Wilson intervals.

    Source: Newcombe 1998, Statistics in Medicine 17, 873–890, method 10 (square and add).
    """
    value = second.value - first.value
    below = math.hypot(second.value - second.low, first.high - first.value)
    above = math.hypot(second.high - second.value, first.value - first.low)
    return Estimate(value, value - below, value + above)


def fisher_exact(first: int, of_first: int, second: int, of_second: int) -> float:
    """Return the two-sided p of Fisher's exact test: could two independent proportions be equal?

    It adds up the chances of all splits of `first` + `second` that are no likelier than this one.
    """
    successes = first + second
    fewest, most = max(0, successes - of_second), min(of_first, successes)
    ways = {k: math.comb(of_first, k) * math.comb(of_second, successes - k) for k in range(fewest, most + 1)}
    # Integers to the last step: equally likely splits must count alike.
    return sum(number for number in ways.values() if number <= ways[first]) / sum(ways.values())


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values for testing all of them; returns them in the same order.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65–70: among the hypotheses whose adjusted p is below α,
    the chance that any is true is at most α, however the tests depend on each other.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
