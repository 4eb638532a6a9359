r"""Reads numbers as people write them: `1,000`, `\frac34`, `1 1/2`, `2^8`, `50\%`, `1.45 million`, `0.\overline{3}`.

Values are exact fractions. A unit (core/grading/units.py) is kept, and compared only where both sides have one.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from baton_reasoning.core.grading.normal_form import tidy
from baton_reasoning.core.grading.number_words import SCALES, read_number_words
from baton_reasoning.core.grading.units import CENT, NO_UNIT, PERCENT, Unit, read_unit

_FEWEST_DIGITS = 6
"""Significant digits with which a rounded decimal is accepted for an exact value."""
_MOST_DIGITS = 300
_LARGEST_EXPONENT = 300
_MOST_BITS = 40_000
"""Powers with more bits than this are left to algebra."""

_PLAIN = r"(?:\d{1,3}(?:[, ]\d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+"
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s*[$€£]?\s*(?P<inner_sign>-?)(?:"
    r"(?P<whole>\d+)?\s*\\frac\s*\{\s*(?P<top>[+-]?\d+)\s*\}\s*\{\s*(?P<bottom>\d+)\s*\}"
    r"|(?P<whole_plain>\d+)\s+(?P<top_plain>\d+)\s*/\s*(?P<bottom_plain>\d+)"
    r"|(?P<before>\d*\.\d*)(?:\\(?:overline|bar|dot)\s*\{?(?P<cycle>\d+)\}?|\((?P<cycle_round>\d+)\)|(?P<dots>\.\.\.))"
    r"|(?P<base>\d+(?:\.\d+)?|\([+-]?\d+(?:\.\d+)?\)|\((?P<base_top>\d+)/(?P<base_bottom>\d+)\)"
    r"|\(\s*\\frac\s*\{(?P<frac_top>\d+)\}\s*\{(?P<frac_bottom>\d+)\}\s*\))\^(?P<raised>\d|-\d|\{\s*[+-]?\d+\s*\})"
    rf"|(?P<decimal>{_PLAIN})(?:\s*(?:\\times|[eE](?=[+-]?\d))\s*(?P<power>(?:10\^)?\{{?[+-]?\d+\}}?))?"
    r"(?:\s*/\s*(?P<divisor>\d+))?"
    r")(?![\d^_.])"
)
_ABOUT = re.compile(r"^(?:≈|(?:about|approximately|around|roughly|exactly|only|just)\s)\s*", re.IGNORECASE)
_SCALE = re.compile(rf"^\s*(?:(?P<scale>{'|'.join(SCALES)})s?(?![a-z]))", re.IGNORECASE)
_BASED = re.compile(
    r"\(?(?P<digits>[0-9A-F]+)\)?\s*(?:_\s*\{?\s*(?P<base>\d{1,2}|[a-z]+)\s*\}?"
    r"|\(?(?:in\s+)?base[\s-]+(?P<said>\d{1,2}|[a-z]+)\)?)"
)


@dataclass(frozen=True)
class Quantity:
    """An exact value with a unit, and how it was written."""

    value: Fraction
    unit: Unit = NO_UNIT
    places: int | None = None
    """Digits after the point, where it was written with one."""
    base: int | None = None
    """The base of a number such as `52_8`; its `digits` are then those that were written."""
    digits: str = ""


def read_quantity(text: str) -> Quantity | None:
    """Read a text that is a number as a whole, perhaps with a unit; None if it is anything else."""
    text = _ABOUT.sub("", tidy(text))
    if text.startswith("(") and text.endswith(")") and not re.search("[,()]", text[1:-1]):
        text = text[1:-1].strip()
    based = _BASED.fullmatch(text)
    if based is not None:
        return _in_base(based)
    number = _NUMBER.match(text)
    if number is None:
        return _in_words(text)
    if number.end() - number.start() > _MOST_DIGITS:
        return None
    value = _value(number)
    unit_and_scale = _unit_after(text, number)
    if value is None or unit_and_scale is None:
        return None
    unit, scale = unit_and_scale
    more = unit.rest
    if more:
        added = read_quantity(more)
        if added is None or added.unit.dimensions != unit.dimensions or not unit.dimensions:
            return None
        return Quantity(value + added.value * added.unit.factor / unit.factor, unit.alone)
    places = len(number["decimal"].partition(".")[2]) if "." in (number["decimal"] or "") and scale == 1 else None
    return Quantity(value * scale, unit, places)


def same_quantity(expected: Quantity, given: Quantity) -> bool | None:
    """Tell whether they are equal; None if their units cannot be converted, or the base is in doubt."""
    if expected.base is not None or given.base is not None:
        return _same_in_base(expected, given)
    if expected.unit.is_none or given.unit.is_none:
        return any(_close(expected, given, *readings) for readings in _readings(expected, given))
    factor = expected.unit.factor_to(given.unit)
    if factor is None:
        other_value = expected.value != given.value and expected.unit.is_unrelated_to(given.unit)
        return False if other_value or expected.unit.is_other_power_of(given.unit) else None
    return _close(expected, given, expected.value * factor, given.value)


def _readings(expected: Quantity, given: Quantity) -> list[tuple[Fraction, Fraction]]:
    """List what may be compared if only one side has a unit: a percentage or cents may also mean the hundredth."""
    pairs = [(expected.value, given.value)]
    if expected.unit in (PERCENT, CENT):
        pairs.append((expected.value / 100, given.value))
    if given.unit in (PERCENT, CENT):
        pairs.append((expected.value, given.value / 100))
    return pairs


def _close(expected: Quantity, given: Quantity, one: Fraction, other: Fraction) -> bool:
    """Tell whether they are equal, or one is the other cut or rounded to at least six significant digits."""
    if one == other:
        return True
    return _rounded(expected.places, one, other) or _rounded(given.places, other, one)


def _rounded(places: int | None, decimal: Fraction, exact: Fraction) -> bool:
    if places is None or (exact * 10**places).denominator == 1:
        return False
    digits = len(str(abs(int(decimal * 10**places))))
    return digits >= _FEWEST_DIGITS and abs(decimal - exact) * 10**places < 1


def _same_in_base(expected: Quantity, given: Quantity) -> bool | None:
    if expected.base is not None and given.base is not None:
        return (expected.base, expected.digits) == (given.base, given.digits)
    if expected.base is not None:
        # The problem asked for that base, so digits without one are meant in it.
        if expected.base == 10:
            return expected.value == given.value
        return expected.digits == str(given.value)
    if expected.value == given.value:
        return True
    # `42` may be a data set's way to write 42 in base 8.
    return None if str(expected.value) == given.digits else False


def _in_base(based: re.Match[str]) -> Quantity | None:
    named = based["base"] or based["said"]
    if named.isdigit():
        base = int(named)
    else:
        number = read_number_words(named)
        base = int(number) if number is not None else 0
    digits = based["digits"]
    # A letter with an index, such as `F_2`, is a name.
    if not 2 <= base <= 16 or not (re.search(r"\d", digits) or len(digits) > 1) or len(digits) > _MOST_DIGITS:
        return None
    if any(int(digit, 16) >= base for digit in digits):
        # No number in this base, but two such may still be compared by their digits.
        return Quantity(Fraction(-1), base=base, digits=digits)
    return Quantity(Fraction(int(digits, base)), base=base, digits=digits)


def _in_words(text: str) -> Quantity | None:
    """Read `twenty-one eggs`: the longest beginning that is a number in words, then a unit."""
    words = text.replace("-", " ").split()
    for count in range(min(len(words), 12), 0, -1):
        value = read_number_words(" ".join(words[:count]))
        if value is not None:
            unit = read_unit(" " + " ".join(words[count:]) if count < len(words) else "")
            return Quantity(value, unit) if unit is not None and not unit.rest else None
    return None


def _unit_after(text: str, number: re.Match[str]) -> tuple[Unit, int] | None:
    rest = text[number.end() :]
    scale = 1
    scaled = _SCALE.match(rest)
    if scaled is not None:
        scale = SCALES[scaled["scale"].lower()]
        rest = rest[scaled.end() :]
    currency = re.search("[$€£]", number.group())
    if currency is not None:
        rest = f" {currency.group()}{rest}"
    unit = read_unit(rest)
    return (unit, scale) if unit is not None else None


def _value(number: re.Match[str]) -> Fraction | None:
    sign = -1 if (number["sign"] == "-") != (number["inner_sign"] == "-") else 1
    if number["raised"]:
        value = _power(number)
    elif number["before"] is not None:
        value = _repeating(number)
    elif number["decimal"]:
        value = _decimal(number)
    else:
        whole = int(number["whole"] or number["whole_plain"] or 0)
        bottom = int(number["bottom"] or number["bottom_plain"])
        top = int(number["top"] or number["top_plain"])
        value = Fraction(whole * bottom + top, bottom) if bottom else None
    return None if value is None else sign * value


def _decimal(number: re.Match[str]) -> Fraction | None:
    value = Fraction(number["decimal"].replace(",", "").replace(" ", ""))
    if number["power"]:
        power = number["power"]
        digits = power.removeprefix("10^").strip("{}")
        # A product such as 3 × 7 is no scientific notation.
        if ("times" in number.group() and not power.startswith("10^")) or abs(int(digits)) > _LARGEST_EXPONENT:
            return None
        value *= Fraction(10) ** int(digits)
    bottom = int(number["divisor"] or 1)
    return value / bottom if bottom else None


def _power(number: re.Match[str]) -> Fraction | None:
    if number["base_top"]:
        top, bottom = int(number["base_top"]), int(number["base_bottom"])
    elif number["frac_top"]:
        top, bottom = int(number["frac_top"]), int(number["frac_bottom"])
    else:
        top, bottom = Fraction(number["base"].strip("()")).as_integer_ratio()
    exponent = int(number["raised"].strip("{ }"))
    if not bottom or (not top and exponent <= 0):
        return None
    if max(abs(top), bottom).bit_length() * abs(exponent) > _MOST_BITS:
        return None
    return Fraction(top, bottom) ** exponent


def _repeating(number: re.Match[str]) -> Fraction | None:
    r"""Read `0.1\overline{6}`, `0.1(6)`, or `0.1666...`, which shows one digit three times or a longer cycle twice."""
    before, cycle = number["before"], number["cycle"] or number["cycle_round"]
    whole, _, digits = before.partition(".")
    if cycle is None:
        found = re.search(r"(?P<cycle>\d)(?P=cycle){2,}$|(?P<longer>\d{2,}?)(?P=longer)+$", digits)
        if found is None:
            return None
        cycle, digits = found["cycle"] or found["longer"], digits[: found.start()]
    fixed = Fraction(int(whole + digits or 0), 10 ** len(digits))
    return fixed + Fraction(int(cycle), (10 ** len(cycle) - 1) * 10 ** len(digits))
