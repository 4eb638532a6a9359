"""Confidence intervals and tests for the accuracy and speed of arms that ran over the same problems.

Two arms are compared problem by problem (paired), which needs far fewer problems than two independent samples. Several
seeds of one problem are not independent: every interval here is as wide as the number of problems warrants.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from statistics import fmean
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from baton_reasoning.core.intervals import CONFIDENCE, Estimate, Z, wilson

Item = TypeVar("Item")


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Return the two-sided p of McNemar's exact test: could the discordant problems be coin flips?

    1.0 without discordant problems.
    """
    discordant = only_first + only_second
    tail = sum(math.comb(discordant, k) for k in range(min(only_first, only_second) + 1))
    # Integers to the last step: floats overflow beyond a thousand discordant problems.
    return min(1.0, tail / 2 ** (discordant - 1)) if discordant else 1.0


RESAMPLES = 1_000


def grouped(values: Iterable[tuple[int, Item]]) -> list[list[Item]]:
    """Group values by their problem. `values`: the position of a problem, and a value of it."""
    groups: defaultdict[int, list[Item]] = defaultdict(list)
    for problem, value in values:
        groups[problem].append(value)
    return [groups[problem] for problem in sorted(groups)]


def ratio_of_sums(pairs: Sequence[Sequence[float]]) -> Estimate | None:
    """Estimate Σ first / Σ second with a bootstrap interval over the pairs, one for each problem.

    None if Σ second is 0 or less.
    """
    return bootstrap(pairs, lambda sums: sums[0] / sums[1] if sums[1] > 0 else None)


def bootstrap(
    problems: Sequence[Sequence[float]], figure: Callable[[Sequence[float]], float | None]
) -> Estimate | None:
    """Estimate a figure that follows from sums over problems, with a percentile bootstrap interval over problems.

    `problems`: the terms of the sums for each problem. `figure`: from the sums to the figure, None where it has none;
    resamples without a figure are left out. The resamples are drawn from a fixed seed, so that the same results give
    the same interval. None if the sums themselves give no figure.
    Source: Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
    """
    terms = np.asarray(problems, dtype=float)
    value = figure(terms.sum(axis=0)) if len(terms) else None
    if value is None:
        return None
    drawn = (figure(sums) for part in _resamples(len(terms)) for sums in part.astype(float) @ terms)
    known = [each for each in drawn if each is not None]
    low, high = np.quantile(known or [value], ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Estimate(float(value), float(low), float(high))


@lru_cache(maxsize=1)
def _resamples(size: int) -> list[NDArray[np.uint8]]:
    """Draw `RESAMPLES` samples of so many problems, in parts: each row has how often each problem was drawn.

    They are kept, since a report asks for the same ones some dozen times.
    """
    dice = np.random.default_rng(0)
    counts = [np.bincount(dice.integers(size, size=size), minlength=size).astype(np.uint8) for _ in range(RESAMPLES)]
    return [np.array(counts[start : start + 100]) for start in range(0, RESAMPLES, 100)]


def quantile(problems: Sequence[Sequence[float]], share: float) -> Estimate | None:
    """Estimate the value below which this share of all values lies, several to a problem, with Woodruff's interval.

    In 95% of samples the share of values below the true quantile is within 1.96 standard errors of `share`, as wide as
    the problems warrant; the interval ends at the values there. Its upper end is at most the largest value, which is
    too low for p95 of fewer than 60 problems. Quantiles are interpolated linearly between neighbours. None without a
    value.
    Source: Woodruff 1952, Journal of the American Statistical Association 47, 635–646.
    """
    values = [value for each in problems for value in each]
    if not values:
        return None
    middle = float(np.quantile(values, share))
    below = np.array([sum(value <= middle for value in each) for each in problems], dtype=float)
    answers = len(values) / design_effect(below, np.array([len(each) for each in problems], dtype=float))
    error = Z * math.sqrt(share * (1 - share) / answers)
    low = np.quantile(values, max(0.0, share - error), method="lower")
    high = np.quantile(values, min(1.0, share + error), method="higher")
    return Estimate(middle, float(low), float(high))


Marks = Sequence[bool]
"""Right or wrong, one for each seed of a problem."""
ADDED = Z**2 / 2
"""The middle of Wilson's interval is the share with so many more right answers, and as many more wrong ones (Agresti &
Coull 1998, The American Statistician 52, 119–126)."""


class Difference(NamedTuple):
    """Two arms over the same problems: accuracy of the second minus that of the first."""

    difference: Estimate
    better_first: int
    """Problems on which the first arm was right with more seeds."""
    better_second: int
    p: float
    """McNemar's exact test, the problems taken one by one; with several seeds the sign test, its generalisation."""
    problems: int


def clustered_accuracy(problems: Sequence[Marks]) -> Estimate | None:
    """Estimate the share of right answers with Wilson's interval, as wide as the problems, not the seeds, warrant.

    The interval is that of so many independent answers as these are worth (`design_effect`). None without an answer.
    """
    right = np.array([sum(marks) for marks in problems], dtype=float)
    answers = np.array([len(marks) for marks in problems], dtype=float)
    if not (total := float(answers.sum())):
        return None
    effect, all_right = design_effect(right, answers), float(right.sum())
    return wilson(all_right / effect, total / effect)


def design_effect(right: NDArray[np.float64], answers: NDArray[np.float64]) -> float:
    """Return how many answers are worth one independent answer, as answers to one problem resemble each other.

    `right`, `answers`: how many there are of each problem. It is the variance of the share over whole problems (ratio
    estimate, Cochran, Sampling Techniques §9A) over that of as many independent answers: 1 with one seed, at most the
    number of seeds where each has as many answers, and never below 1.

    Both variances are taken with `ADDED` more problems that are always solved, and as many that never are. So answers
    that are all right count once a problem, as nothing is known of how alike they are; a wrong one among them changes
    that little by little; and one more right answer never lowers the lower end of the interval.
    """
    seeds = answers.sum() / np.count_nonzero(answers)
    total = answers.sum() + 2 * ADDED * seeds
    share = (right.sum() + ADDED * seeds) / total
    squares = ((right - share * answers) ** 2).sum() + ADDED * seeds**2 * ((1 - share) ** 2 + share**2)
    return max(1.0, float(squares / (total * share * (1 - share))))


def difference(pairs: Sequence[tuple[Marks, Marks]]) -> Difference | None:
    """Compare two arms problem by problem; each pair has the marks of both arms by the same seeds.

    The interval is Newcombe's square-and-add interval for paired proportions (1998, Statistics in Medicine 17,
    2635–2650, method 10). With several seeds the limits of each arm are those of `clustered_accuracy`, and the
    correlation is that of the problems' means: the MOVER interval for clustered matched pairs (Yang, Sun & Hardin 2012,
    Pharmaceutical Statistics 11, 386–393). Wilson limits and the continuity correction of the correlation keep it from
    shrinking to nothing where all answers agree. None without a problem.
    """
    firsts, seconds = [first for first, _ in pairs], [second for _, second in pairs]
    one, other = clustered_accuracy(firsts), clustered_accuracy(seconds)
    if one is None or other is None:
        return None
    # The mean over problems, which counts each once even if a batch stopped between two seeds.
    value = fmean(fmean(second) - fmean(first) for first, second in pairs)
    correlation = _correlation_of_means(firsts, seconds)

    def distance(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a - 2 * correlation * a * b + b * b))

    below = distance(other.value - other.low, one.high - one.value)
    above = distance(other.high - other.value, one.value - one.low)
    better_first = sum(sum(first) > sum(second) for first, second in pairs)
    better_second = sum(sum(second) > sum(first) for first, second in pairs)
    return Difference(
        Estimate(value, value - below, value + above),
        better_first,
        better_second,
        mcnemar_exact(better_first, better_second),
        len(pairs),
    )


def _correlation_of_means(firsts: Sequence[Marks], seconds: Sequence[Marks]) -> float:
    """Correlate the shares of right answers of two arms over problems, with Newcombe's continuity correction 1/(2n)."""
    ones, others = [fmean(marks) for marks in firsts], [fmean(marks) for marks in seconds]
    n, one, other = len(ones), fmean(ones), fmean(others)
    covariance = sum((a - one) * (b - other) for a, b in zip(ones, others, strict=True)) / n
    spread = math.sqrt(sum((a - one) ** 2 for a in ones) * sum((b - other) ** 2 for b in others)) / n
    if spread == 0:
        return 0.0
    if covariance > 0:
        covariance = max(covariance - 1 / (2 * n), 0.0)
    return max(-1.0, min(1.0, covariance / spread))
