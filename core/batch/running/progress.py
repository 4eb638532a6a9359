"""Defines the events of a running batch; counts its jobs and estimates the time left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.store.batches import ArmTotals, Job, ResultRow


class ModelsHashed(NamedTuple):
    """The files of the models are being read, to tell later whether they are still the same."""

    share: float
    """Of their bytes, 0 to 1."""


class JobStarted(NamedTuple):
    job: Job


class JobEnded(NamedTuple):
    """A job has ended; the row is as in the store."""

    row: ResultRow


class JobStopped(NamedTuple):
    """A job was stopped, and waits to be written anew."""

    job: int


class JobRetried(NamedTuple):
    """A job that had ended in an error waits again; the row is as in the store."""

    row: ResultRow


class Finishing(NamedTuple):
    """No other job begins; these answers are completed first."""

    answers: int


class Calibrated(NamedTuple):
    """A pilot run found the chance that gives an arm of random takeovers the large `share` of another arm."""

    arm: str
    chance: float
    share: float


BatchEvent = ModelsHashed | JobStarted | JobEnded | JobStopped | JobRetried | Finishing | Calibrated

NO_JOBS = ArmTotals("", 0, 0, 0, 0, 0, 0.0)
ENOUGH = 3
"""Jobs from which the time left is estimated, at least."""


class BatchProgress:
    """Counts the jobs of a batch, from each arm's totals on."""

    def __init__(self, totals: Iterable[ArmTotals], parallel: int) -> None:
        self.parallel = parallel
        self._arms = {arm.arm: arm for arm in totals}

    @property
    def total(self) -> ArmTotals:
        """The counts of all arms together."""
        counts = zip(*(arm[1:] for arm in (NO_JOBS, *self._arms.values())), strict=True)
        return ArmTotals._make(["", *map(sum, counts)])

    def ended(self, row: ResultRow) -> None:
        """Count a job that was waiting."""
        arm = self._arms.get(row.arm, NO_JOBS)
        self._arms[row.arm] = arm._replace(
            done=arm.done + 1,
            correct=arm.correct + (row.outcome is Outcome.CORRECT),
            wrong=arm.wrong + (row.outcome is Outcome.WRONG),
            failed=arm.failed + bool(row.error),
            seconds=arm.seconds + (0.0 if row.error else row.cost.seconds),
        )

    def retried(self, row: ResultRow) -> None:
        """Count a job that had ended in an error as waiting again."""
        arm = self._arms.get(row.arm, NO_JOBS)
        self._arms[row.arm] = arm._replace(done=arm.done - 1, failed=arm.failed - 1)

    def to_run(self, name: str) -> int:
        """Return how many jobs of the arm wait or ended in an error."""
        arm = self._arms.get(name, NO_JOBS)
        return arm.jobs - arm.done + arm.failed

    def seconds_left(self) -> float | None:
        """Estimate the time left: each arm's mean time times its waiting jobs, divided by the texts written at once.

        None while too few have ended. An arm without a result counts with the mean of all arms. A text that is being
        written counts in full, so the estimate is too long by half a text.
        """
        total = self.total
        answers = total.done - total.failed
        if total.done >= total.jobs:
            return 0.0
        if answers < min(ENOUGH, total.jobs):
            return None
        mean = total.seconds / answers
        seconds = 0.0
        for arm in self._arms.values():
            of_arm = arm.done - arm.failed
            seconds += (arm.jobs - arm.done) * (arm.seconds / of_arm if of_arm else mean)
        # The last texts are written side by side, but none takes less than its own time.
        return max(seconds / self.parallel, mean)


def time_taken(rows: Iterable[ResultRow]) -> float:
    """Return the seconds during which any answer was being written, without the time that a batch was stopped."""
    spans = sorted((row.started, row.ended) for row in rows if row.started and row.ended)
    seconds, until = 0.0, None
    for began, ended in spans:
        start = max(began, until or began)
        seconds += max(0.0, (ended - start).total_seconds())
        until = max(ended, start)
    return seconds


def time_left(seconds: float | None) -> str:
    """Format an estimate: "under a minute left", "4 min left", "2 h 10 min left"."""
    if seconds is None:
        return "time not known yet"
    if seconds < 60:
        return "under a minute left" if seconds else "done"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min left"
    return f"{minutes // 60} h {minutes % 60 // 5 * 5} min left"
