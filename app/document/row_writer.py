"""Rows of Markdown become a `QTextDocument`, of which each position knows its place in the text.

A row is one block of the document, a table one for each cell with an empty one before and after it. Of rows that come
in the place of others only those are written that differ. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QTextBlock, QTextBlockFormat, QTextCursor, QTextDocument

from baton_reasoning.app.document.style import TextStyle
from baton_reasoning.app.document.typeset import Typesetter, insert_formula
from baton_reasoning.core.markdown.blocks import BULLET, Grid, Kind, Look, Row, Run
from baton_reasoning.core.markdown.code import coloured
from baton_reasoning.core.markdown.formulas import Formula
from baton_reasoning.core.markdown.latex import engine
from baton_reasoning.core.markdown.parser import clean, parse
from baton_reasoning.core.thinking.cues import english

LINE_BREAK = "\u2028"
"""Qt's line inside a block."""
COPY_SCHEME = "copy"
"""The word "Copy" over a block of code is a link of this scheme, with the place of the code in the text."""


def utf16_length(text: str) -> int:
    """Return how many of Qt's positions a text takes."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def warm_up() -> None:
    """Load cues, markdown-it, Pygments and ziamath, so that the first text need not wait for them. May run in any
    thread."""
    english().find("")
    parse(clean("*"))
    coloured("python", "1")
    engine()


class RowWriter(QObject):
    """Writes rows into a document, and tells what stands where."""

    formulas_set = Signal()
    """Formulas that stood as their sources are set now."""

    def __init__(self, document: QTextDocument, style: TextStyle, typesetter: Typesetter | None) -> None:
        """`typesetter`: sets formulas in the background; without one, they are set at once."""
        super().__init__(document)
        self.rows: list[Row | Grid] = []
        self._firsts: list[int] = []
        """The number of the first block of each row."""
        self._document, self._style, self._typesetter = document, style, typesetter
        self._unset: set[Formula] = set()
        """Formulas that stand as their source, because they are not set yet or cannot be."""
        self._waiting: set[int] = set()
        """Rows with formulas that are being set."""
        style.apply_to(document)

    @property
    def waits(self) -> bool:
        """Whether formulas are still being set."""
        return bool(self._waiting)

    def use_style(self, style: TextStyle) -> None:
        """Write everything again in another look."""
        rows = list(self.rows)
        self._style = style
        self._remove_from(0)
        style.apply_to(self._document)
        self.write(0, rows)

    def write(self, first: int, rows: Sequence[Row | Grid]) -> int:
        """Write rows in the place of those from `first` on; returns the first that is new."""
        same = 0
        for old, new in zip(self.rows[first:], rows, strict=False):
            if old is not new and old != new:
                break
            same += 1
        first += same
        if first == len(self.rows) and same == len(rows):
            return first
        edit = QTextCursor(self._document)
        edit.beginEditBlock()  # Qt lays out once
        rest = rows[same:]
        if rest and first == len(self.rows) - 1 and self._grew_table(first, rest[0]):
            rest = rest[1:]
        else:
            self._remove_from(first)
        for row in rest:
            self._add(row)
        edit.endEditBlock()
        if self._waiting and self._typesetter:
            wanted = [run.look.formula for index in self._waiting for _, runs in self._blocks(index) for run in runs]
            formulas = [each for each in wanted if each and not self._typesetter.is_set(each, self._style.formula_size)]
            self._typesetter.prepare(formulas, self._style.formula_size, self._set, self)
        return first

    def code_at(self, place: int) -> str:
        """Return the code below the word "Copy" that stands for this place of the text."""
        index = next(n for n, row in enumerate(self.rows) if row.start == place and _kind(row) is Kind.CODE_HEAD)
        lines = []
        for row in self.rows[index + 1 :]:
            if not isinstance(row, Row) or row.kind is not Kind.CODE:
                break
            lines.append("".join(run.text for run in row.runs))
        return "\n".join(lines)

    def first_block(self, index: int) -> QTextBlock:
        """Return the first block of a row that holds something of it."""
        is_table = isinstance(self.rows[index], Grid)
        return self._document.findBlockByNumber(self._firsts[index] + is_table)

    def cell_block(self, index: int, row: int, column: int) -> QTextBlock:
        """Return the block of a cell of the table at `index`."""
        grid = self.rows[index]
        assert isinstance(grid, Grid)
        return self._document.findBlockByNumber(self._firsts[index] + 1 + row * len(grid.rows[0]) + column)

    def position_of(self, index: int, place: int) -> int:
        """Return where in the document a place of the text stands, which is in the row at `index`."""
        return self.extent_of(index, place, place + 1)[0]

    def extent_of(self, index: int, start: int, end: int) -> tuple[int, int]:
        """Return where in the document a part of the text begins and ends, as far as it is in the row at `index`.

        A part of a formula has the extent of the whole formula. What is not shown has no extent.
        """
        at, begin = self.first_block(index).position(), -1
        for block, runs in self._blocks(index):
            at = self._document.findBlockByNumber(block).position()
            for run in runs:
                if begin < 0 and start < run.end:
                    begin = at + (utf16_length(run.text[: max(0, start - run.start)]) if run.is_exact else 0)
                if end <= run.end:
                    shown = run.text[: max(0, end - run.start)] if run.is_exact else self._shown(run)
                    return begin, at + (utf16_length(shown) if end > run.start else 0)
                at += self.length_of(run)
        return (at if begin < 0 else begin), at

    def places(self, runs: Sequence[Run], start: int, end: int) -> Iterator[tuple[int, int]]:
        """Iterate over the parts of the text that stand between two offsets of a block with these runs."""
        at = 0
        for run in runs:
            length = self.length_of(run)
            if at < end and at + length > start and not run.look.note:
                if run.is_exact:
                    first, last = (len(_first_units(run.text, each - at)) for each in (start, end))
                    yield run.start + first, run.start + last
                else:
                    yield run.start, run.end
            at += length

    def length_of(self, run: Run) -> int:
        """Return how many positions of the document a run takes."""
        return utf16_length(self._shown(run))

    def _shown(self, run: Run) -> str:
        formula = run.look.formula
        text = formula.source if formula and formula in self._unset else run.text
        return text.replace("\n", LINE_BREAK)

    def _blocks(self, index: int) -> Iterator[tuple[int, tuple[Run, ...]]]:
        """Iterate over the blocks of a row that hold something, by number, with what they hold."""
        row, first = self.rows[index], self._firsts[index]
        if isinstance(row, Row):
            yield first, row.runs
        else:
            yield from enumerate((cell for cells in row.rows for cell in cells), first + 1)

    def _remove_from(self, index: int) -> None:
        """Remove the row at `index` and all after it."""
        if index >= len(self.rows):
            return
        cursor = QTextCursor(self._document)
        if index:
            cursor.setPosition(self._document.findBlockByNumber(self._firsts[index]).position() - 1)
            form = cursor.blockFormat()
        cursor.movePosition(QTextCursor.MoveOperation.End, QTextCursor.MoveMode.KeepAnchor)
        cursor.removeSelectedText()
        cursor.setBlockFormat(form if index else QTextBlockFormat())  # Qt forgets it if the block is empty
        del self.rows[index:], self._firsts[index:]
        self._waiting = {each for each in self._waiting if each < index}

    def _add(self, row: Row | Grid) -> None:
        """Write a row at the end."""
        cursor = QTextCursor(self._document)
        cursor.movePosition(QTextCursor.MoveOperation.End)
        form = self._style.block(row) if isinstance(row, Row) else self._style.beside_table(0)
        kind = row.kind if isinstance(row, Row) else Kind.TEXT
        # Of an empty line, and of markers: Qt keeps a bullet off its text by a blank, which is wide in code.
        is_wide = kind is Kind.CODE or (isinstance(row, Row) and row.marker == BULLET)
        letters = self._style.letters(Look(code=is_wide), Kind.CODE if is_wide else kind)
        if self.rows:
            cursor.insertBlock(form, letters)
        else:
            cursor.setBlockFormat(form)
            cursor.setBlockCharFormat(letters)
        index = len(self.rows)
        self.rows.append(row)
        self._firsts.append(cursor.blockNumber())
        if isinstance(row, Row):
            if row.marker:
                cursor.createList(self._style.marker(row))
            if row.kind is Kind.CODE_HEAD:
                words = f"Copy {row.language}".strip()
                link = Look(note=True, link=f"{COPY_SCHEME}:{row.start}")
                cursor.insertText(words, self._style.letters(link, row.kind))
            self._insert(cursor, row.runs, row.kind, index)
            return
        table = cursor.insertTable(len(row.rows), len(row.rows[0]), self._style.table(row))
        for number, cells in enumerate(row.rows):
            for column, cell in enumerate(cells):
                self._insert(table.cellAt(number, column).firstCursorPosition(), cell, _kind_in(number), index)
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.setBlockFormat(self._style.beside_table(self._style.gap))

    def _grew_table(self, index: int, row: Row | Grid) -> bool:
        """Add rows to the last table, if that is all that it needs."""
        old = self.rows[index]
        if not isinstance(old, Grid) or not isinstance(row, Grid) or len(old.rows[0]) != len(row.rows[0]):
            return False
        same = next((n for n, pair in enumerate(zip(old.rows, row.rows, strict=False)) if pair[0] != pair[1]), None)
        kept = min(len(old.rows), len(row.rows)) if same is None else same
        table = QTextCursor(self.first_block(index)).currentTable()
        if not kept or old.depth != row.depth or table is None:
            return False
        if len(old.rows) > kept:
            table.removeRows(kept, len(old.rows) - kept)
        if len(row.rows) > kept:
            table.appendRows(len(row.rows) - kept)
        self.rows[index] = row
        for number in range(kept, len(row.rows)):
            for column, cell in enumerate(row.rows[number]):
                self._insert(table.cellAt(number, column).firstCursorPosition(), cell, _kind_in(number), index)
        return True

    def _insert(self, cursor: QTextCursor, runs: Sequence[Run], kind: Kind, index: int) -> None:
        """Write the runs of a block, which belongs to the row at `index`."""
        for run in runs:
            formula = run.look.formula
            form = self._style.letters(run.look, kind)
            if formula:
                self._unset.discard(formula)
                ink = replace(self._style, ink=form.foreground().color().name())
                if self._typesetter and not self._typesetter.is_set(formula, self._style.formula_size):
                    self._waiting.add(index)
                elif insert_formula(cursor, formula, ink):
                    continue
                self._unset.add(formula)
                form = self._style.letters(run.look._replace(code=True), Kind.TEXT)
            cursor.insertText(self._shown(run), form)

    def _set(self) -> None:
        """Put formulas that are set by now in the place of their sources."""
        waiting, self._waiting = sorted(self._waiting), set()
        edit = QTextCursor(self._document)
        edit.beginEditBlock()
        for index in waiting:
            row = self.rows[index]
            for number, (block, runs) in enumerate(self._blocks(index)):
                if any(run.look.formula for run in runs):
                    cursor = QTextCursor(self._document.findBlockByNumber(block))
                    cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)
                    cursor.removeSelectedText()
                    kind = row.kind if isinstance(row, Row) else _kind_in(number // len(row.rows[0]))
                    self._insert(cursor, runs, kind, index)
        edit.endEditBlock()
        self.formulas_set.emit()


def _first_units(text: str, length: int) -> str:
    """Return the beginning of a text that takes so many of Qt's positions."""
    units = text.encode("utf-16-le", "surrogatepass")[: 2 * max(0, length)]
    return units.decode("utf-16-le", "replace")


def _kind(row: Row | Grid) -> Kind | None:
    return row.kind if isinstance(row, Row) else None


def _kind_in(number: int) -> Kind:
    """Return how the cells of a table's row are set."""
    return Kind.HEADING if number == 0 else Kind.TEXT
