"""Reads units after a number, and converts between those of the same kind."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction

_DEFINITIONS = """
length    m meter metre; km kilometer kilometre 1000; cm centimeter centimetre 1/100; mm millimeter millimetre 1/1000
length    in inch inches 127/5000; ft foot feet 381/1250; yd yard 1143/1250; mi mile 201168/125
mass      g gram; kg kilogram 1000; mg milligram 1/1000; lb lbs pound 45359237/100000; oz ounce 45359237/1600000
time      s sec second; min minute 60; h hr hour 3600; day 86400; week 604800
calendar  month; year yr 12
gallons   cup; pint 2; quart 4; gallon gal 16
money     $ dollar usd buck; ¢ cent 1/100
euro      € euro eur
sterling  £ gbp
part      % percent pct
angle     ° degree deg
radian    rad radian
energy    J joule; kJ kilojoule 1000
force     N newton
power     W watt; kW kilowatt 1000
voltage   V volt
charge    C coulomb
kelvin    K kelvin
pressure  Pa pascal; kPa 1000
frequency Hz hertz
amount    mol mole
speed     mph 1397/3125; kph 5/18
nothing   unit
"""
_LITRES = dict.fromkeys(("l", "L", "liter", "litre"), Fraction(1, 1000)) | dict.fromkeys(
    ("ml", "mL", "milliliter", "millilitre"), Fraction(1, 10**6)
)
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
    def is_none(self) -> bool:
        return not self.dimensions and not self.other

    @property
    def alone(self) -> "Unit":
        return replace(self, rest="")

    def factor_to(self, other: "Unit") -> Fraction | None:
        """Return the factor that converts a value to the unit `other`; None if they are of different kinds."""
        if self.dimensions != other.dimensions:
            return None
        if not (self.other <= other.other or other.other <= self.other):
            return None
        return self.factor / other.factor

    def is_other_power_of(self, other: "Unit") -> bool:
        """Tell whether both measure one kind of thing in different powers, as a length and an area do."""
        if self.other or other.other or len(self.dimensions) != 1 or len(other.dimensions) != 1:
            return False
        return self.dimensions[0][0] == other.dimensions[0][0] and self.dimensions != other.dimensions

    def is_unrelated_to(self, other: "Unit") -> bool:
        """Tell whether both are known and no factor relates them: a length is no area, an angle is no price."""
        if self.other or other.other or not self.dimensions or not other.dimensions:
            return False
        kinds = {name for name, _ in self.dimensions + other.dimensions}
        return len(kinds) == 1 or not any(kinds <= related for related in _RELATED)


NO_UNIT = Unit()


def _table() -> dict[str, tuple[Dimensions, Fraction]]:
    table: dict[str, tuple[Dimensions, Fraction]] = {}
    for line in _DEFINITIONS.strip().splitlines():
        dimension, definitions = line.split(maxsplit=1)
        for definition in definitions.split(";"):
            *names, last = definition.split()
            factor = Fraction(last) if last[0].isdigit() else Fraction(1)
            dimensions = {"speed": (("length", 1), ("time", -1)), "nothing": ()}.get(dimension, ((dimension, 1),))
            for name in names if last[0].isdigit() else [*names, last]:
                table[name] = (dimensions, factor)
    for name, factor in _LITRES.items():
        table[name] = ((("length", 3),), factor)
    return table


_UNITS = _table()
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
        elif word in _SMALL_WORDS and (dimensions or other):
            continue
        elif (name := _known(written)) is not None:
            known, size = _UNITS[name]
            exponent = sign * squared * power
            for dimension, raised in known:
                dimensions[dimension] = dimensions.get(dimension, 0) + raised * exponent
            factor *= size**exponent
            squared = 1
        elif len(word) > 2 and word not in _NO_UNITS:
            other.add(_singular(word))
        else:
            return None
    kept = tuple(sorted((name, power) for name, power in dimensions.items() if power))
    return Unit(kept, factor, frozenset(other), rest)


def _tokens(text: str) -> tuple[list[tuple[str, int]], str] | None:
    """Split into words with their powers, and what follows from the next number on."""
    if not text[0].isspace() and not re.match(r"[%°$€£¢/]|[a-zA-Z]{2}", text):
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
    # Without a space only the short names of units are units: 5cm, not 5xy.
    if not text[0].isspace() and words and words[0][0] not in _UNITS and words[0][0] not in ("th", "st", "nd", "rd"):
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


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word.removesuffix("s")
