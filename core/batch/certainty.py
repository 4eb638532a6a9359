"""How sure a batch makes us when a problem was solved with several seeds, which are no independent problems.

With one seed these are Wilson's interval, McNemar's exact test and Newcombe's interval of `statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from core.batch.statistics import (
    Estimate,
    PairedCounts,
    mcnemar_exact,
    mean,
    paired_difference,
    wilson,
)

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
