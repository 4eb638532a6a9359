"""Which models, how they are loaded, and the pair of them while a command runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click

from app.terminal.command_line import LOCAL_MODELS, MODELS, gathered, option
from app.terminal.output import progress, remark
from app.terminal.servers import ServerOptions, known_server
from core.demo_pair import LARGE_MODEL, SMALL_MODEL
from core.engines.base import Engine
from core.engines.factory import EngineFactory, is_address, open_engine, share_vocabulary
from core.engines.local.client import LocalEngine
from core.models.loading import LocalOptions
from core.models.preferences import load_preferences
from core.paths import Paths
from core.run import Pair

_WHERE = "GGUF file, or http(s)://host:port of a server"


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
        help=f"Tokens of context (else {LocalOptions().context}).",
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


def local_options(loading: LoadingOptions, model: str, parallel: int = 1) -> LocalOptions:
    """How to load this file: as chosen for it on the Models page, except for what the options say."""
    chosen = load_preferences(Paths.of_user().model_preferences)
    options = chosen.options_for(Path(model).expanduser(), LocalOptions(parallel=parallel))
    return replace(
        options,
        context=loading.context or options.context,
        threads=options.threads if loading.threads is None else loading.threads,
        gpu_layers=options.gpu_layers if loading.gpu_layers is None else loading.gpu_layers,
    )


def open_model(model: str, loading: LoadingOptions, servers: ServerOptions, parallel: int = 1) -> Engine:
    """Load a file with progress, or connect to a server."""
    if not is_address(model):
        path = Path(model).expanduser()
        with progress(f"Loading {path.name}") as line:
            return LocalEngine(path, local_options(loading, model, parallel), line.show)
    factory = EngineFactory(server=lambda url: known_server(servers, url), tell=remark)
    return open_engine(model, factory)


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

        def opened(is_needed: bool, model: str) -> Engine | None:
            if not is_needed:
                return None
            engine = open_model(model, loading, servers, parallel)
            stack.callback(engine.close)
            return engine

        pair = Pair(opened(small, models.small or str(SMALL_MODEL)), opened(large, models.large or str(LARGE_MODEL)))
        if pair.small and pair.large:
            share_vocabulary(pair.small, pair.large)
        yield pair
