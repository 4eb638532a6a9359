"""Events of a running batch."""

from __future__ import annotations

from typing import NamedTuple

from core.store.batch_rows import Job, ResultRow
from core.store.run_metrics import RunMetrics


class JobStarted(NamedTuple):
    job: Job


class JobGrew(NamedTuple):
    """Metrics of a text that is being written."""

    job: int
    metrics: RunMetrics


class JobEnded(NamedTuple):
    """With the row as it is in the store."""

    row: ResultRow


class JobStopped(NamedTuple):
    """The job waits again, with its text so far."""

    job: int


class Calibrated(NamedTuple):
    """The chance of takeover that gives a random arm the large share of another, which was `share` in the pilot."""

    arm: str
    chance: float
    share: float


BatchEvent = JobStarted | JobGrew | JobEnded | JobStopped | Calibrated
