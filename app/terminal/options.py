"""Options of the method (policy, preset, parameters), and the run settings they result in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
from pydantic import BaseModel, ValidationError

from baton_reasoning.app.terminal.command_line import METHOD, ChoiceOf, did_you_mean, gathered, option
from baton_reasoning.core.demo_pair import DEMO_SETTINGS
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import read_text
from baton_reasoning.core.run import RunSettings, effective_settings
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.policy import PolicySettings
from baton_reasoning.core.thinking.registry import DEFAULT_POLICY, POLICIES, settings_for

LISTED = "baton settings lists all names."
LARGEST_SEED = 2**31 - 1
AT_LEAST_ONE = click.IntRange(min=1)
SEED = click.IntRange(0, LARGEST_SEED)
_PRESETS = "; ".join(f"{', '.join(policy.presets)} ({name})" for name, policy in POLICIES.items() if policy.presets)


@dataclass(frozen=True)
class RunOptions:
    """Options of the method; None if not given."""

    policy: str | None
    preset: str | None
    set: tuple[str, ...]
    cues: Path | None
    seed: int | None
    max_tokens: int | None


def _complete_preset(
    context: click.Context,
    parameter: click.Parameter,  # noqa: ARG001 - click's
    incomplete: str,
) -> list[str]:
    """Offer the presets of the policy of the command line."""
    policy = POLICIES.named(context.params.get("policy") or DEFAULT_POLICY)
    return [preset for preset in policy.presets if preset.startswith(incomplete)]


run_options = gathered(
    RunOptions,
    "method",
    option(
        "--policy",
        type=ChoiceOf(list(POLICIES)),
        metavar="NAME",
        group=METHOD,
        help=f"When the large model writes, as baton policies lists [{DEFAULT_POLICY}].",
    ),
    option(
        "--preset",
        shell_complete=_complete_preset,
        metavar="NAME",
        group=METHOD,
        help=f"Parameters to begin with: {_PRESETS}.",
    ),
    option(
        "--set",
        multiple=True,
        metavar="NAME=VALUE",
        group=METHOD,
        help="Change a parameter of the policy or of the run, such as temperature=0; may be repeated.",
    ),
    option(
        "--cues", type=click.Path(path_type=Path), metavar="FILE", group=METHOD, help="A cue list (see baton profile)."
    ),
    option(
        "--seed",
        "-s",
        "seed",
        type=SEED,
        metavar="N",
        group=METHOD,
        help="The same seed repeats an answer of local models [0].",
    ),
    option(
        *("-n", "--max-tokens", "max_tokens"),
        type=AT_LEAST_ONE,
        metavar="N",
        group=METHOD,
        help=f"Longest answer in tokens [{RunSettings().max_tokens}].",
    ),
)


def run_settings(options: RunOptions, *, is_demo: bool = False) -> RunSettings:
    """Return the settings that these options ask for.

    `is_demo`: for the demo pair, whose steps are short. Raises SettingsError that names the wrong value.
    """
    base = RunSettings()
    chosen = settings_for(options.policy, base.policy) if options.policy else base.policy
    if options.preset:
        chosen = preset_of(chosen.policy, options.preset)
    base = base.model_copy(update={"policy": chosen})
    if is_demo:
        base = effective_settings(base, DEMO_SETTINGS)
    run = base.model_dump()
    policy, limits = run.pop("policy"), run.pop("limits")
    for name in ("seed", "max_tokens"):
        if (value := getattr(options, name)) is not None:
            run[name] = value
    if options.cues:
        run["cue_list"] = read_text(options.cues, "Name a cue list, such as baton profile writes.")
    for assignment in options.set:
        name, equals, value = assignment.partition("=")
        places = ((type(chosen), policy), (Limits, limits), (RunSettings, run))
        place = next((place for model, place in places if name in settable(model)), None)
        if place is None or not equals:
            meant = did_you_mean(name, (known for model, _ in places for known in settable(model)))
            raise SettingsError(
                f"--set {assignment} names no setting of the policy {chosen.policy} or of the run.",
                f"{meant} It takes NAME=VALUE; {LISTED}".strip(),
            )
        place[name] = value
    try:
        settings = RunSettings.model_validate(run | {"policy": policy, "limits": limits})
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise SettingsError(f"{first['loc'][-1]} cannot be {first['input']!r}: {reason}.") from error
    settings.policy.check_values()
    _ = settings.lexicon  # a list that cannot be read is refused before any model is loaded
    return settings


def preset_of(policy: str, preset: str) -> PolicySettings:
    """Return the preset of a policy. Raises SettingsError if it has none of this name."""
    presets = POLICIES.named(policy).presets
    if preset not in presets:
        raise SettingsError(
            f"The policy {policy} has no preset {preset!r}.",
            f"Choose one of {', '.join(presets)}." if presets else "Leave --preset out, and use --set.",
        )
    return presets[preset]


def settable(model: type[BaseModel]) -> list[str]:
    """Return the fields of a settings class that `--set` takes."""
    return [name for name in model.model_fields if name not in ("policy", "limits")]
