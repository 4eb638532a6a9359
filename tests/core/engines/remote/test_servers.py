"""Servers of any kind: the test of a connection, TLS and proxies, routers with several models, and pools."""

import re
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.open import EngineFactory, Server, open_engine
from baton_reasoning.core.engines.remote.answers import NotReady
from baton_reasoning.core.engines.remote.billing import Cap, Prices
from baton_reasoning.core.engines.remote.connection import ServerAccess, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteEngine, RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.ollama import NotOllama, OllamaEngine
from baton_reasoning.core.engines.remote.openai import OpenAICompletionsEngine
from baton_reasoning.core.engines.remote.protocol import ServedModel, UnknownModel
from baton_reasoning.core.engines.remote.servers import ServerPool, Severity, open_server, try_connection
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus
from baton_reasoning.core.engines.usage import Usage
from baton_reasoning.core.errors import Cancelled, EngineLost, EngineRefused
from baton_reasoning.core.models.overrides import ModelOverrides, TagSource
from baton_reasoning.core.models.source import ServerUrls
from baton_reasoning.core.models.thinking_tags import ThinkingTags
from tests.core.engines.local.conftest import GREEDY, notices
from tests.core.engines.remote.conftest import HURRIED, OPTIONS, QUESTION, foreign, opened, text, wait_for_threads
from tests.core.engines.remote.test_protocols import listing
from tests.fakes.faulty_server import FaultyRouter, FaultyServer, about, end, error, hold, progress, raw, stream, token
from tests.servers.link import Link, self_signed
from tests.servers.llama_server import KEY
from tests.servers.scripted_ollama import ScriptedOllama

ANSWER = stream(token("a", 1), end(1))


def report_of(url, options=OPTIONS, **access):
    return try_connection(ServerAddress(url, KEY, ServerAccess(**access)), options)


def texts(report):
    return [finding.text for finding in report.findings]


# The test of a connection


def test_what_keeps_a_server_from_use_is_its_problem():
    models = iter([lambda wire: wire.json(about()["/v1/models"])])
    with FaultyServer(stream()) as server:
        server.routes["/v1/models"] = lambda wire: next(models, error(400, "no more"))(wire)
        refusing = report_of(server.url)
        server.routes["/props"] = error(503, "Loading model")
        loading = report_of(server.url)
        server.routes["/props"] = hold
        silent = report_of(server.url)
    gone = report_of(server.url)
    for report, first, words in (
        (refusing, "reachable", "refused the request: “no more”"),
        (loading, "reachable", "Loading model"),
        (silent, "not reachable", "stopped answering"),
        (gone, "not reachable", "Nothing answers"),
    ):
        assert texts(report)[0] == first
        assert words in str(report.problem)
    assert len(gone.findings) == 1


def test_what_a_text_server_cannot_do_is_listed():
    routes = listing("m", "somebody") | {"/props": {}, "/slots": error(404, "not found")}
    with FaultyServer(stream(), routes=routes) as server:
        options = RemoteOptions(template="{{ messages[0].content }}")
        report = report_of(server.url, options)
        with closing(open_server(ServerAddress(server.url), options)) as engine:
            assert isinstance(engine, OpenAICompletionsEngine)
    assert [finding.severity for finding in report.findings].count(Severity.WARNING) == 2
    assert not any("slots" in text for text in texts(report))


def test_a_llama_server_that_lists_no_slots_is_of_use_and_not_taken_for_a_busy_one():
    no_slots = error(501, "This server does not support slots endpoint. Start it with `--slots`")
    for slots in (no_slots, lambda wire: wire.json([])):
        with FaultyServer(stream(end(0)), routes={"/slots": slots}) as server:
            LlamaServerEngine(ServerAddress(server.url)).close()
            assert [request.path for request in server.requests].count("/slots") == 1
            report = report_of(server.url)
        assert report.problem is None
        assert not any("slots" in text for text in texts(report))


@pytest.mark.parametrize(
    ("params", "kind"), [({"speculative.types": "none,draft-mtp"}, "draft-mtp"), ({"speculative.n_max": 16}, "unknown")]
)
def test_a_server_that_drafts_says_how_if_it_tells(params, kind):
    busy, free = ({"speculative": True, "is_processing": works, "params": params} for works in (True, False))
    looks = iter([[busy]])
    routes = {"/slots": lambda wire: wire.json(next(looks, [busy, free]))}
    with FaultyServer(lambda wire: wire.json({}), routes=routes) as server:
        report = report_of(server.url)
    assert f"writes by speculative decoding ({kind})" in texts(report)
    assert (Severity.PLAIN, "1 of 2 slots free") in report.findings


@pytest.mark.parametrize(
    ("version", "is_old"), [("0.29.9", True), ("0.30.0-rc1", False), ("0.0.0", False), ("1.0", False)]
)
def test_an_old_ollama_is_to_be_updated(version, is_old):
    with ScriptedOllama({}, version) as ollama, pytest.raises(EngineRefused) as refused:
        open_server(ServerAddress(ollama.url))
    assert ("Ollama 0.29.9 on" in str(refused.value)) == ("Update it to 0.30 or newer." in str(refused.value)) == is_old


def test_another_server_is_not_taken_for_an_ollama():
    with FaultyServer(raw(b"")) as server, pytest.raises(NotOllama):
        OllamaEngine(ServerAddress(server.url))


# How a server is reached


def test_a_certificate_of_ones_own_is_accepted_by_its_file_or_knowing_the_risk(tmp_path):
    tls, public = self_signed(tmp_path)
    with FaultyServer(stream(token("a", 1), hold), stream(token("b", 1), end(1)), tls=tls) as server:
        refused = report_of(server.url)
        assert "is not trusted" in str(refused.problem)
        assert server.requests == [], "the key was sent before the certificate was checked"
        trusting = ServerAddress(server.url, KEY, ServerAccess(authority=public))
        with opened(trusting, kind=open_server) as (_, session):
            writing = session.write([], 9, seed=1)
            assert text([next(writing), next(writing)]) == "a"
            writing.close()  # an encrypted connection can be cut as well
            assert text(session.write([], 9, seed=1)) == "b"
        careless = report_of(server.url, any_certificate=True)
        assert "serves bytes" in texts(careless)
        severity, risk = careless.findings[-1]
        assert severity is Severity.WARNING
        assert "Anyone in between can pose" in risk


def test_neither_a_redirect_nor_the_environments_proxy_is_followed_on_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with FaultyServer(stream()) as server, FaultyServer(stream()) as elsewhere:
        assert report_of(server.url).problem is None
        server.requests.clear()
        server.routes["/props"] = lambda wire: wire.json({}, 307, Location=f"{elsewhere.url}/props")
        with pytest.raises(EngineRefused, match=f"redirects to {elsewhere.url}/props; nothing was sent there"):
            open_server(ServerAddress(server.url, KEY))
        (asked,) = server.requests  # no other protocol was tried
        assert asked.headers["Authorization"] == f"Bearer {KEY}"
        assert elsewhere.requests == []


def test_a_proxy_is_gone_through():
    with FaultyServer(ANSWER) as proxy:
        address = ServerAddress("http://office.example:8080", "secret", ServerAccess(proxy=proxy.url))
        with opened(address, kind=open_server) as (engine, session):
            assert text(session.write([], 1, seed=1)) == "a"
            assert Ability.PREFETCH in engine.card.abilities, "it is another machine"
        assert {request.headers["Host"] for request in proxy.requests} == {"office.example:8080"}
        through_tls = report_of("https://office.example", proxy=proxy.url)
        assert "The proxy for office.example failed" in str(through_tls.problem), "it knows no CONNECT"
    with pytest.raises(EngineRefused, match="proxy for office cannot be used"):
        open_server(ServerAddress("http://office", access=ServerAccess(proxy="nonsense")))


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_handoff_takes_one_round_trip_over_a_connection_that_was_opened_before(tmp_path, is_encrypted):
    """Each takeover is left early, which cuts its connection. A server may close the next one while it is idle."""
    tls, public = self_signed(tmp_path)
    scheme = "https" if is_encrypted else "http"
    answer = stream(progress(9, 9, 8), token("a", 1), hold)
    with (
        FaultyServer(answer, tls=tls if is_encrypted else None, keeps_open=True) as server,
        Link(int(server.url.rpartition(":")[2])) as link,
    ):
        address = ServerAddress(f"{scheme}://127.0.0.1:{link.port}", KEY, ServerAccess(authority=public))
        with opened(address) as (_, session):

            def take_over() -> tuple[int, int]:
                """Return the round trips until the first token, and the connections that were opened, ahead or not."""
                trips, accepted = link.round_trips, link.accepted
                writing = session.write([], 9, seed=1)
                items = [next(writing), next(writing)]
                assert (text(items), notices(items)) == ("a", [])
                trips = link.round_trips - trips
                writing.close()
                wait_for_threads("connection to")
                return trips, link.accepted - accepted

            take_over()
            assert [take_over(), take_over()] == [(1, 1), (1, 1)]
            link.drop()
            accepted = link.accepted
            session.prefetch([])  # a hint, as the other model writes
            wait_for_threads("connection to")
            assert link.accepted - accepted == 1, "never more than one ahead"
            assert take_over() == (1, 1)
            link.drop()
            trips, opened_now = take_over()
            assert (trips > 1, opened_now) == (True, 2), "without a hint a fresh one, without a word"
        assert not any(thread.name.startswith("connection to") for thread in threading.enumerate())


# Routers: several models behind one address, loaded when they are needed


LOADING = RemoteOptions(replace(HURRIED, answer=30, loading=60))


def routed(server: FaultyServer, model: str, on_wait: Callable[[str], object] = str) -> RemoteEngine:
    return open_server(ServerAddress(f"{server.url}#{model}"), LOADING, on_wait=on_wait)


def test_each_request_names_the_model_and_what_a_person_set_for_it_is_on_its_card():
    overrides = ModelOverrides(temperature=0.2, tags=TagSource.OTHER, opening="[T]", closing="[/T]")
    options = replace(LOADING, supports_prefetch=True, overrides=overrides)
    with FaultyRouter(ANSWER, models={"ours/4B:Q4": ["loaded"], "other": ["loaded"]}) as server:
        with opened(f"{server.url}#ours/4B:Q4", options) as (engine, session):
            session.prefetch(foreign("So"))
            assert text(session.write(foreign("So"), 1, seed=1)) == "a"
            card = engine.card
            assert (card.name, card.source) == ("ours/4B:Q4", ServerUrls((f"{server.url}#ours/4B:Q4",)))
            assert (card.overrides, card.thinking) == (overrides, ThinkingTags("[T]", "[/T]"))
        asked = [request.body.get("model") or parse_qs(request.query).get("model") for request in server.requests]
    first = next(n for n, name in enumerate(asked) if name)
    assert {str(name) for name in asked[first:]} == {"ours/4B:Q4", "['ours/4B:Q4']"}
    assert server.completions


TWO = {"one": ["loaded"], "other": ["unloaded"]}


@pytest.mark.parametrize(
    ("models", "model", "problem"),
    [
        ({}, "", "serves no model"),
        (TWO, "", r"serves one, other\. Write its name .*#one\."),
        (TWO, "third", "serves one, other, but not third"),
        (TWO, "one", "^None$"),
    ],
)
def test_the_models_are_listed_and_one_that_is_not_there_is_refused(models, model, problem):
    with FaultyRouter(stream(), models=models) as server:
        report = report_of(f"{server.url}#{model}", LOADING)
    assert re.search(problem, str(report.problem))
    assert report.models == tuple(ServedModel(name, status) for name, (status,) in models.items())
    assert ("has other (unloaded)" in texts(report)) is (models == TWO)


def test_a_model_is_loaded_when_it_is_opened():
    waits: list[str] = []
    models: dict[str, Any] = {"one": ["unloaded", "unloaded", "unloaded", "loading", "loading", "loaded"]}
    with FaultyRouter(stream(), models=models) as server, closing(routed(server, "one", waits.append)) as engine:
        assert engine.card.name == "one"
        assert [request.body for request in server.requests if request.path == "/models/load"] == [{"model": "one"}]
        assert waits == [f"{engine.address.host} is loading one…"] * 2
    with FaultyRouter(stream(), models={"one": ["sleeping"]}) as server, closing(routed(server, "")) as engine:
        assert engine.card.name == "one", "the only one needs no name"
    models["one"][-2:] = [{"value": "unloaded", "failed": True, "exit_code": 1}]
    failed = r"could not load one \(exit code 1\)\. Look at the server's log"
    with FaultyRouter(stream(), models=models) as server, pytest.raises(EngineRefused, match=failed):
        routed(server, "one")


def test_the_wait_for_a_model_ends_after_a_while_or_when_a_person_cancels_it():
    def cancel(words: str) -> None:
        if "is loading" in words:
            raise Cancelled

    with FaultyRouter(stream(), models={"one": ["loading"]}) as server:
        with pytest.raises(NotReady, match="has been loading one for"):
            open_server(ServerAddress(server.url), RemoteOptions(replace(HURRIED, answer=30, loading=-1)))
        assert not any(request.path == "/models/load" for request in server.requests), "another client began it"
        factory = EngineFactory(server=lambda url: Server(ServerAddress(url), LOADING), on_status=cancel)
        with pytest.raises(Cancelled):
            open_engine(ServerUrls((server.url,)), factory)


def test_a_server_with_one_model_knows_it_by_each_of_its_names():
    entry = about("models/big.gguf")["/v1/models"]["data"][0] | {"aliases": ["oracle"]}
    with FaultyServer(stream(), routes={"/v1/models": {"data": [entry]}}) as server:
        for name in ("models/big.gguf", "big", "oracle"):
            with closing(routed(server, name)) as engine:
                assert engine.card.name == "big"
        with pytest.raises(UnknownModel, match=r"serves models/big\.gguf, but not small"):
            routed(server, "small")


# Pools


def engines_of(*servers: FaultyServer) -> list[LlamaServerEngine]:
    return [LlamaServerEngine(ServerAddress(server.url), OPTIONS) for server in servers]


def test_a_pool_spreads_sessions_leaves_out_who_is_lost_and_tells_what_a_ping_finds():
    with FaultyServer(stream()) as first, FaultyServer(stream(), routes=about(context=900)) as second:
        engines = engines_of(first, second)
        with closing(ServerPool(engines)) as pool:
            both = ServerUrls((first.url, second.url))
            assert pool.card == replace(engines[1].card, source=both), "that with the smallest context"
            assert pool.meter.usage.cost.requests == 0
            sessions = [pool.open(QUESTION, GREEDY) for _ in range(4)]
            assert [len(engine.sessions) for engine in engines] == [2, 2]
            pool.ping()
            assert pool.status == ServerStatus()
            second.routes["/v1/models"] = error(400, "not this question")
            pool.ping()
            assert pool.status == ServerStatus(), "it refuses, so it is there"
            second.routes["/v1/models"] = error(500, "gone")
            pool.ping()
            assert (pool.status.state, "gone" in pool.status.reason) == (ServerState.LOST, True)
            sessions[0].close()
            first.routes["/tokenize"] = error(500, "gone")
            pool.open(QUESTION, GREEDY)
            assert [len(engine.sessions) for engine in engines] == [1, 3]
            second.routes["/tokenize"] = error(500, "gone")
            with pytest.raises(EngineLost):
                pool.open(QUESTION, GREEDY)


def test_a_cap_holds_over_all_servers_of_a_pool_together():
    answer = stream(progress(4, 4), token("a", 1), end(1))
    with FaultyServer(answer) as first, FaultyServer(answer) as second:
        cheap = RemoteOptions(HURRIED, Prices(written=1_000_000, currency="EUR"), Cap(tokens=40))
        dear = RemoteOptions(HURRIED, Prices(written=3_000_000, currency="EUR"), Cap(tokens=10))
        options = {first.url: cheap, second.url: dear}
        engines = [LlamaServerEngine(ServerAddress(url), each) for url, each in options.items()]
        with closing(ServerPool(engines)) as pool:
            sessions = [pool.open(QUESTION, GREEDY) for _ in engines]
            assert text(sessions[0].write([], 30, seed=1)) == "a"
            with pytest.raises(EngineRefused, match="cap of 10 tokens for all servers together is reached"):
                list(sessions[1].write([], 30, seed=1))
            assert second.completions[0]["n_predict"] == 5, "the first server took half of the cap"
            assert pool.meter.usage == Usage(engines[0].meter.usage.cost.plus(engines[1].meter.usage.cost), 4.0, "EUR")
            with pytest.raises(EngineRefused, match="cap of 10 tokens for all servers together is reached"):
                list(sessions[0].write([], 30, seed=1))


def test_a_pool_takes_only_servers_with_the_same_model_that_can_do_the_same():
    """Or a policy would find no alternatives in those texts that a drafting server writes."""
    with (
        FaultyServer() as first,
        FaultyServer(lambda wire: wire.json({}), routes=about("other.gguf")) as second,
    ):
        others = engines_of(first, second)
        with pytest.raises(EngineRefused, match="does not serve bytes in the way"):
            ServerPool(others)
        second.routes |= about() | {"/slots": lambda wire: wire.json([{"speculative": True}])}
        engines = engines_of(first, second)
        assert [bool(engine.card.drafting) for engine in engines] == [False, True]
        with pytest.raises(EngineRefused, match="does not serve bytes in the way"):
            ServerPool(engines)
        for engine in (*others, *engines):
            engine.close()
