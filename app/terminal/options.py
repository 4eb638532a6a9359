"""Options that several commands have: the method, the models, and how models are loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import click

from baton_reasoning.app.terminal.command_line import METHOD, MODELS, gathered, option
from baton_reasoning.app.terminal.models import source_of
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.load_options import Switch
from baton_reasoning.core.models.source import DemoModel, ModelSource, is_demo_pair
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.settings import SettingsFile
from baton_reasoning.core.thinking.registry import AUTOMATIC_POLICY, POLICIES

AT_LEAST_ONE = click.IntRange(min=1)
SEED = click.IntRange(0, 2**31 - 1)
FILE = click.Path(path_type=Path)


@dataclass(frozen=True)
class RunOptions:
    """Options of the method; None if not given."""

    policy: Annotated[
        str | None,
        option(
            type=click.Choice(list(POLICIES)),
            metavar="NAME",
            help=f"When the large one writes (baton policies) [{AUTOMATIC_POLICY}].",
        ),
    ] = None
    preset: Annotated[str | None, option(metavar="NAME", help="Preset of the policy (baton policies).")] = None
    set: Annotated[
        tuple[str, ...], option(metavar="NAME=VALUE", help="Change a parameter (baton settings); may be repeated.")
    ] = ()
    cues: Annotated[Path | None, option(type=FILE, expert=True, help="A cue list (see baton profile).")] = None
    seed: Annotated[int | None, option("-s", type=SEED, help="Seed that repeats an answer of local models [0].")] = None
    max_tokens: Annotated[
        int | None, option("-n", type=AT_LEAST_ONE, help=f"Most tokens to generate [{RunSettings().max_tokens}].")
    ] = None


run_options = gathered(RunOptions, "method", group=METHOD)


class ModelText(click.Path):
    """The text of a model, which may be a file; in an environment variable as well, where a path may contain spaces."""

    def split_envvar_value(self, rv: str) -> list[str]:
        return [rv]


MODEL = ModelText(readable=False)
_SMALL = option("-md", type=MODEL, once=True, metavar="MODEL", help="As --large, but a single server.")
_LARGE = option(
    "-m",
    type=MODEL,
    once=True,
    metavar="MODEL",
    help="GGUF file, hf:OWNER/NAME[:QUANT], http(s)://host:port[,…], or a name (baton models pairs, baton servers "
    "list; qwen3:8b of Ollama's).",
)
_YES = option("-y", help="Download missing models without asking.")


@dataclass(frozen=True)
class ModelOptions:
    """The models that were named; empty if not given. Without both, the pair chosen in the window is used."""

    small: Annotated[str, _SMALL] = ""
    large: Annotated[str, _LARGE] = ""
    yes: Annotated[bool, _YES] = False

    @property
    def are_given(self) -> bool:
        return bool(self.small or self.large)

    @property
    def is_demo(self) -> bool:
        """Whether the demo pair runs; a model that is not named counts as the demo model in its place."""
        small, large = self.texts
        return is_demo_pair(source_of(small, DemoModel.SMALL), source_of(large, DemoModel.LARGE))

    @cached_property
    def texts(self) -> tuple[str, str]:
        """The small and the large model, as a person would name them: if none is given, those of the window."""
        chosen = self if self.are_given else SettingsFile(Paths.of_user().settings).load().models
        return str(chosen.small), str(chosen.large)

    def sources(self, small: bool, large: bool) -> tuple[ModelSource | None, ModelSource | None]:
        """Return the models that are needed. Raises SettingsError if only one of two is given."""
        found: list[ModelSource | None] = []
        for demo, is_needed, text in zip(DemoModel, (small, large), self.texts, strict=True):
            if is_needed and not text:
                given, missing, policy = ("large", "small", "always") if self.large else ("small", "large", "never")
                raise SettingsError(
                    f"--{given} is given, and --{missing} is not.",
                    f"Name both, or choose --policy {policy} to run one alone.",
                )
            found.append(source_of(text, demo) if is_needed else None)
        return found[0], found[1]


DEMO_PAIR = ModelOptions(str(DemoModel.SMALL), str(DemoModel.LARGE))


@dataclass(frozen=True)
class SeveralModels:
    """The models of a batch: the first are its own, with the others the arms run, too."""

    small: Annotated[tuple[str, ...], _SMALL]
    large: Annotated[tuple[str, ...], _LARGE]
    yes: Annotated[bool, _YES]

    @property
    def first(self) -> ModelOptions:
        return ModelOptions(next(iter(self.small), ""), next(iter(self.large), ""), self.yes)


SWITCH = click.Choice(Switch, case_sensitive=False)


@dataclass(frozen=True)
class LoadingOptions:
    """How to load local models; None as chosen on the Models page."""

    context: Annotated[
        int | None,
        option(
            "-c",
            type=click.IntRange(min=256),
            expert=True,
            help="Tokens of context [as many as model and memory allow, at most 40,960].",
        ),
    ] = None
    threads: Annotated[
        int | None, option("-t", type=click.IntRange(0, 512), expert=True, help="Threads of each model; 0 chooses.")
    ] = None
    gpu_layers: Annotated[
        int | None,
        option("-ngl", type=click.IntRange(-1, 999), expert=True, help="Layers on the GPU; -1 is as many as fit."),
    ] = None
    drafts: Annotated[
        Switch | None,
        option(
            type=SWITCH,
            expert=True,
            help="Let the small model draft for the large one [automatic: where the large one is on a GPU].",
        ),
    ] = None
    verbose: Annotated[
        bool,
        option(
            "-v",
            expert=True,
            help="Say on which device each model was loaded, with what memory; serve also logs each request.",
        ),
    ] = False


model_options = gathered(ModelOptions, "models", group=MODELS)
large_option = gathered(ModelOptions, "models", group=MODELS, without="small")
"""For a command that loads no small model."""
several_models = gathered(SeveralModels, "models", group=MODELS)
loading_options = gathered(LoadingOptions, "loading")
loading_of_one = gathered(LoadingOptions, "loading", without="drafts")
"""For a command that loads a single model, which has no other to draft for it."""
