"""The answer in plain sentences: where it ends after "the answer is", and where it stands in a conclusion."""

import re

from core.grading.quantities import read_quantity
from core.grading.units import read_unit

_LAST_LINES = 4
"""Lines at the end in which a bold or bare answer counts as the conclusion."""
_LONGEST_LINE = 2_000
_MOST_WORDS_IN_BOLD = 8

_WRAPPING = ' \t\n*_`:,;"“”'
_FORMULA = re.compile(
    r"\$\$(?P<display>.+?)\$\$|\\\[(?P<square>.+?)\\\]|\\\((?P<round>.+?)\\\)"
    r"|(?<!\\)\$(?![\s$])(?P<dollar>(?:\\.|[^$\n\\])*?)(?<![\s\\])\$(?!\d)",
    re.DOTALL,
)
_PLAIN_WORD = re.compile(r"(?<![\\a-zA-Z{])[a-z]{3,}(?![a-zA-Z])")
_SENTENCE_END = re.compile(r"(?<!\.)[.!?](?=[\s*\"”)]|$)|\n|$")
# A clause that explains the answer, or a verb after it.
_CLAUSE = re.compile(
    r",?\s+(?:because|since|as\s+(?=[a-z])|so\b|which|where|when|given|is|are|was|were|will|would|after|while|if|but|thus"
    r"|therefore|hence|i\.e\.|that|for\s+(?:a|the|all|each|every)\b|has|have|who)\b|\s+[–—-]\s+(?=[A-Za-z]{3})|\s*;|,\s+(?:with|as|and\s+(?:the|this|we|it)|not|for|in|or\s+about|for)\b|\s*\((?=[^)]*\s)[^)]{12,}\)"
    r"|\s+(?:✅|✓|✔)",
)
_LEAD = re.compile(
    r"^(?:(?:only|exactly|just|about|approximately|around|roughly|simply|therefore|thus|that|now|then|indeed|at)\s*[:,]?\s+"
    r"|(?:≈|=>|⇒|∴|=|->|→|\\approx|\\therefore|\\Rightarrow)\s*)+",
    re.IGNORECASE,
)
# What may follow a formula as part of the answer: more values, a unit, a scale.
_MORE = re.compile(r"\s*(?:,\s*(?:and|or)?|\band\b|\bor\b)\s*(?=[$\\\d-])")
_UNIT_AFTER = re.compile(
    r"\s*(?:\\?%|°|[a-zA-Z]+\.?(?:\s*\^\s*\{?\d\}?|[²³])?(?:\s*(?:/\s*)?[a-zA-Z]+[²³]?){0,3})\s*(?=[.,;:!?)]|\s(?:because|since|which|is|are|was)\b|$)"
)
_BOLD = re.compile(r"(?:\*\*|__)(?P<inside>[^*\n]{1,200}?)(?:\*\*|__)")
_LABEL = re.compile(r"^[-*#>\s]*(?:\*\*)?(?P<label>[A-Za-z][^:\n$=\\\d]{0,40}):(?:\*\*)?\s+(?P<value>\S.*)$")
_HEADING = re.compile(r"^(?:#+\s|(?:step|case|part|note|method|option)\b|.*:$)", re.IGNORECASE)
_RULE = re.compile(r"^[\s\-*_=#>|`$]*$|^\\(?:end|begin)\{[a-z*]+\}$|^\\[\])]$|^\\[\[(]$")
_PLEASANTRY = re.compile(
    r"let me know|hope (?:this|it|that)|feel free|if you (?:have|would|need|want)|would you like|happy to"
    r"|good luck|qed\b|□|■",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\b(?:cannot|can't|can not|could not|couldn't|unable|do not|don't|insufficient|unknown"
    r"|not (?:sure|enough|possible|known))\b|n.t known\b",
    re.IGNORECASE,
)
_ORNAMENT = re.compile(r"[^\w)\]}>%°$€£¢¹²³…'’.!?+|∞∅−/\\-]{1,20}$")
_AMOUNT = r"[-+−]?(?:\\?[$€£]\s?)?-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?:\s?/\s?\d+)?\s?(?:\\?%|°)?"
_NUMBER = re.compile(rf"(?<![\w.^_{{]){_AMOUNT}(?![\w^]|\.\d)")
_LIST_NUMBER = re.compile(r"^\s*(?:\d{1,2}[.)]|[-•*])\s+(?=[A-Z])")
_ASIDE = re.compile(r",?\s+(?:which|since|because|where)\b")
_VALUE = re.compile(r"[\d$]")
# Values in a row, as in "2, 3, and 5".
_LIST = re.compile(r"[-−]?\d[\d./]*(?:(?:,\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+)[-−]?\d[\d./]*)+$")
_STATES = re.compile(
    r"\b(?:(?:is|are|was|were)(?: at)?|be|makes?|made|earns?|gets?|has|have|had|needs?|takes?|took|costs?|equals?"
    r"|left with|total(?:s|ing)?(?: of)?|gives?|leaves?|yields?|obtain|find|found|pays?|spends?|saves?"
    r"|sells?|becomes?|weighs?|reach(?:es)?)\b",
    re.IGNORECASE,
)


def before_clause(text: str) -> str | None:
    """The answer with which `text` begins, without the sentence around it; None if nothing is left.

    A formula may go on over several lines; plain words end with their sentence, or where a clause explains them.
    """
    text = text.lstrip(_WRAPPING)[:_LONGEST_LINE]
    lead = _LEAD.match(text)
    text = text[lead.end() :] if lead else text
    answer, at = "", 0
    while (formula := _formula_at(text, at)) is not None:
        answer += formula.group()
        at = formula.end()
        more = _MORE.match(text, at)
        if more is None or not _formula_at(text, more.end()):
            unit = _UNIT_AFTER.match(text, at)
            answer += unit.group() if unit and not _CLAUSE.match(unit.group()) else ""
            # One formula is the answer as it stands in it; several stay a list.
            return _inside(answer) if unit is None else answer.strip(_WRAPPING) or None
        answer += more.group()
        at = more.end()
    rest = text[at:]
    end = _SENTENCE_END.search(rest)
    rest = rest[: end.start() if end else None]
    clause = _clause_outside_formulas(rest)
    return _trimmed(answer + (rest[:clause] if clause else rest))


def answer_in_conclusion(text: str) -> str | None:
    """What a reader takes for the answer of a text without a mark: the last bold or bare line, else what the last
    sentence states, else the last line itself. None if it refuses, or if there is nothing.
    """
    lines = [line.strip()[:_LONGEST_LINE] for line in text.splitlines()]
    lines = [line for line in lines if not _RULE.match(line)]
    while len(lines) > 1 and (_PLEASANTRY.search(lines[-1]) or (lines[-1].endswith("?") and len(lines[-1]) > 20)):
        lines.pop()
    if not lines:
        return None
    last = lines[-1]
    if _is_bare(last):
        return _value_in(last)
    for line in reversed(lines[-_LAST_LINES:]):
        answer = _bold_answer(line)
        if answer is not None:
            return answer
    if _REFUSAL.search(last):
        return None
    return _stated(last) or next(filter(None, map(_stated, reversed(lines[-_LAST_LINES:-1]))), None) or _words(last)


def _formula_at(text: str, at: int) -> re.Match[str] | None:
    """The formula that begins there; `$18, because 9 eggs at $2` is none."""
    formula = _FORMULA.match(text, at)
    if formula is None:
        return None
    inside = formula["dollar"]
    if inside is not None and (not inside or (inside[0].isdigit() and len(_PLAIN_WORD.findall(inside)) > 1)):
        return None
    return formula


def _inside(formulas: str) -> str | None:
    """The content of a single formula, or several as they are."""
    single = _FORMULA.fullmatch(formulas.strip())
    if single is None:
        return formulas.strip(_WRAPPING) or None
    inside = next(filter(None, single.groups()), "").strip().rstrip(".,;").strip()
    return _last_of_alignment(inside) or None


def _last_of_alignment(formula: str) -> str:
    """The last line of `\\begin{aligned} … \\\\ … \\end{aligned}`."""
    aligned = re.search(r"\\begin\{(?:align|aligned|gather|gathered|split)\*?\}(.*)\\end", formula, re.DOTALL)
    return aligned[1].split("\\\\")[-1].replace("&", "").strip() if aligned else formula


def _clause_outside_formulas(text: str) -> int:
    """Where the first clause begins that stands outside of formulas; 0 without one."""
    spans = [match.span() for match in _FORMULA.finditer(text) if _formula_at(text, match.start())]
    for clause in _CLAUSE.finditer(text):
        if clause.start() and not any(start < clause.start() < end for start, end in spans):
            return clause.start()
    return 0


def _is_bare(line: str) -> bool:
    """A line that is nothing but an answer: `18`, `**18**`, `$x = 5$`, `Yes.`, `x = 2 or x = 3`."""
    line = line.strip(_WRAPPING).rstrip(".")
    words = _PLAIN_WORD.findall(_FORMULA.sub(" ", line))
    if _HEADING.match(line) or _STATES.search(_FORMULA.sub(" ", line)):
        return False
    return len([word for word in words if word not in ("and", "the")]) <= 1 and len(line) <= 200


def _value_in(line: str) -> str | None:
    """The value of a bare line, without a label, a conjunction or the left side of a chain of equations."""
    label = _LABEL.match(line)
    line = label["value"] if label else line
    if r"\begin" not in line:
        line = re.sub(r"\s*(?:✅|✓|✔|\\\\)\s*", " ", line).replace("&", "")
    line = line.strip(_WRAPPING)
    line = re.sub(
        r"^(?:[-•]\s+|so,?\s+|thus,?\s+|hence,?\s+|therefore[,:]?\s+|\\therefore\s*)", "", line, flags=re.IGNORECASE
    )
    line = _LEAD.sub("", line)
    return before_clause(line) or _words(line)


def _bold_answer(line: str) -> str | None:
    for bold in reversed(list(_BOLD.finditer(line))):
        inside = bold["inside"].strip()
        if inside and not _HEADING.match(inside) and len(inside.split()) <= _MOST_WORDS_IN_BOLD:
            return _value_of(inside)
    label = _LABEL.match(line)
    return _value_of(label["value"]) if label and "**" in line else None


def _value_of(text: str) -> str | None:
    """What a bold text or the text after a label says: a sentence states it, anything else is it."""
    return (_stated(text) if _STATES.search(_FORMULA.sub(" ", text)) else None) or before_clause(text)


def _stated(line: str) -> str | None:
    """The value that a sentence states: what stands after its verb or its last `=`, else its last formula or number."""
    line = _LIST_NUMBER.sub("", line)
    for sentence in reversed(re.split(r"(?<=[.!?])\s+(?=[A-Z(])", line)):
        aside = _ASIDE.search(sentence)
        if aside and _VALUE.search(sentence[: aside.start()]):
            sentence = sentence[: aside.start()]
        stated = _after_verb(sentence)
        if stated is not None:
            return stated
        formulas = [match for match in _FORMULA.finditer(sentence) if _formula_at(sentence, match.start())]
        if formulas:
            return _inside(formulas[-1].group())
        numbers = list(_NUMBER.finditer(sentence))
        if numbers:
            equals = sentence.rfind("=")
            after = [number for number in numbers if equals >= 0 and number.start() > equals]
            return _quantity_at(sentence, (after or numbers[-1:])[0])
    return None


def _after_verb(sentence: str) -> str | None:
    """What stands after the last verb that has a value after it: `5/12` in "the probability is 5/12"."""
    formulas = [match.span() for match in _FORMULA.finditer(sentence) if _formula_at(sentence, match.start())]
    for verb in reversed(list(_STATES.finditer(sentence))):
        if any(start < verb.start() < end for start, end in formulas):
            continue
        rest = sentence[verb.end() :]
        equals = rest.rfind("=")
        if equals >= 0 and not _FORMULA.search(rest):
            rest = rest[equals + 1 :]
        value = before_clause(rest)
        if value is None:
            continue
        if _FORMULA.match(value) or _LIST.match(value) or read_quantity(value) is not None or _is_formula(value):
            return value
        number, formula = _NUMBER.search(rest), _FORMULA.search(rest)
        if formula is not None and _formula_at(rest, formula.start()):
            return before_clause(rest[formula.start() :])
        if number is not None:
            return _quantity_at(rest, number)
    return None


def _quantity_at(sentence: str, number: re.Match[str]) -> str | None:
    """The number with its unit and scale, where what follows is one: `2 hours and 30 minutes`."""
    value = before_clause(sentence[number.start() :])
    if value is not None and read_quantity(value) is not None:
        return value
    unit = _UNIT_AFTER.match(sentence, number.end())
    return _trimmed(number.group() + (unit.group() if unit and read_unit(f" {unit.group().strip()}") else ""))


def _is_formula(text: str) -> bool:
    """Whether it is a formula without dollar signs: `n(n+1)/2`, `2√6`, `(4, -1)`."""
    return not _PLAIN_WORD.search(text) and re.search(r"[\d=^\\√(]", text) is not None


def _words(line: str) -> str | None:
    return _trimmed(line.strip(_WRAPPING).rstrip("."))


def _trimmed(answer: str) -> str | None:
    """Without Markdown around it and emoji after it; None if nothing is left."""
    return _ORNAMENT.sub("", answer.strip(_WRAPPING)).strip(_WRAPPING) or None
