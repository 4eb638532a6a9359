"""The `baton solve` line that repeats a run in a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from enum import Enum
from typing import Any

from pydantic import BaseModel

from core.engines.body import Author
from core.run import RunSettings
from core.settings import ModelChoice
from core.thinking.events import RunStarted
from core.thinking.limits import Limits
from core.thinking.registry import POLICIES

NAMED = {"policy", "seed", "max_tokens", "limits", "alternatives"}
"""What has an option of its own, or makes no difference to the text."""


def command_line(problem: str, settings: RunSettings, models: ModelChoice) -> str:
    """Only what differs from the nearest preset and from the defaults is said."""
    policy = settings.policy
    presets = POLICIES.of(policy).presets
    preset = min(presets, key=lambda name: len(_changed(policy, presets[name])), default="")
    assignments = _changed(policy, presets[preset] if preset else type(policy)())
    assignments |= _changed(settings, RunSettings(), leave=NAMED)
    assignments |= _changed(settings.limits, Limits())
    words = ["baton", "solve", problem]
    if not models.is_demo:
        words += ["--small", str(models.small), "--large", str(models.large)]
    if models.context != ModelChoice().context:
        words += ["--context", str(models.context)]
    words += ["--policy", policy.policy, *(["--preset", preset] if preset else []), "--seed", str(settings.seed)]
    words += ["--max-tokens", str(settings.max_tokens)]
    for name, value in assignments.items():
        words += ["--set", f"{name}={_plain(value)}"]
    return shlex.join(words)


def models_of(started: RunStarted, chosen: ModelChoice) -> ModelChoice:
    """The models that a run used, by its trace; those chosen now where the trace does not say (before version 0.2)."""
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
