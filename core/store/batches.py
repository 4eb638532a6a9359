"""Stores batches: a job for each problem, arm and seed, so that a killed batch can be resumed.

A job is waiting, claimed by one program, or done. A claim is one transaction, so no two programs get the same job; a
claim whose program has ended counts as waiting again. `run` and `attempt` name one claim, and only the last one can
save a result. A job that fails is done, with an error.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.analysis.run_cost import RunCost
from baton_reasoning.core.errors import StoreError, WrittenElsewhere
from baton_reasoning.core.grading.verdict import GradingMethod, Outcome, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.database import Database
from baton_reasoning.core.store.derived import COLUMNS, cost_in
from baton_reasoning.core.store.owners import claim_as_owner, is_alive
from baton_reasoning.core.store.timestamps import now
from baton_reasoning.core.text import replace_lone_surrogates
from baton_reasoning.core.thinking.events import Finish

Json = dict[str, Any]


class JobState(Enum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class StoredArm:
    """One way to solve the problems; its name is unique in the batch."""

    name: str
    settings: Json
    """JSON values."""


@dataclass(frozen=True, slots=True)
class Batch:
    id: str
    name: str
    settings: Json
    arms: tuple[StoredArm, ...]
    problems: int
    jobs: int
    done: int
    created: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """One problem under one arm with one seed, claimed by this program."""

    id: int
    arm: str
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


class ResultRow(NamedTuple):
    """A job with its result."""

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
    cost: RunCost
    notices: tuple[str, ...] = ()
    """What the engines reported while it was written, a sentence each: a retry, a restart, a cap that was reached."""
    conditions: Conditions | None = None
    """None until it has ended."""
    started: datetime | None = None
    """When it was first claimed."""
    ended: datetime | None = None
    """When its result was saved."""
    reviewed: bool = False
    """Whether a second opinion or values were added to its run."""

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
    seconds: float
    """Sum over those without an error."""

    @property
    def unscored(self) -> int:
        """Jobs that are done without an error, and neither correct nor wrong."""
        return self.done - self.correct - self.wrong - self.failed


Graded = tuple[str, Verdict]
"""An answer, empty if there is none, and its verdict."""

_NEW_RUN = "lower(hex(randomblob(16)))"


class Batches:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        settings: Json,
        problems: Sequence[Problem],
        arms: Sequence[StoredArm],
        seeds: Sequence[int] = (0,),
    ) -> str:
        """Create a batch whose jobs all wait; returns its id. `settings`: JSON values. Raises StoreError."""
        batch = uuid.uuid4().hex

        def change(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO batches (id, name, settings, created) VALUES (?, ?, ?, ?)",
                (batch, replace_lone_surrogates(name), json.dumps(settings), now()),
            )
            connection.executemany(
                "INSERT INTO batch_problems VALUES (?, ?, ?)",
                ((batch, position, json.dumps(asdict(problem))) for position, problem in enumerate(problems)),
            )
            connection.executemany(
                "INSERT INTO batch_arms VALUES (?, ?, ?, ?)",
                ((batch, position, arm.name, json.dumps(arm.settings)) for position, arm in enumerate(arms)),
            )
            connection.execute(_ADD_JOBS, {"batch": batch, "arm": None, "seeds": json.dumps(list(seeds))})

        self._database.write(change)
        return batch

    def add_arm(self, batch: str, arm: StoredArm, seeds: Sequence[int]) -> None:
        """Add jobs for the same problems under one more arm. Raises StoreError, also if the name is taken."""

        def change(connection: sqlite3.Connection) -> None:
            if arm.name in {known.name for known in _arms(connection, batch)}:
                raise StoreError(f"This batch has an arm “{arm.name}” already.", "Give the other one another name.")
            connection.execute(
                "INSERT INTO batch_arms SELECT ?, count(*), ?, ? FROM batch_arms WHERE batch = ?",
                (batch, arm.name, json.dumps(arm.settings), batch),
            )
            connection.execute(_ADD_JOBS, {"batch": batch, "arm": arm.name, "seeds": json.dumps(list(seeds))})

        self._database.write(change)

    def change_arm(self, batch: str, arm: StoredArm) -> None:
        """Replace the settings of an arm. Raises StoreError."""
        statement = "UPDATE batch_arms SET settings = ? WHERE batch = ? AND name = ?"
        self._database.execute(statement, json.dumps(arm.settings), batch, arm.name).result()

    def add_seeds(self, batch: str, seeds: Sequence[int], change: Callable[[Json], Json]) -> None:
        """Add jobs of all arms with these seeds. `change`: as for `change_settings`, all or none. Raises StoreError."""

        def add(connection: sqlite3.Connection) -> None:
            _change_settings(connection, batch, change)
            connection.execute(_ADD_JOBS, {"batch": batch, "arm": None, "seeds": json.dumps(list(seeds))})

        self._database.write(add)

    def open(self, batch: str) -> Batch:
        """Read a batch. Raises StoreError if it is not there."""
        with self._database.reading() as connection:
            row = connection.execute(f"{_BATCHES} WHERE batches.id = ?", (batch,)).fetchone()
            if row is None:
                raise StoreError("This batch is not in the store.", "It may have been deleted for good.")
            return _batch_of(connection, row)

    def all(self) -> list[Batch]:
        """List the batches, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(f"{_BATCHES} WHERE deleted IS NULL ORDER BY created DESC")
            return [_batch_of(connection, row) for row in rows]

    def of_run(self, run: str) -> tuple[Batch, Problem] | None:
        """Return the batch and the problem whose answer this run is; None if it is of no batch."""
        with self._database.reading() as connection:
            row = connection.execute(
                """SELECT jobs.batch, problem_row.problem FROM jobs JOIN batch_problems AS problem_row
                    ON problem_row.batch = jobs.batch AND problem_row.position = jobs.problem WHERE run = ?""",
                (run,),
            ).fetchone()
        return (self.open(row["batch"]), _problem_of(row["problem"])) if row else None

    def problems(self, batch: str) -> Iterator[Problem]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT problem FROM batch_problems WHERE batch = ? ORDER BY position", (batch,))
            for row in rows:
                yield _problem_of(row["problem"])

    def claim(self, batch: str, arms: Sequence[str] | None = None) -> Job | None:
        """Claim the next job, all arms of a problem before the next problem; only of these arms, if given.

        None if no job waits. A job whose program has ended comes back with its `run`, which still has its events.
        """
        return self._database.write(lambda connection: _claim(connection, batch, arms))

    def finish(
        self,
        job: Job,
        answer: str,
        verdict: Verdict | None,
        error: str = "",
        notices: Sequence[str] = (),
        conditions: Conditions | None = None,
    ) -> ResultRow:
        """Save the result of a job; returns its row. `error`: why there is no answer.

        Finish the run's recorder first: the row takes its tokens and seconds from there. Raises WrittenElsewhere if
        another program has claimed the job since, and StoreError.
        """
        values = (
            replace_lone_surrogates(answer),
            *_verdict(verdict),
            replace_lone_surrogates(error),
            json.dumps(list(notices)),
            conditions.model_dump_json() if conditions else None,
            now(),
            job.run,
            job.attempt,
        )

        def change(connection: sqlite3.Connection) -> ResultRow:
            saved = connection.execute(
                """UPDATE jobs SET state = 'done', owner = '', answer = ?, outcome = ?, how = ?, verdict_reason = ?,
                    error = ?, notices = ?, conditions = ?, ended = ?
                    WHERE run = ? AND attempt = ? AND state <> 'done'""",
                values,
            )
            if not saved.rowcount:
                raise WrittenElsewhere("Another Baton has taken this answer over.")
            return _result_of(connection.execute(f"{_RESULT} WHERE jobs.id = ?", (job.id,)).fetchone())

        return self._database.write(change)

    def give_back(self, job: Job) -> Future[int]:
        """Let a job that was stopped wait again; tried again until it succeeds."""
        waiting = "UPDATE jobs SET state = 'waiting', owner = '' WHERE run = ? AND attempt = ? AND state = 'claimed'"
        return self._database.execute(waiting, job.run, job.attempt, kept=True)

    def retry_failed(self, batch: str, arms: Sequence[str]) -> list[ResultRow]:
        """Let the jobs of these arms that ended in an error wait again, each with a new run; returns their new rows."""
        failed = """state = 'done' AND error <> '' AND batch = :batch
            AND arm IN (SELECT value FROM json_each(:arms))"""
        chosen = {"batch": batch, "arms": json.dumps(list(arms))}

        def change(connection: sqlite3.Connection) -> list[ResultRow]:
            connection.execute(f"DELETE FROM runs WHERE id IN (SELECT run FROM jobs WHERE {failed})", chosen)
            jobs = connection.execute(
                f"""UPDATE jobs SET state = 'waiting', error = '', answer = '', notices = '[]', conditions = NULL,
                    started = NULL, ended = NULL, attempt = 0, run = {_NEW_RUN} WHERE {failed} RETURNING id""",
                chosen,
            ).fetchall()
            return [_result_of(connection.execute(f"{_RESULT} WHERE jobs.id = ?", job).fetchone()) for job in jobs]

        return self._database.write(change)

    def is_running(self, batch: str) -> bool:
        """Tell whether a program is writing answers of the batch."""
        with self._database.reading() as connection:
            return _is_running(connection, batch)

    def regrade(self, batch: str, change: Callable[[Json], Json], graded: Mapping[int, Graded | None]) -> None:
        """Change the settings of the batch, and replace the answers and verdicts of its jobs, all or none.

        `change`: as for `change_settings`. `graded`: what is to stand for each job with an answer; None leaves it.
        Raises StoreError if the batch is running, or was since the answers were read: they would be graded in two ways.
        """
        values = [
            (replace_lone_surrogates(found[0]), *_verdict(found[1]), job) for job, found in graded.items() if found
        ]

        def save(connection: sqlite3.Connection) -> None:
            answered = connection.execute(
                "SELECT id FROM jobs WHERE batch = ? AND state = 'done' AND error = ''", (batch,)
            )
            if {row["id"] for row in answered} != graded.keys() or _is_running(connection, batch):
                raise StoreError(
                    "Another Baton writes answers of this batch. Nothing was graded.",
                    "Grade it again when the other one is done.",
                )
            _change_settings(connection, batch, change)
            connection.executemany(
                "UPDATE jobs SET answer = ?, outcome = ?, how = ?, verdict_reason = ? WHERE id = ?", values
            )

        self._database.write(save)

    def results(self, batch: str, arm: str | None = None) -> Iterator[ResultRow]:
        """Yield a row for every job, those that wait included, in the order of problems, seeds and arms."""
        with self._database.reading() as connection:
            chosen = f"{_RESULT} WHERE jobs.batch = :batch AND (:arm IS NULL OR jobs.arm = :arm) ORDER BY jobs.id"
            yield from map(_result_of, connection.execute(chosen, {"batch": batch, "arm": arm}))

    def totals(self, batch: str) -> list[ArmTotals]:
        """Sum up each arm, in their order."""
        with self._database.reading() as connection:
            return [ArmTotals(*row) for row in connection.execute(_TOTALS, (batch,))]

    def change_settings(self, batch: str, change: Callable[[Json], Json]) -> Json:
        """Replace the settings (JSON values) by what `change` makes of them; returns the new ones. Raises StoreError.

        `change` is called in the writer's thread, within the transaction, so that no change by another is lost.
        """
        return self._database.write(lambda connection: _change_settings(connection, batch, change))

    def delete(self, batch: str) -> None:
        """Take a batch out of the list; `restore` brings it back. Raises StoreError if a program is running it."""

        def change(connection: sqlite3.Connection) -> None:
            if _is_running(connection, batch):
                (name,) = connection.execute("SELECT name FROM batches WHERE id = ?", (batch,)).fetchone()
                raise StoreError(f"“{name}” is running.", "Stop it first, or wait until it is done.")
            connection.execute("UPDATE batches SET deleted = ? WHERE id = ?", (now(), batch))

        self._database.write(change)

    def restore(self, batch: str) -> None:
        self._database.execute("UPDATE batches SET deleted = NULL WHERE id = ?", batch).result()


_ADD_JOBS = f"""INSERT INTO jobs (batch, arm, problem, seed, run)
    SELECT arms.batch, arms.name, problems.position, seeds.value, {_NEW_RUN}
    FROM batch_problems AS problems JOIN batch_arms AS arms USING (batch) JOIN json_each(:seeds) AS seeds
    WHERE batch = :batch AND (:arm IS NULL OR arms.name = :arm)
    ORDER BY problems.position, seeds.key, arms.position"""

_BATCHES = """SELECT id, name, settings, created,
    (SELECT count(*) FROM batch_problems WHERE batch = batches.id) AS problems,
    (SELECT count(*) FROM jobs WHERE batch = batches.id) AS jobs,
    (SELECT count(*) FROM jobs WHERE batch = batches.id AND state = 'done') AS done FROM batches"""

_RESULT = f"""SELECT jobs.*, runs.finish, runs.reviewed, {COLUMNS}
    FROM jobs LEFT JOIN runs ON runs.id = jobs.run"""

_TOTALS = """SELECT batch_arms.name, count(jobs.id), count(*) FILTER (WHERE jobs.state = 'done'),
    count(*) FILTER (WHERE outcome = 'correct'), count(*) FILTER (WHERE outcome = 'wrong'),
    count(*) FILTER (WHERE error <> ''), total(seconds) FILTER (WHERE jobs.state = 'done' AND error = '')
    FROM batch_arms LEFT JOIN jobs ON jobs.batch = batch_arms.batch AND jobs.arm = batch_arms.name
    LEFT JOIN runs ON runs.id = jobs.run
    WHERE batch_arms.batch = ? GROUP BY batch_arms.position ORDER BY batch_arms.position"""


def _owners(connection: sqlite3.Connection, batch: str) -> list[str]:
    """List the programs that have claimed jobs of the batch."""
    rows = connection.execute("SELECT DISTINCT owner FROM jobs WHERE batch = ? AND state = 'claimed'", (batch,))
    return [row["owner"] for row in rows]


def _is_running(connection: sqlite3.Connection, batch: str) -> bool:
    return any(is_alive(connection, owner) for owner in _owners(connection, batch))


def _change_settings(connection: sqlite3.Connection, batch: str, change: Callable[[Json], Json]) -> Json:
    (stored,) = connection.execute("SELECT settings FROM batches WHERE id = ?", (batch,)).fetchone()
    settings = change(json.loads(stored))
    connection.execute("UPDATE batches SET settings = ? WHERE id = ?", (json.dumps(settings), batch))
    return settings


def _claim(connection: sqlite3.Connection, batch: str, arms: Sequence[str] | None) -> Job | None:
    for dead in [owner for owner in _owners(connection, batch) if not is_alive(connection, owner)]:
        connection.execute(
            "UPDATE jobs SET state = 'waiting', owner = '' WHERE batch = ? AND state = 'claimed' AND owner = ?",
            (batch, dead),
        )
    row = connection.execute(
        """UPDATE jobs SET state = 'claimed', owner = :owner, attempt = attempt + 1, started = coalesce(started, :now)
            WHERE id = (SELECT id FROM jobs WHERE batch = :batch AND state = 'waiting'
                AND (:arms IS NULL OR arm IN (SELECT value FROM json_each(:arms)))
                ORDER BY problem, seed, id LIMIT 1)
            RETURNING id, arm, problem AS position, seed, run, attempt,
                (SELECT problem FROM batch_problems WHERE batch = jobs.batch AND position = jobs.problem) AS problem""",
        {
            "owner": claim_as_owner(connection),
            "now": now(),
            "batch": batch,
            "arms": None if arms is None else json.dumps(arms),
        },
    ).fetchone()
    return Job(**dict(row) | {"problem": _problem_of(row["problem"])}) if row else None


def _verdict(verdict: Verdict | None) -> tuple[str | None, str | None, str]:
    if verdict is None:
        return None, None, ""
    return verdict.outcome.value, verdict.how.value, replace_lone_surrogates(verdict.reason)


def _arms(connection: sqlite3.Connection, batch: str) -> tuple[StoredArm, ...]:
    rows = connection.execute("SELECT name, settings FROM batch_arms WHERE batch = ? ORDER BY position", (batch,))
    return tuple(StoredArm(row["name"], json.loads(row["settings"])) for row in rows)


def _batch_of(connection: sqlite3.Connection, row: sqlite3.Row) -> Batch:
    arms, settings = _arms(connection, row["id"]), json.loads(row["settings"])
    created = datetime.fromisoformat(row["created"])
    return Batch(**dict(row) | {"arms": arms, "settings": settings, "created": created})


def _problem_of(text: str) -> Problem:
    return Problem(**json.loads(text))


def _result_of(row: sqlite3.Row) -> ResultRow:
    return ResultRow(
        row["id"],
        row["run"],
        row["arm"],
        row["problem"],
        row["seed"],
        JobState(row["state"]),
        row["answer"],
        Verdict(Outcome(row["outcome"]), GradingMethod(row["how"]), row["verdict_reason"]) if row["outcome"] else None,
        row["error"],
        Finish(row["finish"]) if row["finish"] else None,
        cost_in(row),
        tuple(json.loads(row["notices"])),
        Conditions.model_validate_json(row["conditions"]) if row["conditions"] else None,
        datetime.fromisoformat(row["started"]) if row["started"] else None,
        datetime.fromisoformat(row["ended"]) if row["ended"] else None,
        bool(row["reviewed"]),
    )
