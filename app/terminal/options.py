"""Options of the method: which policy, with which parameters; and the settings of a run that they amount to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, ValidationError

from app.terminal.command_line import METHOD, gathered, option
from core.demo_pair import DEMO_SETTINGS
from core.errors import SettingsError
from core.files import read_text
from core.run import RunSettings
from core.thinking.limits import Limits
from core.thinking.policies import POLICIES, PolicySettings
from core.thinking.presets import PRESETS

LARGEST_SEED = 2**31 - 1
AT_LEAST_ONE = click.IntRange(min=1)
SEED = click.IntRange(0, LARGEST_SEED)


@dataclass(frozen=True)
class RunOptions:
    """None: not given."""

    policy: str | None
    preset: str | None
    set: tuple[str, ...]
    cues: Path | None
    seed: int | None
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None


def _bounds(name: str) -> dict[str, Any]:
    """Type and help of an option, from the field of the same name."""
    field = RunSettings.model_fields[name]
    return {"type": field.annotation, "help": f"{field.description} [{field.default}]", "metavar": "N", "group": METHOD}


run_options = gathered(
    RunOptions,
    "method",
    option(
        "--policy", type=click.Choice(list(POLICIES)), group=METHOD, help="When the large model takes over [keywords]."
    ),
    option("--preset", type=click.Choice(list(PRESETS)), group=METHOD, help="Parameters to begin with [baton]."),
    option(
        "--set",
        multiple=True,
        metavar="NAME=VALUE",
        group=METHOD,
        help="Change a parameter of the policy or of the run; may be repeated.",
    ),
    option(
        "--cues", type=click.Path(path_type=Path), metavar="FILE", group=METHOD, help="A cue list (see baton profile)."
    ),
    option("--seed", type=SEED, metavar="N", group=METHOD, help="The same seed repeats an answer of local models [0]."),
    option(
        *("-n", "--max-tokens", "--n-predict", "max_tokens"),
        type=AT_LEAST_ONE,
        metavar="N",
        group=METHOD,
        help=f"Longest answer in tokens [{RunSettings().max_tokens}].",
    ),
    option("--temperature", "--temp", "temperature", **_bounds("temperature")),
    option("--top-p", **_bounds("top_p")),
    option("--top-k", **_bounds("top_k")),
)


def run_settings(options: RunOptions, *, recorded: RunSettings | None = None, is_demo: bool = False) -> RunSettings:
    """The settings that these options ask for; what they leave out is as in the `recorded` run, if there is one.

    `is_demo`: for the demo pair, whose steps are short. Raises SettingsError with the name of what is wrong.
    """
    run: dict[str, Any] = recorded.model_dump() if recorded else {}
    for name in ("policy", "seed", "max_tokens", "temperature", "top_p", "top_k"):
        if (value := getattr(options, name)) is not None:
            run[name] = value
    parameters: dict[str, Any] = run.pop("parameters", {})
    limits: dict[str, Any] = run.pop("limits", {})
    if options.preset:
        parameters |= PRESETS[options.preset].model_dump()
    if is_demo:
        parameters |= DEMO_SETTINGS.parameters.model_dump(exclude_unset=True)
    if options.cues:
        run["cue_list"] = read_text(options.cues, "Name a cue list, such as baton profile writes.")
    for assignment in options.set:
        name, equals, value = assignment.partition("=")
        places = ((PolicySettings, parameters), (Limits, limits), (RunSettings, run))
        place = next((place for model, place in places if name in _settable(model)), None)
        if place is None or not equals:
            raise SettingsError(
                f"--set {assignment} names no setting.", f"It takes NAME=VALUE, NAME one of {_names()}."
            )
        place[name] = value
    try:
        return RunSettings.model_validate(run | {"parameters": parameters, "limits": limits})
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{first['loc'][-1]} cannot be {first['input']!r}: {first['msg']}.") from error


def _settable(model: type[BaseModel]) -> list[str]:
    return [name for name in model.model_fields if name not in ("policy", "parameters", "limits")]


def _names() -> str:
    return ", ".join(name for model in (PolicySettings, Limits, RunSettings) for name in _settable(model))
