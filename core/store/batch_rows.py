"""The rows of a batch as data: the batch, its arms, jobs, results and totals."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.grading.verdict import How, Outcome, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.run_metrics import RunMetrics
from baton_reasoning.core.store.timestamps import parse_timestamp
from baton_reasoning.core.thinking.events import Finish


class JobState(Enum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class StoredArm:
    """One way to solve the problems; its name is unique in the batch."""

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
    """Index of the problem in the batch."""
    seed: int
    run: str
    """Id of the run that records its events: `runs.record(job.run)`."""
    attempt: int
    """1 at its first claim. Later attempts find the events of earlier ones in the run."""


class Conditions(BaseModel):
    """What decides the speed of an answer besides models and settings."""

    model_config = ConfigDict(frozen=True)

    parallel: int = Field(description="Texts that were written at once, at most.")
    threads: int = Field(description="Threads of the local model that has most; 0 if no model is local.")
    other_load: float = Field(description="Share of the CPU that other programs used meanwhile, 0 to 1.")
    paused: bool = Field(False, description="The batch was paused meanwhile, so that fewer texts were written at once.")


class ResultRow(NamedTuple):
    """A job with its result; the metrics are 0 until its run has ended."""

    job: int
    run: str
    arm: str
    position: int
    """Index of the problem in the batch."""
    seed: int
    state: JobState
    answer: str
    verdict: Verdict | None
    error: str
    finish: Finish | None
    metrics: RunMetrics
    notices: tuple[str, ...] = ()
    """What the engines reported while it was written, a sentence each: a retry, a restart, a cap that was reached."""
    conditions: Conditions | None = None
    """None until it has ended, as `ended`."""
    started: datetime | None = None
    """When it was first claimed."""
    ended: datetime | None = None
    """When its result was saved."""
    note: str = ""
    """A person's note on the answer."""

    @property
    def has_answer(self) -> bool:
        """Whether it is done, and without an error."""
        return self.state is JobState.DONE and not self.error

    @property
    def outcome(self) -> Outcome:
        """Correct or wrong; unscored without a verdict."""
        return self.verdict.outcome if self.verdict else Outcome.UNSCORED


class ArmTotals(NamedTuple):
    """Counts and sums over the jobs of an arm that are done, except for `jobs`, which counts all."""

    arm: str
    jobs: int
    done: int
    correct: int
    wrong: int
    failed: int
    small_tokens: int
    large_tokens: int
    seconds: float
    """Sum over those without an error."""

    @property
    def unscored(self) -> int:
        """Jobs that are done without an error, and neither correct nor wrong."""
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
    return Problem(**json.loads(text))


def job_of(row: sqlite3.Row) -> Job:
    """Read a job from its row as it was before the claim."""
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
        Conditions.model_validate_json(row["conditions"]) if row["conditions"] else None,
        parse_timestamp(row["started"]) if row["started"] else None,
        parse_timestamp(row["ended"]) if row["ended"] else None,
        row["note"],
    )
