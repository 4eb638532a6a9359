"""Reads a text that grows: only what can still change is read again, and a long text comes in portions."""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import takewhile

from baton_reasoning.core.markdown.blocks import Gap, Kind, MarkdownBlock, ReadBlocks, Row, open_code, plain_rows, read
from baton_reasoning.core.markdown.code import language_of
from baton_reasoning.core.markdown.formulas import LONGEST_LATEX

AT_ONCE = 4_000
"""Characters that are read in one go, about 3 ms."""
MOST_OPEN_LINES = 500
"""A longer block that is still being written stays text until it ends, of code what is below so many lines."""
_FENCE = re.compile(r" {0,3}(?P<rail>`{3,}|~{3,})(?P<info>[^\n`]*)\n")


class GrowingText:
    """The blocks of a text. `follow` says what the text is now; `read_on` reads a portion, until it `is_read`."""

    def __init__(self) -> None:
        self.blocks: list[MarkdownBlock] = []
        self.text = ""
        self._is_live = False
        self.is_read = True
        self._read_to = 0
        """Where the portion begins that is read next."""
        self._open_at: int | None = None
        self._overlong = (-1, 0)
        """Where a block began that was too long to read while it is written, and how many blank lines it had then."""

    def follow(self, text: str, is_live: bool) -> None:
        """Take over another text, usually the same with more at its end; forget the blocks that it may change.

        `is_live`: it is still being written.
        """
        if (text, is_live) == (self.text, self._is_live):
            return
        if text.startswith(self.text):
            kept = len(self.text)
        else:
            lengths = range(min(len(text), len(self.text)) + 1)
            same = bisect_left(lengths, True, key=lambda length: not self.text.startswith(text[:length])) - 1
            kept = max(0, same - LONGEST_LATEX)  # so far back a formula may open that is closed no more
        self._forget_from(min(kept, len(self.text) if self._open_at is None else self._open_at))
        self.text, self._is_live, self.is_read = text, is_live, False

    def read_on(self) -> int:
        """Read the next portion; returns the number of blocks before those that are new."""
        first = len(self.blocks)
        start = self._read_to
        if self._is_live and self.text.count("\n", start) > MOST_OPEN_LINES:
            found = self._read_open(start)
            self.is_read = True
        else:
            found = self._read_portion(start)
        self.blocks += found.blocks
        self._open_at = found.open_at
        return first

    def _forget_from(self, place: int) -> None:
        """Forget the blocks from the last one before a place on. One right above that is forgotten, too: it may be the
        head of a table."""
        count = sum(1 for _ in takewhile(lambda block: block.start >= place, reversed(self.blocks)))
        first = max(0, len(self.blocks) - count - 1)
        if first and not self.text[: self.blocks[first].start].endswith("\n\n"):
            first -= 1
        self._read_to = self.blocks[first].start if self.blocks else 0
        del self.blocks[first:]
        self._open_at = None

    def _read_portion(self, start: int) -> ReadBlocks:
        """Read a portion, without the block at its end, which goes on after it."""
        length = AT_ONCE
        while (cut := self.text.rfind("\n", start, start + length)) >= 0 and start + length < len(self.text):
            found = read(self.text[: cut + 1], start)
            end = len(found.blocks) - 1
            while end > 0 and found.open_at is not None and found.blocks[end].start > found.open_at:
                end -= 1
            if end > 0:
                self._read_to = found.blocks[end].start
                return ReadBlocks(found.blocks[:end], None)
            length *= 2
        self.is_read = True
        return read(self.text, start)

    def _read_open(self, start: int) -> ReadBlocks:
        """Read a long text that is being written; a block that is too long and may go on stays text."""
        tail = self.text[start:]
        fence = _FENCE.match(tail)
        if fence and not re.search(rf"\n {{0,3}}{fence['rail']}{fence['rail'][0]}*[ \t]*(?:\n|$)", tail):
            head = Row(
                Kind.CODE_HEAD, (), start, start + fence.end() - 1, gap=Gap.NONE, language=language_of(fence["info"])
            )
            lines = open_code(head.language, tail[fence.end() :], start + fence.end(), MOST_OPEN_LINES)
            return ReadBlocks([MarkdownBlock(start, (head, *lines))], None)
        if not fence and self._overlong == (start, tail.count("\n\n")):
            return ReadBlocks([MarkdownBlock(start, plain_rows(tail, start))], None)
        found = read(self.text, start)
        last = found.blocks[-1].start if found.blocks else start
        rest = self.text[last:]
        if found.blocks and rest.count("\n") > MOST_OPEN_LINES and not _FENCE.match(rest):
            found.blocks[-1] = MarkdownBlock(last, plain_rows(rest, last))
            self._overlong = last, rest.count("\n\n")
        return found
