"""Finds the conclusion of a text that marks no answer: a bold or bare line, or what its last sentence states."""

from __future__ import annotations

import re

from baton_reasoning.core.grading.normal import number_words_at
from baton_reasoning.core.grading.numbers import read_quantity, read_unit
from baton_reasoning.core.grading.running_text import (
    WRAPPING,
    answer_at_start,
    formula_at,
    formulas_in,
    inside,
    outside_formulas,
    plain_words,
    quantity_at,
    trimmed,
    without_formulas,
)

_LAST_LINES = 4
"""Lines at the end in which a bold answer counts as the conclusion."""
_LONGEST_LINE = 2_000
_LONGEST_CONCLUSION = 20_000
"""Characters at the end of a text in which a conclusion is looked for."""
_LONGEST_BARE_LINE = 200
_MOST_WORDS_IN_BOLD = 8

_ALIGNMENT = re.compile(r"\\(?:begin|end)\{(?:align|gather|equation|eqnarray)\*?\}")
_RULE = re.compile(r"^[\s\-*_=#>|`$]*$|^\\(?:end|begin)\{[a-z*]+\}$|^\\[\])]$|^\\[\[(]$")
_PLEASANTRY = re.compile(
    r"let me know|hope (?:this|it|that)|feel free|if you (?:have|would|need|want)|would you like|happy to|good luck"
    r"|qed\b|□|■",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"^.{0,25}?\b(?:I|we|it)\b.{0,15}?"
    r"(?:cannot|can't|can not|could not|couldn't|unable|do not|don't|not sure|need more)\b"
    r"|\b(?:sorry|apologi[sz]e|insufficient|not enough information|unknown|not known)\b|n.t known\b",
    re.IGNORECASE,
)
_BOLD = re.compile(r"(?:\*\*|__)(?P<inside>[^*\n]{1,200}?)(?:\*\*|__)")
_LABEL = re.compile(r"^[-*#>\s]*(?:\*\*)?(?P<label>[A-Za-z][^:\n$=\\\d]{0,40}):(?:\*\*)?\s+(?P<value>\S.*)$")
_HEADING = re.compile(r"^(?:#+\s|(?:step|case|part|note|method|option)\b|.*:$)", re.IGNORECASE)
_MARK_OR_ROW_END = re.compile(r"\s*(?:✅|✓|✔|\\\\)\s*")
_CONJUNCTION = re.compile(r"^(?:[-•]\s+|(?:so|thus|hence|therefore)[,:]?\s+|\\therefore\s*)", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"^\s*(?:\d{1,2}[.)]|[-•*])\s+(?=[A-Z])")
_SENTENCES = re.compile(
    r"(?:(?<=[.!?])|(?<=[.!?]\$)|(?<=[.!?]\\\]))\s+(?=[A-Z(])|(?<=\\\])(?=[A-Z])|(?<=\$\$)(?=[A-Z])"
)
# A clause that says more about the value before it, unless it draws the conclusion itself.
_ASIDE = re.compile(
    r",?\s+(?:which\s+(?:is|was|are)\s+(?!\S+$)|since|because|where|while|whereas)\b"
    r"(?![^.]*\b(?:so|then|hence|therefore|implies)\b)"
)
_SO = re.compile(r"(?:,|;|\.)\s+(?:so|and\s+so|hence|thus|therefore)\b,?\s+(?!that\b)", re.IGNORECASE)
# Verbs after which a sentence states its value.
_STATES = re.compile(
    r"\b(?:(?:is|are|was|were)(?: at)?|be|makes?|made|earns?|gets?|has|have|had|needs?|takes?|took|costs?"
    r"|equals?(?: to)?|arrives?(?: at)?|left with|total(?:s|ing)?(?: of)?|gives?|leaves?|yields?|obtain|find|found"
    r"|pays?|spends?|saves?|sells?|becomes?|weighs?|prints?|returns?|outputs?|reach(?:es)?)\b",
    re.IGNORECASE,
)
_VALUE = re.compile(r"[\d$]")
_AMOUNT = (
    r"\d{1,2}:\d\d(?:\s?[ap]\.?m\b)?"
    r"|[-+−]?(?:\\?[$€£]\s?)?-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?:\s?/\s?\d+)?\s?(?:\\?%|°)?"
)
_NUMBER = re.compile(rf"(?<![\w.^_{{])(?:{_AMOUNT})(?![\w^]|\.\d)")
# Values in a row, as in "2, 3, and 5".
_LIST = re.compile(r"[-−]?\d[\d./]*(?:(?:,\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+)[-−]?\d[\d./]*)+$")
_JOINING = re.compile(r"\s*(?:,\s*(?:and|or)?|and|or)\s*")
_EQUALS = re.compile(r"(?<![<>!\\])=|\\equiv(?![a-z])")
_NAME = re.compile(r"\s*(?:\\?[a-zA-Z]+(?:_\{?\w+\}?)?(?:\([a-z](?:,\s*[a-z])*\))?|\([a-z](?:,\s*[a-z])+\))\s*")
_UNMARKED_FORMULA = re.compile(r"[\d=^\\√∞(]")


def answer_in_conclusion(text: str) -> str | None:
    """Find what a reader takes for the answer of a text without a mark.

    That is the last bold or bare line, else what the last sentence states, else the last line itself. None if the text
    refuses to answer, or is empty.
    """
    text = _ALIGNMENT.sub("\n", text[-_LONGEST_CONCLUSION:])
    lines = [line.strip()[-_LONGEST_LINE:] for line in text.splitlines()]
    lines = [line for line in lines if not _RULE.match(line)]
    while len(lines) > 1 and (_PLEASANTRY.search(lines[-1]) or (lines[-1].endswith("?") and len(lines[-1]) > 20)):
        lines.pop()
    if not lines:
        return None
    last = lines[-1]
    if _is_bare(last):
        return _bare_value(last)
    for line in reversed(lines[-_LAST_LINES:]):
        if (answer := _bold_answer(line)) is not None:
            return answer
    if _REFUSAL.search(last):
        return None
    stated = map(_stated, reversed(lines[-_LAST_LINES:]))
    return next(filter(None, stated), None) or trimmed(last.rstrip("."))


def _is_bare(line: str) -> bool:
    """Tell whether a line is nothing but an answer: `18`, `**18**`, `$x = 5$`, `Yes.`, `x = 2 or x = 3`."""
    line = line.strip(WRAPPING).rstrip(".")
    if len(_SENTENCES.split(line)) > 1 or _HEADING.match(line) or _STATES.search(without_formulas(line)):
        return False
    words = [word for word in plain_words(line) if word not in ("and", "the")]
    return len(words) <= 1 and len(line) <= _LONGEST_BARE_LINE


def _bare_value(line: str) -> str | None:
    """Return the value of a bare line, without its label and conjunction."""
    label = _LABEL.match(line)
    line = _after_so(label["value"] if label else line)
    if r"\begin" not in line:
        line = _MARK_OR_ROW_END.sub(" ", line).replace("&", "")
    line = _CONJUNCTION.sub("", line.strip(WRAPPING))
    return _last_formulas(line) or answer_at_start(line) or trimmed(line.rstrip("."))


def _bold_answer(line: str) -> str | None:
    for bold in reversed(list(_BOLD.finditer(line))):
        content = bold["inside"].strip()
        if content and not _HEADING.match(content) and len(content.split()) <= _MOST_WORDS_IN_BOLD:
            return _said_in(content)
    label = _LABEL.match(line)
    return _said_in(label["value"]) if label and "**" in line else None


def _said_in(text: str) -> str | None:
    """Return the value that a bold text, or the text after a label, states; or all of it."""
    return (_stated(text) if _STATES.search(without_formulas(text)) else None) or answer_at_start(text)


def _stated(line: str) -> str | None:
    """Find the value that a sentence states: the formula at its end, what follows its verb, else its last value."""
    line = _after_so(_LIST_NUMBER.sub("", line))
    for sentence in reversed(_SENTENCES.split(line)):
        aside = _ASIDE.search(sentence)
        if aside and _VALUE.search(sentence[: aside.start()]):
            sentence = sentence[: aside.start()]
        stated = _last_formulas(sentence) or _after_verb(sentence) or _last_value(sentence)
        if stated is not None:
            return stated
    return None


def _after_so(line: str) -> str:
    """Return what follows the last ", so", if there is a value in it."""
    clause = line[max((so.end() for so in _SO.finditer(line)), default=0) :]
    return clause if _VALUE.search(clause) else line


def _last_formulas(sentence: str) -> str | None:
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


def _after_verb(sentence: str) -> str | None:
    """Find the value after the last verb that has one: `5/12` in "the probability is 5/12"."""
    for verb in reversed(outside_formulas(_STATES, sentence)):
        rest = sentence[verb.end() :]
        if not formulas_in(rest):
            rest = rest[rest.rfind("=") + 1 :]
        value = answer_at_start(rest)
        if value is None:
            continue
        if formula_at(value, 0) or _LIST.match(value) or read_quantity(value) is not None or _is_unmarked(value):
            return value
        if (stated := number_words_at(value) or _first_value(rest)) is not None:
            return stated
    return None


def _first_value(text: str) -> str | None:
    formulas, number = formulas_in(text), _NUMBER.search(text)
    if formulas:
        return answer_at_start(text[formulas[0].start() :])
    return quantity_at(text, *number.span()) if number else None


def _last_value(sentence: str) -> str | None:
    """Find the last formula; without one the first number after the last `=`, or the last number."""
    formulas, numbers = formulas_in(sentence), list(_NUMBER.finditer(sentence))
    if formulas:
        return _right_side(inside(formulas[-1].group()))
    if not numbers:
        return None
    equals = sentence.rfind("=")
    after = [number for number in numbers if 0 <= equals < number.start()]
    return quantity_at(sentence, *(after or numbers[-1:])[0].span())


def _is_unmarked(text: str) -> bool:
    """Tell whether it is a formula without dollar signs: `n(n+1)/2`, `2√6`, `(4, -1)`."""
    return not plain_words(text) and _UNMARKED_FORMULA.search(text) is not None
