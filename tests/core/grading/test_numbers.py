"""Numbers, units, ratios, times of day and residues are read as people write them, and compared."""

from fractions import Fraction

import pytest

from baton_reasoning.core.grading.normal import tidy
from baton_reasoning.core.grading.numbers import read_quantity, same_other_number, same_quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,000", 1000),
        (r"11,\! 111", 11111),
        (r"10{,}080", 10080),
        ("3{,}5", Fraction(7, 2)),
        (r"1\frac{4}{5}", Fraction(9, 5)),
        ("2 1/2", Fraction(5, 2)),
        ("5^2", 25),
        ("-2^2", -4),
        ("(-2)^2", 4),
        ("2³", 8),
        (r"\left(\frac{2}{3}\right)^{2}", Fraction(4, 9)),
        ("2^{-3}", Fraction(1, 8)),
        (r"1.5 \times 10^{3}", 1500),
        ("1.6 x 10^-2", Fraction(16, 1000)),
        ("1.45 million", 1_450_000),
        ("a dozen eggs", 12),
        ("one hundred and five", 105),
        ("two and a half hours", Fraction(5, 2)),
        ("three-fourths", Fraction(3, 4)),
        (r"0.1\overline{6}", Fraction(1, 6)),
        ("0.333...", Fraction(1, 3)),
        (r"0.\dot{3}", Fraction(1, 3)),
        ("about 18", 18),
        (r"\$18.90", Fraction(189, 10)),
        ("1 hour 30 minutes", Fraction(3, 2)),
        ("9 (apples)", 9),
        ("1101_2", 13),
        ("40 (base 9)", 36),
    ],
)
def test_a_number_has_its_value(text, value):
    quantity = read_quantity(text)
    assert quantity is not None
    assert quantity.value == value


@pytest.mark.parametrize(
    "text", ["5x", "5 x", "x^2", "5 + C", "F_2", "3.14159...", "2^{10^9}", "9" * 400, "5 and more", ""]
)
def test_what_is_no_plain_number_is_left_to_others(text):
    assert read_quantity(text) is None


@pytest.mark.parametrize(
    ("expected", "given", "same"),
    [
        ("5 m", "500 cm", True),
        ("5 m", "5 cm", False),
        (r"\$18", "1800 cents", True),
        (r"\$18", "18 cents", False),
        ("18", "18 cents", True),
        ("0.18", "18 cents", True),
        ("15 cm^2", "15^2 cm", False),
        ("1 m", "1 m²", False),
        ("1 m²", "1 m", False),
        ("36 square inches", "36 in", False),
        ("1 m", "1 apple", None),
        ("25°C", "25 degrees", None),
        ("12 apples", "12 pears", None),
        (r"\$18", r"\$18 per day", True),
        ("50%", "0.5", True),
        ("52_8", "52_9", False),
        ("52_8", "52", True),
        ("52_8", "42", False),
        ("42", "52_8", True),
        ("52", "52_8", None),
        ("2", "1.9999999", False),
        (r"\frac{1}{3}", "0.333333", True),
        (r"\frac{1}{3}", "0.333", False),
    ],
)
def test_two_quantities_are_the_same_or_not_or_in_doubt(expected, given, same):
    right, said = read_quantity(expected), read_quantity(given)
    assert right is not None
    assert said is not None
    assert same_quantity(right, said) is same


# Ratios, times of day and residues


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
def test_they_are_the_same_or_not_or_in_doubt(expected, given, same):
    assert same_other_number(tidy(expected), tidy(given)) is same
