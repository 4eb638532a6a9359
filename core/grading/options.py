r"""Options of multiple choice as answers: `(C)`, `\textbf{(C) } 27`, `C. 1-i`, and several letters at once."""

import re
from typing import NamedTuple

from core.grading.normal_form import tidy

_OPTION = re.compile(r"(?:\((?P<round>[A-J])\)|(?P<plain>[A-J])(?:[.):](?=\s|$)|$))\s*(?P<content>.*)")
_LETTERS = re.compile(r"\(?[A-J]\)?(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*)\(?[A-J]\)?)+|[A-J]{2,}")


class Option(NamedTuple):
    """An option as its letter and, where it is written out, its content."""

    letter: str
    content: str


def read_option(answer: str) -> Option | None:
    """The option that the whole answer is; None if it is anything else. `Option` and `Choice` may stand before it."""
    option = _OPTION.fullmatch(re.sub(r"^(?:option|choice)\s+", "", tidy(answer), flags=re.IGNORECASE))
    return Option(option["round"] or option["plain"], option["content"].strip()) if option else None


def letters_of(answer: str) -> frozenset[str] | None:
    """The letters of an answer such as `A, C`, `(A) and (C)` or `AC`; None if it is anything else."""
    answer = tidy(answer)
    if not _LETTERS.fullmatch(answer):
        return None
    letters = re.findall("[A-J]", answer)
    # "BAD" may be a word or a product; letters of options stand in order.
    in_order = not answer.isalpha() or letters == sorted(letters)
    return frozenset(letters) if in_order and len(set(letters)) == len(letters) else None
