"""Decides how many tokens the small model drafts for the large one, by what drafts cost and save on this machine.

While the large model writes, the small one drafts the next k tokens. The large one decodes its last token and the
drafts in one batch, samples position by position with its own sampler, and accepts drafts up to the first difference:
every token is sampled from its own distribution, and drafts only save decodes. The small one samples its drafts by the
random numbers of the same positions: where the two models agree on what is likely, they sample the same token.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from baton_reasoning.core.engines.body import Part
from baton_reasoning.core.engines.local.messages import Drafts, DraftsWanted
from baton_reasoning.core.errors import EngineError
from baton_reasoning.core.models.sampling import Sampling

LENGTHS = (0, 1, 2, 3, 4, 6, 8)
"""The numbers of drafts to choose from; 0 is no drafting."""
USUAL_ACCEPTANCE = 0.7
"""Assumed acceptance rate of drafts from a small model of the same family, before any was measured."""
FIRST = 4
"""Drafts of a decode before their cost is known."""
PLAIN_TOKENS = 4
"""Tokens written without drafts at the beginning, to time plain decodes."""
FIRST_PAUSE, LONGEST_PAUSE = 64, 2048
"""Tokens without drafts after drafts that did not pay; doubled after each such trial."""
MEMORY = 0.8
"""Weight of the past in moving averages."""


class DraftPlan(NamedTuple):
    """`drafts` for the next decode; if there are none, `plain` tokens are written before the next decision."""

    drafts: int
    plain: int = 0


@dataclass
class DraftLength:
    """Chooses k so that tokens per second are highest: a decode with k drafts costs k drafts and is k tokens wider."""

    acceptance: float = USUAL_ACCEPTANCE
    plain_seconds: float = 0.0
    """A decode of one token by the large model; 0 until it is known."""
    seconds_a_draft: float = 0.0
    """One more token in a decode and one draft, together."""
    _next_pause: int = FIRST_PAUSE
    _paused: int = 0
    """Remaining tokens of a pause."""
    _is_known: bool = False
    """Whether drafts were measured since the last pause."""

    def plan(self) -> DraftPlan:
        if not self.plain_seconds:
            return DraftPlan(0, PLAIN_TOKENS)
        if self._paused > 0:
            return DraftPlan(0, self._paused)
        if not self._is_known:
            return DraftPlan(FIRST)
        if best := max(LENGTHS, key=self.speed):
            self._next_pause = FIRST_PAUSE
            return DraftPlan(best)
        self._paused, self._next_pause = self._next_pause, min(self._next_pause * 2, LONGEST_PAUSE)
        self._is_known = False
        return DraftPlan(0, self._paused)

    def record_plain(self, tokens: int) -> None:
        """Record tokens written without drafts: a pause continues from one write to the next."""
        self._paused = max(0, self._paused - tokens)

    def speed(self, drafts: int) -> float:
        """Estimate the tokens per second with so many drafts a decode."""
        return tokens_per_decode(self.acceptance, drafts) / (self.plain_seconds + drafts * self.seconds_a_draft)

    def record(self, drafts: int, accepted: int, seconds: float) -> None:
        """Record a decode with drafts: how many were accepted, and the seconds of drafting, decode and sampling."""
        tried = min(accepted + 1, drafts)  # those after the first rejected one were not compared
        self.acceptance = MEMORY**tried * self.acceptance + (1 - MEMORY**tried) * accepted / tried
        extra = max(seconds - self.plain_seconds, 0.0) / drafts
        before = self.seconds_a_draft or extra
        self.seconds_a_draft = MEMORY * before + (1 - MEMORY) * extra
        self._is_known = True


def tokens_per_decode(acceptance: float, drafts: int) -> float:
    """Return (1 − a^(k+1)) / (1 − a), the tokens that a decode with k drafts yields (Leviathan et al. 2023, eq. 1)."""
    a = min(acceptance, 0.99)
    return float((1 - a ** (drafts + 1)) / (1 - a))


@dataclass
class DraftedWrite:
    """A write of the large model, as the small one has to know it to draft for it."""

    body: Sequence[Part] = ()
    written: Sequence[int] = ()
    """Its tokens so far; this grows."""
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    position: int = 0
    """Tokens of the body before it."""
    is_read: bool = False
    """Whether the small model has read its body."""


class Drafter:
    """Lets the small model draft for the writes of a session of the large one."""

    def __init__(self, session: DraftingSession, length: DraftLength) -> None:
        """`length`: what was measured of this pair of models, kept from one conversation to the next."""
        self._session = session
        self._length = length
        self._write = DraftedWrite()
        self._plain_from = 0
        """Tokens written at the last decision: those since then are counted as written without drafts."""
        self._seconds = 0.0
        """Time that the last drafts took, without the prefill, which serves all drafts of the write."""
        self._is_lost = False

    def begin(self, write: DraftedWrite) -> int:
        """Begin a write of the large model; return how many tokens it writes before it asks for drafts."""
        self._count_plain()
        self._write, self._plain_from = write, 0
        plan = self._length.plan()
        return 1 if plan.drafts else plan.plain

    def answer(self, wanted: DraftsWanted) -> Drafts:
        """Draft what the large model tries next, or tell it how many tokens to write without."""
        self._count_plain()
        if wanted.plain_seconds:
            self._length.plain_seconds = wanted.plain_seconds
        if wanted.tried:
            self._length.record(wanted.tried, wanted.accepted, self._seconds + wanted.seconds)
        plan = self._length.plan()
        if not plan.drafts or self._is_lost:
            return Drafts(wanted.request, (), max(plan.plain, FIRST_PAUSE) if self._is_lost else plan.plain)
        began = time.perf_counter()
        try:
            drafted = self._session.draft(self._write, plan.drafts)
        except EngineError:
            self._is_lost = True  # the large model goes on without drafts; the small one's next write reports it
            return Drafts(wanted.request, (), FIRST_PAUSE)
        self._seconds = time.perf_counter() - began - drafted.read_seconds
        return Drafts(wanted.request, drafted.ids, 0 if drafted.ids else FIRST_PAUSE)

    def _count_plain(self) -> None:
        self._length.record_plain(len(self._write.written) - self._plain_from)
        self._plain_from = len(self._write.written)


class DraftedTokens(NamedTuple):
    """The small model's drafts for one decode of the large one."""

    ids: tuple[int, ...]
    read_seconds: float = 0.0
    """For the prefill in the first call for a write, which serves all of its drafts."""


class DraftingSession(Protocol):
    """The part of a small model's session that a Drafter uses."""

    def draft(self, write: DraftedWrite, count: int) -> DraftedTokens: ...
