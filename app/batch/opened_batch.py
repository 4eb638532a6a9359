"""A batch of the store as the window shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.batch.running.progress import (
    BatchEvent,
    BatchProgress,
    JobEnded,
    JobRetried,
    JobStarted,
    JobStopped,
)
from baton_reasoning.core.errors import BatonError
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import Batch, JobState, ResultRow
from baton_reasoning.core.store.store import Store


@dataclass(eq=False)
class OpenedBatch:
    """A batch as it was read from the store, and as it changes while it runs or is graded again."""

    batch: Batch
    problems: list[Problem]
    rows: dict[int, ResultRow]
    """The results by job, as they are now."""
    progress: BatchProgress
    error: BatonError | None = None
    """What ended it last, if that was an error."""

    @property
    def settings(self) -> BatchSettings:
        """As they were when it was read; the models are those that it had then."""
        return BatchSettings.of(self.batch)

    @classmethod
    def read(cls, store: Store, batch_id: str) -> Self:
        """Read a batch, which may take seconds. Raises StoreError, SettingsError.

        Answers that a program was writing when it was killed wait to be written anew.
        """
        batches = store.batches
        batch, rows = batches.open(batch_id), {row.job: row for row in batches.results(batch_id)}
        if not batches.is_running(batch_id):
            left = [row for row in rows.values() if row.state is JobState.CLAIMED]
            rows.update((row.job, row._replace(state=JobState.WAITING)) for row in left)
        progress = BatchProgress(batches.totals(batch_id), BatchSettings.of(batch).parallel)
        return cls(batch, list(batches.problems(batch_id)), rows, progress)

    def take(self, events: Iterable[BatchEvent]) -> list[ResultRow]:
        """Bring rows and progress up to date; return the rows that have changed."""
        changed: dict[int, ResultRow] = {}
        for event in events:
            self.progress.take(event)
            match event:
                case JobStarted(job):
                    row = self.rows[job.id]._replace(state=JobState.CLAIMED)
                case JobStopped(job_id):
                    row = self.rows[job_id]._replace(state=JobState.WAITING)
                case JobRetried(row) | JobEnded(row):
                    pass
                case _:
                    continue
            self.rows[row.job] = changed[row.job] = row
        return list(changed.values())
