"""An endpoint that serves a pair to a test, and a client for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import openai

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.serve.access import AccessRules
from baton_reasoning.core.serve.api import Endpoint, EndpointServer


def settings(base: RunSettings | None = None) -> Mapping[str, RunSettings]:
    return {arm.name: arm.settings for arm in arms_of(["baton", "small", "large"], base or RunSettings(instruction=""))}


@contextmanager
def serving(
    pair: Pair,
    arms: Mapping[str, RunSettings],
    parallel: int = 1,
    rules: AccessRules | None = None,
) -> Iterator[EndpointServer]:
    server = EndpointServer("127.0.0.1", 0)
    endpoint = Endpoint(pair, arms, parallel)
    listening = threading.Event()
    thread = threading.Thread(
        target=server.serve, args=(endpoint.application(rules or AccessRules()), listening.set, endpoint.stop)
    )
    thread.start()
    listening.wait()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
        server.close()


@contextmanager
def client_of(server: EndpointServer, key: str = "none") -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.url, api_key=key, max_retries=0) as client:
        yield client
