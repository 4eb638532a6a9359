r"""Compares numbers that are no quantity: ratios (`2:3`), times of day (`4:45 pm`) and residues (`3 \pmod{7}`)."""

import re
from fractions import Fraction

from baton_reasoning.core.grading.quantities import read_quantity

_RATIO = re.compile(r"(\d{1,18})\s*(?::|\bto\b)\s*(\d{1,18})")
_TIME = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?: (?P<half>am|pm))?")
_RESIDUE = re.compile(
    r"(?:[a-zA-Z]\s*(?:≡|\\equiv)\s*)?(?P<residue>-?\d{1,18})\s*(?:\(\s*(?:\\?mod)|\\p?mod|\\bmod)\s*\{?(?P<modulus>\d{1,18})\}?\s*\)?"
)


def same_other_number(expected: str, given: str) -> bool | None:
    """Tell whether two tidy answers are the same ratio, time or residue; None if they are none, or in doubt."""
    for compare in (_same_time, _same_ratio, _same_residue):
        same = compare(expected, given)
        if same is not None:
            return same
    return None


def _same_time(expected: str, given: str) -> bool | None:
    right, said = _TIME.fullmatch(expected), _TIME.fullmatch(given)
    if right is None or said is None or not (right["half"] or said["half"]):
        return None
    if right["minute"] != said["minute"]:
        return False
    if right["half"] and said["half"]:
        return right["half"] == said["half"] and int(right["hour"]) == int(said["hour"])
    twelve, other = (right, said) if right["half"] else (said, right)
    return int(other["hour"]) in (int(twelve["hour"]), _on_24_hours(int(twelve["hour"]), twelve["half"]))


def _on_24_hours(hour: int, half: str) -> int:
    """Convert `2 pm` to 14 and `12 am` to 0; an hour that does not exist on a twelve-hour clock stays as it is."""
    return hour % 12 + (12 if half == "pm" else 0) if 1 <= hour <= 12 else hour


def _same_ratio(expected: str, given: str) -> bool | None:
    """Compare two ratios; `4:6` and `2:3` are in doubt: lowest terms may be required, or both may be times of day."""
    right, said = _RATIO.fullmatch(expected), _RATIO.fullmatch(given)
    if right is not None and said is not None:
        if right.groups() == said.groups():
            return True
        return None if int(right[1]) * int(said[2]) == int(right[2]) * int(said[1]) else False
    ratio, other = (right, given) if right is not None else (said, expected)
    quantity = read_quantity(other)
    if ratio is None or quantity is None or not int(ratio[2]):
        return None
    return quantity.value == Fraction(int(ratio[1]), int(ratio[2]))


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
