"""Measures the speed of arms, and says whether the arms' speeds can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.batch.reporting.statistics import grouped, quantile, ratio_of_sums, sums_by_problem
from baton_reasoning.core.intervals import Estimate
from baton_reasoning.core.store.batches import ResultRow

DIFFERENT = 0.1
"""Speeds are not compared if the shares of a setup, or the loads by other programs, differ by more than this."""
LONG_ENOUGH = 5.0
"""Seconds of an arm's answers from which the load by other programs means anything."""


class ArmConditions(BaseModel):
    """Under which conditions the answers of an arm were written."""

    model_config = ConfigDict(frozen=True)

    setups: tuple[tuple[int, int, int], ...] = Field(
        (), description="(texts at once, threads of a local model, answers) of each setup, the commonest first."
    )
    other_load: float = Field(
        0.0, description="Mean share of the CPU that other programs used, weighted by the answers' seconds, 0 to 1."
    )
    paused: int = Field(0, description="Answers during which the batch was paused.")
    seconds: float = Field(0.0, description="Of the answers with recorded conditions.")

    @classmethod
    def of(cls, rows: Iterable[ResultRow]) -> ArmConditions:
        recorded = [(row.conditions, row.cost.seconds) for row in rows if row.conditions]
        seconds = sum(each for _, each in recorded)
        setups = Counter((found.parallel, found.threads) for found, _ in recorded)
        return cls(
            setups=tuple((parallel, threads, count) for (parallel, threads), count in setups.most_common()),
            other_load=sum(found.other_load * each for found, each in recorded) / seconds if seconds else 0.0,
            paused=sum(found.paused for found, _ in recorded),
            seconds=seconds,
        )


class Percentiles(BaseModel):
    """Seconds within which half of the answers, and 19 of 20, have come so far, with intervals over problems."""

    model_config = ConfigDict(frozen=True)

    p50: Estimate
    p95: Estimate

    @classmethod
    def of(cls, seconds: Iterable[tuple[int, float | None]]) -> Percentiles | None:
        """`seconds`: the position of a problem, and the seconds of an answer to it, or None. None without any."""
        problems = grouped((problem, each) for problem, each in seconds if each is not None)
        p50, p95 = quantile(problems, 0.5), quantile(problems, 0.95)
        return cls(p50=p50, p95=p95) if p50 and p95 else None


def speed_of(rows: Iterable[ResultRow]) -> Estimate | None:
    """Estimate the kept tokens per second of an answer, by the clock, with a bootstrap interval over problems."""
    return ratio_of_sums(sums_by_problem((row.position, (row.cost.tokens, row.cost.seconds)) for row in rows))


def why_not_comparable(arms: Sequence[tuple[str, ArmConditions]]) -> str:
    """Say in a sentence why the speeds of these arms cannot be compared; empty if they can."""
    known = [(name, found) for name, found in arms if found.setups]
    shares = {name: _shares_of_ways(found) for name, found in known}
    for way in {way: None for found in shares.values() for way in found}:
        by_arm = [(found.get(way, 0.0), name) for name, found in shares.items()]
        (least, fewer), (most, more) = min(by_arm), max(by_arm)
        if most - least > DIFFERENT:
            return f"{most:.0%} of the answers of {more} and {least:.0%} of those of {fewer} were written {way}."
    loads = [(found.other_load, name) for name, found in known if found.seconds >= LONG_ENOUGH]
    if loads and max(loads)[0] - min(loads)[0] > DIFFERENT:
        (least, fewer), (most, more) = min(loads), max(loads)
        return f"Other programs used {most:.0%} of the CPU during {more} and {least:.0%} during {fewer}."
    return ""


def _shares_of_ways(found: ArmConditions) -> dict[str, float]:
    """Return the share of the answers that were written in each setup."""
    counts: Counter[str] = Counter()
    for parallel, threads, answers in found.setups:
        counts[f"{parallel} at once" + (f" with {threads} threads" if threads > 1 else "")] += answers
    total = sum(answers for *_, answers in found.setups)
    return {way: answers / total for way, answers in counts.items()}
