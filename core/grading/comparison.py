r"""Compares two answers by their form: text, letters, words, numbers, and lists, intervals and matrices of them.

This decides most answers of most data sets, in microseconds. The rest needs algebra, which the caller passes in: it is
asked about the smallest parts, so that `(\sqrt{8}, 1)` is compared as a pair of values.
"""

import re
from collections.abc import Callable

from baton_reasoning.core.grading.choices import LETTERS, choice_letter, letters_of, read_option
from baton_reasoning.core.grading.normal_form import is_words, normalise, shortened, tidy, without_name
from baton_reasoning.core.grading.other_numbers import same_other_number
from baton_reasoning.core.grading.quantities import Quantity, read_quantity, same_quantity
from baton_reasoning.core.grading.structures import read_structure, same_structure
from baton_reasoning.core.grading.units import read_unit
from baton_reasoning.core.grading.verdict import How, Outcome, Verdict
from baton_reasoning.core.grading.words import compare_words, is_prose, says_no_value

Algebra = Callable[[str, str], Verdict]
"""Compares two expressions, expected and given, both tidy."""

_LONGEST_UNIT = 60
_UNIT_AT_END = re.compile(r"(?<=[\w})°])\s*(?:[a-zA-Z]{2,}|[a-zA-Z](?=\^))[a-zA-Z/ ]*(?:\^\s*\{?\d\}?)?$|\s*°$")


def compare(expected: str, given: str, algebra: Algebra) -> Verdict:
    """Compare two answers, by algebra only where text, letters, words, numbers or lists do not decide."""
    decided = compare_exact(expected, given)
    if decided.outcome is Outcome.CORRECT:
        return decided
    return _compare_options(expected, given, algebra) or _compare_values(tidy(expected), tidy(given), algebra)


def _compare_values(expected: str, given: str, algebra: Algebra) -> Verdict:
    """Compare two tidy answers that are no options."""
    if _same_text(expected, given):
        return compare_exact(expected, given)
    numeric = compare_numeric(expected, given)
    if numeric.outcome is not Outcome.UNSCORED or _both_numbers(expected, given):
        return numeric
    same = same_other_number(expected, given)
    if same is not None:
        return Verdict.of(
            same, How.NUMERIC, f"{shortened(given)} {'equals' if same else 'is not'} {shortened(expected)}."
        )
    words = compare_words(expected, given)
    if words is not None:
        return words
    right, said = without_name(expected, given), without_name(given, expected)
    structure = _compare_structures(expected, given, algebra)
    if structure is not None:
        return structure
    if says_no_value(given):
        return Verdict.of(False, How.EXACT, f"“{shortened(given)}” is not “{shortened(expected)}”.")
    right, said = _without_unit(right), _without_unit(said)
    if is_prose(right) or is_prose(said):
        prose = "answer" if is_prose(said) else "expected answer"
        return Verdict(Outcome.UNSCORED, How.EXACT, f"The {prose} is prose.")
    if right != said and right.casefold() == said.casefold():
        return Verdict(
            Outcome.UNSCORED, How.EXACT, f"{shortened(given)} and {shortened(expected)} differ in case only."
        )
    return algebra(right, said)


def compare_exact(expected: str, given: str) -> Verdict:
    """Compare the normal forms of the two texts."""
    same = _same_text(expected, given)
    return Verdict.of(same, How.EXACT, f"The text is {'the same' if same else 'different'}.")


def compare_choice(expected: str, given: str) -> Verdict:
    """Compare the letters that were chosen; unscored if one answer names none."""
    right, chosen = choice_letter(expected, LETTERS), choice_letter(given, LETTERS)
    if right is None or chosen is None:
        missing = "expected answer" if right is None else "answer"
        return Verdict(Outcome.UNSCORED, How.CHOICE, f"The {missing} names no letter.")
    return Verdict.of(right == chosen, How.CHOICE, f"{chosen} was chosen, {right} is right.")


def compare_numeric(expected: str, given: str) -> Verdict:
    """Compare two numbers; unscored if one is no number, or their units differ."""
    right, number = _quantity(expected, given), _quantity(given, expected)
    if right is not None and right.base is not None and right.digits == normalise(given):
        return Verdict.of(True, How.NUMERIC, f"{shortened(given)} has the digits of {shortened(expected)}.")
    if right is None or number is None:
        missing = "expected answer" if right is None else "answer"
        return Verdict(Outcome.UNSCORED, How.NUMERIC, f"The {missing} is not a plain number.")
    same = same_quantity(right, number)
    if same is None:
        return Verdict(
            Outcome.UNSCORED, How.NUMERIC, f"{shortened(given)} and {shortened(expected)} differ in unit or base."
        )
    return Verdict.of(same, How.NUMERIC, f"{shortened(given)} {'equals' if same else 'is not'} {shortened(expected)}.")


def _same_text(one: str, other: str) -> bool:
    if normalise(one) == normalise(other):
        return True
    one, other = tidy(one), tidy(other)
    return normalise(without_name(one, other)) == normalise(without_name(other, one))


def _quantity(text: str, other: str) -> Quantity | None:
    return read_quantity(without_name(tidy(text), tidy(other)))


def _both_numbers(expected: str, given: str) -> bool:
    return _quantity(expected, given) is not None and _quantity(given, expected) is not None


def _compare_options(expected: str, given: str, algebra: Algebra) -> Verdict | None:
    r"""Compare options by letter and content: `\textbf{(C) } 27` is answered by `C`, by `27` and by `(C) 27`."""
    right, said = read_option(expected), read_option(given)
    if right is None and said is None:
        letters, chosen = letters_of(expected), letters_of(given)
        if letters is not None and chosen is not None:
            return Verdict.of(
                letters == chosen, How.CHOICE, f"{shortened(given)} was chosen, {shortened(expected)} is right."
            )
        return None
    if right is None:
        # A letter alone says nothing of a value; an option that is written out is compared by its content.
        assert said is not None
        if letters_of(expected) is not None:
            return Verdict.of(False, How.CHOICE, f"{said.letter} was chosen, {shortened(expected)} is right.")
        if said.content:
            return _compare_values(tidy(expected), said.content, algebra)
        if len(tidy(given)) == 1 and re.search(r"[A-Za-z]", tidy(expected)):
            return None
        return Verdict(Outcome.UNSCORED, How.CHOICE, f"Option {said.letter} may be {shortened(expected)}.")
    if said is None:
        if right.content:
            return _compare_values(right.content, tidy(given), algebra)
        return compare_choice(right.letter, given)
    verdict = Verdict.of(right.letter == said.letter, How.CHOICE, f"{said.letter} was chosen, {right.letter} is right.")
    if right.content and said.content:
        same = _compare_values(right.content, said.content, algebra).outcome
        if (same is Outcome.CORRECT) != (verdict.outcome is Outcome.CORRECT) and same is not Outcome.UNSCORED:
            return Verdict(Outcome.UNSCORED, How.CHOICE, "The letter and the content of the options disagree.")
    return verdict


def _compare_structures(expected: str, given: str, algebra: Algebra) -> Verdict | None:
    right, said = read_structure(expected, given), read_structure(given, expected)
    if right is None or said is None:
        return None
    deciding = [How.NUMERIC]

    def same_item(one: str, other: str) -> bool | None:
        if _same_text(one, other):
            return True
        numeric = compare_numeric(one, other)
        if numeric.outcome is not Outcome.UNSCORED:
            return numeric.outcome is Outcome.CORRECT
        if is_words(tidy(one)) or is_words(tidy(other)):
            return False if is_words(tidy(one)) and is_words(tidy(other)) else None
        deciding[0] = How.MATH
        verdict = algebra(without_name(tidy(one), tidy(other)), without_name(tidy(other), tidy(one)))
        return None if verdict.outcome is Outcome.UNSCORED else verdict.outcome is Outcome.CORRECT

    same = same_structure(right, said, same_item)
    if same is None:
        return Verdict(
            Outcome.UNSCORED, deciding[0], f"{shortened(given)} cannot be compared with {shortened(expected)}."
        )
    return Verdict.of(same, deciding[0], f"{shortened(given)} {'is' if same else 'is not'} {shortened(expected)}.")


def _without_unit(text: str) -> str:
    """Remove the unit of `70\\sqrt{2} meters`, which algebra would read as a product of letters."""
    unit = _UNIT_AT_END.search(text, max(0, len(text) - _LONGEST_UNIT))
    if unit is None or not unit.start():
        return text
    word = unit.group().strip()
    return (
        text[: unit.start()]
        if read_unit(f" {word}") is not None and not re.search(r"\\[a-zA-Z]*$", text[: unit.start() + 1])
        else text
    )
