"""The answers of the seeds that were run anyway vote, in a line of the report."""

from __future__ import annotations

import pytest

from baton_reasoning.core.batch.reporting.majority import Majority
from baton_reasoning.core.batch.reporting.report_text import footnotes
from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import create_batch
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.grading.verdict import How, Verdict
from baton_reasoning.core.intervals import wilson
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.store.batches import JobState, ResultRow
from baton_reasoning.core.store.run_cost import RunCost
from baton_reasoning.core.store.store import Store
from tests.core.batch.counting import problems, solution
from tests.fakes.scripted import ScriptedEngine


def votes(answers: str, problem: int = 0) -> list[ResultRow]:
    """An answer for each letter, with a seed of its own: 8 is right, a blank is none, and ? cannot be graded."""
    verdicts = {"?": Verdict.of(None, How.AUTO, "")}
    return [
        ResultRow(
            *(0, "", "arm", problem, seed, JobState.DONE, answer.strip()),
            *(verdicts.get(answer, Verdict.of(answer == "8", How.AUTO, "")), "", None, RunCost()),
        )
        for seed, answer in enumerate(answers)
    ]


@pytest.mark.parametrize(
    ("answers", "right"),
    [("83845", 1), ("38383", 0), ("38456", 0), ("34885", 1), ("   88", 1), ("     ", 0), ("???38", 0), ("??8", 1)],
)
def test_the_answer_that_most_give_counts(answers: str, right: int) -> None:
    found = Majority.of(votes(answers))
    assert found
    assert (found.votes, found.accuracy.value) == (len(answers), right)


def test_it_is_a_share_of_the_problems_that_have_all_votes() -> None:
    found = Majority.of([*votes("883"), *votes("888", 1), *votes("338", 2), *votes("88", 3), *votes("???", 4)])
    assert found
    assert (found.accuracy.value, found.accuracy.interval) == (2 / 3, wilson(2, 3))


def test_two_votes_are_no_majority() -> None:
    assert Majority.of(votes("88")) is None
    assert Majority.of([]) is None


def test_the_report_tells_what_the_majority_of_any_seeds_gets_right(store: Store, grader: Grader) -> None:
    texts = iter([8, 3, 8])
    pair = Pair(ScriptedEngine(continue_with=lambda _, body: solution(next(texts)) if not body else ""))
    batch = create_batch(store, "one", problems(9)[-1:], arms_of(["small"], RunSettings()), seeds=(5, 10_005, 20_005))
    list(Runner(store, batch, pair, grader).run())
    report = Results.read(store, batch).report
    assert report.arms[0].accuracy
    assert report.arms[0].accuracy.value == pytest.approx(2 / 3)
    line = "Small only: 100.0% (20.7–100.0) correct by the majority of its 3 seeds, at the cost of all of them"
    assert line in footnotes(report).splitlines()
