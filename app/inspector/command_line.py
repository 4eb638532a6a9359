"""The `baton solve` line that repeats a run in a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from enum import Enum
from typing import Any

from pydantic import BaseModel

from baton_reasoning.core.demo_pair import DEMO_SETTINGS
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.run import RunSettings, effective_settings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.thinking.events import RunStarted
from baton_reasoning.core.thinking.registry import POLICIES

NAMED = {"policy", "seed", "max_tokens", "limits", "alternatives"}
"""Fields that have an option of their own, or make no difference to the text."""


def command_line(problem: str, settings: RunSettings, models: ModelChoice) -> str:
    """Return the command that repeats a run; it names only what differs from the terminal's defaults."""
    preset, usual = _nearest_preset(settings, models.is_demo)
    arguments = ["baton", "solve", problem, "--small", str(models.small), "--large", str(models.large)]
    arguments += ["--context", str(models.context)]
    arguments += ["--policy", settings.policy.policy, *(["--preset", preset] if preset else [])]
    arguments += ["--seed", str(settings.seed), "--max-tokens", str(settings.max_tokens)]
    for name, value in _assignments(settings, usual).items():
        arguments += ["--set", f"{name}={_plain(value)}"]
    return shlex.join(arguments)


def _nearest_preset(settings: RunSettings, is_demo: bool) -> tuple[str, RunSettings]:
    """Return the preset that needs the fewest `--set`, and the settings that the terminal makes of it."""
    policy = settings.policy
    starts = POLICIES.of(policy).presets or {"": type(policy)()}
    usual = {name: RunSettings(policy=start) for name, start in starts.items()}
    if is_demo:
        usual = {name: effective_settings(each, DEMO_SETTINGS) for name, each in usual.items()}
    name = min(usual, key=lambda name: len(_assignments(settings, usual[name])))
    return name, usual[name]


def _assignments(settings: RunSettings, usual: RunSettings) -> dict[str, Any]:
    changed = _changed(settings.policy, usual.policy) | _changed(settings, usual, leave=NAMED)
    return changed | _changed(settings.limits, usual.limits)


def models_of(started: RunStarted, chosen: ModelChoice) -> ModelChoice:
    """Return the models that a run used, or those chosen now where its trace does not say."""
    sources = {
        author.value: card.source
        for author, card in ((Author.SMALL, started.small), (Author.LARGE, started.large))
        if card and card.source
    }
    return chosen.model_copy(update=sources)


def _changed(settings: BaseModel, defaults: BaseModel, leave: Collection[str] = ()) -> dict[str, Any]:
    before, now = defaults.model_dump(), settings.model_dump()
    return {name: value for name, value in now.items() if name not in leave and value != before[name]}


def _plain(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)
