"""Pairs of answers with known verdicts, in any wrapping; the labelled set; a child that hangs, dies and comes back."""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.grading.compare import compare
from baton_reasoning.core.grading.extract import extract_answer
from baton_reasoning.core.grading.grader import Grader, standings
from baton_reasoning.core.grading.verdict import GradingMethod, Outcome, Regex, Verdict
from tests.core.grading.labelled_set import PARTS, graded_by_baton, read_cases
from tests.patience import PATIENCE
from tests.tiers import size

pytestmark = pytest.mark.slow

CORRECT, WRONG, UNSCORED = Outcome.CORRECT, Outcome.WRONG, Outcome.UNSCORED

# What the labelled set does not have

SAME = {
    "42": ("$42$", r"\(42\)"),
    r"\text{Evelyn}": ("evelyn", "Evelyn is the fastest"),
    "xy": ("yx",),
    "true": ("Yes", "yes, it does"),
    "No": ("False.",),
    "24": ("8 times 3",),
    "x^{10} + 1/8": ("x**10 + 2**(-3)",),
    "5 cm": ("5**cm**", "**5 cm**"),
    "A, C": ("(C), (A)", "AC"),
    "(D) A and C": ("D", "A and C"),
    r"2\sin x": ("2sin(x)", "2 sin x"),
    r"\arctan x + \ln\theta": ("ln(θ) + arctan(x)",),
    "x=5": ("5",),
    "5": ("x = 5",),
    r"100\sqrt2": ("141.4214", "141.421 cm", r"\approx 141.42135"),
    "9.42478": (r"3\pi",),
    # ratios, times of day and residues
    "2:3": ("2 to 3", r"\frac{2}{3}"),
    "2:30": ("02:30",),
    "17:35": ("17h35", "17.35 Uhr"),
    "14:00": ("2 pm",),
    "(B) Paris": ("B", "Paris", "(B) Paris", "The capital of that country is Paris"),
    "2:30 PM": ("14:30",),
    "14:30": ("2:30 p.m.",),
    "12:30 AM": ("00:30",),
    "4:45 PM and 5:15 PM": ("17:15 and 16:45",),
    r"3 \pmod{7}": ("x ≡ 3 (mod 7)", r"10 \pmod 7", "3"),
    "10-15": ("10–15", "10 to 15"),
    "2023-05-01": (
        "2023-5-1",
        "May 1, 2023",
        "Monday, 1 May 2023",
        "1. Mai 2023",
        "1st of May",
        "2023年5月1日",
        "2023/05/01",
    ),
    # intervals, sets, lists and matrices
    "(1, 2)": ("y = 2, x = 1", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 & 2 \end{pmatrix}"),
    "(0,1]": (r"0 < x \le 1", "x > 0 and x <= 1", "x <= 1 and x > 0", r"1 \ge x > 0"),
    "all real numbers": (r"(-\infty, \infty)", r"\mathbb{R}"),
    r"(-\infty,\infty)": ("all real numbers",),
    r"(-\infty,2)\cup(3,\infty)": (r"(-\infty, 2) ∪ (3, ∞)", "x > 3 or x < 2"),
    r"(-\infty,2)\cup(2,\infty)": (r"x \ne 2",),
    r"\{1,2,3\}": (r"\{3,2,1\}", r"\{1, 2, 2, 3\}", "1, 2, 3, 3"),
    r"\{1,2,2\}": (r"\{2,1\}",),
    "1,-2": ("1 and -2", "x = 1 or x = -2", "(-2, 1)"),
    "x = 1, y = 2": ("y = 2, x = 1", "(1, 2)"),
}
OTHER = {
    "10-15": ("11-16",),
    "2023-05-01": ("May 2, 2023", "1 May 2022"),
    "(B) Paris": ("A", "Rome"),
    "no solution": ("0",),
    "true": ("No", "false"),
    "east": (r"\text{west}", "12"),
    "Alice and Bob": ("Alice and Carl", "Carl and Bob"),
    "5": ("5.4", "5x", "x = 1, 2, y = 3", "5/0"),
    "2, 2, 3": ("2, 3, 3",),
    "x=5": ("y=5",),
    "2x = 10": ("10",),
    r"3\pi": ("9.42", "9.42473", "9.42478i"),
    "A, C": ("CA", "A, A", "A, B"),
    "A) and C)": ("A",),
    "B": ("A, C", "A and C"),
    "2:3": ("3:2",),
    "2:30 AM": ("14:30",),
    "2:30 PM": ("15:30", "14:31"),
    "14:30 AM": ("2:30 PM",),
    r"3 \pmod{7}": (r"3 \pmod 5",),
    "(1, 2)": ("(2, 1)", "x = 2, y = 1", "(1, 2, 3)"),
    "(0,1]": ("[0,1]", r"0 \le x \le 1", "x > 0"),
    "((1, 2), 3)": ("((1, 4), 3)", "(1, 3)"),
    r"\{1,2,3\}": (r"\{1,2,4\}", r"\{1, 2\}", r"\{1,2,345"),
    "p - q": ("q - p", "C"),
}
DOUBTFUL = {
    "10–15 minutes": ("-5",),
    "3-2": ("1",),
    "2023-05-01": ("2017", "5/1/2023"),
    "-679": ("555-1234",),
    "A": ("A,C", "A, B, C and D", "A) and C)", "A and C"),
    "B": ("12",),
    "27": ("Option C",),
    "(C) 27": ("(C) 28", "(D) 27"),
    "(1, 2)": (r"\{1, 2\}",),
    "2, 2, 3": ("2, 3",),
    "2, 3": ("2, 2, 3",),
    "1 m, 2 m": ("1 apple, 2 m",),
    "(1, (2, (3, (4, (5, (6, 7))))))": ("(1, (2, (3, (4, (5, (6, 8))))))",),
    "2:3": ("4:6", "4 to 6"),
    "1, 2:3": ("1, 4:6",),
    "no solution": ("The banana",),
    "Evelyn Smith": ("Smith",),
    "Alice, Bob and Carl": ("Carl, Alice, and Bob",),
}
NUMBERS = {
    "5": ("2x + 1 = 4 + 1 = 5",),
    "7/2": ("3{,}5", "three and a half"),
    "-4": ("-2^2", "-2**2"),
    "4/9": (r"\left(\frac{2}{3}\right)^{2}", "(2/3)^2"),
    "1/8": ("2^{-3}",),
    "2/125": ("1.6 x 10^-2",),
    "12": ("a dozen eggs",),
    "350": ("350 °F",),
    "0": ("none", "no apples left"),
    "1/4": ("one in four", "1 out of 4"),
    "3.5": ("3,5 kg", "3½"),
    "2418.75": ("2.418,75 €",),
    "12600": ("12'600 Franken", "12.600 €"),
    "123456": ("1,23,456",),
    "15": ("15个苹果",),
    "2350": ("two thousand three hundred and fifty",),
    "36 in^2": ("36 inches squared",),
    "1/6": (r"0.1\overline{6}", "0.1666...", "0.1(6)"),
    "3/2": ("1 hour 30 minutes",),
    "90": ("1 hour and 30 minutes",),
    "5430": ("1 hour, 30 minutes and 30 seconds",),
    "5 ft^2/s": ("5 square feet per second",),
    "36": ("40 (base 9)",),
    "0.18": ("18 cents",),
    "52_8": ("52",),
    "52_{10}": ("52",),
    "42": ("52_8",),
    "255": ("FF_{16}",),
    "7_8": ("7", "7_{8}"),
    "1/3": ("0.333333",),
    "2.3456785": ("2.345678", "2.345679"),
}
OTHER_NUMBERS = {
    r"\$18": ("18 cents",),
    "15 cm^2": ("15^2 cm",),
    "1 m": ("1 m²",),
    "1 m²": ("1 m",),
    "36 square inches": ("36 in",),
    "52_8": ("52_9", "52_1", "42"),
    "30": ("1 hour 30 minutes",),
    "2": ("1.9999999",),
    "1000": ("1.000",),
    "12,500": (r"12\,050",),
    "1/3": ("0.333",),
}
DOUBTFUL_NUMBERS = {
    "5": ("5x", "x^2", "5 + C", "F_2", "3.14159...", "2^{100000}", "0^{-1}", "9" * 400, "5 and more"),
    "1 m": ("1 apple",),
    "12 apples": ("12 pears",),
    "52": ("52_8",),
}
LETTERS = {"B": ("b", "B) 12", "B. Paris", r"\text{(B)}", "Option B", "**B**", r"\textbf{(B) } 7")}
NO_LETTERS = {"B": ("A triangle", "Bach", "12", "The letter", "B, C", "(B) and (C)")}


@pytest.mark.parametrize(
    ("table", "outcome", "how"),
    [
        (SAME, CORRECT, GradingMethod.AUTO),
        (OTHER, WRONG, GradingMethod.AUTO),
        (DOUBTFUL, UNSCORED, GradingMethod.AUTO),
        (NUMBERS, CORRECT, GradingMethod.NUMERIC),
        (OTHER_NUMBERS, WRONG, GradingMethod.NUMERIC),
        (DOUBTFUL_NUMBERS, UNSCORED, GradingMethod.NUMERIC),
        (LETTERS, CORRECT, GradingMethod.CHOICE),
        (NO_LETTERS, UNSCORED, GradingMethod.CHOICE),
    ],
)
def test_a_pair_gets_its_verdict(grader, table, outcome, how):
    for expected, answers in table.items():
        for answer in answers:
            verdict = grader.grade(expected, answer, how)
            assert verdict.outcome is outcome, (expected, answer, verdict.reason)
            assert verdict.reason.endswith(".")


CASES = [case for part in PARTS for case in read_cases(part)]
BEFORE = (
    *("", "First we count 3 of 7.\n\n", "The answer is 540? No.\n\n", "She has **12** of them, I think.\n\n"),
    *("<think>Is it 3? The answer is 9.</think>", r"<think>It could be \boxed{3}.</think>"),
)
WRAPPINGS = (
    *(r"So it is \boxed{%s}.", r"Therefore the answer is $\boxed{%s}$. I hope it is correct.", "**Final answer:** %s"),
    *("We see it now.\n\n**%s**\n\nLet me know if anything is unclear!", "**The answer is %s.**", "The answer is %s."),
    *("The final answer is: %s", "The answer is %s, because it was so at first.", "Final answer\n\n%s", "#### %s"),
    *("<answer>%s</answer>", "The answer is not 77 but %s."),
)


@pytest.mark.scaled
@settings(max_examples=size(200, long=4_000))
@given(st.sampled_from(CASES), st.sampled_from(BEFORE), st.sampled_from(WRAPPINGS))
def test_an_answer_in_a_box_in_bold_or_in_a_sentence_keeps_its_verdict(grader, case, before, wrapping):
    answer = extract_answer(case.text, case.gold)
    # “5!” may be a factorial; of `$x = 1$ and $y = 2$`, a sentence may mean the last; and some texts do not know.
    assume(answer and not any(doubtful in answer for doubtful in ("!", "$ and $", "cannot")))
    outcome = grader.grade(case.gold, answer).outcome
    assume(outcome is not UNSCORED)
    text = f"{before}{wrapping.replace('%s', answer)}"
    found = extract_answer(text, case.gold)
    assert grader.grade(case.gold, found).outcome is outcome, (text, found)


@pytest.mark.parametrize(
    ("how", "expected", "answer", "outcome"),
    [
        (GradingMethod.AUTO, "5", None, WRONG),
        (GradingMethod.AUTO, "5", "  ", WRONG),
        (GradingMethod.AUTO, None, "5", UNSCORED),
        (GradingMethod.AUTO, "5", "5" * 10_000, UNSCORED),
        (GradingMethod.EXACT, "0.5", r"\frac12", WRONG),
        (GradingMethod.EXACT, r"\dfrac12", r"\frac{1}{2}", CORRECT),
        (GradingMethod.NUMERIC, "0.5", "a half", CORRECT),
        (GradingMethod.NUMERIC, "0.5", "half of it", UNSCORED),
        (GradingMethod.MATH, "0.5", r"\frac12", CORRECT),
        (GradingMethod.CHOICE, "b", "C", WRONG),
        (Regex(r"\b{expected}\b"), "18", "It costs 18 dollars", CORRECT),
        (Regex(r"\b{expected}\b"), "18", "It costs 180 dollars", WRONG),
        (Regex("^{expected}$"), "a.c", "abc", WRONG),
        (Regex(r"^yes"), None, "yes, it does", CORRECT),
        (Regex(r"^{expected}$"), None, "yes", UNSCORED),
        (Regex(r"(?P<n{expected}>yes)"), "a-b", "yes", UNSCORED),
        (GradingMethod.REGEX, "5", "5", UNSCORED),
    ],
)
def test_a_way_can_be_chosen(grader, how, expected, answer, outcome):
    verdict = grader.grade(expected, answer, how)
    assert verdict.outcome is outcome, verdict.reason
    assert how is GradingMethod.AUTO or verdict.how is (GradingMethod.REGEX if isinstance(how, Regex) else how)


@pytest.mark.parametrize("pattern", ["(", "x{99999999999}", "(" * 20_000])
def test_a_pattern_that_is_not_valid_is_refused_at_once(pattern):
    with pytest.raises(SettingsError, match="not valid"):
        Regex(pattern)


def test_the_verdict_says_which_way_decided_and_quick_ones_start_no_process(capfd):
    with Grader(PATIENCE) as grader:
        assert grader.grade("5", "5").how is GradingMethod.EXACT
        assert grader.grade("1/2", "0.5").how is GradingMethod.NUMERIC
        assert grader.grade("B", "(C)").how is GradingMethod.CHOICE
        assert grader._child.pid is None
        assert grader.grade("(x+1)^2", "x^2+2x+1").how is GradingMethod.MATH
        verdict = grader.grade("x+1", "x+2 \ud83d")
        assert verdict.outcome is not CORRECT
        assert verdict.reason.encode("utf-8"), "half a character is graded like any other text"
    assert capfd.readouterr().err == "", "nobody is warned that the child sets no limit"


@pytest.mark.parametrize("expected", ["5", "(1,2)", "east"])
@pytest.mark.parametrize(
    "answer",
    [
        *("5 " + "a" * 4900 + "!", "(" * 4900, "(a," * 1600 + "a" + ")" * 1600, r"\text{" * 800, "1,000" * 900),
        *("{" * 4900, "C. " * 1600),
    ],
)
def test_an_answer_made_to_be_slow_is_looked_at_once(expected, answer):
    undecided = Verdict.of(None, GradingMethod.MATH, "Algebra was not asked.")
    assert compare(expected, answer, lambda *_: undecided).outcome is not CORRECT


# The child


def test_what_hangs_is_killed_and_unscored_and_all_parts_of_an_answer_share_one_time_limit():
    hard = ", ".join(f"(10^{{{power}}})!" for power in range(9, 29))
    expected = ", ".join(str(number) for number in range(20))
    with Grader(time_limit=0.3) as grader:
        hanging = grader.grade("x", "a" * 64 + "!", Regex(r"^(a+)+$"))
        assert hanging.outcome is UNSCORED
        assert "took longer than 0.3 seconds and was stopped" in hanging.reason
        assert grader.grade("yes", "yes", Regex("{expected}")).outcome is CORRECT
        assert grader.grade("5", "(10^{9})!", GradingMethod.MATH).outcome is UNSCORED
        assert grader.grade(f"({expected})", f"({hard})").outcome is UNSCORED


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit of another process is not readable")
def test_algebra_cannot_take_all_memory(grader):
    assert grader.grade("2x", "x+x", GradingMethod.MATH).outcome is CORRECT
    limit, _ = psutil.Process(grader._child.pid).rlimit(psutil.RLIMIT_AS)
    assert 0 < limit <= 4 * 2**30


def test_a_child_that_dies_over_an_answer_leaves_it_unscored_is_started_again_and_ends_with_the_grader():
    with Grader(PATIENCE) as grader, ThreadPoolExecutor() as pool:
        hanging = pool.submit(grader.grade, "x", "a" * 64 + "!", Regex(r"^(a+)+$"))
        while grader._child.pid is None:
            assert not hanging.done()
        psutil.Process(grader._child.pid).terminate()
        lost = hanging.result()
        assert lost.outcome is UNSCORED
        assert "ended; it may have run out of memory" in lost.reason
        assert grader.grade("x+1", "1+x").outcome is CORRECT
        pid = grader._child.pid
    assert grader._child.pid is None
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize(
    ("answers", "expected", "same", "outcomes"),
    [
        (["0.5", "\\frac{1}{2}", "2"], "", [(1,), (0,), ()], [UNSCORED] * 3),
        (["050", "51", "50"], "050", [(2,), (), (0,)], [CORRECT, WRONG, CORRECT]),
        ([None, None, "4"], "4", [(), (), ()], [WRONG, WRONG, CORRECT]),
    ],
)
def test_answers_that_say_the_same_agree_and_what_is_expected_decides_which_is_right(
    grader, answers, expected, same, outcomes
):
    found = standings(answers, expected, grader)
    assert [standing.answer for standing in found] == answers
    assert [standing.same for standing in found] == same
    assert [standing.outcome for standing in found] == outcomes


@pytest.mark.parametrize(
    ("expected", "text", "outcome"),
    [
        # What is said first is the answer, and what follows only adds to it
        ("18", "She has 18 pens, and her brother has 6.", CORRECT),
        ("18", "18. Because 3 boxes hold 6 each, the shop sells 9 of them.", CORRECT),
        ("18", "She has 18 pens.\n\nTo verify, 18 + 6 = 24.", CORRECT),
        ("18", "She has 18 pens.\n\n| pens | pencils |\n|---|---|\n| 18 | 6 |", CORRECT),
        ("18", "There are **18** pens (**3** boxes of **6**).", CORRECT),
        ("3", "It takes 3 hours. In minutes this is 180 minutes.", CORRECT),
        ("3, 5", "The numbers are 3 and 5: their sum is 8.", CORRECT),
        ("{3, 5}", "The solutions are:\n- x = 3\n- x = 5", CORRECT),
        # Several statements compete
        ("18", "18 of the pens work. The other 6 are dry.", UNSCORED),
        ("18", "She sold 18 pens, so the remaining 6 are hers.", UNSCORED),
        ("18", "She sells 6 pens, leaving her with 18.", UNSCORED),
        ("18", "The mode is **6**, and the median is **18**.", UNSCORED),
        ("18", "**Pens:** 18\n**Pencils:** 6", UNSCORED),
        ("Anna", "The winner is Anna.\n\nBen is second.", UNSCORED),
        ("x > 3", "So x is more than 3.", UNSCORED),
        ("18", "She has 18 pens, right?", UNSCORED),
        ("18", "Ben thinks it is 18, and that is so.", UNSCORED),
        ("Jane Austen", "Jane Austen wrote it.", UNSCORED),
        # The expected answer is not among them, or is denied
        ("18", "16 of the pens work. The other 6 are dry.", WRONG),
        ("18", "The answer is not 18.", WRONG),
        ("3:45 PM", "The train arrives at 3:45 AM.", WRONG),
        ("9 PM", "The meeting is at 9 AM.", WRONG),
        ("22:15", "It ends at 10:15 p.m.", CORRECT),
        ("25", "So Janet has 18 eggs left to sell at $25 each.", WRONG),
        ("25", "25 divided by 7 leaves a remainder of 4.", WRONG),
        ("4", "It takes her 4 friends 3 hours to paint it.", WRONG),
        ("B", "Answer: B. No, actually C.", WRONG),
        ("18", "**Final answer:**", WRONG),
        # An intermediate result is no answer, and a sentence after "Answer:" is read
        ("7", "The total is 42. So each of the 6 children gets 7.", CORRECT),
        ("18", "Answer: She has 18 pens.", CORRECT),
        ("18", "Answer\n\nThe sum of the first 3 numbers is 18.", CORRECT),
        ("18", "It's 18!", CORRECT),
        ("18", "The unknown number is 18.", CORRECT),
        ("18", "According to the table, she has 18 pens.", CORRECT),
        ("True", "The claim is true. All squares are rectangles.", CORRECT),
    ],
)
def test_a_text_is_wrong_only_if_what_it_states_cannot_be_the_expected_answer(grader, expected, text, outcome):
    assert grader.grade(expected, extract_answer(text, expected)).outcome is outcome


# The grader agrees with people, but for these: it leaves them in doubt, or takes the wrong number

KNOWN = {
    "development": [("3R^2", UNSCORED)],
    "holdout": [("42", UNSCORED), ("64.50", UNSCORED), (r"\text{hyperbola}", UNSCORED)],
    "second_holdout": [(r"\langle 2, -3, 1 \rangle", WRONG), (r"\{-3, 3\}", UNSCORED), (r"\{-3, 3\}", UNSCORED)],
    "third_holdout": [("60", UNSCORED)],
    "fourth_holdout": [("42", UNSCORED)],
}


@pytest.mark.parametrize("part", PARTS)
def test_the_grader_agrees_with_people(part):
    graded = list(graded_by_baton(read_cases(part), PATIENCE))
    assert [(each.case.gold, each.outcome) for each in graded if each.outcome is not each.case.outcome] == KNOWN[part]
    assert not [each for each in graded if each.answer is None and each.case.kind != "none"]


@pytest.mark.parametrize(
    ("part", "counts"),
    [
        *(("prose", (0, 0, 20, 67)), ("prose_holdout", (2, 3, 5, 16))),
        *(("second_prose", (0, 0, 7, 7)), ("second_prose_holdout", (0, 3, 14, 8))),
    ],
)
def test_in_prose_the_grader_would_rather_leave_an_answer_unscored_than_err(part, counts):
    """Counted are false right, false wrong, right but unscored, and wrong but unscored."""
    graded = Counter((each.case.outcome, each.outcome) for each in graded_by_baton(read_cases(part), PATIENCE))
    mistakes = (WRONG, CORRECT), (CORRECT, WRONG), (CORRECT, UNSCORED), (WRONG, UNSCORED)
    assert tuple(graded[mistake] for mistake in mistakes) == counts
