"""llama-server's router mode: several models behind one address, each loaded when it is needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from baton_reasoning.core.engines.remote.address import ServerAddress
from baton_reasoning.core.engines.remote.failures import NotReady, UnknownModel
from baton_reasoning.core.engines.remote.fields import Fields
from baton_reasoning.core.engines.remote.openai_completions import choose_model, served_models, unknown_model
from baton_reasoning.core.engines.remote.protocol import Ask
from baton_reasoning.core.engines.remote.retry import RetryPolicy
from baton_reasoning.core.engines.remote.transport import HttpConnection
from baton_reasoning.core.errors import EngineRefused

_LOADED = ("loaded", "sleeping")
"""A sleeping model wakes up at the next request."""
_ON_THE_WAY = ("loading", "downloading", "downloaded")


class ModelNotLoaded(NotReady):
    """A router has the model, but has not loaded it; `load_model` does."""

    def __init__(self, host: str, model: str) -> None:
        super().__init__(f"{host} has not loaded {model} yet.")
        self.model = model


def routed_model(address: ServerAddress, ask: Ask) -> str:
    """Return the model that each request to a router must name; empty if the server is no router.

    Raises UnknownModel if the address names no model of this server, and ModelNotLoaded.
    """
    if ask("/props", None).text("role") != "router":
        if address.model and "id" not in choose_model(ask, address.model)[0]:
            raise unknown_model(address, served_models(ask))
        return ""
    models = served_models(ask)
    if not models:
        raise UnknownModel(
            f"{address.host} is a router without models.", "Start it with --models-dir FOLDER or --models-preset FILE."
        )
    entry, _ = choose_model(ask, address.model)
    if "id" not in entry or (len(models) > 1 and not address.model):
        raise unknown_model(address, models)
    name = entry.text("id")
    if entry.inside("status").text("value") not in _LOADED:
        raise ModelNotLoaded(address.host, name)
    return name


def load_model(address: ServerAddress, model: str, policy: RetryPolicy, on_wait: Callable[[str], object]) -> None:
    """Have a router load a model, and wait until it has.

    `on_wait` is called again and again with what is waited for; raising a BatonError there ends the wait. Raises
    EngineRefused if the model cannot be loaded, and NotReady after `policy.loading` seconds.
    """
    began = time.monotonic()
    with closing(HttpConnection(address, policy, address.tls())) as connection:
        if _status(connection.ask, model).text("value") not in _ON_THE_WAY:
            connection.ask("/models/load", {"model": model})
        while (status := _status(connection.ask, model)).text("value") in _ON_THE_WAY:
            if time.monotonic() - began > policy.loading:
                raise NotReady(
                    f"{address.host} has been loading {model} for {policy.loading:.0f} seconds.",
                    "Wait until it is done, and try again; or choose a smaller model.",
                )
            on_wait(f"{address.host} is loading {model}…")
            connection.pause(policy.first_pause)
        if status.text("value") not in _LOADED:
            code = f" (exit code {status.integer('exit_code')})" if "exit_code" in status else ""
            raise EngineRefused(
                f"{address.host} could not load {model}{code}.",
                "Look at the server's log: the file may be damaged, or too large for its memory.",
            )


def _status(ask: Ask, model: str) -> Fields:
    return choose_model(ask, model)[0].inside("status")
