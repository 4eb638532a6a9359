"""A batch is run, graded, saved as it goes, and gone on with after anything."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.tables import notes
from baton_reasoning.core.batch.running.arms import OtherModels, arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings, ModelSummary, add_arms, create_batch
from baton_reasoning.core.batch.running.progress import BatchEvent, Calibrated, JobEnded, JobRetried, JobStarted
from baton_reasoning.core.batch.running.runner import WARM_UP_TOKENS, Runner
from baton_reasoning.core.engines.base import Conversation, Placement
from baton_reasoning.core.errors import EngineLost, EngineRefused, SettingsError, StoreError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How, Outcome, Regex
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.store.run_cost import Cost
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import (
    batch_of,
    counting_pair,
    large_engine,
    number_in,
    problems,
    rest,
    small_engine,
    solution,
    unlike_after_reading,
)
from tests.fakes.full_disk import a_full_disk
from tests.fakes.scripted import Fault, ScriptedEngine
from tests.tiers import size

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
OFTEN_KILLED = 200
"""Problems: more than are solved before the last kill, even if the killing comes late on a busy machine."""
KILLS = size(3, long=20)


def run_all(
    store: Store, batch: str, pair: Pair, grader: Grader, parallel: int = 2, retry: bool = False
) -> list[BatchEvent]:
    return list(Runner(store, batch, pair, grader, parallel, retry=retry).run())


def rows(store: Store, batch: str, arm: str | None = None) -> list[ResultRow]:
    return list(store.batches.results(batch, arm))


def outcomes(store: Store, batch: str, arm: str) -> list[Outcome | None]:
    return [row.verdict.outcome if row.verdict else None for row in rows(store, batch, arm)]


def test_every_arm_solves_every_problem_with_every_seed_and_is_graded(store, grader):
    batch, pair = batch_of(store, 4, "small", "large", seeds=(1, 2)), counting_pair()
    events = run_all(store, batch, pair, grader)
    solved = [(row.arm, row.position, row.seed) for row in rows(store, batch) if row.state is JobState.DONE]
    assert solved == [(arm, n, seed) for n in range(4) for seed in (1, 2) for arm in ("small", "large")]
    right, wrong = Outcome.CORRECT, Outcome.WRONG
    assert outcomes(store, batch, "small") == [right, right, wrong, wrong] * 2
    assert outcomes(store, batch, "large") == [right] * 8
    assert sorted(each.row for each in events if isinstance(each, JobEnded)) == rows(store, batch)
    assert isinstance(pair.small, ScriptedEngine)
    assert len({session.calls[0].seed for session in pair.small.sessions}) == 8, "each has a seed of its own"


def test_a_problem_that_fails_has_the_reason_as_its_result_and_the_rest_goes_on(store, grader):
    """A model is lost; a server sends a list where a number belongs, which is not an error that Baton foresaw."""

    def text(conversation: Conversation, body: str) -> str:
        if number_in(conversation) == 1:
            raise TypeError("list indices must be integers")
        return rest(solution(number_in(conversation)), body)

    lost = EngineLost("The model's process ended.", "Open it again.")
    batch = batch_of(store, 3)
    run_all(store, batch, Pair(ScriptedEngine(continue_with=text, faults=[Fault(2, lost)])), grader, parallel=1)
    assert [(row.state, row.verdict is None, row.error) for row in rows(store, batch)] == [
        (JobState.DONE, True, str(lost)),
        (JobState.DONE, True, "An unexpected error: TypeError: list indices must be integers"),
        (JobState.DONE, False, ""),
    ]


def test_where_the_large_model_refuses_its_arms_have_errors_and_the_small_one_runs(store, grader):
    """Answers that the small model finished alone would count for the wrong arm."""
    refused = EngineRefused("The server refused the key (401).", "Enter another one.")
    large = ScriptedEngine(name="large", continue_with=lambda *_: "So.", faults=[Fault(0, refused, for_good=True)])
    small = ScriptedEngine(continue_with=lambda _, body: rest("A.\n\nWait, no.</think>\n\n\\boxed{1}", body))
    batch = batch_of(store, 2, "small", "baton", "random")
    run_all(store, batch, Pair(small, large), grader)
    errors = {arm: {row.error for row in rows(store, batch, arm)} for arm in ("small", "baton", "random as baton")}
    assert errors == {
        "small": {""},
        "baton": {str(refused)},
        "random as baton": {f"The chance of takeover could not be measured: {refused}"},
    }
    assert outcomes(store, batch, "baton") == [None, None]


def test_a_problem_that_does_not_fit_is_an_error_and_not_wrong(store, grader):
    batch = batch_of(store, 1)
    run_all(store, batch, Pair(small_engine().with_card(context=3)), grader)
    (row,) = rows(store, batch)
    assert "small holds 3. Choose a larger context." in row.error
    assert row.verdict is None


def test_what_an_engine_reported_stands_in_the_row(store, grader):
    engine = ScriptedEngine(continue_with=small_engine().continue_with, notices={2: "The server was slow."})
    batch = batch_of(store, 2)
    run_all(store, batch, Pair(engine), grader, parallel=1)
    assert [row.notices for row in rows(store, batch)] == [("The server was slow.",), ()]
    assert Results.read(store, batch).report.arms[0].notices == {"The server was slow.": 1}
    assert "Small only: 1 answer with the notice “The server was slow.”" in notes(Results.read(store, batch).report)


def test_all_arms_of_a_problem_come_before_the_next_problem(store, grader):
    """A batch that is stopped early has compared them all: one is calibrated before, and one was added later."""
    batch = batch_of(store, 3, "large", "baton", "random", seeds=(0, 1))
    add_arms(store, batch, arms_of(["small"], RunSettings()))
    calibrated, *events = run_all(store, batch, counting_pair(), grader, parallel=1)
    assert isinstance(calibrated, Calibrated)
    started = [(event.job.position, event.job.seed, event.job.arm) for event in events if isinstance(event, JobStarted)]
    arms = ("large", "baton", "random as baton", "small")
    assert started == [(position, seed, arm) for position in range(3) for seed in (0, 1) for arm in arms]


def test_the_chance_of_the_random_arm_is_kept_for_a_resume(store, grader):
    """Its share is that of the arm that runs with the settings of `baton`."""
    batch = batch_of(store, 4, "chosen", "random")
    for event in (runner := Runner(store, batch, counting_pair(), grader, parallel=1)).run():
        if isinstance(event, Calibrated):
            chance = event.chance
            runner.stop()
    events = run_all(store, batch, counting_pair(), grader)
    (again,) = [event for event in events if isinstance(event, Calibrated)]
    assert again.chance == chance
    assert BatchSettings.of(store.batches.open(batch)).chances == {"random as baton": chance}
    chosen, control = Results.read(store, batch).report.arms
    assert (chosen.name, control.done, control.failed, control.aimed_share) == ("chosen", 4, 0, again.share)


def test_each_row_has_the_conditions_under_which_it_was_written(store, grader):
    batch = batch_of(store, 3)
    run_all(store, batch, counting_pair(), grader, parallel=2)
    for row in rows(store, batch):
        assert row.conditions is not None
        assert (row.conditions.parallel, row.conditions.paused) == (2, False)
        assert 0 <= row.conditions.other_load <= 1
        assert row.started is not None
        assert row.ended is not None
        assert row.started <= row.ended


def test_a_model_that_is_missing_is_said_before_anything_runs(store, grader):
    batch = batch_of(store, 2, "small", "large")
    with pytest.raises(SettingsError, match="“large” cannot run: The policy “Large only” needs a large model"):
        run_all(store, batch, Pair(small_engine()), grader)
    assert not any(row.state is JobState.DONE for row in rows(store, batch))


def test_only_errors_are_tried_again(store, grader):
    batch = batch_of(store, 4)
    engine = ScriptedEngine(continue_with=small_engine().continue_with, faults=[Fault(2)])
    run_all(store, batch, Pair(engine), grader, parallel=1)
    failed = rows(store, batch)[0]
    assert store.runs.trace(failed.run).text
    another = counting_pair()
    assert another.small
    other_models = Pair(ScriptedEngine(name="another"), another.large)
    with pytest.raises(SettingsError, match="begun with the small model"):
        run_all(store, batch, other_models, grader, retry=True)
    assert rows(store, batch)[0].error == failed.error, "models that cannot try again leave it as it is"
    assert not [each for each in run_all(store, batch, another, grader) if isinstance(each, JobStarted)]
    retried, *events = run_all(store, batch, another, grader, retry=True)
    assert isinstance(retried, JobRetried)
    assert retried.row.job == failed.job
    assert [each.job.position for each in events if isinstance(each, JobStarted)] == [0]
    assert store.runs.trace(failed.run).text == "", "nothing else names it, so it would never be deleted"
    assert outcomes(store, batch, "small")[0] is Outcome.CORRECT


def test_a_batch_that_a_full_disk_ended_goes_on_in_the_same_program(store, grader):
    batch = batch_of(store, 2)
    with ExitStack() as disk:
        engine = ScriptedEngine(
            continue_with=small_engine().continue_with,
            before_token=lambda body: None if body else disk.enter_context(a_full_disk()),
        )
        with pytest.raises(StoreError, match="disk"):
            run_all(store, batch, Pair(engine), grader, parallel=1)
    run_all(store, batch, counting_pair(), grader)
    assert [store.runs.trace(row.run).text for row in rows(store, batch)] == [solution(0), solution(2)]
    assert [row.state for row in rows(store, batch)] == [JobState.DONE] * 2


def test_paused_it_begins_no_other_problem(store, grader):
    batch = batch_of(store, 3)
    runner = Runner(store, batch, counting_pair(), grader, parallel=1)
    happenings = runner.run()
    for happening in happenings:
        if isinstance(happening, JobStarted):
            runner.pause()
            break
    assert isinstance(next(happenings), JobEnded)
    assert runner.paused
    runner.resume()
    ended = [happening for happening in happenings if isinstance(happening, JobEnded)]
    assert store.batches.open(batch).done == len(ended) + 1 == 3


def test_whoever_stops_watching_stops_the_batch(store, grader):
    batch = batch_of(store, 50)
    happenings = Runner(store, batch, counting_pair(), grader, parallel=2).run()
    next(happenings)
    happenings.close()
    states = {row.state for row in rows(store, batch)}
    assert JobState.CLAIMED not in states
    assert JobState.WAITING in states


@pytest.mark.parametrize(
    ("other", "name"), [({"name": "another"}, "another"), ({"quantisation": "Q8_0"}, "small in Q8_0")]
)
def test_a_batch_is_not_gone_on_with_by_another_model_or_quantisation(store, grader, other, name):
    batch = batch_of(store, 1)
    run_all(store, batch, Pair(small_engine().with_card(quantisation="Q4_K_M")), grader)
    with pytest.raises(SettingsError, match=f"begun with the small model small in Q4_K_M, not {name}"):
        run_all(store, batch, Pair(small_engine().with_card(**other)), grader)
    run_all(store, batch, Pair(small_engine().with_card(quantisation="")), grader)  # an older server does not say it


def test_what_another_program_sets_meanwhile_is_kept_and_holds_from_then_on(store, grader, tmp_path):
    batch = batch_of(store, 2)
    file = tmp_path / "model.gguf"
    file.write_bytes(b"weights")

    def grade_otherwise(_: object) -> None:
        settings = BatchSettings.of(store.batches.open(batch))
        if settings.grade is How.AUTO:
            store.batches.set_settings(batch, settings.graded_by(Regex("no such words")).stored())

    engine = ScriptedEngine(continue_with=small_engine().continue_with, before_token=grade_otherwise)
    run_all(store, batch, Pair(engine.with_card(path=file)), grader, parallel=1)
    settings = BatchSettings.of(store.batches.open(batch))
    assert settings.how == Regex("no such words")
    assert settings.small
    assert settings.small.sha256
    assert outcomes(store, batch, "small") == [Outcome.WRONG] * 2


def test_arms_of_another_large_model_are_run_with_that_one_alone(store, grader):
    batch = create_batch(store, "two", problems(2), arms_of(["small", "large"], RunSettings(), larges=["big.gguf"]))
    big = large_engine().with_card(name="big", parameters=32, drafting="draft-mtp")
    list(Runner(store, batch, Pair(large=big), grader, models=OtherModels(large="big.gguf")).run())
    assert {row.state for row in rows(store, batch, "small") + rows(store, batch, "large")} == {JobState.WAITING}
    assert outcomes(store, batch, "large, big") == [Outcome.CORRECT] * 2
    run_all(store, batch, counting_pair(), grader)
    settings, (small, large) = BatchSettings.of(store.batches.open(batch)), (small_engine(), large_engine())
    assert (settings.small, settings.large) == (ModelSummary.of(small), ModelSummary.of(large))
    assert settings.other_larges == {"big.gguf": ModelSummary.of(big)}
    assert (ModelSummary.of(big).parameters, ModelSummary.of(big).drafting) == (32, "draft-mtp")


def test_the_random_arm_gets_the_large_share_of_the_other(store, grader):
    """The small model doubts itself at every second step; then the large one writes."""
    steps = "".join(f"Step {n} {'wait, no' if n % 2 else 'is fine'}, it is and will be so.\n\n" for n in range(20))
    text = f"{steps}</think>\n\n\\boxed{{1}}"
    small = ScriptedEngine(continue_with=lambda _, body: rest_from(text, body))
    large = ScriptedEngine(continue_with=lambda _, body: rest_from(text.replace("wait, no", "so"), body))
    batch = batch_of(store, 6, "baton", "random")
    events = run_all(store, batch, Pair(small, large), grader)
    arms = ("baton", "random as baton")
    shares = {arm: Cost.total(row.cost for row in rows(store, batch, arm)).large_share for arm in arms}
    assert any(isinstance(each, Calibrated) and 0 < each.chance <= 1 for each in events)
    assert 0 < shares["baton"] < 1
    assert shares["random as baton"] == pytest.approx(shares["baton"], abs=0.12)


def rest_from(text: str, body: str) -> str:
    """The steps of the text that the body does not have yet."""
    done = body.count("\n\n")
    return "\n\n".join(text.split("\n\n")[done:])


@pytest.mark.slow
@pytest.mark.scaled
def test_killed_many_times_no_problem_is_lost_no_result_is_made_twice_and_no_text_is_changed(tmp_path):
    path, dice = tmp_path / "baton.sqlite", random.Random(5)
    with Store.open(path) as store:
        batch = batch_of(store, OFTEN_KILLED)
    for _ in range(KILLS):
        with Store.open(path) as store:
            done = {row.job for row in rows(store, batch) if row.state is JobState.DONE}
        started = lines_until_killed(path, batch, after=dice.randint(1, 90))
        assert not done & started
    with Store.open(path) as store:
        assert 0 < store.batches.open(batch).done < OFTEN_KILLED, "all was done before the last kill"
        with Grader() as grader:
            run_all(store, batch, Pair(ScriptedEngine(continue_with=unlike_after_reading)), grader)
        assert [store.runs.trace(row.run).text for row in rows(store, batch)] == [
            solution(n) for n in range(OFTEN_KILLED)
        ]
        assert {row.verdict.outcome for row in rows(store, batch) if row.verdict} == {Outcome.CORRECT}


def lines_until_killed(path: Path, batch: str, after: int) -> set[int]:
    """The jobs that a run of the batch began before kill -9, which comes after so many lines of its output."""
    program = [sys.executable, "-m", "tests.core.batch.killed_batch", str(path), batch]
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


LOCAL = Placement(shares=(), batch=512, threads=2, kv_type="f16")


def test_each_model_on_this_machine_warms_up_before_the_first_answer(store, grader):
    batch = batch_of(store, 2, "small", "large")
    small, large = small_engine().with_card(placement=LOCAL), large_engine().with_card(placement=LOCAL)
    run_all(store, batch, Pair(small, large), grader, parallel=1)
    for engine in (small, large):
        first, *others = (session.conversation[-1].content.splitlines()[0] for session in engine.sessions)
        assert (first, others) == ("Warm-up. Count to 0.", ["Count to 0.", "Count to 1."])
    assert small.sessions[0].written == WARM_UP_TOKENS
    assert [arm.done for arm in Results.read(store, batch).report.arms] == [2, 2]


def test_only_models_that_are_needed_and_local_warm_up(store, grader):
    batch = batch_of(store, 1, "small")
    server, idle = small_engine(), large_engine().with_card(placement=LOCAL)
    run_all(store, batch, Pair(server, idle), grader)
    assert (len(server.sessions), len(idle.sessions)) == (1, 0)
