"""What a server can do wrong, by a scripted one; what Baton makes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from baton_reasoning.core.engines.base import Message, PrefillProgress, Stop, WriteItem
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.remote import connection
from baton_reasoning.core.engines.remote.connection import RetryPolicy, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions, RemoteSession
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.status import ServerState, ServerStatus, StatusCallback
from baton_reasoning.core.engines.usage import Cap, Prices
from baton_reasoning.core.errors import ContextFull, EngineLost, EngineRefused
from tests.core.engines.remote.writing import (
    GREEDY,
    HURRIED,
    foreign,
    handoff,
    notices,
    prefetched,
    stop,
    text,
    tokens,
    wait_until,
)
from tests.fakes.faulty_server import (
    Answer,
    FaultyServer,
    Wire,
    about,
    end,
    endless,
    endless_progress,
    error,
    event,
    event_without_end,
    hold,
    progress,
    raw,
    redirect,
    stream,
    token,
)
from tests.patience import PATIENCE

ASKED = (Message("user", "Q"),)
OPTIONS, EAGER = RemoteOptions(HURRIED), RemoteOptions(HURRIED, supports_prefetch=True)
A, B, C = token("a", 1), token("b", 2), token("c", 1)


@contextmanager
def opened(
    server: FaultyServer, options: RemoteOptions, on_status: StatusCallback | None = None
) -> Iterator[tuple[LlamaServerEngine, RemoteSession]]:
    """An engine on this server, and a session that has been asked."""
    engine = LlamaServerEngine(ServerAddress(server.url, "secret"), options, on_status)
    with closing(engine), closing(engine.open(ASKED, GREEDY)) as session:
        yield engine, session


def write(server: FaultyServer, limit: int = 3) -> list[WriteItem]:
    with opened(server, OPTIONS) as (_, session):
        return list(session.write([], limit, seed=5))


def test_it_goes_on_from_the_last_token_after_the_connection_broke():
    with FaultyServer(stream(A, B), stream(C, end(1))) as server:
        items = write(server)
        first, second = server.completions
    assert text(items) == "abc"
    assert len(notices(items)) == 1
    assert second["prompt"] == first["prompt"] + list(b"ab")
    assert second["n_predict"] == first["n_predict"] - 2
    assert second["seed"] != first["seed"]


def test_what_came_without_an_id_is_tokenised_to_go_on_after_it():
    nameless = event({"content": "€ and", "tokens": [], "stop": False, "tokens_predicted": 2})
    with FaultyServer(stream(A, nameless), stream(C, end(1))) as server:
        items = write(server)
        first, second = server.completions
    assert text(items) == "a€ andc"
    assert second["prompt"] == first["prompt"] + list("a€ and".encode())


def test_a_break_inside_a_character_goes_on_before_it():
    half = event({"content": "", "tokens": [], "stop": False, "tokens_predicted": 2})
    with FaultyServer(stream(A, half), stream(token("é", 2), end(2))) as server:
        items = write(server)
        assert server.completions[1]["prompt"][-1] == ord("a")
    assert text(items) == "aé"
    assert [one.data for one in tokens(items)] == [b"a", b"\xc3", b"\xa9"]


def test_a_server_that_is_lost_for_good_is_given_up():
    with FaultyServer(stream(A), stream()) as server, pytest.raises(EngineLost, match="broke off"):
        write(server)


def test_a_server_that_is_lost_is_told_once_and_used_again_when_it_is_back():
    seen: list[ServerStatus] = []
    answers = [error(500, "CUDA error")] * 3 + [stream(A, end(1))]
    policy = replace(HURRIED, tries=3)
    with (
        FaultyServer(*answers) as server,
        opened(server, RemoteOptions(policy), lambda _: seen.append(engine.status)) as (engine, session),
    ):
        items: list[WriteItem] = []
        with pytest.raises(EngineLost, match="CUDA error"):
            items.extend(session.write([], 3, seed=1))
        assert len(notices(items)) == 1, "one line in the answer"
        assert [(status.attempt, status.attempts) for status in seen if status.attempt] == [(1, 3), (2, 3)]
        assert engine.status.state is ServerState.LOST
        assert "CUDA error" in engine.status.reason
        assert text(session.write([], 3, seed=1)) == "a"


def test_nothing_there_is_told_with_advice():
    with FaultyServer(stream()) as server:
        url = server.url
    with pytest.raises(EngineLost, match="Nothing answers") as raised:
        LlamaServerEngine(ServerAddress(url), OPTIONS)
    assert "Start the server" in raised.value.advice


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(401, "Invalid API Key"), EngineRefused, "does not accept the key"),
        (error(403, "No"), EngineRefused, "does not accept the key"),
        (error(404, "File Not Found"), EngineRefused, "does not offer what is needed: “File Not Found”"),
        (error(400, "bad grammar"), EngineRefused, "refused the request: “bad grammar”"),
        (error(400, "maximum context length is 9"), ContextFull, "no longer fits"),
        (error(500, "CUDA error"), EngineLost, "reports a failure: “CUDA error”"),
        (stream(event({"error": {"code": 500, "message": "slot lost"}})), EngineLost, "slot lost"),
        (stream(raw(b"data: {half\n\n")), EngineLost, "not an answer"),
        (stream(raw(b'data: {"tokens_predicted": NaN}\n\n')), EngineLost, "not an answer"),
        (stream(raw(b"data: " + b"[" * 100_000 + b"\n\n")), EngineLost, "not an answer"),
        (stream(event_without_end), EngineLost, "not an answer"),
        (raw(b"SSH-2.0-OpenSSH_10.0\r\n"), EngineLost, "connection to .* broke"),
        (lambda wire: wire.trickle(b"X-Slow: 1\r\n", first=b"HTTP/1.1 200 OK\r\n"), EngineLost, "has sent nothing for"),
        (error(429, "Slow down"), EngineLost, "is not ready: “Slow down”"),
        (lambda wire: wire.json({"hello": "world"}), EngineLost, "not an answer"),
        (redirect("https://elsewhere.example/"), EngineRefused, "redirects to https://elsewhere.example/"),
        (hold, EngineLost, "has sent nothing for"),
    ],
)
def test_each_fault_has_its_words(answer, kind, words):
    with FaultyServer(answer) as server, pytest.raises(kind, match=words):
        write(server)


def test_an_error_report_without_end_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(connection, "LARGEST_ANSWER", 1000)

    def report(wire: Wire) -> None:
        wire.head(500)
        wire.flood(b"x" * 100)

    with FaultyServer(report) as server, pytest.raises(EngineLost, match="not an answer"):
        write(server)


@pytest.mark.slow
def test_bytes_that_trickle_in_are_silence():
    def slow_loris(wire: Wire) -> None:
        stream(A)(wire)
        wire.trickle(b"d")

    with FaultyServer(slow_loris, stream(B, end(1))) as server:
        items = write(server)
    assert text(items) == "ab"
    assert any("has sent nothing for" in notice for notice in notices(items))


@pytest.mark.slow
def test_a_question_that_is_never_answered_is_given_up():
    with (
        FaultyServer(stream(), routes={"/props": hold}) as server,
        pytest.raises(EngineLost, match="stopped answering"),
    ):
        LlamaServerEngine(ServerAddress(server.url), OPTIONS)


def test_a_server_that_answers_nothing_at_all_is_not_taken_for_a_busy_one():
    patient = RetryPolicy(answer=0.2, first_token=1800, notice_every=0.05, tries=1)
    with FaultyServer(hold) as server, opened(server, RemoteOptions(patient)) as (_, session):
        server.routes["/v1/models"] = hold
        with pytest.raises(EngineLost, match="not even a short question") as raised:
            list(session.write([], 3, seed=1))
    assert raised.value.advice


def test_a_busy_server_that_answers_short_questions_is_waited_for():
    free = threading.Event()

    def busy(wire: Wire) -> None:
        free.wait()
        stream(A, end(1))(wire)

    with (
        FaultyServer(busy) as server,
        opened(server, RemoteOptions(RetryPolicy(answer=30, notice_every=0.02, tries=1))) as (_, session),
    ):
        items = []
        for item in session.write([], 3, seed=1):
            items.append(item)
            if len(notices(items)) == 5:
                free.set()
    assert text(items) == "a"
    assert [request.path for request in server.requests].count("/v1/models") > 1


def test_a_stream_without_end_is_ended_at_the_limit():
    with FaultyServer(stream(endless)) as server:
        items = write(server, limit=5)
    assert text(items) == "xxxxx"
    assert stop(items) is Stop.LIMIT


def test_events_without_end_and_without_text_are_refused():
    with FaultyServer(stream(endless_progress)) as server, pytest.raises(EngineRefused, match="keeps writing"):
        write(server, limit=5)


def test_a_server_that_loads_is_waited_for():
    with FaultyServer(error(503, "Loading model"), stream(A, end(1))) as server:
        items = write(server)
    assert text(items) == "a"
    assert "not ready: “Loading model”" in notices(items)[0]


def test_another_model_after_a_restart_is_refused():
    def restart(wire: Wire) -> None:
        server.routes |= about("another.gguf")
        stream(A)(wire)

    with FaultyServer(restart) as server, pytest.raises(EngineRefused, match=r"another model: another\."):
        write(server)


def test_another_model_after_a_restart_between_two_writes_is_refused():
    known, forgotten = stream(progress(9, 9), A, end(1)), stream(progress(12, 12), A, end(1))
    with FaultyServer(known, forgotten) as server, opened(server, OPTIONS) as (_, session):
        list(session.write([], 1, seed=1))
        assert text(session.write([], 1, seed=1)) == "a", "the same model has only forgotten the text"
        server.routes |= about("another.gguf")
        for _ in range(2):
            with pytest.raises(EngineRefused, match=r"another model: another\."):
                list(session.write([], 1, seed=1))


def test_another_model_that_was_noticed_while_reading_along_is_refused():
    answers = (stream(progress(9, 9), A, end(1)), stream(progress(9, 9), end(1)), stream(progress(9, 9, 8), A, end(1)))
    with FaultyServer(*answers) as server, opened(server, EAGER) as (_, session):
        list(session.write([], 1, seed=1))
        server.routes |= about("another.gguf")
        prefetched(session, foreign("so"))
        with pytest.raises(EngineRefused, match="another model"):
            list(session.write(foreign("so"), 1, seed=1))


def test_a_lost_server_is_not_read_along_by_any_more():
    with (
        FaultyServer(*[error(500, "CUDA error")] * 3) as server,
        opened(server, RemoteOptions(replace(HURRIED, tries=3), supports_prefetch=True)) as (engine, session),
    ):
        with pytest.raises(EngineLost, match="CUDA error"):
            list(session.write([], 3, seed=1))
        session.prefetch(foreign("so"))
        session.close()
        assert session.take_prefetched() == ()
        assert len(server.completions) == 3
        assert engine.status.state is ServerState.LOST


def test_a_failure_while_reading_along_harms_nothing():
    with (
        FaultyServer(error(500, "busy"), stream(progress(9, 9), A, end(1))) as server,
        opened(server, EAGER) as (_, session),
    ):
        prefetched(session, foreign("so"))
        items = list(session.write(foreign("so"), 1, seed=1))
    assert text(items) == "a"
    assert notices(items) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_of_ours_while_reading_along_leaves_nobody_waiting():
    with FaultyServer(stream(A, end(1))) as server, opened(server, EAGER) as (_, session):
        session.prefetch([Part(7, Author.SMALL)])  # type: ignore[arg-type]
        assert text(session.write(foreign("so"), 1, seed=1)) == "a"
        session.prefetch(foreign("so", "on"))


def test_only_the_newest_of_the_texts_is_prefetched_next():
    asked, free = threading.Event(), threading.Event()

    def busy(wire: Wire) -> None:
        asked.set()
        free.wait()
        stream(progress(9, 9), end(0))(wire)

    with (
        FaultyServer(busy, stream(progress(9, 9), end(0))) as server,
        opened(server, RemoteOptions(supports_prefetch=True)) as (_, session),
    ):
        session.prefetch(foreign("a"))
        asked.wait(PATIENCE)
        for words in ("ab", "abc", "abcd"):
            session.prefetch(foreign(words))
        free.set()
        wait_until(lambda: len(server.completions) == 2)
        list(session.write(foreign("abcd"), 1, seed=1))
        first, newest, _ = server.completions
    assert newest["prompt"] == first["prompt"] + list(b"abc"), "the last token is held back"


def test_neither_key_nor_text_follows_a_redirect():
    with FaultyServer(stream()) as elsewhere:
        with FaultyServer(redirect(f"{elsewhere.url}/completion")) as server:
            with pytest.raises(EngineRefused, match="nothing was sent there"):
                write(server)
            assert server.requests[-1].headers["Authorization"] == "Bearer secret"
        assert elsewhere.requests == []


def test_progress_is_told_while_a_long_text_is_read():
    with FaultyServer(stream(progress(2, 9, cache=2), hold)) as server, opened(server, OPTIONS) as (_, session):
        writing = session.write([], 3, seed=1)
        assert next(writing) == PrefillProgress(0, 7), "two of nine tokens were in the KV cache"
        said = next(writing)
        writing.close()
    assert notices([said]) == [f"Reading the prompt on {server.url.removeprefix('http://')}: 22% (2 of 9 tokens)."]


def test_the_handoff_is_what_the_server_measured():
    with FaultyServer(stream(progress(4, 9, cache=4), progress(9, 9, cache=4), A, end(1))) as server:
        items = write(server)
    assert handoff(items)[:2] == (4, 5)


def test_a_control_token_in_the_text_is_shown_and_the_end_token_is_not():
    control = event({"content": "", "tokens": [7], "stop": False, "tokens_predicted": 1})
    last = event({"content": "", "tokens": [2], "stop": False, "tokens_predicted": 3})
    answer = stream(control, token("b", 2), last, end(3, "eos"))
    with FaultyServer(answer, routes={"/detokenize": {"content": "</think>"}}) as server:
        items = write(server, limit=9)
    assert text(items) == "</think>b"
    assert stop(items) is Stop.END_OF_TEXT


def test_states_are_told_as_they_change():
    seen: list[ServerState] = []
    with (
        FaultyServer(stream(progress(1, 2), A, hold), stream(progress(1, 2), B, end(1))) as server,
        opened(server, OPTIONS, seen.append) as (_, session),
    ):
        list(session.write([], 3, seed=1))
    told = [state for state in seen if state is not ServerState.WAITING]  # it is, on a machine that is busy
    assert told == [
        ServerState.READING,
        ServerState.BUSY,
        ServerState.RECONNECTING,
        ServerState.READING,
        ServerState.BUSY,
        ServerState.CONNECTED,
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (RemoteOptions(HURRIED, cap=Cap(tokens=11)), r"cap of 11 tokens for 127\.0\.0\.1:"),
        (
            RemoteOptions(HURRIED, Prices(written=1_000_000, currency="EUR"), cap=Cap(money=2.0)),
            r"cap of 2\.00 EUR for 127\.0\.0\.1:",
        ),
    ],
)
def test_a_cap_shortens_the_last_write_and_refuses_the_next(options, words):
    script: Callable[[], Answer] = lambda: stream(progress(9, 9), A, B, end(2))  # noqa: E731
    with FaultyServer(script()) as server, opened(server, options) as (engine, session):
        items: list[WriteItem] = []
        with pytest.raises(EngineRefused, match=words):
            items.extend(session.write([], 30, seed=1))
        assert text(items) == "ab"
        assert server.completions[0]["n_predict"] in (2, 11)
        with pytest.raises(EngineRefused, match=words):
            list(session.write([], 30, seed=1))
        assert engine.status.state is ServerState.REFUSED


def test_a_server_that_lists_no_slots_is_not_taken_for_a_busy_one():
    with FaultyServer(stream(end(0)), routes={"/slots": lambda wire: wire.json([])}) as server:
        LlamaServerEngine(server.url).close()
    assert [request.path for request in server.requests].count("/slots") == 1
