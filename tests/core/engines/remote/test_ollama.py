"""Ollama as a server: a scripted one over a real llama-server, and one that fails."""

import json
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.abilities import USUAL, Ability
from baton_reasoning.core.engines.base import Passing, Stop
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.remote.answers import NotReady
from baton_reasoning.core.engines.remote.connection import RetryPolicy, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.ollama import CONTEXT, OllamaEngine
from baton_reasoning.core.engines.remote.protocol import UnknownModel
from baton_reasoning.core.engines.remote.servers import open_server, try_connection
from baton_reasoning.core.errors import BatonError, ContextFull, EngineRefused
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.run import Pair, ask, run
from baton_reasoning.core.thinking.trace import Trace
from tests.core.engines.local.conftest import GREEDY, handoff, notices
from tests.core.engines.remote.conftest import (
    HURRIED,
    QUESTION,
    as_parts,
    foreign,
    opened,
    prefetched,
    stop,
    text,
    tokens,
)
from tests.fakes.faulty_server import Answer, hold, json_error, raw, stream
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions
from tests.servers.scripted_ollama import OllamaModel, ScriptedOllama

pytestmark = pytest.mark.real_models
PATIENT = RemoteOptions(replace(HURRIED, answer=60.0))
"""For a server that answers as it should where nothing has to be loaded, however slow the machine is."""
MODELFILE = {
    "num_predict": 3,
    "seed": 7,
    "temperature": 1.9,
    "top_k": 2,
    "top_p": 0.1,
    "min_p": 0.4,
    "typical_p": 0.3,
    "repeat_penalty": 1.8,
    "presence_penalty": 1.5,
    "frequency_penalty": 1.5,
    "stop": ["Step", "7"],
}
"""All that a Modelfile can set for a text; each value changes it."""
PROBLEM = next(iter(held_out_problems(seed=3)))
SETTINGS = DEMO_SETTINGS.model_copy(update={"temperature": 0.0})
TRAINED = 2048
"""Tokens of context of the demo models, whichever is asked for."""


@pytest.fixture(scope="module")
def llama_server():
    with LlamaServer(ServerOptions(str(LARGE_MODEL), context=TRAINED)) as server:
        yield server


@pytest.fixture(scope="module")
def small():
    with closing(LocalEngine(SMALL_MODEL, LoadOptions(context=TRAINED, threads=1))) as engine:
        yield engine


@pytest.fixture
def model(llama_server):
    return OllamaModel(llama_server, MODELFILE)


@pytest.fixture
def ollama(model):
    with ScriptedOllama({"demo:latest": model}) as server:
        yield server


@pytest.fixture
def engine(ollama):
    with closing(open_server(ServerAddress(ollama.url))) as engine:
        yield engine


def answered(*engines: Any, before: Trace | None = None) -> Trace:
    return Trace.of(run(Pair(*engines), ask(PROBLEM.question, SETTINGS), SETTINGS, before=before))


@pytest.fixture(scope="module")
def over_llama_server(small, llama_server):
    """What the pair writes if a llama-server has the large model."""
    with closing(LlamaServerEngine(ServerAddress(llama_server.url, KEY))) as large:
        trace = answered(small, large)
    assert {piece.author for piece in trace.pieces} == {Author.SMALL, Author.LARGE}
    return trace.text


LINES = "application/x-ndjson"


def line(**fields: Any) -> Answer:
    return raw(f"{json.dumps(fields, ensure_ascii=False)}\n".encode())


# An answer


def test_an_answer_is_that_over_llama_server_also_if_it_was_stopped_or_broke_off(
    small, ollama, engine, over_llama_server
):
    whole = answered(small, engine)
    assert whole.text == over_llama_server
    begun = Trace.of(whole.events[: len(whole.events) // 2])
    for event in run(Pair(small, engine), ask(PROBLEM.question, SETTINGS), SETTINGS, before=begun):
        begun.apply(event)
    assert begun.text == over_llama_server, "it was continued"
    ollama.breaks_after = 5
    assert answered(small, engine).text == over_llama_server, "the runner died"
    assert ollama.breaks_after == -1
    assert len(ollama.loads) == 1, "the context is the same in every request"


def test_both_models_of_a_pair_may_be_on_one_ollama(ollama, model, llama_server, over_llama_server):
    with LlamaServer(ServerOptions(str(SMALL_MODEL), context=TRAINED)) as server:
        ollama.models["little:1b"] = OllamaModel(server, MODELFILE)
        with (
            closing(open_server(ServerAddress(f"{ollama.url}#little:1b"))) as small,
            closing(open_server(ServerAddress(f"{ollama.url}#demo"))) as large,
        ):
            assert (small.card.name, large.card.name) == ("little:1b", "demo:latest")
            assert answered(small, large).text == over_llama_server
    assert ollama.loads == [("little:1b", TRAINED, False), ("demo:latest", TRAINED, False)]


def test_what_a_modelfile_sets_does_not_apply(ollama, engine):
    sampling = Sampling(temperature=0.6, top_p=0.95, top_k=0)
    with closing(engine.open(QUESTION, sampling)) as session:
        items = list(session.write([], 12, seed=1))
    used = ollama.asked[-1]
    assert (stop(items), used.pop("n_predict")) == (Stop.LIMIT, 12)
    assert used.pop("seed") != MODELFILE["seed"]
    assert {key: used[key] for key in MODELFILE if key in used} == {
        "temperature": 0.6,
        "top_k": 0,
        "top_p": 0.95,
        "min_p": 0,
        "typical_p": 1,
        "repeat_penalty": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "stop": [],
    }


def test_text_alone_goes_over_and_reading_writes_one_token(ollama, engine, model, session):
    card = engine.card
    assert (card.vocabulary, card.abilities) == ("", USUAL - {Ability.TOKEN_IDS})
    session.read([])
    cost, asked = session.usage.cost, {"content": ollama.asked[-1]["prompt"], "parse_special": True}
    assert (cost.written, cost.estimated) == (1, True)
    assert cost.read == len(model.ask("/tokenize", asked)["tokens"])
    items = list(session.write([], 6, seed=1, alternatives=50))
    first = tokens(items)[0]
    assert (len(first.alternatives), first.id, handoff(items).passing) == (20, None, Passing.TEXT)
    assert first.logprob == first.alternatives[0].logprob < 0
    choices = tuple(other.text for other in first.alternatives[:2])
    judged = session.judge([], "", choices)
    assert judged.probabilities[0] > judged.probabilities[1] > 0
    longer = as_parts(session, items)
    assert text(session.write(longer, 4, seed=1))
    assert ollama.asked[-1]["prompt"].endswith(text(items))


def test_it_reads_along_only_if_a_person_wants_it(ollama, monkeypatch):
    monkeypatch.setattr(ServerAddress, "is_this_machine", False)
    with opened(ollama.url, kind=OllamaEngine) as (engine, _):
        assert Ability.PREFETCH not in engine.card.abilities
    with opened(ollama.url, RemoteOptions(supports_prefetch=True), OllamaEngine) as (_, session):
        assert prefetched(session, foreign("Step 1:")).tokens > 10
    assert ollama.asked[-1]["n_predict"] == 1


@pytest.mark.parametrize("adds_bos", [False, True])
def test_a_prompt_has_one_bos_whether_ollama_adds_it_or_the_template_writes_it(ollama, model, adds_bos):
    model.adds_bos = adds_bos
    with opened(ollama.url, kind=OllamaEngine) as (_, session):
        assert len(tokens(session.write([], 1, seed=1))) == 1
    prompt = ollama.asked[-1]["prompt"]
    assert prompt.startswith("<|begin|><|user|>")
    assert prompt.endswith("<think>\n")


def test_a_text_that_is_too_long_is_refused_rather_than_cut_and_one_that_fills_the_context_ends(session):
    with pytest.raises(ContextFull, match=r"no longer fits .* tokens, and it holds 2,048"):
        list(session.write(foreign("1" * (TRAINED + 10)), 1, seed=1))
    session.read([])
    items = list(session.write(foreign("1" * (TRAINED - session.usage.cost.read - 10)), 100, seed=1))
    assert stop(items) is Stop.CONTEXT_FULL


def test_a_token_again_and_again_does_not_end_the_answer_where_ollama_ends_it(ollama, session):
    """After 31 equal chunks it leaves the stream without an end."""
    ollama.routes["/api/generate"] = stream(*[line(response="a")] * 31, kind=LINES)
    items = session.write([], 40, seed=1)
    arrived = [next(items), next(items)]
    del ollama.routes["/api/generate"]
    arrived += items
    assert text(arrived).startswith("a" * 31)
    assert len(tokens(arrived)) == 40
    assert len(notices(arrived)) == 1


# The chat template


GO = "{{ range .Messages }}<|{{ .Role }}|>{{ .Content }}{{ end }}<|assistant|><think>"


@pytest.mark.parametrize("thinks", [False, True])
def test_a_template_in_go_is_rendered_by_ollama(ollama, model, small, over_llama_server, thinks):
    model.go_template, model.thinks = GO, thinks
    with closing(open_server(ServerAddress(ollama.url))) as engine:
        assert answered(small, engine).text == over_llama_server
        assert (engine.card.thinking is not None, Ability.THINKING_SWITCH in engine.card.abilities) == (True, False)
    assert len(ollama.loads) == 1, "rendering loads the model with the same context"


def test_a_template_that_ollama_does_not_render_is_asked_for_and_ones_own_comes_before_it(ollama, model):
    model.go_template, ollama.renders = GO, False
    assert "Choose the file of its chat template" in str(try_connection(ServerAddress(ollama.url)).problem)
    own = RemoteOptions(template="{{ messages[0].content }}|{{ eos_token }}<think>")
    with opened(ollama.url, own, OllamaEngine) as (_, session):
        session.read([])
    assert ollama.asked[-1]["prompt"] == f"{QUESTION[0].content}|<|end|><think>"


def test_a_switch_in_go_is_found_by_what_it_changes(ollama, model):
    model.go_template = GO
    rendered: dict[bool, str] = {True: "<|assistant|>", False: "<|assistant|><think>\n\n</think>\n\n"}

    def chat(wire: Any) -> None:
        wire.json({"_debug_info": {"rendered_template": rendered[ollama.requests[-1].body["think"]]}})

    ollama.routes["/api/chat"] = chat
    with closing(open_server(ServerAddress(ollama.url))) as engine:
        assert Ability.THINKING_SWITCH in engine.card.abilities
        for thinks, prompt in rendered.items():
            with closing(engine.open(QUESTION, GREEDY, thinks=thinks)) as session:
                session.read([])
            assert ollama.asked[-1]["prompt"] == prompt + "<think>\n" * thinks


# Which model, and how it is loaded


def test_the_test_of_a_connection_says_what_ollama_cannot_do(ollama):
    report = try_connection(ServerAddress(ollama.url))
    assert report.problem is None
    assert [finding.text for finding in report.findings] == [
        "reachable",
        "no key needed",
        "serves demo:latest",
        "2,048 tokens of context for each text",
        "It gives no token ids, so each handoff passes text, which is tokenised again.",
    ]


@pytest.mark.parametrize(
    ("modelfile", "loaded", "context"),
    [({}, 0, CONTEXT), ({"num_ctx": 8192}, 0, 8192), ({}, 4096, CONTEXT), ({"num_ctx": 8192}, 32_768, 32_768)],
)
def test_a_model_is_loaded_with_a_context_that_reasoning_fits_or_with_its_own(
    ollama, model, modelfile, loaded, context
):
    model.parameters, model.trained = modelfile, 131_072
    if loaded:
        ollama.loaded["demo:latest"] = (loaded, False)
    with closing(open_server(ServerAddress(ollama.url))) as engine:
        assert engine.card.context == context
    assert ollama.loads == ([] if loaded == context else [("demo:latest", context, False)])


def test_a_model_that_takes_long_to_load_is_waited_for_until_a_person_has_had_enough(ollama):
    class EnoughError(BatonError):
        """A person has pressed the button."""

    said: list[str] = []

    def told(words: str) -> None:
        said.append(words)
        if len(said) == 3:
            raise EnoughError("Enough.")

    ollama.routes["/api/generate"] = hold
    with pytest.raises(EnoughError):
        open_server(ServerAddress(ollama.url), RemoteOptions(RetryPolicy(first_pause=0.01)), on_wait=told)
    assert said[0].endswith("is loading demo:latest, or busy…")
    with pytest.raises(NotReady, match="has been loading demo:latest, or busy, for 0 seconds"):
        open_server(ServerAddress(ollama.url), PATIENT)


def test_a_model_is_named_where_there_are_several_and_one_that_is_not_there_can_be_pulled(ollama, model):
    several = ScriptedOllama({"demo:latest": model, "demo:8b": model, "far:cloud": model})
    with several:
        assert open_server(ServerAddress(f"{several.url}#demo")).card.name == "demo:latest"
        for named, words in (
            ("", "serves demo:latest, demo:8b, far:cloud. Write its name after the address: http"),
            ("#qwen3:8b", "#demo:latest, or fetch it there: ollama pull qwen3:8b."),
        ):
            report = try_connection(ServerAddress(f"{several.url}{named}"))
            assert isinstance(report.problem, UnknownModel)
            assert words in str(report.problem)
            assert len(report.models) == 3
    with ScriptedOllama({}) as empty, pytest.raises(UnknownModel, match=r"serves no model\. .*ollama pull NAME"):
        open_server(ServerAddress(empty.url))
    model.remote_host = "https://ollama.com"
    assert "runs in Ollama's cloud" in str(try_connection(ServerAddress(ollama.url)).problem)


def test_a_model_that_was_pulled_anew_in_the_middle_of_an_answer_does_not_continue_it(ollama, session, model):
    ollama.breaks_after = 2
    items = session.write([], 9, seed=1)
    next(items)
    model.digest = "2"
    with pytest.raises(EngineRefused, match="no longer has demo:latest as it was"):
        list(items)


# What goes wrong


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([line(error="an error was encountered while running the model")], "reports a failure: “an error was"),
        ([raw(b'{"response": "')], "sent something that is not an answer"),
        ([raw(b"x" * 2**20), raw(b"x")], "sent something that is not an answer"),
        ([line(response="", done=True, done_reason="unload")], "stopped the answer: “unload”"),
        ([], "broke off in the middle of its answer"),
    ],
)
def test_a_stream_that_fails_is_told_and_continued_after_its_last_token(ollama, parts, words):
    with opened(ollama.url, RemoteOptions(RetryPolicy(first_pause=0.01)), OllamaEngine) as (_, session):
        session.read([])
        prompt = ollama.asked[-1]["prompt"]
        broken = stream(line(response="a\x85\u2028é"), *parts, kind=LINES)
        ends = stream(line(response="!"), raw(b'{"response": "", "done": true, "done_reason": "stop"}'), kind=LINES)
        answers = iter([broken, ends])
        ollama.routes["/api/generate"] = lambda wire: next(answers)(wire)
        items = list(session.write([], 9, seed=1))
    assert (text(items), stop(items)) == ("a\x85\u2028é!", Stop.END_OF_TEXT)
    (notice,) = notices(items)
    assert words in notice
    asked = ollama.requests[-1].body
    assert (asked["prompt"], asked["options"]["num_predict"]) == (f"{prompt}a\x85\u2028é", 8)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (json_error(404, {"error": "model 'demo' not found"}), "does not offer what is needed: “model 'demo' n"),
        (json_error(500, {"error": "llama runner process has terminated"}), "reports a failure: “llama runner"),
        (json_error(503, {"error": "server busy, maximum pending requests"}), "is not ready: “server"),
        (stream(raw(b"<html>"), kind=LINES), "sent something that is not an answer"),
        (stream(line(error="out of memory"), kind=LINES), "reports a failure: “out of memory”"),
        (stream(kind=LINES), "broke off"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_said_when_it_is_connected(ollama, answer, words):
    ollama.routes["/api/generate"] = answer
    patient = replace(PATIENT, retry_policy=replace(PATIENT.retry_policy, first_token=60, between_tokens=60))
    assert words in str(try_connection(ServerAddress(ollama.url), patient).problem)
