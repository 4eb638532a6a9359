r"""An answer on one line of a table: `\left( 3, \frac{\pi}{2} \right)` is read as (3, π/2)."""

from __future__ import annotations

import re

from core.grading.normal_form import tidy

LONGEST = 200
_SIGNS = {
    "pi": "π",
    "theta": "θ",
    "alpha": "α",
    "beta": "β",
    "infty": "∞",
    "cup": "∪",
    "cap": "∩",
    "times": "·",
    "pm": "±",
    "le": "≤",
    "ge": "≥",
    "ne": "≠",
    "in": "∈",
}
_FRACTION = re.compile(r"\\frac\{([^{}]*)\}\{([^{}]*)\}")
_ROOT = re.compile(r"\\sqrt\{([^{}]*)\}")
_SIGN = re.compile(rf"\\({'|'.join(_SIGNS)})(?![a-zA-Z])\s*")
_ONE_TERM = re.compile(r"\\?\w*")


def plain_answer(answer: str) -> str:
    text = tidy(answer[:LONGEST])
    for _ in range(3):  # fractions and roots in each other; what is deeper stays as it is written
        text = _ROOT.sub(lambda found: f"√{_grouped(found[1])}", text)
        text = _FRACTION.sub(lambda found: f"{_grouped(found[1])}/{_grouped(found[2])}", text)
    text = _SIGN.sub(lambda found: _SIGNS[found[1]], text)
    return text.replace("\\{", "{").replace("\\}", "}").replace("( ", "(").replace(" )", ")")


def _grouped(term: str) -> str:
    term = term.strip()
    return term if _ONE_TERM.fullmatch(term) or term.startswith("√") else f"({term})"
