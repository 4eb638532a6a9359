"""Speeds of a batch: per answer, of the whole batch, and whether those of its arms can be compared."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.batch.reporting.statistics import Estimate, Interval, ratio_of_sums
from core.store.batch_rows import ResultRow

DIFFERENT = 0.1
"""Difference in a share of the answers, or in the load by other programs, from which speeds are not compared."""
LONG_ENOUGH = 5.0
"""Seconds of an arm's answers from which the load by other programs means anything."""


class ArmConditions(NamedTuple):
    """Under which conditions the answers of an arm were written."""

    setups: tuple[tuple[int, int, int], ...] = ()
    """(texts at once, threads of a local model, answers) of each setup, the commonest first."""
    other_load: float = 0.0
    """Mean share of the CPU that other programs used, weighted by the answers' seconds, 0 to 1."""
    paused: int = 0
    """Answers during which the batch was paused."""
    resumed: int = 0
    """Answers that were continued after an interruption."""
    seconds: float = 0.0
    """Of the answers with recorded conditions."""

    @classmethod
    def of(cls, rows: Iterable[ResultRow]) -> ArmConditions:
        recorded = [(row.conditions, row.figures.seconds) for row in rows if row.conditions]
        seconds = sum(each for _, each in recorded)
        setups = Counter((found.parallel, found.threads) for found, _ in recorded)
        return cls(
            tuple((parallel, threads, count) for (parallel, threads), count in setups.most_common()),
            sum(found.other_load * each for found, each in recorded) / seconds if seconds else 0.0,
            sum(found.paused for found, _ in recorded),
            sum(found.resumed for found, _ in recorded),
            seconds,
        )


class Throughput(NamedTuple):
    """Of the whole batch, all arms together."""

    tokens_per_second: Estimate
    """Kept tokens over the time in which anything was written, with a bootstrap interval over problems."""
    seconds: float
    """In which at least one text was written."""
    at_once: float
    """Texts written at once, on average over that time."""


def speed_of(rows: Iterable[ResultRow]) -> Estimate | None:
    """Kept tokens over the seconds of the answers, by the clock, with a bootstrap interval over problems."""
    return ratio_of_sums(list(_by_problem(rows).values()))


def throughput_of(rows: Sequence[ResultRow]) -> Throughput | None:
    """None if no row has recorded its time."""
    ended = [row for row in rows if row.ended]
    slots, active = sum(row.figures.seconds for row in ended), _covered(ended)
    each = speed_of(ended)
    if each is None or active <= 0:
        return None
    at_once = slots / active
    low, high = each.interval
    return Throughput(Estimate(each.value * at_once, Interval(low * at_once, high * at_once)), active, at_once)


def why_not_comparable(arms: Sequence[tuple[str, ArmConditions]]) -> str:
    """Why the speeds of these arms cannot be compared, as a sentence; empty if they can."""
    known = [(name, found) for name, found in arms if found.setups]
    for setup in {setup[:2] for _, found in known for setup in found.setups}:
        shares = [(_share_of(found, setup), name) for name, found in known]
        (least, fewer), (most, more) = min(shares), max(shares)
        if most - least > DIFFERENT:
            parallel, threads = setup
            setup_name = f"{parallel} at once" + (f" with {threads} threads" if threads > 1 else "")
            return f"{most:.0%} of the answers of {more} and {least:.0%} of those of {fewer} were written {setup_name}."
    loads = [(found.other_load, name) for name, found in known if found.seconds >= LONG_ENOUGH]
    if loads and max(loads)[0] - min(loads)[0] > DIFFERENT:
        (least, fewer), (most, more) = min(loads), max(loads)
        return f"Other programs used {most:.0%} of the CPU during {more} and {least:.0%} during {fewer}."
    return ""


def _share_of(found: ArmConditions, setup: tuple[int, ...]) -> float:
    answers = sum(count for *_, count in found.setups)
    return sum(count for *each, count in found.setups if tuple(each) == setup) / answers


def _by_problem(rows: Iterable[ResultRow]) -> dict[int, tuple[float, float]]:
    """Tokens and seconds of each problem."""
    sums: defaultdict[int, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for row in rows:
        tokens, seconds = sums[row.position]
        sums[row.position] = (tokens + row.figures.tokens, seconds + row.figures.seconds)
    return sums


def _covered(rows: Iterable[ResultRow]) -> float:
    """Seconds covered by the answers, overlaps counted once."""
    spans = sorted((row.ended.timestamp() - row.figures.seconds, row.ended.timestamp()) for row in rows if row.ended)
    covered, until = 0.0, float("-inf")
    for start, end in spans:
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered
