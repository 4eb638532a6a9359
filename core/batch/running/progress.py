"""Progress of a batch, and an estimate of the time left."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from core.grading.verdict import Outcome
from core.store.batch_rows import ArmTotals, JobState, ResultRow

ENOUGH = 3
"""Ended jobs before an estimate is given: the first ones say little."""


class BatchProgress:
    """Counts of one batch: takes every row or each arm's totals at the start, then each job as it ends."""

    def __init__(self, rows: Iterable[ResultRow], parallel: int) -> None:
        self.parallel = parallel
        self.jobs = 0
        self.done = 0
        self.correct = 0
        self.wrong = 0
        self.unscored = 0
        self.failed = 0
        self._waiting: Counter[str] = Counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        """Sum over the answers of each arm, of which there are so many `_timed`."""
        self._timed: Counter[str] = Counter()
        for row in rows:
            self.jobs += 1
            self._waiting[row.arm] += 1
            if row.state is JobState.DONE:
                self.ended(row)

    @classmethod
    def of_totals(cls, totals: Iterable[ArmTotals], parallel: int) -> BatchProgress:
        """The same without the rows, which a large batch takes seconds to read."""
        progress = cls((), parallel)
        for arm in totals:
            progress.jobs += arm.jobs
            progress.done += arm.done
            progress.correct += arm.correct
            progress.wrong += arm.wrong
            progress.unscored += arm.unscored
            progress.failed += arm.failed
            progress._waiting[arm.arm] = arm.jobs - arm.done
            if answers := arm.done - arm.failed:
                progress._timed[arm.arm], progress._seconds[arm.arm] = answers, arm.seconds
        return progress

    def ended(self, row: ResultRow) -> None:
        """Count a job that was waiting."""
        self.done += 1
        self._waiting[row.arm] -= 1
        if row.error:
            self.failed += 1
            return
        self._timed[row.arm] += 1
        self._seconds[row.arm] += row.figures.seconds
        outcome = row.verdict.outcome if row.verdict else Outcome.UNSCORED
        self.correct += outcome is Outcome.CORRECT
        self.wrong += outcome is Outcome.WRONG
        self.unscored += outcome is Outcome.UNSCORED

    def waiting(self, arm: str) -> int:
        """Jobs of the arm without a result."""
        return self._waiting[arm]

    def seconds_left(self) -> float | None:
        """Each arm's mean time times its waiting jobs, divided by the texts at once; None while too few have ended.

        An arm without a result counts with the mean of all arms. A text that is being written counts in full, so the
        estimate is too long by half a text.
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


def in_words(seconds: float | None) -> str:
    """Rounded as the estimate deserves: "under a minute left", "4 min left", "2 h 10 min left"."""
    if seconds is None:
        return "time not known yet"
    if seconds < 60:
        return "under a minute left" if seconds else "done"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min left"
    return f"{minutes // 60} h {minutes % 60 // 5 * 5} min left"
