"""BatchProgress counts what ended, and names a time only when it can be known."""

import pytest

from core.batch.running.batch_events import JobEnded
from core.batch.running.creation import create_batch
from core.batch.running.progress import BatchProgress, in_words
from core.batch.running.recipes import arms_of
from core.batch.running.runner import Runner
from core.grading.grader import Grader
from core.grading.verdict import How, Outcome, Verdict
from core.run import Pair, RunSettings
from core.store.batch_rows import JobState, ResultRow
from core.store.run_metrics import RunMetrics
from core.store.store import Store
from core.thinking.events import Finish
from tests.core.batch.counting import large_engine, problems, small_engine
from tests.fakes.scripted import Fault, ScriptedEngine


def row(arm: str = "small", seconds: float = 0.0, outcome: Outcome | None = None, error: str = "") -> ResultRow:
    verdict = Verdict(outcome, How.EXACT, "") if outcome else None
    state = JobState.DONE if outcome or error else JobState.WAITING
    return ResultRow(1, "", arm, 0, 0, state, "", verdict, error, Finish.END_OF_TEXT, RunMetrics(seconds, 9))


RIGHT, WRONG, UNSCORED = Outcome.CORRECT, Outcome.WRONG, Outcome.UNSCORED


def test_results_are_counted_by_what_became_of_them() -> None:
    progress = BatchProgress(
        [row(outcome=RIGHT), row(outcome=WRONG), row(outcome=UNSCORED), row(error="Lost."), row()], 1
    )
    assert (progress.jobs, progress.done) == (5, 4)
    assert (progress.correct, progress.wrong, progress.unscored, progress.failed) == (1, 1, 1, 1)


def test_the_totals_of_a_store_count_as_its_rows_do(store: Store, grader: Grader) -> None:
    small = ScriptedEngine(continue_with=small_engine().continue_with, faults=[Fault(30)])
    batch = create_batch(store, "counting", problems(6), arms_of(["small", "large"], RunSettings()))
    runner = Runner(store, batch, Pair(small, large_engine()), grader)
    for event in runner.run():
        if isinstance(event, JobEnded) and event.row.position == 4:
            runner.stop()
    by_rows = BatchProgress(store.batches.results(batch), 1)
    by_totals = BatchProgress.of_totals(store.batches.totals(batch), 1)
    assert by_rows.failed
    for name in ("jobs", "done", "correct", "wrong", "unscored", "failed"):
        assert getattr(by_rows, name) == getattr(by_totals, name)
    assert by_rows.waiting("large") == by_totals.waiting("large") > 0
    assert by_rows.seconds_left() == pytest.approx(by_totals.seconds_left())


def test_no_time_is_named_after_one_problem() -> None:
    assert BatchProgress([row(seconds=9, outcome=RIGHT)] + [row()] * 9, 1).seconds_left() is None


def test_what_waits_takes_the_mean_time_shared_by_the_problems_at_once() -> None:
    rows = [row(seconds=s, outcome=RIGHT) for s in (8, 10, 12)] + [row()] * 10
    assert BatchProgress(rows, 1).seconds_left() == pytest.approx(100)
    assert BatchProgress(rows, 4).seconds_left() == pytest.approx(25)


def test_a_slow_arm_counts_with_its_own_time() -> None:
    rows = [row(seconds=1, outcome=RIGHT)] * 4 + [row("large", 10, RIGHT)] * 4 + [row("large")] * 3
    assert BatchProgress(rows, 1).seconds_left() == pytest.approx(30)


def test_the_end_of_a_batch_never_takes_less_than_one_problem() -> None:
    assert BatchProgress([row(seconds=20, outcome=RIGHT)] * 5 + [row()], 8).seconds_left() == pytest.approx(20)


def test_a_failure_tells_nothing_of_the_time() -> None:
    rows = [row(error="Lost.")] * 5 + [row()] * 5
    assert BatchProgress(rows, 1).seconds_left() is None


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
def test_a_time_is_told_as_exactly_as_it_is_known(seconds: float | None, words: str) -> None:
    assert in_words(seconds) == words
