"""The test of a connection, TLS, and several servers."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from baton_reasoning.core.engines.remote.connection import ServerAccess, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine, tokenize
from baton_reasoning.core.engines.remote.openai import OpenAICompletionsEngine
from baton_reasoning.core.engines.remote.protocol import PROBE
from baton_reasoning.core.engines.remote.servers import (
    ConnectionReport,
    ServerPool,
    Severity,
    open_server,
    try_connection,
)
from baton_reasoning.core.engines.usage import Cap, Prices, Usage
from baton_reasoning.core.errors import EngineLost, EngineRefused
from baton_reasoning.core.models.options import ModelOverrides, ServerUrls, TagSource, ThinkingTags
from tests.core.engines.remote.writing import GREEDY, HURRIED, QUESTION, text
from tests.fakes.faulty_server import FaultyServer, Wire, about, end, error, hold, progress, redirect, stream, token
from tests.servers.certificates import self_signed
from tests.servers.llama_server import KEY


def texts(report: ConnectionReport) -> list[str]:
    return [finding.text for finding in report.findings]


@pytest.mark.real_models
def test_a_good_connection_is_described(server, engine):
    with closing(engine.new_connection()) as connection:
        ids = tokenize(connection.ask, PROBE, special=True)
    report = try_connection(ServerAddress(server.url, KEY), probe_ids=ids)
    assert report.reachable
    assert report.key_accepted
    *said, milliseconds = texts(report)
    assert said == [
        "reachable",
        "key accepted",
        f"serves {engine.card.name}",
        "1,024 tokens of context for each text",
        "same vocabulary: token ids are handed over",
        "1 of 1 slots free",
    ]
    assert milliseconds.startswith("answers in ")
    assert report.problem is None
    other = try_connection(ServerAddress(server.url, KEY), probe_ids=[1, 2])
    assert "another vocabulary: text is handed over" in texts(other)


@pytest.mark.real_models
def test_a_wrong_key_is_found_out_at_a_protected_page(server):
    report = try_connection(ServerAddress(server.url, "wrong"))
    assert report.reachable
    assert report.key_accepted is False
    assert "does not accept the key" in str(report.problem)


def test_a_server_that_is_not_there_is_not_reachable():
    with FaultyServer(stream()) as server:
        pass
    report = try_connection(ServerAddress(server.url), RemoteOptions(HURRIED))
    assert not report.reachable
    assert "Nothing answers" in str(report.problem)


def test_what_a_text_server_cannot_do_is_listed():
    routes: dict[str, Any] = {
        "/v1/models": {"data": [{"id": "m", "owned_by": "somebody"}]},
        "/props": error(404, "not found"),
        "/slots": error(404, "not found"),
    }
    with FaultyServer(stream(), routes=routes) as server:
        report = try_connection(ServerAddress(server.url), RemoteOptions(template="{{ messages[0].content }}"))
        with closing(open_server(server.url, RemoteOptions(template=""))) as engine:
            assert isinstance(engine, OpenAICompletionsEngine)
    assert [finding.severity for finding in report.findings].count(Severity.WARNING) == 2
    assert "vocabulary not known: text is handed over" in texts(report)
    assert not any("slots" in text for text in texts(report))


def test_a_llama_server_started_without_its_slots_page_is_of_use():
    no_slots = error(501, "This server does not support slots endpoint. Start it with `--slots`")
    with FaultyServer(stream(token("a", 1), end(1)), routes={"/slots": no_slots}) as server:
        report = try_connection(ServerAddress(server.url), RemoteOptions(HURRIED))
        with closing(open_server(server.url)) as engine, closing(engine.open(QUESTION, GREEDY)) as session:
            assert text(session.write([], 1, seed=1)) == "a"
    assert report.problem is None
    assert not any("slots" in text for text in texts(report))


@pytest.mark.parametrize(
    ("params", "kind"), [({"speculative.types": "none,draft-mtp"}, "draft-mtp"), ({"speculative.n_max": 16}, "unknown")]
)
def test_a_server_that_drafts_says_how_if_it_tells(params, kind):
    def slots(wire: Wire) -> None:
        wire.json([{"speculative": True, "params": params}])

    with FaultyServer(lambda wire: wire.json({}), routes={"/slots": slots}) as server:
        report = try_connection(ServerAddress(server.url), RemoteOptions(HURRIED))
    assert f"writes by speculative decoding ({kind})" in texts(report)


def test_a_redirect_is_no_reason_to_try_another_protocol():
    with FaultyServer(stream(), routes={"/props": redirect("http://elsewhere.example")}) as server:
        with pytest.raises(EngineRefused, match=r"redirects to http://elsewhere\.example"):
            open_server(server.url)
        assert [request.path for request in server.requests] == ["/props"]


def test_tls_with_a_private_authority(tmp_path):
    tls, public = self_signed(tmp_path)
    with FaultyServer(stream(token("a", 1), hold), stream(token("b", 1), end(1)), tls=tls) as server:
        with pytest.raises(EngineRefused, match="is not trusted"):
            open_server(ServerAddress(server.url, KEY), RemoteOptions(HURRIED))
        assert server.requests == [], "the key was sent before the certificate was checked"
        trusting = ServerAddress(server.url, KEY, ServerAccess(authority=public))
        with closing(open_server(trusting)) as engine, closing(engine.open(QUESTION, GREEDY)) as session:
            writing = session.write([], 9, seed=1)
            assert text([next(writing), next(writing)]) == "a"
            writing.close()  # an encrypted connection can be cut as well
            assert text(session.write([], 9, seed=1)) == "b"
        with closing(open_server(ServerAddress(server.url, KEY, ServerAccess(any_certificate=True)))) as engine:
            assert engine.card.name == "bytes"


def test_a_proxy_is_gone_through():
    with FaultyServer(stream(token("a", 1), end(1))) as proxy:
        address = ServerAddress("http://office.example:8080", "secret", ServerAccess(proxy=proxy.url))
        with closing(open_server(address)) as engine, closing(engine.open(QUESTION, GREEDY)) as session:
            assert text(session.write([], 1, seed=1)) == "a"
        assert {request.headers["Host"] for request in proxy.requests} == {"office.example:8080"}


def test_the_environment_does_not_send_this_machine_to_a_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with FaultyServer(stream()) as server, closing(open_server(server.url)) as engine:
        assert engine.card.name == "bytes"


def engines_of(*servers: FaultyServer) -> list[LlamaServerEngine]:
    return [LlamaServerEngine(server.url, RemoteOptions(HURRIED)) for server in servers]


def test_a_pool_spreads_sessions_and_leaves_out_who_is_lost():
    with FaultyServer(stream()) as first, FaultyServer(stream()) as second:
        engines = engines_of(first, second)
        with closing(ServerPool(engines)) as pool:
            both = ServerUrls((first.url, second.url))
            assert pool.card == replace(engines[0].card, source=both)
            assert pool.meter.usage.cost.requests == 0
            sessions = [pool.open(QUESTION, GREEDY) for _ in range(4)]
            assert [len(engine.sessions) for engine in engines] == [2, 2]
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
        engines = [LlamaServerEngine(first.url, cheap), LlamaServerEngine(second.url, dear)]
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

    def slots(wire: Wire) -> None:
        wire.json([{"speculative": True}])

    with (
        FaultyServer() as first,
        FaultyServer(lambda wire: wire.json({}), routes=about("other.gguf")) as second,
    ):
        others = engines_of(first, second)
        with pytest.raises(EngineRefused, match="have to serve the same model"):
            ServerPool(others)
        second.routes |= about() | {"/slots": slots}
        engines = engines_of(first, second)
        assert [engine.card.drafts for engine in engines] == [False, True]
        with pytest.raises(EngineRefused, match="differ in speculative decoding"):
            ServerPool(engines)
        for engine in (*others, *engines):
            engine.close()


def test_what_a_person_set_for_the_model_of_a_server_is_on_its_card():
    overrides = ModelOverrides(temperature=0.2, tags=TagSource.OTHER, opening="[T]", closing="[/T]")
    with FaultyServer(stream(token("a", 1), end(1))) as server:
        engine = open_server(ServerAddress(server.url), RemoteOptions(HURRIED, overrides=overrides))
        with closing(engine):
            assert engine.card.overrides == overrides
            assert engine.card.thinking == ThinkingTags("[T]", "[/T]")


def test_a_refusal_while_a_server_is_described_is_told_in_its_report():
    answers = iter([lambda wire: wire.json(about()["/v1/models"])])

    def once(wire: Wire) -> None:
        next(answers, error(400, "no more"))(wire)

    with FaultyServer(stream(), routes={"/v1/models": once}) as server:
        report = try_connection(ServerAddress(server.url), RemoteOptions(HURRIED))
    assert (report.reachable, report.key_accepted) == (True, True)
    assert "refused the request: “no more”" in str(report.problem)
