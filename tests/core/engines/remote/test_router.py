"""A llama-server in router mode: several models behind one address, loaded when they are needed."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.base import Stop
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.engines.open import EngineFactory, Server, open_engine, share_vocabulary
from baton_reasoning.core.engines.remote.answers import NotReady, UnknownModel
from baton_reasoning.core.engines.remote.connection import ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteEngine, RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.protocol import ServedModel
from baton_reasoning.core.engines.remote.servers import open_server, try_connection
from baton_reasoning.core.errors import Cancelled, EngineRefused
from baton_reasoning.core.models.options import ServerUrls
from baton_reasoning.core.run import Pair, ask, run
from baton_reasoning.core.thinking.trace import Trace
from tests.core.engines.remote.writing import GREEDY, HURRIED, QUESTION, foreign, stop, text
from tests.fakes.faulty_router import FAILED, FaultyRouter
from tests.fakes.faulty_server import FaultyServer, Json, about, end, stream, token
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions, knows

OPTIONS = RemoteOptions(replace(HURRIED, answer=30, loading=60))


def opened(server: FaultyServer, model: str, waits: list[str] | None = None) -> RemoteEngine:
    on_wait = (waits if waits is not None else []).append
    return open_server(ServerAddress(f"{server.url}#{model}"), OPTIONS, on_wait=on_wait)


def test_each_request_names_the_model():
    answers = (stream(token("a", 1), end(1)),)
    options = replace(OPTIONS, supports_prefetch=True)
    with FaultyRouter(*answers, models={"ours/4B:Q4": ["loaded"], "other": ["loaded"]}) as server:
        address = ServerAddress(f"{server.url}#ours/4B:Q4")
        with closing(open_server(address, options)) as engine, closing(engine.open(QUESTION, GREEDY)) as session:
            session.prefetch(foreign("So"))
            assert text(session.write(foreign("So"), 1, seed=1)) == "a"
            assert engine.card.source == ServerUrls((address.url,))
        asked = [request.body.get("model") or parse_qs(request.query).get("model") for request in server.requests]
    first = next(n for n, name in enumerate(asked) if name)
    assert {str(name) for name in asked[first:]} == {"ours/4B:Q4", "['ours/4B:Q4']"}
    assert server.completions


@pytest.mark.parametrize(
    ("models", "model", "message"),
    [
        ({}, "", "is a router without models"),
        ({"one": ["loaded"], "other": ["unloaded"]}, "", r"serves one, other\. Write its name .*#one\."),
        ({"one": ["loaded"], "other": ["unloaded"]}, "third", "serves one, other, but not third"),
    ],
)
def test_a_model_that_is_not_there_is_refused_with_those_that_are(models, model, message):
    with FaultyRouter(stream(), models=models) as server, pytest.raises(UnknownModel, match=message):
        opened(server, model)


def test_the_only_model_of_a_router_needs_no_name():
    with FaultyRouter(stream(), models={"one": ["sleeping"]}) as server, closing(opened(server, "")) as engine:
        assert engine.card.name == "one"


def test_a_model_is_loaded_when_it_is_opened():
    waits: list[str] = []
    models = {"one": ["unloaded", "unloaded", "unloaded", "loading", "loading", "loaded"]}
    with FaultyRouter(stream(), models=models) as server, closing(opened(server, "one", waits)) as engine:
        assert engine.card.name == "one"
        assert [request.body for request in server.requests if request.path == "/models/load"] == [{"model": "one"}]
    assert waits == [f"{ServerAddress(server.url).host} is loading one…"] * 2


def test_a_model_that_fails_to_load_is_refused():
    models: dict[str, list[str | Json]] = {"one": ["unloaded", "unloaded", "unloaded", "loading", FAILED]}
    failed = r"could not load one \(exit code 1\)\. Look at the server's log"
    with FaultyRouter(stream(), models=models) as server, pytest.raises(EngineRefused, match=failed):
        opened(server, "one")


def test_a_model_that_never_loads_is_given_up():
    impatient = RemoteOptions(replace(HURRIED, answer=30, loading=-1))
    with FaultyRouter(stream(), models={"one": ["loading"]}) as server:
        with pytest.raises(NotReady, match="has been loading one for"):
            open_server(ServerAddress(server.url), impatient)
        assert not any(request.path == "/models/load" for request in server.requests), "another client began it"


def test_the_wait_for_a_model_can_be_cancelled():
    def cancel(_: str) -> None:
        raise Cancelled

    with FaultyRouter(stream(), models={"one": ["loading"]}) as server:
        factory = EngineFactory(server=lambda url: Server(ServerAddress(url), OPTIONS), on_status=cancel)
        with pytest.raises(Cancelled):
            open_engine(ServerUrls((server.url,)), factory)


def test_the_models_are_listed():
    with FaultyRouter(stream(), models={"one": ["loaded"], "other": ["unloaded"]}) as server:
        for model in ("", "#one"):
            report = try_connection(ServerAddress(server.url + model), OPTIONS)
            assert report.models == (ServedModel("one", "loaded"), ServedModel("other", "unloaded"))
            assert "has other (unloaded)" in [finding.text for finding in report.findings]
        assert report.problem is None


def test_a_server_with_one_model_knows_it_by_each_of_its_names():
    entry = about("models/big.gguf")["/v1/models"]["data"][0] | {"aliases": ["oracle"]}
    with FaultyServer(stream(), routes={"/v1/models": {"data": [entry]}}) as server:
        for name in ("models/big.gguf", "big", "oracle"):
            with closing(opened(server, name)) as engine:
                assert engine.card.name == "big"
        with pytest.raises(UnknownModel, match=r"serves models/big\.gguf, but not small"):
            opened(server, "small")


@pytest.fixture(scope="module")
def router(tmp_path_factory):
    """A real router with both models of the demo pair, and a file that is none."""
    if not knows("--models-dir"):
        pytest.skip("needs `make check-server` and a llama-server with router mode")
    folder: Path = tmp_path_factory.mktemp("models")
    (folder / "small.gguf").symlink_to(SMALL_MODEL)
    (folder / "large.gguf").symlink_to(LARGE_MODEL)
    (folder / "broken.gguf").write_bytes(b"GGUF" + bytes(64))
    with LlamaServer(ServerOptions(flags=("--models-dir", str(folder)))) as server:
        yield server


@pytest.mark.real_models
def test_a_pair_from_one_real_router_hands_token_ids_over(router):
    def engine(name: str) -> RemoteEngine:
        return open_server(ServerAddress(f"{router.url}#{name}", KEY))

    problem = next(iter(held_out_problems(seed=3)))
    with closing(engine("small")) as small, closing(engine("large")) as large:
        assert (small.card.name, large.card.name) == ("small", "large")
        assert share_vocabulary(small, large)
        trace = Trace.of(run(Pair(small, large), ask(problem.question, DEMO_SETTINGS), DEMO_SETTINGS))
    assert trace.answer
    assert {piece.author for piece in trace.pieces} == {Author.SMALL, Author.LARGE}


@pytest.mark.real_models
def test_a_routed_model_writes_what_it_writes_alone(router):
    written = []
    with LlamaServer(ServerOptions(str(SMALL_MODEL))) as alone:
        for url in (alone.url, f"{router.url}#small"):
            engine = open_server(ServerAddress(url, KEY))
            with closing(engine), closing(engine.open(QUESTION, GREEDY)) as session:
                assert isinstance(engine, LlamaServerEngine)
                assert engine.card.context == 1024
                written.append(list(session.write([], 40, seed=1)))
    assert text(written[0]) == text(written[1]) != ""
    assert stop(written[0]) is stop(written[1]) is not Stop.CONTEXT_FULL


@pytest.mark.real_models
def test_a_real_router_says_that_a_model_cannot_be_loaded(router):
    report = try_connection(ServerAddress(f"{router.url}#broken", KEY))
    assert "could not load broken" in str(report.problem)
    listed = try_connection(ServerAddress(router.url, KEY))
    assert {model.name for model in listed.models} == {"small", "large", "broken"}
    assert listed.key_accepted
    assert try_connection(ServerAddress(router.url, "wrong")).key_accepted is False
