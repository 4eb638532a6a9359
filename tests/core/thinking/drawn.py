"""Runs in worlds whose tokens are drawn by random numbers, as a model's are."""

from __future__ import annotations

import random
from contextlib import suppress
from enum import Enum
from typing import Any

import pytest
from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.interruptions import Control, Limits, Wish
from baton_reasoning.core.thinking.policy import Policy, PolicySettings
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.steps import Boundary
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


def random_settings(policy: type[Policy], dice: random.Random) -> RunSettings:
    """Any values that the policy's form accepts, with any limits."""
    while True:
        values = {
            name: random_value(field, dice) for name, field in policy.Settings.model_fields.items() if name != "policy"
        }
        settings = policy.Settings.model_validate(values)
        with suppress(SettingsError):
            settings.check_values()
            break
    limits = Limits(
        max_thinking_tokens=dice.choice((0, 0, 1, 30)),
        max_large_share=dice.choice((1, 1, 0.3, 0)),
        repetition=dice.random() < 0.8,
    )
    return RunSettings(
        policy=settings,
        seed=dice.randrange(99),
        max_tokens=dice.choice((1, 30, MOST)),
        limits=limits,
        boundary=dice.choice(tuple(Boundary)),
        small_alone=dice.random() < 0.7,
    )


def random_value(field: FieldInfo, dice: random.Random) -> Any:
    kind = field.annotation
    least: Any = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), 0)
    most: Any = next((bound.le for bound in field.metadata if isinstance(bound, Le)), 3)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return dice.choice(tuple(kind))
    if kind is bool:
        return dice.random() < 0.5
    if kind is int:
        return least + dice.choice((0, 1, 2, 5, 20, 600))
    return dice.uniform(least, most) if kind is float else dice.choice(("", "So ", "\n\n", "</think>"))


def odd_models(dice: random.Random) -> World:
    """Two models that end anywhere, split characters and boundaries, think or not, run out of context, or get lost."""
    world = World(
        dice.randrange(10_000),
        tagged=dice.random() < 0.7,
        cue_rate=dice.choice((0, 0.1, 0.5)),
        drawn=True,
        end_rate=dice.choice((0, 0.01, 0.2)),
        split=dice.random() < 0.2,
        sewn=dice.random() < 0.5,
    )
    for engine in world.engines:
        engine.with_card(
            context=dice.choice((90, 100_000, 100_000)),
            thinking=dice.choice((engine.card.thinking, engine.card.thinking, None)),
        )
    return world


def written(
    world: World,
    settings: RunSettings,
    before: Trace | None = None,
    wish: Wish | None = None,
    control: Control | None = None,
    may_rewrite: bool = False,
) -> Trace:
    """The text to its end, from where `before` was interrupted. What is settled stands, unless a person rewrites it."""
    trace, asked, settled = before or Trace(), ask("Add.", settings), [before.text if before else ""]

    def settle(position: int) -> None:
        assert position > len(settled[-1])
        settled.append(trace.text[:position])

    pair = Pair(*world.engines)
    for event in run(pair, asked, settings, control=control, before=trace, wish=wish, on_settled=settle):
        trace.apply(event)
        assert may_rewrite or trace.text.startswith(settled[-1])
    assert may_rewrite or trace.text == settled[-1]
    assert trace.ended
    return trace
