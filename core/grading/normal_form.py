r"""One spelling for the many ways to write the same answer in LaTeX, Unicode or plain text.

Nothing here changes a value: `\dfrac12` becomes `\frac{1}{2}`, not 0.5.
"""

import re

# Longest first where one contains another.
_SPELLINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\\$", ""),  # a price; the sign of a formula goes with it
        (r"\$", ""),
        (r"(?<!\\)\\[()\[\]]", ""),  # \( \) \[ \]
        (r"\\(?:left|right|[bB]igg?[lrm]?)(?![a-zA-Z])\s*\.?", ""),
        (r"\\(?:display|text|script)style(?![a-zA-Z])", ""),
        (r"\{,\}", ""),  # a thousands separator that LaTeX must not space
        (r"(?<!\\)\\[,!]", ""),  # not the end of a matrix row, `\\`
        (r"(?<!\\)\\[;:> ]|\\q?quad(?![a-zA-Z])|~|\u00a0|\u2009|\u202f", " "),
        (r"\\(?:lbrace)(?![a-zA-Z])", r"\\{"),
        (r"\\(?:rbrace)(?![a-zA-Z])", r"\\}"),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\leq(?:slant)?(?![a-zA-Z])|≤", r"\\le "),
        (r"\\geq(?:slant)?(?![a-zA-Z])|≥", r"\\ge "),
        (r"\\neq(?![a-zA-Z])|≠", r"\\ne "),
        (r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![a-zA-Z])|\\circ(?![a-zA-Z])", "°"),
        (r"\\%", "%"),
        (r"[−–]", "-"),
        (r"×|\\cdot(?![a-zA-Z])|·|⋅", r"\\times "),
        (r"π", r"\\pi "),
        (r"∞|\\infin(?![a-zA-Z])", r"\\infty "),
        (r"∪", r"\\cup "),
        (r"√\s*(\d+|[a-z])", r"\\sqrt{\1}"),
        (r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{"),
        (r"\\frac\s*(\{[^{}]*\})\s*(\d)", r"\\frac\1{\2}"),
        (r"\\sqrt\s*(\d)", r"\\sqrt{\1}"),
        (r"([\^_])\s*\{\s*(\w)\s*\}", r"\1\2"),
    )
)
_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname)\s*\{([^{}]*)\}")
_WORDS = re.compile(r"[^\W\d_]+(?:[\s,'’-]+[^\W\d_]+)*")
_A_LONG_WORD = re.compile(r"[^\W\d_]{3}|^no$", re.IGNORECASE)
_NAMED = re.compile(r"(?P<name>[A-Za-z](?:_\w)?(?:\([a-z]\))?)\s*(?:=|\\in(?![a-z]))\s*(?P<value>[^=]+)")


def tidy(text: str) -> str:
    """The answer in its one spelling, words apart by single spaces, without a full stop at the end."""
    text = text.strip()
    # Twice, for \text inside \textbf; what is nested deeper is rare and only costs an exact match.
    for _ in range(2):
        text = _TEXT.sub(r" \1 ", text)
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    return " ".join(text.split()).rstrip(".").strip()


def normalise(text: str) -> str:
    """The answer in its one spelling and without spaces: equal strings are equal answers."""
    text = tidy(text)
    return "".join((text.casefold() if is_words(text) else text).split())


def is_words(text: str) -> bool:
    """Whether a tidy answer is plain words, such as a name or a direction; `xy` and `a, b` are formulas."""
    return _WORDS.fullmatch(text) is not None and _A_LONG_WORD.search(text) is not None


def without_name(text: str, other: str) -> str:
    r"""The value in `x = 5` or `x \in [0,1]`, unless `other` names something else. Both are tidy."""
    named = _NAMED.fullmatch(text)
    if named is None:
        return text
    other_named = _NAMED.fullmatch(other)
    if other_named is None and "=" in other:
        return text
    if other_named is not None and other_named["name"] != named["name"]:
        return text
    return named["value"].strip()
