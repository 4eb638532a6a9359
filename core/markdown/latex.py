"""Typesets LaTeX as SVG, with ziamath.

ziamath takes about 0.2 s to load, so it is loaded at the first formula, or by `engine` once a window stands. A formula
takes 3 to 20 ms the first time.
"""

import re
from functools import cache, lru_cache
from typing import Any, NamedTuple

from baton_reasoning.core.markdown.formulas import LONGEST_LATEX

LARGEST_SIDE = 8_000.0  # pixels; `\rule{9999cm}{1cm}` must not fill the memory
LARGEST_AREA = 2_000_000.0  # square pixels, a page or two; the picture takes 4 bytes each, at scale 2 four times that
MOST_NESTING = 2_048
"""The sum of 2^depth over all groups of a formula. The time doubles with each level that one chain of groups is nested
deeper, to seconds at 12 and for ever at 40; a page of fractions in fractions comes to a few hundred."""
_MARGIN = 1.0  # pixels around the ink, so that antialiasing is not cut off


class Typeset(NamedTuple):
    """A formula that can be drawn. Lengths are device-independent pixels."""

    svg: str  # drawn in `currentColor`, which `picture` fills in: so a change of theme typesets nothing again
    width: float
    ascent: float  # above the baseline
    descent: float  # below it


# What ziamath does not know and the reader does not miss.
_DROPPED = re.compile(
    r"\\label\s*\{[^{}]*\}"
    r"|\\(?:nonumber|notag|displaylimits)(?![A-Za-z])"
    r"|\\(?:big|Big|bigg|Bigg)[lrm]?(?=\s*\\[{}|])"
)
_TAG = re.compile(r"\\tag\*?\s*\{([^{}]*)\}")
_ALIGNAT = re.compile(r"\\(begin|end)\{alignat(\*?)\}(?:\s*\{\d+\})?")
_SIGN = re.compile(
    r"(?P<kept>\\(?:text[a-z]*|mbox|operatorname)\s*\{[^{}]*\}|\\\\\*?\s*\[[^\]]*\])"
    r"|(?P<before>[=<>(\[,;/]|(?<![\^_])[+\-*]|\\\{|\\(?:lt|gt|leq?|geq?|neq?|approx|equiv|sim|in|to|rightarrow|Rightarrow"
    r"|implies|iff|times|cdot|div|pm|mp)(?![A-Za-z]))(?P<gap>(?:\s|\\[,;:! ])*)(?P<sign>[+\-]|\\(?:pm|mp)(?![A-Za-z]))"
)
"""A sign that belongs to what follows it. As in TeX it has no space of its own there, but ziamath knows that only at
the beginning of a group. Kept as they are: words, and the gap after a line of several (`\\\\[-2pt]`)."""
_MACRO = re.compile(r"\\(?:def|let|(?:new|renew|provide)command)(?![A-Za-z])")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_GROUP_EDGE = re.compile(
    r"(?P<opens>\{|\\(?:left|begin)(?![A-Za-z]))|(?P<closes>\}|\\(?:right|end)(?![A-Za-z]))|\\.", re.DOTALL
)


@lru_cache(maxsize=4096)
def typeset(latex: str, display: bool, size: float) -> Typeset | None:
    """Typeset a formula; None if it cannot be, and then the reader should see its source.

    `size` is that of the letters in pixels. The first formula of all also loads ziamath.
    """
    if not latex.strip() or len(latex) > LONGEST_LATEX or _MACRO.search(latex) or _is_nested_too_deeply(latex):
        return None  # macros: four lines of them can ask for a million symbols
    try:
        formula = engine().Latex(
            _understood(latex), size=size, color="currentColor", inline=not display, margin=_MARGIN
        )
        if _COMMAND.search(formula.mathmlstr()):
            return None  # a command it does not know would stand there by its name, among set symbols
        svg = formula.svg()
        width, height = formula.getsize()
        descent = -formula.getyofst()
    except Exception:  # noqa: BLE001 - the parser's errors share no base, and broken input raises whatever its line does
        return None
    if not (0 < width < LARGEST_SIDE and 0 < height < LARGEST_SIDE and width * height < LARGEST_AREA):
        return None
    return Typeset(svg, width + 2 * _MARGIN, height - descent + _MARGIN, descent + _MARGIN)


def _is_nested_too_deeply(latex: str) -> bool:
    depth = cost = 0
    for edge in _GROUP_EDGE.finditer(latex):
        if edge["opens"]:
            depth += 1
            cost += 2**depth
            if cost > MOST_NESTING:
                return True
        elif edge["closes"]:
            depth = max(0, depth - 1)
    return False


def _understood(latex: str) -> str:
    """Rewrite a formula in commands that ziamath knows."""
    latex = _DROPPED.sub("", latex)
    latex = _TAG.sub(r"\\qquad(\\text{\1})", latex)
    latex = _SIGN.sub(lambda found: found["kept"] or f"{found['before']}{found['gap']}{{{found['sign']}}}", latex)
    return _ALIGNAT.sub(r"\\\1{align\2}", latex)


@cache
def engine() -> Any:
    """Return ziamath, loaded; may be called in any thread."""
    import ziamath  # deferred: see the top of this module

    ziamath.config.svg2 = False  # Qt draws SVG Tiny 1.2
    return ziamath
