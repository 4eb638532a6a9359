"""Find words in a rendered document: in the letters on the screen, and in the source of its formulas."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QTextBlock, QTextDocument

from baton_reasoning.app.document.blocks import BLOCK_KIND, CODE_HEAD
from baton_reasoning.app.document.copying import fragments
from baton_reasoning.app.document.formula_object import OBJECT_CHARACTER, formula_of

LARGEST_IN_ONE_UNIT = "\uffff"
"""Above it a character takes two of Qt's positions (UTF-16)."""
_SIGN = re.compile(r"\s*([-+*/=<>^])\s*")


class TextRange(NamedTuple):
    """Positions in a document."""

    start: int
    end: int


def pattern_of(words: str) -> re.Pattern[str] | None:
    """Return a pattern for these words in either case; None for nothing.

    A line break counts as a blank, and blanks around signs do not count: `2+3` finds the source `2 + 3`.
    """
    words = _SIGN.sub(r"\1", " ".join(words.split()))
    if not words:
        return None
    parts = []
    for place, letter in enumerate(words):
        part = r"\s+" if letter == " " else re.escape(letter)
        if letter in "-+*/=<>^":
            part = (r"\s*" if place else "") + part + (r"\s*" if place + 1 < len(words) else "")
        parts.append(part)
    return re.compile("".join(parts), re.IGNORECASE)


class DocumentMatches(QObject):
    """Where a pattern occurs in a document. Searches in portions, and again from wherever the document changes."""

    changed = Signal()
    """The document changed, so there is more to search."""

    def __init__(self, document: QTextDocument, pattern: re.Pattern[str], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.ranges: list[TextRange] = []
        """The matches in order."""
        self._document = document
        self._pattern = pattern
        self._next = document.begin().position()
        """Where the block to be searched next begins; -1: the end is reached."""
        document.documentLayout()  # a document without a layout reports no changes
        document.contentsChange.connect(self._changed)

    @property
    def complete(self) -> bool:
        return self._next < 0

    def search(self, blocks: int) -> None:
        """Search so many blocks more."""
        if self.complete:
            return
        block = self._document.findBlock(self._next)
        for _ in range(blocks):
            if not block.isValid():
                break
            self.ranges += _matches(block, self._pattern)
            block = block.next()
        self._next = block.position() if block.isValid() else -1

    def _changed(self, position: int, _removed: int, _added: int) -> None:
        block = self._document.findBlock(position)
        begins = block.position() if block.isValid() else 0
        if self.complete or begins < self._next:
            self._next = begins
            del self.ranges[bisect_left(self.ranges, (begins, begins)) :]
        self.changed.emit()


class _Run(NamedTuple):
    """A stretch of a searched text and where it stands."""

    offset: int
    """In the searched text."""
    position: int
    """In the document."""
    is_formula: bool


def _matches(block: QTextBlock, pattern: re.Pattern[str]) -> Iterator[TextRange]:
    if block.blockFormat().property(BLOCK_KIND) == CODE_HEAD:
        return
    text, runs = block.text(), [_Run(0, block.position(), is_formula=False)]
    if OBJECT_CHARACTER in text:
        text, runs = _with_sources(block)
    wide = [place for place, letter in enumerate(text) if letter > LARGEST_IN_ONE_UNIT] if not text.isascii() else []
    run = 0
    for match in pattern.finditer(text):
        if match.end() > match.start():
            run = _run_at(runs, match.start(), run)
            start = _position(runs[run], match.start(), wide)
            run = _run_at(runs, match.end() - 1, run)
            end = runs[run].position + 1 if runs[run].is_formula else _position(runs[run], match.end(), wide)
            yield TextRange(start, end)


def _with_sources(block: QTextBlock) -> tuple[str, list[_Run]]:
    """Return the block's text with the source of each formula in its place."""
    parts: list[str] = []
    runs: list[_Run] = []
    length = 0
    for fragment in fragments(block):
        formula = formula_of(fragment.charFormat())
        # Formulas of one format side by side are one fragment.
        for index, part in enumerate([formula.source] * fragment.length() if formula else [fragment.text()]):
            runs.append(_Run(length, fragment.position() + index, formula is not None))
            parts.append(part)
            length += len(part)
    return "".join(parts), runs


def _run_at(runs: list[_Run], offset: int, run: int) -> int:
    """Return the last run that begins at or before the offset, searched from `run` on."""
    while run + 1 < len(runs) and runs[run + 1].offset <= offset:
        run += 1
    return run


def _position(run: _Run, offset: int, wide: list[int]) -> int:
    """Return the position in the document of an offset in the run. A formula is one position, a `wide` letter two."""
    if run.is_formula:
        return run.position
    return run.position + offset - run.offset + bisect_left(wide, offset) - bisect_left(wide, run.offset)
