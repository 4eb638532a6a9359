"""Options that several commands have: the method, the models, and how models are loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel, ValidationError

from baton_reasoning.app.terminal.command_line import (
    LOCAL_MODELS,
    METHOD,
    MODELS,
    ChoiceOf,
    Function,
    complete_files,
    did_you_mean,
    gathered,
    option,
    switch,
)
from baton_reasoning.app.terminal.models import source_of
from baton_reasoning.core.batch.running.arms import OtherModels
from baton_reasoning.core.demo_pair import DEMO_SETTINGS
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import read_text
from baton_reasoning.core.models.options import (
    DemoModel,
    ModelSource,
    Switch,
    is_demo_pair,
)
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import RunSettings, effective_settings
from baton_reasoning.core.settings import ModelChoice, SettingsFile
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


_WHERE = (
    "GGUF file, hf:OWNER/NAME[:QUANT], a name of `baton models pairs` or `baton servers list`, or http(s)://host:port"
)


@dataclass(frozen=True)
class ModelOptions:
    """The models that were named; empty if not given. Without both, the pair chosen in the window is used."""

    small: str = ""
    large: str = ""
    yes: bool = False

    @property
    def are_given(self) -> bool:
        return bool(self.small or self.large)

    @cached_property
    def window_pair(self) -> ModelChoice:
        """The models chosen in the window, else the demo pair."""
        return SettingsFile(Paths.of_user().settings).load().models

    @property
    def is_demo(self) -> bool:
        """Whether the demo pair runs; a model that is not named counts as the demo model in its place."""
        small, large = self.texts
        return is_demo_pair(source_of(small, DemoModel.SMALL), source_of(large, DemoModel.LARGE))

    @property
    def texts(self) -> tuple[str, str]:
        """The small and the large model, as a person would name them."""
        chosen = self if self.are_given else self.window_pair
        return str(chosen.small), str(chosen.large)

    def or_those(self, small: str, large: str) -> ModelOptions:
        """Return these options with the models of a batch in place of those that are not given."""
        return replace(self, small=self.small or small, large=self.large or large)

    def with_others(self, names: OtherModels) -> ModelOptions:
        """Return these options with the other models that an arm names."""
        small, large = self.texts
        return replace(self, small=names.small or small, large=names.large or large) if any(names) else self

    def sources(self, small: bool, large: bool) -> tuple[ModelSource | None, ModelSource | None]:
        """Return the models that are needed. Raises SettingsError if only one of two is given."""
        if not self.are_given:
            chosen = self.window_pair
            return chosen.small if small else None, chosen.large if large else None
        for is_needed, given, missing in ((small, self.small, "small"), (large, self.large, "large")):
            if is_needed and not given:
                other = "large" if missing == "small" else "small"
                raise SettingsError(
                    f"--{other} is given, and --{missing} is not.",
                    f"Name both, or choose --policy {'always' if other == 'large' else 'never'} to run one alone.",
                )
        return (
            source_of(self.small, DemoModel.SMALL) if small else None,
            source_of(self.large, DemoModel.LARGE) if large else None,
        )


DEMO_PAIR = ModelOptions(str(DemoModel.SMALL), str(DemoModel.LARGE))


class _ModelText(click.types.StringParamType):
    """The text of a model, in an environment variable as well, where a path may contain spaces."""

    def split_envvar_value(self, rv: str) -> list[str]:
        return [rv]


@dataclass(frozen=True)
class SeveralModels:
    """The models of a batch: the first are its own, with the others the arms run, too."""

    small: tuple[str, ...]
    large: tuple[str, ...]
    yes: bool

    @property
    def first(self) -> ModelOptions:
        return ModelOptions(next(iter(self.small), ""), next(iter(self.large), ""), self.yes)


@dataclass(frozen=True)
class LoadingOptions:
    """How to load local models; None as chosen on the Models page."""

    context: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    drafts: Switch | None = None

    def with_context(self, tokens: int) -> LoadingOptions:
        """Return these options with this context if none was given."""
        return self if self.context else replace(self, context=tokens)


_YES = option("--yes", "-y", is_flag=True, group=MODELS, help="Download a model that is not here without asking.")


def _large_model(help: str, **settings: Any) -> Callable[..., Any]:
    return option(
        *("--large", "-m", "large"),
        type=_ModelText(),
        shell_complete=complete_files,
        metavar="MODEL",
        group=MODELS,
        help=help,
        **settings,
    )


def _named_models(otherwise: str, **settings: Any) -> tuple[Callable[..., Any], ...]:
    return (
        option(
            *("--small", "-md", "small"),
            type=_ModelText(),
            shell_complete=complete_files,
            metavar="MODEL",
            group=MODELS,
            help=f"{_WHERE}.",
            **settings,
        ),
        _large_model(f"As --small; several servers with commas between. Without both: {otherwise}.", **settings),
        _YES,
    )


def models_or(otherwise: str) -> Callable[[Function], Function]:
    """Add options for the two models. `otherwise`: which models are used if none is given."""
    return gathered(ModelOptions, "models", *_named_models(otherwise, default=""))


def large_or(otherwise: str) -> Callable[[Function], Function]:
    """Add the options of a command that loads no small model."""
    help = f"{_WHERE}; several servers with commas between. Without it: {otherwise}."
    return gathered(ModelOptions, "models", _large_model(help, default=""), _YES)


model_options = models_or("the pair chosen in the window")
several_models = gathered(SeveralModels, "models", *_named_models("the pair chosen in the window", multiple=True))

_LOADING = (
    option(
        *("-c", "--context", "context"),
        type=click.IntRange(min=256),
        metavar="N",
        group=LOCAL_MODELS,
        help="Tokens of context [as many as model and memory allow, at most 40,960].",
    ),
    option(
        "--threads",
        "-t",
        "threads",
        type=click.IntRange(0, 512),
        metavar="N",
        group=LOCAL_MODELS,
        help="Of each model; 0 chooses.",
    ),
    option(
        *("-ngl", "--gpu-layers", "gpu_layers"),
        type=click.IntRange(-1, 999),
        metavar="N",
        group=LOCAL_MODELS,
        help="Layers on the GPU; -1 is as many as fit.",
    ),
    switch("-v", "--verbose", group=LOCAL_MODELS, help="Say on which device each was loaded, with what memory."),
)
_DRAFTS = option(
    "--drafts",
    type=ChoiceOf([choice.value for choice in Switch]),
    callback=lambda _context, _parameter, value: Switch(value) if value else None,
    group=LOCAL_MODELS,
    help="Let the small model draft for the large one [automatic: where the large one is on a GPU].",
)

loading_options = gathered(LoadingOptions, "loading", *_LOADING, _DRAFTS)
loading_of_one = gathered(LoadingOptions, "loading", *_LOADING)
"""For a command that loads a single model, which has no other to draft for it."""
