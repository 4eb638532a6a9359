"""Stop, in whatever a server or its session is doing. The servers are silent for longer than any test may take."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from baton_reasoning.core.engines.base import End, Handoff, Judgement, Scores, Session, Stop
from baton_reasoning.core.engines.remote.connection import RetryPolicy
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.openai import OpenAICompletionsEngine
from baton_reasoning.core.engines.remote.servers import ServerPool
from baton_reasoning.core.errors import Cancelled
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.events import Event, Finish, Noticed, RunEnded, WriteStarted
from baton_reasoning.core.thinking.interruptions import Control
from baton_reasoning.core.thinking.policies.never import Never
from tests.core.engines.remote.test_openai import ROUTES
from tests.core.engines.remote.writing import GREEDY, QUESTION, foreign
from tests.fakes.faulty_server import Answer, FaultyServer, Wire, end, error, hold, progress, stream, token

PATIENT = RetryPolicy(
    answer=600, first_token=600, between_tokens=600, notice_every=600, first_pause=600, longest_pause=600
)
A = token("a", 1)


def stops(control: Control, then: Answer = hold) -> Answer:
    """Somebody presses Stop while the server has this question."""

    def answer(wire: Wire) -> None:
        control.stop()
        then(wire)

    return answer


def cancels(sessions: list[Session]) -> Answer:
    def answer(wire: Wire) -> None:
        sessions[0].cancel()
        wire.hold()

    return answer


def written(
    server: FaultyServer, control: Control, on_event: Callable[[Event], object] = lambda _: None
) -> list[Event]:
    """All events of a run of which the small model is on this server."""
    options = RemoteOptions(PATIENT, supports_prefetch=True)
    with closing(LlamaServerEngine(server.url, options)) as engine:
        happened = []
        for event in run(Pair(small=engine), QUESTION, RunSettings(policy=Never.Settings()), control=control):
            happened.append(event)
            on_event(event)
    return happened


def finish_of(happened: list[Event]) -> Finish:
    assert isinstance(happened[-1], RunEnded)
    return happened[-1].finish


@pytest.fixture
def control():
    return Control()


@pytest.mark.parametrize("then", [hold, error(503, "Loading model")], ids=["it hangs", "it is not ready"])
def test_stop_while_the_conversation_is_tokenised(control, then):
    with FaultyServer(hold) as server:
        options = RemoteOptions(PATIENT)
        with closing(LlamaServerEngine(server.url, options)) as engine:
            server.routes["/tokenize"] = stops(control, then)
            happened = list(run(Pair(small=engine), QUESTION, RunSettings(policy=Never.Settings()), control=control))
            assert not engine.sessions
    assert finish_of(happened) is Finish.STOPPED
    assert len(happened) == 2, "it began and ended"


def test_a_session_of_a_pool_that_is_stopped_is_not_opened_on_the_next_server(control):
    with FaultyServer(hold) as first, FaultyServer(hold) as second:
        engines = [LlamaServerEngine(server.url, RemoteOptions(PATIENT)) for server in (first, second)]
        asked = len(second.requests)
        first.routes["/tokenize"] = stops(control)
        with closing(ServerPool(engines)) as pool, pytest.raises(Cancelled):
            pool.open(QUESTION, GREEDY, control.attach)
        assert len(second.requests) == asked


def test_stop_between_the_start_of_a_write_and_its_request(control):
    with FaultyServer(hold) as server:
        happened = written(server, control, lambda event: control.stop() if isinstance(event, WriteStarted) else None)
        assert server.completions == []
    assert finish_of(happened) is Finish.STOPPED


@pytest.mark.parametrize("parts", [(), (progress(1, 9),), (progress(9, 9), A)], ids=["waiting", "reading", "writing"])
def test_stop_while_an_answer_is_awaited(control, parts):
    with FaultyServer(stream(*parts, stops(control))) as server:
        happened = written(server, control)
    assert finish_of(happened) is Finish.STOPPED


def test_stop_while_a_broken_answer_waits_for_its_next_try(control):
    with FaultyServer(error(500, "CUDA error")) as server:
        happened = written(server, control, lambda event: control.stop() if isinstance(event, Noticed) else None)
        assert len(server.completions) == 1
    assert finish_of(happened) is Finish.STOPPED


def test_stop_while_the_server_is_asked_whether_it_has_the_same_model(control):
    def forgets(wire: Wire) -> None:
        server.routes["/props"] = stops(control)
        stream(progress(9, 9), A, hold)(wire)

    known = stream(progress(9, 9), end(0))
    with (
        FaultyServer(known, forgets) as server,
        closing(LlamaServerEngine(server.url, RemoteOptions(PATIENT))) as engine,
    ):
        session = engine.open(QUESTION, GREEDY, control.attach)
        session.read([])
        assert list(session.write([], 9, seed=1)) == [End(Stop.CANCELLED)]


CALLS: dict[str, Callable[[Session], object]] = {
    "read": lambda session: session.read(foreign("x")),
    "write": lambda session: list(session.write(foreign("x"), 9, 1)),
    "judge": lambda session: session.judge(foreign("x"), "?", ("a", "b")),
    "score": lambda session: session.score(foreign("x"), 0),
}
NOTHING: dict[str, Any] = {
    "read": Handoff(0, 0, 0.0),
    "write": [End(Stop.CANCELLED)],
    "judge": Judgement.none(2),
    "score": Scores(),
}


@pytest.fixture
def vllm():
    """It answers one trial, and then nothing."""
    trial = {"choices": [{"text": "2", "token_ids": [50]}]}
    with (
        FaultyServer(lambda wire: wire.json(trial), hold, routes=ROUTES) as server,
        closing(OpenAICompletionsEngine(server.url, RemoteOptions(PATIENT))) as engine,
    ):
        yield server, engine


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("path", ["/tokenize", "/v1/completions"])
def test_every_call_ends_when_it_is_cancelled_and_so_does_every_later_one(vllm, call, path):
    server, engine = vllm
    with closing(engine.open(QUESTION, GREEDY)) as session:
        server.routes[path] = cancels([session])
        assert CALLS[call](session) == NOTHING[call]
        asked = len(server.requests)
        for later in CALLS:
            assert CALLS[later](session) == NOTHING[later]
        session.cancel()
        assert len(server.requests) == asked
