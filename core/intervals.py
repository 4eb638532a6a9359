"""Confidence intervals of 95% for proportions and for the difference of two of them."""

from __future__ import annotations

import math
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
