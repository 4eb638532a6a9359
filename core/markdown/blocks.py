"""Markdown as blocks of rows, in which each character knows its place in the text.

A row is what stands below another: a paragraph, an item of a list, a line of code. A view writes rows one after the
other, and lays over them who wrote what; it needs no Markdown. Raw HTML is text, a picture is a link, and a link leads
only to http or https.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

from baton_reasoning.core.markdown.code import Line, chunks, coloured, language_of
from baton_reasoning.core.markdown.formulas import Formula, hide_pipes, show_pipes
from baton_reasoning.core.markdown.parser import parse, places_of

if TYPE_CHECKING:
    from markdown_it.token import Token

FORMULA_CHARACTER = "\ufffc"
BULLET = "•"
PORTION = 100
"""Lines of plain text that are made at once, and again only if one of them changes."""
MOST_TABLE_ROWS = 500
"""A longer table stays text."""
LONGEST_LINE = 5_000
"""Characters; a block with a longer line stays text: a model that writes these has lost its way."""


class Kind(Enum):
    TEXT = auto()
    TITLE = auto()
    HEADING = auto()
    FORMULA = auto()
    RULE = auto()
    CODE_HEAD = auto()
    """The line above code: its language, and a way to copy it."""
    CODE = auto()


class Gap(Enum):
    """The room below a row."""

    NONE = auto()
    SMALL = auto()
    FULL = auto()


class Look(NamedTuple):
    strong: bool = False
    emphasis: bool = False
    struck: bool = False
    code: bool = False
    link: str = ""
    syntax: str = ""
    """The kind of code (code.py)."""
    formula: Formula | None = None
    muted: bool = False
    """What the program inserted."""
    cue: bool = False
    """A word at which a takeover began."""
    note: bool = False
    """What is said beside the text, and is no part of it."""


class Run(NamedTuple):
    """A stretch of one look."""

    text: str
    look: Look
    start: int
    """Where it begins in the text."""
    end: int

    @property
    def is_exact(self) -> bool:
        """Whether it stands in the text as it is shown, character by character."""
        return len(self.text) == self.end - self.start and self.look.formula is None


class Row(NamedTuple):
    kind: Kind
    runs: tuple[Run, ...]
    start: int
    end: int
    depth: int = 0
    """In how many lists it is."""
    quotes: int = 0
    """In how many quotations."""
    marker: str = ""
    """Of an item of a list: "•" or "3."."""
    gap: Gap = Gap.FULL
    language: str = ""
    """Of a `CODE_HEAD`."""


class Grid(NamedTuple):
    """A table. Its first row is its head."""

    rows: tuple[tuple[tuple[Run, ...], ...], ...]
    start: int
    end: int
    depth: int = 0


class MarkdownBlock(NamedTuple):
    """What one thing at the margin of the text becomes: a paragraph, a list, a table, code."""

    start: int
    rows: tuple[Row | Grid, ...]


class ReadBlocks(NamedTuple):
    blocks: list[MarkdownBlock]
    open_at: int | None
    """Where a displayed formula begins that what follows may close."""


def read(text: str, start: int = 0) -> ReadBlocks:
    """Read a text that was cleaned (parser.py) from a place at which a block begins."""
    parsed = parse(text[start:])
    walk = _Walk(hide_pipes(text[start:]), start)
    blocks, first = [], 0
    for number, token in enumerate(parsed.tokens):
        if token.level == 0 and token.nesting <= 0:
            opening = parsed.tokens[first]
            assert opening.map is not None  # each block at the margin has lines
            rows = walk.rows(parsed.tokens[first : number + 1])
            blocks.append(MarkdownBlock(start + walk.starts[opening.map[0]], _with_gap(rows)))
            first = number + 1
    return ReadBlocks(blocks, None if parsed.open_at is None else start + parsed.open_at)


def plain_rows(text: str, start: int, kind: Kind = Kind.TEXT) -> tuple[Row, ...]:
    """Return the lines of a text, which begins at a place of the whole one, as they were written."""
    rows: list[Row] = []
    lines, at = text.rstrip("\n").split("\n"), start
    for first in range(0, len(lines), PORTION):
        portion = tuple(lines[first : first + PORTION])
        rows += _plain_portion(portion, at, kind)
        at += sum(map(len, portion)) + len(portion)
    rows[-1] = rows[-1]._replace(gap=Gap.FULL)
    return tuple(rows)


@lru_cache(maxsize=1024)
def _plain_portion(lines: tuple[str, ...], at: int, kind: Kind) -> tuple[Row, ...]:
    rows, look = [], Look(code=kind is Kind.CODE)
    for line in lines:
        runs = (Run(show_pipes(line), look, at, at + len(line)),) if line else ()
        rows.append(Row(kind, runs, at, at + len(line), gap=Gap.NONE))
        at += len(line) + 1
    return tuple(rows)


def _with_gap(rows: Sequence[Row | Grid]) -> tuple[Row | Grid, ...]:
    """Give the last row of a block its full gap."""
    last = rows[-1] if rows else None
    return (*rows[:-1], last._replace(gap=Gap.FULL)) if isinstance(last, Row) else tuple(rows)


@dataclass
class _Walk:
    """Makes rows of the tokens of one text."""

    text: str
    offset: int
    """Where this text begins in the whole one."""
    depth: int = 0
    quotes: int = 0
    lines: list[str] = field(init=False)
    starts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.lines, self.starts, at = self.text.split("\n"), [], 0
        for line in self.lines:
            self.starts.append(at)
            at += len(line) + 1

    def rows(self, tokens: Sequence[Token]) -> list[Row | Grid]:
        """Make the rows of one block at the margin."""
        first, end = tokens[0].map or (0, 0)
        if max(map(len, self.lines[first:end]), default=0) > LONGEST_LINE:
            return list(self._as_text(first, end))
        rows: list[Row | Grid] = []
        at, marker, item, kind = 0, "", (0, 0), Kind.TEXT
        while at < len(tokens):
            token = tokens[at]
            self._enter_or_leave(token)
            if marker and token.type in ("list_item_close", "fence"):
                rows.append(self._row(Kind.TEXT, item, marker, Gap.SMALL))
                marker = ""
            match token.type:
                case "list_item_open":
                    marker, item = f"{token.info}." if token.info else BULLET, self._place(token.map)
                case "heading_open":
                    kind = Kind.TITLE if token.tag in ("h1", "h2") else Kind.HEADING
                case "paragraph_open":
                    kind = Kind.TEXT
                case "inline":
                    rows += self._rows_of_line(token, self._row(kind, self._place(token.map), marker, self._gap(token)))
                    marker = ""
                case "table_open":
                    end = next(n for n in range(at, len(tokens)) if tokens[n].type == "table_close")
                    rows += self._table(tokens[at : end + 1])
                    at = end
                case "fence":
                    rows += self._code(token)
                case "hr":
                    rows.append(self._row(Kind.RULE, self._place(token.map)))
            at += 1
        return rows

    def _enter_or_leave(self, token: Token) -> None:
        """Note in how many lists and quotations what follows is."""
        if token.type.startswith(("bullet_list", "ordered_list")):
            self.depth += token.nesting
        elif token.type.startswith("blockquote"):
            self.quotes += token.nesting

    def _row(self, kind: Kind, place: tuple[int, int], marker: str = "", gap: Gap = Gap.FULL) -> Row:
        """Make a row without a text."""
        return Row(kind, (), *place, self.depth, self.quotes, marker, gap)

    def _gap(self, token: Token) -> Gap:
        """Return the gap below a paragraph. In a list it is full only above an empty line, though one such line makes
        Markdown set all items apart."""
        _, end = token.map or (0, 0)
        goes_on = end < len(self.lines) and self.lines[end].strip(" \t>")
        return Gap.SMALL if self.depth and goes_on else Gap.FULL

    def _place(self, lines: list[int] | None) -> tuple[int, int]:
        """Return where the first of some lines begins and ends."""
        line = lines[0] if lines else 0
        begin = self.offset + self.starts[line]
        return begin, begin + len(self.lines[line])

    def _as_text(self, first: int, end: int) -> tuple[Row, ...]:
        return plain_rows("\n".join(self.lines[first:end]), self.offset + self.starts[first])

    def _rows_of_line(self, inline: Token, frame: Row) -> Iterator[Row]:
        """Part a paragraph at its displayed formulas, which stand on rows of their own."""
        runs = _trimmed(self._runs(inline, None))
        parts: list[list[Run]] = [[]]
        for run in runs:
            if run.look.formula and run.look.formula.display:
                parts += [[run], []]
            else:
                parts[-1].append(run)
        texts = [part for part in map(_trimmed, parts) if part]
        if not texts:
            yield frame
        for number, part in enumerate(texts):
            is_formula = bool(part[0].look.formula and part[0].look.formula.display)
            is_last = number == len(texts) - 1
            yield frame._replace(
                kind=Kind.FORMULA if is_formula else frame.kind,
                runs=tuple(part),
                start=part[0].start,
                end=part[-1].end,
                marker="" if number else frame.marker,
                gap=frame.gap if is_last else Gap.SMALL,
            )

    def _runs(self, inline: Token, cell_from: int | None) -> list[Run]:
        """Return the runs of a line of text, or of a cell."""
        places = places_of(inline, self.lines, self.starts, cell_from)
        content, runs, look = inline.content, list[Run](), Look()

        def add(text: str, at: int, look: Look = look) -> None:
            """Add a text that stands in the content as it is."""
            edges = [at, *places.cuts(at, at + len(text)), at + len(text)]
            for begin, end in pairwise(edges):
                start = self.offset + places.of(begin)
                part = show_pipes(text[begin - at : end - at])
                runs.append(Run(part, look, start, start + len(part)))

        for token in inline.children or ():
            at: int = token.meta.get("at", 0)
            match token.type:
                case "text" if token.content:
                    if content[at : at + 1] == "<" and not token.content.startswith("<"):
                        at += 1  # of a link in angle brackets
                    add(token.content, at, look)
                case "text_special":
                    start = self.offset + places.of(at)
                    runs.append(Run(show_pipes(token.content), look, start, start + len(token.markup)))
                case "softbreak" | "hardbreak":
                    add("\n", at + (content[at] == "\\"), look)
                case "code_inline":
                    at += len(token.markup)
                    as_written = content[at : at + len(token.content)].replace("\n", " ") == token.content
                    add(token.content, at if as_written else at + 1, look._replace(code=True))
                case "image":
                    add(token.content or "picture", at + 2, look._replace(link=str(token.attrGet("src"))))
                case "formula":
                    found: Formula = token.meta["formula"]
                    start, last = (self.offset + places.of(each) for each in (at, at + len(found.source) - 1))
                    runs.append(Run(FORMULA_CHARACTER, look._replace(formula=found), start, last + 1))
                case kind:
                    look = _changed(look, kind, token)
        return runs

    def _table(self, tokens: Sequence[Token]) -> Sequence[Row | Grid]:
        first, end = tokens[0].map or (0, 0)
        if end - first > MOST_TABLE_ROWS:
            return self._as_text(first, end)
        rows: list[list[tuple[Run, ...]]] = []
        cell_from = 0
        for token in tokens:
            if token.type == "tr_open":
                rows.append([])
                cell_from = 0
            elif token.type == "inline" and token.map:
                cell = self._runs(token, cell_from)
                if cell:
                    cell_from = cell[-1].end - self.offset - self.starts[token.map[0]]
                rows[-1].append(tuple(cell))
        start = self.offset + self.starts[first]
        last = self.offset + self.starts[end - 1] + len(self.lines[end - 1])
        return [Grid(tuple(map(tuple, rows)), start, last, self.depth)]

    def _code(self, fence: Token) -> list[Row]:
        first, after = fence.map or (0, 0)
        language = language_of(fence.info)
        rows = [self._row(Kind.CODE_HEAD, self._place(fence.map), gap=Gap.NONE)._replace(language=language)]
        lines = show_pipes(fence.content).removesuffix("\n").split("\n")
        starts = []
        for number, line in enumerate(lines, first + 1):
            if number < after:
                begin = self.starts[number] + max(0, len(self.lines[number]) - len(line))
            else:  # the only line of an empty block, of which there is the fence alone
                begin = self.starts[first] + len(self.lines[first])
            starts.append(self.offset + begin)
        for start, end in chunks(language, lines):
            rows += _code_rows(language, "\n".join(lines[start:end]), tuple(starts[start:end]), self.depth, self.quotes)
        rows[-1] = rows[-1]._replace(gap=Gap.FULL)
        return rows


def open_code(language: str, text: str, start: int, most: int) -> tuple[Row, ...]:
    """Return the rows of code that is still being written. `start`: where it begins in the whole text.

    The first `most` lines are coloured, as in code that is complete; those below are plain.
    """
    *lines, rest = text.split("\n", most)
    at, rows = start, list[Row]()
    for first, end in chunks(language, lines):
        starts = tuple(accumulate((len(line) + 1 for line in lines[first : end - 1]), initial=at))
        rows += _code_rows(language, show_pipes("\n".join(lines[first:end])), starts, 0, 0)
        at = starts[-1] + len(lines[end - 1]) + 1
    return (*rows, *plain_rows(rest, at, Kind.CODE))


@lru_cache(maxsize=256)
def _code_rows(language: str, code: str, starts: tuple[int, ...], depth: int, quotes: int) -> tuple[Row, ...]:
    """Return the rows of a chunk of code; the same ones as long as nothing in it has changed."""
    lines = coloured(language, code)
    return tuple(_code_row(parts, start, depth, quotes) for start, parts in zip(starts, lines, strict=True))


@lru_cache(maxsize=1024)
def _code_row(parts: Line, start: int, depth: int, quotes: int) -> Row:
    """Return the row of a line of code: one for all versions of the chunk that it is in."""
    runs, at = [], start
    for part in parts:
        runs.append(Run(part.text, Look(code=True, syntax=part.kind), at, at + len(part.text)))
        at += len(part.text)
    return Row(Kind.CODE, tuple(runs), start, at, depth, quotes, gap=Gap.NONE)


def _changed(look: Look, token_type: str, token: Token) -> Look:
    """Return the look from a token on that opens or closes one."""
    opens = token.nesting > 0
    match token_type.rpartition("_")[0]:
        case "strong":
            return look._replace(strong=opens)
        case "em":
            return look._replace(emphasis=opens)
        case "s":
            return look._replace(struck=opens)
        case "link":
            return look._replace(link=str(token.attrGet("href")) if opens else "")
    return look


def _trimmed(runs: list[Run]) -> list[Run]:
    """Remove line breaks and white space at both ends, as beside a displayed formula."""
    first, end = 0, len(runs)
    while first < end and not runs[first].text.strip():
        first += 1
    while end > first and not runs[end - 1].text.strip():
        end -= 1
    kept = runs[first:end]
    if kept and kept[0].is_exact:
        text = kept[0].text.lstrip()
        kept[0] = kept[0]._replace(text=text, start=kept[0].end - len(text))
    if kept and kept[-1].is_exact:
        text = kept[-1].text.rstrip()
        kept[-1] = kept[-1]._replace(text=text, end=kept[-1].start + len(text))
    return kept


def row_at(rows: Sequence[Row | Grid], place: int) -> int:
    """Return which of these rows, in order, holds a place of the text, or is the last one before it."""
    return max(0, bisect_right(rows, place, key=lambda row: row.start) - 1)
