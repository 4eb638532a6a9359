"""Several answers of the small model vote, and cost what they cost together."""

from __future__ import annotations

from typing import Any

import pytest

from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.run_cost import RunCost
from baton_reasoning.core.batch.reporting.votes import count_votes
from baton_reasoning.core.batch.running.batch_settings import BatchSettings
from baton_reasoning.core.batch.running.creation import add_arms
from baton_reasoning.core.batch.running.recipes import VOTES, arms_of
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How, Outcome, Verdict
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.batch_rows import VOTES_APART, JobState, ResultRow
from baton_reasoning.core.store.run_metrics import RunMetrics
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.events import Finish
from tests.core.batch.counting import problems, solution
from tests.fakes.scripted import ScriptedEngine

SEED = 20_261
"""Of the batch: more than what lies between two votes."""


def answering(*answers: int) -> Pair:
    """A small model that gives one answer after the other, whatever the problem is."""
    texts = iter(answers)
    return Pair(ScriptedEngine(continue_with=lambda _, body: solution(next(texts)) if not body else ""))


def solved(store: Store, pair: Pair, *recipes: str, count: int = 1) -> str:
    arms = [arm.stored() for arm in arms_of(recipes, RunSettings())]
    settings = BatchSettings(seed_numbers=(SEED,)).stored()
    batch = store.batches.create("votes", settings, problems(9)[-count:], arms, [SEED])
    with Grader() as grader:
        list(Runner(store, batch, pair, grader).run())
    return batch


@pytest.mark.parametrize(
    ("answers", "correct"),
    [((8, 3, 8, 4, 5), 1), ((3, 8, 3, 8, 3), 0), ((3, 8, 4, 5, 6), 0), ((3, 4, 8, 8, 5), 1)],
    ids=["a majority", "another majority", "none: the first", "the most of many"],
)
def test_the_answer_that_most_give_counts(store: Store, answers: tuple[int, ...], correct: int) -> None:
    (arm,) = Results.read(store, solved(store, answering(*answers), "vote")).report.arms
    assert (arm.name, arm.jobs, arm.correct, arm.wrong) == (f"vote of {VOTES}", 1, correct, 1 - correct)


def test_each_vote_is_an_answer_with_a_seed_of_its_own_and_all_of_them_are_paid(store: Store) -> None:
    batch = solved(store, answering(8, 8, 8, 8, 8, 8), "small", "vote")
    seeds = [row.seed for row in store.batches.results(batch)]
    assert seeds == [SEED, *(SEED + n * VOTES_APART for n in range(VOTES))]
    small, vote = Results.read(store, batch).report.arms
    assert vote.tokens == VOTES * small.tokens
    assert (vote.small_read, vote.reread) == (VOTES * small.small_read, 0)
    assert (small.answers, vote.answers) == (1, 1)
    assert vote.seconds_to_end
    assert vote.seconds_to_answer is None, "no vote is the answer before all of them are counted"


def test_it_is_compared_with_other_arms_problem_by_problem(store: Store) -> None:
    batch = solved(store, answering(3, 8, 8, 8, 8, 8), "small", "vote")
    (comparison,) = Results.read(store, batch).report.comparisons
    assert (comparison.problems, comparison.better_second) == (1, 1)


def vote(job: int, answer: str, **changes: Any) -> ResultRow:
    """One vote of five; right if the answer is 8."""
    verdict, metrics = Verdict.of(answer == "8", How.AUTO, ""), RunMetrics(seconds=1, small_tokens=9, money=0.25)
    row = ResultRow(job, "", "", 0, job * VOTES_APART, JobState.DONE, answer, verdict, "", Finish.END_OF_TEXT, metrics)
    return row._replace(**changes)


def voted(rows: list[ResultRow]) -> ResultRow:
    (row,) = count_votes(rows, {row.job: RunCost(0, ()) for row in rows}, [0]).rows
    return row


def test_a_text_without_an_answer_does_not_vote() -> None:
    assert voted([vote(job, answer) for job, answer in enumerate(["", "", "", "8", "8"])]).answer == "8"
    assert voted([vote(job, "") for job in range(5)]).outcome is Outcome.WRONG


def test_a_problem_with_a_vote_that_failed_costs_what_the_others_did() -> None:
    row = voted([vote(job, "8", error="The server is gone." if job == 2 else "") for job in range(5)])
    assert (row.has_answer, row.metrics.money) == (False, 1.25)


def test_what_an_engine_reported_during_any_vote_is_reported() -> None:
    assert voted([vote(job, "8", notices=(f"Retry {job}.",)) for job in (1, 2)]).notices == ("Retry 1.", "Retry 2.")


def test_a_vote_that_is_missing_leaves_the_problem_without_an_answer(store: Store) -> None:
    batch = solved(store, answering(8), "small")
    add_arms(store, batch, arms_of(["vote"], RunSettings()))
    small, vote = Results.read(store, batch).report.arms
    assert (small.done, vote.jobs, vote.done) == (1, 1, 0)
