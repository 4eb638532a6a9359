r"""Compares numbers that are no quantity: dates, times (`4:45 pm`), ratios (`2:3`) and residues (`3 \pmod{7}`)."""

from __future__ import annotations

import re
from fractions import Fraction

from baton_reasoning.core.grading.numbers import read_quantity
from baton_reasoning.resources import resource_table

_MONTHS = list(enumerate(resource_table("tables/months.txt"), 1))
_MONTH_OF = {name: month for month, names in _MONTHS for name in (*names, names[0][:3])}
_MONTH = rf"(?:{'|'.join(sorted(_MONTH_OF, key=len, reverse=True))})\b\.?"
_DAY = r"\d{1,2}(?:st|nd|rd|th|\.|er|º)?"
DATE = re.compile(
    rf"(?P<iso>\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}})|(?P<eastern>\d{{4}}年\d{{1,2}}月\d{{1,2}}日)"
    rf"|(?P<day_first>(?:{_DAY}\s+(?:of\s+|de\s+)?{_MONTH})(?:,?\s+(?:de\s+)?\d{{4}})?)"
    rf"|(?P<month_first>{_MONTH}\s+{_DAY}(?!\d)(?:,?\s+\d{{4}})?)|(?P<numeric>\d{{1,2}}[./]\d{{1,2}}[./]\d{{4}})",
    re.IGNORECASE,
)
"""A date in words of six languages, or in digits."""
_ABOUT_A_DATE = re.compile(r"^(?:on|by|the|am|le|el|il)\s+|^\w+day,?\s+", re.IGNORECASE)

_RATIO = re.compile(r"(\d{1,18})\s*(?::|\bto\b)\s*(\d{1,18})")
TIME = re.compile(r"(?P<hour>\d{1,2})(?:(?::|\s?h\s?|\.(?=\d\d Uhr))(?P<minute>\d\d))?(?: (?P<half>am|pm)| Uhr)?")
_RESIDUE = re.compile(
    r"(?:[a-zA-Z]\s*(?:≡|\\equiv)\s*)?(?P<residue>-?\d{1,18})\s*(?:\(\s*(?:\\?mod)|\\p?mod"
    r"|\\bmod)\s*\{?(?P<modulus>\d{1,18})\}?\s*\)?"
)


def same_other_number(expected: str, given: str) -> bool | None:
    """Tell whether two tidy answers are the same date, time, ratio or residue; None if they are none of these."""
    for compare in (_same_date, _same_time, _same_ratio, _same_residue):
        if (same := compare(expected, given)) is not None:
            return same
    return None


def _same_date(expected: str, given: str) -> bool | None:
    """Compare two dates. One without a year is the same day of any; `3/4/2021` may be of March or of April."""
    right, said = _days(expected), _days(given)
    if not right or not said:
        return None
    same = {(day[-2:] == other[-2:] if 0 in (day[0], other[0]) else day == other) for day in right for other in said}
    return same.pop() if len(same) == 1 else None


def _days(text: str) -> set[tuple[int, int, int]]:
    """Read the year (0 for none), month and day of a date; two readings for `3/4/2021`, none for what is no date."""
    date = DATE.fullmatch(_ABOUT_A_DATE.sub("", _ABOUT_A_DATE.sub("", text)))
    if date is None:
        return set()
    numbers = [int(number) for number in re.findall(r"\d+", date.group())]
    if date["day_first"] or date["month_first"]:
        named = re.search(_MONTH, date.group(), re.IGNORECASE)
        month = _MONTH_OF[named.group().lower().rstrip(".")] if named else 0
        readings = {(numbers[1] if len(numbers) > 1 else 0, month, numbers[0])}
    elif date["numeric"]:
        readings = {(numbers[2], numbers[0], numbers[1]), (numbers[2], numbers[1], numbers[0])}
    else:
        readings = {(numbers[0], numbers[1], numbers[2])}
    return {(year, month, day) for year, month, day in readings if 1 <= month <= 12 and 1 <= day <= 31}


def _same_time(expected: str, given: str) -> bool | None:
    right, said = TIME.fullmatch(expected), TIME.fullmatch(given)
    if (
        right is None
        or said is None
        or not any(time["half"] or not time.group().replace(":", "").isdigit() for time in (right, said))
    ):
        return None
    if (right["minute"] or "00") != (said["minute"] or "00"):
        return False
    if not right["half"] and not said["half"]:
        return int(right["hour"]) == int(said["hour"])
    if right["half"] and said["half"]:
        return right["half"] == said["half"] and int(right["hour"]) == int(said["hour"])
    twelve, other = (right, said) if right["half"] else (said, right)
    return int(other["hour"]) in (int(twelve["hour"]), _on_24_hours(int(twelve["hour"]), twelve["half"]))


def _on_24_hours(hour: int, half: str) -> int:
    """Convert `2 pm` to 14 and `12 am` to 0; an hour that does not exist on a twelve-hour clock stays as it is."""
    return hour % 12 + (12 if half == "pm" else 0) if 1 <= hour <= 12 else hour


def ratio(text: str) -> tuple[int, int] | None:
    found = _RATIO.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


def in_other_terms(expected: str, given: str) -> bool:
    """Tell whether they are one ratio in other terms, such as `2:3` and `4:6`.

    That leaves them in doubt: lowest terms may be required, or both may be times of day.
    """
    right, said = ratio(expected), ratio(given)
    return right is not None and said is not None and right != said and right[0] * said[1] == right[1] * said[0]


def _same_ratio(expected: str, given: str) -> bool | None:
    right, said = ratio(expected), ratio(given)
    if right is not None and said is not None:
        return right == said
    pair, other = (right, given) if right is not None else (said, expected)
    quantity = read_quantity(other)
    if pair is None or quantity is None or not pair[1]:
        return None
    return quantity.value == Fraction(*pair)


def _same_residue(expected: str, given: str) -> bool | None:
    """Compare two residues; one without a modulus takes the other's."""
    right, said = _RESIDUE.fullmatch(expected), _RESIDUE.fullmatch(given)
    if right is None and said is None:
        return None
    if right is not None and said is not None:
        modulus = int(right["modulus"])
        if modulus != int(said["modulus"]):
            return False
        return modulus > 0 and (int(right["residue"]) - int(said["residue"])) % modulus == 0
    residue, other = (right, given) if right is not None else (said, expected)
    quantity = read_quantity(other)
    return None if residue is None or quantity is None else quantity.value == int(residue["residue"])
