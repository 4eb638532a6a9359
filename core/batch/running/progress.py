"""Defines the events of a running batch, and reads them: how far it is, what it prepares, the time left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.store.batches import ArmTotals, Job, ResultRow


class ModelsHashed(NamedTuple):
    """The files of the models are being read, to tell later whether they are still the same."""

    share: float
    """Of their bytes, 0 to 1."""


class Opening(NamedTuple):
    """A pair of models is being loaded, or waits to be."""


class Opened(NamedTuple):
    """The pair is loaded; what follows, up to the next `Opening`, is done with it."""


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


class Calibrating(NamedTuple):
    """A pilot run has begun a round, or has written an answer of it."""

    arm: str
    round: int
    rounds: int
    """At most."""
    done: int
    total: int
    """Answers of this round, and those that are there."""
    seconds: float = 0.0
    """Of the answer that was written; 0 where a round begins."""


class Calibrated(NamedTuple):
    """A pilot run found the chance that gives an arm of random takeovers the large `share` of another arm."""

    arm: str
    chance: float
    share: float


class PolicyChosen(NamedTuple):
    """The pair decided that the policy of an automatic arm is not the usual one."""

    arm: str
    reason: str


BatchEvent = (
    Opening
    | Opened
    | ModelsHashed
    | PolicyChosen
    | Calibrating
    | Calibrated
    | JobStarted
    | JobEnded
    | JobStopped
    | JobRetried
    | Finishing
)

NO_JOBS = ArmTotals("", 0, 0, 0, 0, 0, 0.0)
ENOUGH = 3
"""Jobs from which the time left is estimated, at least."""


class BatchProgress:
    """Counts the jobs of a batch from each arm's totals on, and says what is going on besides."""

    def __init__(self, totals: Iterable[ArmTotals], parallel: int) -> None:
        self.parallel = parallel
        self.is_open = False
        """Whether the models of the next answers are loaded."""
        self._arms = {arm.arm: arm for arm in totals}
        self._preparing = ""
        self._pilot = NO_JOBS
        """Answers of the pilot: those to come, and those that were written since this began to count."""

    @property
    def total(self) -> ArmTotals:
        """The counts of all arms together."""
        return _sum(self._arms.values())

    @property
    def status(self) -> str:
        """What is done before the next answer, or how many are written at once; and the time left."""
        if self._preparing and not self._pilot.jobs:
            return self._preparing
        return f"{self._preparing or f'{self.parallel} at once'} · {time_left(self.seconds_left())}"

    def take(self, event: BatchEvent) -> None:
        """Follow what happens: the one reading of the events of a batch."""
        self._preparing = ""
        match event:
            case Opening() | Opened():
                self.is_open = isinstance(event, Opened)
            case ModelsHashed(share):
                self._preparing = f"reading the files of the models, {share:.0%}"
            case Calibrating(arm, number, rounds, done, total, seconds):
                self._preparing = f"calibrating {arm}, round {number} of {rounds}: {done} of {total}"
                written = self._pilot.done + bool(seconds)
                left = total - done + (rounds - number) * total
                self._pilot = self._pilot._replace(
                    jobs=written + left, done=written, seconds=self._pilot.seconds + seconds
                )
            case Calibrated():
                self._pilot = self._pilot._replace(jobs=self._pilot.done)
            case JobRetried(row):
                self._retried(row)
            case JobEnded(row):
                self._ended(row)

    def to_run(self, name: str) -> int:
        """Return how many jobs of the arm wait or ended in an error."""
        arm = self._arms.get(name, NO_JOBS)
        return arm.jobs - arm.done + arm.failed

    def seconds_left(self) -> float | None:
        """Estimate the time left: each arm's mean time times its waiting jobs, divided by the texts written at once.

        None while too few have ended. An arm without a result counts with the mean of all arms, as what is left of a
        pilot. A text that is being written counts in full, so the estimate is too long by half a text.
        """
        total = _sum((*self._arms.values(), self._pilot))
        answers = total.done - total.failed
        if total.done >= total.jobs:
            return 0.0
        if answers < min(ENOUGH, total.jobs):
            return None
        mean = total.seconds / answers
        seconds = (self._pilot.jobs - self._pilot.done) * mean
        for arm in self._arms.values():
            of_arm = arm.done - arm.failed
            seconds += (arm.jobs - arm.done) * (arm.seconds / of_arm if of_arm else mean)
        # The last texts are written side by side, but none takes less than its own time.
        return max(seconds / self.parallel, mean)

    def _ended(self, row: ResultRow) -> None:
        arm = self._arms.get(row.arm, NO_JOBS)
        self._arms[row.arm] = arm._replace(
            done=arm.done + 1,
            correct=arm.correct + (row.outcome is Outcome.CORRECT),
            wrong=arm.wrong + (row.outcome is Outcome.WRONG),
            failed=arm.failed + bool(row.error),
            seconds=arm.seconds + (0.0 if row.error else row.cost.seconds),
        )

    def _retried(self, row: ResultRow) -> None:
        arm = self._arms.get(row.arm, NO_JOBS)
        self._arms[row.arm] = arm._replace(done=arm.done - 1, failed=arm.failed - 1)


def _sum(arms: Iterable[ArmTotals]) -> ArmTotals:
    counts = zip(*(arm[1:] for arm in (NO_JOBS, *arms)), strict=True)
    return ArmTotals._make(["", *map(sum, counts)])


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
