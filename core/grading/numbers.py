r"""Reads numbers as people write them: `1,000`, `\frac34`, `1 1/2`, `2^8`, `50\%`, `1.45 million`, `0.\overline{3}`.

Values are exact fractions. A unit is kept, and compared only where both sides have one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from baton_reasoning.core.grading.normal import SCALES, number_words_at, read_number_words, tidy
from baton_reasoning.resources import resource_table

# Units, and conversion between those of the same kind

# Kinds that are related though this table does not convert them: a year is 365 days or 366.
_RELATED = ({"time", "calendar"}, {"length", "gallons"}, {"money", "euro", "sterling"})
_SQUARED = {"square": 2, "sq": 2, "cubic": 3}
_RAISED = {"squared": 2, "cubed": 3}
_PER = frozenset({"per", "/", "every", "each", "a", "an"})
_SMALL_WORDS = frozenset("of to in on by the for".split())
# Words that never follow a number as its unit: they go on with the sentence or the formula.
_NO_UNITS = frozenset(
    "therefore thus hence also this total "
    "and or not but than with from mod plus minus times equals where when since because are was were has have "
    "sin cos tan cot sec csc log ln exp gcd lcm max det base pi sqrt".split()
)
_MOST_WORDS = 6
_TOKEN = re.compile(r"\s*(?:(?P<word>[^\W\d_]+\.?|[%°$€£¢/])(?:\s*\^\s*\{?(?P<power>-?\d)\}?)?)")

Dimensions = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Unit:
    """A unit as dimensions with powers, such as `(("length", 2),)`, and its size in their base units.

    Words that no table knows (`apples`) are kept in `other`. `rest` is what follows from the next number on, as in
    `1 hour 30 minutes`.
    """

    dimensions: Dimensions = ()
    factor: Fraction = Fraction(1)
    other: frozenset[str] = frozenset()
    rest: str = ""

    @property
    def kinds(self) -> set[str]:
        return {name for name, _ in self.dimensions}

    @property
    def is_none(self) -> bool:
        return not self.dimensions and not self.other

    def factor_to(self, other: Unit) -> Fraction | None:
        """Return the factor that converts a value to the unit `other`; None if they are of different kinds."""
        if self.dimensions != other.dimensions:
            return None
        if not (self.other <= other.other or other.other <= self.other):
            return None
        return self.factor / other.factor

    def is_unrelated_to(self, other: Unit) -> bool:
        """Tell whether both are known and no factor relates them: a length is no area, an angle is no price."""
        if self.other or other.other or not self.dimensions or not other.dimensions:
            return False
        kinds = self.kinds | other.kinds
        return len(kinds) == 1 or not any(kinds <= related for related in _RELATED)


NO_UNIT = Unit()


def _read_units() -> dict[str, tuple[Dimensions, Fraction]]:
    units: dict[str, tuple[Dimensions, Fraction]] = {}
    for kind, *names in resource_table("tables/units.txt"):
        factor = Fraction(names.pop()) if names[-1][0].isdigit() else Fraction(1)
        powers = [each.partition("^") for each in kind.split("*") if each != "1"]
        dimensions = tuple((name, int(power or 1)) for name, _, power in powers)
        units |= dict.fromkeys(names, (dimensions, factor))
    return units


_UNITS = _read_units()
"""Dimensions and factor of each unit by its names (resources/tables/units.txt)."""
PERCENT = Unit(*_UNITS["%"])
CENT = Unit(*_UNITS["¢"])


def read_unit(text: str) -> Unit | None:
    """Read the unit after a number; None if `text` is no unit but continues a formula or a sentence.

    `5 cm`, `5cm` and `5 apples` have units; `5x`, `5xy` and `5 x` are products, `5^2` is a power. The denominator of a
    rate is dropped if the unit itself is money or a thing that is counted: `$18 per day` is `$18`.
    """
    text = _without_brackets(text)
    if not text.strip():
        return NO_UNIT
    tokens = _tokens(text)
    if tokens is None:
        return None
    words, rest = tokens
    dimensions: dict[str, int] = {}
    factor = Fraction(1)
    other: set[str] = set()
    sign = squared = 1
    for written, power in words:
        word = written.lower()
        if word in _PER and (dimensions or other):
            if other or "money" in dimensions:
                break
            sign = -1
        elif word in _SQUARED:
            squared = _SQUARED[word]
        elif word == "of" or (word in _SMALL_WORDS and (dimensions or other)):
            continue
        elif (name := _known(written)) is not None:
            known, size = _UNITS[name]
            exponent = sign * squared * power
            for dimension, raised in known:
                dimensions[dimension] = dimensions.get(dimension, 0) + raised * exponent
            factor *= size**exponent
            squared = 1
        elif (len(word) > 2 or not word.isascii()) and word not in _NO_UNITS:
            other.add(word.removesuffix("s"))
        else:
            return None
    kept = tuple(sorted((name, power) for name, power in dimensions.items() if power))
    return Unit(kept, factor, frozenset(other), rest)


def _tokens(text: str) -> tuple[list[tuple[str, int]], str] | None:
    """Split into words with their powers, and what follows from the next number on."""
    if not text[0].isspace() and not re.match(r"[%°$€£¢/]|[a-zA-Z]{2}|h\s?\d|[^\W\da-zA-Z]", text):
        return None
    words: list[tuple[str, int]] = []
    at = 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if token is None:
            rest = text[at:].strip().removeprefix("and ").removeprefix(", ")
            return (words, rest) if words and rest[:1].isdigit() else None
        word = token["word"].rstrip(".")
        if word.lower() == "and" and re.match(r"\s*\d", text[token.end() :]):
            at = token.end()
            continue
        if len(words) >= _MOST_WORDS:
            return None
        if word.lower() in _RAISED and words:
            words[-1] = (words[-1][0], words[-1][1] * _RAISED[word.lower()])
            at = token.end()
            continue
        words.append((word, int(token["power"] or 1)))
        at = token.end()
    # Without a space only the short names of units are units: 5cm, not 5xy; or words in another script.
    if (
        text[0].isascii()
        and not text[0].isspace()
        and words
        and words[0][0] not in _UNITS
        and words[0][0] not in ("th", "st", "nd", "rd")
    ):
        return None
    if words and words[0][0] in ("th", "st", "nd", "rd"):
        words = words[1:]
    return words, ""


def _without_brackets(text: str) -> str:
    """Remove the brackets in `9 (apples)`: a remark in words is read like a unit."""
    return re.sub(r"\(([^()\d]*)\)", r" \1 ", text) if "(" in text else text


def _known(word: str) -> str | None:
    """Look a unit up in the table; symbols of one letter are taken as they are written, since `5 n` is no force."""
    lower = word.lower() if len(word) > 1 else word
    names = (word, lower, lower.removesuffix("s"), lower.removesuffix("es"))
    return next((name for name in names if name in _UNITS and (len(name) > 1 or name == word)), None)


# Quantities

_FEWEST_DIGITS = 6
"""Significant digits with which a rounded decimal is accepted for an exact value."""
_MOST_DIGITS = 300
_LARGEST_EXPONENT = 300
_MOST_BITS = 40_000
"""Powers with more bits than this are left to algebra."""

_PLAIN = r"(?:\d{1,3}(?:[, '’]\d{3})+(?!\d)|\d{1,2}(?:,\d\d)+,\d{3}|\d+)(?:\.\d*)?|\.\d+"
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s*(?:(?:US|CA?|AU?|NZ|R)?[$€£]|R(?=\d))?\s*(?P<inner_sign>-?)(?:"
    r"(?P<whole>\d+)\s+(?P<top>\d+)\s*/\s*(?P<bottom>\d+)"
    r"|(?P<before>\d*\.\d*)(?:\\(?:overline|bar|dot)\s*\{?(?P<cycle>\d+)\}?|\((?P<cycle_round>\d+)\)|(?P<dots>\.\.\.))"
    r"|(?P<base>\d+(?:\.\d+)?|\(\s*[+-]?\d+(?:\.\d+|/\d+)?\s*\))\^(?P<raised>\d|-\d|\{\s*[+-]?\d+\s*\})"
    rf"|(?P<decimal>{_PLAIN})(?:\s*(?:\\times|[eE](?=[+-]?\d))\s*(?P<power>(?:10\^)?\{{?[+-]?\d+\}}?))?"
    r"(?:\s*/\s*(?P<divisor>\d+))?"
    r")(?![\d^_.])"
)
_FRACTION = re.compile(r"\\frac\s*\{\s*([+-]?\d+)\s*\}\s*\{\s*(\d+)\s*\}(?!\s*\d)")
_ABOUT = re.compile(r"^(?:≈|(?:about|approximately|around|roughly|exactly|only|just)\s)\s*", re.IGNORECASE)
_ONE_OF = re.compile(r"^(?P<part>[\w-]+) (?:in|out of)(?: every)? (?P<whole>[\w-]+)$", re.IGNORECASE)
_TIMES = re.compile(r"(?<=\w) times(?: as [a-z]+)?$")
_SCALE = re.compile(rf"^\s*(?:(?P<scale>{'|'.join(SCALES)})s?(?![a-z]))", re.IGNORECASE)
_BASED = re.compile(
    r"\(?(?P<digits>[0-9A-F]+)\)?\s*(?:_\s*\{?\s*(?P<base>\d{1,2}|[a-z]+)\s*\}?"
    r"|\(?(?:in\s+)?base[\s-]+(?P<said>\d{1,2}|[a-z]+)\)?)"
)


GROUPED_BY_POINTS = re.compile(
    r"(?<![\d.,])\d{1,3}(?:(?:\.\d{3}){2,}(?![\d.])|(?:\.\d{3})+(?=,\d|\s*(?:€|euros?\b|eur\b|franken\b)))",
    re.IGNORECASE,
)
_DECIMAL_COMMA = re.compile(r"(?<![\d,])(\d+),(\d+)(?![\d,])")


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
    last_unit: Unit | None = None
    """The minutes of `1 hour 30 minutes`, whose `unit` is hours."""


def read_quantity(text: str) -> Quantity | None:
    """Read a text that is a number as a whole, perhaps with a unit; None if it is anything else."""
    text = _FRACTION.sub(r" \1/\2", _ABOUT.sub("", tidy(text))).strip()
    text = _TIMES.sub("", _ONE_OF.sub(_as_fraction, text))
    if text.startswith("(") and text.endswith(")") and not re.search("[,()]", text[1:-1]):
        text = text[1:-1].strip()
    if (based := _BASED.fullmatch(text)) is not None:
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
        last = added.last_unit or added.unit
        return Quantity(value + added.value * added.unit.factor / unit.factor, replace(unit, rest=""), last_unit=last)
    places = len(number["decimal"].partition(".")[2]) if "." in (number["decimal"] or "") and scale == 1 else None
    return Quantity(value * scale, unit, places)


def _as_fraction(chance: re.Match[str]) -> str:
    """Write `one in four` or `3 out of 4` as a fraction; what has no two numbers stays as it is."""
    part, whole = (int(each) if each.isdigit() else read_number_words(each) for each in chance.groups())
    return chance.group() if part is None or not whole else f"{part}/{whole}"


def with_decimal_point(text: str) -> str:
    """Write the numbers of a text that has decimal commas, and perhaps points between thousands, as in English."""
    text = GROUPED_BY_POINTS.sub(lambda number: number.group().replace(".", ""), text)
    return _DECIMAL_COMMA.sub(r"\1.\2", text)


def same_quantity(expected: Quantity, given: Quantity) -> bool | None:
    """Tell whether they are equal; None if their units cannot be converted, or the base is in doubt."""
    if expected.base is not None or given.base is not None:
        return _same_in_base(expected, given)
    if expected.unit.is_none or given.unit.is_none:
        return any(
            _close(expected, given, expected.value * one, given.value * other)
            for one in _readings(expected)
            for other in _readings(given)
        )
    factor = expected.unit.factor_to(given.unit)
    if factor is None:
        # The same number in another unit may be a slip, but a length is never an area.
        is_other = expected.value != given.value or expected.unit.kinds == given.unit.kinds
        return False if is_other and expected.unit.is_unrelated_to(given.unit) else None
    return _close(expected, given, expected.value * factor, given.value)


def _readings(quantity: Quantity) -> tuple[Fraction, ...]:
    """Return by what a value may be multiplied if the other has no unit.

    A percentage or cents may mean the hundredth, and `1 hour 30 minutes` is 90 minutes.
    """
    if quantity.unit in (PERCENT, CENT):
        return Fraction(1), Fraction(1, 100)
    return Fraction(1), quantity.unit.factor / (quantity.last_unit or quantity.unit).factor


def _close(expected: Quantity, given: Quantity, one: Fraction, other: Fraction) -> bool:
    """Tell whether they are equal, or one is the other truncated or rounded to at least six significant digits."""
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
    base = int(named) if named.isdigit() else int(read_number_words(named) or 0)
    digits = based["digits"]
    # A letter with an index, such as `F_2`, is a name.
    if not 1 <= base <= 16 or not (re.search(r"\d", digits) or len(digits) > 1) or len(digits) > _MOST_DIGITS:
        return None
    if any(int(digit, 16) >= base for digit in digits):
        # No number in this base, but two such may still be compared by their digits.
        return Quantity(Fraction(-1), base=base, digits=digits)
    return Quantity(Fraction(int(digits, base)), base=base, digits=digits)


def _in_words(text: str) -> Quantity | None:
    """Read `twenty-one eggs`: the longest beginning that is a number in words, then a unit."""
    text = " ".join(text.replace("-", " ").split())
    number = number_words_at(text)
    value, unit = read_number_words(number or ""), read_unit(text.removeprefix(number or ""))
    return Quantity(value, unit) if value is not None and unit is not None and not unit.rest else None


def _unit_after(text: str, number: re.Match[str]) -> tuple[Unit, int] | None:
    rest = text[number.end() :]
    scale = 1
    if (scaled := _SCALE.match(rest)) is not None:
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
        whole, top, bottom = (int(number[part]) for part in ("whole", "top", "bottom"))
        value = Fraction(whole * bottom + top, bottom) if bottom else None
    return None if value is None else sign * value


def _decimal(number: re.Match[str]) -> Fraction | None:
    value = Fraction(re.sub("[, '’]", "", number["decimal"]))
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
    decimal, _, divisor = number["base"].strip("( )").partition("/")
    exponent = int(number["raised"].strip("{ }"))
    top, bottom = Fraction(decimal).as_integer_ratio()
    bottom *= int(divisor or 1)
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
