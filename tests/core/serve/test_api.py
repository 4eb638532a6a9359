"""The endpoint as the `openai` package sees it: scripted models for the protocol, the demo pair for real."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice

import httpx2
import openai
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.errors import EngineLost, EngineRefused, SettingsError
from baton_reasoning.core.grading.extract import extract_answer
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings
from baton_reasoning.core.serve import api
from baton_reasoning.core.serve.access import AccessRules, origins
from baton_reasoning.core.serve.api import MAX_BODY
from baton_reasoning.core.serve.schema import ChatRequest, CompletionRequestBody
from baton_reasoning.core.serve.server import EndpointServer
from tests.core.serve.serving import (
    ENDLESS,
    LARGE_TEXT,
    LOCAL_ONLY,
    MANY,
    SMALL_TEXT,
    ask,
    client_for,
    client_of,
    connection,
    long_winded,
    serving,
    settings,
)
from tests.core.thinking.running import PRESETS, World, settings_of, written
from tests.fakes.scripted import Fault, ScriptedEngine
from tests.patience import PATIENCE
from tests.tiers import size

pytestmark = pytest.mark.slow


@pytest.fixture
def client():
    with client_for(Pair(ScriptedEngine(SMALL_TEXT), ScriptedEngine(LARGE_TEXT, name="large"))) as client:
        yield client


def complete(client, **options):
    return client.completions.create(model="small", prompt="What is 2 + 2?", **options)


def streamed(chunks):
    """The thinking, the answer and the last chunk of a stream."""
    sent = {"reasoning_content": "", "content": ""}
    for chunk in chunks:
        for field in sent if chunk.choices else ():
            sent[field] += getattr(chunk.choices[0].delta, field, None) or ""
    return sent["reasoning_content"], sent["content"], chunk


def spans_in(text, response):
    spans = response.model_extra["baton"]["spans"]
    return [text[span["position"] : span["position"] + span["length"]] for span in spans]


# Answers


def test_the_arms_are_the_models(client):
    assert [model.id for model in client.models.list()] == ["baton", "small", "large"]
    assert client.models.retrieve("small").owned_by == "baton"
    assert httpx2.get(f"{str(client.base_url).removesuffix('v1/')}health").json() == {"status": "ok"}


def test_a_whole_answer_has_its_thinking_its_usage_and_its_authors_and_a_stream_the_same(client):
    """The closing tag and the blank line after it, which are not sent, belong to nobody."""
    whole = ask(client)
    message, usage = whole.choices[0].message, whole.usage
    assert message.reasoning_content == "It is two and two.\n\nSo it is 4."
    assert message.content == "The answer is \\boxed{4}."
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 0 < usage.completion_tokens_details.reasoning_tokens < usage.completion_tokens
    steps = ["It is two and two.\n\n", "So it is 4.", "The answer is \\boxed{4}."]
    assert spans_in(message.reasoning_content + message.content, whole) == steps
    *sent, last = streamed(ask(client, stream=True, stream_options={"include_usage": True}))
    assert sent == [message.reasoning_content, message.content]
    assert last.usage == usage
    by_large = ask(client, model="large").model_extra["baton"]
    assert (by_large["large_share"], {span["author"] for span in by_large["spans"]}) == (1, {"large"})


def test_completions_put_the_prompt_as_a_message_and_return_one_text(client):
    response = complete(client)
    assert response.choices[0].text == "It is two and two.\n\nSo it is 4.\n\nThe answer is \\boxed{4}."
    assert "".join(chunk.choices[0].text for chunk in complete(client, stream=True)) == response.choices[0].text
    *_, answer = spans_in(response.choices[0].text, response)
    assert answer == "The answer is \\boxed{4}."


@pytest.mark.scaled
# In the eighth a token within a closing tag that was complete is discarded again.
@pytest.mark.parametrize("seed", sorted({8, *range(size(1, long=30))}))
def test_what_is_sent_is_the_text_of_the_trace_under_every_policy(seed):
    world = World(seed, tagged=True, drawn=True)
    arms = {
        name: settings_of(chosen, seed).model_copy(update={"small_alone": False}) for name, chosen in PRESETS.items()
    }
    with client_for(Pair(*world.engines), arms) as client:
        for name, chosen in arms.items():
            trace = written(world, chosen)
            thinking, answer = trace.thinking_text, trace.answer.lstrip()
            response = ask(client, name, seed=seed)
            whole = response.choices[0].message
            assert streamed(ask(client, name, seed=seed, stream=True))[:2] == (thinking, answer), name
            assert ((whole.model_extra or {}).get("reasoning_content") or "", whole.content) == (thinking, answer), name
            assert "".join(spans_in(thinking + answer, response)) == thinking + answer, name
            assert response.model_extra["baton"]["takeovers"] == trace.takeovers, name


def test_the_answer_of_a_pair_is_sent_while_it_is_written():
    """A policy that rewrites no step holds back no more than its lookahead."""
    begun, sent = threading.Event(), threading.Event()

    def wait(body):
        if body.endswith("The answer is"):
            begun.set()
            assert sent.wait(PATIENCE)

    small = ScriptedEngine("So.</think>The answer is 4.", before_token=wait)
    with client_for(Pair(small, ScriptedEngine(name="large"))) as client:
        text = ""
        for chunk in ask(client, "baton", stream=True):
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
            if text == "The answer is" and begun.wait(PATIENCE):
                sent.set()
        assert text == "The answer is 4."


@pytest.fixture(scope="module", params=[list, lambda text: [text]], ids=["by letters", "in one token"])
def echo(request):
    """Its answer is the question."""
    small = ScriptedEngine(continue_with=lambda asked, _: request.param(asked[-1].content), thinking=None)
    with client_for(Pair(small, None)) as client:
        yield client


LETTERS = st.text("ab \n", min_size=1, max_size=9)


@given(LETTERS, st.lists(LETTERS.filter(str.strip), max_size=4))
@example(text="baa", stops=["a", "baa"])
@example(text="baa", stops=["a", "ba"])
def test_the_first_stop_string_ends_the_answer_before_it_whole_and_in_a_stream(echo, text, stops):
    """The first is the one that is complete first: a stream could not wait for one that began before it."""
    answer = text.lstrip()
    begun = (answer[:end] for end in range(1, len(answer) + 1))
    stopped = next((part for part in begun if part.endswith(tuple(stops))), None)
    expected = min((stopped.removesuffix(stop) for stop in stops), key=len) if stopped else answer
    whole = ask(echo, question=text, stop=stops)
    _, streamed_text, last = streamed(ask(echo, question=text, stop=stops, stream=True))
    assert whole.choices[0].message.content == streamed_text == expected
    assert last.choices[0].finish_reason == whole.choices[0].finish_reason == "stop"
    assert last.choices[0].index == whole.choices[0].index == 0
    assert whole.usage.completion_tokens_details.reasoning_tokens == 0, "it does not think"
    assert "".join(spans_in(expected, whole)) == expected


def test_a_stop_string_is_not_looked_for_in_the_thinking_and_a_limit_in_tokens_ends_with_length(client):
    assert ask(client, stop=["two and two"]).choices[0].message.content == "The answer is \\boxed{4}."
    for limit in ("max_tokens", "max_completion_tokens"):
        response = ask(client, **{limit: 5})
        assert (response.choices[0].finish_reason, response.usage.completion_tokens) == ("length", 5)


def test_each_field_of_a_request_that_can_be_honoured_is():
    small = ScriptedEngine(SMALL_TEXT)
    arm = RunSettings(instruction="Think.", policy="never")
    with client_for(Pair(small, None), {"small": arm}) as client:
        for top_k in (7, -1):
            ask(client, extra_body={"top_k": top_k}, temperature=0.25, top_p=0.5, seed=2**31 + 3)
        turns = [("developer", "Be brief."), ("user", "1 + 1?"), ("assistant", "2"), ("user", "2 + 2?")]
        messages = [{"role": role, "content": content} for role, content in turns]
        response = client.chat.completions.create(model="small", messages=messages, seed=2**31 + 3)
    first, second, last = small.sessions
    assert [session.sampling.top_k for session in (first, second)] == [7, 0]
    assert (first.sampling.temperature, first.sampling.top_p) == (0.25, 0.5)
    assert (response.model_extra or {})["baton"]["seed"] == 3
    assert [message.role for message in last.conversation] == ["system", "user", "assistant", "user"]
    assert ["Think." in message.content for message in last.conversation] == [False, True, False, True]


A_TOOL = {"type": "function", "function": {"name": "add", "parameters": {}}}
HARMLESS = {
    **{"n": 1, "logprobs": False, "response_format": {"type": "text"}, "frequency_penalty": 0, "min_p": 0},
    **{"repetition_penalty": 1.0, "chat_template_kwargs": {}, "tools": [A_TOOL], "tool_choice": "auto"},
}


def test_null_the_default_and_what_changes_nothing_are_accepted_as_a_field_left_out():
    chat = "chat/completions", ChatRequest, {"messages": [{"role": "user", "content": "2 + 2?"}]}, HARMLESS
    completions = "completions", CompletionRequestBody, {"prompt": "2 + 2?"}, {"echo": False}
    with serving(Pair(ScriptedEngine(SMALL_TEXT)), {"baton": settings()["small"]}) as server:
        for path, kind, needed, harmless in (chat, completions):
            nulls = dict.fromkeys((*kind.model_fields, "max_completion_tokens"), None)
            for fields in (nulls, kind.model_validate(needed).model_dump(), harmless):
                assert httpx2.post(f"{server.urls[0]}/{path}", json=fields | needed).status_code == 200


# Refusals

UNSUPPORTED = "unsupported_value"


@pytest.mark.parametrize(
    ("send", "code", "fields"),
    [
        (ask, UNSUPPORTED, {"n": 2, "logprobs": True, "top_logprobs": 3, "logit_bias": {"17": -100}}),
        (ask, UNSUPPORTED, {"tool_choice": "required", "response_format": {"type": "json_object"}}),
        (ask, UNSUPPORTED, {"tool_choice": A_TOOL, "modalities": ["text", "audio"], "reasoning_effort": "high"}),
        (ask, UNSUPPORTED, {"frequency_penalty": 0.5, "presence_penalty": 0.5, "min_p": 0.1, "repetition_penalty": 2}),
        (ask, UNSUPPORTED, {"chat_template_kwargs": {"enable_thinking": False}}),
        (ask, "invalid_value", {"temperature": -1, "max_tokens": 0, "max_completion_tokens": 0, "stop": [*"abcde"]}),
        (complete, UNSUPPORTED, {"best_of": 2, "suffix": ".", "echo": True, "logprobs": 1}),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(client, send, code, fields):
    for name, value in fields.items():
        with pytest.raises(openai.BadRequestError, match=f"{name}.*: ") as caught:
            send(client, extra_body={name: value})
        assert (caught.value.param, caught.value.code) == (name, code)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("error", [EngineLost("The server is gone."), EngineRefused("The cap is reached.")])
def test_without_the_large_model_a_pair_gives_no_answer(error, stream):
    small = ScriptedEngine("Wait, is it so?\n\nYes.</think>\n\n4")
    large = ScriptedEngine(LARGE_TEXT, name="large", faults=[Fault(0, error, for_good=True)])
    with client_for(Pair(small, large)) as client, pytest.raises(openai.APIError, match=error.message) as caught:
        list(ask(client, "baton", stream=stream))
    assert caught.value.type == "server_error"


def test_a_fault_of_ours_is_the_error_of_its_request_alone(caplog):
    def fail(_):
        raise ZeroDivisionError("by zero")

    broken = ScriptedEngine(SMALL_TEXT, before_token=fail)
    with client_for(Pair(broken, ScriptedEngine(LARGE_TEXT, name="large"))) as client:
        with pytest.raises(openai.InternalServerError, match="An unexpected error: ZeroDivisionError: by zero"):
            ask(client)
        assert ask(client, "large").choices[0].finish_reason == "stop"
    assert "a request to the endpoint" in caplog.text


CHAT = "chat/completions"
QUESTION = b'"messages": [{"role": "user", "content": "2 + 2?"}]'
FOREIGN = {"Origin": "https://evil.example"}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "sentence"),
    [
        ("POST", CHAT, b"\xff{", {}, 400, "the body: Invalid JSON"),
        ("POST", CHAT, b"[]", {}, 400, "the body: Input should be an object."),
        ("POST", CHAT, b'{"messages": []}', {}, 400, "messages: "),
        ("POST", CHAT, b'{"messages": [{"role": "pirate", "content": ""}]}', {}, 400, "messages.0.role: "),
        ("POST", CHAT, b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', {}, 400, "text only"),
        ("POST", CHAT, b"{}", {}, 400, "messages: Field required."),
        ("POST", CHAT, b" " * (MAX_BODY + 1), {}, 413, "A request may have 4 MiB at most."),
        ("POST", CHAT, b'{"model": "gpt-9", %s}' % QUESTION, {}, 404, "Choose one of baton, small, large."),
        ("POST", "completions", b'{"prompt": ["a", "b"]}', {}, 400, "prompt: "),
        ("POST", "completions", b'{"prompt": [7]}', {}, 400, "prompt.0: Input should be a valid string."),
        ("GET", "models/gpt-9", b"", {}, 404, "There is no arm called 'gpt-9'"),
        ("POST", "responses", b"", {}, 404, "POST /v1/responses: Not Found. Use POST /v1/chat/completions or"),
        ("GET", CHAT, b"", {}, 405, "GET /v1/chat/completions: Method Not Allowed."),
        ("GET", "models", b"", {"Host": "evil.example"}, 403, "The Host 'evil.example' is not allowed."),
        ("GET", "models", b"", FOREIGN, 403, "The Origin 'https://evil.example' is not"),
        ("OPTIONS", CHAT, b"", FOREIGN, 403, "The Origin 'https://evil.example' is not"),
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


def test_a_prompt_that_does_not_fit_or_an_arm_without_its_model_is_refused_whole_and_in_a_stream():
    with client_for(Pair(ScriptedEngine(SMALL_TEXT, context=3), None)) as client:
        for send, field in ((ask, "messages"), (complete, "prompt")):
            for stream in (False, True):
                with pytest.raises(openai.BadRequestError, match="holds 3") as caught:
                    send(client, stream=stream)
                assert (caught.value.code, caught.value.param) == ("context_length_exceeded", field)
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError, match="needs a large model"):
                ask(client, "large", stream=stream)


# Access


def refused(rules, **headers):
    sent = Headers({"host": "localhost:8000"} | headers)
    refusal = rules.foreign(sent) or rules.keyless(sent)
    return refusal.status if refusal else None


def test_a_client_on_this_machine_may_ask_and_no_foreign_page_and_other_machines_need_a_key():
    assert refused(LOCAL_ONLY) is refused(LOCAL_ONLY, host="[::1]:8000") is None
    assert refused(LOCAL_ONLY, host="evil.example:8000") == 403, "a page made this name resolve here"
    assert refused(AccessRules(allowed_hosts=frozenset({"GPU.lan"})), host="gpu.lan:8000") is None
    for origin in ("https://evil.example", "null"):
        assert refused(LOCAL_ONLY, origin=origin) == 403
    for host in ("0.0.0.0", "192.168.1.4", "::", "gpu.lan"):
        with pytest.raises(SettingsError, match="no API key is set"):
            AccessRules(host)
    assert refused(AccessRules("gpu.lan", key="secret"), host="gpu.lan", authorization="Bearer secret") is None


def test_an_origin_is_allowed_as_a_browser_sends_it_and_what_is_none_is_refused():
    rules = AccessRules(allowed_origins=origins(["HTTP://LocalHost:3000/", "http://[::1]:8080"]))
    for sent in ("http://localhost:3000", "http://[::1]:8080"):
        assert refused(rules, origin=sent) is None
    for text in ("localhost:3000", "http://localhost/path", "http://", "file://x", ""):
        with pytest.raises(SettingsError, match="is not an origin"):
            origins([text])


def test_without_the_key_nothing_is_answered_also_to_a_page_whose_origin_is_allowed():
    page = "http://localhost:3000"
    rules = AccessRules(key="secret", allowed_origins=frozenset({page}))
    for header in ("Bearer wrong", "Basic secret", "secret", ""):
        assert refused(rules, authorization=header) == 401
    assert refused(rules, authorization="bearer  secret ") is None
    with serving(Pair(ScriptedEngine(SMALL_TEXT)), rules=rules) as server:
        wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        preflight = httpx2.options(f"{server.urls[0]}/chat/completions", headers={"Origin": page, **wanted})
        assert preflight.headers["access-control-allow-headers"] == "authorization"
        keyless = httpx2.get(f"{server.urls[0]}/models", headers={"Origin": page})
        answered = httpx2.get(f"{server.urls[0]}/models", headers={"Origin": page, "Authorization": "Bearer secret"})
    assert [response.status_code for response in (preflight, keyless, answered)] == [200, 401, 200]
    assert {each.headers["access-control-allow-origin"] for each in (preflight, keyless, answered)} == {page}


# Answers that are not waited for


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["small", "baton"])
def test_a_stop_string_ends_the_run(model, stream):
    small = long_winded(threading.Event())
    with client_for(Pair(small, ScriptedEngine(name="large", thinking=None)), ENDLESS) as client:
        options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
        given = ask(client, model, "long", stop="so so so", **options)
        usage = (list(given)[-1] if stream else given).usage
    assert 3 <= usage.completion_tokens <= small.written < MANY


def test_a_body_that_does_not_arrive_is_refused(monkeypatch):
    monkeypatch.setattr(api, "REQUEST_SECONDS", 0.1)
    half_a_body = f"POST /v1/{CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{{".encode()
    with serving(Pair(ScriptedEngine(SMALL_TEXT))) as server, connection(server, half_a_body) as slow:
        assert slow.recv(12) == b"HTTP/1.1 408"


def test_a_client_that_leaves_before_the_answer_frees_its_place():
    small = long_winded(begun := threading.Event())
    body = json.dumps({"model": "small", "messages": [{"role": "user", "content": "long"}]})
    request = f"POST /v1/{CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    with serving(Pair(small, None), ENDLESS) as server, client_of(server) as client:
        with connection(server, request.encode()):
            begun.wait()
        assert ask(client).choices[0].finish_reason == "stop"
    assert small.written < MANY


@pytest.mark.parametrize("stream", [False, True])
def test_an_endpoint_that_stops_ends_the_answers_it_is_writing(stream):
    small = long_winded(begun := threading.Event())

    def answer(client):
        given = ask(client, "small", "long", stream=stream)
        for _ in given if stream else ():
            pass

    with serving(Pair(small, None), ENDLESS) as server, client_of(server) as client, ThreadPoolExecutor() as pool:
        answers = [pool.submit(answer, client) for _ in range(2)]  # one is written, one waits for the place
        begun.wait()
        port = server.port
        server.stop()
        for each in answers:
            with pytest.raises(openai.APIError, match="The endpoint was stopped before the answer was whole"):
                each.result()
    assert small.written < MANY
    EndpointServer(server.host, port).close()  # it can be started again at once


@contextmanager
def real(small, large, base, parallel=1):
    options = LoadOptions(context=1024, threads=1, parallel=parallel)
    with (
        closing(LocalEngine(small, options)) as one,
        closing(LocalEngine(large, options)) as other,
        client_for(Pair(one, other), settings(base), parallel=parallel) as client,
    ):
        yield client


@pytest.mark.real_models
def test_the_demo_pair_answers_right_and_requests_at_once_as_alone_though_others_go_away():
    problems, greedy = list(islice(held_out_problems(seed=11), 4)), DEMO_SETTINGS.model_copy(update={"temperature": 0})
    with real(SMALL_MODEL, LARGE_MODEL, greedy, parallel=2) as demo:
        response = ask(demo, "baton", problems[0].question, seed=1)
        assert extract_answer(response.choices[0].message.content) == problems[0].answer
        assert 0 < response.model_extra["baton"]["large_share"] < 1

        def answer(problem):
            return ask(demo, "large", problem.question, seed=1).choices[0].message.content

        alone = [answer(each) for each in problems]
        turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": problems[1].question}]
        turns += [{"role": "assistant", "content": alone[1]}, {"role": "user", "content": problems[0].question}]
        again = demo.chat.completions.create(model="large", messages=turns, seed=1)
        assert again.choices[0].message.content == alone[0], "what came before is left out"
        with pytest.raises(openai.BadRequestError, match="worded as its examples"):
            ask(demo, "large", "What is 2 + 2?")
        for each in problems[:3]:
            stream = ask(demo, "small", each.question, stream=True)
            next(iter(stream))
            stream.close()
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(answer, problems)) == alone


@pytest.mark.real_models
def test_a_second_turn_finds_the_first_in_the_cache(smollm2, gemma):
    asked = [{"role": "user", "content": "What is 2 + 2?"}]
    with real(smollm2, gemma, RunSettings(max_tokens=30)) as client:
        for arm in ("small", "large"):
            first = ask(client, arm, seed=1)
            answer = {"role": "assistant", "content": first.choices[0].message.content}
            follow_up = [*asked, answer, {"role": "user", "content": "And 3 + 3?"}]
            usage = client.chat.completions.create(model=arm, messages=follow_up, seed=1).usage
            assert usage.prompt_tokens_details.cached_tokens >= first.usage.total_tokens - 2
