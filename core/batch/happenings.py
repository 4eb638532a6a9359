"""What a running batch tells the one who watches."""

from __future__ import annotations

from typing import NamedTuple

from core.batch.verdict import Verdict
from core.engines.body import Author
from core.store.batch_rows import Job, JobState, ResultRow
from core.store.outline import Segment, ribbon_of
from core.store.runs import RunSummary
from core.thinking.trace import Trace


class JobStarted(NamedTuple):
    job: Job


class JobGrew(NamedTuple):
    """A look at a text that is being written."""

    job: int
    small_tokens: int
    large_tokens: int
    seconds: float
    ribbon: tuple[Segment, ...]

    @classmethod
    def of(cls, job: Job, trace: Trace) -> JobGrew:
        small, large = (trace.totals[author].kept for author in (Author.SMALL, Author.LARGE))
        return cls(job.id, small, large, trace.seconds, ribbon_of(trace))


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
                summary.seconds if summary else 0.0,
                summary.small_tokens if summary else 0,
                summary.large_tokens if summary else 0,
                summary.handoffs if summary else 0,
                summary.steps if summary else 0,
                summary.ribbon if summary else (),
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


Happening = JobStarted | JobGrew | JobEnded | JobStopped | Calibrated
