"""Finds the conclusion of a text that marks no answer: a bold or bare line, or what its last sentence states."""

from __future__ import annotations

import re
from itertools import takewhile

from baton_reasoning.core.grading.competing import weighed
from baton_reasoning.core.grading.normal import OTHER_WORDS, VERDICTS, compare_words, tidy
from baton_reasoning.core.grading.running_text import WRAPPING, answer_at_start, plain_words, trimmed, without_formulas
from baton_reasoning.core.grading.sentence import (
    STATES,
    Wanted,
    after_consequence,
    is_remark,
    last_formulas,
    split_sentences,
    stated,
)
from baton_reasoning.core.grading.verdict import Outcome

_LAST_LINES = 4
"""Lines at the end in which a bold answer counts as the conclusion."""
_LONGEST_LINE = 2_000
_LONGEST_CONCLUSION = 20_000
"""Characters at the end of a text in which a conclusion is looked for."""
_LONGEST_BARE_LINE = 200
_MOST_WORDS_IN_BOLD = 8
_MOST_WORDS_BARE = 3
"""Words of any language beside a number; with more, a line is a sentence."""
_ALL_WORDS = re.compile(r"(?<![\\\w])[^\W\d_]{2,}")

_GIVES_REASON = re.compile(r"\b(?:because|since)\b|,\s+as\b")
_ALIGNMENT = re.compile(r"\\(?:begin|end)\{(?:align|gather|equation|eqnarray)\*?\}")
_RULE = re.compile(r"^[\s\-*_=#>|`$]*$|^\\(?:end|begin)\{[a-z*]+\}$|^\\[\])]$|^\\[\[(]$")
_PLEASANTRY = re.compile(
    r"let me know|hope (?:this|it|that)|feel free|if you (?:have|would|need|want)|^please\b|would you like|happy to"
    r"|good luck|^sorry (?:for|about)\b|qed\b|□|■",
    re.IGNORECASE,
)
_NOT_FILLED_IN = re.compile(r"\W*(?:final\s+)?answer\W*", re.IGNORECASE)
_ONLY_QUESTIONS = re.compile(r"(?:[^.!?]{15,}\?\s*)+")
_REFUSAL = re.compile(
    r"^.{0,25}?\b(?:I|we|it)\b.{0,15}?"
    r"(?:cannot|can't|can not|could not|couldn't|unable|do not|don't|not sure|need more)\b"
    r"|\b(?:sorry|apologi[sz]e|insufficient|n[o'’]t (?:\w+ )?enough information"
    r"|(?:is|are|remains?) unknown|not known)\b|n.t known\b"
    r"|\bcan(?:not|'t) be (?:solved|answered)\b",
    re.IGNORECASE,
)
_BOLD = re.compile(r"(?:\*\*|__)(?P<inside>[^*\n]{1,200}?)(?:\*\*|__)")
_LABEL = re.compile(r"^[-*#>\s]*(?:\*\*)?(?P<label>[A-Za-z][^:\n$=\\\d]{0,40}):(?:\*\*)?\s+(?P<value>\S.*)$")
_ITEM = re.compile(r"[-•*]\s|\d{1,2}[.)]\s|\||[A-Za-z][^:\n$=\\\d]{0,40}:\s|\$*[a-z]\s*=\s")
"""Matches the beginning of an item of a list, of a row of a table, or of a line with a label or name."""
_HEADING = re.compile(r"^(?:#+\s|(?:step|case|part|note|method|option)\b|.*:$)", re.IGNORECASE)
_MARK_OR_ROW_END = re.compile(r"\s*(?:✅|✓|✔|\\\\)\s*")
_CONJUNCTION = re.compile(r"^(?:[-•]\s+|(?:so|thus|hence|therefore)[,:]?\s+|\\therefore\s*)", re.IGNORECASE)


def answer_in_conclusion(text: str, expected: str | None = None) -> str | None:
    """Find what a reader takes for the answer of a text without a mark.

    That is the last bold or bare line, else what the last sentence states, else the last line itself. None if the text
    refuses to answer, or is empty.
    """
    text = _ALIGNMENT.sub("\n", text[-_LONGEST_CONCLUSION:])
    lines = [line.strip()[-_LONGEST_LINE:] for line in text.splitlines()]
    lines = [line for line in lines if not _RULE.match(line)]
    while len(lines) > 1 and (_PLEASANTRY.search(lines[-1]) or (lines[-1].endswith("?") and len(lines[-1]) > 20)):
        lines.pop()
    if not lines or _NOT_FILLED_IN.fullmatch(lines[-1]) or _ONLY_QUESTIONS.fullmatch(lines[-1]):
        return None
    kept = _without_remarks(lines)
    answer, is_marked = _last_answer(kept, expected)
    if not answer or not expected or is_marked or tidy(expected).casefold() in VERDICTS:
        return answer
    first = split_sentences(lines[0])[0]
    opening = _bare_value(first) if _is_bare(first) and not _ITEM.match(_without_bold(first)) else None
    conclusion = kept[-_LAST_LINES:] if lines[0] in kept[-_LAST_LINES:] else [first, *kept[-_LAST_LINES:]]
    return weighed(answer, opening, _without_bold("\n".join(conclusion)), expected)


def _without_remarks(lines: list[str]) -> list[str]:
    """Leave out the remarks at the end, such as a check, and a table below the sentence that says what it shows."""
    end = len(lines)
    while end > 1 and is_remark(line := _without_bold(lines[end - 1])) and not line.startswith("("):
        end -= 1
    above = end
    while above and lines[above - 1].startswith("|"):
        above -= 1
    says = above and STATES.search(without_formulas(lines[above - 1])) and lines[above - 1].rstrip("*").endswith(".")
    return lines[: above if says else end]


def _last_answer(lines: list[str], expected: str | None) -> tuple[str | None, bool]:
    """Return the last bold or bare line, which mark an answer, else what the last sentence states, or all of it."""
    last = lines[-1]
    items = list(takewhile(lambda line: _ITEM.match(line) and _is_bare(line), reversed(lines)))
    if len(items) > 1 and Wanted.of(expected) is Wanted.LIST:
        return ", ".join(filter(None, map(_bare_value, reversed(items)))), True
    # The last of several labels or items is one value among others.
    is_marked = not (len(lines) > 1 and all(_ITEM.match(_without_bold(line)) for line in lines[-2:]))
    if _is_bare(last):
        return _bare_value(last), is_marked
    for line in reversed(lines[-_LAST_LINES:]):
        if (answer := _bold_answer(line)) is not None:
            return answer, is_marked and not STATES.search(without_formulas(line))
    sentences = split_sentences(last)
    while len(sentences) > 1 and (_PLEASANTRY.search(sentences[-1]) or sentences[-1].endswith("?")):
        sentences.pop()
    if _REFUSAL.search(sentences[-1]):
        return None, False
    if (verdict := tidy(expected or "")).casefold() in VERDICTS:
        decided = (each for each in (last, *sentences, *split_sentences(lines[0])) if _decides(verdict, each))
        return trimmed(next(decided, last).rstrip(".")), False
    found = (stated(line, expected) for line in reversed(lines[-_LAST_LINES:]))
    return next(filter(None, found), None) or trimmed(last.rstrip(".")), False


def _decides(expected: str, sentence: str) -> bool:
    verdict = compare_words(expected, tidy(sentence))
    return verdict is not None and verdict.outcome is not Outcome.UNSCORED


def _is_bare(line: str) -> bool:
    """Tell whether a line is nothing but an answer: `18`, `**18**`, `$x = 5$`, `Yes.`, `x = 2 or x = 3`."""
    line = line.strip(WRAPPING).rstrip(".")
    if len(split_sentences(line)) > 1 or _HEADING.match(line) or STATES.search(without_formulas(line)):
        return False
    words = [word for word in (*plain_words(line), *OTHER_WORDS.findall(line)) if word not in ("and", "the")]
    is_sentence = len(_ALL_WORDS.findall(without_formulas(line))) > _MOST_WORDS_BARE and re.search(r"\d", line)
    words += [""] if _GIVES_REASON.search(line) else []
    return len(words) <= 1 and len(line) <= _LONGEST_BARE_LINE and not is_sentence


def _bare_value(line: str) -> str | None:
    """Return the value of a bare line, without its label and conjunction."""
    label = _LABEL.match(line)
    line = after_consequence(label["value"] if label else line)
    if r"\begin" not in line:
        line = _MARK_OR_ROW_END.sub(" ", line).replace("&", "")
    line = _CONJUNCTION.sub("", line.strip(WRAPPING))
    return last_formulas(line) or answer_at_start(line) or trimmed(line.rstrip("."))


def _without_bold(text: str) -> str:
    return _BOLD.sub(r"\g<inside>", text)


def _bold_answer(line: str) -> str | None:
    bolds = list(_BOLD.finditer(line))
    if len({bold["inside"] for bold in bolds}) > 1 and STATES.search(without_formulas(line)):
        return stated(_without_bold(line))
    for bold in reversed(bolds):
        content = bold["inside"].strip()
        if content and not _HEADING.match(content) and len(content.split()) <= _MOST_WORDS_IN_BOLD:
            return _said_in(content)
    label = _LABEL.match(line)
    return _said_in(label["value"]) if label and "**" in line else None


def _said_in(text: str) -> str | None:
    """Return the value that a bold text, or the text after a label, states; or all of it."""
    return (stated(text) if STATES.search(without_formulas(text)) else None) or answer_at_start(text)
