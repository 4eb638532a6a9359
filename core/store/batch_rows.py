"""The rows of a batch as data: batch, arm, job, result."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, fields
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from core.grading.verdict import How, Outcome, Verdict
from core.problem import Problem
from core.store.run_metrics import RunMetrics
from core.store.timestamps import parse_timestamp
from core.thinking.events import Finish


class JobState(Enum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class StoredArm:
    """One way to solve the problems; names are unique in a batch."""

    name: str
    settings: dict[str, Any]
    """JSON values."""


@dataclass(frozen=True, slots=True)
class Batch:
    id: str
    name: str
    settings: dict[str, Any]
    arms: tuple[StoredArm, ...]
    problems: int
    jobs: int
    done: int
    created: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """One problem under one arm with one seed, claimed by this program."""

    id: int
    batch: str
    arm: StoredArm
    problem: Problem
    position: int
    """Of the problem in the batch."""
    seed: int
    run: str
    """Where its events go: `runs.record(job.run)`."""
    attempt: int
    """1 at its first claim. Later ones find the events of earlier ones in the run, and may go on from there."""


class Conditions(NamedTuple):
    """What decides the speed of an answer besides models and settings."""

    parallel: int
    """Texts that were written at once, at most."""
    threads: int
    """Of the local model that has most; 0 if no model is local."""
    other_load: float
    """Share of the CPU that other programs used meanwhile, 0 to 1."""
    paused: bool = False
    """The batch was paused meanwhile, so that fewer texts were written at once."""
    resumed: bool = False
    """An earlier attempt was interrupted."""

    @classmethod
    def from_json(cls, text: str) -> Conditions | None:
        """None for the empty text of a job that has not run, or that an older version ran."""
        return cls(**json.loads(text)) if text else None

    def to_json(self) -> str:
        return json.dumps(self._asdict())


class ResultRow(NamedTuple):
    """A job in the table; its figures are 0 until its run has ended."""

    job: int
    run: str
    arm: str
    position: int
    """Of the problem in the batch."""
    seed: int
    state: JobState
    answer: str
    verdict: Verdict | None
    error: str
    finish: Finish | None
    figures: RunMetrics
    notices: tuple[str, ...] = ()
    """What the engines reported while it was written, a sentence each: a retry, a restart, a cap that was reached."""
    conditions: Conditions | None = None
    started: datetime | None = None
    """When it was first claimed, and when its result was saved (`ended`)."""
    ended: datetime | None = None
    note: str = ""
    """What a person noted about it."""


class ArmTotals(NamedTuple):
    """Counts and sums over the jobs of an arm that are done; `jobs` counts all."""

    arm: str
    jobs: int
    done: int
    correct: int
    wrong: int
    failed: int
    small_tokens: int
    large_tokens: int
    seconds: float
    """Of those without an error."""

    @property
    def unscored(self) -> int:
        """Done, without an error, and neither correct nor wrong."""
        return self.done - self.correct - self.wrong - self.failed


def batch_of(row: sqlite3.Row, arms: tuple[StoredArm, ...]) -> Batch:
    return Batch(
        row["id"],
        row["name"],
        json.loads(row["settings"]),
        arms,
        row["problems"],
        row["jobs"],
        row["done"],
        parse_timestamp(row["created"]),
    )


def problem_of(text: str) -> Problem:
    """Fields that this version does not know are ignored."""
    known = {field.name for field in fields(Problem)}
    return Problem(**{name: value for name, value in json.loads(text).items() if name in known})


def job_of(row: sqlite3.Row) -> Job:
    """From a row as it was before the claim."""
    return Job(
        row["id"],
        row["batch"],
        StoredArm(row["arm"], json.loads(row["arm_settings"])),
        problem_of(row["problem_json"]),
        row["problem"],
        row["seed"],
        row["run"],
        row["attempt"] + 1,
    )


def result_of(row: sqlite3.Row) -> ResultRow:
    return ResultRow(
        row["id"],
        row["run"],
        row["arm"],
        row["problem"],
        row["seed"],
        JobState(row["state"]),
        row["answer"],
        Verdict(Outcome(row["outcome"]), How(row["how"]), row["verdict_reason"]) if row["outcome"] else None,
        row["error"],
        Finish(row["finish"]) if row["finish"] else None,
        RunMetrics.of_row(row),
        tuple(json.loads(row["notices"])),
        Conditions.from_json(row["conditions"]),
        parse_timestamp(row["started"]) if row["started"] else None,
        parse_timestamp(row["ended"]) if row["ended"] else None,
        row["note"],
    )
