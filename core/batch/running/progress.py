"""Defines the events of a running batch; counts its jobs and estimates the time left."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.store.batches import ArmTotals, Job, ResultRow
from baton_reasoning.core.store.run_cost import RunCost


class JobStarted(NamedTuple):
    job: Job


class JobGrew(NamedTuple):
    """A text that is being written has cost more."""

    job: int
    cost: RunCost


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


BatchEvent = JobStarted | JobGrew | JobEnded | JobStopped | JobRetried | Finishing | Calibrated


ENOUGH = 3
"""Jobs from which the time left is estimated, at least."""


class BatchProgress:
    """Counts the jobs of a batch, from each arm's totals on."""

    def __init__(self, totals: Iterable[ArmTotals], parallel: int) -> None:
        self.parallel = parallel
        self.jobs = self.done = self.correct = self.wrong = self.unscored = self.failed = 0
        self._waiting: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._timed: Counter[str] = Counter()
        """Answers of each arm, which took `_seconds` in all."""
        self._seconds: defaultdict[str, float] = defaultdict(float)
        for arm in totals:
            self.jobs += arm.jobs
            self.done += arm.done
            self.correct += arm.correct
            self.wrong += arm.wrong
            self.unscored += arm.unscored
            self.failed += arm.failed
            self._waiting[arm.arm], self._failed[arm.arm] = arm.jobs - arm.done, arm.failed
            if answers := arm.done - arm.failed:
                self._timed[arm.arm], self._seconds[arm.arm] = answers, arm.seconds

    def ended(self, row: ResultRow) -> None:
        """Count a job that was waiting."""
        self.done += 1
        self._waiting[row.arm] -= 1
        if row.error:
            self.failed += 1
            self._failed[row.arm] += 1
            return
        self._timed[row.arm] += 1
        self._seconds[row.arm] += row.cost.seconds
        self.correct += row.outcome is Outcome.CORRECT
        self.wrong += row.outcome is Outcome.WRONG
        self.unscored += row.outcome is Outcome.UNSCORED

    def retried(self, row: ResultRow) -> None:
        """Count a job that had ended in an error as waiting again."""
        self.done -= 1
        self.failed -= 1
        self._failed[row.arm] -= 1
        self._waiting[row.arm] += 1

    def to_run(self, arm: str, retry: bool = False) -> int:
        """Return how many jobs of the arm wait; with `retry`, also those that ended in an error."""
        return self._waiting[arm] + (self._failed[arm] if retry else 0)

    def seconds_left(self) -> float | None:
        """Estimate the time left: each arm's mean time times its waiting jobs, divided by the texts written at once.

        None while too few have ended. An arm without a result counts with the mean of all arms. A text that is being
        written counts in full, so the estimate is too long by half a text.
        """
        timed = self._timed.total()
        if not self._waiting.total():
            return 0.0
        if timed < min(ENOUGH, self.jobs):
            return None
        overall = sum(self._seconds.values()) / timed
        means = {arm: self._seconds[arm] / count for arm, count in self._timed.items()}
        total = sum(count * means.get(arm, overall) for arm, count in self._waiting.items())
        # The last texts are written side by side, but none takes less than its own time.
        return max(total / self.parallel, overall)


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
