r"""Numbers as people write them: `1,000`, `\frac{3}{4}`, `1 1/2`, `50\%`, `3 \times 10^8 m/s`.

Values are exact fractions; a unit is kept, and compared only where both sides have one.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from core.grading.normal_form import tidy

_CLOSE_ENOUGH = Fraction(1, 10**6)
"""Relative difference allowed where one side is a decimal; math-verify rounds to 6 places too."""
_MOST_DIGITS = 300
_LARGEST_EXPONENT = 300

_PLAIN = r"(?:\d{1,3}(?:[, ]\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+"
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s*(?:"
    r"(?P<whole>\d+)?\s*\\frac\s*\{\s*(?P<top>[+-]?\d+)\s*\}\s*\{\s*(?P<bottom>\d+)\s*\}"
    r"|(?P<whole_plain>\d+)\s+(?P<top_plain>\d+)\s*/\s*(?P<bottom_plain>\d+)"
    rf"|(?P<decimal>{_PLAIN})(?:\s*(?:\\times|[eE](?=[+-]?\d))\s*(?P<power>(?:10\^)?\{{?[+-]?\d+\}}?))?"
    r"(?:\s*/\s*(?P<divisor>\d+))?"
    r")"
)
_UNIT = re.compile(r"(?:[^\W\d_]|°|%|\^-?\d|\^\{-?\d\}|[ /²³])+")
_SHORT_UNITS = frozenset(
    "mm cm m km in ft yd mi mg g kg lb oz ms s h hr min mph kph ml mL cl L l J kJ N V W kW K C F Hz Pa mol rad deg"
    "".split()
)
_FUNCTIONS = frozenset("sin cos tan cot sec csc log ln exp mod gcd lcm max min det".split()) - {"min"}
_SAME_UNIT = {
    "percent": "%",
    "degree": "°",
    "deg": "°",
    "centimeter": "cm",
    "centimetre": "cm",
    "millimeter": "mm",
    "millimetre": "mm",
    "kilometer": "km",
    "kilometre": "km",
    "meter": "m",
    "metre": "m",
    "inche": "in",
    "inch": "in",
    "foot": "ft",
    "feet": "ft",
    "second": "s",
    "sec": "s",
    "minute": "min",
    "hour": "h",
    "hr": "h",
    "gram": "g",
    "kilogram": "kg",
    "dollar": "",
    "unit": "",
}


@dataclass(frozen=True)
class Quantity:
    """An exact value; `unit` is empty without one; `decimal` says that it was written with a point."""

    value: Fraction
    unit: str = ""
    decimal: bool = False


def read_quantity(text: str) -> Quantity | None:
    """The number that the whole of `text` is, perhaps with a unit; None if it is anything else."""
    text = tidy(text)
    if text.startswith("(") and text.endswith(")") and "," not in text:
        text = text[1:-1].strip()
    number = _NUMBER.match(text)
    if number is None or number.end() - number.start() > _MOST_DIGITS:
        return None
    unit = _read_unit(text[number.end() :])
    value = _value(number)
    if unit is None or value is None:
        return None
    return Quantity(value, unit, decimal="." in (number["decimal"] or ""))


def same_quantity(expected: Quantity, given: Quantity) -> bool | None:
    """Whether they are equal; None if their units differ, since nobody here converts units.

    A percentage equals both its number (data sets drop the sign) and its hundredth.
    """
    if expected.unit and given.unit and expected.unit != given.unit:
        return None
    decimal = expected.decimal or given.decimal
    return any(_close(one, other, decimal) for one, other in _readings(expected, given))


def _readings(expected: Quantity, given: Quantity) -> list[tuple[Fraction, Fraction]]:
    pairs = [(expected.value, given.value)]
    if expected.unit == "%" and not given.unit:
        pairs.append((expected.value / 100, given.value))
    if given.unit == "%" and not expected.unit:
        pairs.append((expected.value, given.value / 100))
    return pairs


def _close(one: Fraction, other: Fraction, decimal: bool) -> bool:
    return one == other or (decimal and abs(one - other) <= _CLOSE_ENOUGH * max(abs(one), abs(other)))


def _value(number: re.Match[str]) -> Fraction | None:
    sign = -1 if number["sign"] == "-" else 1
    if number["decimal"]:
        value = Fraction(number["decimal"].replace(",", "").replace(" ", ""))
        if number["power"]:
            exponent = _exponent(number["power"], number.group())
            if exponent is None:
                return None
            value *= Fraction(10) ** exponent
        bottom = int(number["divisor"] or 1)
    else:
        whole = int(number["whole"] or number["whole_plain"] or 0)
        bottom = int(number["bottom"] or number["bottom_plain"])
        top = int(number["top"] or number["top_plain"])
        value = Fraction(whole * bottom + top)
    return sign * value / bottom if bottom else None


def _exponent(power: str, number: str) -> int | None:
    """The power of ten; None for a product such as 3 × 7, which is no scientific notation, or a giant."""
    digits = power.removeprefix("10^").strip("{}")
    if "times" in number and not power.startswith("10^"):
        return None
    return int(digits) if abs(int(digits)) <= _LARGEST_EXPONENT else None


def _read_unit(rest: str) -> str | None:
    """The unit in its one spelling; empty for none; None if `rest` is no unit but part of a formula."""
    spaced = rest.startswith(" ")
    rest = rest.strip()
    if not rest:
        return ""
    if not _UNIT.fullmatch(rest):
        return None
    words = re.findall(r"[^\W\d_]+", rest)
    if not all(_is_unit_word(word, spaced) for word in words):
        return None
    return re.sub(r"[^\W\d_]+", lambda word: _one_spelling(word.group()), rest).replace(" ", "")


def _is_unit_word(word: str, spaced: bool) -> bool:
    """`5 cm`, `5cm` and `5 apples` have units; `5x`, `5xy` and `5 x` are products."""
    if word in _SHORT_UNITS:
        return spaced or len(word) > 1
    return spaced and len(word) >= 3 and word not in _FUNCTIONS


def _one_spelling(word: str) -> str:
    if word in _SHORT_UNITS and word not in _SAME_UNIT:
        return word
    word = word.lower()
    singular = word.removesuffix("s") if len(word) > 3 else word
    return _SAME_UNIT.get(word, _SAME_UNIT.get(singular, singular))
