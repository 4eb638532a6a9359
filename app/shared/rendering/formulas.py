r"""Finds mathematics in Markdown and lifts it out before Markdown is read.

Markdown would eat the backslash of `\(`, take `_` and `*` for emphasis and a line that begins with `+` for a
list. So each formula gives way to a placeholder that Markdown passes through untouched, and comes back when the
text is set. What is code stays code, money stays money, and an opening without its close stays as it was written.
"""

import re
from typing import NamedTuple


class Formula(NamedTuple):
    """One piece of mathematics as it stood in the text."""

    latex: str  # what is to be typeset, without delimiters
    display: bool  # on a line of its own
    source: str  # as written, delimiters and all


class Lifted(NamedTuple):
    """A text without its mathematics."""

    markdown: str
    formulas: tuple[Formula, ...]


# Private-use characters: no Markdown meaning, treated as letters at either side of an emphasis.
_OPEN, _CLOSE = "\ue000", "\ue001"
_PLACEHOLDER = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")

_ENVIRONMENTS = (
    r"equation|align|aligned|alignat|gather|gathered|multline|split|cases|array|eqnarray|"
    r"(?:small|[pbBvV])?matrix"
)
_START = re.compile(
    rf"""
    (?P<fence>^[ \t>]*(?P<rail>`{{3,}}|~{{3,}})[^\n]*$)
    | (?P<code>`+)
    | (?P<display>\$\$|\\\[)
    | (?P<inline>\\\(|\$)
    | \\begin\{{(?P<environment>(?:{_ENVIRONMENTS})\*?)\}}
    | (?P<boxed>\\(?:boxed|fbox)\s*(?=\{{))
    | \\.                                       # any other escape: not an opening
    | (?P<times>(?<=[\w)\]])\*(?=[\w(\[]))      # 2*3*4 multiplies, it does not emphasise
    """,
    re.VERBOSE | re.MULTILINE,
)
_CLOSER = {"$$": re.compile(r"(?<!\\)\$\$"), r"\[": re.compile(r"(?<!\\)\\\]")}
_INLINE_CLOSER = {
    r"\(": re.compile(r"(?<!\\)\\\)"),
    "$": re.compile(r"(?<![\s\\])\$(?!\d)"),  # the rule of Pandoc: no blank before it, no digit after
}
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_MONEY = re.compile(r"\d[\d.,]*[\s,]+[A-Za-z]{2,}\s")  # "$5 apples and 3$"


def lift_formulas(text: str) -> Lifted:
    """Takes the mathematics out; `put_back` and `split_at_formulas` undo it."""
    text = text.replace(_OPEN, "\ufffd").replace(_CLOSE, "\ufffd")
    pieces: list[str] = []
    formulas: list[Formula] = []
    at = 0
    while opening := _START.search(text, at):
        pieces.append(text[at : opening.start()])
        kind = opening.lastgroup
        formula = None
        if opening["fence"] or kind == "code":
            end = _end_of_code(text, opening)
        elif kind == "times":
            pieces.append("\\")
            end = opening.end()
        else:
            formula = _formula_at(text, opening)
            end = opening.start() + len(formula.source) if formula else opening.end()
        if formula:
            pieces.append(f"{_OPEN}{len(formulas)}{_CLOSE}")
            formulas.append(formula)
        else:
            # An opening bracket that never closes is kept from Markdown, which would drop its backslash.
            unclosed = opening[0] in (r"\(", r"\[")
            pieces.append(("\\" if unclosed else "") + text[opening.start() : end])
        at = end
    pieces.append(text[at:])
    return Lifted("".join(pieces), tuple(formulas))


def split_at_formulas(text: str, formulas: tuple[Formula, ...]) -> list[str | Formula]:
    """The text between placeholders and the formulas, in order; no empty strings."""
    parts: list[str | Formula] = []
    for index, part in enumerate(_PLACEHOLDER.split(text)):
        if index % 2:
            parts.append(formulas[int(part)])
        elif part:
            parts.append(part)
    return parts


def put_back(text: str, formulas: tuple[Formula, ...]) -> str:
    """The text with every formula as it was written, for places where nothing is typeset."""
    return _PLACEHOLDER.sub(lambda found: formulas[int(found[1])].source, text)


def left_open(text: str) -> int:
    """Where a formula begins that does not end in this text, but might in the text that follows; -1 if none does.

    A single dollar is not followed so far: too many of them are money.
    """
    at = 0
    while opening := _START.search(text, at):
        if opening["fence"] or opening.lastgroup == "code":
            at = _end_of_code(text, opening)
        elif formula := _formula_at(text, opening):
            at = opening.start() + len(formula.source)
        elif _has_no_end(text, opening):
            return opening.start()
        else:
            at = opening.end()
    return -1


def closed_in(opened: str, text: str) -> int:
    """How many characters of `text` complete the formula that `opened` begins (see `left_open`); 0 if it does not."""
    opening = _START.match(opened)
    formula = _formula_at(opened + text, opening) if opening else None
    if opening is None or formula is None:
        return 0
    rest = text[: len(formula.source) - len(opened)]
    # What looks like its end may be the beginning of another one.
    begins_anew = text.count("$$") % 2 == 0 if opening[0] == "$$" else opening[0] in rest
    return 0 if begins_anew and not opening["environment"] else len(rest)


def _has_no_end(text: str, opening: re.Match[str]) -> bool:
    inside = opening.end()
    if opener := opening["display"]:
        return _CLOSER[opener].search(text, inside) is None
    if opening["inline"] == r"\(":
        return _INLINE_CLOSER[r"\("].search(text, inside) is None and not _BLANK_LINE.search(text, inside)
    if name := opening["environment"]:
        return _end_of_environment(text, inside, name) is None
    return bool(opening["boxed"]) and _end_of_braces(text, inside) is None


def _end_of_code(text: str, opening: re.Match[str]) -> int:
    """Where the code ends that begins here; without a close a fence runs on and backticks are only that."""
    if opening["fence"]:
        rail = opening["rail"]
        close = re.compile(rf"^[ \t>]*{re.escape(rail)}{rail[0]}*[ \t]*$", re.MULTILINE)
        found = close.search(text, opening.end())
        return found.end() if found else len(text)
    ticks = re.compile(rf"(?<!`){opening[0]}(?!`)")
    found = ticks.search(text, opening.end())
    return found.end() if found else opening.end()


def _formula_at(text: str, opening: re.Match[str]) -> Formula | None:
    start, inside = opening.start(), opening.end()
    if opening["boxed"]:
        end = _end_of_braces(text, inside)
        return Formula(text[start:end], False, text[start:end]) if end else None
    if name := opening["environment"]:
        end = _end_of_environment(text, inside, name)
        return Formula(text[start:end], True, text[start:end]) if end else None
    if opener := opening["display"]:
        close = _CLOSER[opener].search(text, inside)
    elif opener := opening["inline"]:
        close = _INLINE_CLOSER[opener].search(text, inside)
    else:
        return None
    if close is None:
        return None
    latex, source = text[inside : close.start()], text[start : close.end()]
    if not latex.strip() or (opening["inline"] and _BLANK_LINE.search(latex)):
        return None
    if opener == "$" and (latex[0].isspace() or _MONEY.match(latex)):
        return None
    return Formula(latex.strip(), bool(opening["display"]), source)


def _end_of_braces(text: str, start: int) -> int | None:
    """Just after the brace that closes the one at `start`; an escaped brace does not count."""
    depth = 0
    for found in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if depth == 0 and found[0] == "}":
            return found.end()
    return None


def _end_of_environment(text: str, start: int, name: str) -> int | None:
    depth = 1
    for found in re.compile(rf"\\(begin|end)\{{{re.escape(name)}\}}").finditer(text, start):
        depth += 1 if found[1] == "begin" else -1
        if depth == 0:
            return found.end()
    return None
