"""How far a batch is, and how long it will still take, from what has ended so far."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from core.grading.verdict import Outcome
from core.store.batch_rows import JobState, ResultRow

ENOUGH = 3
"""Ended problems before a time is named: the first ones tell little."""


class BatchProgress:
    """Counts of one batch. Feed it every row once at the start, and each job again as it ends."""

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
        """A job that was waiting has its result."""
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
        """Each arm's mean time times what waits of it, shared by the problems at once; None while nobody can know.

        Arms differ in speed, so an arm that has not begun is taken for the mean of all. A problem that is being
        written counts whole: the estimate errs on the long side by half a problem.
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
        # The last problems run side by side: it cannot take less than one of them.
        return max(total / self.parallel, overall)


def in_words(seconds: float | None) -> str:
    """As exact as it is: "under a minute", "4 min", "2 h 10 min"."""
    if seconds is None:
        return "time not known yet"
    if seconds < 60:
        return "under a minute left" if seconds else "done"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min left"
    return f"{minutes // 60} h {minutes % 60 // 5 * 5} min left"
