"""Colours code by syntax: Pygments' many kinds of tokens in five.

Code is lexed in chunks, each from a line at the margin after a blank one, so that of code that is being written only
the end is lexed again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pygments.lexer import Lexer

KINDS: Final = {
    "Comment": "comment",
    "Keyword": "keyword",
    "Name.Class": "name",
    "Name.Decorator": "name",
    "Name.Function": "name",
    "Operator.Word": "keyword",
    "Literal.Number": "number",
    "Literal.String": "string",
}
"""What each of Pygments' kinds, with all below it, is shown as; a kind that is not here is plain."""
LONGEST_CHUNK = 100
"""Lines."""
LONGEST_LINE = 500
"""Characters; a longer line, as of minified code, stays plain with its chunk."""
_LANGUAGE = re.compile(r"[\w+#.-]+")


class Coloured(NamedTuple):
    """A part of a line."""

    text: str
    kind: str
    """One of `KINDS`; "" for plain."""


def language_of(info: str) -> str:
    """Return the language that a fence names; "" if it names none."""
    found = _LANGUAGE.match(info.strip())
    return found[0] if found else ""


def chunks(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Iterate over the lines that are lexed together: the first, and the one after the last."""
    start = 0
    for number in range(1, len(lines)):
        line = lines[number]
        begins = line[:1].strip() and not lines[number - 1].strip()
        if begins or number - start >= LONGEST_CHUNK:
            yield start, number
            start = number
    yield start, len(lines)


@lru_cache(maxsize=512)
def coloured(language: str, code: str) -> tuple[tuple[Coloured, ...], ...]:
    """Return the parts of each line of a chunk."""
    lines = code.split("\n")
    lexer = _lexer(language)
    if lexer is None or max(map(len, lines)) > LONGEST_LINE:
        return tuple((Coloured(line, ""),) if line else () for line in lines)
    parts: list[list[Coloured]] = [[]]
    for _, token, value in lexer.get_tokens_unprocessed(code):
        kind = _kind(token)
        for number, text in enumerate(value.split("\n")):
            if number:
                parts.append([])
            last = parts[-1][-1] if parts[-1] else None
            if last and last.kind == kind:
                parts[-1][-1] = Coloured(last.text + text, kind)
            elif text:
                parts[-1].append(Coloured(text, kind))
    return tuple(map(tuple, parts))


@cache
def _kind(token: object) -> str:
    name = str(token).removeprefix("Token.")
    return next((kind for prefix, kind in KINDS.items() if name == prefix or name.startswith(f"{prefix}.")), "")


@cache
def _lexer(language: str) -> Lexer | None:
    if not language:
        return None
    from pygments.lexers import get_lexer_by_name  # at the first code, not at the start of a program
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language)
    except ClassNotFound:
        return None
