"""What a running batch tells the one who watches."""

from __future__ import annotations

from typing import NamedTuple

from core.grading.verdict import Verdict
from core.store.batch_rows import Job, JobState, ResultRow
from core.store.run_metrics import RunMetrics
from core.store.runs import RunSummary


class JobStarted(NamedTuple):
    job: Job


class JobGrew(NamedTuple):
    """A look at a text that is being written."""

    job: int
    figures: RunMetrics


class JobEnded(NamedTuple):
    row: ResultRow

    @classmethod
    def of(cls, job: Job, answer: str, verdict: Verdict | None, error: str, summary: RunSummary | None) -> JobEnded:
        """With the row as the store now has it; without a summary nothing was written."""
        return cls(
            ResultRow(
                job.id,
                job.run,
                job.arm.name,
                job.position,
                job.seed,
                JobState.DONE,
                answer,
                verdict,
                error,
                summary.finish if summary else None,
                summary.figures if summary else RunMetrics(),
            )
        )


class JobStopped(NamedTuple):
    """It waits again, with its text so far."""

    job: int


class Calibrated(NamedTuple):
    """The chance of a takeover that gives a random arm the large share of another."""

    arm: str
    chance: float
    share: float


BatchEvent = JobStarted | JobGrew | JobEnded | JobStopped | Calibrated
