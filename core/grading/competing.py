"""Decides between the value that a text states last and what it states before: "8 are broken. The other 112 work."

A reader takes what a sentence says first for its answer, unless it concludes something else. Where the text does not
decide and the expected answer is among its statements, the text as a whole is the answer, which is unscored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from baton_reasoning.core.grading.compare import compare, quoted
from baton_reasoning.core.grading.normal import is_words, tidy
from baton_reasoning.core.grading.numbers import read_quantity, same_quantity
from baton_reasoning.core.grading.other_numbers import TIME
from baton_reasoning.core.grading.running_text import answer_at_start, outside_formulas, without_formulas
from baton_reasoning.core.grading.sentence import (
    IS_ASIDE,
    STATES,
    after_consequence,
    concludes,
    is_remark,
    last_clause,
    numbers_stated,
    said_in_truth,
    split_sentences,
)
from baton_reasoning.core.grading.verdict import GradingMethod, Outcome, Verdict

_CLAUSE_END = re.compile(r"[,;:](?!\d)|[，。、；]|\s[–—-]\s|\s*[(（]|\s+and\s+(?=[a-z])|\s+i\.e\.", re.IGNORECASE)
_INEQUALITY = re.compile(r"[<>]|\\[lg]e(?![a-z])")
_MOST_CLAUSES = 20


def weighed(last: str, opening: str | None, conclusion: str, expected: str) -> str:
    """Choose the answer of a text: its last value, `last`, a value that it states before, or its whole `conclusion`.

    `opening` is the first sentence of the text if it is nothing but a value.
    """
    if _same(expected, last):
        return last
    sentences = [said_in_truth(sentence) for line in conclusion.splitlines() for sentence in split_sentences(line)]
    sentences = [sentence for sentence in sentences if sentence.strip() and not is_remark(sentence)]
    if not sentences:
        return last
    clause = after_consequence(sentences[-1])
    for value in filter(None, [opening, *_first_said(clause), *_first_said(last_clause(sentences[-1]))]):
        if _same(expected, value):
            return value
    competing = sentences[-1:] if concludes(sentences[-1]) else sentences
    for value in (value for sentence in competing for value in _all_said(sentence)):
        if _same(expected, value):
            return value if _is_converted(value, last) or _begins(value, last) else quoted(conclusion)
    spaced = r"\s*".join(map(re.escape, tidy(expected).replace(" ", "")))
    named = re.compile(rf"(?<!\w){spaced}(?![\w^])", re.IGNORECASE)
    is_named = any(named.search(tidy(sentence)) for sentence in competing) and not named.search(tidy(last))
    # Where an inequality is expected, "x is at least 3" states more than its number.
    is_part = _INEQUALITY.search(tidy(expected)) and read_quantity(last)
    return quoted(conclusion) if is_part or (is_named and read_quantity(expected) is None) else last


def left_open(line: str, expected: str) -> str | None:
    """Quote the last line of a text without an answer, if it names the expected one: "She has 14, right?"."""
    is_named = any(_same(expected, value) for sentence in split_sentences(line) for value in _all_said(sentence))
    if is_words(words := tidy(expected)):
        is_named = is_named or re.search(rf"\b{re.escape(words)}\b", tidy(line), re.IGNORECASE) is not None
    return quoted(line) if is_named else None


def _first_said(sentence: str) -> list[str]:
    """List what a sentence may state first, passing over clauses that are asides or state nothing."""
    start = 0
    ends = [end.span() for end in outside_formulas(_CLAUSE_END, sentence)][:_MOST_CLAUSES]
    for end, following in (*ends, (len(sentence), 0)):
        clause, start = sentence[start:end].strip(" .*"), following
        numbers = numbers_stated(clause)
        if IS_ASIDE.match(clause) or not (numbers or STATES.search(without_formulas(clause))):
            continue
        verbs = outside_formulas(STATES, clause)
        value = answer_at_start(clause[verbs[-1].end() :]) if verbs else None
        if len(numbers) > 1:  # several numbers are stated only as a list: "are 6 and 9"
            return [said for said in (value, clause) if said and numbers_stated(said) == numbers]
        return [said for said in (value, clause, *numbers) if said]
    return []


def _all_said(sentence: str) -> Iterator[str]:
    """Yield all that the sentence may state."""
    yield from numbers_stated(sentence)
    for verb in outside_formulas(STATES, sentence)[:_MOST_CLAUSES]:
        if value := answer_at_start(sentence[verb.end() :]):
            yield value


def _is_converted(value: str, other: str) -> bool:
    """Tell whether both are one quantity: `4 hours` and `240 minutes`."""
    one, same = read_quantity(value), read_quantity(other)
    return one is not None and same is not None and same_quantity(one, same) is True


def _begins(value: str, other: str) -> bool:
    r"""Tell whether the other is the value with something added: `2\sqrt{6} cm`, `2/5 or 40%`; not `4:45 pm`."""
    return other.startswith(value) and TIME.fullmatch(tidy(other)) is None


def _same(expected: str, given: str) -> bool:
    """Tell whether two answers are equal without algebra."""
    undecided = Verdict.of(None, GradingMethod.MATH, "")
    return compare(expected, given, lambda *_: undecided).outcome is Outcome.CORRECT
