"""The events of a running batch."""

from __future__ import annotations

from typing import NamedTuple

from baton_reasoning.core.store.batches import Job, ResultRow
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
    """No other job begins; so many answers are under way, and are completed."""

    answers: int


class Calibrated(NamedTuple):
    """The chance of takeover was found that gives a random arm the large share of another, `share` in the pilot."""

    arm: str
    chance: float
    share: float


BatchEvent = JobStarted | JobGrew | JobEnded | JobStopped | JobRetried | Finishing | Calibrated
