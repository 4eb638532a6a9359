"""`baton serve`: serve the pair to other programs through an OpenAI-compatible API."""

from __future__ import annotations

from contextlib import closing

import click

from baton_reasoning.app.terminal import options
from baton_reasoning.app.terminal.command_line import command, option
from baton_reasoning.app.terminal.pair import open_pair, remark_on_policy
from baton_reasoning.app.terminal.streams import remark
from baton_reasoning.core.batch.running.arms import arms_of, refuse_impossible
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.run_command import run_settings
from baton_reasoning.core.secrets import take_key
from baton_reasoning.core.version import how_to_install

ARMS = ("baton", "small", "large", "paper", "reference", "chosen")
NOT_INSTALLED = "The packages that the endpoint needs are not installed."


@command("serve")
@option("--host", default="127.0.0.1", metavar="ADDRESS", help="Address to listen on; any but loopback requires a key.")
@option("--port", type=click.IntRange(0, 65_535), default=8000, help="Port to listen on; 0 picks a free one [8000].")
@option("--parallel", type=options.AT_LEAST_ONE, default=1, help="Requests answered at once; others wait [1].")
@option("--serve-key-env", metavar="NAME", help="Environment variable with the key that clients must send.")
@option("--allow-host", multiple=True, metavar="NAME", help="Host name by which clients may call it without a key.")
@option("--allow-origin", multiple=True, metavar="ORIGIN", help="Origin of a web page that may call it from a browser.")
@options.run_options
@options.model_options
@options.loading_options
def serve(
    host: str,
    port: int,
    parallel: int,
    serve_key_env: str | None,
    allow_host: tuple[str, ...],
    allow_origin: tuple[str, ...],
    method: options.RunOptions,
    models: options.ModelOptions,
    loading: options.LoadingOptions,
) -> None:
    """Serve the pair to other programs through OpenAI's API: /v1/chat/completions, /v1/completions, /v1/models.

    The model name of a request selects the arm: baton, small, large, paper, reference, or chosen, which uses the
    options of the method. Without --small and --large, the pair chosen in the window is used. The server runs until
    Ctrl+C. No other command opens a port.
    """
    try:
        from baton_reasoning.core.serve.access import AccessRules, origins
        from baton_reasoning.core.serve.api import Endpoint
        from baton_reasoning.core.serve.server import EndpointServer
    except ModuleNotFoundError as error:
        raise SettingsError(NOT_INSTALLED, how_to_install("serve")) from error
    key = "" if serve_key_env is None else take_key(serve_key_env)
    rules = AccessRules(host, key, frozenset(allow_host), origins(allow_origin))
    arms = arms_of(ARMS, run_settings(**vars(method), is_demo=models.is_demo))
    with (
        closing(EndpointServer(host, port)) as server,
        open_pair(models, loading, parallel=parallel, costly_demo=True) as pair,
    ):
        remark_on_policy(arms[-1].settings, pair)
        arms = tuple(arm.with_policy(pair.cards) for arm in arms)
        refuse_impossible(arms, pair)
        endpoint = Endpoint(pair, {arm.name: arm.settings for arm in arms}, parallel)
        ready = f"Serving {', '.join(ARMS)} at {', '.join(server.urls)}. Ctrl+C stops it."
        application = endpoint.application(rules, remark if loading.verbose else None)
        server.serve(application, lambda: remark(ready), endpoint.stop)
