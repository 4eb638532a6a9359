"""What a run cost, and how its text came about: figures that reports, exports and lists show without its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import reduce
from itertools import groupby
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, computed_field

from baton_reasoning.core.analysis.values import takeover_spans
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.usage import Usage, joined_currencies
from baton_reasoning.core.text import replace_lone_surrogates
from baton_reasoning.core.thinking.trace import Piece, Trace

RIBBON_SEGMENTS = 96


class Segment(NamedTuple):
    """A segment of a ribbon."""

    author: Author
    tokens: int


class Takeover(NamedTuple):
    """A takeover by the large model whose text stands."""

    reason: str
    """Id of the TakeoverReason."""
    cue: str
    """The word that led to it; empty without one."""

    @classmethod
    def of(cls, piece: Piece) -> Self:
        """Name what led to the takeover that begins with this piece."""
        cue = piece.cue.word if piece.cue else ""
        return cls(replace_lone_surrogates(piece.reason or ""), replace_lone_surrogates(cue))


class Cost(BaseModel):
    """What a run cost, or several together. Tokens are counted by each model's own tokenizer."""

    model_config = ConfigDict(frozen=True)

    small_tokens: int = Field(0, description="Kept tokens of the small model.")
    large_tokens: int = Field(0, description="Kept tokens of the large model.")
    discarded_tokens: int = Field(0, description="Tokens that were written and replaced.")
    small_read: int = Field(0, description="Tokens that the small model read.")
    large_read: int = Field(0, description="Tokens that the large model read.")
    small_recomputed: int = Field(
        0,
        description="Of small_read: at positions that the model had read or written before, because its cache had lost "
        "them or text stood there that was discarded.",
    )
    large_recomputed: int = Field(0, description="Of large_read, likewise.")
    small_decoded: int = Field(
        0,
        description="Tokens that the small model wrote, whether they were kept, discarded or only tried, and its "
        "drafts for the large model.",
    )
    large_decoded: int = Field(0, description="Likewise, and the drafts that the large model rejected.")
    handoffs: int = Field(0, description="Changes of the writer.")
    steps: int = 0
    large_steps: int = Field(0, description="Steps in which the large model wrote.")
    drafted: int = Field(
        0, description="Tokens of a server's draft model (speculative decoding), in no other figure but `accepted`."
    )
    accepted: int = Field(0, description="Drafted tokens that stand.")
    seconds: float = Field(
        0.0, description="By the clock, from the first prefill to the last token; the sum over several answers."
    )
    money: float = Field(0.0, description="What servers charge, in `currency`; 0 without prices.")
    currency: str = ""
    remote_tokens: int = Field(0, description="Tokens read and written by servers, discarded ones included.")

    @classmethod
    def total(cls, costs: Iterable[Cost]) -> Cost:
        """Add up costs; several currencies are all named."""
        listed = list(costs)
        currency = joined_currencies(cost.currency for cost in listed)
        names = Cost.model_fields.keys() - {"currency"}
        return Cost(**{name: sum(getattr(cost, name) for cost in listed) for name in names}, currency=currency)

    @property
    def tokens(self) -> int:
        """The kept tokens of both models."""
        return self.small_tokens + self.large_tokens

    @computed_field(description="Kept tokens of the large model over those of both, 0 to 1.")
    @property
    def large_share(self) -> float:
        return round(self.large_tokens / max(1, self.tokens), 6)


class RunCost(Cost):
    """What one run cost, and how its text came about. Everything is 0 or empty until the run has ended."""

    seconds_to_answer: float | None = None
    """To the first token of the answer; None without an answer."""
    takeovers: SkipValidation[tuple[Takeover, ...]] = ()
    ribbon: SkipValidation[tuple[Segment, ...]] = ()
    """Who wrote the kept tokens, in order; see `ribbon_of`."""

    @classmethod
    def of(cls, trace: Trace) -> Self:
        small, large = trace.totals[Author.SMALL], trace.totals[Author.LARGE]
        usage = reduce(Usage.plus, trace.usage.values(), Usage())
        began = trace.answer_began
        return cls(
            small_tokens=small.kept,
            large_tokens=large.kept,
            discarded_tokens=sum(piece.replaced_tokens for piece in trace.pieces),
            small_read=small.read_tokens,
            large_read=large.read_tokens,
            small_recomputed=small.recomputed,
            large_recomputed=large.recomputed,
            small_decoded=small.decoded + small.tried + large.drafts,
            large_decoded=large.decoded + large.tried + large.drafts - large.accepted_drafts,
            handoffs=trace.handoffs,
            steps=len(trace.steps),
            large_steps=len({piece.step for piece in trace.pieces if piece.author is Author.LARGE}),
            drafted=usage.cost.drafted,
            accepted=usage.cost.accepted,
            seconds=round(trace.seconds, 6),
            money=usage.money,
            currency=usage.currency,
            remote_tokens=usage.cost.read + usage.cost.written,
            seconds_to_answer=None if began is None else round(began, 6),
            takeovers=tuple(Takeover.of(span.piece) for span in takeover_spans(trace)),
            ribbon=ribbon_of(trace),
        )


def ribbon_of(trace: Trace) -> tuple[Segment, ...]:
    """Join pieces of one author that follow each other.

    If there are too many segments, the run is divided into equal lengths with one segment for each author, which keeps
    the shares.
    """
    segments = _joined(Segment(piece.author, len(piece.tokens)) for piece in trace.pieces)
    if len(segments) <= RIBBON_SEGMENTS:
        return segments
    shares = [Counter[Author]() for _ in range(RIBBON_SEGMENTS // len(Author))]
    total, at = max(1, sum(segment.tokens for segment in segments)), 0
    for segment in segments:
        shares[min(len(shares) - 1, at * len(shares) // total)][segment.author] += segment.tokens
        at += segment.tokens
    return _joined(Segment(author, share[author]) for share in shares for author in Author if share[author])


def _joined(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    groups = groupby(segments, key=lambda segment: segment.author)
    return tuple(Segment(author, sum(segment.tokens for segment in group)) for author, group in groups)
