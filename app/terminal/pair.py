"""Which models, how they are loaded, and the pair of them while a command runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from app.terminal.command_line import LOCAL_MODELS, MODELS, gathered, option
from app.terminal.output import progress, remark
from app.terminal.servers import ServerOptions, known_server
from core.engines.base import Engine
from core.engines.factory import EngineFactory, open_engine, share_vocabulary
from core.models.loading import LoadOptions
from core.models.preferences import LocalChoices, load_preferences
from core.models.source import DemoModel, ModelSource, ServerUrls, local_path, parse_source
from core.paths import Paths
from core.run import Pair

_WHERE = "GGUF file, demo:small, demo:large, or http(s)://host:port of a server"


@dataclass(frozen=True)
class ModelOptions:
    """Empty: not given."""

    small: str
    large: str

    @property
    def is_demo(self) -> bool:
        return not (self.small or self.large)


@dataclass(frozen=True)
class LoadingOptions:
    """None: as chosen for the model on the Models page."""

    context: int | None
    threads: int | None
    gpu_layers: int | None

    def with_context(self, tokens: int) -> LoadingOptions:
        """With this context where none was given."""
        return self if self.context else replace(self, context=tokens)


model_options = gathered(
    ModelOptions,
    "models",
    option("--small", metavar="MODEL", default="", group=MODELS, help=f"{_WHERE}; without it, the demo pair's."),
    option("--large", metavar="MODEL", default="", group=MODELS, help=f"{_WHERE}; several with commas between."),
)

loading_options = gathered(
    LoadingOptions,
    "loading",
    option(
        *("-c", "--ctx-size", "--context", "context"),
        type=click.IntRange(min=256),
        metavar="N",
        group=LOCAL_MODELS,
        help=f"Tokens of context (else {LoadOptions().context}).",
    ),
    option("--threads", type=click.IntRange(0, 512), metavar="N", group=LOCAL_MODELS, help="Of each model; 0 chooses."),
    option(
        *("-ngl", "--gpu-layers", "gpu_layers"),
        type=click.IntRange(-1, 999),
        metavar="N",
        group=LOCAL_MODELS,
        help="Layers on the GPU; -1 is as many as fit.",
    ),
)


def local_choices(loading: LoadingOptions, model: Path, parallel: int = 1) -> LocalChoices:
    """How to load this file: as chosen for it on the Models page, except for what the options say."""
    chosen = load_preferences(Paths.of_user().model_preferences)
    load, overrides = chosen.choices_for(model, LoadOptions(parallel=parallel))
    given = {name: value for name, value in asdict(loading).items() if value is not None}
    return LocalChoices(load.model_copy(update=given), overrides)


def open_model(source: ModelSource, loading: LoadingOptions, servers: ServerOptions, parallel: int = 1) -> Engine:
    """Load a file with progress, or connect to a server."""
    factory = EngineFactory(
        local=lambda path: local_choices(loading, path, parallel),
        server=lambda url: known_server(servers, url),
        on_status=remark,
    )
    if isinstance(source, ServerUrls):
        return open_engine(source, factory)
    path = local_path(source)
    with progress(f"Loading {path.name if path else source}") as line:
        return open_engine(source, replace(factory, on_progress=line.show))


@contextmanager
def open_pair(
    models: ModelOptions,
    loading: LoadingOptions,
    servers: ServerOptions,
    *,
    small: bool = True,
    large: bool = True,
    parallel: int = 1,
) -> Iterator[Pair]:
    """The models that are needed, loaded; closed at the end."""
    with ExitStack() as stack:

        def opened(is_needed: bool, model: str, demo: DemoModel) -> Engine | None:
            if not is_needed:
                return None
            engine = open_model(parse_source(model, demo), loading, servers, parallel)
            stack.callback(engine.close)
            return engine

        pair = Pair(opened(small, models.small, DemoModel.SMALL), opened(large, models.large, DemoModel.LARGE))
        if pair.small and pair.large:
            share_vocabulary(pair.small, pair.large)
        yield pair
