"""A batch that was interrupted comes to the texts, verdicts and counts of an undisturbed one."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from baton_reasoning.core.batch.running import progress
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import add_arms, create_batch
from baton_reasoning.core.batch.running.regrading import regrade
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.run import Pair
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Event
from baton_reasoning.core.thinking.policies.never import Never
from tests.core.batch.counting import batch_of, counting_pair, problems, unlike_after_reading
from tests.core.store.made import claim
from tests.core.thinking.oracles.worlds import World
from tests.core.thinking.running import settings_of
from tests.fakes.scripted import ScriptedEngine
from tests.patience import PATIENCE

Results = dict[tuple[str, int], tuple[ResultRow, list[Event]]]
"""By arm and position."""


def results(store: Store, batch: str) -> Results:
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


DISTURBANCES = st.one_of(
    st.builds(Disturbance, st.sampled_from(("stop", "finish", "pause", "fail")), st.integers(0, 600)),
    st.builds(Disturbance, st.sampled_from(("close", "kill", "add arm", "regrade")), st.integers(0, 30)),
)


class DisturbedBatch:
    """A batch in which things happen."""

    def __init__(self, store: Store, grader: Grader) -> None:
        self.store, self.grader = store, grader
        short = settings_of(Never.Settings(), seed=1).model_copy(update={"max_tokens": 60})
        self.arms = arms_of(("small", "baton", "random", "every-step"), short)
        self.id = create_batch(store, "b", problems(2), self.arms[:3])

    def take(self, disturbance: Disturbance, undisturbed: Results) -> None:
        match disturbance.kind:
            case "kill":
                self._leave_a_killed_text(disturbance.after, undisturbed)
            case "add arm":
                add_arms(self.store, self.id, self.arms)
            case "regrade":
                list(regrade(self.store, self.id, self.grader))
            case _:
                self.run(disturbance)

    def run_to_the_end(self) -> None:
        add_arms(self.store, self.id, self.arms)
        self.run(Disturbance("nothing", 0))

    def run(self, disturbance: Disturbance) -> None:
        small, large = World(5, tagged=True, drawn=True).engines
        runner = Runner(self.store, self.id, Pair(small, large), self.grader, parallel=2, retry=True)

        def happen(_: str) -> None:
            if small.written + large.written == disturbance.after:
                match disturbance.kind:
                    case "stop":
                        runner.stop()
                    case "finish":
                        runner.finish()
                    case "pause" if runner.under_way:  # the end of this answer resumes it
                        runner.pause()
                    case "fail":
                        raise EngineLost("The model's process ended.", "Open it again.")

        small.before_token = large.before_token = happen
        ended = self._results_of_jobs()
        with closing(runner.run()) as events:
            for number, event in enumerate(events):
                match event:
                    case progress.JobEnded(row):
                        ended[row.job] += 1
                        runner.resume()
                    case progress.JobRetried(row):
                        ended[row.job] -= 1
                    case progress.JobStarted(job):
                        assert not ended[job.id], "it has a result"
                if disturbance == ("close", number):
                    return
        assert +ended == self._results_of_jobs(), "one of each"

    def _results_of_jobs(self) -> Counter[int]:
        return Counter(row.job for row in self.store.batches.results(self.id) if row.state is JobState.DONE)

    def _leave_a_killed_text(self, length: int, undisturbed: Results) -> None:
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


def test_a_text_that_was_complete_is_only_graded(store, grader):
    undisturbed, killed = (batch_of(store, 1) for _ in range(2))
    list(Runner(store, undisturbed, counting_pair(), grader).run())
    (done,) = store.batches.results(undisturbed)
    (job,) = claim(store, killed)
    recorder = store.runs.record(job.run)
    recorder.record(store.runs.trace(done.run).events)
    recorder.finish().result()
    store.batches.give_back(job)
    pair = counting_pair()
    list(Runner(store, killed, pair, grader).run())
    (graded,) = store.batches.results(killed)
    assert (graded.answer, graded.verdict, graded.cost) == (done.answer, done.verdict, done.cost)
    assert isinstance(pair.small, ScriptedEngine)
    assert pair.small.sessions == []


class TwoAtOnce:
    """A batch of nine answers, two at once, each pair of which meets at its second token and then does something."""

    def __init__(self, store: Store, grader: Grader, then: Callable[[Runner], None]) -> None:
        batch = batch_of(store, 9)
        meeting = threading.Barrier(2, lambda: then(runner), PATIENCE)

        def meet(body: str) -> None:
            if body == "First":
                meeting.wait()

        engine = ScriptedEngine(continue_with=unlike_after_reading, before_token=meet)
        runner = Runner(store, batch, Pair(engine), grader, parallel=2)
        self.events = list(runner.run())
        self.states = [row.state for row in store.batches.results(batch)]


def test_told_to_finish_it_completes_what_is_under_way_and_begins_no_other(store, grader):
    batch = TwoAtOnce(store, grader, Runner.finish)
    assert progress.Finishing(2) in batch.events
    assert len([event for event in batch.events if isinstance(event, progress.JobEnded)]) == 2
    assert batch.states == [JobState.DONE] * 2 + [JobState.WAITING] * 7


def test_told_to_finish_while_it_is_paused_it_ends(store, grader):
    def pause_and_finish(runner: Runner) -> None:
        runner.pause()
        runner.finish()

    assert TwoAtOnce(store, grader, pause_and_finish).states.count(JobState.DONE) == 2


def test_told_to_stop_while_it_finishes_it_stops_at_once(store, grader):
    def finish_and_stop(runner: Runner) -> None:
        runner.finish()
        runner.stop()

    batch = TwoAtOnce(store, grader, finish_and_stop)
    assert len([event for event in batch.events if isinstance(event, progress.JobStopped)]) == 2
    assert set(batch.states) == {JobState.WAITING}


def test_told_to_finish_where_nothing_is_under_way_it_stops(store, grader):
    runner = Runner(store, batch_of(store, 2, "baton", "random"), counting_pair(), grader)
    happened: list[progress.BatchEvent] = []
    for event in runner.run():
        happened.append(event)
        runner.finish()
    assert [type(event) for event in happened] == [progress.Calibrated]
