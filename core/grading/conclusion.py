"""Finds the conclusion of a text that marks no answer: a bold or bare line, or what its last sentence states."""

from __future__ import annotations

import re

from baton_reasoning.core.grading.normal import OTHER_WORDS, VERDICTS, tidy
from baton_reasoning.core.grading.running_text import WRAPPING, answer_at_start, plain_words, trimmed, without_formulas
from baton_reasoning.core.grading.sentence import STATES, after_consequence, last_formulas, split_sentences, stated

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

_ALIGNMENT = re.compile(r"\\(?:begin|end)\{(?:align|gather|equation|eqnarray)\*?\}")
_RULE = re.compile(r"^[\s\-*_=#>|`$]*$|^\\(?:end|begin)\{[a-z*]+\}$|^\\[\])]$|^\\[\[(]$")
_PLEASANTRY = re.compile(
    r"let me know|hope (?:this|it|that)|feel free|if you (?:have|would|need|want)|^please\b|would you like|happy to"
    r"|good luck|qed\b|□|■",
    re.IGNORECASE,
)
_ONLY_QUESTIONS = re.compile(r"(?:[^.!?]{15,}\?\s*)+")
_REFUSAL = re.compile(
    r"^.{0,25}?\b(?:I|we|it)\b.{0,15}?"
    r"(?:cannot|can't|can not|could not|couldn't|unable|do not|don't|not sure|need more)\b"
    r"|\b(?:sorry|apologi[sz]e|insufficient|n[o'’]t (?:\w+ )?enough information|unknown|not known)\b|n.t known\b"
    r"|\bcan(?:not|'t) be (?:solved|answered)\b",
    re.IGNORECASE,
)
_BOLD = re.compile(r"(?:\*\*|__)(?P<inside>[^*\n]{1,200}?)(?:\*\*|__)")
_LABEL = re.compile(r"^[-*#>\s]*(?:\*\*)?(?P<label>[A-Za-z][^:\n$=\\\d]{0,40}):(?:\*\*)?\s+(?P<value>\S.*)$")
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
    if not lines or _ONLY_QUESTIONS.fullmatch(lines[-1]):
        return None
    last = lines[-1]
    if _is_bare(last):
        return _bare_value(last)
    for line in reversed(lines[-_LAST_LINES:]):
        if (answer := _bold_answer(line)) is not None:
            return answer
    sentences = split_sentences(last)
    while len(sentences) > 1 and (_PLEASANTRY.search(sentences[-1]) or sentences[-1].endswith("?")):
        sentences.pop()
    if _REFUSAL.search(sentences[-1]):
        return None
    if tidy(expected or "").casefold() in VERDICTS:
        return trimmed(last.rstrip("."))
    found = (stated(line, expected) for line in reversed(lines[-_LAST_LINES:]))
    return next(filter(None, found), None) or trimmed(last.rstrip("."))


def _is_bare(line: str) -> bool:
    """Tell whether a line is nothing but an answer: `18`, `**18**`, `$x = 5$`, `Yes.`, `x = 2 or x = 3`."""
    line = line.strip(WRAPPING).rstrip(".")
    if len(split_sentences(line)) > 1 or _HEADING.match(line) or STATES.search(without_formulas(line)):
        return False
    words = [word for word in (*plain_words(line), *OTHER_WORDS.findall(line)) if word not in ("and", "the")]
    is_sentence = len(_ALL_WORDS.findall(without_formulas(line))) > _MOST_WORDS_BARE and re.search(r"\d", line)
    return len(words) <= 1 and len(line) <= _LONGEST_BARE_LINE and not is_sentence


def _bare_value(line: str) -> str | None:
    """Return the value of a bare line, without its label and conjunction."""
    label = _LABEL.match(line)
    line = after_consequence(label["value"] if label else line)
    if r"\begin" not in line:
        line = _MARK_OR_ROW_END.sub(" ", line).replace("&", "")
    line = _CONJUNCTION.sub("", line.strip(WRAPPING))
    return last_formulas(line) or answer_at_start(line) or trimmed(line.rstrip("."))


def _bold_answer(line: str) -> str | None:
    for bold in reversed(list(_BOLD.finditer(line))):
        content = bold["inside"].strip()
        if content and not _HEADING.match(content) and len(content.split()) <= _MOST_WORDS_IN_BOLD:
            return _said_in(content)
    label = _LABEL.match(line)
    return _said_in(label["value"]) if label and "**" in line else None


def _said_in(text: str) -> str | None:
    """Return the value that a bold text, or the text after a label, states; or all of it."""
    return (stated(text) if STATES.search(without_formulas(text)) else None) or answer_at_start(text)
