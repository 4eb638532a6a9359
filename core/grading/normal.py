r"""Brings the many ways to write the same answer in LaTeX, Unicode or plain text to one spelling, and compares words.

Nothing here changes a value: `\dfrac12` becomes `\frac{1}{2}`, not 0.5. A `$` that is left is a dollar sign.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from baton_reasoning.core.grading.verdict import GradingMethod, Verdict

# The order matters: what a pattern makes, a later one may read.
_SPELLINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<![a-zA-Z]{2})(?<=[\w)])\*\*(-?\d+|[a-z]\b|\([^()a-zA-Z]+\))(?!\*)", r"^{\1}"),  # a power in Python
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
        (r"(?<=\d [NW])\s*(?:·|⋅|\\cdot)\s*(?=[mh](?![a-zA-Z]))", " "),  # newton metres, watt hours
        (r"°\s*C(?![a-zA-Z])", " celsius"),
        (r"°\s*F(?![a-zA-Z])", " fahrenheit"),
        (r"(?<=\d) times (?=\d)", r"\\times "),
        (r"\\%", "%"),
        (r"[−–]", "-"),
        (r"×|\\cdot(?![a-zA-Z])|·|⋅", r"\\times "),
        (r"(?<=\d)\s*[xX]\s*(?=10\s*\^)", r"\\times "),
        (r"(?<=\d) and (?:a|one) half\b", " 1/2"),
        (r"(?<=\d) and (?:a|one) quarter\b", " 1/4"),
        (r"(?<=\d) and three quarters\b", " 3/4"),
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
_NAMED_AFTER = re.compile(r"([\d.,]+) = ([a-zA-Z])")
_EVENT = re.compile(r"(?:P|Pr|E)\s*\(.*\)")  # `P(at least one red) = 2/3`
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
    shown, dots = text.rstrip("."), "..." if text.endswith("...") else ""
    return f"{shown}{dots}" if dots else shown.strip()


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
    """Tidy an answer and truncate it to 40 characters, for a sentence about it."""
    text = tidy(text)
    return text if len(text) <= 40 else f"{text[:39]}…"


def is_words(text: str) -> bool:
    """Tell whether a tidy answer is plain words, such as a name or a direction; `xy` and `a, b` are formulas."""
    return _WORDS.fullmatch(text) is not None and _A_LONG_WORD.search(text) is not None


def without_name(text: str, other: str) -> str:
    r"""Return the value in `x = 5`, `x \in [0,1]` or `x = 2 + 3 = 5` unless `other` has another name. Both are tidy."""
    text = _NAMED_AFTER.sub(r"\2 = \1", _without_approximation(text, other))
    parts = _EQUALS.split(text)
    if len(parts) > 2:
        if _LISTED.search(text):
            return text
        text = f"{parts[0]} = {parts[-1]}"
    elif len(parts) == 2 and "=" not in other and (not re.search("[A-Za-z]", parts[0]) or _EVENT.fullmatch(parts[0])):
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


# Answers in words: names, yes and no, "no solution"; and prose, which no program should judge

_LONGEST_NAME = 4
"""Words; what is longer is prose."""
VERDICTS = {"yes": True, "true": True, "no": False, "false": False}
_NEGATIONS = frozenset("not no never neither nor or isn't than except second third".split())
_ARTICLES = re.compile(
    r"^(?:(?:the|a|an|it|this|is|answer|therefore|so|thus|hence|by|to|on|in|at),?\s+)+", re.IGNORECASE
)
# A noun that adds nothing after an adjective: "even" and "even function".
_GENERIC = frozenset(
    "function number integer triangle angle solution solutions quadrilateral direction person one curve graph polygon "
    "line shape".split()
)
_GOES_ON = re.compile(r"^(?:is|was|has|had|will|wins?|won|did|comes|finishes|are|were|that|which|who)\b", re.IGNORECASE)
_LABEL = re.compile(r"(?<!\\)\b[a-zA-Z]{2,}:\s")
_COMMAND = re.compile(r"\\[a-zA-Z]+|\\begin\{[a-z]+\}|\\end\{[a-z]+\}")
_WORD = re.compile(r"(?<![\\\w])[a-zA-Z]{3,}(?![\w(])")
OTHER_WORDS = re.compile(r"[^\W\d_]*[^\W\d_a-zA-Z\u0370-\u03ff\u2100-\u214f][^\W\d_]*")
"""Words with letters that English has not; Greek ones and those of mathematics are in formulas."""
_FUNCTIONS = frozenset(
    "sin cos tan cot sec csc log exp mod gcd lcm max min det arcsin arccos arctan pmatrix bmatrix and".split()
)
# Answers that say there is no value, each in one spelling.
_NO_VALUE = {
    "none": r"(?:(?:\w+ ){0,4}(?:are|is|has|have) )?no (?:real |such )?(?:solutions?|roots?|values?)(?: exists?)?"
    r"|none|\\emptyset|(?:the )?empty set",
    "undefined": r"undefined|(?:it )?does not exist|dne",
    "infinite": r"infinite(?:ly)?(?: many)?(?: \w+)?|infinity|\\infty",
    "unknown": r"(?:it )?(?:cannot|can not|can't) be (?:determined|found|computed)\b.*|not enough information\b.*"
    r"|impossible",
}


def compare_words(expected: str, given: str) -> Verdict | None:
    """Compare two tidy answers; None if the expected one is not words, or its form must decide."""
    right, said = no_value(expected), no_value(given)
    if right is not None:
        same = right == said
        if not same and is_words(given) and said is None:
            return _in_doubt(expected, given)
        return _verdict(same, expected, given)
    if not is_words(expected):
        return None
    if len(expected.split()) > _LONGEST_NAME:
        return Verdict.of(None, GradingMethod.EXACT, "The expected answer is prose.")
    right, said = _plain(expected), _plain(given)
    if right == said:
        return _verdict(True, expected, given)
    if right in VERDICTS:
        first, last = said.partition(" ")[0].strip(",.!"), said.rpartition(" is ")[2]
        said_so = first if first in VERDICTS else last
        same = VERDICTS.get(said_so) is VERDICTS[right]
        return _verdict(same, expected, given) if said_so in VERDICTS else _in_doubt(expected, given)
    if re.search(rf"\b{re.escape(right)}\b", said):
        return _verdict(True, expected, given) if _means(right, said) else _in_doubt(expected, given)
    if said and re.search(rf"\b{re.escape(said)}\b", right):
        return _in_doubt(expected, given)
    if _listed_words(right) == _listed_words(said):
        return _in_doubt(expected, given)  # the order may matter
    if len(given.split()) > _LONGEST_NAME:
        return _in_doubt(expected, given)
    return _verdict(False, expected, given)


def no_value(text: str) -> str | None:
    """Return how a tidy answer says that there is no value: "none", "undefined" …; None if it does not say so."""
    text = text.casefold().strip().rpartition(" is ")[2].removeprefix("+")
    return next((name for name, pattern in _NO_VALUE.items() if re.fullmatch(pattern, text)), None)


def is_prose(text: str) -> bool:
    """Tell whether a tidy answer has words that belong to no formula. A unit at its end is no prose."""
    if len(OTHER_WORDS.findall(text)) > 1 or _LABEL.search(text):
        return True
    words = [word for word in _WORD.findall(_COMMAND.sub(" ", text)) if word.lower() not in _FUNCTIONS]
    return len(words) > 1 or any(len(word) > 3 for word in words)


def _means(right: str, said: str) -> bool:
    """Tell whether a short sentence says `right`: "Evelyn is the fastest", "it is an ellipse", "even function"."""
    words = said.split()
    if _NEGATIONS & {word.strip(",.") for word in words}:
        return False
    if said.startswith(right):
        rest = said[len(right) :].strip()
        return rest in _GENERIC or _GOES_ON.match(rest) is not None
    verb = r"(?:\w+['’]s|is|are|was|were|falls? on|be|called|named|fac(?:es|ing)|ist|est|es|è|é)(?: now| therefore)?"
    named = re.fullmatch(rf"(?:[\w'’,]+ ){{0,20}}?{verb}(?: the| an?)? {re.escape(right)}(?: (?P<noun>\w+))?", said)
    return named is not None and (named["noun"] is None or named["noun"] in _GENERIC)


def _plain(text: str) -> str:
    return _ARTICLES.sub("", text.casefold().strip()).strip()


def _listed_words(text: str) -> list[str]:
    return sorted(re.findall(r"\w+", _LISTED.sub(" ", text)))


def _verdict(same: bool, expected: str, given: str) -> Verdict:
    return Verdict.of(
        same, GradingMethod.EXACT, f"“{shortened(given)}” {'means' if same else 'is not'} “{shortened(expected)}”."
    )


def _in_doubt(expected: str, given: str) -> Verdict:
    return Verdict.of(None, GradingMethod.EXACT, f"“{shortened(given)}” may mean “{shortened(expected)}”.")


# Numbers in English words: `twenty-one`, `one hundred and five`, `two thirds`, `a dozen`

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SMALL = {word: value for value, word in enumerate(_UNITS)} | {word: 20 + 10 * at for at, word in enumerate(_TENS)}
_SMALL |= {"twice": 2, "thrice": 3}
SCALES = {"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
"""Words that multiply the number before them."""
_ORDINALS = "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
_PARTS = {"half": 2, "halves": 2, "quarter": 4, "twentieth": 20, "hundredth": 100}
_PARTS |= {word: value for value, word in enumerate(_ORDINALS, 3)}
_MIXED = re.compile(r"(?P<whole>.+?) and (?P<part>(?:a|one|two|three) \w+)(?: (?P<scale>million|billion|trillion))?")
_MOST_WORDS_IN_NUMBER = 12


def read_number_words(text: str) -> Fraction | None:
    """Read a number in words, in any case and with or without hyphens; None if it is anything else."""
    mixed = _MIXED.fullmatch(text.lower().strip())
    if mixed is not None and (part := read_number_words(mixed["part"])) is not None and part < 1:
        whole = read_number_words(mixed["whole"])
        return None if whole is None else (whole + part) * SCALES.get(mixed["scale"], 1)
    words = [word for word in text.lower().replace("-", " ").split() if word != "and"]
    if not words:
        return None
    if words[0] == "half" and len(words) != 2:
        number = _cardinal(words[1:]) if words[1:] else 1
        return None if number is None else Fraction(number, 2)
    last = words[-1] if words[-1] in _PARTS else words[-1].removesuffix("s")
    if last in _PARTS and len(words) > 1:
        top = 1 if words[:-1] == ["a"] else _cardinal(words[:-1])
        return None if top is None else Fraction(top, _PARTS[last])
    cardinal = _cardinal(words)
    return None if cardinal is None else Fraction(cardinal)


def number_words_at(text: str) -> str | None:
    """Return the number in words at the beginning of a text: `ten` in "ten of them"; None without one."""
    words = text.split()[:_MOST_WORDS_IN_NUMBER]
    beginnings = (" ".join(words[:count]) for count in range(len(words), 0, -1))
    return next((beginning for beginning in beginnings if read_number_words(beginning) is not None), None)


def _cardinal(words: list[str]) -> int | None:
    if words[0] in ("a", "an") and len(words) > 1:
        words = ["one", *words[1:]]
    total = group = 0
    previous = ""
    for word in words:
        if word in _SMALL:
            # "twenty one" is a number, "one twenty" and "two three" are not.
            if previous in _SMALL and not (_SMALL[previous] >= 20 and 0 < _SMALL[word] < 10):
                return None
            group += _SMALL[word]
        elif word in SCALES and previous:
            if SCALES[word] < 1_000:
                group *= SCALES[word]
            else:
                total, group = total + group * SCALES[word], 0
        else:
            return None
        previous = word
    return total + group
