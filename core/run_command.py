"""The options of `baton solve`: read as the settings of a run, and written as the line that repeats one.

What one reads, the other writes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from baton_reasoning.core.demo_pair import PROMPT, demo_settings
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import read_text
from baton_reasoning.core.models.source import ServerUrls
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import ModelChoice
from baton_reasoning.core.text import shell_command
from baton_reasoning.core.thinking.events import RunStarted
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policies.automatic import Automatic
from baton_reasoning.core.thinking.registry import POLICIES, settings_for
from baton_reasoning.core.thinking.trace import Trace

LISTED = "baton settings lists all names."

NAMED = {"policy", "seed", "max_tokens", "limits", "alternatives"}
"""Fields that have an option of their own, or make no difference to the text."""


def run_settings(
    *,
    policy: str | None = None,
    preset: str | None = None,
    set: Sequence[str] = (),
    cues: Path | None = None,
    seed: int | None = None,
    max_tokens: int | None = None,
    is_demo: bool,
) -> RunSettings:
    """Return the settings that these options of the terminal ask for.

    `set`: NAME=VALUE each. `is_demo`: for the demo pair, whose steps are short.
    Raises SettingsError that names the wrong value.
    """
    base = RunSettings()
    parameters = settable(type(base.policy))  # a parameter of the usual policy means that one
    is_usual = preset or any(text.partition("=")[0] in parameters for text in set)
    chosen = base.policy if is_usual else Automatic.Settings()
    if policy:
        chosen = settings_for(policy, base.policy)
    if preset:
        presets = POLICIES.named(chosen.policy).presets
        if preset not in presets:
            raise SettingsError(
                f"The policy {chosen.policy} has no preset {preset!r}.",
                f"Choose one of {', '.join(presets)}." if presets else "Leave --preset out, and use --set.",
            )
        chosen = presets[preset]
    base = base.model_copy(update={"policy": chosen})
    if is_demo:
        base = demo_settings(base)
    run = base.model_dump()
    own, limits = run.pop("policy"), run.pop("limits")
    run |= {name: value for name, value in (("seed", seed), ("max_tokens", max_tokens)) if value is not None}
    if cues:
        run["cue_list"] = read_text(cues, "Name a cue list, such as baton profile writes.")
    for assignment in set:
        name, equals, value = assignment.partition("=")
        places = ((type(base.policy), own), (Limits, limits), (RunSettings, run))
        place = next((place for model, place in places if name in settable(model)), None)
        if place is None or not equals:
            raise SettingsError(
                f"--set {assignment} names no setting of the policy {base.policy.policy} or of the run.",
                f"It takes NAME=VALUE; {LISTED}",
            )
        place[name] = value
    try:
        settings = RunSettings.model_validate(run | {"policy": own, "limits": limits})
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ").partition(", unable to parse")[0].rstrip(".")
        reason = reason.replace("Input should be", "it must be")
        raise SettingsError(f"{first['loc'][-1]} cannot be {first['input']!r}: {reason}.") from error
    if is_demo:
        settings = settings.model_copy(update=PROMPT)
    settings.policy.check_values()
    _ = settings.lexicon  # a list that cannot be read is refused before any model is loaded
    return settings


def settable(model: type[BaseModel]) -> list[str]:
    """Return the fields of a settings class that `--set` takes."""
    return [name for name in model.model_fields if name not in ("policy", "limits")]


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
