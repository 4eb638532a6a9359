"""Log-likelihoods by /v1/completions: the protocol with scripted models, and real ones asked as harnesses ask."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import openai
import pytest

from baton_reasoning.core.demo_pair import SMALL_MODEL
from baton_reasoning.core.engines.base import Token
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.client import LocalEngine
from baton_reasoning.core.errors import EngineLost
from baton_reasoning.core.models.loading import LoadOptions
from baton_reasoning.core.models.overrides import Sampling
from baton_reasoning.core.run import Pair
from baton_reasoning.core.serve.likelihoods import EXCLUDED, Likelihoods
from baton_reasoning.core.serve.schema import LikelihoodRequest
from baton_reasoning.core.serve.server import EndpointServer
from tests.core.serve.serving import client_of, serving, settings
from tests.fakes.scripted import ScriptedEngine

pytestmark = pytest.mark.slow

ECHO: dict[str, Any] = {"echo": True, "logprobs": 1, "max_tokens": 0}
UNLIKELY = math.log(0.01)
"""What a scripted model gives a token that it does not expect."""


def expected_word(before: str, token: str) -> str:
    return " warm" if before.endswith("is") else token


@pytest.fixture
def client() -> Iterator[openai.OpenAI]:
    small = ScriptedEngine(" today.", expects=expected_word, context=20)
    with serving(Pair(small, ScriptedEngine(name="large")), settings()) as server, client_of(server) as client:
        yield client


def test_each_token_of_the_prompt_has_its_log_probability_and_place(client: openai.OpenAI) -> None:
    response = client.completions.create(model="small", prompt="It is cold", **ECHO)
    (choice,) = response.choices
    assert (choice.text, choice.finish_reason, choice.index) == ("It is cold", "length", 0)
    assert choice.logprobs
    assert choice.logprobs.tokens == ["It", " is", " cold"]
    assert choice.logprobs.text_offset == [0, 2, 5]
    assert choice.logprobs.token_logprobs == [None, 0, pytest.approx(UNLIKELY)]
    assert choice.logprobs.top_logprobs == [
        None,
        {" is": 0},
        {" warm": pytest.approx(math.log(0.9)), " cold": pytest.approx(UNLIKELY)},
    ]
    assert response.usage
    assert (response.usage.prompt_tokens, response.usage.completion_tokens) == (3, 0)


def test_a_token_that_the_model_excludes_has_a_number() -> None:
    """JSON has no −∞, and the response was an internal error."""
    small = ScriptedEngine(scored=lambda *_: -math.inf)
    with serving(Pair(small), settings()) as server, client_of(server) as client:
        (choice,) = client.completions.create(model="small", prompt="It is", **ECHO).choices
    assert choice.logprobs
    assert choice.logprobs.token_logprobs == [None, EXCLUDED]


def test_one_token_may_follow_the_prompt(client: openai.OpenAI) -> None:
    response = client.completions.create(model="small", prompt="It is", **ECHO | {"max_tokens": 1})
    (choice,) = response.choices
    assert (choice.text, choice.finish_reason) == ("It is today", "length")
    assert choice.logprobs
    assert choice.logprobs.tokens == ["It", " is", " today"]
    assert response.usage
    assert response.usage.completion_tokens == 1


def test_an_end_of_the_text_takes_the_place_of_the_token(client: openai.OpenAI) -> None:
    """A harness drops the last entry, whatever it is."""
    response = client.completions.create(model="large", prompt="It is", **ECHO | {"max_tokens": 1})
    (choice,) = response.choices
    assert (choice.text, choice.finish_reason) == ("It is", "stop")
    assert choice.logprobs
    assert choice.logprobs.tokens == ["It", " is", ""]
    assert response.usage
    assert response.usage.completion_tokens == 0


def test_several_prompts_are_answered_in_their_order(client: openai.OpenAI) -> None:
    choices = client.completions.create(model="small", prompt=["It is", "So"], **ECHO).choices
    assert [(choice.index, choice.text) for choice in choices] == [(0, "It is"), (1, "So")]


@pytest.mark.parametrize(
    ("options", "param", "sentence"),
    [
        ({"model": "baton"}, "model", "'baton' is not one model, .* ask for small or large"),
        ({"prompt": ""}, None, "A prompt has no tokens. Send at least one character"),
        ({"prompt": [[1, 2], []]}, None, "Send strings .lm-evaluation-harness: tokenized_requests=False."),
        ({"prompt": [{}]}, "prompt", "prompt.0.str: Input should be a valid string"),
        ({"prompt": "so " * 30}, "prompt", "holds 20"),
        ({"logprobs": 21}, "logprobs", "less than or equal to 20"),
        ({"logprobs": None}, "logprobs", "Field required"),
        ({"max_tokens": 2}, "max_tokens", "With echo it is 0 or 1"),
        ({"max_tokens": None}, "max_tokens", "Field required"),
        ({"stream": True}, "stream", "With echo the response is sent whole"),
        ({"n": 2}, "n", "One choice is written"),
    ],
)
def test_what_cannot_be_done_is_refused(
    client: openai.OpenAI, options: dict[str, Any], param: str | None, sentence: str
) -> None:
    asked = {"model": "small", "prompt": "It is", **ECHO, **options}
    with pytest.raises(openai.BadRequestError, match=sentence) as caught:
        client.post("/completions", cast_to=object, body=asked)
    assert caught.value.param == param
    assert (caught.value.code == "context_length_exceeded") == ("holds" in sentence)


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="There is no arm called 'gpt-9'"):
        client.completions.create(model="gpt-9", prompt="It is", **ECHO)


def test_an_address_of_another_model_is_refused(client: openai.OpenAI) -> None:
    """Its tokenizer may have made the ids."""
    url = str(client.base_url).replace("/v1", "/large/v1")
    response = httpx2.post(f"{url}completions", json={"model": "small", "prompt": "It is", **ECHO})
    assert response.status_code == 400
    assert "The address is that of 'large', and the model is 'small'" in response.json()["error"]["message"]


def test_a_server_without_scores_is_refused_with_what_would_help() -> None:
    small = ScriptedEngine().with_card(returns_scores=False, location="office")
    with serving(Pair(small, None), {"small": settings()["small"]}) as server, client_of(server) as client:
        with pytest.raises(openai.BadRequestError, match=r"small on office gives no .* serve it with vLLM"):
            client.completions.create(model="small", prompt="It is", **ECHO)
        refused = httpx2.post(f"{address(server)}/small/tokenize", json={"prompt": "It is"})
        assert refused.status_code == 400
        assert "ask that server" in refused.json()["error"]["message"]


MANY = 300_000
"""Words of a prompt that is not read to its end."""


def long_reading(begun: threading.Event, read: list[str]) -> Pair:
    def begin(before: str) -> None:
        begun.set()
        read.append(before[-1:])
        time.sleep(0)

    return Pair(ScriptedEngine(before_token=begin, context=2 * MANY), None)


def test_a_client_that_leaves_ends_the_reading_and_frees_its_place() -> None:
    begun, read = threading.Event(), list[str]()
    pair = long_reading(begun, read)
    body = json.dumps({"model": "small", "prompt": "so " * MANY, **ECHO})
    head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    with serving(pair, {"small": settings()["small"]}) as server, client_of(server) as client:
        with socket.create_connection((server.host, server.port)) as connection:
            connection.sendall((head + body).encode())
            begun.wait()
        assert client.completions.create(model="small", prompt="It is", **ECHO).choices[0].text == "It is"
    assert len(read) < MANY


def test_an_endpoint_that_stops_ends_the_reading() -> None:
    begun, read = threading.Event(), list[str]()
    pair = long_reading(begun, read)
    with (
        serving(pair, {"small": settings()["small"]}) as server,
        client_of(server) as client,
        ThreadPoolExecutor() as pool,
    ):
        answer = pool.submit(lambda: client.completions.create(model="small", prompt="so " * MANY, **ECHO))
        begun.wait()
        server.stop()
        with pytest.raises(openai.InternalServerError, match="The endpoint was stopped"):
            answer.result()
    assert len(read) < MANY


# Real models, asked as lm-evaluation-harness 0.4.13 asks them (lm_eval/models/api_models.py)


class Harness:
    """Does what its model `local-completions` does, whose tokenizer is the server's."""

    def __init__(self, address: str, model: str) -> None:
        self.model = model
        self._address = f"{address}/{model}"
        self.info = httpx2.get(f"{self._address}/tokenizer_info").json()

    def encode(self, text: str) -> list[int]:
        question = {"prompt": text, "add_special_tokens": False}
        ids: list[int] = httpx2.post(f"{self._address}/tokenize", json=question).json()["tokens"]
        return ids

    def ask(self, prompt: object) -> list[dict[str, Any]]:
        question = {"model": self.model, "prompt": prompt, "temperature": 0, "max_tokens": 1, "logprobs": 1}
        response = httpx2.post(
            f"{self._address}/v1/completions", json=question | {"seed": 1234, "echo": True}, timeout=120
        )
        response.raise_for_status()
        choices: list[dict[str, Any]] = response.json()["choices"]
        return choices

    def loglikelihood(self, context: str, continuation: str) -> tuple[float, bool]:
        """Return the log-likelihood of the continuation, and whether the model would have written it."""
        whole = self.encode(context + continuation)
        return parsed(self.ask([whole])[0], len(self.encode(context)))


def parsed(choice: dict[str, Any], context_length: int) -> tuple[float, bool]:
    chances = choice["logprobs"]["token_logprobs"][context_length:-1]
    tops = choice["logprobs"]["top_logprobs"][context_length:-1]
    return sum(chances), all(chance == max(top.values()) for chance, top in zip(chances, tops, strict=True))


def address(server: EndpointServer) -> str:
    return server.url.removesuffix("/v1")


class Served(NamedTuple):
    pair: Pair
    address: str


@pytest.fixture(scope="module")
def served(smollm2: Path, gemma: Path) -> Iterator[Served]:
    """A model without BOS, and one with it."""
    options = LoadOptions(context=256, threads=1, parallel=2)
    with closing(LocalEngine(smollm2, options)) as small, closing(LocalEngine(gemma, options)) as large:
        pair = Pair(small, large)
        with serving(pair, settings(), parallel=2) as server:
            yield Served(pair, address(server))


def engine_of(served: Served, model: str) -> LocalEngine:
    engine = served.pair.get(Author(model))
    assert isinstance(engine, LocalEngine)
    return engine


ROUNDING = 0.4
"""Nats by which log-probabilities of quantised models differ between batches of other shapes."""
BOTH = pytest.mark.parametrize("model", ["small", "large"])


@BOTH
@pytest.mark.real_models
def test_a_harness_gets_the_likelihood_of_each_choice(served: Served, model: str) -> None:
    harness, engine = Harness(served.address, model), engine_of(served, model)
    context = "Question: What freezes into ice?\nAnswer:"
    with closing(engine.open((), Sampling(temperature=0), thinks=False)) as session:
        asked = [Part(context, Author.PERSON)]
        own = b"".join(item.data for item in session.write(asked, 3, 1) if isinstance(item, Token)).decode()
        for choice in (own, " Grüße 🙂"):
            scores = session.score([*asked, Part(choice, Author.PERSON)], len(context)).tokens
            likelihood, is_greedy = harness.loglikelihood(context, choice)
            assert likelihood == pytest.approx(sum(token.logprob for token in scores), abs=ROUNDING * len(scores))
            assert is_greedy == (choice == own)


@BOTH
@pytest.mark.real_models
def test_ids_and_text_get_the_same(served: Served, model: str) -> None:
    harness = Harness(served.address, model)
    text = "Naïve 🙂 text"
    assert harness.ask(text) == harness.ask(harness.encode(text))


@pytest.mark.real_models
def test_bos_is_read_in_front_and_shown_if_the_ids_have_it(served: Served) -> None:
    harness = Harness(served.address, "large")
    (bos,) = harness.encode(harness.info["bos_token"])
    ids = harness.encode("The capital of France is Paris.")
    (hidden,), (shown,) = harness.ask(ids), harness.ask([bos, *ids])
    assert shown["text"] == harness.info["bos_token"] + hidden["text"]
    assert hidden["logprobs"]["token_logprobs"][0] is None
    assert shown["logprobs"]["token_logprobs"][0] is None
    assert shown["logprobs"]["token_logprobs"][1] < 0
    assert shown["logprobs"]["token_logprobs"][2:] == hidden["logprobs"]["token_logprobs"][1:]


@BOTH
@pytest.mark.real_models
def test_a_control_token_in_a_text_stays_text_and_is_one_by_its_id(served: Served, model: str) -> None:
    harness = Harness(served.address, model)
    eos = harness.info["eos_token"]
    (spelled,), (meant,) = harness.ask(f"So{eos}"), harness.ask([*harness.encode("So"), *harness.encode(eos)])
    assert len(spelled["logprobs"]["tokens"]) > len(meant["logprobs"]["tokens"]) == 3
    assert meant["logprobs"]["tokens"][1] == eos


@pytest.mark.real_models
@pytest.mark.parametrize("id", [-1, 10**6, 10**30])
def test_an_id_that_does_not_exist_is_refused(served: Served, id: int) -> None:
    question = {"model": "small", "prompt": [1, id], **ECHO}
    response = httpx2.post(f"{served.address}/v1/completions", json=question)
    assert response.status_code == 400
    assert f"has no token {id}" in response.json()["error"]["message"]


@pytest.mark.real_models
def test_requests_at_once_get_what_they_get_alone(served: Served) -> None:
    harness = Harness(served.address, "small")
    texts = [f"The number {n} is {'even' if n % 2 else 'odd'}." for n in range(8)]
    alone = [parsed(harness.ask(text)[0], 1)[0] for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = [parsed(choices[0], 1)[0] for choices in pool.map(harness.ask, texts)]
    assert together == pytest.approx(alone, abs=ROUNDING * 10)
    assert [parsed(choice, 1)[0] for choice in harness.ask(texts)] == pytest.approx(alone, abs=ROUNDING * 10)


@pytest.mark.real_models
def test_a_request_that_is_stopped_before_it_begins_says_so(demo_pair: Pair) -> None:
    assert demo_pair.small
    request = LikelihoodRequest(prompt=["4"], logprobs=0, max_tokens=0)
    likelihoods = Likelihoods(demo_pair.small, request, Sampling(), seed=0)
    likelihoods.stop()
    with pytest.raises(EngineLost, match="The endpoint was stopped"):
        asyncio.run(likelihoods.scored_prompts())


@pytest.mark.real_models
def test_the_tokenizer_of_a_model_that_is_gone_is_status_503() -> None:
    with closing(LocalEngine(SMALL_MODEL, LoadOptions(context=256, threads=1))) as engine:
        pass
    with serving(Pair(engine, None), {"small": settings()["small"]}) as server:
        question = {"prompt": "4", "add_special_tokens": False}
        response = httpx2.post(f"{address(server)}/small/tokenize", json=question)
    assert (response.status_code, response.json()["error"]["type"]) == (503, "server_error")
