r"""Extracts the answer from what a model wrote, and from a data set's worked solution.

Models are asked for `\boxed{…}`. Those that forget it say "the answer is …", write the answer in bold or alone on the
last line, or end with a sentence that holds it. `extract_answer` finds what a reader would find.
"""

from __future__ import annotations

import re
from itertools import islice

from baton_reasoning.core.grading.compare import LETTERS, choice_letter, read_option
from baton_reasoning.core.grading.competing import left_open
from baton_reasoning.core.grading.conclusion import answer_in_conclusion
from baton_reasoning.core.grading.normal import tidy
from baton_reasoning.core.grading.numbers import read_quantity
from baton_reasoning.core.grading.running_text import answer_at_start, without_formulas
from baton_reasoning.core.grading.sentence import (
    CONTRAST,
    STATES,
    TAKES_BACK,
    Wanted,
    has_value,
    split_sentences,
    stated,
    without_claims,
)
from baton_reasoning.core.grading.verdict import Grading, GradingMethod, Regex
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.trace import Trace

THINKING_START = "<think>"
THINKING_END = "</think>"
_LONGEST_SENTENCE = 2_000
_LONGEST_BARE_ANSWER = 60
"""A solution of one short line is an answer; a longer text without a mark is not."""

_BOXED = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|\\(?:boxed|fbox)\s*(?P<bare>[^\s{\\])|\\.|[{}]", re.DOTALL)
_BETWEEN_BOXES = re.compile(
    r"[\s$,;.]*(?:\\[()\[\]])?[\s$]*(?:,?\s*(?:and|or)\b)?[\s$]*(?:\\[()\[\]])?[\s$]*(?:[a-z]\s*=\s*)?"
)
_TAKEN_BACK = re.compile(TAKES_BACK, re.IGNORECASE)
_EMPTY_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{\s*\}")
_NAMED_AT_END = re.compile(r"[a-zA-Z]\w? ?= ?[^=]+$")
_LABELLED = re.compile(r"(?:final\s+)?answer\s*[:=]\s*(?=\S)", re.IGNORECASE)
_HASHES = re.compile(r"(?<!#)####(?!#)[ \t]*(?P<answer>[^#\n]+)")
_TAGGED = re.compile(r"<answer>((?:[^<]|<(?!/?answer>))*)</answer>", re.IGNORECASE)
_MARK = re.compile(
    r"\\(?:boxed|fbox)|####|<answer>|\banswer[*_`]*\s*[:=]|^[^\w\n]*(?:final\s+)?answer[^\w\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
_SUBJECT = (
    r"(?:final\s+answers?|(?:correct|right|best|final)\s+(?:answer|option|choice|one)|answers?"
    r"|(?:the|our|my|this|final)\s+(?:final\s+)?(?:solutions?|results?|totals?(?!\s+of\s+\W?\d))|\bans)"
)
_VERB = (
    r"(?:[=:]|(?<![a-z])(?:is|are|was|equals|becomes|will\s+be|would\s+be|must\s+be|should\s+be|has\s+to\s+be"
    r"|can\s+only\s+be|comes\s+out\s+(?:to\s+be|as|to|at)|turns\s+out\s+to\s+be|works\s+out\s+to(?:\s+be)?)(?![a-z]))"
)
_ABOUT = r"(?:[*_`\"”)\]]{0,4}[ \t]+(?:to|for|of|in)\b[^.:=\n]{1,60}?)?[*_`\"”)\]\s]{0,6}"
"""A few words between "answer" and the verb: "to the problem", "for x"."""
# A phrase that introduces an answer.
_PHRASE = re.compile(
    rf"\b{_SUBJECT}\b{_ABOUT}{_VERB}"
    rf"(?:[\s:*_]*\b(?:therefore|thus|then|hence|simply|indeed|clearly|as\s+follows|given\s+by)\b,?)*[\s:*_]*(?=\S)"
    r"|(?:\b(?:die\s+)?(?:Antwort|Lösung|Ergebnis)|\b(?:la\s+)?(?:réponse|respuesta|risposta)|\b(?:a\s+)?resposta"
    r"|\bответ)"
    r"(?:\s+(?:finale?|final|correcta?|richtige))?[*_]*\s*(?::|=|[-–—]|(?:ist|lautet|est|es|è|é)\b)[\s:*_]*(?=\S)"
    r"|(?:答案|答え|答|正解)[是为為は:：]+[\s:*_]*(?=\S)"
    r"|^[^\w\n]*(?:final\s+)?answer[^\w\n]*\n\s*(?:[-=]{3,}\s*)?(?=\S)",
    re.IGNORECASE | re.MULTILINE,
)
# An intermediate result is introduced like an answer: "The total is 42. So each gets 7."
_RESULT = re.compile(r"(?:the|our|my|this)\s+(?:solutions?|results?|totals?)\b", re.IGNORECASE)
_ITEM = re.compile(r"^[ \t]*[-•*][ \t]+", re.MULTILINE)
_ITEMS = re.compile(r"(?:[ \t]*[-•*][ \t]+.+(?:\n|$))+")
_SENTENCE = re.compile(r"(?:[^.!?\n]|[.!?](?=\S))+[.!?]*")
_NOT = r"(?:\b(?:not|cannot|never)\b|n['’]t\b)"
_UNSURE = (
    rf"(?:(?:{_NOT}|\b(?:unable|impossible)\b)\s+(?:\w+\s+){{0,3}}?(?:whether|if)"
    rf"|(?:{_NOT}\s+(?:\w+ly\s+|be\s+|quite\s+)?(?:sure|certain|think|believe|say|conclude|claim)"
    r"|\b(?:unsure|uncertain|unclear|unknown)|\b(?:I|we)\s+doubt)(?:\s+(?:that|whether|if))?)"
)
# What a text says the answer is not ("isn't 7", "cannot be equal to 7"), or may not be ("not sure whether it is 7").
_DENIED = re.compile(
    rf"(?:\b{_SUBJECT}\b(?:\s+(?:to|for|of|in)\b(?:(?!\b(?:is|are|was|were)\b)[^.,:=\n]){{1,60}}?)?[*_`\s]*"
    rf"(?:is|are|was|were|do|does|can|could|may|might|must|should|will|would|wo|ca)?\s*(?:\w+ly\s+)?{_NOT}"
    rf"|{_UNSURE}\s+(?:(?:the|our|my|this|that)\s+)?{_SUBJECT}\b{_ABOUT}{_VERB})"
    r"(?:\s+(?:be|equal(?:\s+to)?)\b)*\s*"
    r"(?P<denied>[^\n]{1,80}?(?=,?\s+but\b)|(?:[^,;:\n]|,(?=\d)){1,80}?(?=,(?!\d)|[;:–—]|[.!?]*$))",
    re.IGNORECASE,
)
_NOT_THE_ANSWER = re.compile(
    rf"^[^,;:]{{0,80}}?(?:is|was|can|could|would|ca)?\s*{_NOT}\s+(?:be\s+)?(?:the|our|my)\s+(?:\w+\s+)?answer\b",
    re.IGNORECASE,
)
_INSTEAD = re.compile(
    r"(?:[\s,;:–—]*\b(?:so|but|rather|instead|namely|it\s+(?:is|must\s+be)|it['’]s|I\s+(?:think|believe))\b)+[\s,:]*",
    re.IGNORECASE,
)
_VALUE_AT_START = re.compile(r"[^\w\\]*[\d\\]|\W*[A-Z]\b")
# What follows "the answer is" without being one.
_NO_ANSWER = re.compile(
    r"(?:not|nicht\b|pas\b|non\b|no\s+es\b|não\b|in\b|found|obtained|determined|reasonable|plausible"
    r"|correct|wrong|right\b|consistent|confirmed|clear|obvious|valid|indeed|already|still|supposed|expected"
    r"|unique|known|unknown|given|shown|written|expressed|based|that|what|to\b"
    r"|the\s+(?:same|number|sum|value|one)\b(?!.*\d))",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"\b(?:(?i:option|opción|opção|opzione|choice|choose|select|pick|go\s+with)\s*:?|(?i:final)[*_\s]*:)"
    r"[\s*_(\[]*(?P<letter>[A-Z])(?![a-zA-Z'’])"
    r"(?![)*\]]*\s+(?:is|are|was)\s+(?:wrong|incorrect|false|not|out)\b)"
)
_CHOSEN = (
    _OPTION,
    re.compile(r"(?i:option|opción|opção|opzione|choice)\s+\(?(?P<letter>[a-j])(?:\)|[.,;]?$|[.,;]\s)"),
    re.compile(r"(?<![a-zA-Z])(?P<letter>[A-Z])[)*\]]*\s+is\s+(?:the\s+)?(?:correct|right|best|true)\b"),
    re.compile(
        r"(?:\b(?i:leaves|leaving|left\s+with|(?:must|has\s+to|should|can\s+only)\s+be|it\s+is|it['’]s|goes?\s+with|corresponds\s+to"
        r"|going\s+with)(?:\s+only)?\s+|[选選][择択]?肢?[はが是为為:：\s]*)[*_(\[]*(?P<letter>[A-J])[)\]*_]*(?=[.,;!。，で]|\s*$)",
        re.MULTILINE,
    ),
)
"""How a text says which option it chooses."""
_NARROW = {ord("Ａ") + at: letter for at, letter in enumerate(LETTERS)}
"""Letters of full width, as Chinese and Japanese texts have them."""
_NEXT_QUESTION = re.compile(r"^\W*(?:question|problem|human|user|q)\W*:", re.IGNORECASE | re.MULTILINE)
_MOST_QUESTIONS = 3
_MOST_PHRASES = 20
_MOST_WORDS_OF_OPTION = 6
"""A longer line that begins with the letter of an option may say why it is not chosen."""
# A question that the text goes on from without a yes: "So the answer is 540? No."
_DROPPED_QUESTION = re.compile(
    r"(?:^|(?<=[.!?]\s))(?:[^.!?\n]|[.!](?!\s))*\?[*_)\"”]*(?=\s+\S)"
    r"(?!\W+(?:yes|yeah|yep|right|correct|indeed|exactly)\b)",
    re.IGNORECASE | re.MULTILINE,
)


def extract_answer(text: str, expected: str | None = None, *, finished: bool = True) -> str | None:
    r"""Find the answer in a model's text; None if there is none.

    It is the last `\boxed{…}` after the thinking, else the rest of "the answer is …", else what the conclusion says.
    Where `expected` is an option, `B` or `(B) Paris`, a chosen letter is looked for first. A truncated text (not
    `finished`) has no conclusion, an unfinished thinking no answer.
    """
    _thinking, closed, text = text.rpartition(THINKING_END)
    if not closed and THINKING_START in text:
        return None
    if answered := _before_next_question(text):
        return extract_answer(answered, expected)
    corrected = text[max((mark.end() for mark in _TAKEN_BACK.finditer(text)), default=0) :]
    if expected and read_option(expected) and (letter := extract_choice(corrected) or extract_choice(text)):
        return letter
    if corrected != text and re.search(r"\d", corrected) and finished:
        return extract_answer(corrected, expected)
    if _EMPTY_BOX.search(text) and last_boxed(text) is None:
        return None
    answer = _marked_answer(_with_closed_box(text) if finished else text, expected)
    if answer or not finished:
        return answer
    answer = answer_in_conclusion(_without_denials(text), expected)
    last_line = text.strip().rpartition("\n")[2][-_LONGEST_SENTENCE:]
    if answer or not expected or _DENIED.search(last_line) or _NOT_THE_ANSWER.search(last_line):
        return answer
    return left_open(last_line, expected)


def _with_closed_box(text: str) -> str:
    r"""Close a `\boxed{…` in the last line, which the model forgot to close; return any other text as it is."""
    start = text.rfind(r"\boxed{")
    box = text[start:].rstrip(" \n$.")
    is_open = start >= 0 and "\n" not in box and box.count("{") > box.count("}")
    return text[:start] + box + "}" if is_open and last_boxed(text) is None else text


def _before_next_question(text: str) -> str | None:
    """Return the text up to a question that the model asks itself after its answer; None without one.

    Models that were trained on lists of questions go on with the next one.
    """
    for mark in islice(_NEXT_QUESTION.finditer(text), _MOST_QUESTIONS):
        if _marked_answer(text[: mark.start()]):
            return text[: mark.start()]
    return None


def marked_answer(text: str) -> str | None:
    r"""Return what a text marks as its answer: `\boxed{…}`, “Answer: …”, `####` or a tag; None if it marks none.

    What it only says, or concludes, is left to the grader: an essay has no result.
    """
    return extract_answer(text, finished=False) if _MARK.search(text) else None


def last_boxed(text: str) -> str | None:
    r"""Return the content of the last complete, non-empty `\boxed{…}`, its braces balanced; None without one."""
    boxes = _boxes(text)
    return boxes[-1][2] if boxes else None


def extract_choice(text: str) -> str | None:
    """Find the letter that a model chose: boxed, after "answer is", as "option B", or alone on a line."""
    text = text.rsplit(THINKING_END, 1)[-1].translate(_NARROW)
    answer = _marked_answer(text)
    if answer and (letter := choice_letter(answer)):
        return letter
    text = _without_denials(text)
    found = sorted((each for chosen in _CHOSEN for each in chosen.finditer(text)), key=re.Match[str].start)
    options = [letter for option in found if (letter := option["letter"].upper()) in LETTERS[:10]]
    lines = [line for line in text.strip().splitlines() if line.strip(" *-_#")]
    is_sentence = bool(lines) and len(lines[-1].split()) > _MOST_WORDS_OF_OPTION
    if lines and not (is_sentence and options) and (letter := choice_letter(lines[-1].strip(" *"))):
        return letter
    return options[-1] if options and answer is None else None


def expected_answer(value: str, *, worked: bool = False) -> str | None:
    r"""Find the answer in a data set's field: after GSM8K's `####`, in the last boxes, or the field itself.

    In a `worked` solution it may also follow a phrase such as "the answer is"; without any mark a solution gives an
    answer only if it is one short line.
    """
    value = value.strip()
    if hashes := _HASHES.findall(value):
        return str(hashes[-1]).strip() or None
    if (boxed := _joined_boxes(value)) is not None:
        return boxed
    if worked and (marked := _marked_answer(value)):
        return marked
    if worked and (len(value) > _LONGEST_BARE_ANSWER or "\n" in value):
        return None
    return value or None


def _marked_answer(text: str, expected: str | None = None) -> str | None:
    """Find the answer in a box, after `####` or after a phrase."""
    boxed = _joined_boxes(text, expected)
    if boxed is not None:
        if "answer" not in boxed.lower() or len(boxed) > _LONGEST_SENTENCE:
            return boxed
        said = tidy(boxed)  # `\boxed{\text{The answer is } 18}`
        return _after_phrase(said, expected) or _LABELLED.sub("", said, count=1)
    if tagged := _TAGGED.findall(text) or _HASHES.findall(text):
        return answer_at_start(tagged[-1])
    return _after_phrase(_without_denials(text), expected)


def _without_denials(text: str) -> str:
    """Remove the questions that the text asks itself and does not affirm, and what it says the answer is not, or may
    not be; of "not 7 but 8" the answer 8 stays."""
    return _SENTENCE.sub(_affirmed, _DROPPED_QUESTION.sub("", text))


def _affirmed(sentence: re.Match[str]) -> str:
    said = sentence.group()
    if len(said) > _LONGEST_SENTENCE:
        return said
    said = without_claims(_NOT_THE_ANSWER.sub("", CONTRAST.sub("", said)))
    denied = _DENIED.search(said)
    if denied is None:
        return said
    before, after = said[: denied.start()], said[denied.end() :]
    is_value = _VALUE_AT_START.match(denied["denied"])
    if instead := _INSTEAD.match(after):
        answer = after[instead.end() :]
        if is_value or _VALUE_AT_START.match(answer) or "but" in instead.group().lower():
            return f"{before}the answer is {answer}"
    if after.strip(" .!?") and not is_value:
        return said  # "The answer is not an integer: 7/2"
    return before if _PHRASE.search(before) else ""


def _after_phrase(text: str, expected: str | None = None) -> str | None:
    phrases = reversed(list(_PHRASE.finditer(text))[-_MOST_PHRASES:])
    for phrase in sorted(phrases, key=lambda phrase: _RESULT.match(phrase.group()) is not None):
        rest = text[phrase.end() :].strip()
        items = _ITEMS.match(rest)
        goes_on = len(split_sentences(rest)) > 1 or ("\n" in rest and not items)
        if _NO_ANSWER.match(rest) or (goes_on and _RESULT.match(phrase.group())):
            continue
        if items and Wanted.of(expected) is Wanted.LIST:
            return ", ".join(filter(None, map(answer_at_start, _ITEM.split(items.group())[1:])))
        sentence = split_sentences(rest.partition("\n")[0])[0]
        answer = answer_at_start(rest)
        is_below = "\n" in phrase.group() and STATES.search(without_formulas(sentence))
        if read_quantity(expected or "") and (is_below or not has_value(answer or "")):
            answer = stated(sentence, expected) or answer
        if answer:
            return answer
    return None


def _joined_boxes(text: str, expected: str | None = None) -> str | None:
    r"""Join the last box with those right before it: `\boxed{1}` and `\boxed{-2}` are one answer of two values.

    Boxes with names are joined wherever they stand, if the expected answer has these names: `x = 1, y = 2`.
    """
    boxes = _boxes(text)
    if not boxes:
        return None
    named = [box if "=" in box else f"{text[:start].rstrip('$ ')} {box}" for start, _, box in boxes]
    named = [value.group() for box in named if (value := _NAMED_AT_END.search(box))]
    names = set(map(_name_of, named))
    if len(names) == len(boxes) > 1 and names == set(map(_name_of, (expected or "").split(","))):
        return ", ".join(named)
    start, _, answer = boxes[-1]
    answers = [answer]
    for earlier_start, earlier_end, earlier in reversed(boxes[:-1]):
        between = text[earlier_end:start]
        are_named = "=" in earlier and "=" in answers[0] and _name_of(earlier) != _name_of(answers[0])
        is_joined = are_named or re.search(r"\b(?:and|or)\b|,", between)
        if len(between) > 40 or not is_joined or not _BETWEEN_BOXES.fullmatch(between):
            break
        start = earlier_start
        answers.insert(0, earlier)
    return ", ".join(dict.fromkeys(answers))


def _name_of(value: str) -> str:
    """Return the name in `x = 1`."""
    return value.partition("=")[0].strip()


def _boxes(text: str) -> list[tuple[int, int, str]]:
    """Find the start, end and content of each complete, non-empty box; of nested boxes the inner one."""
    boxes: list[tuple[int, int, str]] = []
    # Where each open \boxed{ and its content start; None for another open brace. One pass, however many are open.
    opened: list[tuple[int, int] | None] = []
    last_start = -1
    for mark in _BOXED.finditer(text):
        start, begin, inside = -1, mark.start(), ""
        if mark["box"]:
            opened.append((mark.start(), mark.end()))
        elif mark["bare"]:
            start, inside = mark.end() - 1, mark["bare"]
        elif mark.group() == "{":
            opened.append(None)
        elif mark.group() == "}" and opened:
            begin, start = opened.pop() or (-1, -1)
            inside = text[start : mark.start()] if start > last_start else ""
        if inside.strip() and start > last_start:
            last_start = start
            boxes.append((begin, mark.end(), inside.strip()))
    return boxes


# What is graded in a run


def answer_of_run(trace: Trace, expected: str | None = None, how: Grading = GradingMethod.AUTO) -> str | None:
    """Find what is graded in a run: its answer or, where a pattern is matched, all text after the thinking."""
    answer_start = trace.closed.position if trace.closed else None if trace.thinks else 0
    return answer_of_text(trace.text, answer_start, trace.finish is Finish.END_OF_TEXT, expected, how)


def answer_of_text(
    text: str, answer_start: int | None, ended: bool, expected: str | None = None, how: Grading = GradingMethod.AUTO
) -> str | None:
    """Find what is graded in a text; None if there is nothing. A truncated answer has no conclusion.

    `answer_start`: where the answer begins; None while the thinking is open, which has none, whatever it boxes.
    `ended`: whether the model ended the text.
    """
    if answer_start is None:
        return None
    answer = text[answer_start:]
    if isinstance(how, Regex):
        return answer.strip() or None
    return extract_answer(answer, expected, finished=ended)
