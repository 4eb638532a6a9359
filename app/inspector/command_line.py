"""The `baton solve` line that repeats a run in a terminal, and why there may be none."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Any

from pydantic import BaseModel

from baton_reasoning.core.demo_pair import demo_settings
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.options import ServerUrls
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.text import shell_command
from baton_reasoning.core.thinking.events import RunStarted
from baton_reasoning.core.thinking.trace import Trace

NAMED = {"policy", "seed", "max_tokens", "limits", "alternatives"}
"""Fields that have an option of their own, or make no difference to the text."""


def command_line(problem: str, settings: RunSettings, models: ModelChoice) -> str:
    """Return the command that repeats a run; it names only what differs from the terminal's defaults."""
    usual = RunSettings(policy=type(settings.policy)())
    if models.is_demo:
        usual = demo_settings(usual)
    arguments = ["baton", "solve", problem, "--small", str(models.small), "--large", str(models.large)]
    if not (isinstance(models.small, ServerUrls) and isinstance(models.large, ServerUrls)):
        arguments += ["--context", str(models.context)]
    arguments += ["--policy", settings.policy.policy, "--seed", str(settings.seed)]
    arguments += ["--max-tokens", str(settings.max_tokens)]
    changed = _changed(settings.policy, usual.policy) | _changed(settings, usual, leave=NAMED)
    for name, value in (changed | _changed(settings.limits, usual.limits)).items():
        arguments += ["--set", f"{name}={_plain(value)}"]
    return shell_command(arguments)


def models_of(started: RunStarted, chosen: ModelChoice) -> ModelChoice:
    """Return the models that a run used and their context, or what is chosen now where its trace does not say."""
    used: dict[str, Any] = {author.value: card.source for author, card in started.cards.items() if card.source}
    contexts = [card.context for card in started.cards.values() if card.placement]  # a server's is its own
    return chosen.model_copy(update=used | ({"context": min(contexts)} if contexts else {}))


def why_not_repeatable(trace: Trace) -> str:
    """Return why no command repeats an answer, in a sentence; "" if one does."""
    asked = trace.started.conversation if trace.started else ()
    reasons = {
        "it follows an earlier answer": any(message.role == "assistant" for message in asked),
        "it was written in several runs": len(trace.runs) > 1,
        "a person wrote a part of it": any(piece.author is Author.PERSON for piece in trace.pieces),
        "a person steered it": trace.is_steered,
    }
    found = [reason for reason, applies in reasons.items() if applies]
    return f"No command repeats this answer: {', and '.join(found)}." if found else ""


def _changed(settings: BaseModel, defaults: BaseModel, leave: Collection[str] = ()) -> dict[str, Any]:
    before, now = defaults.model_dump(), settings.model_dump()
    return {name: value for name, value in now.items() if name not in leave and value != before[name]}


def _plain(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)
