"""The endpoint as the `openai` package sees it: scripted models for the protocol, the demo pair for real."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx2
import openai
import pytest

from core.batch.recipes import arms_of
from core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from core.engines.local.client import LocalEngine
from core.grading.extraction import extract_answer
from core.models.loading import LoadOptions
from core.run import Pair, RunSettings
from core.serve.access import AccessRules
from core.serve.endpoint import Arms, Endpoint
from core.serve.server import EndpointServer
from tests.fakes.scripted import THINK, ScriptedEngine

SMALL_TEXT = "It is two and two.\n\nSo it is 4.</think>\n\nThe answer is \\boxed{4}."
LARGE_TEXT = "Two and two are 4.</think>\n\nIt is \\boxed{4}."


def settings() -> Mapping[str, RunSettings]:
    return {arm.name: arm.settings for arm in arms_of(["baton", "small", "large"], RunSettings(instruction=""))}


@contextmanager
def serving(pair: Pair, arms: Mapping[str, RunSettings], parallel: int = 1, key: str = "") -> Iterator[EndpointServer]:
    server = EndpointServer("127.0.0.1", 0)
    application = Endpoint(Arms(pair, arms), parallel).application(AccessRules(key=key))
    listening = threading.Event()
    thread = threading.Thread(target=server.serve, args=(application, listening.set))
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


@pytest.fixture
def client() -> Iterator[openai.OpenAI]:
    pair = Pair(ScriptedEngine(SMALL_TEXT, thinking=THINK), ScriptedEngine(LARGE_TEXT, thinking=THINK, name="large"))
    with serving(pair, settings()) as server, client_of(server) as client:
        yield client


def ask(client: openai.OpenAI, model: str = "small", **options: Any) -> openai.types.chat.ChatCompletion:
    return client.chat.completions.create(  # type: ignore[no-any-return]
        model=model, messages=[{"role": "user", "content": "What is 2 + 2?"}], **options
    )


def test_the_arms_are_the_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["baton", "small", "large"]
    assert client.models.retrieve("small").owned_by == "baton"


def test_thinking_stands_apart_from_the_answer(client: openai.OpenAI) -> None:
    message = ask(client).choices[0].message
    assert message.content == "The answer is \\boxed{4}."
    assert message.reasoning_content == "It is two and two.\n\nSo it is 4."  # type: ignore[attr-defined]


def test_usage_counts_the_tokens_of_both_models(client: openai.OpenAI) -> None:
    usage = ask(client).usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert 0 < (usage.completion_tokens_details.reasoning_tokens or 0) < usage.completion_tokens
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_stream_adds_up_to_the_whole_answer(client: openai.OpenAI) -> None:
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]  # type: ignore[attr-defined]
    assert "".join(delta.content or "" for delta in deltas).strip() == "The answer is \\boxed{4}."
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas).startswith("It is two")
    assert chunks[-1].usage.completion_tokens > 0  # type: ignore[attr-defined]


def test_a_stop_string_ends_the_answer_before_it(client: openai.OpenAI) -> None:
    choice = ask(client, stop=["\\boxed"]).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("The answer is ", "stop")


def test_a_limit_in_tokens_ends_the_answer_with_length(client: openai.OpenAI) -> None:
    response = ask(client, max_tokens=5)
    assert response.choices[0].finish_reason == "length"
    assert response.usage
    assert response.usage.completion_tokens == 5


def test_completions_put_the_prompt_as_a_message_and_return_one_text(client: openai.OpenAI) -> None:
    response = client.completions.create(model="small", prompt="What is 2 + 2?")
    assert response.choices[0].text.startswith("It is two and two.")
    assert response.choices[0].text.endswith("\\boxed{4}.")


def test_authorship_stands_in_a_field_that_clients_may_ignore(client: openai.OpenAI) -> None:
    authorship = ask(client, model="large").model_extra
    assert authorship
    assert authorship["baton"]["large_share"] == 1
    assert {span["author"] for span in authorship["baton"]["spans"]} == {"large"}


def test_an_unknown_model_is_answered_with_the_names_of_the_arms(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Choose one of baton, small, large"):
        ask(client, model="gpt-9")


@pytest.mark.parametrize("options", [{"temperature": -1}, {"n": 2}, {"max_tokens": 0}, {"stop": list("abcde")}])
def test_what_cannot_be_done_is_refused_by_name(client: openai.OpenAI, options: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError, match=next(iter(options))):
        ask(client, **options)


def test_a_body_that_is_not_json_is_one_sentence(client: openai.OpenAI) -> None:
    response = httpx2.post(f"{client.base_url}chat/completions", content=b"\xff{")
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_without_the_key_nothing_is_answered() -> None:
    pair = Pair(ScriptedEngine(SMALL_TEXT, thinking=THINK), None)
    with serving(pair, settings(), key="secret") as server:
        with client_of(server, "wrong") as client, pytest.raises(openai.AuthenticationError):
            client.models.list()
        with client_of(server, "secret") as client:
            assert client.models.list().data


# The demo pair, really run


@pytest.fixture(scope="module")
def demo() -> Iterator[openai.OpenAI]:
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
def test_the_demo_pair_answers_right_through_the_endpoint(demo: openai.OpenAI) -> None:
    problem = next(held_out_problems(seed=11))
    response = question(demo, "baton", problem.question)
    assert extract_answer(response.choices[0].message.content or "") == problem.answer
    assert response.model_extra
    assert 0 < response.model_extra["baton"]["large_share"] < 1


@pytest.mark.real_models
def test_requests_at_once_get_the_answers_they_get_alone(demo: openai.OpenAI) -> None:
    problems = [problem for problem, _ in zip(held_out_problems(seed=12), range(4), strict=False)]
    alone = [question(demo, "large", each.question).choices[0].message.content for each in problems]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: question(demo, "large", each.question), problems))
    assert [response.choices[0].message.content for response in together] == alone


@pytest.mark.real_models
def test_a_client_that_goes_away_frees_its_place(demo: openai.OpenAI) -> None:
    problem = next(held_out_problems(seed=13))
    for _ in range(3):
        stream = demo.chat.completions.create(
            model="small", messages=[{"role": "user", "content": problem.question}], stream=True
        )
        next(iter(stream))
        stream.close()
    assert question(demo, "large", problem.question).choices[0].finish_reason == "stop"
