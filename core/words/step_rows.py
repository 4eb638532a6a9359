"""The thinking or the answer of a trace as rows: its Markdown is read as a whole, whoever wrote what, and what is known
of its pieces is laid over it. A long text comes in portions."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import pairwise
from typing import Any, NamedTuple

from baton_reasoning.core.analysis.differences import correction_by
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.markdown.blocks import Grid, Kind, Look, MarkdownBlock, Row, Run, row_at
from baton_reasoning.core.markdown.growing import GrowingText
from baton_reasoning.core.markdown.parser import clean
from baton_reasoning.core.thinking.cues import Lexicon, english
from baton_reasoning.core.thinking.events import RunStarted
from baton_reasoning.core.thinking.policy import PolicyContext
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Piece, Trace, thinking_pieces

BEFORE_NOTE = "\u2003 "
"""White space between a step and what is noted beside it."""

_CHANNEL = r"<\|channel\|>[^<\n]*(?:<\|constrain\|>[^<\n]*)?"
_CHANNEL_HEAD = re.compile(
    rf"(?:<\|end\|>)?(?:<\|start\|>assistant)?{_CHANNEL}<\|message\|>|<\|end\|>(?:<\|start\|>[a-z]*(?:{_CHANNEL})?)?$"
)
"""What gpt-oss writes where its thinking goes on in another channel; at the end of a text also the beginning of it."""


class TracePart(Enum):
    """Which part of a trace is shown. Of a model without thinking tags, all of it is shown as the thinking."""

    THINKING = "thinking"
    ANSWER = "answer"


class _Seen(NamedTuple):
    """A piece as it was when its rows were made."""

    piece: Piece
    length: int
    is_over: bool


def cues_of(trace: Trace) -> Lexicon:
    """Return the cues that the policy of this run looked for: its own list, or the policy's."""
    if trace.started is None:
        return english()
    settings = RunSettings.stored(trace.started.settings)
    try:
        policy = POLICIES.of(settings.policy)(settings.policy, PolicyContext(settings.seed, settings.lexicon))
    except SettingsError:  # a policy that is not installed, or a list that this version cannot read
        return english()
    return policy.lexicon


def part_of(trace: Trace, part: TracePart, live: bool) -> tuple[str, int]:
    """Return a part of the text as it is shown, and where it begins in the trace; as long as it is there.

    `live`: it is still being written; an end that may become the closing tag is held back.
    """
    closed = trace.closed
    if part is TracePart.THINKING:
        text = trace.text[: closed.position] if closed else trace.text
        text = text.rstrip().removesuffix(closed.tag) if closed else text
        return without_channel_heads(trace, text).rstrip(), 0
    if closed is None:
        return "", 0
    text = trace.text[closed.position :]
    if closed.tag and closed.tag in text:
        text = "\n".join(" " * len(line) if line.strip() == closed.tag else line for line in text.split("\n"))
    last = text.rpartition("\n")[2].strip()
    if live and closed.tag and last and closed.tag.startswith(last):
        text = text.rpartition("\n")[0]
    return without_channel_heads(trace, text).rstrip(), closed.position


def without_channel_heads(trace: Trace, text: str) -> str:
    """Return a text of a trace with an empty line, as long as it was, in the place of each head of a channel."""
    cards = trace.started.cards.values() if trace.started else ()
    if not any(card.thinking and "<|channel|>" in card.thinking.closing for card in cards):
        return text
    return _CHANNEL_HEAD.sub(lambda head: f"\n{' ' * (len(head[0]) - 2)}\n", text)


def closing_words(piece: Piece) -> str:
    """Say why an inserted piece closed the reasoning: “Reasoning closed: repetition detected.”"""
    return f"Reasoning closed: {reason_words(piece)}." if piece.reason else "Reasoning closed."


def reason_words(piece: Piece) -> str:
    """Return for what reason a piece was written, as a sentence goes on; "" if it has none."""
    label = POLICIES.reason(piece.reason).label if piece.reason else ""
    return f"{label[:1].lower()}{label[1:]}"


class StepRows:
    """Follows a part of a trace. `follow` says how it stands; `next_rows` makes a portion of the rows that are new."""

    def __init__(self, part: TracePart) -> None:
        self.pieces: list[Piece] = []
        self.start = 0
        """Where the part begins in the trace."""
        self._part = part
        self._text = GrowingText()
        self._seen: list[_Seen] = []
        self._rows: list[tuple[Row | Grid, ...]] = []
        """Of each block."""
        self._firsts: list[int] = []
        """The number of the first row of each block."""
        self._changed = 0
        """Where in the part the first piece begins that is not as it was."""
        self._started: RunStarted | None = None
        self._cues = english()
        self._closing: tuple[Row, ...] = ()

    @property
    def text(self) -> str:
        """The part as Markdown."""
        return self._text.text

    @property
    def is_complete(self) -> bool:
        return self._text.is_read and self._changed == len(self._text.text)

    def follow(self, trace: Trace, live: bool) -> None:
        """Take over how the trace stands; `live`: the last piece may still be growing."""
        if trace.started is not self._started:
            self._started, self._cues = trace.started, cues_of(trace)
        text, start = part_of(trace, self._part, live)
        if start != self.start:
            self.start, self._seen = start, []
        if self._part is TracePart.THINKING:
            self.pieces = thinking_pieces(trace)
        else:
            self.pieces = [piece for piece in trace.pieces if piece.in_answer and piece.text.strip()]
        self._text.follow(clean(text), live)
        self._changed = min(self._changed, self._first_changed(live), len(text))
        self._closing = tuple(self._closing_row(trace, len(text)))

    def next_rows(self) -> tuple[int, list[Row | Grid]]:
        """Return the number of the first row that may have changed, and a portion of the rows from there on."""
        first = len(self._text.blocks) if self._text.is_read else self._text.read_on()
        blocks = self._text.blocks
        first = min(
            first, len(self._rows), max(0, bisect_right(blocks, self._changed, key=lambda each: each.start) - 1)
        )
        del self._rows[first:], self._firsts[first:]
        for block in blocks[first:]:
            self._firsts.append(self._firsts[-1] + len(self._rows[-1]) if self._rows else 0)
            self._rows.append(self._overlaid(block))
        rows = [row for rows in self._rows[first:] for row in rows]
        begin = self._firsts[first] if first < len(self._firsts) else sum(map(len, self._rows))
        self._changed = len(self._text.text) if self._text.is_read or not blocks else blocks[-1].start
        return begin, [*rows, *(self._closing if self.is_complete else ())]

    def piece_at(self, place: int) -> Piece | None:
        """Return the piece to which a place of the part belongs; for white space, the piece before it."""
        if not self.pieces:
            return None
        return self.pieces[max(0, bisect_right(self.pieces, place + self.start, key=lambda each: each.position) - 1)]

    def pieces_between(self, start: int, end: int) -> list[Piece]:
        """Return the pieces of the characters between two places of the part."""
        first = max(0, bisect_right(self.pieces, start + self.start, key=lambda each: each.position) - 1)
        last = bisect_left(self.pieces, end + self.start, key=lambda each: each.position)
        return self.pieces[first : max(last, first + 1)]

    def _first_changed(self, live: bool) -> int:
        """Return where the first piece begins that is not as it was; pieces change at the end of a trace."""
        count = len(self.pieces)

        def now(index: int) -> _Seen:
            return _Seen(self.pieces[index], self.pieces[index].length, not live or index < count - 1)

        while self._seen:
            index, last = len(self._seen) - 1, self._seen[-1]
            if index < count and last.piece is self.pieces[index] and last == now(index):
                break
            self._seen.pop()
        first = len(self._seen)
        self._seen += map(now, range(first, count))
        return self.pieces[first].position - self.start if first < count else 10**9

    def _overlaid(self, block: MarkdownBlock) -> tuple[Row | Grid, ...]:
        """Return the rows of a block with what is known of its pieces."""
        end = max(row.end for row in block.rows) if block.rows else block.start
        pieces = self.pieces_between(block.start, end)
        marks = [mark for piece in pieces for mark in self._marks(piece)]
        rows = [_marked(row, marks) for row in block.rows] if marks else list(block.rows)
        for piece in pieces:
            place = piece.position - self.start + len(piece.text.rstrip()) - 1
            note = self._note(piece) if block.start <= place < end else ""
            index = row_at(rows, place)
            if note and isinstance(row := rows[index], Row) and row.kind is Kind.TEXT:
                run = Run(BEFORE_NOTE + note, Look(strong=True, note=True), place + 1, place + 1)
                rows[index] = row._replace(runs=(*row.runs, run))
        return tuple(rows)

    def _marks(self, piece: Piece) -> Iterator[tuple[int, int, str]]:
        """Yield the start and the end of each mark in a piece, in order, and the field of `Look` that it sets."""
        at = piece.position - self.start
        if piece.author is Author.INSERTED:
            yield at, at + piece.length, "muted"
        elif piece.author is Author.LARGE and piece.cue:
            until = 0
            for cue in self._cues.find(piece.text):
                if cue.start >= until:  # else it is in two categories, or in a longer cue
                    yield at + cue.start, at + cue.end, "cue"
                    until = cue.end

    def _note(self, piece: Piece) -> str:
        """Return what a takeover made of the value that it corrected: "73298 → 73198"."""
        index = bisect_left(self.pieces, piece.position, key=lambda each: each.position)
        if piece.author is not Author.LARGE or not self._seen[index].is_over:
            return ""
        change = correction_by(self.pieces, index)
        return f"{change.before}\u00a0→\u00a0{change.after}" if change else ""

    def _closing_row(self, trace: Trace, length: int) -> Iterator[Row]:
        """Say why the thinking was closed, where nothing but the tag was inserted."""
        piece = self.pieces[-1] if self.pieces else None
        tag = trace.closed.tag if trace.closed else ""
        if not piece or piece.author is not Author.INSERTED or piece.text.replace(tag, "").strip() or not piece.reason:
            return
        at = max(length, piece.position - self.start)
        run = Run(closing_words(piece), Look(muted=True), at, at + piece.length)
        yield Row(Kind.TEXT, (run,), at, at + piece.length)


def _marked(row: Row | Grid, marks: Sequence[tuple[int, int, str]]) -> Row | Grid:
    if isinstance(row, Row):
        return row._replace(runs=tuple(_cut(row.runs, marks)))
    return row._replace(rows=tuple(tuple(tuple(_cut(cell, marks)) for cell in cells) for cells in row.rows))


def _cut(runs: Iterable[Run], marks: Sequence[tuple[int, int, str]]) -> Iterator[Run]:
    """Cut runs at the ends of marks, and give the parts within a mark its look."""
    for run in runs:
        edges = {edge for start, end, _ in marks for edge in (start, end) if run.start < edge < run.end}
        places = [run.start, *sorted(edges if run.is_exact else ()), run.end]
        for start, end in pairwise(places):
            looks: dict[str, Any] = {field: True for first, last, field in marks if first <= start < last}
            text = run.text[start - run.start : end - run.start] if run.is_exact else run.text
            yield Run(text, run.look._replace(**looks), start, end)
