"""Marks places of an answer's text where it is shown: rendered, so that some characters of the source are missing."""

from __future__ import annotations

from bisect import bisect_right
from difflib import Match, SequenceMatcher
from functools import lru_cache
from typing import NamedTuple

LONGEST = 1_000
"""Characters of a piece that is compared with its rendered text; in a longer one, a mark may stand some words off."""


class TextMark(NamedTuple):
    """A place of a trace's text, in characters, and what is said about it."""

    start: int
    end: int
    tip: str
    is_strong: bool = True
    """Whether it has a ground as well as a line below it."""


def rendered_place(source: str, rendered: str, at: int) -> int:
    """Return where a character of the source stands in the rendered text; of a formula, where that stands."""
    if len(source) > LONGEST or not rendered:
        return min(at, max(0, len(rendered) - 1))
    blocks = _common(source, rendered)
    block = blocks[max(0, bisect_right(blocks, at, key=lambda each: each.a) - 1)]
    return min(block.b + min(max(0, at - block.a), block.size), len(rendered) - 1)


@lru_cache(maxsize=512)
def _common(source: str, rendered: str) -> list[Match]:
    """Return the stretches that a source and its rendered text share. Cached, because marks are painted often."""
    start = source.find(rendered)
    if start >= 0:  # as most steps are: without markup
        return [Match(start, 0, len(rendered))]
    return SequenceMatcher(None, source, rendered, autojunk=False).get_matching_blocks()


def utf16_length(text: str) -> int:
    """Return how many of Qt's positions a text takes."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
