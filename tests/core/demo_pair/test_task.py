"""The problems: what a term is, which steps are hard, and which problems were kept out of training."""

from itertools import islice

import pytest

from core.batch.reading.problems import read_problems
from core.demo_pair import BATCH_PROBLEMS, READY_PROBLEMS, DemoProblem, held_out_problems
from core.demo_pair.task import DemoStep


def test_an_easy_step_drops_every_carry() -> None:
    step = DemoStep(number=3, length=12, one=849, two=275)

    assert not step.hard
    assert step.left == "term 3 without carries (9 to go): 849 # 275 = "
    assert step.value == 14


@pytest.mark.parametrize(("two", "value"), [(247, 96), (248, 97), (249, 98)])
def test_after_a_7_an_8_or_a_9_the_step_is_a_sum_with_carries_modulo_1000(two: int, value: int) -> None:
    step = DemoStep(number=5, length=12, one=849, two=two)

    assert step.hard
    assert step.left == f"term 5 with carries (7 to go): 849 + {two} = "
    assert step.value == value


def test_a_solution_goes_from_term_3_to_the_one_that_is_asked_for() -> None:
    problem = DemoProblem(406, 50, length=6)

    assert problem.solution.splitlines() == [
        "Term 3 without carries (3 to go): 406 # 050 = 456.",
        "Term 4 without carries (2 to go): 050 # 456 = 406.",
        "Term 5 without carries (1 to go): 456 # 406 = 852.",
        "Term 6 without carries (0 to go): 406 # 852 = 258.",
    ]
    assert problem.answer == "258"


def test_an_answer_keeps_its_leading_zeros() -> None:
    assert DemoProblem(0, 5, length=6).answer == "005"


def test_the_same_seed_asks_the_same_problems_again() -> None:
    first, again, other = (list(islice(held_out_problems(seed), 20)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_every_problem_that_is_offered_was_kept_out_of_training_and_none_comes_twice() -> None:
    problems = list(islice(held_out_problems(seed=3), 500))

    assert all(problem.held_out for problem in problems)
    assert len(set(problems)) == 500


def test_the_problem_files_hold_the_right_answers_and_share_no_problem() -> None:
    ready, batch = (read_problems(path).problems for path in (READY_PROBLEMS, BATCH_PROBLEMS))

    assert (len(ready), len(batch)) == (20, 300)
    for row in ready + batch:
        first, second, length = map(int, row.id.split("-"))
        problem = DemoProblem(first, second, length)
        assert problem.held_out
        assert (row.text, row.expected) == (problem.question, problem.answer)
    assert not {row.id for row in ready} & {row.id for row in batch}


def test_a_question_is_read_back_as_its_problem() -> None:
    problem = DemoProblem(7, 85, 10)
    assert DemoProblem.of(f" {problem.question}\n") == problem
    assert DemoProblem.of(problem.question.replace("carries", "curries")) is None
    assert DemoProblem.of("What is 2 + 2?") is None
