"""The problems, which of them were kept out of training, and the scoreboard of their answers."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, READY_PROBLEMS, DemoProblem, held_out_problems
from baton_reasoning.core.demo_pair.scoreboard import ScoredArm, ScoreRow, lines
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.grading.verdict import Outcome
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.trace import Trace
from tests.fakes.scripted import QUESTION, ScriptedEngine


@given(st.integers(10_000, 99_999))
def test_a_solution_has_eight_steps_from_the_number_that_the_question_gives(start):
    problem, number = DemoProblem(start), start
    for count, sentence in enumerate(problem.solution.splitlines(), 1):
        if number % 2:
            after = int(f"{7 * number + 1:05}"[-5:])
            expected = f"Step {count}: {number:05} is odd, times 7 plus 1 is {after:05}."
        else:
            after = number // 2
            expected = f"Step {count}: {number:05} is even, half of it is {after:05}."
        assert sentence == expected
        assert problem.steps[count - 1].hard is bool(number % 2)
        number = after
    assert (len(problem.steps), problem.answer) == (8, f"{number:05}")
    assert DemoProblem.of(f" {problem.question}\n") == problem
    assert DemoProblem.of(problem.question.replace("halve", "double")) is None


def test_problems_that_are_offered_are_held_out_differ_and_are_repeated_by_their_seed():
    problems = list(islice(held_out_problems(seed=3), 500))
    assert all(any(step.held_out and step.hard for step in problem.steps) for problem in problems)
    assert len(set(problems)) == 500
    assert list(islice(held_out_problems(seed=3), 20)) == problems[:20]
    assert list(islice(held_out_problems(seed=2), 20)) != problems[:20]


def test_the_problem_files_hold_the_right_answers_and_share_no_problem():
    ready, batch = (read_problems(path).problems for path in (READY_PROBLEMS, BATCH_PROBLEMS))
    assert (len(ready), len(batch)) == (20, 300)
    for row in ready + batch:
        problem = DemoProblem(int(row.id))
        assert problem.held_out
        assert (row.text, row.expected) == (problem.question, problem.answer)
    assert not {row.id for row in ready} & {row.id for row in batch}


def test_the_rows_of_a_scoreboard_are_aligned_lines_with_answer_mark_and_seconds():
    small = ScoreRow(ScoredArm.SMALL, "01767", Outcome.WRONG, seconds=0.92, large_share=0, large_time=0)
    both = ScoreRow(ScoredArm.BOTH, "12085", Outcome.CORRECT, seconds=3.4, large_share=0.259, large_time=0.7)
    large = ScoreRow(ScoredArm.LARGE, "12085", Outcome.CORRECT, seconds=12.06, large_share=1, large_time=1)
    assert lines([small, both, large]) == [
        "small alone                   01767  ✗   0.9 s",
        "both, 26% of tokens by large  12085  ✓   3.4 s",
        "large alone                   12085  ✓  12.1 s",
    ]
    assert lines([]) == []
    assert lines([small._replace(answer=None), both._replace(answer="x + 1", outcome=Outcome.UNSCORED)]) == [
        "small alone                   no answer  ✗  0.9 s",
        "both, 26% of tokens by large  x + 1      –  3.4 s",
    ]


WRONG = "One two.</think>\n\nThe answer is \\boxed{01767}."
RIGHT = "Let me see.</think>\n\nThe answer is \\boxed{12085}."


def trace_of(policy, small=(WRONG,), large=RIGHT):
    pair = Pair(ScriptedEngine(*small), ScriptedEngine(large, name="large"))
    return Trace.of(run(pair, QUESTION, RunSettings.model_validate({"policy": policy})))


@pytest.mark.parametrize(
    ("arguments", "arm", "answer"),
    [
        (("never",), ScoredArm.SMALL, "01767"),
        (("always",), ScoredArm.LARGE, "12085"),
        (("keywords",), ScoredArm.BOTH, "01767"),
        (("keywords", ["One.\n\nWait,", RIGHT], "Let me see."), ScoredArm.BOTH, "12085"),
    ],
)
def test_an_answer_is_scored_with_who_wrote_it_and_its_own_seconds(arguments, arm, answer):
    written = trace_of(*arguments)
    outcome = Outcome.CORRECT if answer == "12085" else Outcome.WRONG
    row = ScoreRow.of(written, expected="12085")
    assert row[:-1] == (arm, answer, outcome, written.seconds, written.large_share)
    seconds = {author: written.totals[author].decode_seconds for author in (Author.SMALL, Author.LARGE)}
    assert row.large_time == pytest.approx(seconds[Author.LARGE] / sum(seconds.values()))


def test_what_one_model_alone_continued_is_still_by_both_and_what_was_broken_off_is_no_answer():
    again = trace_of("never").events
    assert ScoredArm.of(Trace.of([*trace_of("always").events, *again])) is ScoredArm.BOTH
    assert ScoredArm.of(Trace.of([*again, *again])) is ScoredArm.SMALL
    assert ScoredArm.of(Trace()) is ScoredArm.BOTH
    assert ScoreRow.of(Trace.of(again[:3]), expected="12085").answer is None
