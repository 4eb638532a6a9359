"""Runs with a large model on a server: takeovers arrive there, and the small model goes on alone after it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.status import ServerState
from baton_reasoning.core.engines.usage import Cap, Prices
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.events import Event, Finish, HandedOver, Noticed, TakeoverStarted, TokenWritten
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.policies.relay import Relay
from baton_reasoning.core.thinking.requests import Until
from baton_reasoning.core.thinking.trace import Trace
from tests.core.engines.remote.writing import HURRIED
from tests.fakes.faulty_server import FaultyServer, end, error, progress, stream, token
from tests.fakes.scripted import QUESTION, ScriptedEngine
from tests.servers.llama_server import KEY

STEPS = ("First we count the days.\n\n", " There are seven of them.\n\n", " That is all.")


SETTINGS = RunSettings(policy=RandomTakeover.Settings(p=1.0, n1=4, until=Until.TOKENS), max_tokens=60, top_p=1)


def run_with(
    engine: LlamaServerEngine,
    before_token: Callable[[str], None] = lambda _: None,
    settings: RunSettings = SETTINGS,
) -> list[Event]:
    """The small model writes three steps; after the first two, the large one writes four tokens."""
    small = ScriptedEngine(*STEPS, before_token=before_token)
    with closing(engine):
        return list(run(Pair(small, engine), QUESTION, settings))


def written(events: list[Event], author: Author) -> str:
    return "".join(event.text for event in events if isinstance(event, TokenWritten) and event.author is author)


@pytest.mark.real_models
def test_takeovers_are_written_by_the_server(server):
    events = run_with(LlamaServerEngine(ServerAddress(server.url, KEY), RemoteOptions(supports_prefetch=True)))
    takeovers = [event for event in events if isinstance(event, TakeoverStarted)]
    handoffs = [event for event in events if isinstance(event, HandedOver) and event.author is Author.LARGE]
    assert len(takeovers) == len(handoffs) >= 2
    assert written(events, Author.LARGE)
    assert handoffs[1].handoff.reused > handoffs[0].handoff.reused


@pytest.mark.real_models
def test_the_trace_has_the_whole_bill_and_all_that_was_read_along(server):
    at_rest = threading.Event()

    def wait_for_the_reading(body: str) -> None:
        if body.endswith(" days"):
            at_rest.wait()

    engine = LlamaServerEngine(
        ServerAddress(server.url, KEY),
        RemoteOptions(prices=Prices(read=1, reused=1, written=1, currency="EUR"), supports_prefetch=True),
        lambda state: at_rest.set() if state is ServerState.CONNECTED else None,
    )
    trace = Trace.of(run_with(engine, wait_for_the_reading))
    assert trace.usage == {Author.LARGE: engine.meter.usage}
    assert trace.usage[Author.LARGE].money > 0
    takeovers = trace.totals[Author.LARGE].takeovers
    assert len(trace.prefetches) == engine.meter.usage.cost.requests - takeovers > 0
    assert trace.prefetches[0].tokens > 0
    assert all(0 <= reading.began < reading.began + reading.seconds <= reading.at for reading in trace.prefetches)


@pytest.mark.parametrize("policy", [SETTINGS.policy, Relay.Settings()])
@pytest.mark.parametrize("small_alone", [True, False])
def test_a_text_that_a_cap_cuts_short_goes_on_alone_or_fails(policy, small_alone):
    settings = SETTINGS.model_copy(update={"policy": policy, "small_alone": small_alone})
    answer = stream(progress(5, 5), token("x", 1), token("y", 2), end(2))
    with FaultyServer(answer) as server:
        engine = LlamaServerEngine(server.url, RemoteOptions(HURRIED, cap=Cap(tokens=7)))
        trace = Trace.of(run_with(engine, settings=settings))
    assert trace.finish is (Finish.END_OF_TEXT if small_alone else Finish.FAILED)
    assert (STEPS[1] in trace.text) is small_alone
    if small_alone:
        (told,) = [notice.text for notice in trace.notices]
        assert told.startswith("The cap of 7 tokens for 127.0.0.1:")
        assert told.endswith("The small model goes on alone.")


def test_a_server_with_a_limit_of_its_own_is_named():
    settings = SETTINGS.model_copy(update={"policy": Relay.Settings()})
    with FaultyServer(stream(progress(5, 5), token("x", 1), end(1))) as server:
        trace = Trace.of(run_with(LlamaServerEngine(server.url, RemoteOptions(HURRIED)), settings=settings))
    assert trace.ended
    assert trace.ended.finish is Finish.MAX_TOKENS
    assert trace.ended.reason.endswith(" ended the text at a limit of its own.")


def test_a_server_that_is_lost_for_good_leaves_the_small_model_alone():
    with FaultyServer(error(500, "CUDA error")) as server:
        events = run_with(LlamaServerEngine(server.url, RemoteOptions(HURRIED)))
    assert written(events, Author.LARGE) == ""
    assert written(events, Author.SMALL) == "".join(STEPS)
    assert any("CUDA error" in event.text for event in events if isinstance(event, Noticed))
