r"""Reads answers to multiple-choice problems: `(C)`, `\textbf{(C) } 27`, `C. 1-i`, and several letters at once."""

import re
from typing import NamedTuple

from baton_reasoning.core.grading.normal_form import tidy

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""The labels of the options of a multiple-choice problem, in order."""
_LETTER = re.compile(r"[\s(\[*$]*(?P<letter>[A-Z])(?=$|[\s)\].:,*$])")
_LETTER_IN_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}")
_OPTION = re.compile(r"(?:\((?P<round>[A-J])\)|(?P<plain>[A-J])(?:[.):](?=\s|$)|$))\s*(?P<content>.*)")
_SEVERAL_LETTERS = re.compile(r"\(?[A-J]\)?(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)\(?[A-J]\)?)+|[A-J]{2,}")


class Option(NamedTuple):
    """An option as its letter and, where it is written out, its content."""

    letter: str
    content: str


def choice_letter(answer: str, letters: str = LETTERS[:10]) -> str | None:
    r"""Read the letter of an answer such as `B`, `(B)`, `B) 12`, `\text{B}` or `Option B`; None if it is not one."""
    answer = _LETTER_IN_TEXT.sub(r"\1", answer).strip()
    answer = re.sub(r"^(?:option|choice)\s+", "", answer, flags=re.IGNORECASE)
    if len(answer) == 1:
        answer = answer.upper()
    match = _LETTER.match(answer)
    # "A triangle" starts with an article, not with a choice.
    if match is None or (answer[match.end() : match.end() + 1] == " " and not answer[match.end() :].isspace()):
        return None
    return match["letter"] if match["letter"] in letters else None


def read_option(answer: str) -> Option | None:
    """Read an answer that is an option as a whole, perhaps after "Option" or "Choice"; None if it is anything else."""
    option = _OPTION.fullmatch(re.sub(r"^(?:option|choice)\s+", "", tidy(answer), flags=re.IGNORECASE))
    return Option(option["round"] or option["plain"], option["content"].strip()) if option else None


def letters_of(answer: str) -> frozenset[str] | None:
    """Read the letters of an answer such as `A, C`, `(A) and (C)` or `AC`; None if it is anything else."""
    answer = tidy(answer)
    if not _SEVERAL_LETTERS.fullmatch(answer):
        return None
    letters = re.findall("[A-J]", answer)
    # "BAD" may be a word or a product; letters of options stand in order.
    in_order = not answer.isalpha() or letters == sorted(letters)
    return frozenset(letters) if in_order and len(set(letters)) == len(letters) else None
