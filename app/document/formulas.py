r"""Finds mathematics in Markdown and lifts it out before Markdown is read.

Markdown would eat the backslash of `\(`, take `_` and `*` for emphasis and a line that begins with `+` for a
list. So each formula gives way to a placeholder that Markdown passes through untouched, and comes back when the
text is set. What is code stays code, money stays money, and an opening without its close stays as it was written.
"""

import re
from bisect import bisect_left
from functools import cached_property
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
PLACEHOLDER = re.compile(f"{_OPEN}[0-9]+{_CLOSE}")

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
# Each finds where a match begins, overlapping ones as well: in `$$$` a formula may end at the first or second dollar.
_CLOSER = {
    "$$": re.compile(r"(?<!\\)(?=(\$\$))"),
    r"\[": re.compile(r"(?<!\\)(?=(\\\]))"),
    r"\(": re.compile(r"(?<!\\)(?=(\\\)))"),
    "$": re.compile(r"(?<![\s\\])(?=(\$)(?!\d))"),  # the rule of Pandoc: no blank before it, no digit after
}
_BLANK_LINE = re.compile(r"(?=(\n[ \t]*\n))")
_EDGE = re.compile(rf"\\(begin|end)\{{((?:{_ENVIRONMENTS})\*?)\}}|\\.|[{{}}]", re.DOTALL)
_MONEY = re.compile(r"\d[\d.,]*[\s,]+[A-Za-z]{2,}\s")  # "$5 apples and 3$"
_LONGEST_AMOUNT = 80  # characters that are compared with `_MONEY`


def lift_formulas(text: str) -> Lifted:
    """Replace formulas by placeholders; `put_back` undoes it."""
    text = text.replace(_OPEN, "\ufffd").replace(_CLOSE, "\ufffd")
    pieces: list[str] = []
    formulas: list[Formula] = []
    closings = _Closings(text)
    at = 0
    while opening := _START.search(text, at):
        pieces.append(text[at : opening.start()])
        kind = opening.lastgroup
        formula = None
        if opening["fence"] or kind == "code":
            end = _end_of_code(text, opening, closings)
        elif kind == "times":
            pieces.append("\\")
            end = opening.end()
        else:
            formula = _formula_at(text, opening, closings)
            end = opening.start() + len(formula.source) if formula else opening.end()
        if formula:
            pieces.append(placeholder(len(formulas)))
            formulas.append(formula)
        else:
            # A bracket whose other one stands in another piece, or nowhere: Markdown would drop its backslash.
            alone = opening[0] in (r"\(", r"\[", r"\)", r"\]")
            pieces.append(("\\" if alone else "") + text[opening.start() : end])
        at = end
    pieces.append(text[at:])
    return Lifted("".join(pieces), tuple(formulas))


def placeholder(number: int) -> str:
    """Return what stands in the text for the formula of this number."""
    return f"{_OPEN}{number}{_CLOSE}"


def put_back(text: str, formulas: tuple[Formula, ...]) -> str:
    """Return the text with every formula as it was written, for places where nothing is typeset."""
    return PLACEHOLDER.sub(lambda found: formulas[int(found[0][1:-1])].source, text)


class _Closings:
    """Where the openings of one text close. Each kind is searched for once, at its first opening.

    So the time is linear in the text, however many openings in it never close.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._spans: dict[re.Pattern[str], tuple[list[int], list[int]]] = {}

    def first(self, pattern: re.Pattern[str], start: int) -> tuple[int, int] | None:
        """Start and end of the first match (its group 1) that begins at `start` or later."""
        if pattern not in self._spans:
            spans = [found.span(1) for found in pattern.finditer(self._text)]
            self._spans[pattern] = [begin for begin, _ in spans], [end for _, end in spans]
        starts, ends = self._spans[pattern]
        index = bisect_left(starts, start)
        return (starts[index], ends[index]) if index < len(starts) else None

    def has_blank_line(self, start: int, end: int) -> bool:
        """Whether a blank line lies within `start` to `end`."""
        blank = self.first(_BLANK_LINE, start)
        return blank is not None and blank[1] <= end

    @cached_property
    def ends(self) -> dict[int, int]:
        """Where each brace and each environment ends, by where it begins; escaped braces do not count."""
        ends: dict[int, int] = {}
        opened: dict[str, list[int]] = {}
        for found in _EDGE.finditer(self._text):
            same_kind = opened.setdefault(found[2] or "{", [])
            if found[0] == "{" or found[1] == "begin":
                same_kind.append(found.start())
            elif same_kind and (found[0] == "}" or found[1] == "end"):
                ends[same_kind.pop()] = found.end()
        return ends


def _end_of_code(text: str, opening: re.Match[str], closings: _Closings) -> int:
    """Return where the code ends that begins here. Without a close, a fence runs on and backticks are plain text."""
    if opening["fence"]:
        rail = opening["rail"]
        close = re.compile(rf"^[ \t>]*{re.escape(rail)}{rail[0]}*[ \t]*$", re.MULTILINE)
        found = close.search(text, opening.end())
        return found.end() if found else len(text)
    ticks = closings.first(re.compile(rf"(?<!`)(`{{{len(opening[0])}}})(?!`)"), opening.end())
    return ticks[1] if ticks else opening.end()


def _formula_at(text: str, opening: re.Match[str], closings: _Closings) -> Formula | None:
    start, inside = opening.start(), opening.end()
    if opening["boxed"]:
        end = closings.ends.get(inside)
        return Formula(text[start:end], False, text[start:end]) if end else None
    if opening["environment"]:
        end = closings.ends.get(start)
        return Formula(text[start:end], True, text[start:end]) if end else None
    opener = opening["display"] or opening["inline"]
    close = closings.first(_CLOSER[opener], inside) if opener else None
    if close is None or (opening["inline"] and closings.has_blank_line(inside, close[0])):
        return None
    if opener == "$" and (
        text[inside].isspace() or _MONEY.match(text[inside : min(close[0], inside + _LONGEST_AMOUNT)])
    ):
        return None
    latex = text[inside : close[0]].strip()
    return Formula(latex, bool(opening["display"]), text[start : close[1]]) if latex else None
