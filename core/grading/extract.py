r"""Extracts the answer from what a model wrote, and from a data set's worked solution.

Models are asked for `\boxed{…}`. Those that forget it say "the answer is …", write the answer in bold or alone on the
last line, or end with a sentence that holds it. `extract_answer` finds what a reader would find.
"""

from __future__ import annotations

import re

from baton_reasoning.core.grading.compare import LETTERS, choice_letter
from baton_reasoning.core.grading.normal import number_words_at, tidy
from baton_reasoning.core.grading.numbers import read_quantity, read_unit
from baton_reasoning.core.grading.verdict import How, Regex
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
_HASHES = re.compile(r"(?<!#)####(?!#)[ \t]*(?P<answer>[^#\n]+)")
_TAGGED = re.compile(r"<answer>((?:[^<]|<(?!/?answer>))*)</answer>", re.IGNORECASE)
_SUBJECT = (
    r"(?:final\s+answers?|(?:correct|right|best|final)\s+(?:answer|option|choice|one)|answers?"
    r"|(?:the|our|my|this|final)\s+(?:final\s+)?(?:solutions?|results?|totals?)|\bans)"
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
    r"|答案[是为為:：]+[\s:*_]*(?=\S)"
    r"|^[^\w\n]*(?:final\s+)?answer[^\w\n]*\n\s*(?:[-=]{3,}\s*)?(?=\S)",
    re.IGNORECASE | re.MULTILINE,
)
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
    r"(?:not|in\b|found|obtained|determined|reasonable|plausible|correct|wrong|right\b|consistent|confirmed|clear|obvious|valid"
    r"|indeed|already|still|supposed|expected|unique|known|unknown|given|shown|written|expressed|based|that|what|to\b"
    r"|the\s+(?:same|number|sum|value|one)\b(?!.*\d))",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"\b(?:(?i:option|choice|choose|select|pick|go\s+with)\s*:?|(?i:final)[*_\s]*:)[\s*_(\[]*(?P<letter>[A-Z])(?![a-zA-Z'’])"
    r"(?![)*\]]*\s+(?:is|are|was)\s+(?:wrong|incorrect|false|not|out)\b)"
)
_IS_CORRECT = re.compile(r"(?<![a-zA-Z])(?P<letter>[A-Z])[)*\]]*\s+is\s+(?:the\s+)?(?:correct|right|best|true)\b")
_MOST_PHRASES = 20
# A question that the text goes on from without a yes: "So the answer is 540? No."
_DROPPED_QUESTION = re.compile(
    r"(?:^|(?<=[.!?]\s))(?:[^.!?\n]|[.!](?!\s))*\?[*_)\"”]*(?=\s+\S)"
    r"(?!\W+(?:yes|yeah|yep|right|correct|indeed|exactly)\b)",
    re.IGNORECASE | re.MULTILINE,
)


def extract_answer(text: str, expected: str | None = None, *, finished: bool = True) -> str | None:
    r"""Find the answer in a model's text; None if there is none.

    It is the last `\boxed{…}` after the thinking, else the rest of "the answer is …", else what the conclusion says.
    Where `expected` is a letter, a chosen letter is looked for first. A truncated text (not `finished`) has no
    conclusion.
    """
    if expected and choice_letter(expected) == expected and (letter := extract_choice(text)):
        return letter
    finished = finished and not (THINKING_START in text and THINKING_END not in text)
    text = text.rsplit(THINKING_END, 1)[-1]
    return _marked_answer(text) or (answer_in_conclusion(_without_denials(text)) if finished else None)


def last_boxed(text: str) -> str | None:
    r"""Return the content of the last complete, non-empty `\boxed{…}`, its braces balanced; None without one."""
    boxes = _boxes(text)
    return boxes[-1][2] if boxes else None


def extract_choice(text: str) -> str | None:
    """Find the letter that a model chose: boxed, after "answer is", as "option B", or alone on a line."""
    text = text.rsplit(THINKING_END, 1)[-1]
    answer = _marked_answer(text)
    if answer and (letter := choice_letter(answer)):
        return letter
    text = _without_denials(text)
    lines = [line for line in text.strip().splitlines() if line.strip(" *-_#")]
    if lines and (letter := choice_letter(lines[-1].strip(" *"))):
        return letter
    found = sorted([*_OPTION.finditer(text), *_IS_CORRECT.finditer(text)], key=re.Match[str].start)
    options = [option["letter"] for option in found if option["letter"] in LETTERS[:10]]
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


def _marked_answer(text: str) -> str | None:
    """Find the answer in a box, after `####` or after a phrase."""
    boxed = _joined_boxes(text)
    if boxed is not None:
        # `\boxed{\text{The answer is } 18}`
        sentence = "answer" in boxed and len(boxed) <= _LONGEST_SENTENCE
        return (_after_phrase(tidy(boxed)) if sentence else None) or boxed
    if tagged := _TAGGED.findall(text) or _HASHES.findall(text):
        return answer_at_start(tagged[-1])
    return _after_phrase(_without_denials(text))


def _without_denials(text: str) -> str:
    """Remove the questions that the text asks itself and does not affirm, and what it says the answer is not, or may
    not be; of "not 7 but 8" the answer 8 stays."""
    return _SENTENCE.sub(_affirmed, _DROPPED_QUESTION.sub("", text))


def _affirmed(sentence: re.Match[str]) -> str:
    said = sentence.group()
    if len(said) > _LONGEST_SENTENCE:
        return said
    said = _NOT_THE_ANSWER.sub("", said)
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


def _after_phrase(text: str) -> str | None:
    for phrase in reversed(list(_PHRASE.finditer(text))[-_MOST_PHRASES:]):
        rest = text[phrase.end() :]
        if _NO_ANSWER.match(rest) is None and (answer := answer_at_start(rest)) is not None:
            return answer
    return None


def _joined_boxes(text: str) -> str | None:
    r"""Join the last box with those right before it: `\boxed{1}` and `\boxed{-2}` are one answer of two values."""
    boxes = _boxes(text)
    if not boxes:
        return None
    start, _, answer = boxes[-1]
    answers = [answer]
    for earlier_start, earlier_end, earlier in reversed(boxes[:-1]):
        between = text[earlier_end:start]
        if len(between) > 40 or not re.search(r"\b(?:and|or)\b|,", between) or not _BETWEEN_BOXES.fullmatch(between):
            break
        start = earlier_start
        answers.insert(0, earlier)
    return ", ".join(dict.fromkeys(answers))


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


def given_in(trace: Trace, expected: str | None = None, how: How | Regex = How.AUTO) -> str | None:
    """Find what is graded in a run: its answer or, where a pattern is matched, all text after the thinking."""
    answer_start = trace.closed.position if trace.closed else None if trace.thinks else 0
    return given_in_text(trace.text, answer_start, trace.finish is Finish.END_OF_TEXT, expected, how)


def given_in_text(
    text: str, answer_start: int | None, ended: bool, expected: str | None = None, how: How | Regex = How.AUTO
) -> str | None:
    """Find what is graded in a text; None if there is nothing. Unfinished thinking and a truncated answer have no
    conclusion.

    `answer_start`: where the answer begins, None while the thinking is open. `ended`: whether the model ended the text.
    """
    answer = text[answer_start or 0 :]
    if isinstance(how, Regex):
        return None if answer_start is None else answer.strip() or None
    return extract_answer(answer, expected, finished=ended and answer_start is not None)


# The conclusion of a text that marks no answer: a bold or bare line, or what its last sentence says

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
    for verb in reversed(_outside_formulas(_STATES, sentence)):
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


# Where an answer ends in running text: `$18, because 9 eggs at $2 make $18.` holds three prices and no formula

WRAPPING = ' \t\n*_`:,;"“”'
"""Characters around an answer that are not part of it."""
_LONGEST = 2_000
_FORMULA = re.compile(
    r"\$\$(?P<display>.+?)\$\$|\\\[(?P<square>.+?)\\\]|\\\((?P<round>.+?)\\\)"
    r"|(?<!\\)\$(?![\s$])(?P<dollar>(?:\\.|[^$\n\\])*?)(?<![\s\\])\$(?!\d)",
    re.DOTALL,
)
_PLAIN_WORD = re.compile(r"(?<![\\a-zA-Z{])[a-z]{3,}(?![a-zA-Z])")
_ALIGNED = re.compile(r"\\begin\{(?:align|aligned|gather|gathered|split)\*?\}(.*)\\end", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<!\.)[.!?](?=[\s*\"”)]|$)(?!\s*=)|\n|$")  # `5! = 120` goes on
# What begins a clause that explains the answer, or a verb after it.
_CLAUSE = re.compile(
    r",?\s+(?:because|since|as\s+(?=[a-z])|so|which|where|when|given|is|are|was|were|will|would|after|while|if|but"
    r"|thus|therefore|hence|i\.e\.|that|for\s+(?:a|the|all|each|every)|has|have|who)\b"
    r"|,\s+(?:with|as|and\s+(?:the|this|we|it)|not|for|in|or\s+about)\b"
    r"|\s+[–—-]\s+(?=[A-Za-z]{3})|\s*;|(?<!\\left)\s*\((?=[^)]*\s)[^)]{12,}\)|\s+(?:✅|✓|✔)"
)
_SUBJECT_ALONE = re.compile(r"(?:the|this|that|there|it|they)\b[^\d$\\,;:=()]*", re.IGNORECASE)
_VERB_NEXT = re.compile(r"\s+(?:is|are|was|were|has|have|will|would)\b")
_LEAD = re.compile(
    r"^(?:(?:equal\s+to|only|exactly|just|about|approximately|around|roughly|simply|therefore|thus|that|now|then|indeed"
    r"|at)\s*[:,]?\s+|(?:≈|=>|⇒|∴|=|->|→|\\approx|\\therefore|\\Rightarrow)\s*)+",
    re.IGNORECASE,
)
# What may follow a formula as part of the answer: more values, or a unit.
_MORE = re.compile(r"\s*(?:,\s*(?:and|or)?|\band\b|\bor\b)\s*(?=[$\\\d-])")
_UNIT_AFTER = re.compile(
    r"[ \t]*(?:\\?%|°|[a-zA-Z]+\.?(?:\s*\^\s*\{?\d\}?|[²³])?(?:\s*(?:/\s*)?[a-zA-Z]+[²³]?){0,3})\s*"
    r"(?=[.,;:!?)]|\s(?:because|since|which|is|are|was)\b|$)"
)
_ORNAMENT = re.compile(r"[^\w)\]}>%°$€£¢¹²³…'’.!?+|∞∅−/\\-]{1,20}$")


def answer_at_start(text: str) -> str | None:
    """Extract the answer that `text` begins with, without the rest of its sentence; None if nothing is left.

    A formula may run over several lines; plain words end with their sentence, or where a clause explains them.
    """
    text = _without_lead(text.lstrip(WRAPPING)[:_LONGEST])
    answer, at = "", 0
    while (formula := formula_at(text, at)) is not None:
        answer += formula.group()
        at = formula.end()
        more = _MORE.match(text, at)
        if more is None or not formula_at(text, more.end()):
            unit = _unit_at(text, at)
            # A single formula loses its dollar signs; several stay a list.
            return (answer + unit).strip(WRAPPING) or None if unit else inside(answer)
        answer += more.group()
        at = more.end()
    rest = text[at:]
    end = _SENTENCE_END.search(rest)
    rest = rest[: end.start() if end else None]
    clauses = (clause.start() for clause in _outside_formulas(_CLAUSE, rest) if clause.start())
    return trimmed(answer + rest[: next((at for at in clauses if not _is_subject(rest, at)), None)])


def _is_subject(text: str, end: int) -> bool:
    """Tell whether the text up to `end` is the subject of a sentence that is the answer: `The curve is a circle`."""
    return _SUBJECT_ALONE.fullmatch(text, 0, end) is not None and _VERB_NEXT.match(text, end) is not None


def quantity_at(sentence: str, start: int, end: int) -> str | None:
    """Return the number between `start` and `end`, with its unit and scale: `2 hours and 30 minutes`."""
    value = answer_at_start(sentence[start:])
    if value is not None and read_quantity(value) is not None:
        return value
    unit = _unit_at(sentence, end)
    return trimmed(sentence[start:end] + (unit if unit and read_unit(f" {unit.strip()}") else ""))


def formula_at(text: str, at: int) -> re.Match[str] | None:
    """Match the formula that begins there, or None."""
    formula = _FORMULA.match(text, at)
    return formula if formula is not None and _is_formula(formula) else None


def formulas_in(text: str) -> list[re.Match[str]]:
    return [formula for formula in _FORMULA.finditer(text) if _is_formula(formula)]


def without_formulas(text: str) -> str:
    return _FORMULA.sub(" ", text)


def plain_words(text: str) -> list[str]:
    """List the lower-case words outside of formulas."""
    return _PLAIN_WORD.findall(without_formulas(text))


def inside(formulas: str) -> str | None:
    """Return the content of a single formula (of an alignment its last line); several formulas stay as they are."""
    single = _FORMULA.fullmatch(formulas.strip())
    if single is None:
        return formulas.strip(WRAPPING) or None
    content = next(filter(None, single.groups()), "").strip().rstrip(".,;").strip()
    aligned = _ALIGNED.search(content)
    return (aligned[1].split("\\\\")[-1].replace("&", "").strip() if aligned else content) or None


def trimmed(answer: str) -> str | None:
    """Remove Markdown around an answer and emoji after it; None if nothing is left."""
    return _ORNAMENT.sub("", _without_lead(answer.strip(WRAPPING))).strip(WRAPPING) or None


def _is_formula(formula: re.Match[str]) -> bool:
    """Tell a formula from text between two prices, which begins with a digit and has words in it."""
    content = formula["dollar"]
    if content is None:
        return True
    return bool(content) and not (content[0].isdigit() and len(_PLAIN_WORD.findall(content)) > 1)


def _without_lead(text: str) -> str:
    lead = _LEAD.match(text)
    return text[lead.end() :] if lead else text


def _unit_at(text: str, at: int) -> str:
    """Return the words after a formula or number that may be its unit; empty if the sentence continues instead."""
    unit = _UNIT_AFTER.match(text, at)
    if unit is None or unit.group().strip()[:1].isupper() or _CLAUSE.match(unit.group()):
        return ""
    return unit.group()


def _outside_formulas(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Find the matches that begin outside of formulas."""
    spans = [formula.span() for formula in formulas_in(text)]
    return [match for match in pattern.finditer(text) if not any(start < match.start() < end for start, end in spans)]
