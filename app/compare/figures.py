"""Texts of a comparison: arm titles, figures, and their difference from the first column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.shared.format import duration, percent_more, times_as_many
from core.demo_pair.settings import DEMO_SETTINGS
from core.engines.body import Author
from core.grading.grader import Standing
from core.grading.verdict import Outcome
from core.run import RunSettings
from core.thinking.policy import PolicySettings
from core.thinking.registry import POLICIES, difference, with_advice
from core.thinking.trace import Trace

MOST_DIFFERENCES = 2
"""Parameters that a title names; more would not be read."""
VERDICTS = {Outcome.CORRECT: "✓ right", Outcome.WRONG: "✗ wrong"}


class Figure(NamedTuple):
    name: str
    value: str
    difference: str = ""
    """From the first column's."""


def title_of(settings: RunSettings) -> str:
    """The policy, and what sets it apart: "Small only", "Keywords (baton)", "Keywords (baton), one_cue = True"."""
    policy = POLICIES.of(settings.policy)
    presets = policy.presets or {"": policy.Settings()}
    preset, apart = min(_differences(settings.policy, presets).items(), key=lambda item: len(item[1]))
    title = f"{policy.title} ({preset})" if preset else policy.title
    changes = [f"{name} = {value}" for name, value in apart.items()][:MOST_DIFFERENCES]
    more = ["…"] if len(apart) > MOST_DIFFERENCES else []
    return ", ".join([title, *changes, *more, *(["own cues"] if settings.cue_list else [])])


def _differences(chosen: PolicySettings, presets: Mapping[str, PolicySettings]) -> dict[str, dict[str, Any]]:
    """How the parameters differ from each preset. The demo pair's own lengths make no difference."""
    apart = {}
    for name, preset in presets.items():
        usual = [preset, with_advice(preset, DEMO_SETTINGS.policy)]
        apart[name] = min((difference(chosen, each) for each in usual), key=len)
    return apart


def figures(trace: Trace, first: Trace | None, times_are_known: bool = True) -> list[Figure]:
    """What an answer cost. `first`: the first column's, to compare with; None for itself and while it is written.

    `times_are_known` is False where something else made one of the two slower.
    """
    tokens = percent_more(trace.tokens, first.tokens) if first else ""
    takeovers = f"{trace.totals[Author.LARGE].takeovers:,}"
    found = [Figure("Tokens", f"{trace.tokens:,}", tokens), Figure("Takeovers", takeovers)]
    if trace.seconds > 0:
        longer = times_as_many(trace.seconds, first.seconds) if first and times_are_known else ""
        rate = f"{trace.tokens / trace.seconds:,.0f} tok/s"
        found += [Figure("Time", duration(trace.seconds), longer), Figure("Speed", rate)]
    return found


def standing_in_words(standing: Standing, titles: Sequence[str]) -> str:
    """✓ right, ✗ wrong; where nothing is expected: = all agree, = as Small only, ≠ differs."""
    if standing.answer is None:
        return "✗ no answer" if standing.outcome is Outcome.WRONG else "no answer"
    if standing.outcome in VERDICTS:
        return VERDICTS[standing.outcome]
    if len(standing.same) == len(titles) - 1:
        return "= all agree" if len(titles) > 2 else "= they agree"
    return f"= as {titles[standing.same[0]]}" if standing.same else "≠ differs"
