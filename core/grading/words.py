"""Compares answers in words: names, yes and no, "no solution"; and recognises prose, which no program should judge."""

import re

from baton_reasoning.core.grading.normal_form import is_words, shortened
from baton_reasoning.core.grading.verdict import How, Outcome, Verdict

_LONGEST_NAME = 4
"""Words; what is longer is prose."""
_VERDICTS = frozenset("yes no true false".split())
_NEGATIONS = frozenset("not no never neither nor or isn't than except".split())
_ARTICLES = re.compile(
    r"^(?:(?:the|a|an|it|this|is|answer|therefore|so|thus|hence|by|to|on|in|at),?\s+)+", re.IGNORECASE
)
# A noun that adds nothing after an adjective: "even" and "even function".
_GENERIC = frozenset(
    "function number integer triangle angle solution solutions quadrilateral direction person one curve graph polygon "
    "line shape".split()
)
_STATES = re.compile(r"^(?:is|was|has|had|will|wins?|won|are|were)\b", re.IGNORECASE)
_COMMAND = re.compile(r"\\[a-zA-Z]+|\\begin\{[a-z]+\}|\\end\{[a-z]+\}")
_WORD = re.compile(r"(?<![\\\w])[a-zA-Z]{3,}(?![\w(])")
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
    right, said = _no_value(expected), _no_value(given)
    if right is not None:
        same = right == said
        if not same and is_words(given) and said is None:
            return _in_doubt(expected, given)
        return _verdict(same, expected, given)
    if not is_words(expected):
        return None
    if len(expected.split()) > _LONGEST_NAME:
        return Verdict(Outcome.UNSCORED, How.EXACT, "The expected answer is prose.")
    right, said = _plain(expected), _plain(given)
    if right == said:
        return _verdict(True, expected, given)
    if right in _VERDICTS:
        first, last = said.partition(" ")[0].strip(",."), said.rpartition(" is ")[2]
        said_so = first if first in _VERDICTS else last
        return _verdict(said_so == right, expected, given) if said_so in _VERDICTS else _in_doubt(expected, given)
    if re.search(rf"\b{re.escape(right)}\b", said):
        return _verdict(True, expected, given) if _means(right, said) else _in_doubt(expected, given)
    if said and re.search(rf"\b{re.escape(said)}\b", right):
        return _in_doubt(expected, given)
    if is_words(given) and len(given.split()) > _LONGEST_NAME:
        return _in_doubt(expected, given)
    return _verdict(False, expected, given)


def says_no_value(text: str) -> bool:
    """Tell whether a tidy answer says that there is no value: "no solution", "undefined", "infinitely many" …"""
    return _no_value(text) is not None


def is_prose(text: str) -> bool:
    """Tell whether a tidy answer has words that belong to no formula. A unit at its end is no prose."""
    words = [word for word in _WORD.findall(_COMMAND.sub(" ", text)) if word.lower() not in _FUNCTIONS]
    return len(words) > 1 or (len(words) == 1 and is_words(text) and text.lower() == words[0].lower() and len(text) > 3)


def _means(right: str, said: str) -> bool:
    """Tell whether a short sentence says `right`: "Evelyn is the fastest", "it is an ellipse", "even function"."""
    words = said.split()
    if _NEGATIONS & {word.strip(",.") for word in words}:
        return False
    if said.startswith(right):
        rest = said[len(right) :].strip()
        return rest in _GENERIC or _STATES.match(rest) is not None
    return (
        re.fullmatch(rf"(?:[\w']+ ){{0,6}}(?:is|are|was|were|falls? on|be)(?: the| an?)? {re.escape(right)}", said)
        is not None
    )


def _plain(text: str) -> str:
    return _ARTICLES.sub("", text.casefold().strip()).strip()


def _no_value(text: str) -> str | None:
    text = text.casefold().strip().rpartition(" is ")[2].removeprefix("+")
    return next((name for name, pattern in _NO_VALUE.items() if re.fullmatch(pattern, text)), None)


def _verdict(same: bool, expected: str, given: str) -> Verdict:
    return Verdict.of(same, How.EXACT, f"“{shortened(given)}” {'means' if same else 'is not'} “{shortened(expected)}”.")


def _in_doubt(expected: str, given: str) -> Verdict:
    return Verdict(Outcome.UNSCORED, How.EXACT, f"“{shortened(given)}” may mean “{shortened(expected)}”.")
