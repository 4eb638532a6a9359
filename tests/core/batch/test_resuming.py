"""A batch that was interrupted, changed and graded again comes to the results of an undisturbed one."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from baton_reasoning.core.batch.running import progress
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings, add_arms, create_batch
from baton_reasoning.core.batch.running.progress import BatchProgress, time_left, time_taken
from baton_reasoning.core.batch.running.regrading import RegradeCounts, regrade
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.errors import EngineLost, SettingsError
from baton_reasoning.core.grading.verdict import How, Outcome, Regex, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.batches import ArmTotals, JobState, ResultRow
from baton_reasoning.core.store.run_cost import RunCost
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Event
from baton_reasoning.core.thinking.policies.never import Never
from tests.core.batch.counting import (
    batch_of,
    counting_pair,
    damage,
    problems,
    rows_of,
    run_batch,
    solution,
    unlike_after_reading,
)
from tests.core.store.made import claim
from tests.core.thinking.oracles.worlds import World
from tests.core.thinking.running import settings_of
from tests.fakes.scripted import THINK, Fault, ScriptedEngine
from tests.patience import PATIENCE
from tests.tiers import size

CORRECT, WRONG, UNSCORED = Outcome.CORRECT, Outcome.WRONG, Outcome.UNSCORED
ROOT = Path(__file__).resolve().parents[3]
OFTEN_KILLED = 200
"""Problems: more than are solved before the last kill, even if the killing comes late on a busy machine."""
KILLS = size(3, long=20)

Results = dict[tuple[str, int], tuple[ResultRow, list[Event]]]
"""By arm and position."""


def results(store, batch):
    """The rows and their stored events, times and machine load aside."""
    found = {}
    for row in store.batches.results(batch):
        cost = row.cost.model_copy(update={"seconds": 0.0, "seconds_to_answer": None})
        events = store.runs.trace(row.run).events
        timeless = row._replace(job=0, run="", cost=cost, conditions=None, started=None, ended=None)
        found[row.arm, row.position] = timeless, [replace(event, at=0.0) for event in events]
    return found


@pytest.fixture
def undisturbed(store, grader):
    batch = DisturbedBatch(store, grader)
    batch.run_to_the_end()
    return batch.id


class Disturbance(NamedTuple):
    kind: str
    after: int
    """Tokens of all texts before it; of "close" events of the runner, of "kill" events of the text that is left."""


WHILE_WRITING = ("stop", "finish", "pause", "fail")
OTHERS = ("close", "kill", "add arm", "regrade", "grade otherwise")
DISTURBANCES = st.one_of(
    st.builds(Disturbance, st.sampled_from(WHILE_WRITING), st.integers(0, 600)),
    st.builds(Disturbance, st.sampled_from(OTHERS), st.integers(0, 30)),
)


def disturb(runner, kind):
    match kind:
        case "stop":
            runner.stop()
        case "finish":
            runner.finish()
        case "pause" if runner.under_way:  # the end of this answer resumes it
            runner.pause()
        case "fail":
            raise EngineLost("The model's process ended.", "Open it again.")


class DisturbedBatch:
    """A batch in which things happen."""

    def __init__(self, store, grader):
        self.store, self.grader = store, grader
        short = settings_of(Never.Settings(), seed=1).model_copy(update={"max_tokens": 60})
        self.arms = arms_of(("small", "baton", "random", "every-step"), short)
        self.id = create_batch(store, "b", problems(2), self.arms[:3])

    def take(self, disturbance, undisturbed):
        match disturbance.kind:
            case "kill":
                self._leave_a_killed_text(disturbance.after, undisturbed)
            case "add arm":
                add_arms(self.store, self.id, self.arms)
            case "regrade":
                list(regrade(self.store, self.id, self.grader))
            case "grade otherwise":
                list(regrade(self.store, self.id, self.grader, How.EXACT))
            case _:
                self.run(disturbance)

    def run_to_the_end(self):
        add_arms(self.store, self.id, self.arms)
        self.run(Disturbance("nothing", 0))
        list(regrade(self.store, self.id, self.grader, How.AUTO))

    def run(self, disturbance):
        small, large = World(5, tagged=True, drawn=True).engines
        runner = Runner(self.store, self.id, Pair(small, large), self.grader, parallel=2, retry=True)

        def happen(_):
            if small.written + large.written == disturbance.after:
                disturb(runner, disturbance.kind)

        small.before_token = large.before_token = happen
        ended, counts = self._results_of_jobs(), BatchProgress(self.store.batches.totals(self.id), 2)
        with closing(runner.run()) as events:
            for number, event in enumerate(events):
                match event:
                    case progress.JobEnded(row):
                        ended[row.job] += 1
                        counts.ended(row)
                        runner.resume()
                    case progress.JobRetried(row):
                        ended[row.job] -= 1
                        counts.retried(row)
                    case progress.JobStarted(job):
                        assert not ended[job.id], "it has a result"
                if disturbance == ("close", number):
                    return
        assert +ended == self._results_of_jobs(), "one of each"
        read = BatchProgress(self.store.batches.totals(self.id), 2)
        assert counts.total[:-1] == read.total[:-1]
        assert counts.seconds_left() == pytest.approx(read.seconds_left())
        for arm in self.arms:
            for retry in (False, True):
                assert counts.to_run(arm.name, retry) == read.to_run(arm.name, retry)

    def _results_of_jobs(self):
        return Counter(row.job for row in self.store.batches.results(self.id) if row.state is JobState.DONE)

    def _leave_a_killed_text(self, length, undisturbed):
        for job in claim(self.store, self.id):
            recorder = self.store.runs.record(job.run, anew=True)
            recorder.record(undisturbed[job.arm, job.position][1][:length])
            recorder.finish().result()
            killed = "UPDATE jobs SET owner = '999999999@then' WHERE id = ?"
            self.store.batches._database.execute(killed, job.id).result()


@pytest.mark.slow
@pytest.mark.scaled
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(DISTURBANCES, max_size=5))
def test_whatever_happens_a_batch_ends_as_an_undisturbed_one(store, grader, undisturbed, disturbances):
    batch, expected = DisturbedBatch(store, grader), results(store, undisturbed)
    for disturbance in disturbances:
        batch.take(disturbance, expected)
    batch.run_to_the_end()
    assert results(store, batch.id) == expected


def test_a_text_that_was_complete_is_only_graded(store):
    undisturbed, killed = (batch_of(store, 1) for _ in range(2))
    run_batch(store, undisturbed)
    (done,) = rows_of(store, undisturbed)
    (job,) = claim(store, killed)
    recorder = store.runs.record(job.run)
    recorder.record(store.runs.trace(done.run).events)
    recorder.finish().result()
    store.batches.give_back(job)
    silent = ScriptedEngine()
    run_batch(store, killed, Pair(silent))
    (graded,) = rows_of(store, killed)
    assert (graded.answer, graded.verdict, graded.cost) == (done.answer, done.verdict, done.cost)
    assert silent.sessions == []


@pytest.mark.parametrize(
    ("calls", "ended", "stopped"),
    [
        ((Runner.finish,), 2, 0),
        ((Runner.pause, Runner.finish), 2, 0),
        ((Runner.finish, Runner.stop), 0, 2),
    ],
)
def test_told_to_finish_it_completes_what_is_under_way_unless_it_is_stopped(store, grader, calls, ended, stopped):
    """Nine answers, two at once, each pair of which meets at its second token."""
    batch = batch_of(store, 9)

    def act():
        for call in calls:
            call(runner)

    meeting = threading.Barrier(2, act, PATIENCE)

    def meet(body):
        if body == "First":
            meeting.wait()

    engine = ScriptedEngine(continue_with=unlike_after_reading, before_token=meet)
    runner = Runner(store, batch, Pair(engine), grader, parallel=2)
    events = list(runner.run())
    assert progress.Finishing(2) in events
    kinds = Counter(map(type, events))
    assert (kinds[progress.JobEnded], kinds[progress.JobStopped]) == (ended, stopped)
    states = [row.state for row in rows_of(store, batch)]
    assert states == [JobState.DONE] * ended + [JobState.WAITING] * (9 - ended)
    assert (runner.ending, runner.under_way) == (True, 0)


def test_told_to_finish_where_nothing_is_under_way_it_stops(store, grader):
    runner = Runner(store, batch_of(store, 2, "baton", "random"), counting_pair(), grader)
    happened: list[progress.BatchEvent] = []
    for event in runner.run():
        happened.append(event)
        runner.finish()
    assert [type(event) for event in happened] == [progress.Calibrated]


@pytest.mark.slow
@pytest.mark.scaled
def test_killed_many_times_no_problem_is_lost_no_result_is_made_twice_and_no_text_is_changed(tmp_path):
    path, dice = tmp_path / "baton.sqlite", random.Random(5)
    with Store.open(path) as store:
        batch = batch_of(store, OFTEN_KILLED)
    for _ in range(KILLS):
        with Store.open(path) as store:
            done = {row.job for row in rows_of(store, batch) if row.state is JobState.DONE}
        started = lines_until_killed(path, batch, after=dice.randint(1, 90))
        assert not done & started
    with Store.open(path) as store:
        assert 0 < store.batches.open(batch).done < OFTEN_KILLED, "all was done before the last kill"
        run_batch(store, batch, Pair(ScriptedEngine(continue_with=unlike_after_reading)))
        assert [store.runs.trace(row.run).text for row in rows_of(store, batch)] == [
            solution(n) for n in range(OFTEN_KILLED)
        ]
        assert {row.verdict.outcome for row in rows_of(store, batch) if row.verdict} == {Outcome.CORRECT}


def lines_until_killed(path, batch, after):
    """The jobs that a run of the batch began before kill -9, which comes after so many lines of its output."""
    program = [sys.executable, "-m", "tests.core.batch.counting", str(path), batch]
    started = set()
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for number, line in enumerate(process.stdout, 1):
            if line.startswith("start"):
                started.add(int(line.split()[1]))
            if number == after:
                break
        process.kill()
    return started


# Grading again runs nothing and writes nothing anew


def answered(store, expected="1/2", fault=None):
    """A batch of two problems; both are answered with 0.50, or the first ends in an error."""
    found = [Problem(f"p{n}", "How fast?", expected, {}, n) for n in range(2)]
    batch = create_batch(store, "speeds", found, arms_of(["small"], RunSettings()))
    text = "</think>The speed is 0.50 m/s, so \\boxed{0.50}."
    engine = ScriptedEngine(continue_with=lambda _, body: text.removeprefix(body), faults=[fault] if fault else [])
    run_batch(store, batch, Pair(engine), parallel=1)
    return batch


def outcomes(store, batch):
    return [row.verdict.outcome if row.verdict else None for row in store.batches.results(batch)]


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        (How.AUTO, CORRECT),
        (How.NUMERIC, CORRECT),
        (How.EXACT, WRONG),
        (How.CHOICE, UNSCORED),
        (Regex(r"speed is 0\.5"), CORRECT),
        (Regex("speed is {expected}"), WRONG),
    ],
)
def test_every_way_to_grade_gives_its_own_verdict(store, grader, how, outcome):
    batch = answered(store)
    list(regrade(store, batch, grader, How.EXACT if outcome is CORRECT else How.NUMERIC))
    yielded = [row.verdict.outcome if row.verdict else None for row, _ in regrade(store, batch, grader, how)]
    assert yielded == outcomes(store, batch) == [outcome] * 2


def test_a_batch_is_graded_later_as_it_was_before_and_so_is_what_is_run_then(store, grader):
    batch = answered(store)
    list(regrade(store, batch, grader, Regex(" m/s")))
    list(regrade(store, batch, grader))
    add_arms(store, batch, arms_of(["large"], RunSettings()))
    run_batch(store, batch, Pair(large=ScriptedEngine("</think>It is 3 km/s.")))
    assert {row.verdict.how for row in rows_of(store, batch) if row.verdict} == {How.REGEX}
    assert outcomes(store, batch) == [CORRECT] * 2 + [WRONG] * 2


def test_answers_are_found_in_the_texts_by_the_grader_of_today(store, grader):
    batch = answered(store, expected="0.5")
    wrong = Verdict(WRONG, How.EXACT, "As an older version graded it.")
    jobs = [row.job for row in rows_of(store, batch)]
    store.batches.regrade(batch, {}, [(jobs[0], "", wrong), (jobs[1], "0.50", wrong)])
    counts = RegradeCounts()
    for graded in regrade(store, batch, grader):
        counts.take(graded)
    assert [row.answer for row in rows_of(store, batch)] == ["0.50"] * 2
    assert outcomes(store, batch) == [CORRECT] * 2
    assert (counts.answers, counts.found_otherwise, counts.graded_otherwise) == (2, 1, 2)
    assert counts.summary == "2 answers were graded again: 1 was found differently, 2 have another verdict."


@pytest.mark.parametrize("thinking", [THINK, None])
@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("</think>It is\n\n18", 100),
        ("</think>It is 18", 2),
        ("It is \\boxed{18} and so on", 100),
        ("So it is 18", 100),
        ("</think>", 100),
    ],
)
def test_the_answer_is_found_as_it_was_in_the_run(store, grader, text, limit, thinking):
    found = [Problem("p", "How many?", "18", {}, 1)]
    batch = create_batch(store, "texts", found, arms_of(["small"], RunSettings(max_tokens=limit)))
    engine = ScriptedEngine(continue_with=lambda _, body: text.removeprefix(body), thinking=thinking)
    run_batch(store, batch, Pair(engine))
    ((row, before),) = regrade(store, batch, grader)
    assert (row.answer, row.verdict) == (before.answer, before.verdict)


def test_what_is_stopped_running_damaged_waiting_or_an_error_is_not_graded_again(store, path, grader):
    batch = answered(store, fault=Fault(1, EngineLost("The model is gone.")))
    add_arms(store, batch, arms_of(["large"], RunSettings()))
    assert len(list(regrade(store, batch, grader, How.NUMERIC))) == 1
    before = rows_of(store, batch)
    assert [bool(row.error) for row in before] == [True, False, False, False]
    assert Counter(row.state for row in before) == {JobState.DONE: 2, JobState.WAITING: 2}
    graded = regrade(store, batch, grader, How.EXACT)
    next(graded)
    graded.close()
    damage(path)
    assert list(regrade(store, batch, grader)) == []
    assert rows_of(store, batch) == before
    assert BatchSettings.of(store.batches.open(batch)).grade is How.NUMERIC
    store.batches.claim(batch)
    with pytest.raises(SettingsError, match=r"“speeds” is running\. Wait until it is done, or stop it"):
        list(regrade(store, batch, grader, How.EXACT))
    odd = store.batches.create("odd", {"parallel": "many"}, [], [])
    with pytest.raises(SettingsError, match="cannot be read"):
        BatchSettings.of(store.batches.open(odd))


# The time that it takes


def totals(arm="small", waiting=0, answers=0, seconds=0.0, failed=0):
    """An arm whose answers are all right, and took so many seconds together."""
    done = answers + failed
    return ArmTotals(arm, done + waiting, done, answers, 0, failed, seconds)


@pytest.mark.parametrize(
    ("arms", "parallel", "seconds"),
    [
        ([totals(waiting=9, answers=2, seconds=9)], 1, None),
        ([totals(waiting=1, answers=1, seconds=9)], 1, None),
        ([totals(answers=2, seconds=9)], 1, 0),
        ([totals(waiting=5, failed=5)], 1, None),
        ([totals(waiting=10, answers=3, seconds=30)], 1, 100),
        ([totals(waiting=10, answers=3, seconds=30)], 4, 25),
        ([totals(answers=4, seconds=4), totals("large", waiting=3, answers=4, seconds=40)], 1, 30),
        ([totals(waiting=1, answers=5, seconds=100)], 8, 20),
    ],
)
def test_what_waits_takes_the_mean_time_of_its_arm_shared_by_the_problems_at_once(arms, parallel, seconds):
    assert BatchProgress(arms, parallel).seconds_left() == (None if seconds is None else pytest.approx(seconds))


def test_a_time_is_told_as_exactly_as_it_is_known():
    seconds = (None, 0, 59, 60, 21 * 60 + 10, 3600, 2 * 3600 + 13 * 60)
    assert list(map(time_left, seconds)) == [
        *("time not known yet", "done", "under a minute left", "1 min left", "21 min left"),
        *("1 h 0 min left", "2 h 10 min left"),
    ]


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
