r"""Compares two answers by their form: text, letters, words, numbers, and lists, intervals and matrices of them.

This decides most answers of most data sets, in microseconds. The rest needs algebra, which the caller passes in: it is
asked about the smallest parts, so that `(\sqrt{8}, 1)` is compared as a pair of values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

from baton_reasoning.core.grading.normal import (
    compare_words,
    is_prose,
    no_value,
    normalise,
    shortened,
    tidy,
    without_name,
)
from baton_reasoning.core.grading.numbers import (
    GROUPED_BY_POINTS,
    Quantity,
    read_quantity,
    read_unit,
    same_quantity,
    with_decimal_point,
)
from baton_reasoning.core.grading.other_numbers import in_other_terms, same_other_number
from baton_reasoning.core.grading.verdict import GradingMethod, Outcome, Verdict

Algebra = Callable[[str, str], Verdict]
"""Compares two expressions, expected and given, both tidy."""

_SUBSTANCE = re.compile(r"(?:[A-Z][a-z]?\d*)*[A-Z][a-z]?\d+(?:[A-Z][a-z]?\d*)*")
"""A chemical formula such as `C2H6`."""
_QUOTED = re.compile("“.*”", re.DOTALL)
_LONGEST_UNIT = 60
_UNIT_AT_END = re.compile(
    r"(?:(?<=[\d})°])\s*|(?<=\\pi)\s+)(?:[a-zA-Z]{2,}|[a-zA-Z](?=\^))[a-zA-Z/ ]*(?:\^\s*\{?\d\}?)?$|\s*°$"
)
_BEGINS = re.compile(r"-?\d+(?:\.\d+)?(?= [^\W\d_])")
_NOTHING = re.compile(
    r"none|nothing|no (?!solution|root|value|real)[a-z]{3,}(?: left| at all| remaining)?", re.IGNORECASE
)
_NUMBER = re.compile(r"\d{1,18}(?:\.\d{1,18})?")
_RANGE = re.compile(rf"{_NUMBER.pattern}\s*(?:-|to)\s*{_NUMBER.pattern}(?:\s*-\s*\d{{1,18}})?")


def compare(expected: str, given: str, algebra: Algebra) -> Verdict:
    """Compare two answers, by algebra only where text, letters, words, numbers or lists do not decide."""
    if _QUOTED.fullmatch(given.strip()):
        return Verdict.of(None, GradingMethod.EXACT, "The text states several values.")
    decided = compare_exact(expected, given)
    if decided.outcome is Outcome.CORRECT:
        return decided
    return _compare_options(expected, given, algebra) or _compare_values(tidy(expected), tidy(given), algebra)


def quoted(text: str) -> str:
    """Quote what a text says instead of an answer where it does not decide; `compare` leaves that unscored."""
    return f"“{text}”"


def _compare_values(expected: str, given: str, algebra: Algebra) -> Verdict:
    """Compare two tidy answers that are no options."""
    if _same_text(expected, given):
        return compare_exact(expected, given)
    return (
        _compare_numbers(expected, given)
        or _compare_other_numbers(expected, given)
        or (None if _REALS.fullmatch(expected) else compare_words(expected, given))
        or _compare_structures(expected, given, algebra)
        or _compare_expressions(without_name(expected, given), without_name(given, expected), algebra)
    )


def _compare_expressions(expected: str, given: str, algebra: Algebra) -> Verdict:
    """Compare two tidy answers that are neither numbers nor words nor lists: by algebra, unless one is prose."""
    if no_value(given):
        return Verdict.of(False, GradingMethod.EXACT, f"“{shortened(given)}” is not “{shortened(expected)}”.")
    expected, given = _without_unit(expected), _without_unit(given)
    if is_prose(expected) or is_prose(given):
        prose = "answer" if is_prose(given) else "expected answer"
        return Verdict.of(None, GradingMethod.EXACT, f"The {prose} is prose.")
    if expected != given and expected.casefold() == given.casefold():
        return Verdict.of(
            None, GradingMethod.EXACT, f"{shortened(given)} and {shortened(expected)} differ in case only."
        )
    right, said = _numbers_of_range(expected), _numbers_of_range(given)
    if right and said:
        return _numeric_verdict(right == said, expected, given)
    if right or said:
        return Verdict.of(
            None, GradingMethod.NUMERIC, f"{shortened(given if said else expected)} may be a range or a date."
        )
    number = read_quantity(expected)
    if number and (begins := _BEGINS.match(given)) and read_quantity(begins.group()) == number:
        return Verdict.of(None, GradingMethod.NUMERIC, f"{shortened(given)} may be {shortened(expected)}.")
    return algebra(expected, given)


def _numbers_of_range(text: str) -> list[Fraction] | None:
    """Read the numbers of a range, score, date or telephone number such as `10-15`, which is no difference."""
    return [Fraction(number) for number in _NUMBER.findall(text)] if _RANGE.fullmatch(text) else None


def compare_exact(expected: str, given: str) -> Verdict:
    """Compare the normal forms of the two texts."""
    same = _same_text(expected, given)
    return Verdict.of(same, GradingMethod.EXACT, f"The text is {'the same' if same else 'different'}.")


def compare_choice(expected: str, given: str) -> Verdict:
    """Compare the letters that were chosen; unscored if one answer names none or several."""
    right, chosen = choice_letter(expected, LETTERS), choice_letter(given, LETTERS)
    if right is None or chosen is None:
        missing = "expected answer" if right is None else "answer"
        return Verdict.of(None, GradingMethod.CHOICE, f"The {missing} does not name one letter.")
    return Verdict.of(right == chosen, GradingMethod.CHOICE, f"{chosen} was chosen, {right} is right.")


def compare_numeric(expected: str, given: str) -> Verdict:
    """Compare two numbers; unscored if one is no number, or their units differ."""
    missing = "expected answer" if _quantity(expected, given) is None else "answer"
    no_number = Verdict.of(None, GradingMethod.NUMERIC, f"The {missing} is not a plain number.")
    return _compare_numbers(expected, given) or no_number


def _compare_numbers(expected: str, given: str) -> Verdict | None:
    """Compare two numbers as `compare_numeric`; None if one is no number."""
    right, number = _quantity(expected, given), _quantity(given, expected)
    if right is not None and right.base is not None and right.digits == normalise(given):
        return Verdict.of(True, GradingMethod.NUMERIC, f"{shortened(given)} has the digits of {shortened(expected)}.")
    if right is None:
        decimal = _quantity(with_decimal_point(expected), given)
        return (
            _numeric_verdict(True, expected, given) if decimal and number and same_quantity(decimal, number) else None
        )
    if not right.value and _NOTHING.fullmatch(tidy(given)):
        return _numeric_verdict(True, expected, given)
    if number is None or GROUPED_BY_POINTS.search(given):
        number = _quantity(with_decimal_point(given), expected)
    if number is None:
        return None
    same = same_quantity(right, number)
    if same is None:
        return Verdict.of(
            None, GradingMethod.NUMERIC, f"{shortened(given)} and {shortened(expected)} differ in unit or base."
        )
    return _numeric_verdict(same, expected, given)


def _compare_other_numbers(expected: str, given: str) -> Verdict | None:
    if in_other_terms(expected, given):
        return Verdict.of(None, GradingMethod.NUMERIC, f"{shortened(given)} is {shortened(expected)} in other terms.")
    same = same_other_number(expected, given)
    return None if same is None else _numeric_verdict(same, expected, given)


def _numeric_verdict(same: bool, expected: str, given: str) -> Verdict:
    return Verdict.of(
        same, GradingMethod.NUMERIC, f"{shortened(given)} {'equals' if same else 'is not'} {shortened(expected)}."
    )


def _same_text(one: str, other: str) -> bool:
    if normalise(one) == normalise(other):
        return True
    one, other = tidy(one), tidy(other)
    if _SUBSTANCE.fullmatch(plain := re.sub(r"[_\s{}]", "", one)):
        return plain == re.sub(r"[_\s{}]", "", other)
    return normalise(without_name(one, other)) == normalise(without_name(other, one))


def _quantity(text: str, other: str) -> Quantity | None:
    return read_quantity(without_name(tidy(text), tidy(other)))


def _compare_options(expected: str, given: str, algebra: Algebra) -> Verdict | None:
    r"""Compare options by letter and content: `\textbf{(C) } 27` is answered by `C`, by `27` and by `(C) 27`."""
    letters, chosen = letters_of(expected), letters_of(given)
    if letters is not None and chosen is not None:
        reason = f"{shortened(given)} was chosen, {shortened(expected)} is right."
        return Verdict.of(letters == chosen, GradingMethod.CHOICE, reason)
    right, said = read_option(expected), read_option(given)
    if right is None and said is None:
        return None
    if right is not None and chosen is not None and not right.content:
        reason = f"{shortened(given)} was chosen, {right.letter} is right."
        return Verdict.of(None if right.letter in chosen else False, GradingMethod.CHOICE, reason)
    if right is None:
        # A letter alone says nothing of a value; an option that is written out is compared by its content.
        assert said is not None
        if letters is not None:
            return Verdict.of(False, GradingMethod.CHOICE, f"{said.letter} was chosen, {shortened(expected)} is right.")
        if said.content:
            return _compare_values(tidy(expected), said.content, algebra)
        if len(tidy(given)) == 1 and re.search(r"[A-Za-z]", tidy(expected)):
            return None
        return Verdict.of(None, GradingMethod.CHOICE, f"Option {said.letter} may be {shortened(expected)}.")
    if said is None:
        if right.content:
            return _compare_values(right.content, tidy(given), algebra)
        return compare_choice(right.letter, given)
    verdict = Verdict.of(
        right.letter == said.letter, GradingMethod.CHOICE, f"{said.letter} was chosen, {right.letter} is right."
    )
    if right.content and said.content:
        same = _compare_values(right.content, said.content, algebra).outcome
        if {same, verdict.outcome} == {Outcome.CORRECT, Outcome.WRONG}:
            return Verdict.of(None, GradingMethod.CHOICE, "The letter and the content of the options disagree.")
    return verdict


def _compare_structures(expected: str, given: str, algebra: Algebra) -> Verdict | None:
    right, said = read_structure(expected, given), read_structure(given, expected)
    if right is None or said is None:
        return None
    decided_by = GradingMethod.NUMERIC

    def same_item(one: str, other: str) -> bool | None:
        nonlocal decided_by
        verdict = _compare_values(tidy(one), tidy(other), algebra)
        decided_by = GradingMethod.MATH if verdict.how is GradingMethod.MATH else decided_by
        return None if verdict.outcome is Outcome.UNSCORED else verdict.outcome is Outcome.CORRECT

    same = same_structure(right, said, same_item)
    relation = {True: "is", False: "is not", None: "cannot be compared with"}[same]
    return Verdict.of(same, decided_by, f"{shortened(given)} {relation} {shortened(expected)}.")


def _without_unit(text: str) -> str:
    """Remove the unit of `70\\sqrt{2} meters`, which algebra would read as a product of letters."""
    unit = _UNIT_AT_END.search(text, max(0, len(text) - _LONGEST_UNIT))
    if unit is None or not unit.start():
        return text
    is_unit = read_unit(f" {unit.group().strip()}") is not None
    is_command = re.search(r"\\[a-zA-Z]*$", text[: unit.start() + 1]) is not None
    return text[: unit.start()] if is_unit and not is_command else text


# Options of multiple-choice problems: `(C)`, `\textbf{(C) } 27`, `C. 1-i`, and several letters at once

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""The labels of the options of a multiple-choice problem, in order."""
_LETTER = re.compile(r"[\s(\[*$]*(?P<letter>[A-Z])(?=$|[\s)\].:,*$])")
_LETTER_IN_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}")
_OPTION = re.compile(r"(?:\((?P<round>[A-J])\)|(?P<plain>[A-J])(?:[.):](?=\s|$)|$))\s*(?P<content>.*)")
_SEVERAL_LETTERS = re.compile(r"\(?[A-J]\)?(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)\(?[A-J]\)?)+|[A-J]{2,}")


class Option(NamedTuple):
    """An option as its letter and, where it is written out, its content."""

    letter: str
    content: str


def choice_letter(answer: str, letters: str = LETTERS[:10]) -> str | None:
    r"""Read the letter of an answer such as `B`, `(B)`, `B) 12`, `\text{B}` or `Option B`; None for none or several."""
    answer = _LETTER_IN_TEXT.sub(r"\1", answer).strip()
    answer = re.sub(r"^(?:option|choice)\s+", "", answer, flags=re.IGNORECASE)
    if letters_of(answer):
        return None
    if re.fullmatch(r"\(?[a-z][).]?", answer):
        answer = answer.upper()
    match = _LETTER.match(answer)
    # "A triangle" starts with an article, not with a choice.
    if match is None or (answer[match.end() : match.end() + 1] == " " and not answer[match.end() :].isspace()):
        return None
    return match["letter"] if match["letter"] in letters else None


def read_option(answer: str) -> Option | None:
    """Read an answer that is an option as a whole, perhaps after "Option" or "Choice"; None if it is anything else."""
    if letters_of(answer):
        return None
    option = _OPTION.fullmatch(re.sub(r"^(?:option|choice)\s+", "", tidy(answer), flags=re.IGNORECASE))
    return Option(option["round"] or option["plain"], option["content"].strip()) if option else None


def letters_of(answer: str) -> frozenset[str] | None:
    """Read the letters of an answer such as `A, C`, `(A) and (C)` or `AC`; None if it is anything else."""
    answer = tidy(answer)
    if not _SEVERAL_LETTERS.fullmatch(answer):
        return None
    letters = re.findall("[A-J]", answer)
    # "BAD" may be a word or a product; option letters are listed in order.
    in_order = not answer.isalpha() or letters == sorted(letters)
    return frozenset(letters) if in_order and len(set(letters)) == len(letters) else None


# Answers with parts: tuples, lists, sets, intervals, unions, inequalities, vectors and matrices, compared part by part


SameItem = Callable[[str, str], bool | None]
"""Whether two parts, expected and given, are equal; None if that cannot be decided."""

_NESTING = re.compile(r"\\?[\[({]|\\?[\])}]")
_MOST_ITEMS = 50
_DEEPEST = 4
_MATRIX = re.compile(
    r"\\begin\s*\{[pbB]?(?:matrix|array)\}(?:\s*\{[lcr|]+\})?(.*)\\end\s*\{[pbB]?(?:matrix|array)\}", re.DOTALL
)
_AND_OR = re.compile(r",?\s+(?:and|or)\s+(?![^()\[\]{}]*[)\]])")
_NAMED_VALUE = re.compile(r"(?P<name>[a-zA-Z](?:_\w)?)\s*=\s*(?P<value>[^=]+)")
_SIGN = r"\s*(<|>|\\le(?![a-z])|\\ge(?![a-z]))\s*"
_VARIABLE = r"[a-zA-Z](?:_\w)?|\\theta|[a-z]\([a-z]\)"
_TWO_SIDED = re.compile(rf"(?P<left>[^<>]+?){_SIGN}(?P<variable>{_VARIABLE}){_SIGN}(?P<right>[^<>]+)")
_ONE_SIDED = re.compile(rf"(?P<left>[^<>]+?){_SIGN}(?P<right>[^<>]+)")
_UNEQUAL = re.compile(rf"(?:{_VARIABLE})\s*\\ne\s*(?P<value>[^<>=]+)")
_SET_BUILDER = re.compile(rf"\\\{{\s*(?:{_VARIABLE})\s*(?:\\mid|\||:)\s*(?P<condition>.*)\\\}}")
_REALS = re.compile(r"\\mathbb\s*\{?R\}?|\\R|ℝ|all real numbers", re.IGNORECASE)


class Form(Enum):
    TUPLE = "tuple"
    LIST = "list"
    SET = "set"
    INTERVAL = "interval"
    UNION = "union"
    MATRIX = "matrix"


@dataclass(frozen=True)
class Structure:
    """Parts as text or as structures; `brackets` are those of a tuple or interval; `names` those of `x = 1, y = 2`."""

    form: Form
    parts: tuple[Part, ...]
    brackets: str = ""
    names: tuple[str, ...] = ()


Part = str | Structure
SamePart = Callable[[Part, Part], bool | None]


def read_structure(text: str, other: str = "") -> Structure | None:
    """Read the structure of a tidy answer, or None. Names that it shares with the answer `other` are removed."""
    if (interval := _inequality(text)) is not None:
        return interval
    text = without_name(text, other)
    if _REALS.fullmatch(text):
        return _interval("(", r"-\infty", r"\infty", ")")
    return _matrix(text) or _union(text) or _bracketed(text) or _bare(text)


def same_structure(expected: Structure, given: Structure, same_item: SameItem, depth: int = 0) -> bool | None:
    """Tell whether they are equal; None if a part cannot be decided, or one is a set and the other a tuple."""
    if depth > _DEEPEST:
        return None
    expected, given = _alike(expected, given)

    def same_part(one: Part, other: Part) -> bool | None:
        one = read_structure(one, other if isinstance(other, str) else "") or one if isinstance(one, str) else one
        other = read_structure(other) or other if isinstance(other, str) else other
        if isinstance(one, Structure) and isinstance(other, Structure):
            return same_structure(one, other, same_item, depth + 1)
        if isinstance(one, str) and isinstance(other, str):
            return same_item(one, other)
        return False

    if expected.form is not given.form:
        return None if {expected.form, given.form} <= {Form.TUPLE, Form.SET} else False
    if expected.form in (Form.LIST, Form.SET, Form.UNION):
        return _same_in_any_order(expected, given, same_part)
    if expected.brackets != given.brackets or len(expected.parts) != len(given.parts):
        return False
    same = [same_part(one, other) for one, other in zip(expected.parts, given.parts, strict=True)]
    return False if False in same else None if None in same else True


def _alike(expected: Structure, given: Structure) -> tuple[Structure, Structure]:
    """Bring both to one form where a person would read them so."""
    forms = {expected.form, given.form}
    if forms == {Form.LIST} and expected.names and given.names:
        return _as_tuple(expected), _as_tuple(given)
    if forms == {Form.LIST, Form.TUPLE}:
        # "x = 1, y = 2" and "1, 2" are a pair where one is expected; a list in brackets is a list where that is.
        if expected.form is Form.TUPLE:
            return expected, _as_tuple(given)
        return (_as_tuple(expected), given) if expected.names else (expected, Structure(Form.LIST, given.parts))
    if forms == {Form.LIST, Form.SET}:
        return Structure(Form.SET, expected.parts), Structure(Form.SET, given.parts)
    if Form.MATRIX in forms and Form.TUPLE in forms:
        return _as_vector(expected), _as_vector(given)
    if forms == {Form.INTERVAL, Form.TUPLE}:
        return _as_interval(expected), _as_interval(given)
    return expected, given


def _same_in_any_order(expected: Structure, given: Structure, same_part: SamePart) -> bool | None:
    left, undecided, repeats = list(given.parts), False, False
    for one in expected.parts:
        same: list[bool | None] = []
        for other in left:
            same.append(same_part(one, other))
            if same[-1]:
                break
        if True in same:
            left.pop(same.index(True))
        elif None in same:
            undecided = True
        elif any(same_part(one, other) for other in given.parts):
            repeats = True
        else:
            return False
    if undecided:
        return None
    # What is left over must repeat a part: {1, 2, 2} is {1, 2}, but in a list of factors it may matter how often.
    if not all(any(same_part(one, other) for one in expected.parts) for other in left):
        return False
    if expected.form is not Form.LIST or not (left or repeats):
        return True
    return False if left and repeats else None


def _as_tuple(listed: Structure) -> Structure:
    """Turn a list into a tuple, in the order of its names if it has some."""
    if not listed.names:
        return Structure(Form.TUPLE, listed.parts, "()")
    pairs = sorted(zip(listed.names, listed.parts, strict=True), key=lambda pair: pair[0])
    return Structure(Form.TUPLE, tuple(part for _, part in pairs), "()")


def _as_vector(structure: Structure) -> Structure:
    """Turn a matrix of one column or one row, or a tuple, into a tuple in round brackets."""
    if structure.form is Form.TUPLE:
        return Structure(Form.TUPLE, structure.parts, "()")
    rows = [row.parts for row in structure.parts if isinstance(row, Structure)]
    if len(rows) == 1:
        return Structure(Form.TUPLE, rows[0], "()")
    is_column = all(len(row) == 1 for row in rows)
    return Structure(Form.TUPLE, tuple(row[0] for row in rows), "()") if is_column else structure


def _as_interval(structure: Structure) -> Structure:
    if structure.form is Form.TUPLE and len(structure.parts) == 2:
        return Structure(Form.INTERVAL, structure.parts, structure.brackets)
    return structure


def _interval(opening: str, left: str, right: str, closing: str) -> Structure:
    return Structure(Form.INTERVAL, (left.strip(), right.strip()), opening + closing)


def _inequality(text: str) -> Structure | None:
    r"""Read `-1 < x \le 2` as (-1, 2], `x < 2 or x > 3` as a union, `x > 2 and x < 5` as an interval; else None."""
    builder = _SET_BUILDER.fullmatch(text)
    text = builder["condition"].strip() if builder else text
    if not re.search(r"[<>]|\\le(?![a-z])|\\ge(?![a-z])|\\ne(?![a-z])", text):
        return None
    alternatives = re.split(r",?\s+or\s+|\\lor", text)
    if len(alternatives) > 1:
        parts = [_inequality(part) for part in alternatives[:_MOST_ITEMS]]
        return Structure(Form.UNION, tuple(part for part in parts if part)) if all(parts) else None
    conditions = re.split(r",?\s+and\s+|\\land|,\s", text)
    if len(conditions) == 2:
        one, other = (_inequality(part) for part in conditions)
        return _intersection(one, other) if one and other else None
    unequal = _UNEQUAL.fullmatch(text)
    if unequal:
        value = unequal["value"]
        return Structure(Form.UNION, (_interval("(", r"-\infty", value, ")"), _interval("(", value, r"\infty", ")")))
    two = _TWO_SIDED.fullmatch(text)
    if two:
        return _between(two["left"], two[2], two[4], two["right"])
    one_sided = _ONE_SIDED.fullmatch(text)
    if one_sided is None:
        return None
    left, sign, right = one_sided["left"].strip(), one_sided[2], one_sided["right"].strip()
    if re.fullmatch(_VARIABLE, right) and not re.fullmatch(_VARIABLE, left):
        left, right, sign = right, left, {"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}[sign]
    if not re.fullmatch(_VARIABLE, left):
        return None
    if sign in ("<", r"\le"):
        return _interval("(", r"-\infty", right, ")" if sign == "<" else "]")
    return _interval("(" if sign == ">" else "[", right, r"\infty", ")")


def _between(left: str, first: str, second: str, right: str) -> Structure | None:
    if {first, second} <= {">", r"\ge"}:
        flipped = {">": "<", r"\ge": r"\le"}
        left, first, second, right = right, flipped[second], flipped[first], left
    if not {first, second} <= {"<", r"\le"}:
        return None
    return _interval("(" if first == "<" else "[", left, right, ")" if second == "<" else "]")


def _intersection(one: Structure, other: Structure) -> Structure | None:
    """Intersect one lower and one upper bound; None for what would need their values."""
    if one.form is not Form.INTERVAL or other.form is not Form.INTERVAL:
        return None
    if one.parts[0] == r"-\infty":
        one, other = other, one
    if one.parts[1] != r"\infty" or other.parts[0] != r"-\infty":
        return None
    return Structure(Form.INTERVAL, (one.parts[0], other.parts[1]), one.brackets[0] + other.brackets[1])


def _matrix(text: str) -> Structure | None:
    matrix = _MATRIX.fullmatch(text)
    if matrix is None or r"\begin" in matrix[1]:
        return None
    rows = [row.strip() for row in matrix[1].split("\\\\")]
    cells = [tuple(cell.strip() for cell in row.split("&")) for row in rows if row]
    if not cells or len(cells) > _MOST_ITEMS:
        return None
    return Structure(Form.MATRIX, tuple(Structure(Form.TUPLE, row, "()") for row in cells))


def _union(text: str) -> Structure | None:
    parts = [part.strip() for part in re.split(r"\\cup(?![a-z])", text)]
    if not 2 <= len(parts) <= _MOST_ITEMS:
        return None
    intervals = [_bracketed(part) for part in parts]
    if any(each is None or (len(each.parts) != 2 and each.form is not Form.SET) for each in intervals):
        return None
    return Structure(Form.UNION, tuple(_as_interval(each) for each in intervals if each))


def _bracketed(text: str) -> Structure | None:
    if text.startswith("\\{") and text.endswith("\\}"):
        parts = _split(text[2:-2], ",")
        return Structure(Form.SET, _expanded(parts)) if parts and len(parts) <= _MOST_ITEMS else None
    if text[:1] in ("(", "[") and text[-1:] in (")", "]"):
        parts = _split(text[1:-1], ",")
        if not parts or not 2 <= len(parts) <= _MOST_ITEMS:
            return None
        brackets = text[0] + text[-1]
        return Structure(Form.INTERVAL if brackets in ("(]", "[)") else Form.TUPLE, tuple(parts), brackets)
    return None


def _bare(text: str) -> Structure | None:
    """Read `1, 2`, `1 and 2`, `x = 1 or x = 2`, `x = 1, y = 2`, `1 \\pm \\sqrt{2}`."""
    joined = _AND_OR.sub(", ", text)
    parts = _split(joined, ", " if ", " in joined else ",")
    if parts is None or len(parts) > _MOST_ITEMS:
        return None
    named = [_NAMED_VALUE.fullmatch(part) for part in parts]
    names = tuple(name["name"] for name in named if name)
    values = [name["value"].strip() if name else part for name, part in zip(named, parts, strict=True)]
    if len(parts) > 1 and len(set(names)) == len(parts):
        return Structure(Form.LIST, tuple(values), names=names)
    if names and (len(set(names)) > 1 or named[0] is None):
        return None
    expanded = _expanded(values)
    return Structure(Form.LIST, expanded) if len(expanded) > 1 else None


def _expanded(parts: Sequence[str]) -> tuple[str, ...]:
    r"""Replace each `a \pm b` by its two values."""
    expanded: list[str] = []
    for part in parts:
        if re.search(r"\\pm(?![a-z])", part):
            for plus, minus in (("+", "-"), ("-", "+")):
                value = re.sub(r"\\pm(?![a-z])", plus, part)
                expanded.append(re.sub(r"\\mp(?![a-z])", minus, value).strip().removeprefix("+").strip())
        else:
            expanded.append(part)
    return tuple(expanded)


def _split(text: str, separator: str) -> list[str] | None:
    """Split at the separators outside all brackets; None if the brackets do not close within the text."""
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
