"""Predicts how long an answer takes with a pair of models, and with the large model alone: the model of the cost.

    seconds of a model = written × decode + checked × further + read × prefill

It decodes each token that it writes, and reads the prompt and what the other one wrote. The first token of a write
comes from the decode that reads, and the last one, at which it is stopped, is decoded too; so a handoff costs what is
read and one decode. A large model that checks k drafts a decode writes E = (1 − a^(k+1)) / (1 − a) tokens with it at an
acceptance of a (Leviathan et al. 2023, eq. 1). So one token of an answer with a large share of s takes, with the costs
S and L of the two models, and without the decode of each handoff:

    large alone    L.decode
    drafted        (L.decode + k × (L.further + S.decode)) / E, with the k that is fastest
    pair           (1 − s) × S.decode + s × L.decode + (1 − s) × L.prefill + s × S.prefill

docs/models.md says what is measured, what is assumed, and where it is wrong.
"""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.drafting import LENGTHS, USUAL_ACCEPTANCE, tokens_per_decode
from baton_reasoning.core.thinking.events import HandedOver
from baton_reasoning.core.thinking.trace import Trace

USUAL_SHARE = 0.2
"""Large share that is assumed before a run: 0.1 to 0.3 in the paper's tables."""
READING = 0.1
"""What reading a token is assumed to cost of a decode where nothing was measured: 0.02 on GPUs, 0.2 on CPUs."""
ENOUGH_DECODES = 8
"""Decodes of the large model in a run from which their mean is its cost."""


class ModelCost(BaseModel):
    """What a model costs on this machine, in seconds."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    decode: float = Field(gt=0, description="A decode of one token, with sampling.")
    further: float = Field(ge=0, description="Each further token in a decode of a few that are all scored, as drafts.")
    prefill: float = Field(ge=0, description="Each further token of a text that is read.")

    @classmethod
    def relative(cls, active_bytes: float) -> ModelCost:
        """Estimate a cost in proportion to the bytes that a decode reads. Only ratios of such costs mean anything."""
        return cls(decode=active_bytes, further=active_bytes, prefill=READING * active_bytes)


class Work(NamedTuple):
    """What one model does for an answer, in tokens; or for one token of an answer, in parts of tokens."""

    written: float
    """Decodes: of tokens, kept or not, of drafts for the other model, and one for each handoff. An accepted draft
    needs none."""
    checked: float = 0.0
    """Drafts of the other model."""
    read: float = 0.0

    def seconds(self, cost: ModelCost) -> float:
        return self.written * cost.decode + self.checked * cost.further + self.read * cost.prefill


class ExpectedSpeed(NamedTuple):
    """Tokens per second."""

    large: float
    drafted: float
    """The large model alone, with drafts of the small one."""
    pair: float
    share: float
    """The large share of the pair."""


def expected_speed(small: ModelCost, large: ModelCost, share: float = USUAL_SHARE) -> ExpectedSpeed:
    """Predict the speed of answers to short prompts, at the usual acceptance of drafts."""
    return ExpectedSpeed(
        1 / large.decode, 1 / drafted_seconds(small, large), 1 / pair_seconds(small, large, share), share
    )


def pair_seconds(small: ModelCost, large: ModelCost, share: float) -> float:
    """Return the seconds of a token that the pair writes without drafts."""
    return Work(1 - share, read=share).seconds(small) + Work(share, read=1 - share).seconds(large)


def drafted_seconds(small: ModelCost, large: ModelCost, acceptance: float = USUAL_ACCEPTANCE) -> float:
    """Return the seconds of a token of the large model with drafts of the small one: plain ones if none pay."""
    return min(
        (Work(1, checked=k).seconds(large) + Work(k).seconds(small)) / tokens_per_decode(acceptance, k) for k in LENGTHS
    )


def seconds_of_large_alone(trace: Trace, cost: ModelCost | None = None) -> float | None:
    """Estimate how long the large model alone would have taken for as many tokens as this answer has.

    Its cost is what it was in the run; if it decoded too little there, or with drafts, the measured `cost`. None if
    neither is known, and if one model alone wrote the answer.
    """
    started, large = trace.started, trace.totals[Author.LARGE]
    is_alone = not large.kept or not (large.drafts or trace.totals[Author.SMALL].decoded)
    if is_alone or not (started and started.large):
        return None
    handoffs = sum(isinstance(event, HandedOver) and event.author is Author.LARGE for event in trace.events)
    decodes = large.decoded - handoffs
    if decodes >= ENOUGH_DECODES and not large.drafts:
        decode = large.decode_seconds / decodes
        prefill = large.handoff_seconds / max(large.prefilled, 1)
    elif cost:
        decode, prefill = cost.decode, cost.prefill
    else:
        return None
    return trace.tokens * decode + started.prompt_tokens * prefill
