"""Pairs with known verdicts, answers side by side, the labelled set, and a child that hangs, dies and comes back."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.grading.grader import Grader, standings
from baton_reasoning.core.grading.verdict import How, Outcome, Regex
from tests.core.grading.labelled_set import PARTS, figures_of, graded_by_baton, read_cases
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

CORRECT, WRONG, UNSCORED = Outcome.CORRECT, Outcome.WRONG, Outcome.UNSCORED

PAIRS = [
    # text and spelling
    ("42", "42", CORRECT),
    ("42", "42.", CORRECT),
    ("42", "$42$", CORRECT),
    ("42", r"\(42\)", CORRECT),
    (r"\frac{1}{2}", r"\dfrac12", CORRECT),
    (r"\frac{1}{2}", r"\tfrac{1}{2}", CORRECT),
    (r"\frac{3}{56}", r"\frac3{56}", CORRECT),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})", CORRECT),
    (r"\left( 3, \frac{\pi}{2} \right)", r"\left(3, \dfrac{\pi}{2}\right)", CORRECT),
    (r"\sqrt{2}", r"\sqrt2", CORRECT),
    (r"2\pi", "2π", CORRECT),
    (r"x^{2}+1", "x^2 + 1", CORRECT),
    (r"\text{Evelyn}", "Evelyn", CORRECT),
    (r"\text{Evelyn}", "evelyn", CORRECT),
    (r"\text{Evelyn}", "Carla", WRONG),
    (r"\text{Evelyn}", "Evelyn is the fastest", CORRECT),
    (r"\text{(C)}", "C", CORRECT),
    ("east", r"\text{west}", WRONG),
    ("east", "12", WRONG),
    (r"\text{No}", "no", CORRECT),
    ("xy", "yx", CORRECT),
    # numbers
    ("1/2", "0.5", CORRECT),
    (r"\frac{1}{2}", "0.5", CORRECT),
    (r"-\frac{3}{4}", r"\frac{-3}{4}", CORRECT),
    (r"\frac{3}{4}", r"-\frac{3}{4}", WRONG),
    (r"\frac{1}{3}", "0.3333333", CORRECT),
    (r"\frac{1}{3}", "0.33", WRONG),
    (r"2\frac{1}{2}", "2.5", CORRECT),
    ("2 1/2", r"\frac{5}{2}", CORRECT),
    ("1,000", "1000", CORRECT),
    ("10{,}000", "10,000", CORRECT),
    (r"1\,234\,567", "1234567", CORRECT),
    ("5", "5.4", WRONG),
    ("5", "5.0", CORRECT),
    ("3.14", "3.15", WRONG),
    ("-7", "−7", CORRECT),
    ("007", "7", CORRECT),
    (r"1.5 \times 10^{3}", "1500", CORRECT),
    ("3e8", r"3 \cdot 10^8", CORRECT),
    ("18", "$18", CORRECT),
    ("18", r"\$18.00", CORRECT),
    (r"50\%", "50", CORRECT),
    (r"50\%", "0.5", CORRECT),
    ("0.5", r"50\%", CORRECT),
    (r"50\%", r"5\%", WRONG),
    ("0.5", "50", WRONG),
    (r"90^\circ", "90", CORRECT),
    (r"90^{\circ}", "90 degrees", CORRECT),
    (r"90^\circ", r"45^\circ", WRONG),
    ("5", r"5\text{ cm}", CORRECT),
    (r"5 \text{ cm}", "5 centimeters", CORRECT),
    (r"5 \text{ cm}", r"6 \text{ cm}", WRONG),
    ("5 m", "500 cm", CORRECT),
    ("36", "36 square units", CORRECT),
    ("5", "5x", WRONG),
    ("5", "x = 5", CORRECT),
    ("x=5", "5", CORRECT),
    ("x=5", "y=5", WRONG),
    # tuples, intervals, sets and lists
    ("(1,2)", "(1, 2)", CORRECT),
    ("(1,2)", "(2,1)", WRONG),
    ("(0,1]", r"\left(0, 1\right]", CORRECT),
    ("(0,1]", "[0,1]", WRONG),
    ("[0,0.5]", r"[0,\frac12]", CORRECT),
    (r"(-\infty, 2)", r"(-\infty, 3)", WRONG),
    (r"(-\infty,2)\cup(3,\infty)", r"(-\infty, 2) ∪ (3, ∞)", CORRECT),
    (r"\{1,2,3\}", r"\{3,2,1\}", CORRECT),
    (r"\{1,2,3\}", r"\{1,2,4\}", WRONG),
    ("1,-2", "-2, 1", CORRECT),
    ("1,-2", "1 and -2", CORRECT),
    ("1,-2", "1", WRONG),
    ("(1,2),(3,4)", "(3,4), (1,2)", CORRECT),
    ("4:45 PM and 5:15 PM", "17:15 and 16:45", CORRECT),
    # algebra
    ("x^2+2x+1", "(x+1)^2", CORRECT),
    (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}", CORRECT),
    (r"1\pm\sqrt{3}", r"1+\sqrt{3}, 1-\sqrt{3}", CORRECT),
    ("2x-y=3", "y=2x-3", CORRECT),
    ("p - q", "q - p", WRONG),
    (r"2\sqrt{3}", r"\sqrt{12}", CORRECT),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", CORRECT),
    ("6 - 5i", "-5i + 6", CORRECT),
    (r"\sqrt{2}", "2", WRONG),
    # choices
    ("B", "(B)", CORRECT),
    ("B", r"\text{B) } 12", CORRECT),
    ("B", "C", WRONG),
    ("B", "12", UNSCORED),
    # nothing to compare
    ("5", None, WRONG),
    ("5", "  ", WRONG),
    (None, "5", UNSCORED),
    ("", "5", UNSCORED),
]


def pid_of(grader: Grader) -> int:
    assert grader._child.pid is not None
    return grader._child.pid


@pytest.fixture(scope="module")
def grader():
    with Grader() as grader:
        yield grader


@pytest.mark.parametrize(("expected", "given", "outcome"), PAIRS)
def test_a_pair_gets_its_verdict(grader, expected, given, outcome):
    verdict = grader.grade(expected, given)
    assert verdict.outcome is outcome, verdict.reason
    assert verdict.reason.endswith(".")


@pytest.mark.parametrize(
    ("how", "expected", "given", "outcome"),
    [
        (How.EXACT, "0.5", r"\frac12", WRONG),
        (How.EXACT, r"\dfrac12", r"\frac{1}{2}", CORRECT),
        (How.NUMERIC, "0.5", r"\frac12", CORRECT),
        (How.NUMERIC, "0.5", "a half", CORRECT),
        (How.NUMERIC, "0.5", "half of it", UNSCORED),
        (How.MATH, "0.5", r"\frac12", CORRECT),
        (How.CHOICE, "b", "The letter", UNSCORED),
        (How.CHOICE, "b", "(B)", CORRECT),
        (Regex(r"\b{expected}\b"), "18", "It costs 18 dollars", CORRECT),
        (Regex(r"\b{expected}\b"), "18", "It costs 180 dollars", WRONG),
        (Regex(r"^yes"), None, "yes, it does", CORRECT),
        (Regex(r"^{expected}$"), None, "yes", UNSCORED),
        (How.REGEX, "5", "5", UNSCORED),
    ],
)
def test_a_way_can_be_chosen(grader, how, expected, given, outcome):
    verdict = grader.grade(expected, given, how)
    assert verdict.outcome is outcome, verdict.reason
    assert verdict.how is (How.REGEX if isinstance(how, Regex) else how)


def test_the_expected_answer_goes_into_a_pattern_literally(grader):
    assert grader.grade("a.c", "abc", Regex("^{expected}$")).outcome is WRONG


def test_an_expected_answer_with_which_a_pattern_is_not_valid_is_unscored_for_that_reason(grader):
    verdict = grader.grade("a-b", "yes", Regex(r"(?P<n{expected}>yes)"))
    assert verdict.outcome is UNSCORED
    assert "cannot be compared" in verdict.reason


@pytest.mark.parametrize("pattern", ["(", "x{99999999999}", "(" * 20_000])
def test_a_pattern_that_is_not_valid_is_refused_at_once(pattern):
    with pytest.raises(SettingsError, match="not valid"):
        Regex(pattern)


def test_the_verdict_says_which_way_decided(grader):
    assert grader.grade("5", "5").how is How.EXACT
    assert grader.grade("1/2", "0.5").how is How.NUMERIC
    assert grader.grade("(x+1)^2", "x^2+2x+1").how is How.MATH
    assert grader.grade("B", "(C)").how is How.CHOICE


def test_a_comparison_that_hangs_is_killed_and_unscored_and_the_next_one_works():
    with Grader(time_limit=0.3) as grader:
        hanging = grader.grade("x", "a" * 64 + "!", Regex(r"^(a+)+$"))
        assert hanging.outcome is UNSCORED
        assert "took longer than 0.3 seconds" in hanging.reason
        assert grader.grade("yes", "yes", Regex("{expected}")).outcome is CORRECT


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit of another process is not readable")
def test_algebra_cannot_take_all_memory():
    with Grader() as grader:
        assert grader.grade("2x", "x+x", How.MATH).outcome is CORRECT
        limit, _ = psutil.Process(grader._child.pid).rlimit(psutil.RLIMIT_AS)
        assert 0 < limit <= 4 * 2**30


def test_algebra_that_would_never_end_is_killed_and_all_parts_of_an_answer_share_one_time_limit():
    hard = ", ".join(f"(10^{{{power}}})!" for power in range(9, 29))
    expected = ", ".join(str(number) for number in range(20))
    with Grader(time_limit=0.3) as grader:
        verdict = grader.grade("5", "(10^{9})!", How.MATH)
        assert verdict.outcome is UNSCORED
        assert "was stopped" in verdict.reason
        assert grader.grade(f"({expected})", f"({hard})").outcome is UNSCORED


def test_half_a_character_is_graded_like_any_other_text(grader):
    verdict = grader.grade("x+1", "x+2 \ud83d")
    assert verdict.outcome is not CORRECT
    assert verdict.reason.encode("utf-8")


def test_a_child_that_was_killed_while_idle_costs_no_answer_its_verdict():
    with Grader() as grader:
        assert grader.grade("x+1", "1+x").outcome is CORRECT
        os.kill(pid_of(grader), signal.SIGTERM)
        assert grader.grade("x+1", "1+x").outcome is CORRECT


def test_a_child_that_dies_over_an_answer_leaves_it_unscored_and_is_started_again():
    with Grader(PATIENCE) as grader, ThreadPoolExecutor() as pool:
        hanging = pool.submit(grader.grade, "x", "a" * 64 + "!", Regex(r"^(a+)+$"))
        while grader._child.pid is None:
            assert not hanging.done()
        os.kill(pid_of(grader), signal.SIGTERM)
        lost = hanging.result()
        assert lost.outcome is UNSCORED
        assert "ended" in lost.reason
        assert grader.grade("x+1", "1+x").outcome is CORRECT


def test_leaving_the_context_ends_the_child():
    with Grader() as grader:
        grader.grade("x+1", "1+x")
        pid = pid_of(grader)
    assert grader._child.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_quick_comparisons_start_no_process():
    with Grader() as grader:
        assert grader.grade("1/2", "0.5").outcome is CORRECT
        assert grader._child.pid is None


def test_an_answer_of_many_pages_is_unscored():
    with Grader() as grader:
        assert grader.grade("5", "5" * 10_000).outcome is UNSCORED


def test_a_machine_without_room_for_another_process_leaves_the_answer_unscored(monkeypatch):
    def no_room(process: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with Grader() as grader:
        with monkeypatch.context() as patched:
            patched.setattr("baton_reasoning.core.child_process.start_shielded", no_room)
            verdict = grader.grade("x^2 - 1", "(x-1)(x+1)", How.MATH)
            assert verdict.outcome is Outcome.UNSCORED
            assert "it may have run out of memory" in verdict.reason
        assert grader.grade("x^2 - 1", "(x-1)(x+1)", How.MATH).outcome is Outcome.CORRECT


# Answers side by side: which say the same, and which are right


def test_the_same_number_is_the_same_however_it_is_written(grader):
    found = standings(["0.5", "\\frac{1}{2}", "2"], "", grader)
    assert [standing.same for standing in found] == [(1,), (0,), ()]
    assert {standing.outcome for standing in found} == {Outcome.UNSCORED}


def test_what_is_expected_decides_which_is_right(grader):
    found = standings(["050", "51", "50"], "050", grader)
    assert [standing.outcome for standing in found] == [Outcome.CORRECT, Outcome.WRONG, Outcome.CORRECT]


def test_no_answer_agrees_with_none_and_is_wrong_where_one_is_expected(grader):
    found = standings([None, None, "4"], "4", grader)
    assert [standing.same for standing in found] == [(), (), ()]
    assert [standing.outcome for standing in found] == [Outcome.WRONG, Outcome.WRONG, Outcome.CORRECT]


# The grader agrees with people: the labelled set, with the targets that it must meet


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=() if part == PARTS[0] else pytest.mark.long) for part in PARTS]
)
def test_the_grader_agrees_with_the_labels(part):
    graded = list(graded_by_baton(read_cases(part)))
    figures = figures_of(graded)
    assert figures.false_right <= 0.003, [each for each in graded if each.false_right]
    assert figures.false_wrong <= 0.02, [each for each in graded if each.false_wrong]
    assert figures.unscored <= 0.02, [each for each in graded if each.unscored]
    assert figures.missed == 0, [each for each in graded if each.missed]
