"""A batch is run, graded and saved as it goes; its errors, its models and what other programs change."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.arms import OtherModels, arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings, ModelSummary, add_arms, create_batch
from baton_reasoning.core.batch.running.progress import Calibrated, JobEnded, JobRetried, JobStarted
from baton_reasoning.core.batch.running.runner import WARM_UP_TOKENS, LoadMeter, Runner
from baton_reasoning.core.engines.base import Placement
from baton_reasoning.core.errors import EngineLost, EngineRefused, SettingsError, StoreError
from baton_reasoning.core.grading.verdict import How, Outcome, Regex
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.batches import JobState
from baton_reasoning.core.store.run_cost import Cost
from tests.core.batch.counting import (
    batch_of,
    counting_pair,
    large_engine,
    number_in,
    outcomes,
    problems,
    rest,
    rows_of,
    run_batch,
    small_engine,
    solution,
)
from tests.fakes.full_disk import a_full_disk
from tests.fakes.scripted import Fault, ScriptedEngine

pytestmark = pytest.mark.slow


def test_every_arm_solves_every_problem_with_every_seed_and_is_graded(store):
    batch, pair = batch_of(store, 4, "small", "large", seeds=(1, 2)), counting_pair()
    events = run_batch(store, batch, pair)
    rows = rows_of(store, batch)
    done = [(row.arm, row.position, row.seed) for row in rows if row.state is JobState.DONE]
    assert done == [(arm, n, seed) for n in range(4) for seed in (1, 2) for arm in ("small", "large")]
    right, wrong = Outcome.CORRECT, Outcome.WRONG
    assert outcomes(store, batch, "small") == [right, right, wrong, wrong] * 2
    assert outcomes(store, batch, "large") == [right] * 8
    assert sorted(each.row for each in events if isinstance(each, JobEnded)) == rows
    assert isinstance(pair.small, ScriptedEngine)
    assert len({session.calls[0].seed for session in pair.small.sessions}) == 8, "each has a seed of its own"
    for row in rows:
        started = store.runs.trace(row.run).started
        assert started
        assert started.seed == row.seed * 1_000_003 + row.position
        assert row.conditions is not None
        assert (row.conditions.parallel, row.conditions.threads, row.conditions.paused) == (2, 0, False)
        assert 0 <= row.conditions.other_load <= 1
        assert row.started is not None
        assert row.ended is not None
        assert row.started <= row.ended


def test_the_load_of_other_programs_leaves_out_our_own():
    meter = LoadMeter()
    start = meter.read()
    assert meter.others_since(start) <= 1
    for busy, own, others in ((8, 8, 0), (8, 3, 5), (3, 8, 0)):
        meter._last = start._replace(time=start.time + 10, busy=start.busy + busy, own=start.own + own)
        assert meter.others_since(start) == pytest.approx(others / 10 / meter._cores)


def test_a_problem_that_fails_has_the_reason_as_its_result_and_the_rest_goes_on(store):
    """A model is lost; a server sends a list where a number belongs, which is not an error that Baton foresaw."""

    def text(conversation, body):
        if number_in(conversation) == 1:
            raise TypeError("list indices must be integers")
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
    """Answers that the small model finished alone would count for the wrong arm."""
    refused = EngineRefused("The server refused the key (401).", "Enter another one.")
    large = ScriptedEngine(name="large", continue_with=lambda *_: "So.", faults=[Fault(0, refused, for_good=True)])
    small = ScriptedEngine(continue_with=lambda _, body: rest("A.\n\nWait, no.</think>\n\n\\boxed{1}", body))
    batch = batch_of(store, 2, "small", "baton", "random")
    run_batch(store, batch, Pair(small, large))
    errors = {arm: {row.error for row in rows_of(store, batch, arm)} for arm in ("small", "baton", "random as baton")}
    assert errors == {
        "small": {""},
        "baton": {str(refused)},
        "random as baton": {f"The chance of takeover could not be measured: {refused}"},
    }
    assert outcomes(store, batch, "baton") == [None, None]


def test_all_arms_of_a_problem_come_before_the_next_problem(store):
    """A batch that is stopped early has compared them all: one is calibrated before, and one was added later."""
    batch = batch_of(store, 3, "large", "baton", "random", seeds=(0, 1))
    add_arms(store, batch, arms_of(["small"], RunSettings()))
    calibrated, *events = run_batch(store, batch, parallel=1)
    assert isinstance(calibrated, Calibrated)
    started = [(event.job.position, event.job.seed, event.job.arm) for event in events if isinstance(event, JobStarted)]
    arms = ("large", "baton", "random as baton", "small")
    assert started == [(position, seed, arm) for position in range(3) for seed in (0, 1) for arm in arms]


def test_the_random_arm_gets_the_large_share_of_the_other_and_keeps_its_chance_for_a_resume(store, grader):
    """The small model doubts itself at every second step; then the large one writes."""
    steps = "".join(f"Step {n} {'wait, no' if n % 2 else 'is fine'}, it is and will be so.\n\n" for n in range(20))
    text = f"{steps}</think>\n\n\\boxed{{1}}"

    def rest_of(text, body):
        """The steps of the text that the body does not have yet."""
        return "\n\n".join(text.split("\n\n")[body.count("\n\n") :])

    small = ScriptedEngine(continue_with=lambda _, body: rest_of(text, body))
    large = ScriptedEngine(continue_with=lambda _, body: rest_of(text.replace("wait, no", "so"), body))
    batch = batch_of(store, 6, "chosen", "random")
    for event in (runner := Runner(store, batch, Pair(small, large), grader, parallel=1)).run():
        if isinstance(event, Calibrated):
            chance = event.chance
            runner.stop()
    assert 0 < chance <= 1
    events = run_batch(store, batch, Pair(small, large))
    (again,) = [event for event in events if isinstance(event, Calibrated)]
    assert BatchSettings.of(store.batches.open(batch)).chances == {"random as baton": chance}
    chosen, control = Results.read(store, batch).report.arms
    assert (again.chance, again.share) == (chance, control.aimed_share)
    assert (chosen.name, control.done, control.failed) == ("chosen", 6, 0)
    shares = [Cost.total(row.cost for row in rows_of(store, batch, arm.name)).large_share for arm in (chosen, control)]
    assert 0 < shares[0] < 1
    assert shares[1] == pytest.approx(shares[0], abs=0.12)


def test_only_errors_are_tried_again_and_by_the_models_that_were_there(store):
    batch = batch_of(store, 4)
    run_batch(store, batch, Pair(small_engine(faults=[Fault(2)])), parallel=1)
    failed = rows_of(store, batch)[0]
    assert store.runs.trace(failed.run).text
    with pytest.raises(SettingsError, match="begun with the small model"):
        run_batch(store, batch, Pair(ScriptedEngine(name="another"), large_engine()), retry=True)
    assert rows_of(store, batch)[0].error == failed.error, "models that cannot try again leave it as it is"
    assert not [each for each in run_batch(store, batch) if isinstance(each, JobStarted)]
    retried, *events = run_batch(store, batch, retry=True)
    assert isinstance(retried, JobRetried)
    assert retried.row.job == failed.job
    assert [each.job.position for each in events if isinstance(each, JobStarted)] == [0]
    assert store.runs.trace(failed.run).text == "", "nothing else names it, so it would never be deleted"
    assert outcomes(store, batch, "small")[0] is Outcome.CORRECT
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
            runner.pause()

    runner = Runner(store, batch, Pair(small_engine(before_token=pause_at_once)), grader, parallel=1)
    happenings = runner.run()
    ended = next(each for each in happenings if isinstance(each, JobEnded))
    assert ended.row.conditions
    assert ended.row.conditions.paused
    assert runner.paused
    assert store.batches.open(batch).done == 1
    assert [row.state for row in rows_of(store, batch)].count(JobState.WAITING) == 49
    runner.resume()
    next(each for each in happenings if isinstance(each, JobStarted))
    happenings.close()
    assert {row.state for row in rows_of(store, batch)} == {JobState.DONE, JobState.WAITING}


@pytest.mark.parametrize(
    ("other", "name"), [({"name": "another"}, "another"), ({"quantisation": "Q8_0"}, "small in Q8_0")]
)
def test_a_batch_is_not_gone_on_with_by_another_model_or_quantisation(store, other, name):
    batch = batch_of(store, 1)
    run_batch(store, batch, Pair(small_engine().with_card(quantisation="Q4_K_M")))
    with pytest.raises(SettingsError, match=f"begun with the small model small in Q4_K_M, not {name}"):
        run_batch(store, batch, Pair(small_engine().with_card(**other)))
    run_batch(store, batch, Pair(small_engine().with_card(quantisation="")))  # an older server does not say it


def test_what_another_program_sets_meanwhile_is_kept_and_holds_from_then_on(store, tmp_path):
    batch = batch_of(store, 2)
    file = tmp_path / "model.gguf"
    file.write_bytes(b"weights")

    def grade_otherwise(_):
        settings = BatchSettings.of(store.batches.open(batch))
        if settings.grade is How.AUTO:
            store.batches.set_settings(batch, settings.graded_by(Regex("no such words")).stored())

    run_batch(store, batch, Pair(small_engine(before_token=grade_otherwise).with_card(path=file)), parallel=1)
    settings = BatchSettings.of(store.batches.open(batch))
    assert settings.how == Regex("no such words")
    assert settings.small
    assert settings.small.sha256
    assert outcomes(store, batch, "small") == [Outcome.WRONG] * 2


def test_arms_of_another_large_model_are_run_with_that_one_alone(store):
    batch = create_batch(store, "two", problems(2), arms_of(["small", "large"], RunSettings(), larges=["big.gguf"]))
    big = large_engine().with_card(name="big", parameters=32, drafting="draft-mtp")
    run_batch(store, batch, Pair(large=big), models=OtherModels(large="big.gguf"))
    waiting = rows_of(store, batch, "small") + rows_of(store, batch, "large")
    assert {row.state for row in waiting} == {JobState.WAITING}
    assert outcomes(store, batch, "large, big") == [Outcome.CORRECT] * 2
    run_batch(store, batch)
    settings, (small, large) = BatchSettings.of(store.batches.open(batch)), (small_engine(), large_engine())
    assert (settings.small, settings.large) == (ModelSummary.of(small), ModelSummary.of(large))
    assert settings.other_larges == {"big.gguf": ModelSummary.of(big)}
    assert (ModelSummary.of(big).parameters, ModelSummary.of(big).drafting) == (32, "draft-mtp")


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
