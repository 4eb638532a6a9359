"""BatchProgress counts what ended, and names a time only when it can be known."""

from datetime import UTC, datetime, timedelta

import pytest

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import create_batch
from baton_reasoning.core.batch.running.progress import BatchProgress, JobEnded, time_left, time_taken
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.batches import ArmTotals, JobState, ResultRow
from baton_reasoning.core.store.run_cost import RunCost
from tests.core.batch.counting import large_engine, problems, small_engine
from tests.fakes.scripted import Fault, ScriptedEngine


def totals(arm: str = "small", waiting: int = 0, answers: int = 0, seconds: float = 0.0, failed: int = 0) -> ArmTotals:
    """An arm whose answers are all right, and took so many seconds together."""
    done = answers + failed
    return ArmTotals(arm, done + waiting, done, answers, 0, failed, seconds)


def test_jobs_that_end_are_counted_as_the_store_counts_them(store, grader):
    small = ScriptedEngine(continue_with=small_engine().continue_with, faults=[Fault(30)])
    found = [Problem("open", "Count to 5.", None, {}, 6), *problems(5)]
    batch = create_batch(store, "counting", found, arms_of(["small", "large"], RunSettings()))
    counted = BatchProgress(store.batches.totals(batch), 1)
    runner = Runner(store, batch, Pair(small, large_engine()), grader)
    for event in runner.run():
        if isinstance(event, JobEnded):
            counted.ended(event.row)
            if event.row.position == 4:
                runner.stop()
    read = BatchProgress(store.batches.totals(batch), 1)
    assert counted.total[:-1] == read.total[:-1]
    assert min(read.total.correct, read.total.wrong, read.total.unscored, read.total.failed) > 0
    assert counted.to_run("large") == read.to_run("large") > 0
    assert counted.seconds_left() == pytest.approx(read.seconds_left())
    assert counted.to_run("small", retry=True) == counted.to_run("small") + 1
    for row in store.batches.retry_failed(batch, ["small", "large"]):
        counted.retried(row)
    read = BatchProgress(store.batches.totals(batch), 1)
    assert counted.total[:-1] == read.total[:-1]
    assert counted.to_run("small") == read.to_run("small")
    assert counted.total.failed == 0


@pytest.mark.parametrize(
    ("arms", "parallel", "seconds"),
    [
        ([totals(waiting=9, answers=1, seconds=9)], 1, None),
        ([totals(waiting=5, failed=5)], 1, None),
        ([totals(waiting=10, answers=3, seconds=30)], 1, 100),
        ([totals(waiting=10, answers=3, seconds=30)], 4, 25),
        ([totals(answers=4, seconds=4), totals("large", waiting=3, answers=4, seconds=40)], 1, 30),
        ([totals(waiting=1, answers=5, seconds=100)], 8, 20),
    ],
    ids=["one answer", "failures alone", "one at once", "four at once", "a slow arm", "the last problem"],
)
def test_what_waits_takes_the_mean_time_of_its_arm_shared_by_the_problems_at_once(arms, parallel, seconds):
    assert BatchProgress(arms, parallel).seconds_left() == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "time not known yet"),
        (0, "done"),
        (30, "under a minute left"),
        (21 * 60 + 10, "21 min left"),
        (2 * 3600 + 13 * 60, "2 h 10 min left"),
    ],
)
def test_a_time_is_told_as_exactly_as_it_is_known(seconds, words):
    assert time_left(seconds) == words


def test_the_time_taken_counts_answers_written_at_once_once_and_leaves_out_pauses():
    start = datetime(2026, 11, 29, tzinfo=UTC)
    rows = [
        ResultRow(job, "", "small", job, 0, JobState.DONE, "", None, "", None, RunCost())._replace(
            started=start + timedelta(seconds=began), ended=start + timedelta(seconds=ended)
        )
        for job, (began, ended) in enumerate([(0, 10), (2, 4), (8, 12), (100, 105)])
    ]
    assert time_taken(rows) == 17
    assert time_taken([]) == 0
    assert time_taken([rows[0]._replace(ended=None)]) == 0
