"""Colours code by syntax: Pygments' many kinds of tokens in five.

Code is lexed in chunks, each from a line at the margin after a blank one, and a chunk line by line where Pygments is in
its first state: so of code that is being written only the end is lexed again. What a line becomes depends on the code
alone, not on how it came.
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
OPEN_LINES = 8
WHOLE: Final = ("string", "comment")
"""What may go on in the next line."""
OPENINGS: Final = "/*", "<!--"
"""What lexers without a state for it take for operators until it is closed."""
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


def chunks(language: str, lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Iterate over the lines that are lexed together: the first, and the one after the last. No string is cut, unless
    it is longer than a chunk."""
    start = 0
    for number in range(1, len(lines)):
        line, length = lines[number], number - start
        begins = line[:1].strip() and not lines[number - 1].strip()
        if not begins and length < LONGEST_CHUNK:
            continue
        if length >= 2 * LONGEST_CHUNK or not _is_in_string(language, tuple(lines[start:number])):
            yield start, number
            start = number
    yield start, len(lines)


def _is_in_string(language: str, lines: tuple[str, ...]) -> bool:
    if _lexer(language) is None or max(map(len, lines)) > LONGEST_LINE:
        return False
    open_lines = _settled(language, lines)[1]
    parts = coloured(language, "\n".join(open_lines)) if open_lines else ()
    return next((line[-1].kind for line in reversed(parts) if line), "") == "string"


Line = tuple[Coloured, ...]


@lru_cache(maxsize=512)
def coloured(language: str, code: str) -> tuple[Line, ...]:
    """Return the parts of each line of a chunk."""
    lines = code.split("\n")
    if _lexer(language) is None or max(map(len, lines)) > LONGEST_LINE:
        return tuple((Coloured(line, ""),) if line else () for line in lines)
    done, open_lines = _settled(language, tuple(lines[:-1]))
    return done + _lexed(language, "\n".join((*open_lines, lines[-1])))[0]


@lru_cache(maxsize=512)
def _settled(language: str, lines: tuple[str, ...]) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    """Return the parts of the lines that nothing below can change, and the open lines after them, as of a string.

    Only the open lines are lexed again with what follows. Of many, each eighth is tried for being the last.
    """
    if not lines:
        return (), ()
    done, open_lines = _settled(language, lines[:-1])
    open_lines = (*open_lines, lines[-1])
    if len(open_lines) <= OPEN_LINES or len(open_lines) % OPEN_LINES == 0:
        parts, is_over = _lexed(language, "\n".join((*open_lines, "")))
        if is_over:
            return done + parts[:-1], ()
    return done, open_lines


def _lexed(language: str, code: str) -> tuple[tuple[Line, ...], bool]:
    """Return the parts of each line, and whether what follows the code can be lexed without it."""
    kind = _lexer(language)
    assert kind is not None
    lexer, states = kind(), _States(getattr(kind, "_tokens", {}))
    vars(lexer)["_tokens"] = states
    parts: list[list[Coloured]] = [[]]
    plain = last = ""
    for _, token, value in lexer.get_tokens_unprocessed(code):
        last = _kind(token)
        plain += "" if last in WHOLE else value
        for number, text in enumerate(value.split("\n")):
            if number:
                parts.append([])
            before = parts[-1][-1] if parts[-1] else None
            if before and before.kind == last:
                parts[-1][-1] = Coloured(before.text + text, last)
            elif text:
                parts[-1].append(Coloured(text, last))
    is_over = states.state == "root" and last not in WHOLE and not any(opening in plain for opening in OPENINGS)
    return tuple(map(tuple, parts)), is_over


class _States(dict[str, object]):
    """The states of Pygments' lexer, which looks up each that it enters."""

    state = ""
    """The one that it is in."""

    def __getitem__(self, name: str) -> object:
        self.state = name
        return super().__getitem__(name)


@cache
def _kind(token: object) -> str:
    name = str(token).removeprefix("Token.")
    return next((kind for prefix, kind in KINDS.items() if name == prefix or name.startswith(f"{prefix}.")), "")


@cache
def _lexer(language: str) -> type[Lexer] | None:
    if not language:
        return None
    from pygments.lexers import get_lexer_by_name  # at the first code, not at the start of a program
    from pygments.util import ClassNotFound

    try:
        return type(get_lexer_by_name(language))
    except ClassNotFound:
        return None
