"""A batch in memory follows the events of its runner."""

from __future__ import annotations

from baton_reasoning.app.batch.opened_batch import OpenedBatch
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import create_batch
from baton_reasoning.core.batch.running.progress import (
    Finishing,
    JobEnded,
    JobGrew,
    JobRetried,
    JobStarted,
    JobStopped,
)
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.store.batches import JobState
from baton_reasoning.core.store.run_cost import RunCost
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import problems


def test_rows_and_progress_follow_what_happens(tmp_path):
    with Store.open(tmp_path / "baton.sqlite") as store:
        batch = create_batch(store, "counting", problems(2), arms_of(("small",), RunSettings()), range(1), 1)
        opened = OpenedBatch.read(store, batch)
        job = store.batches.claim(batch)
    assert job
    before = opened.rows[job.id]
    (row,) = opened.take([JobStarted(job), JobGrew(job.id, RunCost(small_tokens=3))])
    assert (row.state, row.cost.small_tokens) == (JobState.CLAIMED, 3)
    (row,) = opened.take([JobStopped(job.id), Finishing(1)])
    assert row.state is JobState.WAITING
    failed = before._replace(state=JobState.DONE, error="The model's process ended.")
    assert opened.take([JobEnded(failed)]) == [failed]
    assert (opened.progress.total.done, opened.progress.total.failed) == (1, 1)
    assert opened.take([JobRetried(before)]) == [before]
    assert (opened.progress.total.done, opened.progress.total.failed) == (0, 0)
    assert opened.rows[job.id] == before
    assert len(opened.rows) == 2
