"""Load the models that options name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path

from baton_reasoning.app.terminal.models import file_of
from baton_reasoning.app.terminal.options import LoadingOptions, ModelOptions
from baton_reasoning.app.terminal.output import progress
from baton_reasoning.app.terminal.servers import known_server
from baton_reasoning.app.terminal.streams import remark
from baton_reasoning.core.engines.base import Engine, ModelCard
from baton_reasoning.core.engines.open import EngineFactory, open_engine, share_vocabulary, tiny_demo
from baton_reasoning.core.models.devices import find_devices
from baton_reasoning.core.models.fit import estimate, fit_together
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.library import text_of
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.ollama import shown_name
from baton_reasoning.core.models.preferences import LocalChoices, load_preferences
from baton_reasoning.core.models.source import DemoModel, HubFile, LocalFile, ModelSource, local_path
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.thinking.automatic import automatic_choice, is_automatic
from baton_reasoning.core.thinking.policy import Needs
from baton_reasoning.core.words.labels import fallback_text, placement_facts

DEMO_NOTE = (
    "No models are named, so the demo pair runs. It solves only number puzzles such as `baton demo` shows; "
    "--small and --large name real models (baton models pairs)."
)
BOTH_MODELS = Needs()
CONTEXTS = (40_960, 32_768, 24_576, 16_384, 12_288, 8_192, 4_096, 2_048)
"""Context lengths in tokens that are tried; the longest holds the longest answer and its problem."""


def local_choices(loading: LoadingOptions, parallel: int, context: int, model: Path) -> LocalChoices:
    """Return how to load a file: by the options, else as chosen on the Models page, else with this context."""
    chosen = load_preferences(Paths.of_user().model_preferences)
    load, overrides = chosen.choices_for(model, LoadOptions(parallel=parallel, context=context))
    given = {name: value for name, value in asdict(loading).items() if value is not None and hasattr(load, name)}
    return LocalChoices(load.model_copy(update=given), overrides)


def fitting_context(files: Sequence[Path], parallel: int) -> int:
    """Return the longest of `CONTEXTS` with which all these models fit into memory, for `parallel` texts at once.

    Raises ModelFileError.
    """
    headers = [read_header(file) for file in files]
    devices = find_devices()

    def fits(tokens: int) -> bool:
        options = LoadOptions(context=tokens, parallel=parallel)
        needs = [estimate(header, options) for header in headers]
        return all(place.fits for place in fit_together(needs, devices))

    return next((tokens for tokens in CONTEXTS if not headers or fits(tokens)), CONTEXTS[-1])


def _open_model(
    source: ModelSource, loading: LoadingOptions, parallel: int, context: int, demo: Callable[[DemoModel], Path]
) -> Engine:
    """Load a file with progress, or connect to a server. `demo`: the files of the demo pair."""
    say_once = cache(remark)  # what is waited for comes again and again
    factory = EngineFactory(server=known_server, demo=demo, on_status=say_once)
    path = local_path(source)
    if path is None:
        return open_engine(source, factory)
    with progress(f"Loading {shown_name(path)}") as line:
        local = partial(local_choices, loading, parallel, context)
        engine = open_engine(source, replace(factory, local=local, on_progress=line.show))
    describe(engine.card, loading.verbose)
    return engine


def describe(card: ModelCard, verbose: bool) -> None:
    """Say how a file was loaded: its context, what had to be reduced for lack of memory, or its whole placement."""
    remark(f"{card.name}: {card.context:,} tokens of context")
    if verbose:
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
    sources = [_on_disk(source, models.yes) if source else None for source in models.sources(small, needs.large)]
    if not models.are_given:
        remark_on_choice(models, sources)
    files = [path for source in sources if source and (path := local_path(source))]
    is_costly = costly_demo and any(isinstance(source, DemoModel) for source in sources)
    demo = _costly_demo() if is_costly else tiny_demo
    context = loading.context or fitting_context(list(dict.fromkeys(files)), parallel)
    with ExitStack() as stack:
        engines = [
            stack.enter_context(closing(_open_model(source, loading, parallel, context, demo))) if source else None
            for source in sources
        ]
        pair = Pair(*engines)
        if pair.small and pair.large:
            share_vocabulary(pair.small, pair.large)
        yield pair


def remark_on_choice(models: ModelOptions, sources: Iterable[ModelSource | None]) -> None:
    """Say which models run where none are named."""
    names = " and ".join(text_of(source) for source in sources if source)
    remark(DEMO_NOTE if models.is_demo else f"As chosen in the window: {names}.")


def remark_on_policy(settings: RunSettings, pair: Pair) -> None:
    """Say why the automatic policy is not the usual one."""
    if is_automatic(settings) and (reason := automatic_choice(pair.cards, settings.thinking).reason):
        remark(reason)


def _costly_demo() -> Callable[[DemoModel], Path]:
    """Make the demo pair as costly as a real one, unless it was made before, and say so."""
    from baton_reasoning.core.demo_pair.costly import MAKING, DemoFiles

    files = DemoFiles(Paths.of_user().demo_pair)
    if files.missing:
        remark(MAKING)
        if trouble := files.make():
            remark(trouble)
    return files.path


def _on_disk(source: ModelSource, yes: bool) -> ModelSource:
    """Return the local file of a source on the Hub, downloaded if needed; return other sources unchanged."""
    return LocalFile(file_of(source, yes)) if isinstance(source, HubFile) else source
