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

NAMED = {"policy", "seed", "max_tokens", "limits", "alternatives"}
"""Fields that have an option of their own, or make no difference to the text."""


def command_line(problem: str, settings: RunSettings, models: ModelChoice) -> str:
    """Return the command that repeats a run; it names only what differs from the terminal's defaults."""
    usual = RunSettings(policy=type(settings.policy)())
    if models.is_demo:
        usual = effective_settings(usual, DEMO_SETTINGS)
    arguments = ["baton", "solve", problem, "--small", str(models.small), "--large", str(models.large)]
    arguments += ["--context", str(models.context), "--policy", settings.policy.policy]
    arguments += ["--seed", str(settings.seed), "--max-tokens", str(settings.max_tokens)]
    changed = _changed(settings.policy, usual.policy) | _changed(settings, usual, leave=NAMED)
    for name, value in (changed | _changed(settings.limits, usual.limits)).items():
        arguments += ["--set", f"{name}={_plain(value)}"]
    return shlex.join(arguments)


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
