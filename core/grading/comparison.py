r"""Comparing two answers without algebra: text, letters, words, numbers, and lists of them.

Most answers of most data sets end here, in microseconds. What is left undecided needs math-verify.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from core.grading.extraction import LETTERS, choice_letter
from core.grading.normal_form import is_words, normalise, tidy, without_name
from core.grading.quantities import Quantity, read_quantity, same_quantity
from core.grading.verdict import How, Outcome, Verdict

_CHOICES = LETTERS[:10]
_BRACKETS = (("\\{", "\\}"), ("(", ")"), ("[", "]"), ("(", "]"), ("[", ")"))
_NESTING = re.compile(r"\\?[\[({]|\\?[\])}]")
_MOST_ITEMS = 50
_DEEPEST_LIST = 4


class _Items(NamedTuple):
    opening: str
    closing: str
    parts: list[str]

    @property
    def ordered(self) -> bool:
        return self.opening in ("(", "[")


def compare(expected: str, given: str) -> Verdict | None:
    """The verdict where text, letter, words, numbers or lists decide it; None leaves it to algebra."""
    decided = compare_exact(expected, given)
    if decided.outcome is Outcome.CORRECT:
        return decided
    if len(tidy(expected)) == 1 and tidy(expected) in _CHOICES:
        return compare_choice(expected, given)
    if is_words(tidy(expected)):
        return _compare_words(tidy(expected), tidy(given))
    numeric = compare_numeric(expected, given)
    if numeric.outcome is not Outcome.UNSCORED or _both_numbers(expected, given):
        return numeric
    same = _same_items(expected, given)
    if same is None:
        return None
    return _verdict(same, How.NUMERIC, f"{_short(given)} {'is' if same else 'is not'} {_short(expected)}.")


def compare_exact(expected: str, given: str) -> Verdict:
    """Equal in their one spelling, or not."""
    same = _same_text(expected, given)
    return _verdict(same, How.EXACT, f"The text is {'the same' if same else 'different'}.")


def compare_choice(expected: str, given: str) -> Verdict:
    """The same letter, or not; unscored if one of them names none."""
    right, chosen = choice_letter(expected, LETTERS), choice_letter(given, LETTERS)
    if right is None or chosen is None:
        missing = "expected answer" if right is None else "answer"
        return Verdict(Outcome.UNSCORED, How.CHOICE, f"The {missing} names no letter.")
    return _verdict(right == chosen, How.CHOICE, f"{chosen} was chosen, {right} is right.")


def compare_numeric(expected: str, given: str) -> Verdict:
    """The same number, or not; unscored if one is no number or their units differ."""
    right, number = _quantity(expected, given), _quantity(given, expected)
    if right is None or number is None:
        missing = "expected answer" if right is None else "answer"
        return Verdict(Outcome.UNSCORED, How.NUMERIC, f"The {missing} is not a plain number.")
    same = same_quantity(right, number)
    if same is None:
        return Verdict(Outcome.UNSCORED, How.NUMERIC, f"The units differ: {number.unit} instead of {right.unit}.")
    return _verdict(same, How.NUMERIC, f"{_short(given)} {'equals' if same else 'is not'} {_short(expected)}.")


def _same_text(one: str, other: str) -> bool:
    if normalise(one) == normalise(other):
        return True
    one, other = tidy(one), tidy(other)
    return normalise(without_name(one, other)) == normalise(without_name(other, one))


def _quantity(text: str, other: str) -> Quantity | None:
    return read_quantity(without_name(tidy(text), tidy(other)))


def _both_numbers(expected: str, given: str) -> bool:
    return _quantity(expected, given) is not None and _quantity(given, expected) is not None


def _compare_words(expected: str, given: str) -> Verdict | None:
    """Other words are wrong, unless the one is found inside the other: "Evelyn" in "Evelyn is fastest"."""
    right, said = expected.casefold(), given.casefold()
    if re.search(rf"\b{re.escape(right)}\b", said) or (said and re.search(rf"\b{re.escape(said)}\b", right)):
        return Verdict(Outcome.UNSCORED, How.EXACT, f"“{_short(given)}” may mean “{_short(expected)}”.")
    if not is_words(given):
        return None
    return Verdict(Outcome.WRONG, How.EXACT, f"“{_short(given)}” is not “{_short(expected)}”.")


def _same_items(expected: str, given: str, depth: int = 0) -> bool | None:
    """Compare lists item by item: tuples and intervals in order, sets and bare lists in any order."""
    if depth > _DEEPEST_LIST:
        return None
    right = _items(without_name(tidy(expected), tidy(given)))
    said = _items(without_name(tidy(given), tidy(expected)))
    if right is None or said is None or right.ordered != said.ordered:
        return None
    if right.ordered and (right.opening, right.closing) != (said.opening, said.closing):
        return False
    if len(right.parts) != len(said.parts):
        # Not for bare lists: "±2" is one item and two values.
        return False if right.ordered else None
    compare_parts = _same_in_order if right.ordered else _same_as_sets
    return compare_parts(right.parts, said.parts, depth + 1)


def _same_in_order(expected: Sequence[str], given: Sequence[str], depth: int) -> bool | None:
    same = [_same_item(right, said, depth) for right, said in zip(expected, given, strict=True)]
    if False in same:
        return False
    return None if None in same else True


def _same_as_sets(expected: Sequence[str], given: Sequence[str], depth: int) -> bool | None:
    left = list(given)
    undecided = False
    for right in expected:
        same = [_same_item(right, said, depth) for said in left]
        if True in same:
            left.pop(same.index(True))
        elif None in same:
            undecided = True
        else:
            return False
    return None if undecided else True


def _same_item(expected: str, given: str, depth: int) -> bool | None:
    if _same_text(expected, given):
        return True
    right, said = read_quantity(expected), read_quantity(given)
    if right is not None and said is not None:
        return same_quantity(right, said)
    return _same_items(expected, given, depth)


def _items(text: str) -> _Items | None:
    """The list that a tidy answer is, in brackets or bare ("1, 2", "1 and 2"); None if it is no list."""
    for opening, closing in _BRACKETS:
        if text.startswith(opening) and text.endswith(closing):
            parts = _split(text[len(opening) : -len(closing)], ",")
            if parts is not None and 2 <= len(parts) <= _MOST_ITEMS:
                return _Items(opening, closing, parts)
    bare = re.sub(r",?\s+(?:and|or)\s+", ", ", text)
    parts = _split(bare, ", " if ", " in bare else ",")
    return _Items("", "", parts) if parts is not None and 2 <= len(parts) <= _MOST_ITEMS else None


def _split(text: str, separator: str) -> list[str] | None:
    """The parts outside all brackets; None if the brackets do not close within the text."""
    parts, depth, start = [], 0, 0
    for token in re.finditer(rf"{_NESTING.pattern}|{separator}", text):
        if token.group() == separator:
            if depth == 0:
                parts.append(text[start : token.start()].strip())
                start = token.end()
        else:
            depth += 1 if token.group()[-1] in "[({" else -1
            if depth < 0:
                return None
    parts.append(text[start:].strip())
    return parts if depth == 0 and all(parts) else None


def _verdict(same: bool, how: How, reason: str) -> Verdict:
    return Verdict(Outcome.CORRECT if same else Outcome.WRONG, how, reason)


def _short(text: str) -> str:
    text = tidy(text)
    return text if len(text) <= 40 else f"{text[:39]}…"
