"""Options, lists, intervals and matrices are read, and compared part by part; no answer is slow to compare."""

import pytest

from baton_reasoning.core.grading.compare import Form, choice_letter, compare, read_structure, same_structure
from baton_reasoning.core.grading.normal import normalise, tidy
from baton_reasoning.core.grading.verdict import How, Outcome, Verdict


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("(B)", "B"),
        ("B) 12", "B"),
        ("B. Paris", "B"),
        (r"\text{(B)}", "B"),
        (r"\textbf{(D) } 7", "D"),
        ("Option C", "C"),
        ("**B**", "B"),
        ("A triangle", None),
        ("Bach", None),
        ("12", None),
        ("Z", None),
    ],
)
def test_a_letter_is_told_from_a_word(answer, letter):
    assert choice_letter(answer) == letter


# Lists, intervals and matrices


def equal_text(expected: str, given: str) -> bool:
    return normalise(expected) == normalise(given)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("(1, 2)", Form.TUPLE),
        ("1, 2", Form.LIST),
        ("x = 1 or x = 2", Form.LIST),
        (r"1 \pm \sqrt{2}", Form.LIST),
        (r"\{1, 2\}", Form.SET),
        ("[0, 5)", Form.INTERVAL),
        (r"0 \le x < 5", Form.INTERVAL),
        (r"x > 2 and x < 5", Form.INTERVAL),
        (r"x < 2 or x > 3", Form.UNION),
        (r"x \ne 2", Form.UNION),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", Form.MATRIX),
    ],
)
def test_a_structure_has_its_form(text, form):
    structure = read_structure(tidy(text))
    assert structure is not None
    assert structure.form is form


@pytest.mark.parametrize("text", ["5", "x + 1", "f(x)", "(1, 2", "x = 1, 2, y = 3", "2x < y + z < 3w"])
def test_a_single_value_is_no_structure(text):
    assert read_structure(tidy(text)) is None


@pytest.mark.parametrize(
    ("expected", "given", "same"),
    [
        ("1, 2, 3", "3, 1, 2", True),
        ("1, 2, 3", "1, 2", False),
        ("(1, 2)", "(2, 1)", False),
        ("(1, 2)", "y = 2, x = 1", True),
        ("(1, 2)", "x = 2, y = 1", False),
        ("(1, 2)", r"\{1, 2\}", None),
        (r"\{1, 2\}", r"\{1, 2, 2\}", True),
        ("(3, 4]", r"3 < x \le 4", True),
        ("(3, 4]", r"3 \le x \le 4", False),
        (r"(2, \infty)", "2 < x", True),
        (r"(-\infty, 2) \cup (3, \infty)", "x > 3 or x < 2", True),
        (r"(-\infty, 2) \cup (3, \infty)", "x < 2", False),
        ("(1, 2)", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", True),
        ("((1, 2), (3, 4))", "((1, 2), (3, 5))", False),
    ],
)
def test_structures_are_compared_part_by_part(expected, given, same):
    right, said = read_structure(tidy(expected), tidy(given)), read_structure(tidy(given), tidy(expected))
    assert right is not None
    assert said is not None
    assert same_structure(right, said, equal_text) is same


# Answers made to be slow


def no_algebra(expected: str, given: str) -> Verdict:
    return Verdict.of(None, How.MATH, "Algebra was not asked.")


@pytest.mark.parametrize(
    "answer",
    [
        "5 " + "a" * 4900 + "!",
        "(" * 4900,
        "(a," * 1600 + "a" + ")" * 1600,
        r"\text{" * 800,
        "1,000" * 900,
        "{" * 4900,
        "C. " * 1600,
    ],
)
def test_an_answer_made_to_be_slow_is_looked_at_once(answer):
    for expected in ("5", "(1,2)", "east"):
        assert compare(expected, answer, no_algebra).outcome is not Outcome.CORRECT
