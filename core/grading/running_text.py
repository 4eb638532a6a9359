"""Finds where an answer ends in running text: `$18, because 9 eggs at $2 make $18.` holds three prices, no formula."""

from __future__ import annotations

import re

from baton_reasoning.core.grading.numbers import read_quantity, read_unit

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
_SENTENCE_END = re.compile(r"[。！？]|(?<![.\\])[.!?](?=[\s*\"”)]|$)(?!\s*=)|\n|$")  # `5! = 120` goes on
# What begins a clause that explains the answer, or a verb after it.
_CLAUSE = re.compile(
    r",?\s+(?:because|since|as\s+(?=[a-z])|so|which|where|when|given|is|are|was|were|will|would|after|while|if|but"
    r"|thus|therefore|hence|i\.e|that|for\s+(?:a|the|all|each|every)|has|have|who)\b"
    r"|[，；]|,\s+(?:also|donc|quindi|portanto|their|its|denn|weil|da|car|parce|porque|perché|with|as"
    r"|and\s+(?:the|this|we|it|none|each|all)|not|for|in|(?:or\s+)?(?:about|approximately|roughly))\b"
    r"|\s+[–—-]\s+(?=[A-Za-z]{3})|\s*;|(?<!\\left)\s*\((?=[^)]*\s)[^)]{12,}\)"
    r"|(?<=[\d%*])\s+\((?!mod)(?=[\d./ ]+\)|[^)]*(?<![\\a-zA-Z])(?:[a-z]{3,}|of\b))[^)]*\)|\s+(?:✅|✓|✔)"
)
_SUBJECT_ALONE = re.compile(r"(?:the|this|that|there|it|they)\b[^\d$\\,;:=()]*", re.IGNORECASE)
_VERB_NEXT = re.compile(r"\s+(?:is|are|was|were|has|have|will|would)\b")
_LEAD = re.compile(
    r"^(?:(?:equal\s+to|only|exactly|just|I['’]d\s+(?:say|guess)|about|approximately|around|roughly|simply|therefore|thus|that|now|then|indeed"
    r"|at|de|von|di)\s*[:,]?\s+|(?:≈|=>|⇒|∴|=|->|→|\\approx|\\therefore|\\Rightarrow)\s*)+",
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
            unit = unit_at(text, at)
            # A single formula loses its dollar signs; several stay a list.
            return (answer + unit).strip(WRAPPING) or None if unit else inside(answer)
        answer += more.group()
        at = more.end()
    rest = text[at:]
    end = _SENTENCE_END.search(rest)
    rest = rest[: end.start() if end else None]
    clauses = (clause.start() for clause in outside_formulas(_CLAUSE, rest) if clause.start())
    return trimmed(answer + rest[: next((at for at in clauses if not _is_subject(rest, at)), None)])


def _is_subject(text: str, end: int) -> bool:
    """Tell whether the text up to `end` is the subject of a sentence that is the answer: `The curve is a circle`."""
    return _SUBJECT_ALONE.fullmatch(text, 0, end) is not None and _VERB_NEXT.match(text, end) is not None


def quantity_at(sentence: str, start: int, end: int) -> str | None:
    """Return the number between `start` and `end`, with its unit and scale: `2 hours and 30 minutes`."""
    value = answer_at_start(sentence[start:])
    if value is not None and read_quantity(value) is not None:
        return value
    unit = unit_at(sentence, end)
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


def unit_at(text: str, at: int) -> str:
    """Return the words after a formula or number that may be its unit; empty if the sentence continues instead."""
    unit = _UNIT_AFTER.match(text, at)
    if unit is None or unit.group().strip()[:1].isupper() or _CLAUSE.match(unit.group()):
        return ""
    return unit.group()


def outside_formulas(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Find the matches that begin outside of formulas."""
    spans = [formula.span() for formula in formulas_in(text)]
    return [match for match in pattern.finditer(text) if not any(start < match.start() < end for start, end in spans)]
