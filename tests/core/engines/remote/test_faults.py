"""What a server can do wrong, by a scripted one, and what Baton makes of it: in a session and in a run."""

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baton_reasoning.core.engines.abilities import Ability
from baton_reasoning.core.engines.base import End, Handoff, Judgement, PrefillProgress, Scores, Session, Stop, WriteItem
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.remote import connection
from baton_reasoning.core.engines.remote.billing import Cap, Prices
from baton_reasoning.core.engines.remote.connection import RetryPolicy, ServerAccess, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions, settled
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.openai import OpenAICompletionsEngine
from baton_reasoning.core.engines.remote.servers import ServerPool
from baton_reasoning.core.engines.remote.status import RETRYING, ServerState, ServerStatus
from baton_reasoning.core.errors import Cancelled, ContextFull, EngineLost, EngineRefused
from tests.core.engines.local.conftest import GREEDY, handoff, notices
from tests.core.engines.remote.conftest import (
    HURRIED,
    OPTIONS,
    QUESTION,
    foreign,
    opened,
    prefetched,
    stop,
    text,
    wait_for_threads,
)
from tests.core.engines.remote.test_protocols import ROUTES, TRIAL, listing
from tests.fakes.faulty_server import (
    FaultyServer,
    Wire,
    about,
    end,
    error,
    event,
    flood,
    hold,
    progress,
    raw,
    stream,
    token,
)
from tests.patience import PATIENCE

A, B = token("a", 1), token("b", 2)
EAGER = RemoteOptions(HURRIED, supports_prefetch=True)
"""It reads along, though the server is on this machine."""


def write(server: FaultyServer, limit: int = 3) -> list[WriteItem]:
    with opened(server.url, OPTIONS) as (_, session):
        return list(session.write([], limit, seed=5))


# Broken answers


@pytest.fixture(scope="module")
def broken():
    """A server that does as its route for completions says, and an engine on it."""
    options = RemoteOptions(RetryPolicy(first_pause=0.01))
    with FaultyServer() as server, closing(LlamaServerEngine(ServerAddress(server.url), options)) as engine:
        yield server, engine


@given(st.lists(st.tuples(st.text(min_size=1, max_size=3), st.booleans(), st.booleans()), min_size=1, max_size=4))
def test_an_answer_goes_on_after_the_last_whole_character_however_often_it_breaks(broken, parts):
    """Each part comes with the ids of its tokens or without, and the connection may break inside the next character."""
    server, engine = broken
    answers = []
    for number, (words, has_ids, breaks_inside) in enumerate(parts, start=1):
        sent, events = 0, []
        for piece in words if has_ids else [words]:
            sent += len(piece.encode())
            ids = list(piece.encode()) if has_ids else []
            events.append(event({"content": piece, "tokens": ids, "stop": False, "tokens_predicted": sent}))
        half = event({"content": "", "tokens": [], "stop": False, "tokens_predicted": sent + 1})
        last = [end(sent)] if number == len(parts) else [half] * breaks_inside
        answers.append(stream(*events, *last))
    script = iter(answers)
    server.routes["/completion"] = lambda wire: next(script)(wire)
    with closing(engine.open(QUESTION, GREEDY)) as session:
        items = list(session.write([], 100, seed=5))
    whole = "".join(words for words, *_ in parts)
    assert (text(items), stop(items), len(notices(items))) == (whole, Stop.LIMIT, len(parts) - 1)
    first, *later = server.completions[-len(parts) :]
    for number, request in enumerate(later, start=1):
        before = "".join(words for words, *_ in parts[:number]).encode()
        assert request["prompt"] == first["prompt"] + list(before)
        assert request["n_predict"] == first["n_predict"] - len(before)
    assert len({request["seed"] for request in (first, *later)}) == len(parts)


def test_a_server_that_is_lost_is_told_once_not_read_along_by_and_used_again_when_it_is_back():
    seen: list[ServerStatus] = []
    broken_off, whole = stream(progress(1, 2), A), stream(progress(1, 2), B, end(1))
    options = replace(EAGER, retry_policy=replace(HURRIED, tries=3))

    def see(state: ServerState) -> None:
        if state is not ServerState.WAITING:  # it is, on a machine that is busy
            seen.append(engine.status)

    with (
        FaultyServer(broken_off, *[error(500, "CUDA error")] * 2, whole) as server,
        opened(server.url, options, on_status=see) as (engine, session),
    ):
        items: list[WriteItem] = []
        with pytest.raises(EngineLost, match="CUDA error"):
            items.extend(session.write([], 3, seed=1))
        assert [RETRYING in notice for notice in notices(items)].count(True) == 1, "one line in the answer"
        assert text(items) == "a"
        session.prefetch(foreign("so"))
        assert not any(thread.name.startswith("prefetch") for thread in threading.enumerate())
        assert text(session.write([], 3, seed=1)) == "b"
        assert len(server.completions) == 4
    once = [ServerState.READING, ServerState.BUSY]
    failed = [ServerState.RECONNECTING, ServerState.RECONNECTING, ServerState.LOST]
    assert [status.state for status in seen] == [*once, *failed, *once, ServerState.CONNECTED]
    assert ["CUDA error" in status.reason for status in seen[2:5]] == [False, True, True]


GARBAGE = flood(raw(b"x" * 10_000))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(401, "Invalid API Key"), EngineRefused, "does not accept the key"),
        (error(404, "File Not Found"), EngineRefused, "does not offer what is needed: “File Not Found”"),
        (error(400, "bad grammar"), EngineRefused, "refused the request: “bad grammar”"),
        (error(400, "maximum context length is 9"), ContextFull, "no longer fits"),
        (error(500, "CUDA error"), EngineLost, "reports a failure: “CUDA error”"),
        (lambda wire: wire.head(500), EngineLost, r"reports a failure\. "),
        (stream(), EngineLost, "broke off"),
        (stream(event({"error": {"code": 500, "message": "slot lost"}})), EngineLost, "slot lost"),
        (stream(raw(b"data: {half\n\n")), EngineLost, "not an answer"),
        (stream(raw(b"data: "), GARBAGE), EngineLost, "not an answer"),
        (stream(flood(progress(1, 2))), EngineRefused, "keeps writing"),
        (raw(b"SSH-2.0-OpenSSH_10.0\r\n"), EngineLost, "connection to .* broke"),
        (lambda wire: wire.trickle(b"X-Slow: 1\r\n", first=b"HTTP/1.1 200 OK\r\n"), EngineLost, "has sent nothing for"),
        (error(429, "Slow down"), EngineLost, "is not ready: “Slow down”"),
        (lambda wire: wire.json({"hello": "world"}), EngineLost, "not an answer"),
        (hold, EngineLost, "has sent nothing for"),
        (stream(GARBAGE, status=500), EngineLost, "not an answer"),
    ],
)
def test_each_fault_has_its_words(monkeypatch, answer, kind, words):
    monkeypatch.setattr(connection, "LARGEST_ANSWER", 100_000)
    with FaultyServer(answer) as server, pytest.raises(kind, match=words):
        write(server)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "written", "end_of_it", "told"),
    [
        ((error(503, "Loading model"), stream(A, end(1))), "a", Stop.LIMIT, "not ready: “Loading model”"),
        # bytes that trickle in are silence
        ((stream(A, lambda wire: wire.trickle(b"d")), stream(B, end(1))), "ab", Stop.LIMIT, "has sent nothing for"),
        ((stream(*[token("x", n) for n in range(1, 9)], end(8)),), "xxxxx", Stop.LIMIT, ""),
        # the last token is not decoded, so a context of 1,000 has room for one more
        ((stream(A, end(990)),), "a", Stop.LIMIT, ""),
        ((stream(A, end(991)),), "a", Stop.CONTEXT_FULL, ""),
        # a control token in the text is shown, and the end token is not
        ((stream(token("", 1, 7), B, token("", 3, 2), end(3, "eos")),), "</think>b", Stop.END_OF_TEXT, ""),
    ],
)
def test_what_comes_all_the_same_is_the_text(answers, written, end_of_it, told):
    with FaultyServer(*answers, routes={"/detokenize": {"content": "</think>"}}) as server:
        items = write(server, limit=5)
    assert (text(items), stop(items)) == (written, end_of_it)
    assert told in "".join(notices(items))


def test_the_ids_of_a_split_character_are_asked_for_while_the_answer_goes_on():
    half = event({"content": "", "tokens": [], "stop": False, "tokens_predicted": 1})
    rest = event({"content": "é", "tokens": [169], "stop": False, "tokens_predicted": 2})
    with FaultyServer(stream(half, rest, hold)) as server, opened(server.url, PATIENT) as (_, session):
        writing = session.write([], 9, seed=1)
        ids = [token.id for token in (next(writing), next(writing), next(writing)) if not isinstance(token, Handoff)]
        writing.close()
    assert ids == list("é".encode())


def test_progress_and_the_handoff_are_what_the_server_measured():
    answer = stream(progress(2, 9, cache=2), progress(9, 9, cache=2), A, end(1))
    with FaultyServer(answer, stream(progress(2, 9, cache=2), hold)) as server, opened(server.url, OPTIONS) as found:
        engine, session = found
        items = list(session.write([], 1, seed=1))
        assert items[0] == PrefillProgress(0, 7), "two of nine tokens were in the KV cache"
        assert handoff(items)[:2] == (2, 7)
        session.prefetch(foreign("so"))
        assert session.take_prefetched() == (), "on this machine nothing is read along"
        writing = session.write([], 3, seed=1)
        next(writing)
        (told,) = notices([next(writing)])
        assert told == f"Reading the prompt on {engine.address.host}: 22% (2 of 9 tokens)."
        assert engine.status == ServerStatus(ServerState.READING, 0.22)
        writing.close()


# Another model at the same address


@pytest.mark.parametrize("reads_along", [False, True])
def test_another_model_after_a_restart_between_two_writes_is_refused(reads_along):
    known, forgotten = stream(progress(9, 9), A, end(1)), stream(progress(12, 12), A, end(1))
    answers = (known, forgotten, forgotten, stream(progress(9, 9, 8), A, end(1)))
    with FaultyServer(*answers) as server, opened(server.url, EAGER) as (_, session):
        list(session.write([], 1, seed=1))
        assert text(session.write([], 1, seed=1)) == "a", "the same model has only forgotten the text"
        server.routes |= about("another.gguf")
        if reads_along:
            prefetched(session, foreign("so"))
        for _ in range(2):
            with pytest.raises(EngineRefused, match=r"another model: another\."):
                list(session.write(foreign("so"), 1, seed=1))


# Reading along


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_failure_while_reading_along_harms_nothing():
    answers = (error(500, "busy"), stream(progress(9, 9), A, end(1)))
    with FaultyServer(*answers) as server, opened(server.url, EAGER) as (_, session):
        prefetched(session, foreign("so"))
        items = list(session.write(foreign("so"), 1, seed=1))
        assert (text(items), notices(items)) == ("a", [])
        # a fault of ours
        session.prefetch([Part(7, Author.SMALL)])  # type: ignore[arg-type]
        assert text(session.write(foreign("so"), 1, seed=1)) == "a"
        session.prefetch(foreign("so", "on"))


def test_only_the_newest_of_the_texts_is_prefetched_next():
    asked, free = threading.Semaphore(0), threading.Event()

    def busy(wire):
        asked.release()
        free.wait()
        stream(progress(9, 9), end(0))(wire)

    options = RemoteOptions(supports_prefetch=True)
    with FaultyServer(busy) as server, opened(server.url, options) as (_, session):
        session.prefetch(foreign("a"))
        assert asked.acquire(timeout=PATIENCE)
        for words in ("ab", "abc", "abcd"):
            session.prefetch(foreign(words))
        free.set()
        assert asked.acquire(timeout=PATIENCE)
        list(session.write(foreign("abcd"), 1, seed=1))
        first, newest, _ = server.completions
    assert newest["prompt"] == first["prompt"] + list(b"abc"), "the last token is held back"


def test_a_server_is_read_along_by_unasked_only_if_it_is_far_free_and_tells_what_it_reuses():
    whole, prices = stream(progress(9, 9), end(0)), Prices(read=1.0)
    with FaultyServer(whole) as server:
        far = ServerAddress("http://office.example", access=ServerAccess(proxy=server.url))
        for address, options, is_on in (
            (far, RemoteOptions(HURRIED), True),
            (far, RemoteOptions(HURRIED, prices), False),
            (far, RemoteOptions(HURRIED, prices, supports_prefetch=True), True),
            (ServerAddress(server.url), RemoteOptions(HURRIED), False),
        ):
            with closing(LlamaServerEngine(address, options)) as engine:
                assert (Ability.PREFETCH in engine.card.abilities) is is_on
    for owner, template, details, is_on in (
        ("vllm", None, {"cached_tokens": 6}, True),
        ("vllm", None, None, False),
        ("somebody", "x", {"cached_tokens": 6}, False),
    ):
        trial = {"choices": [{"text": "2", "token_ids": [50]}], "usage": {"prompt_tokens_details": details}}
        with FaultyServer(partial(Wire.json, value=trial), routes=ROUTES | listing("big", owner)) as server:
            far = ServerAddress("http://office.example", access=ServerAccess(proxy=server.url))
            with closing(OpenAICompletionsEngine(far, RemoteOptions(HURRIED, template=template))) as engine:
                assert (Ability.PREFETCH in engine.card.abilities) is is_on


def test_what_is_cut_off_is_on_the_bill_as_an_estimate_and_what_is_refused_is_not():
    asked = threading.Semaphore(0)

    def silent(wire):
        asked.release()
        wire.hold()

    answers = (error(503, "Loading model"), silent, stream(progress(9, 9), A, end(1)), silent)
    options = replace(EAGER, prices=Prices(read=1_000_000, reused=1_000), retry_policy=RetryPolicy(first_pause=0.01))
    with FaultyServer(*answers) as server, opened(server.url, options) as (engine, session):
        prefetched(session, foreign("so"))
        assert session.usage.cost.sent == 0, "it was refused"
        session.prefetch(foreign("so", " it"))
        assert asked.acquire(timeout=PATIENCE)
        list(session.write(foreign("so", " it"), 1, seed=1))
        cut, cost = len(server.completions[1]["prompt"]), session.usage.cost
        assert (cost.sent, cost.read, cost.estimated) == (cut + 9, cut + 9, True)
        assert engine.meter.usage.money == cut + 9
        assert [reading.tokens for reading in session.take_prefetched()] == [0], "nobody knows how far it came"
        session.prefetch(foreign("so", " it", " is"))
        assert asked.acquire(timeout=PATIENCE)
        session.cancel()
        session.close()
        later, cost = len(server.completions[3]["prompt"]), session.usage.cost
    assert (cost.sent, cost.reused) == (cut + 9 + later, 9), "of those the server has told that it has nine"


def test_a_run_that_comes_back_after_a_lookahead_is_not_tokenised_again():
    whole = stream(progress(9, 9), end(0))
    for options in (EAGER, replace(EAGER, supports_prefetch=False)):
        step = foreign("so", ".\n\n")
        with FaultyServer(whole) as server, opened(server.url, options) as (_, session):
            for lookahead in ((), ("Then",), ("Then", " it")):
                session.prefetch([*step, *foreign(*lookahead)])
                wait_for_threads("prefetch")
            asked = [request.body["content"] for request in server.requests if request.path == "/tokenize"]
            list(session.write(step, 1, seed=1))
            again = [request.body["content"] for request in server.requests if request.path == "/tokenize"]
        assert "so.\n\n" in asked
        assert again == asked


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ((), 0),
        (("so", "\n", "\n", "and"), 3),
        (("so", ".\n\n", "and"), 2),
        (("so", ".\n\n"), 2),
        (("so", ".\n \n", "and", "\n\n\n", "on"), 4),
        (("so", ".\n\nThen", " it"), 1),
        (("so", ".\n"), 0),
    ],
)
def test_the_settled_text_ends_at_the_last_step_boundary(words, kept):
    assert list(settled(foreign(*words))) == foreign(*words)[:kept]


# Caps


def test_a_cap_shortens_the_last_write_and_refuses_the_next():
    options = RemoteOptions(HURRIED, Prices(written=1_000_000, currency="EUR"), cap=Cap(money=2.0))
    answer, words = stream(progress(9, 9), A, B, end(2)), r"cap of 2\.00 EUR for 127\.0\.0\.1:"
    with FaultyServer(answer) as server, opened(server.url, options) as (engine, session):
        items: list[WriteItem] = []
        with pytest.raises(EngineRefused, match=words):
            items.extend(session.write([], 30, seed=1))
        assert (text(items), server.completions[0]["n_predict"]) == ("ab", 2)
        with pytest.raises(EngineRefused, match=words):
            list(session.write([], 30, seed=1))
        assert engine.status.state is ServerState.REFUSED


# Stop, in whatever a server or its session is doing. The servers are silent for longer than any test may take.


PATIENT = RemoteOptions(
    RetryPolicy(answer=600, first_token=600, between_tokens=600, notice_every=600, first_pause=600, longest_pause=600)
)


def cancels(sessions, then=hold):
    """Somebody cancels these sessions while the server has this question."""

    def answer(wire):
        for session in sessions:
            session.cancel()
        then(wire)

    return answer


@pytest.mark.parametrize("then", [hold, error(503, "Loading model")])
def test_a_session_that_is_cancelled_while_it_is_opened_is_not_opened_on_the_next_server_of_a_pool(then):
    sessions: list[Session] = []
    with FaultyServer() as first, FaultyServer() as second:
        engines = [LlamaServerEngine(ServerAddress(server.url), PATIENT) for server in (first, second)]
        asked = len(second.requests)
        first.routes["/tokenize"] = cancels(sessions, then)
        with closing(ServerPool(engines)) as pool, pytest.raises(Cancelled):
            pool.open(QUESTION, GREEDY, sessions.append)
        assert not engines[0].sessions
        assert len(second.requests) == asked


@pytest.mark.parametrize("sent", [(), (progress(1, 9),), (progress(9, 9), A)])
def test_a_write_is_cancelled_while_an_answer_is_awaited(sent):
    sessions: list[Session] = []
    with FaultyServer(stream(*sent, cancels(sessions))) as server, opened(server.url, PATIENT) as (_, session):
        sessions.append(session)
        assert list(session.write([], 9, seed=1))[-1] == End(Stop.CANCELLED)


def test_a_write_is_cancelled_while_a_broken_request_waits_for_its_next_try():
    with FaultyServer(error(500, "CUDA error")) as server, opened(server.url, PATIENT) as (_, session):
        items = []
        for item in session.write([], 9, seed=1):
            items.append(item)
            session.cancel()
        assert items[-1] == End(Stop.CANCELLED)
        assert len(server.completions) == 1


def test_a_write_is_cancelled_while_the_server_is_asked_whether_it_has_the_same_model():
    def forgets(wire):
        server.routes["/props"] = cancels([session])
        stream(progress(9, 9), A, hold)(wire)

    with FaultyServer(stream(progress(9, 9), end(0)), forgets) as server, opened(server.url, PATIENT) as (_, session):
        session.read([])
        assert list(session.write([], 9, seed=1)) == [End(Stop.CANCELLED)]


CALLS: dict[str, tuple[Callable[[Session], object], Any]] = {
    "read": (lambda session: session.read(foreign("x")), Handoff(0, 0, 0.0)),
    "write": (lambda session: list(session.write(foreign("x"), 9, 1)), [End(Stop.CANCELLED)]),
    "judge": (lambda session: session.judge(foreign("x"), "?", ("a", "b")), Judgement.none(2)),
    "score": (lambda session: session.score(foreign("x"), 0), Scores()),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("path", ["/tokenize", "/v1/completions"])
def test_every_call_ends_when_it_is_cancelled_and_so_does_every_later_one(call, path):
    with (
        FaultyServer(TRIAL, hold, routes=ROUTES) as server,
        opened(server.url, PATIENT, OpenAICompletionsEngine) as (_, session),
    ):
        server.routes[path] = cancels([session])
        function, nothing = CALLS[call]
        assert function(session) == nothing
        asked = len(server.requests)
        for function, nothing in CALLS.values():
            assert function(session) == nothing
        session.cancel()
        assert len(server.requests) == asked
