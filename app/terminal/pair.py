"""Options that name the models and say how to load them, and the loaded pair."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import click

from baton_reasoning.app.shared.labels import fallback_text, placement_facts
from baton_reasoning.app.terminal.command_line import (
    LOCAL_MODELS,
    MODELS,
    ChoiceOf,
    Function,
    complete_files,
    gathered,
    is_set,
    option,
    switch,
)
from baton_reasoning.app.terminal.model_files import file_of, source_of
from baton_reasoning.app.terminal.output import progress, remark
from baton_reasoning.app.terminal.servers import known_server
from baton_reasoning.core.batch.running.arms import OtherModels
from baton_reasoning.core.engines.base import Engine, ModelCard
from baton_reasoning.core.engines.open import EngineFactory, open_engine, share_vocabulary, tiny_demo
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.models.devices import find_devices
from baton_reasoning.core.models.fit import FitKind, estimate, fit, fit_pair
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import (
    DemoModel,
    HubFile,
    LoadOptions,
    LocalChoices,
    LocalFile,
    ModelSource,
    Switch,
    is_demo_pair,
    load_preferences,
    local_path,
)
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import ModelChoice, SettingsFile
from baton_reasoning.core.thinking.policy import Needs

_WHERE = (
    "GGUF file, hf:OWNER/NAME[:QUANT], a name of `baton models pairs` or `baton servers list`, or http(s)://host:port"
)
DEMO_NOTE = (
    "No models are named, so the demo pair runs. It solves only number puzzles such as `baton demo` shows; "
    "--small and --large name real models (baton models pairs)."
)
BOTH_MODELS = Needs()
CONTEXTS = (40_960, 32_768, 24_576, 16_384, 12_288, 8_192, 4_096, 2_048)
"""Context lengths in tokens that are tried; the longest holds the longest answer and its problem."""


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


def local_choices(loading: LoadingOptions, model: Path, parallel: int, context: int) -> LocalChoices:
    """Return how to load a file: by the options, else as chosen on the Models page, else with this context."""
    chosen = load_preferences(Paths.of_user().model_preferences)
    load, overrides = chosen.choices_for(model, LoadOptions(parallel=parallel, context=context))
    given = {name: value for name, value in asdict(loading).items() if value is not None}
    return LocalChoices(load.model_copy(update=given), overrides)


def fitting_context(files: Sequence[Path], parallel: int = 1) -> int:
    """Return the longest of `CONTEXTS` with which all these models fit into memory, for `parallel` texts at once.

    Raises ModelFileError.
    """
    headers = [read_header(file) for file in files]
    devices = find_devices()

    def fits(tokens: int) -> bool:
        needs = [estimate(header, LoadOptions(context=tokens, parallel=parallel)) for header in headers]
        return (
            fit_pair(needs[0], needs[-1], devices).fits
            if len(needs) > 1
            else fit(needs[0], devices).kind is not FitKind.DOES_NOT_FIT
        )

    return next((tokens for tokens in CONTEXTS if not headers or fits(tokens)), CONTEXTS[-1])


def open_model(
    source: ModelSource,
    loading: LoadingOptions,
    parallel: int = 1,
    context: int | None = None,
    demo: Callable[[DemoModel], Path] = tiny_demo,
) -> Engine:
    """Load a file with progress, or connect to a server. `demo`: the files of the demo pair."""
    say_once = cache(remark)  # what is waited for comes again and again
    factory = EngineFactory(server=known_server, demo=demo, on_status=say_once)
    path = local_path(source)
    if path is None:
        return open_engine(source, factory)
    tokens = context or loading.context or fitting_context([path], parallel)
    with progress(f"Loading {path.name}") as line:
        factory = replace(
            factory, local=lambda file: local_choices(loading, file, parallel, tokens), on_progress=line.show
        )
        engine = open_engine(source, factory)
    describe(engine.card)
    return engine


def describe(card: ModelCard) -> None:
    """Say how a file was loaded: its context, what had to be reduced for lack of memory and, with -v, its placement."""
    remark(f"{card.name}: {card.context:,} tokens of context")
    if is_set("verbose"):
        for name, fact in placement_facts(card):
            remark(f"{name}: {fact}")
    elif words := fallback_text(card):
        remark(words)


@contextmanager
def open_pair(
    models: ModelOptions,
    loading: LoadingOptions,
    needs: Needs = BOTH_MODELS,
    *,
    parallel: int = 1,
    costly_demo: bool = False,
) -> Iterator[Pair]:
    """Load the models that are needed, and close them at the end. A small model that is to draft must be named.

    `costly_demo`: the demo pair costs what a real one does, for one answer at a time.
    """
    small = needs.small or (needs.drafts and bool(models.texts[0]))
    sources = [on_disk(source, models.yes) if source else None for source in models.sources(small, needs.large)]
    if not models.are_given:
        names = " and ".join(str(source) for source in sources if source)
        remark(DEMO_NOTE if models.is_demo else f"As chosen in the window: {names}.")
    files = [path for source in sources if source and (path := local_path(source))]
    is_costly = costly_demo and any(isinstance(source, DemoModel) for source in sources)
    demo = _costly_demo() if is_costly else tiny_demo
    context = loading.context or fitting_context(list(dict.fromkeys(files)), parallel)
    with ExitStack() as stack:

        def opened(source: ModelSource | None) -> Engine | None:
            if source is None:
                return None
            engine = open_model(source, loading, parallel, context, demo)
            stack.callback(engine.close)
            return engine

        pair = Pair(opened(sources[0]), opened(sources[1]))
        if pair.small and pair.large:
            share_vocabulary(pair.small, pair.large)
        yield pair


def _costly_demo() -> Callable[[DemoModel], Path]:
    """Make the demo pair as costly as a real one, unless it was made before, and say so."""
    from baton_reasoning.core.demo_pair.costly import MAKING, DemoFiles

    files = DemoFiles(Paths.of_user().demo_pair)
    if files.missing:
        remark(MAKING)
        if trouble := files.make():
            remark(trouble)
    return files.path


def on_disk(source: ModelSource, yes: bool) -> ModelSource:
    """Return the local file of a source on the Hub, downloaded if needed; return other sources unchanged."""
    return LocalFile(file_of(source, yes)) if isinstance(source, HubFile) else source
