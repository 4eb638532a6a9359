"""Says what to expect of a pair on this machine, and how long the large model alone would have taken."""

from __future__ import annotations

from collections.abc import Iterable

from baton_reasoning.app.shared.format import duration, rough_duration
from baton_reasoning.core.expected_time import (
    USUAL_SHARE,
    ExpectedSpeed,
    ModelCost,
    expected_speed,
    pair_seconds,
    seconds_of_large_alone,
)
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.models.gguf import GgufHeader
from baton_reasoning.core.run import Pair
from baton_reasoning.core.thinking.trace import Trace


def speed_of_pair(pair: Pair, costs: ModelCosts) -> str:
    """Say what to expect of a loaded pair in a sentence; nothing until both models have been measured."""
    if not (pair.small and pair.large and pair.small.card.placement and pair.large.card.placement):
        return ""
    small, large = costs.of(pair.small.card), costs.of(pair.large.card)
    if not (small and large):
        return ""
    return _speed_text(expected_speed(small, large), not pair.large.card.obstacle_to_drafts_of(pair.small.card))


def speed_of_files(small: GgufHeader, large: GgufHeader, costs: ModelCosts) -> str:
    """Say what to expect of two files: as measured when they were loaded last, else estimated from their sizes."""
    of_small, of_large = costs.of_file(small.path), costs.of_file(large.path)
    if not (of_small and of_large):
        return estimate_from_sizes(small.active_bytes, large.active_bytes)
    can_draft = small.vocabulary_hash == large.vocabulary_hash and small.supports_truncation
    return _speed_text(expected_speed(of_small, of_large), can_draft and large.supports_truncation)


def estimate_from_sizes(small_bytes: int, large_bytes: int) -> str:
    """Say in a sentence what the bytes suggest that two models read for a token."""
    small, large = ModelCost.relative(small_bytes), ModelCost.relative(large_bytes)
    return (
        f"Estimated from their sizes: the pair takes about {relative_time(small, large):.0%} of the time of the large "
        f"model alone, at a large share of {USUAL_SHARE:.0%}."
    )


def bytes_per_second(headers: Iterable[GgufHeader], costs: ModelCosts) -> float | None:
    """Return how many bytes of a model this machine reads in a second of decoding, by the largest model that was
    measured here; None if none was."""
    measured = [(header.active_bytes, cost) for header in headers if (cost := costs.of_file(header.path))]
    if not measured:
        return None
    size, cost = max(measured, key=lambda each: each[0])
    return size / cost.decode


def speed_from_sizes(small_bytes: int, large_bytes: int, rate: float) -> str:
    """Say what to expect of two models that were never loaded; `rate`: of `bytes_per_second`."""
    small, large = ModelCost.relative(small_bytes / rate), ModelCost.relative(large_bytes / rate)
    return f"{_speed_text(expected_speed(small, large), can_draft=False)} Estimated from a model that ran here."


def relative_time(small: ModelCost, large: ModelCost) -> float:
    """Return the time of a pair at the usual large share, over that of the large model alone."""
    return pair_seconds(small, large, USUAL_SHARE) / large.decode


def _speed_text(speed: ExpectedSpeed, can_draft: bool) -> str:
    """Return “Large alone about 3 tok/s; drafted about 6; pair about 9 at a large share of 20%.”"""
    drafted = f"; drafted about {_rate(speed.drafted)}" if can_draft else ""
    pair = f"; pair about {_rate(speed.pair)} at a large share of {speed.share:.0%}."
    return f"Large alone about {_rate(speed.large)} tok/s{drafted}{pair}"


def _rate(tokens_per_second: float) -> str:
    return f"{tokens_per_second:.1f}" if tokens_per_second < 3 else f"{tokens_per_second:,.0f}"


def time_saved(trace: Trace, cost_of_large: ModelCost | None = None) -> str:
    """Return “2 min 10 s; the large model alone would have taken about 6 min.”; nothing where that is not known."""
    alone = seconds_of_large_alone(trace, cost_of_large) if trace.ended else None
    if alone is None:
        return ""
    return f"{duration(trace.seconds)}; the large model alone would have taken about {rough_duration(alone)}."
