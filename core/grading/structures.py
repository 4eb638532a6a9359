r"""Reads and compares answers with parts: tuples, lists, sets, intervals, unions, inequalities, vectors and matrices.

A structure is read from tidy text, and two are compared part by part: tuples, intervals and matrices in order, sets
and bare lists in any order.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from baton_reasoning.core.grading.normal_form import without_name

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
    parts: "tuple[str | Structure, ...]"
    brackets: str = ""
    names: tuple[str, ...] = ()


def read_structure(text: str, other: str = "") -> Structure | None:
    """Read the structure of a tidy answer, or None. Names that it shares with the answer `other` are removed."""
    interval = _inequality(text)
    if interval is not None:
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

    def same_part(one: "str | Structure", other: "str | Structure") -> bool | None:
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
        return _same_in_any_order(expected.parts, given.parts, same_part)
    if expected.brackets != given.brackets or len(expected.parts) != len(given.parts):
        return False
    same = [same_part(one, other) for one, other in zip(expected.parts, given.parts, strict=True)]
    return False if False in same else None if None in same else True


def _alike(expected: Structure, given: Structure) -> tuple[Structure, Structure]:
    """Bring both to one form where a person would read them so."""
    forms = {expected.form, given.form}
    if forms == {Form.LIST} and expected.names and given.names:
        return _by_name(expected), _by_name(given)
    if forms == {Form.LIST, Form.TUPLE}:
        # "x = 1, y = 2" and "1, 2" are a pair where one is expected; a list in brackets is a list where that is.
        tuple_is_expected = expected.form is Form.TUPLE
        bare = given if tuple_is_expected else expected
        if tuple_is_expected or bare.names:
            listed = _by_name(bare) if bare.names else Structure(Form.TUPLE, bare.parts, "()")
            return (expected, listed) if tuple_is_expected else (listed, given)
        return expected, Structure(Form.LIST, given.parts)
    if forms == {Form.LIST, Form.SET}:
        return Structure(Form.SET, expected.parts), Structure(Form.SET, given.parts)
    if Form.MATRIX in forms and Form.TUPLE in forms:
        return _as_vector(expected), _as_vector(given)
    if Form.INTERVAL in forms and forms & {Form.TUPLE, Form.UNION}:
        if Form.UNION in forms:
            return expected, given
        return _as_interval(expected), _as_interval(given)
    return expected, given


def _same_in_any_order(
    expected: "Sequence[str | Structure]",
    given: "Sequence[str | Structure]",
    same_part: "Callable[[str | Structure, str | Structure], bool | None]",
) -> bool | None:
    left, missing, undecided = list(given), 0, False
    for one in expected:
        same: list[bool | None] = []
        for other in left:
            same.append(same_part(one, other))
            if same[-1]:
                break
        if True in same:
            left.pop(same.index(True))
        elif None in same:
            undecided = True
        else:
            missing += 1
    if missing:
        return False
    if undecided:
        return None
    # What is left over must repeat a part: {1, 2, 2} is {1, 2}.
    return all(any(same_part(one, other) for one in expected) for other in left)


def _by_name(structure: Structure) -> Structure:
    pairs = sorted(zip(structure.names, structure.parts, strict=True), key=lambda pair: pair[0])
    return Structure(Form.TUPLE, tuple(part for _, part in pairs), "()")


def _as_vector(structure: Structure) -> Structure:
    """Turn a matrix of one column or one row, or a tuple, into a tuple in round brackets."""
    if structure.form is Form.TUPLE:
        return Structure(Form.TUPLE, structure.parts, "()")
    rows = [row.parts for row in structure.parts if isinstance(row, Structure)]
    if len(rows) == 1:
        return Structure(Form.TUPLE, rows[0], "()")
    return (
        Structure(Form.TUPLE, tuple(row[0] for row in rows), "()") if all(len(row) == 1 for row in rows) else structure
    )


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
