"""The loop with its large model on a server: takeovers arrive there, and the small model goes on alone after it."""

from __future__ import annotations

from contextlib import closing

import pytest

from core.engines.base import Sampling
from core.engines.body import Author
from core.engines.llama_server import LlamaServerEngine
from core.engines.remote.address import ServerAddress
from core.engines.remote.bill import Cap
from core.engines.remote.engine import RemoteOptions
from core.thinking.events import Event, Finish, HandedOver, Noticed, RunEnded, TakeoverStarted, TokenWritten
from core.thinking.loop import Loop, LoopSettings
from core.thinking.policies.random_takeover import RandomTakeover
from core.thinking.policy import Until
from tests.core.engines.remote.writing import HURRIED
from tests.fakes.faulty_server import FaultyServer, end, error, progress, stream, token
from tests.fakes.scripted import QUESTION, ScriptedEngine
from tests.servers.llama_server import KEY, LlamaServer

STEPS = ("First we count the days.\n\n", " There are seven of them.\n\n", " That is all.")


def run_with(engine: LlamaServerEngine) -> list[Event]:
    """The small model writes three steps; after the first two, the large one writes four tokens."""
    small = ScriptedEngine(*STEPS)
    policy = RandomTakeover(p=1.0, tokens=4, until=Until.TOKENS, seed=0)
    with closing(engine), closing(engine.open(QUESTION, Sampling())) as large:
        loop = Loop({Author.SMALL: small.open(), Author.LARGE: large}, policy, LoopSettings(max_tokens=60))
        return list(loop.run())


def written(events: list[Event], author: Author) -> str:
    return "".join(event.text for event in events if isinstance(event, TokenWritten) and event.author is author)


@pytest.mark.real_models
def test_takeovers_are_written_by_the_server(server: LlamaServer) -> None:
    events = run_with(LlamaServerEngine(ServerAddress(server.url, KEY), RemoteOptions(reads_along=True)))
    takeovers = [event for event in events if isinstance(event, TakeoverStarted)]
    handoffs = [event for event in events if isinstance(event, HandedOver) and event.author is Author.LARGE]
    assert len(takeovers) == len(handoffs) >= 2
    assert written(events, Author.LARGE)
    assert handoffs[1].reused > handoffs[0].reused


def test_at_a_cap_the_small_model_goes_on_alone_and_the_trace_says_so() -> None:
    answer = stream(progress(5, 5), token("x", 1), token("y", 2), end(2))
    with FaultyServer(answer) as server:
        events = run_with(LlamaServerEngine(server.url, RemoteOptions(HURRIED, answer_cap=Cap(tokens=7))))
    assert written(events, Author.LARGE) == "xy"
    assert written(events, Author.SMALL) == "".join(STEPS)
    told = [event.text for event in events if isinstance(event, Noticed)]
    assert "cap of 7 tokens for this answer is reached" in told[-1]
    assert "The small model goes on alone." in told[-1]
    assert isinstance(events[-1], RunEnded)
    assert events[-1].finish is not Finish.FAILED


def test_a_server_that_is_lost_for_good_leaves_the_small_model_alone() -> None:
    with FaultyServer(error(500, "CUDA error")) as server:
        events = run_with(LlamaServerEngine(server.url, RemoteOptions(HURRIED)))
    assert written(events, Author.LARGE) == ""
    assert written(events, Author.SMALL) == "".join(STEPS)
    assert any("CUDA error" in event.text for event in events if isinstance(event, Noticed))
