"""How sure a batch makes us: intervals and tests for accuracy, differences of paired runs, and means.

Counts come from runs over the same problems, so two runs are compared problem by problem (paired), which needs
far fewer problems than two independent samples would.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple, TypeVar

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
    """Accuracy of the second run less that of the first, with Newcombe's interval for paired proportions.

    Source: Newcombe 1998, Statistics in Medicine 17, 2635–2650, method 10. Raises ValueError without a pair.
    """
    both, only_first, only_second, _ = counts
    first = accuracy(both + only_first, counts.total, confidence)
    second = accuracy(both + only_second, counts.total, confidence)
    difference = second.value - first.value
    phi = _correlation(counts)
    below = _square_and_add(second.value - second.interval.low, first.interval.high - first.value, phi)
    above = _square_and_add(second.interval.high - second.value, first.value - first.interval.low, phi)
    return Estimate(difference, Interval(difference - below, difference + above))


def mean(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The mean with Student's interval, for values near enough to normal: one accuracy a seed, one mean a problem.

    With one value the interval is infinite. Raises ValueError without a value.
    """
    if not values:
        raise ValueError("the mean of nothing")
    middle = fmean(values)
    if len(values) == 1:
        return Estimate(middle, Interval(-math.inf, math.inf))
    half = student_t(len(values) - 1, confidence) * stdev(values) / math.sqrt(len(values))
    return Estimate(middle, Interval(middle - half, middle + half))


def pareto_front(items: Iterable[Item], cost: Callable[[Item], float], quality: Callable[[Item], float]) -> list[Item]:
    """The items that no other beats: none is at once as cheap and as good, and better in one. By rising cost."""
    front: list[Item] = []
    for item in sorted(items, key=lambda item: (cost(item), -quality(item))):
        best = quality(front[-1]) if front else -math.inf
        equal = bool(front) and (cost(item), quality(item)) == (cost(front[-1]), best)
        if quality(item) > best or equal:
            front.append(item)
    return front


def student_t(freedom: int, confidence: float = 0.95) -> float:
    """The two-sided quantile of Student's t: the chance of |T| below it is `confidence`."""
    if freedom > 10_000:
        return _z(confidence)
    low, high = 0.0, 1.0
    while _student_inside(high, freedom) < confidence:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        if _student_inside(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
    return high


def _student_inside(t: float, freedom: int) -> float:
    """P(|T| < t), as the finite sums for whole degrees of freedom (Abramowitz & Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term: float = cosine if odd else 1.0
    total: float = term
    for k in range(3 if odd else 2, freedom, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    if not odd:
        return sine * total
    return (2 / math.pi) * (angle + (sine * total if freedom > 1 else 0.0))


def _z(confidence: float) -> float:
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _square_and_add(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))


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
    """Two arms over the same problems: accuracy of the second less that of the first."""

    estimate: Estimate
    better_first: int
    """Problems on which the first arm was right with more seeds."""
    better_second: int
    p: float
    """McNemar's exact test, the problems taken one by one; with several seeds the sign test, its generalisation."""
    problems: int


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
        effect = answers / len(counted)  # all alike: nothing tells how much the seeds resemble each other
    return Estimate(share, wilson(share * (answers / effect), answers / effect))


def difference(pairs: Sequence[tuple[Marks, Marks]]) -> Difference | None:
    """Compare two arms, problem by problem; marks of both by the same seeds. None without a problem."""
    counted = [(first, second) for first, second in pairs if first]
    if not counted:
        return None
    better_first = sum(sum(first) > sum(second) for first, second in counted)
    better_second = sum(sum(second) > sum(first) for first, second in counted)
    if all(len(first) == 1 for first, _ in counted):
        estimate = paired_difference(PairedCounts.of((first[0], second[0]) for first, second in counted))
    else:
        estimate = mean([fmean(second) - fmean(first) for first, second in counted])
    return Difference(estimate, better_first, better_second, mcnemar_exact(better_first, better_second), len(counted))
