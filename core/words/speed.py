"""Says what to expect of a pair on this machine, where it hardly pays, how long the large model alone would have taken,
and why an answer did not pay."""

from __future__ import annotations

from collections.abc import Iterable

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.model_costs import (
    USUAL_SHARE,
    ModelCost,
    ModelCosts,
    drafted_seconds,
    pair_seconds,
    seconds_of_large_alone,
)
from baton_reasoning.core.models.gguf import GgufHeader
from baton_reasoning.core.run import Pair
from baton_reasoning.core.thinking.events import Finish, TakeoverStarted
from baton_reasoning.core.thinking.policy import Policy
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.requirements import unmet_need
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.numbers import duration, rough_duration

HARDLY_FASTER = 0.9
"""Of the large model's time. Predictions for pairs were off by a seventh (P12, docs/measurements.md): a gain of a tenth
may be none."""
FEWEST_PARAMETERS = 500_000_000
"""Of a small model. Of 24 problems of GSM8K, SmolLM2-135M solved 1; the paper's small models begin at 1.5 billion."""
WIDEST_GAP = 8
"""Times as many parameters as a small model that was not trained to reason. One that was trained worked at 1.5 to 32
billion in the paper."""

NEARLY_ALL = 0.8
"""A large share above it leaves the small model next to nothing to gain."""
SPARING = "first-token-entropy"
"""The policy that is advised where the large model writes too much under another."""


def speed_of_pair(pair: Pair, costs: ModelCosts) -> str:
    """Say what to expect of a loaded pair in a sentence; nothing until both models have been measured."""
    if not (pair.small and pair.large and pair.small.card.placement and pair.large.card.placement):
        return ""
    small, large = costs.of(pair.small.card), costs.of(pair.large.card)
    if not (small and large):
        return ""
    speed = _speed_text(small, large, not pair.large.card.obstacle_to_drafts_of(pair.small.card))
    is_reasoner = pair.small.card.thinking is not None
    return f"{speed}{gap_warning(pair.small.card.parameters, pair.large.card.parameters, is_reasoner)}"


def speed_of_files(small: GgufHeader, large: GgufHeader, costs: ModelCosts) -> str:
    """Say what to expect of two files: as measured when they were loaded last, else estimated from their sizes."""
    of_small, of_large = costs.of_file(small.path), costs.of_file(large.path)
    if of_small and of_large:
        can_draft = small.vocabulary_hash == large.vocabulary_hash and small.supports_truncation
        speed = _speed_text(of_small, of_large, can_draft and large.supports_truncation)
    else:
        speed = estimate_from_sizes(small.active_bytes, large.active_bytes)
    return f"{speed}{gap_warning(small.parameters, large.parameters, small.thinking_tags is not None)}"


def estimate_from_sizes(small_bytes: int, large_bytes: int) -> str:
    """Say in a sentence what the bytes suggest that two models read for a token."""
    time = relative_time(ModelCost.relative(small_bytes), ModelCost.relative(large_bytes))
    return (
        f"Estimated from their sizes: the pair takes about {time:.0%} of the time of the large model alone, at a large "
        f"share of {USUAL_SHARE:.0%}.{_time_warning(time)}"
    )


def bytes_per_second(headers: Iterable[GgufHeader], costs: ModelCosts) -> float | None:
    """Return how many bytes of a model this machine reads in a second of decoding, by the largest model that was
    measured here; None if none was."""
    measured = [(header.active_bytes, cost) for header in headers if (cost := costs.of_file(header.path))]
    if not measured:
        return None
    size, cost = max(measured, key=lambda each: each[0])
    return size / cost.decode


def relative_time(small: ModelCost, large: ModelCost) -> float:
    """Return the time of a pair at the usual large share, over that of the large model alone."""
    return pair_seconds(small, large, USUAL_SHARE) / large.decode


def _speed_text(small: ModelCost, large: ModelCost, can_draft: bool) -> str:
    """Return “Large alone about 3 tok/s; drafted about 6; pair about 9 at a large share of 20%.”"""
    drafted = f"; drafted about {_rate(drafted_seconds(small, large))}" if can_draft else ""
    pair = f"; pair about {_rate(pair_seconds(small, large, USUAL_SHARE))} at a large share of {USUAL_SHARE:.0%}."
    return f"Large alone about {_rate(large.decode)} tok/s{drafted}{pair}{_time_warning(relative_time(small, large))}"


def _time_warning(time: float) -> str:
    """Return what follows from a predicted time, over that of the large model alone; empty where the pair is faster."""
    return " The large model alone is likely as fast, and at least as accurate." if time >= HARDLY_FASTER else ""


def gap_warning(small: int, large: int, is_reasoner: bool) -> str:
    """Return what follows from the parameters of two models; empty where the small one may do, or is not known.

    `is_reasoner`: whether the small model was trained to reason.
    """
    is_wide = large > WIDEST_GAP * small and not is_reasoner
    if not small or not (is_wide or small < FEWEST_PARAMETERS):
        return ""
    return (
        " The small model may be too weak: where it gets nothing right, the pair gains nothing. First compare it, the "
        "pair and the large model in a batch of ten problems."
    )


def _rate(seconds: float) -> str:
    return f"{1 / seconds:.1f}" if 1 / seconds < 3 else f"{1 / seconds:,.0f}"


def did_not_pay(trace: Trace, cost_of_large: ModelCost | None = None) -> str:
    """Say that an answer of two models gained nothing, and what to change: “The large model wrote nearly
    everything (93%). To let it write less, choose a higher “Unsure from (τ)” than 1.”

    "" if it paid or did not end well, and if one model was to write alone, was lost, or was called by a person.
    `cost_of_large`: see `seconds_of_large_alone`.
    """
    policy = POLICIES.get(trace.started.policy) if trace.started and trace.finish is Finish.END_OF_TEXT else None
    is_by_choice = trace.is_steered or any(notice.lost for notice in trace.notices)
    if policy is None or len(policy.needs.writers) < 2 or is_by_choice:
        return ""
    share, less = trace.large_share, _lets_it_write_less(trace, policy)
    if share > NEARLY_ALL:
        how = f" To let it write less, choose {less}." if less else ""
        return f"The large model wrote nearly everything ({share:.0%}).{how}"
    alone = seconds_of_large_alone(trace, cost_of_large)
    if alone is None or trace.seconds < HARDLY_FASTER * alone:
        return ""
    found = f"{share:.0%} by the large model, {duration(trace.seconds)}; alone about {rough_duration(alone)}"
    return f"{found}: nothing gained. Choose {f'{less} or ' if less else ''}models farther apart in size."


def _lets_it_write_less(trace: Trace, policy: type[Policy]) -> str:
    """Return “a higher “Unsure from (τ)” than 1”: the setting that was the limit of most of its takeovers; else the
    policy under which it writes less, if these models can run that and did not."""
    assert trace.started
    takeovers = [event for event in trace.events if isinstance(event, TakeoverStarted) and event.author is Author.LARGE]
    measures = [event.measure for event in takeovers if event.measure]
    if measures and 2 * len(measures) >= len(takeovers):
        last, settings = measures[-1], trace.started.settings.get("policy", {})
        how = "higher" if last.value >= last.limit else "lower"
        for name, field in policy.Settings.model_fields.items():
            if settings.get(name) == last.limit:
                return f"a {how} “{field.title}” than {last.limit:g}"
    sparing = POLICIES[SPARING]
    is_possible = policy is not sparing and unmet_need(sparing, trace.started.cards) is None
    return f"the policy “{sparing.title}”" if is_possible else ""


def time_saved(trace: Trace, cost_of_large: ModelCost | None = None) -> str:
    """Return “2 min 10 s; the large model alone would have taken about 6 min.”; nothing where that is not known."""
    alone = seconds_of_large_alone(trace, cost_of_large) if trace.ended else None
    if alone is None:
        return ""
    return f"{duration(trace.seconds)}; the large model alone would have taken about {rough_duration(alone)}."
