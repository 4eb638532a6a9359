"""Reads what a sentence states: "Of her 30 eggs she sells 24, for $12 in all" states one thing among three numbers.

Clauses that only say when, why or compared with what are left out, and so are claims of others, what is only imagined,
and what the sentence denies. Where several values compete even then, the sentence as a whole is the answer, which no
comparison takes for a number: a verdict on the wrong one of them would be worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from itertools import islice

from baton_reasoning.core.grading.compare import read_option
from baton_reasoning.core.grading.normal import is_words, number_words_at, read_number_words, tidy
from baton_reasoning.core.grading.numbers import read_quantity, read_unit, with_decimal_point
from baton_reasoning.core.grading.other_numbers import DATE, TIME, ratio
from baton_reasoning.core.grading.running_text import (
    answer_at_start,
    formula_at,
    formulas_in,
    inside,
    outside_formulas,
    quantity_at,
    trimmed,
)


class Wanted(Enum):
    """The kind of value that a sentence is read for, which is that of the expected answer."""

    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    RATIO = "ratio"
    WORDS = "words"
    LIST = "list"

    @classmethod
    def of(cls, expected: str | None) -> Wanted:
        """Return the kind of an expected answer; of an option that is written out, of its text."""
        option = read_option(expected or "")
        expected = tidy(option.content if option else expected or "")
        if DATE.fullmatch(expected):
            return cls.DATE
        if TIME.fullmatch(expected) and not expected.isdigit():
            return cls.TIME
        if ratio(expected) is not None:
            return cls.RATIO
        if is_words(expected) and read_number_words(expected) is None:
            return cls.WORDS
        return cls.LIST if len(re.split(r",\s|\band\b", expected)) > 1 else cls.NUMBER


# Sentences and their clauses

_SENTENCES = re.compile(
    r"(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bSt\.)(?<!\bMrs\.)"
    r"(?:(?<=[.!?])|(?<=[.!?]\$)|(?<=[.!?]\\\]))\s+(?=[A-ZÀ-ÖØ-ÞА-Я(])|(?<=\\\])(?=[A-Z])|(?<=\$\$)(?=[A-Z])"
    r"|(?<=[。！？])(?=\S)"
)
_CONSEQUENCE = re.compile(
    r"(?:[,;:.]|\s[–—-])\s+(?:(?:and\s+)?(?:so|hence|thus|therefore|consequently)|which\s+means(?:\s+that)?"
    r"|which\s+(?:boils|comes)\s+down\s+to|also|daher|somit|donc|así\s+que|por\s+(?:lo\s+)?tanto|quindi|dunque"
    r"|portanto|logo|значит|поэтому)\b,?\s+(?!that\b)"
    r"|(?:所以|因此|故)[,，]?",
    re.IGNORECASE,
)
_NOT = r"(?:not|isn['’]t|aren['’]t|wasn['’]t|doesn['’]t|nicht|pas|no|non|não|не|不是)"
# "not 14 but 16", in several languages: what it is not, up to what it is.
CONTRAST = re.compile(
    rf"(?<![^\W_]){_NOT}(?![^\W_])[^.!?]{{1,80}}?"
    r"(?:,?\s+(?:but(?:\s+rather)?|sondern|mais|sino|ma|bensì|mas\s+sim|mas)\b|,\s+а\b|而是)\s*(?=\S)",
    re.IGNORECASE,
)
_DENIED = re.compile(
    rf"(?<![^\W_]){_NOT}(?![^\W_])(?:\s+[^\W\d]+){{0,3}}?\s*[$€£]?\d[\d.,:]*(?=[\s,;.!]|$)", re.IGNORECASE
)
# A clause that comes after what is stated and only says more about it.
_ASIDE = re.compile(
    r",?\s+(?:which\s+(?:is|was|are)\s+(?!\S+$)|since|because|although|though|where|while|whereas|after(?!\s+all)"
    r"|before|if|when"
    r"|compared\s+(?:with|to)|as\s+opposed\s+to|rather\s+than|instead\s+of|against|unlike|given\s+that"
    r"|of\s+(?:which|whom)"
    r"|out\s+of\s+(?:the|his|her|its|their|all|these|those)|from\s+the|(?:less|more|fewer)\s+than)\b"
    r"(?![^.]*\b(?:so|then|hence|therefore|implies)\b)"
    r"|,\s+(?:with|not|having|leaving|out\s+of|that\s+is|in\s+contrast|in(?=\s+(?!all)[a-z])|who|as|based\s+on"
    r"|nicht|denn|weil|da|car|parce|porque|perché|non|pas|no|não"
    r"|(?:\w+\s+)?\d+\s+of\s+(?:which|whom|them))\b|\s*[(（](?=[^()]{8})"
)
# A clause that comes before it: "With 6 sides and an apothem of 5 cm, …".
_BEGINS_ASIDE = (
    r"^\W*(?:so\s+)?(?:if|when|with|without|after|before|for|had|were|since|because|as|given|out\s+of|of|although|though"
    r"|while|whereas|at|in|on|by|from|to|unlike|instead|compared|among|between|during|once|until|using|which|who"
    r"|\w+ing|wenn|nach|mit|bei|si|après|avec|con|para|pela|pour|dopo)\b"
)
_INTRODUCTION = re.compile(rf"{_BEGINS_ASIDE}[^,]*,(?!\d)\s+", re.IGNORECASE)
IS_ASIDE = re.compile(_BEGINS_ASIDE, re.IGNORECASE)
"""Matches a clause that only says when, why or with what."""
# What somebody else says, what is only imagined, and what is said to be wrong.
_CLAIM = re.compile(
    r"(?:^\W*|\b(?!(?:I|we|the|this|which|that|would|problem|question|text|statement|table)\b)[\w.]+\s+)"
    r"(?:claims?|claimed|says?|said|thinks?|thought|believes?|argues?|insists?|guess(?:es|ed)"
    r"|suggests?|suggested|lists|wrote|writes)\b"
    r"|\b(?:mistaken|wrong|incorrect|popular|naive|tempting)\s+(?:answer|result|solution|guess)\b"
    r"|\b(?:wrong|false|incorrect|mistaken?)\s+(?:to\s+(?:say|think|assume|conclude)|that)\b"
    r"|(?<!I )\bwould\s+(?:say|think|guess)\b"
    r"|\baccording\s+to\b(?!\s+(?:the|this|our)\s+(?:table|text|problem|formula|rule|law|theorem|definition)\b)"
    r"|\bwould(?:\s+only|n['’]t)?\b(?=.*\b(?:if|had|were|without|unless)\b)"
    r"|^\W*(?:note\W+)?(?:had|were|if|without|unless|suppose|imagine|assuming)\b.*\bwould\b",
    re.IGNORECASE,
)
# What is said about an answer after it was given.
_REMARK = re.compile(
    r"^\s*\(|^\W*(?:that['’]s\s+because|(?:this|that|it|which)\s+(?:makes\s+sense|matches|agrees"
    r"|is\s+(?:correct|consistent|plausible|reasonable|because|why))"
    r"|(?:double[- ])?check\b|note\b|verif|(?:for|in)\s+comparison|for\s+(?:example|instance)|as\s+a\s+(?:\w+\s+)?check"
    r"|it\s+does\s+so|(?:we\s+can|to|let['’]?s|let\s+us)\s+(?:verify|(?:double[- ])?check)\b|proof:|probe:|comprobaci"
    r"|(?:key|main|fun|formula|reason|explanation|breakdown|tip|remember|follow|example)\b[\w\s-]*:|remember,)",
    re.IGNORECASE,
)
_HOWEVER = re.compile(r"(?:[,;–—]\s*|[.]\s+)(?:but|however|yet|aber|mais|pero|ma|no)\b,?\s+", re.IGNORECASE)
_VERBS = r"""
(?:it|that|there|he|she)['’]s, be, (?:is|are|was|were)(?: at)?, has, have, had, makes?, made, earns?, gets?, needs?,
gives?, (?:left|leaves? \w+|leaving \w+) with, leaves?, saves?, costs?,
(?:takes?|took)(?: her(?=\W\d+\W(?:hour|minute|second|day|week|month|year)))?, found, equals?(?: to)?, arrives?(?: at)?,
total(?:s|ing)?(?: of|(?=\W*\d)), yields?, obtain, find, pays?, spends?, (?:sells?|sold|bought|buys?)(?! at\b),
becomes?, weighs?, prints?, returns?, outputs?, reach(?:es)?, comes? out (?:to|at|as), works? out (?:to|at|as),
ends? (?:up )?(?:with|in|at), brings? home, takes? home, receives?, remains?, owes?, wins?, won, scores?, scored,
collects?, charges?, loses?, lost, travels?, drives?, drove, runs?, ran, amounts? to,
(?:comes?|came|adds? up|rises?|drops?|falls?) to, turns out to be, stands? at, produces?, averages?, requires?,
uses?(?: up)?, holds?, lasts?, covers?, measures?, contains?, ist, sind, beträgt, hat, haben, kostet, braucht, bekommt,
est, sont, vaut, mesure, coûte, es, son, tiene, cuesta, necesita, è, sono, costa, é, são, tem, custa, fica
"""
STATES = re.compile(rf"\b(?:{'|'.join(' '.join(_VERBS.split()).split(', '))})(?!\w)", re.IGNORECASE)
"""Matches a verb after which a sentence states its value."""
_OBLIQUE = re.compile(
    r"\b(?:of|for|from|in|on|at|per|out|between|among|by|until|after|before|within|over|every|each|day|step|case"
    r"|the|his|her|its"
    r"|their|all|these|those|only|first|last|than|with|against)\s+(?:the\s+|his\s+|her\s+|its\s+|their\s+"
    r"|all\s+)?[$€£]?$",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"^\W*(?:so|thus|hence|therefore|consequently|in\s+(?:total|all|conclusion)|altogether)\b", re.IGNORECASE
)
TAKES_BACK = (
    r"\b(?:correction|edit)\s*[:*]+|\bscratch\s+that\b|\bno,\s+sorry\b|\bsorry,\s|\blet\s+me\s+(?:correct|fix)\b"
    r"|(?<=[.!]\s)(?:no,\s+(?:wait|actually)|wait,\s+no)\b"
    r"|\bI\s+(?:made|see)\s+(?:a|an|my)\s+(?:\w+\s+)?(?:mistake|error|slip)\b"
)
"""A pattern of what takes an answer back, wherever it stands."""
_CORRECTION = re.compile(
    rf"(?:{TAKES_BACK}|\bwait\b|\bactually,|\bor\s+rather\b|\bI\s+meant?\b|\bmake\s+that\b)[,:.!–—-]*\s*",
    re.IGNORECASE,
)
_LIST_NUMBER = re.compile(r"^\s*(?:\d{1,2}[.)]|[-•*])\s+(?=[A-Z])")
_VALUE = re.compile(r"[\d$]")
_OPERATION = re.compile(r"\s+(?:divided|multiplied)\s+by\b")
_MOST_VALUES = 20
"""Numbers of a statement that are read: the last ones. Each costs a pass over the text."""
_MOST_WORDS = 100
"""Words of a statement at which a number in words may begin: the first ones."""


def stated(line: str, expected: str | None = None) -> str | None:
    """Find the value that the last statement of a line makes: the formula at its end, or what follows its verb.

    Returns the whole sentence if several values compete in it, None if there is none. `expected` tells which kind of
    value is looked for.
    """
    wanted = Wanted.of(expected)
    line = _LIST_NUMBER.sub("", line)
    corrected = line[max((mark.end() for mark in _CORRECTION.finditer(line)), default=0) :]
    line = corrected if _VALUE.search(corrected) else line
    undecided: str | None = None
    sentences = split_sentences(line)
    for before, sentence in zip(["", *sentences][-2::-1], reversed(sentences), strict=False):
        if _REMARK.search(sentence) or (undecided and not _CONCLUDES.match(sentence)):
            continue
        sentence = after_consequence(said_in_truth(sentence))
        values = _values_of(_statement(sentence, wanted), wanted, sentence)
        if len(values) == 1 and (_CONCLUDES.match(sentence) or not _disagrees(values[0], before, wanted)):
            return values[0]
        undecided = undecided or (trimmed(sentence.rstrip(".")) if values else None)
    return undecided


def is_remark(text: str) -> bool:
    """Tell whether a line or sentence only adds to an answer that was given, and concludes nothing."""
    return _REMARK.search(text) is not None and not any(_CONCLUDES.match(each) for each in split_sentences(text))


def said_in_truth(sentence: str) -> str:
    """Remove what a sentence denies, what others say and what is only imagined."""
    return _DENIED.sub("", without_claims(CONTRAST.sub("", sentence)))


def concludes(sentence: str) -> bool:
    """Tell whether a sentence, or a clause of it, draws a conclusion from what stands before it."""
    return _CONCLUDES.match(sentence) is not None or after_consequence(sentence) != sentence


def numbers_stated(sentence: str) -> list[str]:
    """List the different numbers of a sentence that no preposition subordinates."""
    return _distinct(_numbers_in(sentence))


def _disagrees(value: str, before: str, wanted: Wanted) -> bool:
    """Tell whether the sentence before draws a conclusion, and another than this value."""
    concluded = _values_of(_statement(before, wanted), wanted, before) if _CONCLUDES.match(before) else []
    return bool(concluded) and _key(concluded[-1]) != _key(value)


def without_claims(sentence: str) -> str:
    """Remove what others say or what is only imagined; of "it would be 8 if …, but it is 9" the second half stays."""
    if not _CLAIM.search(sentence):
        return sentence
    clauses = (_HOWEVER if _HOWEVER.search(sentence) else _CONSEQUENCE).split(sentence)
    return clauses[-1] if len(clauses) > 1 and not _CLAIM.search(clauses[-1]) else ""


def last_clause(sentence: str) -> str:
    """Return what follows the last ", so"; the whole sentence without one."""
    return sentence[max((so.end() for so in _CONSEQUENCE.finditer(sentence)), default=0) :]


def after_consequence(line: str) -> str:
    """Return what follows the last ", so", if there is a value in it."""
    clause = last_clause(line)
    return clause if has_value(clause) else line


def has_value(text: str) -> bool:
    """Tell whether there is a number in a text, in digits or words."""
    return _VALUE.search(text) is not None or bool(_numbers_in(text))


def split_sentences(line: str) -> list[str]:
    return _SENTENCES.split(line)


def _statement(sentence: str, wanted: Wanted) -> str:
    """Return the part of a sentence that makes its statement, without what comes before, after and against it."""
    introduction = _INTRODUCTION.match(sentence)
    if introduction and has_value(sentence[introduction.end() :]):
        comma = sentence.rindex(",", 0, introduction.end())
        # "With 20% off she pays 72, that is, 18 less" begins with no introduction.
        if not _ASIDE.match(sentence, comma):
            sentence = sentence[introduction.end() :]
    return sentence[: _aside(sentence, wanted)]


def _aside(sentence: str, wanted: Wanted) -> int | None:
    """Return where a clause begins that only says more about the statement before it; None without one."""
    stated = STATES if wanted is Wanted.WORDS else _VALUE
    asides = (aside.start() for aside in outside_formulas(_ASIDE, sentence))
    return next((start for start in asides if stated.search(sentence, 0, start)), None)


# The values of a statement

_GROUPS = (
    r"\d{1,3}(?:[ '’\u00a0\u202f]\d{3})+(?!\d)|\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:,\d\d)*(?:,\d{3})+(?!\d)"
    r"|\d+,\d{1,2}(?!\d)"
)
_FRACTIONS = r"\d+\s+\d+\s?/\s?\d+|\d*\s?[½⅓⅔¼¾⅕⅛⅜⅝]"
_AMOUNT = (
    r"\d{1,2}:\d\d(?i:\s?[ap]\.?m\b)?|\d{1,2}(?i:\s?[ap]\.?m\b)"
    rf"|[-+−]?(?:\\?[$€£]\s?|R(?=\d))?-?(?:{_FRACTIONS}|(?:{_GROUPS}|\d+)?(?:\.\d+"
    rf"|(?<=\d))(?:\s?/\s?\d+)?)\s?(?:\\?%|°)?"
)
_NUMBER = re.compile(rf"(?<![A-Za-z0-9.^_{{])(?:{_AMOUNT})(?![A-Za-z0-9^π√\\]|[.,]\d)")
_CLOCK = re.compile(r"\d{1,2}(?::|\s?h\s?)\d\d(?:\s?[ap]\.?m\b\.?)?|\d{1,2}\s?[ap]\.?m\b\.?", re.IGNORECASE)
_PAST = re.compile(r"\b(?:half|quarter|five|ten|twenty)\s+(?:past|to|after)\b", re.IGNORECASE)
_HALF_OF_DAY = re.compile(r"\s+(?:in\s+the\s+(?:morning|afternoon|evening)|at\s+night)\b", re.IGNORECASE)
_RATIO = re.compile(
    r"(?P<first>\d+)\s*(?::|to)\s*(?P<second>\d+)"
    r"|\bevery\s+(?P<each>\w+)\b[^.]*?\bthere\s+(?:is|are)\s+(?P<other>\w+)"
    r"|(?P<part>\w+)\s+parts?\b[^.]*?\bto\s+(?P<parts>\w+)\s+parts?\b",
    re.IGNORECASE,
)
_SHARE = re.compile(r"\w+ (?:in|out of) (?:every )?\w+")
_NAMED = re.compile(r"(?<![A-Za-z])[A-Za-z]\w?\s*=\s*[-−]?\d[\d./]*")
_NONE = re.compile(r"\bnone\b|\bno\s+\w+\s+(?:is|are|remains?)\b", re.IGNORECASE)
# Values in a row, as in "2, 3, and 5".
_LIST = re.compile(r"[-−]?\d[\d./]*(?:(?:,\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+)[-−]?\d[\d./]*)+$")
_JOINING = re.compile(r"\s*(?:,\s*(?:and|or)?|and|or)\s*")
_EQUALS = re.compile(r"(?<![<>!\\])=|\\equiv(?![a-z])")
_NAME = re.compile(r"\s*(?:\\?[a-zA-Z]+(?:_\{?\w+\}?)?(?:\([a-z](?:,\s*[a-z])*\))?|\([a-z](?:,\s*[a-z])+\))\s*")
_UNMARKED_FORMULA = re.compile(r"[\d=^\\√∞(]")


def _values_of(statement: str, wanted: Wanted, sentence: str) -> list[str]:
    """List the values of a kind that compete for being what is stated: one, if the statement is clear."""
    match wanted:
        case Wanted.WORDS:
            return [said] if (said := trimmed(statement.rstrip("."))) else []
        case Wanted.DATE:
            return _distinct([date.group() for date in DATE.finditer(statement)])
        case Wanted.TIME:
            if _PAST.search(statement):
                return [statement]
            if clocks := _distinct([_with_half(clock) for clock in _CLOCK.finditer(statement)]):
                return clocks
    if wanted in (Wanted.RATIO, Wanted.TIME) and (found := _RATIO.search(statement)):
        numbers = [int(each) if each.isdigit() else read_number_words(each) for each in found.groups() if each]
        return [f"{numbers[0]}:{numbers[1]}"] if None not in numbers else []
    if (formulas := last_formulas(statement)) is not None:
        return [formulas]
    without_dates = DATE.sub(" ", statement)
    statement = without_dates if _NUMBER.search(without_dates) else statement
    if wanted is Wanted.LIST and len(named := _NAMED.findall(statement)) > 1:
        return [", ".join(named)]
    values = _distinct(_after_verbs(statement)) or _distinct(_numbers_in(sentence))
    return [", ".join(values)] if wanted is Wanted.LIST and values else values


def _with_half(clock: re.Match[str]) -> str:
    """Return a time of day, with "in the afternoon" as pm."""
    half = _HALF_OF_DAY.match(clock.string, clock.end())
    return clock.group() if half is None else f"{clock.group()} {'am' if 'morning' in half.group().lower() else 'pm'}"


def _distinct(values: Sequence[str]) -> list[str]:
    """Keep the last of values that are equal."""
    return list({_key(value): value for value in values}.values())


def _key(value: str) -> object:
    quantity = read_quantity(value) or read_quantity(with_decimal_point(value))
    return quantity.value if quantity else value


def _after_verbs(statement: str) -> list[str]:
    """List the values that verbs state: `5/12` in "the probability is 5/12", but not in "is found in 12 minutes"."""
    verbs = outside_formulas(STATES, statement)
    ends = [*(verb.start() for verb in verbs[1:]), len(statement)]
    values = []
    for verb, end in zip(verbs, ends, strict=False):
        rest = statement[verb.end() : end]
        if not formulas_in(rest):
            rest = rest[rest.rfind("=") + 1 :]
        value = answer_at_start(rest)
        is_value = value and (_LIST.match(value) or read_quantity(value) is not None or _is_unmarked(value))
        if value and (is_value or formula_at(value, 0)):
            values.append(value)
        elif value and (number := number_words_at(value)):
            values.append(number)
        else:
            numbers = [number for number in _numbers_in(rest) if _VALUE.search(number) or not _VALUE.search(statement)]
            values += numbers[:1]
    return values


def _numbers_in(text: str) -> list[str]:
    """List the numbers and formulas of a text that no preposition subordinates; without any, those in words."""
    formulas = formulas_in(text)
    if formulas:
        return [right for formula in formulas if (right := _right_side(inside(formula.group())))]
    found = [number for number in _NUMBER.finditer(text) if not _OPERATION.match(text, number.end())]
    numbers = ([number for number in found if number.start() > text.rfind("=")] or found)[-_MOST_VALUES:]
    timeless = [number for number in numbers if ":" not in number.group()]
    direct = [number for number in timeless or numbers if not _OBLIQUE.search(text, 0, number.start())]
    is_none = _NONE.search(text) is not None
    if some := direct or (not is_none and (timeless or numbers)):
        return [value for number in some if (value := quantity_at(text, *number.span()))]
    if is_none:
        return ["none"]
    in_words: list[str] = []
    end = 0
    for word in islice(re.finditer(r"(?<![\w-])[a-z]", text, re.IGNORECASE), _MOST_WORDS):
        share = _SHARE.match(text, word.start())
        number = share.group() if share and read_quantity(share.group()) else number_words_at(text[word.start() :])
        if number and number.lower() != "one" and word.start() >= end:
            in_words.append(number)
            end = word.start() + len(number)
    return in_words


def last_formulas(sentence: str) -> str | None:
    """Return the formula at a sentence's end, perhaps with a unit; several that name the same thing are one list."""
    formulas = formulas_in(sentence)
    if not formulas:
        return None
    tail = sentence[formulas[-1].end() :].strip(" .,;:!)")
    if tail and (tail[0].isupper() or read_unit(f" {tail}") is None):
        return None
    first = len(formulas) - 1
    while first and _left_side(formulas[first - 1]) == _left_side(formulas[-1]):
        if not _JOINING.fullmatch(sentence, formulas[first - 1].end(), formulas[first].start()):
            break
        first -= 1
    if first < len(formulas) - 1:
        return sentence[formulas[first].start() : formulas[-1].end()]
    value = _right_side(inside(formulas[-1].group()))
    return f"{value} {tail}" if value and tail else value


def _left_side(formula: re.Match[str]) -> str:
    """Return the part left of the first `=`; empty without one."""
    left, equals, _ = (inside(formula.group()) or "").partition("=")
    return left.strip() if equals else ""


def _right_side(formula: str | None) -> str | None:
    """Return the value in `m + n = 200 + 4 = 204`; an equation such as `y = 2x + 3` or `x + y = 0` stays whole."""
    parts = _EQUALS.split(formula or "")
    if len(parts) < 2 or (len(parts) == 2 and _NAME.fullmatch(parts[0])) or parts[-1].strip() == "0":
        return formula
    return parts[-1].strip() or None


def _is_unmarked(text: str) -> bool:
    """Tell whether it is a formula without dollar signs: `n(n+1)/2`, `2√6`, `(4, -1)`."""
    return not re.search(r"(?<![\\a-zA-Z{])[a-zA-Z]{3}", text) and _UNMARKED_FORMULA.search(text) is not None
