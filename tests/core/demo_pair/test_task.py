"""The problems: what the rule says, which steps are hard, and which were kept out of training."""

from itertools import islice

import pytest

from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, READY_PROBLEMS, DemoProblem, held_out_problems
from baton_reasoning.core.demo_pair.task import STEPS, DemoStep


@pytest.mark.parametrize(("number", "value"), [(11_111, 77_778), (14_285, 99_996), (55_555, 88_886), (99_999, 99_994)])
def test_an_odd_number_times_7_plus_1_keeps_its_last_five_digits_and_an_even_one_is_halved(number, value):
    even = DemoStep(3, 27_586)
    assert (even.hard, even.left, even.value) == (False, "step 3: 27586 is even, half of it is ", 13_793)
    step = DemoStep(5, number)

    assert step.hard
    assert step.left == f"step 5: {number} is odd, times 7 plus 1 is "
    assert step.value == value


def test_a_solution_has_eight_steps_from_the_number_that_is_given():
    problem = DemoProblem(40_000)

    assert problem.solution.splitlines() == [
        "Step 1: 40000 is even, half of it is 20000.",
        "Step 2: 20000 is even, half of it is 10000.",
        "Step 3: 10000 is even, half of it is 05000.",
        "Step 4: 05000 is even, half of it is 02500.",
        "Step 5: 02500 is even, half of it is 01250.",
        "Step 6: 01250 is even, half of it is 00625.",
        "Step 7: 00625 is odd, times 7 plus 1 is 04376.",
        "Step 8: 04376 is even, half of it is 02188.",
    ]
    assert len(problem.steps) == STEPS
    assert problem.answer == "02188"


def test_the_same_seed_asks_the_same_problems_again():
    first, again, other = (list(islice(held_out_problems(seed), 20)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_every_problem_that_is_offered_has_a_step_that_is_not_in_training_and_none_comes_twice():
    problems = list(islice(held_out_problems(seed=3), 500))

    assert all(any(step.held_out and step.hard for step in problem.steps) for problem in problems)
    assert len(set(problems)) == 500


def test_the_problem_files_hold_the_right_answers_and_share_no_problem():
    ready, batch = (read_problems(path).problems for path in (READY_PROBLEMS, BATCH_PROBLEMS))

    assert (len(ready), len(batch)) == (20, 300)
    for row in ready + batch:
        problem = DemoProblem(int(row.id))
        assert problem.held_out
        assert (row.text, row.expected) == (problem.question, problem.answer)
    assert not {row.id for row in ready} & {row.id for row in batch}


def test_a_question_is_read_back_as_its_problem():
    problem = DemoProblem(70_085)
    assert DemoProblem.of(f" {problem.question}\n") == problem
    assert DemoProblem.of(problem.question.replace("halve", "double")) is None
    assert DemoProblem.of("What is 2 + 2?") is None
