"""Confidence intervals and tests for the accuracy and speed of arms that ran over the same problems.

Two arms are compared problem by problem (paired), which needs far fewer problems than two independent samples. Several
seeds of one problem are not several problems: every interval here is as wide as the problems warrant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import NormalDist, fmean
from typing import NamedTuple, TypeVar

import numpy as np

Item = TypeVar("Item")


class Interval(NamedTuple):
    """A confidence interval, both ends included."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A value and its confidence interval."""

    value: float
    interval: Interval


class PairedCounts(NamedTuple):
    """Problems by what two runs made of them; unscored ones are in none of the four."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool, bool]]) -> PairedCounts:
        """Count pairs of (first correct, second correct)."""
        counts = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
        for pair in pairs:
            counts[pair] += 1
        return cls(*counts.values())

    @property
    def total(self) -> int:
        return sum(self)


def wilson(successes: float, trials: float, confidence: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion (1927), good for small samples and near 0 and 1.

    Effective sample sizes need not be whole.

    Raises ValueError for counts that cannot be.
    """
    if not 0 <= successes <= trials or trials <= 0:
        raise ValueError(f"{successes} successes of {trials} trials")
    z = _z(confidence)
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # Rounding must not leave 0 of n a hair above 0, nor n of n below 1.
    low = 0.0 if successes == 0 else (centre - spread) / scale
    high = 1.0 if successes == trials else (centre + spread) / scale
    return Interval(low, high)


def accuracy(successes: int, trials: int, confidence: float = 0.95) -> Estimate:
    """The share of correct answers with Wilson's interval. Raises ValueError without a trial."""
    interval = wilson(successes, trials, confidence)
    return Estimate(successes / trials, interval)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p of McNemar's exact test: could the discordant problems be coin flips?

    1.0 without discordant problems.
    """
    discordant = only_first + only_second
    tail = sum(math.comb(discordant, k) for k in range(min(only_first, only_second) + 1))
    # Integers to the last step: floats overflow beyond a thousand discordant problems.
    return min(1.0, tail / 2 ** (discordant - 1)) if discordant else 1.0


def paired_difference(counts: PairedCounts, confidence: float = 0.95) -> Estimate:
    """Accuracy of the second run minus that of the first, with Newcombe's interval for paired proportions.

    Source: Newcombe 1998, Statistics in Medicine 17, 2635–2650, method 10. Raises ValueError without a pair.
    """
    both, only_first, only_second, _ = counts
    first = accuracy(both + only_first, counts.total, confidence)
    second = accuracy(both + only_second, counts.total, confidence)
    return _square_and_add(first, second, _correlation(counts))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for testing all of them, in the same order.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65–70: among the hypotheses whose adjusted p is below α,
    the chance that any is true is at most α, however the tests depend on each other.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


RESAMPLES = 1_000


def ratio_of_sums(pairs: Sequence[tuple[float, float]], confidence: float = 0.95) -> Estimate | None:
    """Σ first / Σ second with the percentile bootstrap interval over the pairs, one a problem. None if Σ second is 0.

    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13. The resamples are drawn from a fixed
    seed, so that the same results give the same interval.
    """
    values = np.asarray(pairs, dtype=float).reshape(-1, 2)
    total, seconds = values.sum(axis=0)
    if seconds <= 0:
        return None
    dice, ratios = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        drawn = values[dice.integers(len(values), size=len(values))].sum(axis=0)
        if drawn[1] > 0:
            ratios.append(drawn[0] / drawn[1])
    low, high = np.quantile(ratios, ((1 - confidence) / 2, (1 + confidence) / 2))
    return Estimate(float(total / seconds), Interval(float(low), float(high)))


def pareto_front(items: Iterable[Item], cost: Callable[[Item], float], quality: Callable[[Item], float]) -> list[Item]:
    """The items that no other beats: none is at once as cheap and as good, and better in one. By rising cost."""
    front: list[Item] = []
    for item in sorted(items, key=lambda item: (cost(item), -quality(item))):
        best = quality(front[-1]) if front else -math.inf
        equal = bool(front) and (cost(item), quality(item)) == (cost(front[-1]), best)
        if quality(item) > best or equal:
            front.append(item)
    return front


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _square_and_add(first: Estimate, second: Estimate, correlation: float, value: float | None = None) -> Estimate:
    """The difference second − first (or `value`); its limits from the distances of both to their own limits."""

    def distance(one: float, other: float) -> float:
        return math.sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))

    value = second.value - first.value if value is None else value
    below = distance(second.value - second.interval.low, first.interval.high - first.value)
    above = distance(second.interval.high - second.value, first.value - first.interval.low)
    return Estimate(value, Interval(value - below, value + above))


def _correlation(counts: PairedCounts) -> float:
    """Newcombe's φ between the runs, with his continuity correction where it is positive."""
    both, only_first, only_second, neither = counts
    margins = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    if margins == 0:
        return 0.0
    product: float = both * neither - only_first * only_second
    if product > 0:
        product = max(product - counts.total / 2, 0.0)
    return product / math.sqrt(margins)


Marks = Sequence[bool]
"""Right or wrong, one for each seed of a problem."""


class Difference(NamedTuple):
    """Two arms over the same problems: accuracy of the second minus that of the first."""

    estimate: Estimate
    better_first: int
    """Problems on which the first arm was right with more seeds."""
    better_second: int
    p: float
    """McNemar's exact test, the problems taken one by one; with several seeds the sign test, its generalisation."""
    problems: int

    @property
    def disagrees(self) -> bool:
        """Whether the interval leaves out 0 and the test does not reject at the same level, or the other way round."""
        low, high = self.estimate.interval
        return (low > 0 or high < 0) is not (self.p < 0.05)


def clustered_accuracy(problems: Sequence[Marks]) -> Estimate | None:
    """Share of right answers with Wilson's interval, as wide as the problems, not the seeds, warrant.

    Seeds of one problem resemble each other. The interval is that of n / d independent answers, d being the design
    effect: the variance of the share over whole problems (ratio estimate, Cochran, Sampling Techniques §9A) over that
    of as many independent answers, never below 1. None without an answer.
    """
    counted = [marks for marks in problems if marks]
    answers, right = sum(map(len, counted)), sum(map(sum, counted))
    if not answers:
        return None
    share = right / answers
    effect = 1.0
    if answers > len(counted) > 1 and 0 < right < answers:
        spread = sum((sum(marks) - share * len(marks)) ** 2 for marks in counted) / answers**2
        spread *= len(counted) / (len(counted) - 1)
        effect = max(1.0, spread / (share * (1 - share) / answers))
    elif answers > len(counted):
        effect = answers / len(counted)  # all alike: count each problem once
    return Estimate(share, wilson(share * (answers / effect), answers / effect))


def difference(pairs: Sequence[tuple[Marks, Marks]]) -> Difference | None:
    """Compare two arms, problem by problem; marks of both by the same seeds. None without a problem.

    The interval is Newcombe's square-and-add interval. With one seed a problem it is his method 10. With several, the
    limits of each arm are those of `clustered_accuracy`, and the correlation is that of the problems' means: the MOVER
    interval for clustered matched pairs (Yang, Sun & Hardin 2012, Pharmaceutical Statistics 11, 386–393). Wilson limits
    and the continuity correction of the correlation keep it from shrinking to nothing where all answers agree.
    """
    counted = [(first, second) for first, second in pairs if first]
    if not counted:
        return None
    firsts, seconds = [first for first, _ in counted], [second for _, second in counted]
    better_first = sum(sum(first) > sum(second) for first, second in counted)
    better_second = sum(sum(second) > sum(first) for first, second in counted)
    if all(len(first) == 1 for first in firsts):
        counts = PairedCounts.of((first[0], second[0]) for first, second in counted)
        estimate = paired_difference(counts)
    else:
        one, other = clustered_accuracy(firsts), clustered_accuracy(seconds)
        assert one
        assert other
        # The mean over problems, which counts each once even if a batch stopped between two seeds.
        value = fmean(fmean(second) - fmean(first) for first, second in counted)
        estimate = _square_and_add(one, other, _correlation_of_means(firsts, seconds), value)
    return Difference(estimate, better_first, better_second, mcnemar_exact(better_first, better_second), len(counted))


def _correlation_of_means(firsts: Sequence[Marks], seconds: Sequence[Marks]) -> float:
    """Between the shares of right answers of two arms, over problems, with Newcombe's continuity correction 1/(2n)."""
    ones, others = [fmean(marks) for marks in firsts], [fmean(marks) for marks in seconds]
    n, one, other = len(ones), fmean(ones), fmean(others)
    covariance = sum((a - one) * (b - other) for a, b in zip(ones, others, strict=True)) / n
    spread = math.sqrt(sum((a - one) ** 2 for a in ones) * sum((b - other) ** 2 for b in others)) / n
    if spread == 0:
        return 0.0
    if covariance > 0:
        covariance = max(covariance - 1 / (2 * n), 0.0)
    return max(-1.0, min(1.0, covariance / spread))
