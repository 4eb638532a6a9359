"""The answer in plain sentences: where it ends after "the answer is", and where it stands in a conclusion."""

import re

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
_STATES = re.compile(
    r"\b(?:is|are|was|were|be|makes?|made|earns?|gets?|has|have|had|needs?|takes?|took|costs?|equals?"
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
    if _HEADING.match(line):
        return False
    return len([word for word in words if word not in ("and", "the")]) <= 1 and len(line) <= 200


def _value_in(line: str) -> str | None:
    """The value of a bare line, without a label, a conjunction or the left side of a chain of equations."""
    label = _LABEL.match(line)
    line = label["value"] if label else line
    line = re.sub(r"\s*(?:✅|✓|✔|\\\\)\s*", " ", line).replace("&", "").strip(_WRAPPING)
    line = re.sub(
        r"^(?:[-•]\s+|so,?\s+|thus,?\s+|hence,?\s+|therefore[,:]?\s+|\\therefore\s*)", "", line, flags=re.IGNORECASE
    )
    line = _LEAD.sub("", line)
    return before_clause(line) or _words(line)


def _bold_answer(line: str) -> str | None:
    for bold in reversed(list(_BOLD.finditer(line))):
        inside = bold["inside"].strip()
        if inside and not _HEADING.match(inside) and len(inside.split()) <= _MOST_WORDS_IN_BOLD:
            return before_clause(inside)
    label = _LABEL.match(line)
    return before_clause(label["value"]) if label and "**" in line else None


def _stated(line: str) -> str | None:
    """The value that a sentence states: its last formula, else the number after its last `=` or after its verb."""
    formulas = [match for match in _FORMULA.finditer(line) if _formula_at(line, match.start())]
    if formulas:
        return _inside(formulas[-1].group())
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z(])", line)
    for sentence in reversed(sentences):
        numbers = list(_NUMBER.finditer(sentence))
        if not numbers:
            continue
        equals = sentence.rfind("=")
        start = (
            equals + 1 if equals >= 0 else next((verb.end() for verb in reversed(list(_STATES.finditer(sentence)))), 0)
        )
        after = [number for number in numbers if number.start() >= start] if start else []
        chosen = after[0] if after else numbers[-1]
        unit = _UNIT_AFTER.match(sentence, chosen.end())
        return _trimmed(chosen.group() + (unit.group() if unit and read_unit(f" {unit.group().strip()}") else ""))
    return None


def _words(line: str) -> str | None:
    return _trimmed(line.strip(_WRAPPING).rstrip("."))


def _trimmed(answer: str) -> str | None:
    """Without Markdown around it and emoji after it; None if nothing is left."""
    return _ORNAMENT.sub("", answer.strip(_WRAPPING)).strip(_WRAPPING) or None
