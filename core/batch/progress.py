"""Progress of a batch, and an estimate of the time left."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from core.grading.verdict import Outcome
from core.store.batch_rows import JobState, ResultRow

ENOUGH = 3
"""Ended jobs before an estimate is given: the first ones say little."""


class BatchProgress:
    """Counts of one batch: takes every row at the start, then each job as it ends."""

    def __init__(self, rows: Iterable[ResultRow], parallel: int) -> None:
        self.parallel = parallel
        self.jobs = 0
        self.done = 0
        self.correct = 0
        self.wrong = 0
        self.unscored = 0
        self.failed = 0
        self._waiting: Counter[str] = Counter()
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        for row in rows:
            self.jobs += 1
            self._waiting[row.arm] += 1
            if row.state is JobState.DONE:
                self.ended(row)

    def ended(self, row: ResultRow) -> None:
        """Count a job that was waiting."""
        self.done += 1
        self._waiting[row.arm] -= 1
        if row.error:
            self.failed += 1
            return
        self._seconds[row.arm].append(row.figures.seconds)
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
        times = [second for seconds in self._seconds.values() for second in seconds]
        left = sum(self._waiting.values())
        if not left:
            return 0.0
        if len(times) < min(ENOUGH, self.jobs):
            return None
        overall = sum(times) / len(times)
        means = {arm: sum(seconds) / len(seconds) for arm, seconds in self._seconds.items()}
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
