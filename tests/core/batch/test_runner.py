"""A batch is run, graded and saved as it goes; interrupted, changed and graded again it comes to the same results."""

import ctypes
import hashlib
import threading
from collections import Counter
from contextlib import ExitStack, closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from baton_reasoning.core import awake
from baton_reasoning.core.analysis.run_cost import Cost, RunCost
from baton_reasoning.core.awake import CONTINUOUS, SYSTEM_REQUIRED
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.arms import Arm, OtherModels, arms_of
from baton_reasoning.core.batch.running.batch import (
    BatchSettings,
    ModelSummary,
    add_arms,
    change_settings,
    create_batch,
)
from baton_reasoning.core.batch.running.control import BatchControl
from baton_reasoning.core.batch.running.execution import execute
from baton_reasoning.core.batch.running.progress import (
    BatchProgress,
    Calibrated,
    Calibrating,
    Finishing,
    JobEnded,
    JobRetried,
    JobStarted,
    JobStopped,
    ModelsHashed,
    PolicyChosen,
    time_left,
    time_taken,
)
from baton_reasoning.core.batch.running.regrading import regrade, regraded_in_words
from baton_reasoning.core.batch.running.runner import WARM_UP_TOKENS, Runner
from baton_reasoning.core.engines.base import Placement
from baton_reasoning.core.errors import EngineLost, EngineRefused, SettingsError, StoreError
from baton_reasoning.core.files import HASHED_AT_ONCE
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import GradingMethod, Outcome, Regex, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.batches import ArmTotals, Conditions, JobState, ResultRow
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.policies.alone import Never
from baton_reasoning.core.thinking.policies.automatic import Automatic
from baton_reasoning.core.thinking.policies.keywords import Keywords
from baton_reasoning.core.thinking.policies.token_entropy import TokenEntropy
from tests.another_program import another_program
from tests.core.batch.counting import (
    batch_of,
    counting_pair,
    damage,
    doubting_pair,
    large_engine,
    number_in,
    outcomes,
    problems,
    rest,
    rows_of,
    run_batch,
    small_engine,
    solution,
    solved,
)
from tests.core.store.made import a_run, claim, save
from tests.core.thinking.running import World, settings_of
from tests.fakes.full_disk import a_full_disk
from tests.fakes.scripted import THINK, Fault, ScriptedEngine
from tests.patience import PATIENCE

HELD = CONTINUOUS | SYSTEM_REQUIRED
CORRECT, WRONG, UNSCORED = Outcome.CORRECT, Outcome.WRONG, Outcome.UNSCORED


def test_every_arm_solves_every_problem_with_every_seed_and_is_graded(store):
    batch = batch_of(store, 4, "small", "large", seeds=(1, 2))
    events = run_batch(store, batch)
    rows = rows_of(store, batch)
    done = [(row.arm, row.position, row.seed) for row in rows if row.state is JobState.DONE]
    assert done == [(arm, n, seed) for n in range(4) for seed in (1, 2) for arm in ("small", "large")]
    assert outcomes(store, batch, "small") == [CORRECT, CORRECT, WRONG, WRONG] * 2
    assert outcomes(store, batch, "large") == [CORRECT] * 8
    assert sorted(each.row for each in events if isinstance(each, JobEnded)) == rows
    for row in rows:
        started = store.runs.trace(row.run).started
        assert started.seed == row.seed * 1_000_003 + row.position
        assert row.conditions == Conditions(parallel=2, threads=0)


def test_a_problem_that_fails_has_the_reason_as_its_result_and_the_rest_goes_on(store):
    def text(conversation, body):
        if number_in(conversation) == 1:
            raise TypeError("list indices must be integers")  # which Baton did not foresee
        return rest(solution(number_in(conversation)), body)

    lost = EngineLost("The model's process ended.", "Open it again.")
    batch = batch_of(store, 3)
    run_batch(store, batch, Pair(ScriptedEngine(continue_with=text, faults=[Fault(2, lost)])), parallel=1)
    assert [(row.state, row.verdict is None, row.error) for row in rows_of(store, batch)] == [
        (JobState.DONE, True, str(lost)),
        (JobState.DONE, True, "An unexpected error: TypeError: list indices must be integers"),
        (JobState.DONE, False, ""),
    ]
    narrow = batch_of(store, 1)
    run_batch(store, narrow, Pair(small_engine().with_card(context=3)))
    (row,) = rows_of(store, narrow)
    assert "small holds 3. Choose a larger context." in row.error
    assert row.verdict is None, "an answer that does not fit is not wrong"


def test_where_the_large_model_refuses_its_arms_have_errors_and_the_small_one_runs(store):
    refused = EngineRefused("The server refused the key (401).", "Enter another one.")
    large = ScriptedEngine(name="large", continue_with=lambda *_: "So.", faults=[Fault(0, refused, for_good=True)])
    small = ScriptedEngine(continue_with=lambda _, body: rest("A.\n\nWait, no.</think>\n\n\\boxed{1}", body))
    batch = batch_of(store, 2, "small", "baton", "random")
    run_batch(store, batch, Pair(small, large))
    errors = {arm: {row.error for row in rows_of(store, batch, arm)} for arm in ("small", "baton", "random")}
    unmeasured = f"The chance of takeover could not be measured: {refused}"
    assert errors == {"small": {""}, "baton": {str(refused)}, "random": {unmeasured}}
    assert outcomes(store, batch, "baton") == [None, None]


@pytest.mark.slow
def test_the_random_arm_gets_the_large_share_of_the_other_and_keeps_its_chance_for_a_resume(store, grader):
    batch = batch_of(store, 6, "chosen", "random")
    for event in (runner := Runner(store, batch, doubting_pair(), grader, parallel=1)).run():
        if isinstance(event, Calibrated):
            chance = event.chance
            runner.control.stop()
    assert 0 < chance <= 1
    (again,) = [event for event in run_batch(store, batch, doubting_pair()) if isinstance(event, Calibrated)]
    assert BatchSettings.of(store.batches.open(batch)).chances == {"random": chance}
    chosen, control = Results.read(store, batch).report.arms
    assert (again.chance, again.share) == (chance, control.aimed_share)
    assert (chosen.name, control.done, control.failed) == ("chosen", 6, 0)
    shares = [Cost.total(row.cost for row in rows_of(store, batch, arm.name)).large_share for arm in (chosen, control)]
    assert 0 < shares[0] < 1
    assert shares[1] == pytest.approx(shares[0], abs=0.12)


def test_only_errors_are_tried_again_and_by_the_models_that_were_there(store):
    batch = batch_of(store, 4)
    q4 = {"quantisation": "Q4_K_M"}
    run_batch(store, batch, Pair(small_engine(faults=[Fault(2)]).with_card(**q4)), parallel=1)
    failed = rows_of(store, batch)[0]
    assert store.runs.trace(failed.run).text
    for name, other in (("another in Q4_K_M", q4 | {"name": "another"}), ("small in Q8_0", {"quantisation": "Q8_0"})):
        with pytest.raises(SettingsError, match=rf"begun with the small model small in Q4_K_M \(on .*\), not {name}"):
            run_batch(store, batch, Pair(small_engine().with_card(**other)))
    assert rows_of(store, batch)[0].error == failed.error, "models that cannot try again leave it as it is"
    retried, *events = run_batch(store, batch)  # an older server does not say its quantisation
    assert isinstance(retried, JobRetried)
    assert retried.row.job == failed.job
    assert [each.job.position for each in events if isinstance(each, JobStarted)] == [0]
    assert store.runs.trace(failed.run).text == "", "nothing else names it, so it would never be deleted"
    assert outcomes(store, batch, "small")[0] is CORRECT
    missing = batch_of(store, 2, "small", "large")
    with pytest.raises(SettingsError, match="“large” cannot run: The policy “Large only” needs a large model"):
        run_batch(store, missing, Pair(small_engine()))
    assert not any(row.state is JobState.DONE for row in rows_of(store, missing))


def test_a_batch_that_a_full_disk_ended_goes_on_in_the_same_program(store):
    batch = batch_of(store, 2)
    with ExitStack() as disk:
        engine = small_engine(before_token=lambda body: None if body else disk.enter_context(a_full_disk()))
        with pytest.raises(StoreError, match="disk"):
            run_batch(store, batch, Pair(engine), parallel=1)
    run_batch(store, batch)
    assert [store.runs.trace(row.run).text for row in rows_of(store, batch)] == [solution(0), solution(2)]
    assert [row.state for row in rows_of(store, batch)] == [JobState.DONE] * 2


def test_paused_it_begins_no_other_problem_and_whoever_stops_watching_stops_it(store, grader):
    batch = batch_of(store, 50)

    def pause_at_once(body):
        if not body:
            runner.control.pause()

    runner = Runner(store, batch, Pair(small_engine(before_token=pause_at_once)), grader, parallel=1)
    with closing(runner.run()) as events:
        next(each for each in events if isinstance(each, JobEnded))
        assert runner.control.paused
        assert Counter(row.state for row in rows_of(store, batch)) == {JobState.DONE: 1, JobState.WAITING: 49}
        runner.control.resume()
        next(each for each in events if isinstance(each, JobStarted))
    assert {row.state for row in rows_of(store, batch)} == {JobState.DONE, JobState.WAITING}


def test_the_machine_is_awake_from_the_first_event_to_the_last_and_until_nobody_watches(store, grader, monkeypatch):
    asked: list[int] = []
    windows = SimpleNamespace(kernel32=SimpleNamespace(SetThreadExecutionState=asked.append))
    monkeypatch.setattr(ctypes, "windll", windows, raising=False)
    monkeypatch.setattr(awake, "sys", SimpleNamespace(platform="win32"))

    def run(batch):
        return execute(store, batch, lambda _: nullcontext(Pair(small_engine())), grader=grader)

    assert [asked.copy() for _ in run(batch_of(store, 2))] == [[HELD]] * 6  # loading and two answers begin and end
    assert asked == [HELD, CONTINUOUS]
    with closing(run(batch_of(store, 2))) as events:
        next(events)
    assert asked[2:] == [HELD, CONTINUOUS]


def small_model(store, batch):
    found = BatchSettings.of(store.batches.open(batch)).small
    assert found
    return found


def test_a_batch_goes_on_with_the_same_weights_wherever_their_file_is_and_with_no_others(store, tmp_path):
    batch, file, moved = batch_of(store, 2), tmp_path / "model.gguf", tmp_path / "renamed.gguf"
    file.write_bytes(b"weights")
    moved.write_bytes(b"weights")
    first = small_engine(faults=[Fault(1, EngineLost("The model is gone."))]).with_card(path=file)
    events = run_batch(store, batch, Pair(first), parallel=1)
    assert isinstance(events[0], ModelsHashed), "before any answer is timed"
    assert [each for each in events if isinstance(each, ModelsHashed)] == [ModelsHashed(1.0)]
    file.write_bytes(b"WEIGHTS")
    for other in (small_engine().with_card(path=file), small_engine(), small_engine().with_card(path=tmp_path / "x")):
        with pytest.raises(
            SettingsError, match=r"begun with the small model small \(model\.gguf, SHA-256 \w{12}…\), not"
        ):
            run_batch(store, batch, Pair(other))
    assert [bool(row.error) for row in rows_of(store, batch)] == [True, False]
    run_batch(store, batch, Pair(small_engine().with_card(path=moved, name="named otherwise")))
    assert [bool(row.error) for row in rows_of(store, batch)] == [False, False]
    assert small_model(store, batch).sha256 == hashlib.sha256(b"weights").hexdigest()


def test_a_model_on_a_server_is_known_by_its_name_and_the_server(store):
    batch = batch_of(store, 1)
    run_batch(store, batch, Pair(small_engine().with_card(location="office")))
    with pytest.raises(SettingsError, match=r"begun with the small model small \(on office\), not small \(on attic\)"):
        run_batch(store, batch, Pair(small_engine().with_card(location="attic")))


def test_all_files_of_a_model_are_read_and_a_stop_meanwhile_runs_nothing(store, grader, tmp_path):
    parts = [tmp_path / f"model-0000{number}-of-00002.gguf" for number in (1, 2)]
    for number, part in enumerate(parts):
        part.write_bytes(bytes([number] * 3 * HASHED_AT_ONCE))
    batch, engine = batch_of(store, 1), small_engine().with_card(path=parts[0])
    stopped = Runner(store, batch, Pair(engine), grader)
    events = stopped.run()
    assert next(events) == ModelsHashed(1 / 6)
    stopped.control.stop()
    assert list(events) == []
    assert engine.sessions == []
    run_batch(store, batch, Pair(engine))
    hashes = ",".join(hashlib.sha256(part.read_bytes()).hexdigest() for part in parts)
    assert small_model(store, batch).sha256 == hashes
    for shares in ([], [1.0]):
        events = run_batch(store, batch_of(store, 1), Pair(engine))
        told = [event.share for event in events if isinstance(event, ModelsHashed)]
        assert told == shares, "what is known is not read, and counts as read"
        parts[1].write_bytes(b"another")


@pytest.mark.slow
def test_what_another_program_sets_meanwhile_is_kept_and_holds_from_then_on(store, tmp_path):
    batch = batch_of(store, 2)
    file = tmp_path / "model.gguf"
    file.write_bytes(b"weights")

    def grade_otherwise(_):
        settings = BatchSettings.of(store.batches.open(batch))
        if settings.grade is GradingMethod.AUTO:
            change_settings(store, batch, lambda now: now.graded_by(Regex("no such words")))

    run_batch(store, batch, Pair(small_engine(before_token=grade_otherwise).with_card(path=file)), parallel=1)
    assert BatchSettings.of(store.batches.open(batch)).how == Regex("no such words")
    assert small_model(store, batch).sha256 == hashlib.sha256(b"weights").hexdigest()
    assert outcomes(store, batch, "small") == [WRONG] * 2


def test_arms_of_another_large_model_are_run_with_that_one_alone(store):
    batch = create_batch(store, "two", problems(2), arms_of(["small", "large"], RunSettings(), larges=["big.gguf"]))
    big = large_engine().with_card(name="big", parameters=32, drafting="draft-mtp")
    run_batch(store, batch, Pair(large=big), models=OtherModels(large="big.gguf"))
    waiting = rows_of(store, batch, "small") + rows_of(store, batch, "large")
    assert {row.state for row in waiting} == {JobState.WAITING}
    assert outcomes(store, batch, "large, big") == [CORRECT] * 2
    run_batch(store, batch)
    settings, (small, large) = BatchSettings.of(store.batches.open(batch)), (small_engine(), large_engine())
    assert (settings.small, settings.large) == (ModelSummary.of(small), ModelSummary.of(large))
    named = settings.other_larges["big.gguf"]
    assert (named, named.parameters, named.drafting) == (ModelSummary.of(big), 32, "draft-mtp")


def test_each_model_that_is_needed_and_on_this_machine_warms_up_before_the_first_answer(store):
    here = {"placement": Placement(shares=(), batch=512, threads=2, kv_type="f16")}
    batch = batch_of(store, 2, "small", "large")
    small, large = small_engine().with_card(**here), large_engine().with_card(**here)
    run_batch(store, batch, Pair(small, large), parallel=1)
    for engine in (small, large):
        first, *others = (session.conversation[-1].content.splitlines()[0] for session in engine.sessions)
        assert (first, others) == ("Warm-up. Count to 0.", ["Count to 0.", "Count to 1."])
    assert small.sessions[0].written == WARM_UP_TOKENS
    assert [arm.done for arm in Results.read(store, batch).report.arms] == [2, 2]
    assert {row.conditions.threads for row in rows_of(store, batch) if row.conditions} == {2}
    server, idle = small_engine(), large_engine().with_card(**here)
    run_batch(store, batch_of(store, 1), Pair(server, idle))
    assert (len(server.sessions), len(idle.sessions)) == (1, 0)


@pytest.mark.parametrize(
    ("answer", "how", "outcome"),
    [
        ("The capital of that country is Paris.", GradingMethod.AUTO, Outcome.CORRECT),
        ("The answer is Rome.", GradingMethod.AUTO, Outcome.WRONG),
        ("The answer is (B).", GradingMethod.CHOICE, Outcome.CORRECT),
        ("The answer is Paris.", GradingMethod.CHOICE, Outcome.UNSCORED),
    ],
)
def test_an_option_is_chosen_by_its_letter_or_its_text(store, answer, how, outcome):
    question = Problem("p", "Which is the capital?\n\nA) Rome\nB) Paris\nC) Bern", "B", {}, 1)
    pair = Pair(ScriptedEngine(continue_with=lambda *_: f"{THINK.closing}{answer}"))
    batch = solved(store, "small", pair=pair, found=[question], how=how)
    assert [row.outcome for row in rows_of(store, batch)] == [outcome]


# Whatever interrupts it, the results are those of an undisturbed batch


def results(store, batch):
    """The rows and their stored events by arm and position, times and machine load aside."""
    found = {}
    for row in store.batches.results(batch):
        cost = row.cost.model_copy(update={"seconds": 0.0, "seconds_to_answer": None})
        events = store.runs.trace(row.run).events
        timeless = row._replace(job=0, run="", cost=cost, conditions=None, started=None, ended=None)
        found[row.arm, row.position] = timeless, [replace(event, at=0.0) for event in events]
    return found


class Disturbance(NamedTuple):
    kind: str
    after: int
    """Tokens of all texts before it; of "close" events of the runner, of "kill" events of the text that is left."""


WHILE_WRITING = st.builds(Disturbance, st.sampled_from(["stop", "finish", "pause", "fail"]), st.integers(0, 600))
OTHERS = st.builds(
    Disturbance, st.sampled_from(["close", "kill", "add arm", "regrade", "grade otherwise"]), st.integers(0, 30)
)


def disturb(runner, kind):
    match kind:
        case "stop":
            runner.control.stop()
        case "finish":
            runner.control.finish()
        case "pause" if runner.control.under_way:  # the end of this answer resumes it
            runner.control.pause()
        case "fail":
            raise EngineLost("The model's process ended.", "Open it again.")


class DisturbedBatch:
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
            case "regrade" | "grade otherwise" as kind:
                list(regrade(self.store, self.id, self.grader, None if kind == "regrade" else GradingMethod.EXACT))
            case _:
                self.run(disturbance)

    def run_to_the_end(self):
        add_arms(self.store, self.id, self.arms)
        self.run(Disturbance("nothing", 0))
        list(regrade(self.store, self.id, self.grader, GradingMethod.AUTO))

    def run(self, disturbance):
        small, large = World(5, tagged=True, drawn=True).engines
        runner = Runner(self.store, self.id, Pair(small, large), self.grader, parallel=2)

        def happen(_):
            if small.written + large.written == disturbance.after:
                disturb(runner, disturbance.kind)

        small.before_token = large.before_token = happen
        ended, counts = self._results_of_jobs(), BatchProgress(self.store.batches.totals(self.id), 2)
        with closing(runner.run()) as events:
            for number, event in enumerate(events):
                match event:
                    case JobEnded(row):
                        ended[row.job] += 1
                        counts.take(event)
                        runner.control.resume()
                    case JobRetried(row):
                        ended[row.job] -= 1
                        counts.take(event)
                    case JobStarted(job):
                        assert not ended[job.id], "it has a result"
                    case Calibrating():
                        runner.control.resume()
                if disturbance == ("close", number):
                    return
        assert +ended == self._results_of_jobs(), "one of each"
        read = BatchProgress(self.store.batches.totals(self.id), 2)
        assert counts.total[:-1] == read.total[:-1]
        assert counts.seconds_left() == pytest.approx(read.seconds_left())
        for arm in self.arms:
            assert counts.to_run(arm.name) == read.to_run(arm.name)

    def _results_of_jobs(self):
        return Counter(row.job for row in self.store.batches.results(self.id) if row.state is JobState.DONE)

    def _leave_a_killed_text(self, length, undisturbed):
        for job in claim(self.store, self.id):
            save(self.store, job.run, undisturbed[job.arm, job.position][1][:length], anew=True)
            killed = "UPDATE jobs SET owner = '999999999@then' WHERE id = ?"
            self.store.batches._database.execute(killed, job.id).result()


@pytest.fixture
def undisturbed(store, grader):
    batch = DisturbedBatch(store, grader)
    batch.run_to_the_end()
    return results(store, batch.id)


@pytest.mark.slow
@pytest.mark.scaled
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WHILE_WRITING | OTHERS, max_size=5))
def test_whatever_happens_a_batch_ends_as_an_undisturbed_one(store, grader, undisturbed, disturbances):
    batch = DisturbedBatch(store, grader)
    for disturbance in disturbances:
        batch.take(disturbance, undisturbed)
    batch.run_to_the_end()
    assert results(store, batch.id) == undisturbed


def run_elsewhere(path, batch):
    """Run a batch in a program of its own, which waits within its first answers until it reads a line."""
    has_begun, goes_on, ended = threading.Event(), threading.Event(), 0

    def wait(_):
        if has_begun.is_set():
            goes_on.wait(PATIENCE)

    with Store.open(Path(path)) as store, Grader(PATIENCE) as grader:
        small, large = World(5, tagged=True, drawn=True).engines
        small.before_token = large.before_token = wait
        for event in Runner(store, batch, Pair(small, large), grader, parallel=2).run():
            ended += isinstance(event, JobEnded)
            if isinstance(event, JobStarted) and not has_begun.is_set():
                has_begun.set()
                print("has begun", flush=True)
                input()
                goes_on.set()
    print(ended, flush=True)


@pytest.mark.slow
def test_two_programs_that_cannot_see_each_other_share_a_batch_and_no_text(store, path, grader, undisturbed):
    batch, mine = DisturbedBatch(store, grader), 0
    add_arms(store, batch.id, batch.arms)
    with another_program(run_elsewhere, path, batch.id, in_namespace=True) as other:
        assert other.stdout.readline() == "has begun\n"
        small, large = World(5, tagged=True, drawn=True).engines
        for event in Runner(store, batch.id, Pair(small, large), grader, parallel=2).run():
            mine += isinstance(event, JobEnded)
            if mine == 1:
                print(file=other.stdin, flush=True)
        theirs = int(other.stdout.readline())
    assert min(mine, theirs) > 0
    assert mine + theirs == store.batches.open(batch.id).jobs, "each answer was written by one of them"
    assert results(store, batch.id) == undisturbed


def test_a_job_that_another_program_has_claimed_since_is_left_to_it(store, grader):
    """This one slept for minutes, so that the other took it for dead."""
    batch = batch_of(store, 2)

    def taken_over(body):
        if body.endswith("Then we look.") and not taken:
            taken.append(True)
            (row,) = (each for each in rows_of(store, batch) if each.state is JobState.CLAIMED)
            store.batches._database.execute("UPDATE jobs SET owner = '1@0.00' WHERE id = ?", row.job).result()
            (job,) = claim(store, batch)
            assert job.attempt == 2
            save(store, job.run, a_run(answer="It is 0."), anew=True)
            store.batches.finish(job, "0", None)

    taken = []
    events = run_batch(store, batch, Pair(small_engine(before_token=taken_over)), parallel=1)
    assert [type(event) for event in events] == [JobStarted, JobStopped, JobStarted, JobEnded]
    first, second = rows_of(store, batch)
    assert first.answer == "0"
    assert store.runs.trace(first.run).events == a_run(answer="It is 0.")
    assert second.outcome is WRONG


def test_answers_that_another_program_adds_while_they_are_graded_again_change_nothing(store, grader):
    batch = answered(store, expected="0.5")
    add_arms(store, batch, arms_of(["large"], RunSettings()))
    before = rows_of(store, batch)
    grading = regrade(store, batch, grader, GradingMethod.EXACT)
    next(grading)
    (job,) = claim(store, batch)
    with pytest.raises(StoreError, match="Another Baton writes answers of this batch"):
        list(grading)
    grading = regrade(store, batch, grader, GradingMethod.EXACT)
    store.batches.finish(job, "", None)
    assert rows_of(store, batch)[:2] == before[:2]
    assert BatchSettings.of(store.batches.open(batch)).grade is GradingMethod.AUTO


def test_a_text_that_was_complete_is_only_graded(store):
    undisturbed, killed = (batch_of(store, 1) for _ in range(2))
    run_batch(store, undisturbed)
    (done,) = rows_of(store, undisturbed)
    (job,) = claim(store, killed)
    save(store, job.run, store.runs.trace(done.run).events)
    store.batches.give_back(job)
    silent = ScriptedEngine()
    run_batch(store, killed, Pair(silent))
    (graded,) = rows_of(store, killed)
    assert (graded.answer, graded.verdict, graded.cost) == (done.answer, done.verdict, done.cost)
    assert silent.sessions == []


@pytest.mark.parametrize(
    ("calls", "ended", "stopped"),
    [((BatchControl.pause, BatchControl.finish), 2, 0), ((BatchControl.finish, BatchControl.stop), 0, 2)],
)
def test_told_to_finish_it_completes_what_is_under_way_unless_it_is_stopped(store, grader, calls, ended, stopped):
    """Nine answers, two at once, each pair of which meets at its second token."""
    batch = batch_of(store, 9)

    def act():
        for call in calls:
            call(runner.control)

    meeting = threading.Barrier(2, act, PATIENCE)

    def meet(body):
        if body == "First":
            meeting.wait()

    runner = Runner(store, batch, Pair(small_engine(before_token=meet)), grader, parallel=2)
    events = list(runner.run())
    assert Finishing(2) in events
    kinds = Counter(map(type, events))
    assert (kinds[JobEnded], kinds[JobStopped]) == (ended, stopped)
    states = [row.state for row in rows_of(store, batch)]
    assert states == [JobState.DONE] * ended + [JobState.WAITING] * (9 - ended)
    assert (runner.control.ending, runner.control.under_way) == (True, 0)


def test_told_to_finish_where_nothing_is_under_way_it_stops(store, grader):
    runner = Runner(store, batch_of(store, 2, "baton", "random"), counting_pair(), grader)
    events = runner.run()
    next(each for each in events if isinstance(each, Calibrated))
    runner.control.finish()
    assert list(events) == []


# Grading again runs nothing and writes nothing anew


def answered(store, expected="1/2", fault=None):
    """A batch of two problems; both are answered with 0.50, or the first ends in an error."""
    found = [Problem(f"p{n}", "How fast?", expected, {}, n) for n in range(2)]
    batch = create_batch(store, "speeds", found, arms_of(["small"], RunSettings()))
    text = "</think>The speed is 0.50 m/s, so \\boxed{0.50}."
    engine = ScriptedEngine(continue_with=lambda _, body: text.removeprefix(body), faults=[fault] if fault else [])
    run_batch(store, batch, Pair(engine), parallel=1)
    return batch


@pytest.mark.slow
def test_every_way_to_grade_gives_its_verdicts_which_stay_and_hold_for_what_is_run_later(store, grader):
    batch = answered(store)
    for how, outcome in (
        (GradingMethod.NUMERIC, CORRECT),
        (GradingMethod.EXACT, WRONG),
        (GradingMethod.AUTO, CORRECT),
        (GradingMethod.CHOICE, UNSCORED),
        (Regex("speed is {expected}"), WRONG),
        (Regex(" m/s"), CORRECT),
    ):
        yielded = [row.verdict.outcome if row.verdict else None for row, _ in regrade(store, batch, grader, how)]
        assert yielded == outcomes(store, batch) == [outcome] * 2
    list(regrade(store, batch, grader))
    add_arms(store, batch, arms_of(["large"], RunSettings()))
    run_batch(store, batch, Pair(large=ScriptedEngine("</think>It is 3 km/s.")))
    assert outcomes(store, batch) == [CORRECT] * 2 + [WRONG] * 2


def test_answers_are_found_in_the_texts_by_the_grader_of_today(store, grader):
    batch = answered(store, expected="0.5")
    older = Verdict(WRONG, GradingMethod.EXACT, "As an older version graded it.")
    jobs = [row.job for row in rows_of(store, batch)]
    store.batches.regrade(batch, lambda _: {}, {jobs[0]: ("", older), jobs[1]: ("0.50", older)})
    found = list(regrade(store, batch, grader))
    assert [(row.answer, row.outcome) for row in rows_of(store, batch)] == [("0.50", CORRECT)] * 2
    assert regraded_in_words(found) == "2 answers were graded again: 2 have another verdict."
    assert regraded_in_words(found[:1]) == "1 answer was graded again: 1 has another verdict."


def test_what_is_stopped_running_damaged_waiting_or_an_error_is_not_graded_again(store, path, grader):
    batch = answered(store, fault=Fault(1, EngineLost("The model is gone.")))
    add_arms(store, batch, arms_of(["large"], RunSettings()))
    assert len(list(regrade(store, batch, grader, GradingMethod.NUMERIC))) == 1
    before = rows_of(store, batch)
    assert [bool(row.error) for row in before] == [True, False, False, False]
    assert Counter(row.state for row in before) == {JobState.DONE: 2, JobState.WAITING: 2}
    graded = regrade(store, batch, grader, GradingMethod.EXACT)
    next(graded)
    graded.close()
    damage(path)
    assert list(regrade(store, batch, grader)) == []
    assert rows_of(store, batch) == before
    assert BatchSettings.of(store.batches.open(batch)).grade is GradingMethod.NUMERIC
    store.batches.claim(batch)
    with pytest.raises(SettingsError, match=r"“speeds” is running\. Wait until it is done, or stop it"):
        list(regrade(store, batch, grader, GradingMethod.EXACT))
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
    done = ResultRow(0, "", "small", 0, 0, JobState.DONE, "", None, "", None, RunCost())
    rows = []
    for seconds in ((0, 10), (2, 4), (8, 12), (100, 105)):
        began, ended = (start + timedelta(seconds=each) for each in seconds)
        rows.append(done._replace(started=began, ended=ended))
    assert time_taken(rows) == 17
    assert time_taken([]) == 0
    assert time_taken([rows[0]._replace(ended=None)]) == 0


def test_the_arms_of_a_batch_are_stored_with_the_policy_that_it_was(store):
    def arms_after(pair: Pair) -> tuple[list[PolicyChosen], dict[str, Arm]]:
        arms = arms_of(["chosen", "baton"], RunSettings(policy=Automatic.Settings()))
        batch = create_batch(store, "counting", problems(2), arms, (0,))
        told = [event for event in run_batch(store, batch, pair) if isinstance(event, PolicyChosen)]
        stored = (store.runs.read(row.run).trace.started for row in store.batches.results(batch, "chosen"))
        used = {started.policy for started in stored if started}
        found = {arm.name: arm for arm in map(Arm.of, store.batches.open(batch).arms)}
        assert used == {found["chosen"].settings.policy.policy}
        return told, found

    told, arms = arms_after(counting_pair())
    assert (told, arms["chosen"].settings.policy) == ([], Keywords.Settings())
    told, arms = arms_after(Pair(small_engine().with_card(thinking=None), large_engine()))
    assert [event.arm for event in told] == ["chosen"]
    policies = arms["chosen"].settings.policy, arms["baton"].settings.policy
    assert policies == (TokenEntropy.Settings(), Keywords.Settings())
