"""OpenAI-style servers: a real one that gives only text, and a scripted vLLM."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from core.engines.base import Message, Passing, Sampling, Stop
from core.engines.openai_completions import OpenAICompletionsEngine
from core.engines.remote.address import ServerAddress
from core.engines.remote.engine import RemoteOptions
from core.errors import EngineRefused
from tests.core.engines.remote.writing import GREEDY, HURRIED, QUESTION, as_parts, foreign, handoff, stop, text, tokens
from tests.fakes.faulty_server import FaultyServer, Wire, event, stream
from tests.servers.llama_server import KEY, LlamaServer

TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: <think>\n"


@pytest.mark.real_models
def test_a_server_that_takes_and_gives_text_alone(server: LlamaServer) -> None:
    engine = OpenAICompletionsEngine(ServerAddress(server.url, KEY), RemoteOptions(template=TEMPLATE))
    with closing(engine), closing(engine.open(QUESTION, GREEDY)) as session:
        assert not engine.card.gives_ids
        assert not engine.card.gives_alternatives
        items = list(session.write([], 12, seed=1))
        assert len(text(items)) > 12
        assert stop(items) is Stop.LIMIT
        assert handoff(items).passing is Passing.TEXT
        assert all(token.id is None for token in tokens(items))
        assert session.bill.cost.written == 12
        with pytest.raises(EngineRefused, match="no log-probabilities"):
            session.judge([], "?", ("a", "b"))
        longer = list(session.write(as_parts(session, items), 4, seed=1))
        assert text(longer)
        session.read([])


def chunk(text: str, ids: list[int], cached: int = 6, finish: str | None = None, **more: Any) -> Any:
    usage = {"prompt_tokens": 9, "total_tokens": 9, "prompt_tokens_details": {"cached_tokens": cached}}
    choice = {"text": text, "token_ids": ids, "finish_reason": finish} | more
    return event({"choices": [choice], "usage": usage})


def serve_completion(wire: Wire) -> None:
    tops: dict[str, Any] = {"logprobs": {"token_logprobs": [-0.1], "top_logprobs": [{"a": -0.1, "b": -2.5}]}}
    stream(chunk("a", [97], **tops), chunk("", [195]), chunk("é", [169]), chunk("", [], finish="stop"))(wire)


ROUTES: dict[str, Any] = {
    "/v1/models": {"data": [{"id": "big", "owned_by": "vllm", "max_model_len": 500}]},
    "/detokenize": {"prompt": "User: 1\nAssistant: <think>\n"},
    "/tokenize": {"tokens": [1, 2, 3]},
}


@pytest.fixture
def vllm() -> Iterator[FaultyServer]:
    trial = {"choices": [{"text": "2", "token_ids": [50]}]}
    with FaultyServer(lambda wire: wire.json(trial), serve_completion, routes=ROUTES) as server:
        yield server


def test_vllm_takes_and_gives_ids(vllm: FaultyServer) -> None:
    engine = OpenAICompletionsEngine(vllm.url, RemoteOptions(HURRIED))
    card = engine.card
    assert (card.name, card.context, card.gives_ids, card.gives_alternatives) == ("big", 500, True, True)
    assert card.thinking
    assert card.vocabulary
    with closing(engine), closing(engine.open(QUESTION, Sampling())) as session:
        assert session.prompt_tokens == 3
        items = list(session.write([], 9, seed=1, alternatives=2))
    assert text(items) == "aé"
    assert [token.id for token in tokens(items)] == [97, None]
    assert [other.text for other in tokens(items)[0].alternatives] == ["a", "b"]
    assert handoff(items)[:2] == (6, 3)
    assert stop(items) is Stop.END_OF_TEXT
    request = vllm.completions[-1]
    assert request["prompt"] == [1, 2, 3]
    assert (request["top_k"], request["top_p"], request["temperature"]) == (50, 0.95, 0.6)


def test_a_judgement_is_made_of_the_alternatives(vllm: FaultyServer) -> None:
    engine = OpenAICompletionsEngine(vllm.url, RemoteOptions(HURRIED))
    with closing(engine), closing(engine.open(QUESTION, Sampling())) as session:
        likely, unlikely = session.judge(foreign("x"), "?", ("a", "b"))
    assert likely == pytest.approx(1 / (1 + 2.718281828**-2.4))
    assert likely + unlikely == pytest.approx(1)


def test_a_server_without_a_template_needs_one() -> None:
    routes: dict[str, Any] = {"/v1/models": {"data": [{"id": "m", "owned_by": "organization_owner"}]}}
    with FaultyServer(stream(), routes=routes) as server:
        with pytest.raises(EngineRefused, match="LM Studio does not tell the chat template"):
            OpenAICompletionsEngine(server.url)
        engine = OpenAICompletionsEngine(server.url, RemoteOptions(template=TEMPLATE))
        with closing(engine):
            assert engine.card.thinking


def test_ollama_is_refused_with_the_reason() -> None:
    routes: dict[str, Any] = {"/v1/models": {"data": [{"id": "m", "owned_by": "library"}]}}
    with FaultyServer(stream(), routes=routes) as server, pytest.raises(EngineRefused, match="own chat template"):
        OpenAICompletionsEngine(server.url)


def test_a_model_that_is_not_served_is_refused(vllm: FaultyServer) -> None:
    with pytest.raises(EngineRefused, match="does not serve small"):
        OpenAICompletionsEngine(vllm.url, RemoteOptions(model="small"))


def test_text_prompts_hold_conversation_and_body() -> None:
    routes: dict[str, Any] = {"/v1/models": {"data": [{"id": "m", "owned_by": "somebody"}]}}
    done = event({"choices": [{"text": "!", "finish_reason": "length"}]})
    with FaultyServer(stream(done), routes=routes) as server:
        engine = OpenAICompletionsEngine(server.url, RemoteOptions(template=TEMPLATE))
        with closing(engine), closing(engine.open((Message("user", "Q"),), GREEDY)) as session:
            list(session.write(foreign("so", " far"), 1, seed=1))
        assert server.completions[-1]["prompt"] == "user: Q\nassistant: <think>so far"
