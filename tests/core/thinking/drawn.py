"""Runs in worlds whose tokens are drawn by random numbers, as a model's are."""

from __future__ import annotations

import random

import pytest

from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.control import Control
from baton_reasoning.core.thinking.events import TakeoverStarted
from baton_reasoning.core.thinking.interruptions import Wish
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.oracles.worlds import World

MOST = 160
"""Tokens of a text."""
PRESETS: dict[str, PolicySettings] = {
    f"{name} {preset}".strip(): settings
    for name, policy in POLICIES.items()
    for preset, settings in (policy.presets or {"": policy.Settings()}).items()
}
every_policy = pytest.mark.parametrize("policy", PRESETS.values(), ids=PRESETS)
"""Under each preset, or with its defaults."""


def settings_of(policy: PolicySettings, seed: int) -> RunSettings:
    """With short steps, so that caps are met, and small numbers, so that each rule fires."""
    dice = random.Random(seed)
    changes = {"step_cap": dice.choice((6, 512)), "n1": dice.choice((4, 20)), "n2": 12, "n3": 12, "n3_step": 3}
    changes |= {"n3_most": 18, "c": 2, "c_step": 1, "c_most": 3, "opening": dice.choice((0, 9)), "sentence_cap": 9}
    fitting = {name: value for name, value in changes.items() if name in type(policy).model_fields}
    return RunSettings(policy=policy.model_copy(update=fitting), seed=seed, max_tokens=MOST, alternatives=4)


def written(
    world: World,
    settings: RunSettings,
    before: Trace | None = None,
    wish: Wish | None = None,
    control: Control | None = None,
) -> Trace:
    """The text to its end, from where `before` was interrupted."""
    trace, asked = before or Trace(), ask("Add.", settings)
    for event in run(Pair(*world.engines), asked, settings, control=control, before=trace, wish=wish):
        trace.apply(event)
    return trace


def outcome(trace: Trace) -> tuple[object, ...]:
    """What must not depend on an interruption."""
    spans = [(piece.author, piece.text, piece.reason, piece.handoff is None) for piece in trace.pieces]
    takeovers = [(each.reason, each.position) for each in trace.events if isinstance(each, TakeoverStarted)]
    kept = {author: (total.kept, total.takeovers) for author, total in trace.totals.items()}
    return spans, takeovers, kept, dict(trace.counters), trace.finish
