"""The endpoint as the `openai` package sees it: scripted models for the protocol, the demo pair for real."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx2
import openai
import pytest

from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.local.drafting import DraftLength
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.errors import EngineLost, EngineRefused
from baton_reasoning.core.grading.extract import extract_answer
from baton_reasoning.core.models.options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.serve import api
from baton_reasoning.core.serve.access import AccessRules
from baton_reasoning.core.serve.api import MAX_BODY
from baton_reasoning.core.serve.schema import ChatRequest, CompletionRequestBody
from baton_reasoning.core.thinking.interruptions import Limits
from tests.core.serve.serving import client_of, serving, settings
from tests.core.thinking.oracles.worlds import World
from tests.core.thinking.running import PRESETS, settings_of, written
from tests.fakes.scripted import THINK, Fault, ScriptedEngine
from tests.patience import PATIENCE
from tests.tiers import size

pytestmark = pytest.mark.slow

SMALL_TEXT = "It is two and two.\n\nSo it is 4.</think>\n\nThe answer is \\boxed{4}."
LARGE_TEXT = "Two and two are 4.</think>\n\nIt is \\boxed{4}."


@pytest.fixture
def client():
    pair = Pair(ScriptedEngine(SMALL_TEXT), ScriptedEngine(LARGE_TEXT, name="large"))
    with serving(pair, settings()) as server, client_of(server) as client:
        yield client


def ask(client: openai.OpenAI, model: str = "small", **options: Any) -> openai.types.chat.ChatCompletion:
    return client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "What is 2 + 2?"}], **options
    )


def ask_streamed(client: openai.OpenAI, model: str, **options: Any) -> openai.Stream[Any]:
    question: list[Any] = [{"role": "user", "content": "What is 2 + 2?"}]
    return client.chat.completions.create(model=model, messages=question, stream=True, **options)


def test_the_arms_are_the_models(client):
    assert [model.id for model in client.models.list()] == ["baton", "small", "large"]
    assert client.models.retrieve("small").owned_by == "baton"


def test_thinking_stands_apart_from_the_answer(client):
    message = ask(client).choices[0].message
    assert message.content == "The answer is \\boxed{4}."
    assert message.reasoning_content == "It is two and two.\n\nSo it is 4."  # type: ignore[attr-defined]


def test_usage_counts_the_tokens_of_both_models(client):
    usage = ask(client).usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert 0 < (usage.completion_tokens_details.reasoning_tokens or 0) < usage.completion_tokens
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_stream_adds_up_to_the_whole_answer(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]  # type: ignore[attr-defined]
    assert "".join(delta.content or "" for delta in deltas) == ask(client).choices[0].message.content
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas).startswith("It is two")
    assert chunks[-1].usage.completion_tokens > 0  # type: ignore[attr-defined]


@pytest.mark.scaled
@pytest.mark.parametrize("seed", range(size(1, long=30)))
def test_what_is_sent_is_the_text_of_the_trace_under_every_policy(seed):
    world = World(seed, tagged=True, drawn=True)
    arms = {
        name: settings_of(chosen, seed).model_copy(update={"small_alone": False}) for name, chosen in PRESETS.items()
    }
    with serving(Pair(*world.engines), arms) as server, client_of(server) as client:
        for name, chosen in arms.items():
            trace = written(world, chosen)
            response = ask(client, name, seed=seed)
            whole = response.choices[0].message
            sent = {"reasoning_content": "", "content": ""}
            for chunk in ask_streamed(client, name, seed=seed):
                for field in sent:
                    sent[field] += getattr(chunk.choices[0].delta, field, None) or "" if chunk.choices else ""
            thinking, answer = trace.thinking_text, trace.answer.lstrip()
            assert (sent["reasoning_content"], sent["content"]) == (thinking, answer), name
            assert ((whole.model_extra or {}).get("reasoning_content") or "", whole.content) == (thinking, answer), name
            assert "".join(spans_in(thinking + answer, response)) == thinking + answer, name


def test_the_answer_of_a_pair_is_sent_while_it_is_written():
    """A policy that rewrites no step holds back no more than its lookahead."""
    begun, sent = threading.Event(), threading.Event()

    def wait(body: str) -> None:
        if body.endswith("The answer is"):
            begun.set()
            assert sent.wait(PATIENCE)

    small = ScriptedEngine("So.</think>The answer is 4.", before_token=wait)
    with serving(Pair(small, ScriptedEngine(name="large")), settings()) as server, client_of(server) as client:
        text = ""
        for chunk in ask_streamed(client, "baton"):
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
            if text == "The answer is" and begun.wait(PATIENCE):
                sent.set()
        assert text == "The answer is 4."


def test_a_stop_string_ends_the_answer_before_it_and_is_not_looked_for_in_the_thinking(client):
    assert ask(client, stop=["two and two"]).choices[0].message.content == "The answer is \\boxed{4}."
    choice = ask(client, stop=["\\boxed"]).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("The answer is ", "stop")


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_in_tokens_ends_the_answer_with_length(client, limit):
    options: dict[str, Any] = {limit: 5}
    response = ask(client, **options)
    assert response.choices[0].finish_reason == "length"
    assert response.usage
    assert response.usage.completion_tokens == 5


def test_completions_put_the_prompt_as_a_message_and_return_one_text(client):
    response = client.completions.create(model="small", prompt="What is 2 + 2?")
    assert response.choices[0].text == "It is two and two.\n\nSo it is 4.\n\nThe answer is \\boxed{4}."
    chunks = client.completions.create(model="small", prompt="What is 2 + 2?", stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == response.choices[0].text


def test_authorship_stands_in_a_field_that_clients_may_ignore(client):
    authorship = ask(client, model="large").model_extra
    assert authorship
    assert authorship["baton"]["large_share"] == 1
    assert {span["author"] for span in authorship["baton"]["spans"]} == {"large"}


def spans_in(text: str, response: openai.types.chat.ChatCompletion | openai.types.Completion) -> list[str]:
    """Return the text of each span of the response."""
    spans = (response.model_extra or {})["baton"]["spans"]
    return [text[span["position"] : span["position"] + span["length"]] for span in spans]


def test_spans_locate_each_writer_in_what_a_client_gets(client):
    """The closing tag and the blank line after it, which are not sent, belong to nobody."""
    steps = ["It is two and two.\n\n", "So it is 4.", "The answer is \\boxed{4}."]
    chat = ask(client)
    thinking: str = chat.choices[0].message.reasoning_content  # type: ignore[attr-defined]
    assert spans_in(f"{thinking}{chat.choices[0].message.content}", chat) == steps
    completion = client.completions.create(model="small", prompt="What is 2 + 2?")
    assert spans_in(completion.choices[0].text, completion) == steps
    cut = ask(client, stop="\\boxed")
    assert spans_in(f"{thinking}{cut.choices[0].message.content}", cut) == [*steps[:2], "The answer is "]


def test_takeovers_by_the_small_model_are_reported_too():
    small = ScriptedEngine(" see. No", "It is 4.")
    large = ScriptedEngine("So.\n\nWait, let", " So 4.</think>", name="large")
    with serving(Pair(small, large), {"relay": RunSettings(policy="relay")}) as server, client_of(server) as client:
        authorship = ask(client, model="relay").model_extra
    assert authorship
    assert authorship["baton"]["takeovers"] == 2, "a sentence and the answer"


def test_an_unknown_model_is_answered_with_the_names_of_the_arms(client):
    with pytest.raises(openai.NotFoundError, match="Choose one of baton, small, large"):
        ask(client, model="gpt-9")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"temperature": -1}, "invalid_value"),
        ({"max_tokens": 0}, "invalid_value"),
        ({"max_completion_tokens": 0}, "invalid_value"),
        ({"stop": list("abcde")}, "invalid_value"),
        ({"n": 2}, "unsupported_value"),
        ({"tool_choice": "required"}, "unsupported_value"),
        ({"tool_choice": {"type": "function", "function": {"name": "add"}}}, "unsupported_value"),
        ({"response_format": {"type": "json_object"}}, "unsupported_value"),
        ({"logprobs": True}, "unsupported_value"),
        ({"top_logprobs": 3}, "unsupported_value"),
        ({"logit_bias": {"17": -100}}, "unsupported_value"),
        ({"frequency_penalty": 0.5}, "unsupported_value"),
        ({"modalities": ["text", "audio"]}, "unsupported_value"),
        ({"reasoning_effort": "high"}, "unsupported_value"),
        ({"extra_body": {"min_p": 0.1}}, "unsupported_value"),
        ({"extra_body": {"repetition_penalty": 1.1}}, "unsupported_value"),
        ({"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}}, "unsupported_value"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(client, options, code):
    name = next(iter(options.get("extra_body", options)))
    with pytest.raises(openai.BadRequestError, match=f"{name}.*: ") as caught:
        ask(client, **options)
    assert (caught.value.param, caught.value.code) == (name, code)


@pytest.mark.parametrize("options", [{"logprobs": 1}, {"best_of": 2}, {"suffix": "."}, {"echo": True}])
def test_completions_refuse_by_name_too(client, options):
    name = next(iter(options))
    with pytest.raises(openai.BadRequestError, match=f"{name}: ") as caught:
        client.completions.create(model="small", prompt="2 + 2", **options)
    assert (caught.value.param, caught.value.code) == (name, "unsupported_value")


def test_what_changes_nothing_is_accepted(client):
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    harmless: dict[str, Any] = {"n": 1, "logprobs": False, "response_format": {"type": "text"}, "frequency_penalty": 0}
    harmless["extra_body"] = {"min_p": 0, "repetition_penalty": 1.0, "chat_template_kwargs": {}}
    assert ask(client, tools=[tool], tool_choice="auto", **harmless).choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("path", "kind", "needed"),
    [
        ("chat/completions", ChatRequest, {"messages": [{"role": "user", "content": "2 + 2?"}]}),
        ("completions", CompletionRequestBody, {"prompt": "2 + 2?"}),
    ],
)
def test_null_is_a_field_left_out(path, kind, needed):
    with serving(Pair(ScriptedEngine(SMALL_TEXT)), {"baton": settings()["small"]}) as server:
        body = dict.fromkeys((*kind.model_fields, "max_completion_tokens"), None) | needed
        assert httpx2.post(f"{server.url}/{path}", json=body).status_code == 200


def test_top_k_is_honoured():
    small = ScriptedEngine(SMALL_TEXT)
    with serving(Pair(small, None), settings()) as server, client_of(server) as client:
        for top_k in (7, -1):
            ask(client, extra_body={"top_k": top_k})
    assert [session.sampling.top_k for session in small.sessions] == [7, 0]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("error", [EngineLost("The server is gone."), EngineRefused("The cap is reached.")])
def test_without_the_large_model_a_pair_gives_no_answer(error, stream):
    small = ScriptedEngine("Wait, is it so?\n\nYes.</think>\n\n4")
    large = ScriptedEngine(LARGE_TEXT, name="large", faults=[Fault(0, error, for_good=True)])
    with (
        serving(Pair(small, large), settings()) as server,
        client_of(server) as client,
        pytest.raises(openai.APIError, match=error.message) as caught,
    ):
        list(ask(client, "baton", stream=stream))
    assert caught.value.type == "server_error"


def test_an_image_is_refused_with_what_can_be_read(client):
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    with pytest.raises(openai.BadRequestError, match="The models read text only") as caught:
        client.chat.completions.create(model="small", messages=[{"role": "user", "content": parts}])
    assert caught.value.param == "messages"


def test_the_responses_api_names_the_endpoint_to_use(client):
    with pytest.raises(openai.NotFoundError, match="Use POST /v1/chat/completions"):
        client.responses.create(model="small", input="2 + 2?")


CHAT = "chat/completions"
QUESTION = '"messages": [{"role": "user", "content": "2 + 2?"}]'


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "sentence"),
    [
        ("POST", CHAT, b"\xff{", {}, 400, "the body: Invalid JSON"),
        ("POST", CHAT, b"[]", {}, 400, "the body: Input should be an object."),
        ("POST", CHAT, b'{"messages": []}', {}, 400, "messages: "),
        ("POST", CHAT, b'{"messages": [{"role": "pirate", "content": ""}]}', {}, 400, "messages.0.role: "),
        ("POST", CHAT, b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', {}, 400, "messages.0"),
        ("POST", CHAT, b"{}", {}, 400, "messages: Field required."),
        ("POST", CHAT, b" " * (MAX_BODY + 1), {}, 413, "A request may have 4 MiB at most."),
        ("POST", CHAT, b'{"model": "gpt-9", %s}' % QUESTION.encode(), {}, 404, "Choose one of baton, small, large."),
        ("POST", "completions", b'{"prompt": ["a", "b"]}', {}, 400, "prompt: "),
        ("POST", "completions", b'{"prompt": [7]}', {}, 400, "prompt.0: Input should be a valid string."),
        ("GET", "models/gpt-9", b"", {}, 404, "There is no arm called 'gpt-9'"),
        ("GET", "files", b"", {}, 404, "GET /v1/files: Not Found."),
        ("GET", CHAT, b"", {}, 405, "GET /v1/chat/completions: Method Not Allowed."),
        ("GET", "models", b"", {"Host": "evil.example"}, 403, "The Host 'evil.example' is not allowed."),
        ("GET", "models", b"", {"Origin": "https://evil.example"}, 403, "The Origin 'https://evil.example' is not"),
        ("OPTIONS", CHAT, b"", {"Origin": "https://evil.example"}, 403, "The Origin 'https://evil.example' is not"),
    ],
)
def test_every_refusal_is_one_error_as_openai_writes_them(client, method, path, body, headers, status, sentence):
    response = httpx2.request(method, f"{client.base_url}{path}", content=body, headers=headers)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert sentence in error["message"]
    assert error["type"] == {403: "permission_error", 404: "not_found_error"}.get(status, "invalid_request_error")


def test_a_prompt_that_does_not_fit_is_refused_whole_and_in_a_stream():
    small = ScriptedEngine(SMALL_TEXT, context=3)
    with serving(Pair(small, None), settings()) as server, client_of(server) as client:
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError, match="holds 3") as caught:
                ask(client, stream=stream)
            assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")
        with pytest.raises(openai.BadRequestError) as refused:
            client.completions.create(model="small", prompt="What is 2 + 2?", stream=True)
        assert refused.value.param == "prompt"


def test_a_page_whose_origin_is_allowed_asks_with_the_key():
    page = "http://localhost:3000"
    rules = AccessRules(key="secret", allowed_origins=frozenset({page}))
    with serving(Pair(ScriptedEngine(SMALL_TEXT)), settings(), rules=rules) as server:
        wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        preflight = httpx2.options(f"{server.url}/chat/completions", headers={"Origin": page, **wanted})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == page
        assert preflight.headers["access-control-allow-headers"] == "authorization"
        refused = httpx2.get(f"{server.url}/models", headers={"Origin": page})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == page
        answered = httpx2.get(f"{server.url}/models", headers={"Origin": page, "Authorization": "Bearer secret"})
        assert answered.headers["access-control-allow-origin"] == page


MANY = 1_000_000
"""Words of an answer that is not waited for."""
ENDLESS = RunSettings(instruction="", max_tokens=MANY, limits=Limits(repetition=False))
"""Neither its length nor the same word again and again is a reason to end it."""
LONG: list[Any] = [{"role": "user", "content": "long"}]


def long_winded(begun: threading.Event) -> ScriptedEngine:
    """Answers the question “long” with `MANY` words. As a model does while it decodes, it lets other threads work."""

    def begin(_text: str) -> None:
        begun.set()
        time.sleep(0)

    return ScriptedEngine(
        continue_with=lambda asked, _: ["so "] * MANY if asked[-1].content == "long" else SMALL_TEXT,
        before_token=begin,
        thinking=THINK,
        context=2 * MANY,
    )


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["small", "baton"])
def test_a_stop_string_ends_the_run(model, stream):
    small, large = long_winded(threading.Event()).with_card(thinking=None), ScriptedEngine(name="large", thinking=None)
    with serving(Pair(small, large), settings(ENDLESS)) as server, client_of(server) as client:
        options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        given = client.chat.completions.create(model=model, messages=LONG, stop="so so so", **options)
        usage = (list(given)[-1] if stream else given).usage
    assert 3 <= usage.completion_tokens <= small.written < MANY


def test_a_body_that_does_not_arrive_is_refused(monkeypatch):
    monkeypatch.setattr(api, "REQUEST_SECONDS", 0.1)
    half_a_body = f"POST /v1/{CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{{".encode()
    with (
        serving(Pair(ScriptedEngine(SMALL_TEXT)), settings()) as server,
        socket.create_connection((server.host, server.port)) as connection,
    ):
        connection.sendall(half_a_body)
        assert connection.recv(12) == b"HTTP/1.1 408"


def test_a_client_that_leaves_before_the_answer_frees_its_place():
    small = long_winded(begun := threading.Event())
    body = json.dumps({"model": "small", "messages": LONG})
    request = f"POST /v1/{CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    with serving(Pair(small, None), settings(ENDLESS)) as server, client_of(server) as client:
        with socket.create_connection((server.host, server.port)) as connection:
            connection.sendall(request.encode())
            begun.wait()
        assert ask(client).choices[0].finish_reason == "stop"
    assert small.written < MANY


@pytest.mark.parametrize("stream", [False, True])
def test_an_endpoint_that_stops_ends_the_answers_it_is_writing(stream):
    small = long_winded(begun := threading.Event())

    def answer(client: openai.OpenAI) -> None:
        given = client.chat.completions.create(model="small", messages=LONG, stream=stream)
        for _ in given if stream else ():
            pass

    with (
        serving(Pair(small, None), settings(ENDLESS)) as server,
        client_of(server) as client,
        ThreadPoolExecutor() as pool,
    ):
        answers = [pool.submit(answer, client) for _ in range(2)]  # one is written, one waits for the place
        begun.wait()
        server.stop()
        for each in answers:
            with pytest.raises(openai.APIError, match="The endpoint was stopped before the answer was whole"):
                each.result()
    assert small.written < MANY


def test_without_the_key_nothing_is_answered():
    with serving(Pair(ScriptedEngine(SMALL_TEXT)), settings(), rules=AccessRules(key="secret")) as server:
        with client_of(server, "wrong") as client, pytest.raises(openai.AuthenticationError):
            client.models.list()
        with client_of(server, "secret") as client:
            assert client.models.list().data


# The demo pair, really run


@pytest.fixture(scope="module")
def demo():
    options = LoadOptions(context=1024, threads=1, parallel=2)
    small, large = LocalEngine(SMALL_MODEL, options), LocalEngine(LARGE_MODEL, options)
    base = DEMO_SETTINGS.model_copy(update={"temperature": 0.0})
    arms = {arm.name: arm.settings for arm in arms_of(["baton", "small", "large"], base)}
    with serving(Pair(small, large), arms, parallel=2) as server, client_of(server) as client:
        yield client
    small.close()
    large.close()


def question(client: openai.OpenAI, model: str, problem: str, seed: int = 1) -> openai.types.chat.ChatCompletion:
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": problem}], seed=seed)


@pytest.mark.real_models
def test_the_demo_pair_answers_right_through_the_endpoint(demo):
    problem = next(held_out_problems(seed=11))
    response = question(demo, "baton", problem.question)
    assert extract_answer(response.choices[0].message.content or "") == problem.answer
    assert response.model_extra
    assert 0 < response.model_extra["baton"]["large_share"] < 1


@pytest.mark.real_models
def test_drafts_change_nothing_that_a_client_gets():
    options = LoadOptions(context=1024, threads=1)
    small, large = LocalEngine(SMALL_MODEL, options), LocalEngine(LARGE_MODEL, options)
    base = DEMO_SETTINGS.model_copy(update={"temperature": 0.0})
    arms = {arm.name: arm.settings for arm in arms_of(["large", "drafted"], base)}
    problem = next(held_out_problems(seed=14))
    with closing(small), closing(large), serving(Pair(small, large), arms) as server, client_of(server) as client:
        plain, drafted = (question(client, arm, problem.question) for arm in arms)
    assert drafted.choices == plain.choices
    assert drafted.model_extra
    assert drafted.model_extra["baton"]["large_share"] == 1
    assert large.draft_lengths[small].acceptance != DraftLength().acceptance, "drafts were tried"


@pytest.mark.real_models
def test_requests_at_once_get_the_answers_they_get_alone(demo):
    problems = [problem for problem, _ in zip(held_out_problems(seed=12), range(4), strict=False)]
    alone = [question(demo, "large", each.question).choices[0].message.content for each in problems]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: question(demo, "large", each.question), problems))
    assert [response.choices[0].message.content for response in together] == alone


@pytest.mark.real_models
def test_a_second_turn_finds_the_first_in_the_cache(smollm2, gemma):
    options = LoadOptions(context=512, threads=1)
    small, large = LocalEngine(smollm2, options), LocalEngine(gemma, options)
    arms = {arm.name: arm.settings for arm in arms_of(["small", "large"], RunSettings(max_tokens=30))}
    asked: list[Any] = [{"role": "user", "content": "What is 2 + 2?"}]
    with closing(small), closing(large), serving(Pair(small, large), arms) as server, client_of(server) as client:
        for arm in arms:
            first = client.chat.completions.create(model=arm, messages=asked, seed=1)
            answer = {"role": "assistant", "content": first.choices[0].message.content}
            follow_up = [*asked, answer, {"role": "user", "content": "And 3 + 3?"}]
            usage = client.chat.completions.create(model=arm, messages=follow_up, seed=1).usage
            assert usage
            assert usage.prompt_tokens_details
            assert first.usage
            assert (usage.prompt_tokens_details.cached_tokens or 0) >= first.usage.total_tokens - 2


@pytest.mark.real_models
def test_a_client_that_goes_away_frees_its_place(demo):
    problem = next(held_out_problems(seed=13))
    for _ in range(3):
        stream = demo.chat.completions.create(
            model="small", messages=[{"role": "user", "content": problem.question}], stream=True
        )
        next(iter(stream))
        stream.close()
    assert question(demo, "large", problem.question).choices[0].finish_reason == "stop"
