"""Lists, intervals and matrices are read as such and compared part by part."""

import pytest

from baton_reasoning.core.grading.normal_form import normalise, tidy
from baton_reasoning.core.grading.structures import Form, read_structure, same_structure


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
def test_a_structure_has_its_form(text: str, form: Form) -> None:
    structure = read_structure(tidy(text))
    assert structure is not None
    assert structure.form is form


@pytest.mark.parametrize("text", ["5", "x + 1", "f(x)", "(1, 2", "x = 1, 2, y = 3", "2x < y + z < 3w"])
def test_a_single_value_is_no_structure(text: str) -> None:
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
def test_structures_are_compared_part_by_part(expected: str, given: str, same: bool | None) -> None:
    right, said = read_structure(tidy(expected), tidy(given)), read_structure(tidy(given), tidy(expected))
    assert right is not None
    assert said is not None
    assert same_structure(right, said, equal_text) is same
