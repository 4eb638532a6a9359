from threading import Thread

import pytest

from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.grading.verdict import How, Outcome, Verdict
from baton_reasoning.core.problem import Problem
from baton_reasoning.core.store.batches import JobState, StoredArm
from baton_reasoning.core.store.store import Store
from tests.core.store.made import a_run, claim, save

RIGHT = Verdict(Outcome.CORRECT, How.EXACT, "The same.")
WRONG = Verdict(Outcome.WRONG, How.EXACT, "Not the same.")
ARMS = [StoredArm("small", {"policy": "never"}), StoredArm("both", {"policy": "keywords", "c": 15})]
PROBLEMS = [Problem(f"p{number}", f"Problem {number}", str(number), {"level": "1"}, number + 1) for number in range(3)]


def create(store: Store) -> str:
    return store.batches.create("MATH", {"parallel": 4}, PROBLEMS, ARMS, seeds=[0, 1])


def test_a_batch_keeps_its_settings_problems_and_arms(store):
    batch = store.batches.open(create(store))
    assert (batch.name, batch.settings, batch.arms) == ("MATH", {"parallel": 4}, tuple(ARMS))
    assert (batch.problems, batch.jobs, batch.done) == (3, 12, 0)
    assert list(store.batches.problems(batch.id)) == PROBLEMS
    assert store.batches.all() == [batch]


def test_a_job_is_claimed_once(store):
    batch = create(store)
    jobs = claim(store, batch, 5) + claim(store, batch, 100)
    assert len({(job.arm, job.problem.id, job.seed) for job in jobs}) == len(jobs) == 12
    assert claim(store, batch, 1) == []


def test_all_arms_of_a_problem_come_before_the_next_problem(store):
    jobs = claim(store, create(store), 4)
    assert [(job.position, job.seed, job.arm) for job in jobs] == [
        (0, 0, "small"),
        (0, 0, "both"),
        (0, 1, "small"),
        (0, 1, "both"),
    ]


def test_only_the_asked_arms_are_claimed(store):
    jobs = claim(store, create(store), 100, arms=["both"])
    assert [job.arm for job in jobs] == ["both"] * 6


def test_two_programs_on_one_batch_share_its_jobs(store, path):
    batch = create(store)
    claimed: list[int] = []

    def work(mine: Store) -> None:
        while job := mine.batches.claim(batch):
            claimed.append(job.id)

    with Store.open(path) as other:
        threads = [Thread(target=work, args=(each,)) for each in (store, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(claimed) == list(range(1, 13))


def test_a_finished_job_has_its_verdict_and_what_its_run_came_to(store):
    batch = create(store)
    (job,) = claim(store, batch)
    save(store, job.run, a_run())
    store.batches.finish(job, "4", RIGHT)
    row, *rest = store.batches.results(batch)
    assert (row.state, row.answer, row.verdict) == (JobState.DONE, "4", RIGHT)
    assert (row.cost.tokens, row.cost.seconds) == (14, 5.0)
    assert row.cost.ribbon
    assert {each.state for each in rest} == {JobState.WAITING}
    assert len(list(store.batches.results(batch, arm="both"))) == 6


def test_a_job_that_is_given_back_waits_again_with_the_same_run_and_one_given_back_late_stays_claimed(store):
    batch = create(store)
    (job,) = claim(store, batch)
    store.batches.give_back(job).result()
    (again,) = claim(store, batch)
    assert (again.id, again.run, again.attempt) == (job.id, job.run, 2)
    store.batches.give_back(job).result()
    assert again.id not in {each.id for each in claim(store, batch, 100)}
    store.batches.give_back(again).result()
    assert [each.id for each in claim(store, batch)] == [job.id]


def test_only_failed_jobs_are_tried_again_each_with_a_new_run(store):
    batch = create(store)
    right, failed = claim(store, batch, 2)
    store.batches.finish(right, "4", RIGHT)
    store.batches.finish(failed, "", None, error="The model ran out of memory.")
    assert store.batches.retry_failed(batch, ["small"]) == []
    (row,) = store.batches.retry_failed(batch, ["small", "both"])
    assert (row.job, row.state, row.error) == (failed.id, JobState.WAITING, "")
    (again,) = claim(store, batch)
    assert (again.id, again.attempt) == (failed.id, 1)
    assert again.run != failed.run


def test_totals_are_counted(store):
    batch = create(store)
    verdicts = {("small", 0): RIGHT, ("small", 1): WRONG, ("both", 0): RIGHT, ("both", 1): RIGHT}
    for job in claim(store, batch, 8):
        error = "" if job.seed == 0 else "It was lost."
        store.batches.finish(job, "4", None if error else verdicts[job.arm, job.position], error)
    small, both = store.batches.totals(batch)
    assert (small.arm, small.jobs, small.done, small.correct, small.wrong, small.failed) == ("small", 6, 4, 1, 1, 2)
    assert (both.correct, both.wrong, both.unscored, both.failed) == (2, 0, 0, 2)


def test_a_new_answer_and_verdict_stand_in_place_of_the_old(store):
    batch = create(store)
    (job,) = claim(store, batch)
    store.batches.finish(job, "4", WRONG)
    store.batches.regrade(batch, {"grade": "exact"}, [(job.id, "5", RIGHT)])
    assert store.batches.open(batch).settings == {"grade": "exact"}
    row = next(store.batches.results(batch))
    assert (row.answer, row.verdict) == ("5", RIGHT)


def test_a_deleted_batch_can_be_had_back(store):
    batch = create(store)
    store.batches.delete(batch)
    assert store.batches.all() == []
    store.batches.restore(batch)
    assert [each.id for each in store.batches.all()] == [batch]
    with pytest.raises(StoreError, match="not in the store"):
        store.batches.open("nothing")


def test_an_arm_is_added_with_the_same_problems_and_seeds(store):
    batch = create(store)
    store.batches.add_arm(batch, StoredArm("large", {"policy": "always"}), [0, 1])
    jobs = claim(store, batch, 100, arms=["large"])
    assert [(job.position, job.seed) for job in jobs] == [(n, seed) for n in range(3) for seed in (0, 1)]
    assert [arm.name for arm in store.batches.open(batch).arms] == ["small", "both", "large"]


def test_an_arm_whose_name_is_taken_is_refused(store):
    batch = create(store)
    with pytest.raises(StoreError, match="has an arm “both” already"):
        store.batches.add_arm(batch, ARMS[1], [0, 1])
