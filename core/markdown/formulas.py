r"""Reads mathematics in Markdown, as rules of its parser.

Markdown would eat the backslash of `\(`, take `_` and `*` for emphasis and a line that begins with `+` for a list. What
is code stays code, money stays money, and an opening without its close stays as it was written.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import MutableMapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

LONGEST_LATEX = 4_000
"""Characters; a longer "formula" is text that lost its closing delimiter."""


class Formula(NamedTuple):
    """One piece of mathematics as it stood in the text."""

    latex: str  # what is to be typeset, without delimiters
    display: bool  # on a line of its own
    source: str  # as written, delimiters and all


_ENVIRONMENTS = (
    r"equation|align|aligned|alignat|gather|gathered|multline|split|cases|array|eqnarray|"
    r"(?:small|[pbBvV])?matrix"
)
_DISPLAY = rf"\$\$|\\\[|\\begin\{{(?:{_ENVIRONMENTS})\*?\}}"
_OPENING = re.compile(
    rf"""
    (?P<display>\$\$|\\\[)
    | (?P<inline>\\\(|\$)
    | \\begin\{{(?P<environment>(?:{_ENVIRONMENTS})\*?)\}}
    | (?P<boxed>\\(?:boxed|fbox)\s*(?=\{{))
    """,
    re.VERBOSE,
)
_DISPLAYED_IN_LINE = re.compile(rf"(?P<code>`+)(?:(?!(?P=code)).)*(?P=code)(?!`)|(?P<opening>{_DISPLAY})|\\.")
"""Openings of displayed formulas, except in code and after a backslash."""
_TIMES = re.compile(r"(?<=[\w)\]])\*(?=[\w(\[])")
"""2*3*4 multiplies, it does not emphasise."""
_BRACKETS = (r"\(", r"\[", r"\)", r"\]")
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
_IN_A_ROW = re.compile(r"\$[^$\n]+\$|\\\([^\n]+?\\\)")
_PIPE = "\ue000"


def hide_pipes(text: str) -> str:
    """Replace the bars of inline formulas by a private character, or they would part the cells of a table."""
    return _IN_A_ROW.sub(lambda found: found[0].replace("|", _PIPE), text) if "|" in text else text


def show_pipes(text: str) -> str:
    """Undo `hide_pipes`."""
    return text.replace(_PIPE, "|")


def formula(state: StateInline, silent: bool) -> bool:
    """Read a formula in a line of text: an inline rule of markdown-it."""
    opening = _OPENING.match(state.src, state.pos)
    found = _formula_at(state.src, opening, _closings(state.env, state.src)) if opening else None
    if found is None or state.pos + len(found.source) > state.posMax:
        return False
    if not silent:
        state.push("formula", "", 0).meta["formula"] = found
    state.pos += len(found.source)
    return True


def no_markup(state: StateInline, silent: bool) -> bool:
    """Read a sign of multiplication, and a bracket whose other one is nowhere, as the letters that they are."""
    two = state.src[state.pos : state.pos + 2]
    letters = two if two in _BRACKETS else "*" if _TIMES.match(state.src, state.pos) else ""
    if not letters or state.pos + len(letters) > state.posMax:
        return False
    if not silent:
        state.append_pending(letters)
    state.pos += len(letters)
    return True


def paragraph(state: StateBlock, start: int, _: int, silent: bool) -> bool:  # noqa: ARG001 - markdown-it's signature
    """Read a paragraph: markdown-it's own rule, except that nothing in a displayed formula ends it.

    `env["open"]` is where in the text the first displayed formula opens that could still be closed by what follows.
    """
    ends = state.md.block.ruler.getRules("paragraph")
    parent, state.parentType = state.parentType, "paragraph"
    line, formula_ends, position = start, start, 0
    while line < state.lineMax:
        formula_ends, position = _last_line(state, line, formula_ends, position)
        line += 1
        if line >= state.lineMax or (line > formula_ends and state.isEmpty(line)):
            break
        is_continued = line <= formula_ends or state.sCount[line] - state.blkIndent > 3 or state.sCount[line] < 0
        if not is_continued and any(rule(state, line, state.lineMax, True) for rule in ends):
            break
    state.line, state.parentType = line, parent
    state.push("paragraph_open", "p", 1).map = [start, line]
    inline = state.push("inline", "", 0)
    inline.content = state.getLines(start, line, state.blkIndent, False).strip()
    inline.map, inline.children = [start, line], []
    state.push("paragraph_close", "p", -1)
    return True


def _last_line(state: StateBlock, line: int, last: int, position: int) -> tuple[int, int]:
    """Return the last line that a displayed formula of this line reaches, and where in the text it ends.

    `last`, `position`: of the formulas of earlier lines.
    """
    end = state.eMarks[line]
    at = max(position, state.bMarks[line] + state.tShift[line])
    closings = _closings(state.env, state.src)
    while at < end and (found := _DISPLAYED_IN_LINE.search(state.src, at, end)):
        at = found.end()
        if not found["opening"]:
            continue
        opening = _OPENING.match(state.src, found.start("opening"))
        assert opening is not None  # the same opening, by another pattern
        close = _end_of(opening, closings)
        if close is None:
            if len(state.src) - opening.start() <= LONGEST_LATEX:
                state.env["open"] = min(opening.start(), state.env.get("open", opening.start()))
        elif close - opening.start() <= LONGEST_LATEX:
            reached = bisect_right(state.bMarks, close - 1) - 1
            if reached < state.lineMax:
                last, at = max(last, reached), close
    return last, at


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


def _closings(env: MutableMapping[str, Any], text: str) -> _Closings:
    """Return the closings of a text, found once while it is parsed."""
    known: dict[str, _Closings] = env.setdefault("closings", {})
    if text not in known:
        known[text] = _Closings(text)
    return known[text]


def _end_of(opening: re.Match[str], closings: _Closings) -> int | None:
    """Return where the formula ends that opens here."""
    if opening["boxed"]:
        return closings.ends.get(opening.end())
    if opening["environment"]:
        return closings.ends.get(opening.start())
    close = closings.first(_CLOSER[opening[0]], opening.end())
    return close[1] if close else None


def _formula_at(text: str, opening: re.Match[str], closings: _Closings) -> Formula | None:
    start, inside, end = opening.start(), opening.end(), _end_of(opening, closings)
    if end is None:
        return None
    source = show_pipes(text[start:end])
    if opening["boxed"] or opening["environment"]:
        return Formula(source, not opening["boxed"], source)
    close = end - len(opening[0])
    if opening["inline"] and closings.has_blank_line(inside, close):
        return None
    if opening[0] == "$" and (
        text[inside].isspace() or _MONEY.match(text[inside : min(close, inside + _LONGEST_AMOUNT)])
    ):
        return None
    latex = show_pipes(text[inside:close]).strip()
    return Formula(latex, bool(opening["display"]), source) if latex else None
