"""OpenAI-style servers: a real one that gives only text, and a scripted vLLM and a scripted SGLang."""

import math
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.base import Message, ModelCard, Passing, Stop, Token
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.remote.answers import Fields
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.openai import CompletionsAnswer, OpenAICompletionsEngine
from baton_reasoning.core.errors import ContextFull, EngineLost, EngineRefused
from baton_reasoning.core.models.options import Sampling
from tests.core.engines.remote.writing import GREEDY, HURRIED, QUESTION, as_parts, foreign, handoff, stop, text, tokens
from tests.fakes.faulty_server import Answer, FaultyServer, Wire, error, event, raw, stream
from tests.servers.llama_server import KEY


def json_error(body: Any, status: int) -> Answer:
    return lambda wire: wire.json(body, status)


def flat_error(status: int, message: str) -> Answer:
    return json_error({"object": "error", "message": message, "type": "BadRequestError", "code": status}, status)


TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: <think>\n"


@pytest.mark.real_models
def test_a_server_that_takes_and_gives_text_alone(server):
    engine = OpenAICompletionsEngine(ServerAddress(server.url, KEY), RemoteOptions(template=TEMPLATE))
    with closing(engine), closing(engine.open(QUESTION, GREEDY)) as session:
        assert not engine.card.returns_token_ids
        assert not engine.card.returns_alternatives
        items = list(session.write([], 12, seed=1))
        assert len(text(items)) > 12
        assert stop(items) is Stop.LIMIT
        assert handoff(items).passing is Passing.TEXT
        assert all(token.id is None for token in tokens(items))
        assert session.usage.cost.written == 12
        with pytest.raises(EngineRefused, match="no log-probabilities"):
            session.judge([], "?", ("a", "b"))
        longer = list(session.write(as_parts(session, items), 4, seed=1))
        assert text(longer)
        session.read([])


def chunk(text: str, ids: list[int], finish: str | None = None, **more: Any) -> Answer:
    """With the counts so far, which do not tell what was reused."""
    choice = {"index": 0, "text": text, "token_ids": ids, "finish_reason": finish} | more
    return event({"object": "text_completion", "choices": [choice], "usage": {"prompt_tokens": 9, "total_tokens": 9}})


def counts(written: int, cached: int | None = None) -> Answer:
    """The last event before `[DONE]`."""
    details = None if cached is None else {"cached_tokens": cached}
    usage = {"prompt_tokens": 9, "completion_tokens": written, "total_tokens": 9 + written}
    return event({"choices": [], "usage": usage | {"prompt_tokens_details": details}})


DONE = raw(b"data: [DONE]\n\n")
TOPS: dict[str, Any] = {
    "text_offset": [],
    "tokens": ["a"],
    "token_logprobs": [-0.1],
    "top_logprobs": [{"a": -0.1, "b": -2.5}],
}
COMPLETION = stream(
    chunk("a", [97], logprobs=TOPS),
    chunk("", [195]),
    chunk("é", [169]),
    chunk("", [2], finish="stop", matched_stop=2),
    counts(4, cached=6),
    DONE,
)


ROUTES: dict[str, Any] = {
    "/v1/models": {"data": [{"id": "big", "owned_by": "vllm", "max_model_len": 500}]},
    "/detokenize": {"prompt": "User: 1\nAssistant: <think>\n"},
    "/tokenize": {"tokens": [1, 2, 3]},
}


@pytest.fixture
def vllm():
    trial = {"choices": [{"text": "2", "token_ids": [50]}]}
    with FaultyServer(lambda wire: wire.json(trial), COMPLETION, routes=ROUTES) as server:
        yield server


@pytest.fixture
def session(vllm):
    engine = OpenAICompletionsEngine(vllm.url, RemoteOptions(HURRIED))
    with closing(engine), closing(engine.open(QUESTION, GREEDY)) as session:
        yield session


def test_vllm_takes_and_gives_ids(vllm):
    engine = OpenAICompletionsEngine(vllm.url, RemoteOptions(HURRIED))
    card = engine.card
    assert (card.name, card.context, card.returns_token_ids, card.returns_alternatives) == ("big", 500, True, True)
    assert card.thinking
    assert card.vocabulary
    with closing(engine), closing(engine.open(QUESTION, Sampling())) as session:
        assert session.prompt_tokens == 3
        items = list(session.write([], 9, seed=1, alternatives=2))
    assert text(items) == "aé"
    assert [token.id for token in tokens(items)] == [97, 195, 169]
    assert [other.text for other in tokens(items)[0].alternatives] == ["a", "b"]
    cost = session.usage.cost
    assert handoff(items)[:2] == (0, 9), "what was reused is told at the end only"
    assert (cost.reused, cost.read, cost.written, cost.estimated) == (6, 3, 4, False)
    assert stop(items) is Stop.END_OF_TEXT
    request = vllm.completions[-1]
    assert request["prompt"] == [1, 2, 3]
    assert (request["top_k"], request["top_p"], request["temperature"]) == (50, 0.95, 0.6)


def test_no_more_is_asked_for_than_the_context_holds(vllm, session):
    list(session.write([], 30_000, seed=1))
    session.read([])
    assert [asked["max_tokens"] for asked in vllm.completions[-2:]] == [500 - 3, 1]


def test_a_judgement_is_made_of_the_alternatives(session):
    judged = session.judge(foreign("x"), "?", ("a", "b"))
    likely, unlikely = judged.probabilities
    assert likely == pytest.approx(1 / (1 + math.exp(-2.4)))
    assert likely + unlikely == pytest.approx(1)
    assert judged.mass == pytest.approx(math.exp(-0.1) + math.exp(-2.5))


def parsed(*choices: dict[str, Any]) -> list[tuple[int | None, str, float | None]]:
    """Id, text and log-probability of each token of a stream."""
    parser = CompletionsAnswer(ModelCard("big", "", 500), counts_at_end=False)
    events = [event for choice in choices for event in parser.parse(Fields({"choices": [choice]}))]
    written = [event for event in events if isinstance(event, Token)]
    return [(token.id, token.data.decode(), token.logprob) for token in written]


def spelled(*texts: str) -> dict[str, Any]:
    return {"tokens": [*texts], "token_logprobs": [-0.5] * len(texts), "top_logprobs": [{text: -0.5} for text in texts]}


def test_an_event_with_several_tokens_is_split_by_their_texts():
    written = parsed({"text": "So it is", "token_ids": [1, 2, 3], "logprobs": spelled("So", " it", " is")})
    assert written == [(1, "So", -0.5), (2, " it", -0.5), (3, " is", -0.5)]


def test_an_event_whose_tokens_are_not_spelled_has_its_text_on_the_last_one():
    assert parsed({"text": "So it is", "token_ids": [1, 2, 3]}) == [(1, "", None), (2, "", None), (3, "So it is", None)]


def test_a_character_split_between_tokens_and_events_is_on_the_one_that_completes_it():
    first = {"text": "a", "token_ids": [1, 2], "logprobs": spelled("a", "\ufffd")}
    second = {"text": "€ b", "token_ids": [3, 4], "logprobs": spelled("\ufffd", " b")}
    assert [(id, text) for id, text, _ in parsed(first, second)] == [(1, "a"), (2, ""), (3, "€"), (4, " b")]


@pytest.mark.parametrize("end", [{"matched_stop": 2}, {"stop_reason": None}], ids=["SGLang", "vLLM"])
def test_the_end_of_the_text_is_no_token_of_it(end):
    last = {"text": " is", "token_ids": [3, 2], "finish_reason": "stop"} | end
    assert [id for id, _, _ in parsed({"text": "So", "token_ids": [1]}, last)] == [1, 3]


def test_tokens_without_ids_are_split_by_their_texts_too():
    assert parsed({"text": "So is", "logprobs": spelled("So", " is")}) == [(None, "So", -0.5), (None, " is", -0.5)]


@given(st.lists(st.tuples(st.text(), st.lists(st.text(), min_size=1)), max_size=5))
def test_no_character_of_a_stream_is_lost_or_told_twice(events):
    choices = [
        {"text": text, "token_ids": list(range(len(texts))), "logprobs": spelled(*texts)} for text, texts in events
    ]
    assert "".join(text for _, text, _ in parsed(*choices)) == "".join(text for text, _ in events)


SGLANG: dict[str, Any] = {
    "/v1/models": {
        "object": "list",
        "data": [{"id": "big", "object": "model", "owned_by": "sglang", "root": "big", "max_model_len": 500}],
    },
    "/tokenize": {"tokens": [1, 2, 3], "count": 3, "max_model_len": 131072},
}
"""Its `/tokenize` renders no conversations."""


def test_sglang_takes_and_gives_ids_and_needs_a_template():
    trial = {"object": "text_completion", "choices": [{"index": 0, "text": "2", "token_ids": [50]}]}
    with FaultyServer(lambda wire: wire.json(trial), COMPLETION, routes=SGLANG) as server:
        engine = OpenAICompletionsEngine(server.url, RemoteOptions(HURRIED, template=TEMPLATE))
        card = engine.card
        assert (card.context, card.returns_token_ids, card.returns_alternatives) == (500, True, True)
        assert card.thinking
        with closing(engine), closing(engine.open(QUESTION, Sampling(top_k=0))) as session:
            items = list(session.write([], 9, seed=1, alternatives=2))
        asked = next(request.body for request in server.requests if "user: " in str(request.body.get("prompt")))
        assert asked["add_special_tokens"] is True
        request = server.completions[-1]
    assert text(items) == "aé"
    assert [token.id for token in tokens(items)] == [97, 195, 169]
    assert [other.text for other in tokens(items)[0].alternatives] == ["a", "b"]
    assert stop(items) is Stop.END_OF_TEXT
    assert request["prompt"] == [1, 2, 3]
    assert request["top_k"] == -1, "its word for no limit"


def test_an_sglang_that_gives_no_ids_is_asked_in_text():
    old = {"choices": [{"index": 0, "text": "2", "finish_reason": "length"}]}
    with FaultyServer(lambda wire: wire.json(old), COMPLETION, routes=SGLANG) as server:
        engine = OpenAICompletionsEngine(server.url, RemoteOptions(HURRIED, template=TEMPLATE))
        assert not engine.card.returns_token_ids
        assert engine.card.returns_alternatives
        with closing(engine), closing(engine.open((Message("user", "Q"),), GREEDY)) as session:
            list(session.write([], 9, seed=1))
        assert server.completions[-1]["prompt"] == "user: Q\nassistant: <think>"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        # SGLang's reports stand alone in the body, and within an "error" in a stream.
        (flat_error(401, "Unauthorized"), EngineRefused, "does not accept the key"),
        (flat_error(400, "The input (9 tokens) is longer than the model's context length"), ContextFull, "no longer"),
        (stream(event({"error": {"message": "Out of memory", "code": 500}}), DONE), EngineLost, "Out of memory"),
        (stream(chunk("", [], finish="abort"), DONE), EngineLost, "stopped the answer: “abort”"),
        (stream(DONE), EngineLost, "broke off"),
        # vLLM and LM Studio name the kind of an error where others have a number.
        (error(400, "This model's maximum context length is 9"), ContextFull, "no longer"),
        (json_error({"error": {"message": "No key", "code": "invalid_api_key"}}, 401), EngineRefused, "the key"),
    ],
)
def test_each_fault_has_its_words(answer, kind, words):
    trial = {"choices": [{"text": "2", "token_ids": [50]}]}
    with FaultyServer(lambda wire: wire.json(trial), answer, routes=ROUTES) as server:
        engine = OpenAICompletionsEngine(server.url, RemoteOptions(HURRIED))
        with closing(engine), closing(engine.open(QUESTION, GREEDY)) as session, pytest.raises(kind, match=words):
            list(session.write([], 9, seed=1))


def test_an_answer_without_the_counts_that_were_promised_is_complete_all_the_same(vllm, session):
    vllm.routes["/v1/completions"] = stream(chunk("a", [97]), chunk("b", [98], finish="length"), DONE)
    items = list(session.write([], 2, seed=1))
    cost = session.usage.cost
    assert (text(items), stop(items)) == ("ab", Stop.LIMIT)
    assert (cost.reused, cost.read, cost.written, cost.estimated) == (0, 9, 2, True)


def test_a_server_without_a_template_needs_one():
    trial = {"choices": [{"text": "2", "token_ids": [50]}]}
    with (
        FaultyServer(lambda wire: wire.json(trial), routes=SGLANG) as sglang,
        pytest.raises(EngineRefused, match="SGLang does not reveal the chat template"),
    ):
        OpenAICompletionsEngine(sglang.url, RemoteOptions(HURRIED))
    routes: dict[str, Any] = {"/v1/models": {"data": [{"id": "m", "owned_by": "organization_owner"}]}}
    with FaultyServer(stream(), routes=routes) as server:
        with pytest.raises(EngineRefused, match="LM Studio does not reveal the chat template"):
            OpenAICompletionsEngine(server.url)
        engine = OpenAICompletionsEngine(server.url, RemoteOptions(template=TEMPLATE))
        with closing(engine):
            assert engine.card.thinking


def test_ollama_is_refused_with_the_reason():
    routes: dict[str, Any] = {"/v1/models": {"data": [{"id": "m", "owned_by": "library"}]}}
    with FaultyServer(stream(), routes=routes) as server, pytest.raises(EngineRefused, match="own chat template"):
        OpenAICompletionsEngine(server.url)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("/srv/models/Large-7B.Q4_K_M.gguf", "Large-7B.Q4_K_M"),
        (r"C:\models\Large.gguf", "Large"),
        ("org/Large-7B", "org/Large-7B"),
    ],
)
def test_a_file_is_called_by_its_name_and_asked_for_by_its_path(vllm, model, name):
    vllm.routes["/v1/models"] = {"data": [{"id": model, "owned_by": "vllm"}]}
    engine = OpenAICompletionsEngine(vllm.url, RemoteOptions(HURRIED))
    with closing(engine), closing(engine.open(QUESTION, GREEDY)) as session:
        list(session.write([], 1, seed=1))
    assert engine.card.name == name
    assert vllm.completions[-1]["model"] == model


def test_a_model_that_is_not_served_is_refused(vllm):
    with pytest.raises(EngineRefused, match="but not small"):
        OpenAICompletionsEngine(f"{vllm.url}#small")


def test_another_model_after_a_restart_is_refused(vllm):
    def restart(wire: Wire) -> None:
        vllm.routes["/v1/models"] = {"data": [{"id": "other", "owned_by": "vllm"}]}
        stream(chunk("a", [97]))(wire)

    engine = OpenAICompletionsEngine(vllm.url, RemoteOptions(HURRIED))
    vllm.routes["/v1/completions"] = restart
    with (
        closing(engine),
        closing(engine.open(QUESTION, GREEDY)) as session,
        pytest.raises(EngineRefused, match="no longer serves big"),
    ):
        list(session.write([], 9, seed=1))


def test_text_prompts_hold_conversation_and_body():
    routes: dict[str, Any] = {"/v1/models": {"data": [{"id": "m", "owned_by": "somebody"}]}}
    done = event({"choices": [{"text": "!", "finish_reason": "length"}]})
    with FaultyServer(stream(done), routes=routes) as server:
        engine = OpenAICompletionsEngine(server.url, RemoteOptions(template=TEMPLATE))
        with closing(engine), closing(engine.open((Message("user", "Q"),), GREEDY)) as session:
            list(session.write(foreign("so", " far"), 1, seed=1))
        assert server.completions[-1]["prompt"] == "user: Q\nassistant: <think>so far"


def table(id: int, logprob: float, word: str, **others: float) -> dict[str, Any]:
    """One entry of vLLM's `prompt_logprobs`; `others` by their ids as `t7`."""
    more = {name[1:]: {"logprob": chance, "decoded_token": name} for name, chance in others.items()}
    return {str(id): {"logprob": logprob, "decoded_token": word}} | more


def scored_answer(*tables: dict[str, Any] | None) -> Answer:
    return lambda wire: wire.json({"choices": [{"text": "!", "prompt_logprobs": list(tables)}]})


def own_parts(engine: OpenAICompletionsEngine, **words: int) -> list[Part]:
    return [Part(word, Author.SMALL, id, engine.card.vocabulary) for word, id in words.items()]


def test_vllm_scores_a_text_by_the_log_probabilities_of_its_prompt(vllm):
    engine = OpenAICompletionsEngine(vllm.url, RemoteOptions(HURRIED))
    answer = (None, table(2, -9.0, "?"), table(3, -9.0, "?"), table(7, -0.5, "so", t8=-0.1), table(9, -2.0, "far"))
    vllm.routes["/v1/completions"] = scored_answer(*answer)
    with closing(engine), closing(engine.open(QUESTION, GREEDY)) as session:
        scores = session.score(own_parts(engine, so=7, far=9), start=0, alternatives=2)
        assert [(token.id, token.text, token.logprob) for token in scores.tokens] == [(7, "so", -0.5), (9, "far", -2.0)]
        assert [other.id for other in scores.tokens[0].alternatives] == [8, 7]
        assert scores.handoff.prefilled == 5
        later = session.score(own_parts(engine, so=7, far=9), start=3).tokens
        assert [token.text for token in later] == ["far"], "a token that lies across the start is scored too"
        assert session.usage.cost.read == 10
    assert vllm.completions[-1]["prompt_logprobs"] == 1


@pytest.mark.parametrize("tables", [(), (None,), ("x", 7, [], {}, {"7": {"logprob": "much"}})])
def test_odd_scores_are_understood_or_refused(vllm, tables):
    engine = OpenAICompletionsEngine(vllm.url, RemoteOptions(HURRIED))
    vllm.routes["/v1/completions"] = scored_answer(*tables)
    with closing(engine), closing(engine.open(QUESTION, GREEDY)) as session:
        body = own_parts(engine, so=7, far=9)
        if len(tables) == 5:
            assert [token.logprob for token in session.score(body, 0).tokens] == [0.0, 0.0]
        else:
            with pytest.raises(EngineRefused, match="of 5 tokens"):
                session.score(body, 0)


@pytest.mark.real_models
def test_a_server_without_scores_says_so(server):
    engine = OpenAICompletionsEngine(ServerAddress(server.url, KEY), RemoteOptions(template=TEMPLATE))
    with closing(engine), closing(engine.open(QUESTION, GREEDY)) as session:
        assert not engine.card.returns_scores
        with pytest.raises(EngineRefused, match="no log-probabilities of a text"):
            session.score([], 0)
