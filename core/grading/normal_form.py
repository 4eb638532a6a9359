r"""Brings the many ways to write the same answer in LaTeX, Unicode or plain text to one spelling.

Nothing here changes a value: `\dfrac12` becomes `\frac{1}{2}`, not 0.5. A `$` that is left is a dollar sign.
"""

import re
from functools import lru_cache

# The order matters: what a pattern makes, a later one may read.
_SPELLINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\*\*|__", ""),  # bold in Markdown
        (r"(?<!\\)\\[()\[\]]", ""),  # \( \) \[ \]
        (r"\\pounds(?![a-zA-Z])", "£"),
        (r"\\euro(?![a-zA-Z])", "€"),
        (r"\\(?:left|right|[bB]igg?[lrm]?)(?![a-zA-Z])\s*\.?", ""),
        (r"\\(?:display|text|script)style(?![a-zA-Z])", ""),
        # Separators of thousands; before fewer than three digits it is a decimal comma.
        (r"(?<=\d)\s*(?:\{,\}|,\s*\\[!,])\s*(?=\d{3}(?!\d))", ","),
        (r"(?<=\d)\{,\}(?=\d)", "."),
        (r"(?<=\d)\s*\\[,;:]\s*(?=\d)", ""),
        (r"\{:\}", ":"),  # `2{:}30`
        (r"(?i)\s*\((?:about|approximately|approx\.?|roughly|around|≈|or about|i\.e\.)[^()]*\)\s*$", ""),
        (r"(?<!\\)\\!", ""),  # not the end of a matrix row, `\\`
        (r"(?<!\\)\\[,;:> ]|\\q?quad(?![a-zA-Z])|~|\u00a0|\u2009|\u202f", " "),
        (r"\\(?:lbrace)(?![a-zA-Z])", r"\\{"),
        (r"\\(?:rbrace)(?![a-zA-Z])", r"\\}"),
        (r"\\langle(?![a-zA-Z])|⟨", "("),
        (r"\\rangle(?![a-zA-Z])|⟩", ")"),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\leq(?:slant)?(?![a-zA-Z])|≤|<=", r"\\le "),
        (r"\\geq(?:slant)?(?![a-zA-Z])|≥|>=", r"\\ge "),
        (r"\\lt(?![a-zA-Z])", "<"),
        (r"\\gt(?![a-zA-Z])", ">"),
        (r"\\neq(?![a-zA-Z])|≠|!=", r"\\ne "),
        (r"\\approx(?![a-zA-Z])|\\simeq(?![a-zA-Z])", "≈"),
        (r"\^\s*\{?\s*\\circ\s*\}?|\\degree(?![a-zA-Z])|\\circ(?![a-zA-Z])", "°"),
        (r"\\%", "%"),
        (r"[−–]", "-"),
        (r"×|\\cdot(?![a-zA-Z])|·|⋅", r"\\times "),
        (r"(?<=\d)\s*[xX]\s*(?=10\s*\^)", r"\\times "),
        (r"\\log_\{?e\}?(?![a-zA-Z])", r"\\ln "),
        (r"÷|\\div(?![a-zA-Z])", "/"),
        (r"(?<=[\w)}])\s*\*\s*(?=[\w(\\])", r"\\times "),
        (r"π", r"\\pi "),
        (r"θ", r"\\theta "),
        (r"∞|\\infin(?![a-zA-Z])", r"\\infty "),
        (r"(?<![\w)}\]\s])\s*\+\s*(?=\\infty)", ""),
        (r"±", r"\\pm "),
        (r"∪", r"\\cup "),
        (r"∈", r"\\in "),
        (r"\\varnothing(?![a-zA-Z])|∅|\\\{\s*\\\}", r"\\emptyset "),
        (r"\\(?:[lc]?dots|dotsc)(?![a-zA-Z])|…", "..."),
        (r"√\s*(\d+|[a-z])", r"\\sqrt{\1}"),
        (r"√\s*\(([^()]*)\)|(?<![\\a-zA-Z])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1\2}"),
        (r"\\frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*(\d)\s*\{", r"\\frac{\1}{"),
        (r"\\frac\s*(\{[^{}]*\})\s*(\d)", r"\\frac\1{\2}"),
        (r"\\sqrt\s*(\d+)", r"\\sqrt{\1}"),
        (r"([\^_])\s*\{\s*(\w)\s*\}", r"\1\2"),
    )
)
_SUPERSCRIPT = re.compile("⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8"}
_VULGAR_FRACTION = re.compile(f"[{''.join(_VULGAR)}]")
_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt)?|math(?:bf|it|rm|sf)|mbox|hbox|operatorname|boldsymbol|emph|unit|bm)\s*"
    r"\{((?:[^{}\\]|\\.|\{[^{}]*\})*)\}"
)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_FORMULA = re.compile(r"(?<!\\)\$\$?(?![\s$])([^$]*[^\s$\\])(?<!\\)\$\$?(?!\d)")
_PRICE = re.compile(r"\\?\$\s*(?=-?[\d.])")
_CLOCK = re.compile(r"(?<=\d)\s*([ap])\.?m\b\.?", re.IGNORECASE)
_BETWEEN_DIGITS = re.compile(r"(?<=\d) (?=\d)")
_WORDS = re.compile(r"[^\W\d_]+(?:[\s,'’-]+[^\W\d_]+)*")
_A_LONG_WORD = re.compile(r"[^\W\d_]{3}|^no$", re.IGNORECASE)
_NAMED = re.compile(
    r"(?P<name>m?\s*(?:∠|\\angle(?![a-z]))\s*[A-Z]{1,3}|"
    r"\\?[A-Za-z]+(?:_\w|_\{\w+\})?(?:\([a-z](?:, ?[a-z])*\))?|\([a-z](?:, ?[a-z])+\))"
    r"\s*(?:=|≈|\\in(?![a-z]))\s*(?P<value>[^=]+)"
)
_NAME = re.compile(r"\\?[A-Za-z]+(?:_\w|_\{\w+\})?(?:\([a-z]\))?")
_LISTED = re.compile(r",|\s(?:and|or)\s")
_EQUALS = re.compile(r"\s*(?:(?<![<>!\\])=|≈)\s*")


@lru_cache(maxsize=512)
def tidy(text: str) -> str:
    """Bring an answer to its one spelling, with single spaces between words and no full stop at the end."""
    text = _BOX.sub(r"\1", text.strip())
    text = _without_dollar_delimiters(text)
    # Twice, for \text inside \textbf; what is nested deeper is rare and only costs an exact match.
    for _ in range(2):
        text = _TEXT.sub(r" \1 ", text)
    text = _VULGAR_FRACTION.sub(lambda sign: f" {_VULGAR[sign.group()]}", text)
    text = _SUPERSCRIPT.sub(lambda power: "^{" + power.group().translate(_SUPERSCRIPTS) + "}", text)
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    text = _CLOCK.sub(lambda clock: f" {clock[1].lower()}m", text)
    text = " ".join(text.split())
    return text if text.endswith("...") else text.rstrip(".").strip()


def _without_dollar_delimiters(text: str) -> str:
    r"""Remove the signs around a formula such as `$18$`; `$18` and `\$18` are prices and keep one."""
    if "$" not in text:
        return text
    price = "\0"
    text = text.replace("\\$", price)
    text = _FORMULA.sub(r"\1", text)
    text = _PRICE.sub(price, text).replace("$", "")
    return text.replace(price, "$")


def normalise(text: str) -> str:
    """Bring an answer to its normal form, without spaces and dollar signs: equal strings are equal answers.

    A space between digits stays: `1 1/2` is not `11/2`.
    """
    text = tidy(text).replace("$", "")
    text = text.casefold() if is_words(text) else text
    return "".join(_BETWEEN_DIGITS.sub("\0", text).split())


def shortened(text: str) -> str:
    """Tidy an answer and cut it to 40 characters, for a sentence about it."""
    text = tidy(text)
    return text if len(text) <= 40 else f"{text[:39]}…"


def is_words(text: str) -> bool:
    """Tell whether a tidy answer is plain words, such as a name or a direction; `xy` and `a, b` are formulas."""
    return _WORDS.fullmatch(text) is not None and _A_LONG_WORD.search(text) is not None


def without_name(text: str, other: str) -> str:
    r"""Return the value in `x = 5`, `x \in [0,1]` or `x = 2 + 3 = 5` unless `other` has another name. Both are tidy."""
    text = _without_approximation(text, other)
    parts = _EQUALS.split(text)
    if len(parts) > 2:
        if _LISTED.search(text):
            return text
        text = f"{parts[0]} = {parts[-1]}"
    elif len(parts) == 2 and "=" not in other and not re.search("[A-Za-z]", parts[0]):
        return parts[1]
    named = _NAMED.fullmatch(text)
    if named is None:
        return parts[-1] if len(parts) > 2 and "=" not in other else text
    other_parts = _EQUALS.split(other)
    other_name = _NAMED.fullmatch(f"{other_parts[0]} = {other_parts[-1]}" if len(other_parts) > 2 else other)
    if other_name is None and "=" in other:
        return text
    if other_name is not None and other_name["name"] != named["name"]:
        return text
    return named["value"].strip()


def _without_approximation(text: str, other: str) -> str:
    r"""Return the exact side of `\frac{5}{12} \approx 0.4167`, or the decimal one where `other` is a decimal."""
    exact, sign, decimal = text.partition("≈")
    if not sign or _NAME.fullmatch(exact.strip()) or not exact.strip():
        return text
    return decimal.strip() if re.search(r"\d\.\d", other) else exact.strip()
