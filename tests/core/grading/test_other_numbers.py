"""Ratios, times of day and residues are compared as what they are."""

import pytest

from baton_reasoning.core.grading.normal_form import tidy
from baton_reasoning.core.grading.other_numbers import same_other_number


@pytest.mark.parametrize(
    ("expected", "given", "same"),
    [
        ("2:3", "2 to 3", True),
        ("2:3", r"\frac{2}{3}", True),
        ("2:3", "3:2", False),
        ("2:3", "4:6", None),
        ("4:45 PM", "4:45 p.m.", True),
        ("4:45 PM", "4:45", True),
        ("4:45 PM", "4:45 AM", False),
        ("2:30 PM", "14:30", True),
        ("14:30", "2:30 p.m.", True),
        ("12:30 AM", "00:30", True),
        ("2:30 AM", "14:30", False),
        ("2:30 PM", "15:30", False),
        ("2:30 PM", "14:31", False),
        ("14:30 AM", "2:30 PM", False),
        (r"3 \pmod{7}", "x ≡ 3 (mod 7)", True),
        (r"3 \pmod{7}", r"10 \pmod 7", True),
        (r"3 \pmod{7}", r"3 \pmod 5", False),
        (r"3 \pmod{7}", "3", True),
        ("5", "6", None),
    ],
)
def test_they_are_the_same_or_not_or_in_doubt(expected: str, given: str, same: bool | None) -> None:
    assert same_other_number(tidy(expected), tidy(given)) is same
