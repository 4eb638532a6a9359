"""The outline of a run: its pieces without single tokens, enough to show all steps and small enough to load at once.

It is saved when a run ends, and rebuilt from the events if it is missing. Views show it first, and load the whole trace
when tokens are needed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import astuple
from functools import reduce
from typing import Any, NamedTuple

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.usage import RequestUsage, Usage
from baton_reasoning.core.thinking.cues import Category, Cue
from baton_reasoning.core.thinking.trace import Piece, Trace

RIBBON_SEGMENTS = 96


class PieceOutline(NamedTuple):
    """A `Piece` of a trace; fields of the same name mean the same."""

    author: Author
    step: int
    position: int
    text: str
    token_count: int
    reason: str | None
    cue: Cue | None
    start: float
    end: float
    handoff_seconds: float | None
    reused: int | None
    prefilled: int | None
    replaced: str
    replaced_tokens: int
    counters: Mapping[str, float]
    in_answer: bool

    @property
    def seconds(self) -> float:
        return max(0.0, self.end - self.start)


class Segment(NamedTuple):
    """A segment of a ribbon."""

    author: Author
    tokens: int


class ModelWork(NamedTuple):
    """What a model did for a run, in tokens."""

    read: int = 0
    """Prefilled: at handoffs, for judgements and trials, and for text that was discarded."""
    reread: int = 0
    """Of these, at positions that it had read or written before (`Totals.reread`)."""
    decoded: int = 0
    """Written, whether they stand, were discarded or only tried; and drafts: those of the small model for the large
    one, and those that the large one rejected."""


class Outline(NamedTuple):
    pieces: tuple[PieceOutline, ...]
    answer_position: int | None
    """Where the answer begins in the body; None while the thinking is open, or if the model has no thinking tags."""
    small: ModelWork = ModelWork()
    large: ModelWork = ModelWork()
    answer_began: float | None = None
    """Seconds to the first token of the answer; None without an answer."""
    usage: Usage = Usage()
    """Token usage and cost of both models on servers."""

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    @property
    def takeovers(self) -> tuple[PieceOutline, ...]:
        """The first piece of each takeover: one over several steps has several pieces, but only one handoff."""
        return tuple(
            piece
            for piece in self.pieces
            if piece.author is Author.LARGE and piece.reason and piece.handoff_seconds is not None
        )


def outline_of(trace: Trace) -> Outline:
    small, large = trace.totals[Author.SMALL], trace.totals[Author.LARGE]
    return Outline(
        tuple(map(_outlined, trace.pieces)),
        trace.closed.position if trace.closed else None,
        ModelWork(small.prefilled, small.reread, small.decoded + small.tried + large.drafts),
        ModelWork(large.prefilled, large.reread, large.decoded + large.tried + large.drafts - large.accepted_drafts),
        trace.answer_began,
        reduce(Usage.plus, trace.usage.values(), Usage()),
    )


def ribbon_of(trace: Trace) -> tuple[Segment, ...]:
    """Join pieces of one author that follow each other.

    If there are too many segments, the run is divided into equal lengths with one segment for each author, which keeps
    the shares.
    """
    segments: list[Segment] = []
    for piece in trace.pieces:
        _extend(segments, Segment(piece.author, len(piece.tokens)))
    if len(segments) <= RIBBON_SEGMENTS:
        return tuple(segments)
    authors = tuple(Author)
    lengths = RIBBON_SEGMENTS // len(authors)
    share = [[0] * lengths for _ in authors]
    total, at = max(1, sum(segment.tokens for segment in segments)), 0
    for segment in segments:
        share[authors.index(segment.author)][min(lengths - 1, at * lengths // total)] += segment.tokens
        at += segment.tokens
    joined: list[Segment] = []
    for length in range(lengths):
        for author, counts in zip(authors, share, strict=True):
            if counts[length]:
                _extend(joined, Segment(author, counts[length]))
    return tuple(joined)


def pack_outline(outline: Outline) -> bytes:
    """Pack an outline as columns, which takes half the time of one object for each piece."""
    columns = [list(column) for column in zip(*map(_plain, outline.pieces), strict=True)]
    rest = (outline.answer_position, outline.small, outline.large, outline.answer_began, astuple(outline.usage))
    data = {"rest": rest, "columns": columns}
    return zlib.compress(json.dumps(data, separators=(",", ":")).encode("ascii"), 3)


def unpack_outline(packed: bytes) -> Outline | None:
    """Unpack an outline; None if it is damaged: then it is rebuilt from the events."""
    try:
        data = json.loads(zlib.decompress(packed))
        answer_position, small, large, answer_began, (cost, money, currency) = data["rest"]
        usage = Usage(RequestUsage(*cost), money, currency)
        work = ModelWork(*small), ModelWork(*large)
        return Outline(_pieces(data["columns"]), answer_position, *work, answer_began, usage)
    except (zlib.error, ValueError, KeyError, TypeError):
        return None


def _extend(segments: list[Segment], segment: Segment) -> None:
    if segments and segments[-1].author is segment.author:
        segments[-1] = Segment(segment.author, segments[-1].tokens + segment.tokens)
    else:
        segments.append(segment)


def _outlined(piece: Piece) -> PieceOutline:
    handoff = piece.handoff
    return PieceOutline(
        piece.author,
        piece.step,
        piece.position,
        piece.text,
        len(piece.tokens),
        piece.reason,
        piece.cue,
        piece.start,
        piece.end,
        handoff.seconds if handoff else None,
        handoff.reused if handoff else None,
        handoff.prefilled if handoff else None,
        piece.replaced,
        piece.replaced_tokens,
        dict(piece.counters),
        piece.in_answer,
    )


def _plain(piece: PieceOutline) -> tuple[Any, ...]:
    cue = piece.cue and (piece.cue.word, piece.cue.category.value, piece.cue.start, piece.cue.end)
    return piece._replace(author=piece.author.value, cue=cue)  # type: ignore[arg-type]


def _pieces(columns: list[list[Any]]) -> tuple[PieceOutline, ...]:
    if not columns:
        return ()
    authors = {author.value: author for author in Author}
    author, step, position, text, count, reason, cue, *rest = columns
    return tuple(
        map(
            PieceOutline,
            map(authors.__getitem__, author),
            step,
            position,
            text,
            count,
            reason,
            map(_cue, cue),
            *rest,
        )
    )


def _cue(value: list[Any] | None) -> Cue | None:
    return Cue(value[0], Category(value[1]), value[2], value[3]) if value else None
