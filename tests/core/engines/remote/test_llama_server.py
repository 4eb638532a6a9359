"""Real llama-servers with real models: dense ones, recurrent ones, one that drafts, and those of a router."""

import math
import time
from contextlib import closing, contextmanager

import httpx2
import pytest

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, LARGE_MODEL, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.abilities import USUAL
from baton_reasoning.core.engines.base import Message, Passing, Stop
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.open import share_vocabulary
from baton_reasoning.core.engines.remote.connection import RetryPolicy, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.servers import open_server, try_connection
from baton_reasoning.core.errors import ContextFull, SettingsError
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.trace import Trace
from tests.core.engines.local.conftest import GREEDY, handoff, notices
from tests.core.engines.local.test_cache import grow
from tests.core.engines.remote.conftest import QUESTION, as_parts, foreign, opened, prefetched, stop, text, tokens
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions, knows

pytestmark = pytest.mark.real_models


def token_count(engine: LlamaServerEngine, text: str) -> int:
    """How many tokens the server makes of a text on its own, in which control tokens are text."""
    question, headers = {"content": text, "parse_special": False}, {"Authorization": f"Bearer {KEY}"}
    return len(httpx2.post(f"{engine.card.source}/tokenize", json=question, headers=headers).json()["tokens"])


@contextmanager
def served(model, options=None, **more):
    """An engine on a server of its own."""
    with (
        LlamaServer(ServerOptions(str(model), **more)) as server,
        closing(LlamaServerEngine(ServerAddress(server.url, KEY), options)) as engine,
    ):
        yield engine


def test_a_good_connection_is_described(server, engine):
    card = engine.card
    assert (card.name, card.quantisation, card.parameters) == ("SmolLM2-135M-Instruct.Q4_1", "Q4_1", 134_515_008)
    assert (card.context, card.location, card.thinking) == (1024, f"127.0.0.1:{server.port}", None)
    assert (card.abilities, card.drafting) == (USUAL, "")
    good, wrong = (try_connection(ServerAddress(server.url, key)) for key in (KEY, "wrong"))
    assert good.problem is None
    assert [finding.text for finding in good.findings] == [
        "reachable",
        "key accepted",
        f"serves {engine.card.name}",
        "1,024 tokens of context for each text",
        "1 of 1 slots free",
    ]
    assert [finding.text for finding in wrong.findings] == ["reachable"], "the key is tested at a protected page"
    assert "does not accept the key" in str(wrong.problem)


def test_it_writes_what_the_local_engine_writes_and_takes_its_ids(engine, smollm2, gemma):
    """At temperature 0. Gemma has another vocabulary, and no template."""
    unfinished = (Message("user", "The capital of France is"),)
    with served(gemma, context=256) as other:
        for remote, path, asked in ((engine, smollm2, QUESTION), (other, gemma, unfinished)):
            with closing(LocalEngine(path, LoadOptions(context=512, threads=1))) as local:
                assert [each for each in (engine, other) if share_vocabulary(local, each)] == [remote]
                assert local.card.vocabulary == remote.card.vocabulary
                with closing(local.open(asked, GREEDY)) as here, closing(remote.open(asked, GREEDY)) as there:
                    items = list(here.write([], 8, seed=1))
                    assert text(there.write([], 8, seed=1)) == text(items)
                    assert handoff(there.write(as_parts(here, items), 1, seed=1)).passing is Passing.IDS


def test_the_server_reuses_exactly_what_was_kept_and_the_bill_says_so(engine, session):
    first = list(session.write([], 8, seed=1))
    cost = session.usage.cost
    assert (cost.sent, cost.reused, cost.read, cost.written) == (session.prompt_tokens, *handoff(first)[:2], 8)
    assert min(cost.bytes_sent, cost.bytes_received) > 100
    assert engine.meter.usage == session.usage
    body = as_parts(session, first)
    longer = handoff(session.write(body, 4, seed=2))
    # The last token of a write is not in the cache: it was written, but nothing came after it.
    assert longer[:2] == (session.prompt_tokens + 7, 1)
    cut = handoff(session.write([*body[:5], *foreign(" and", " then")], 4, seed=3))
    assert cut[:2] == (session.prompt_tokens + 5, token_count(engine, " and then"))
    inserted = handoff(session.write([*body, Part("Let us check.", Author.INSERTED)], 1, seed=1))
    assert (longer.passing, cut.passing, inserted.passing) == (Passing.IDS, Passing.TEXT, Passing.IDS)


def test_the_ids_inside_a_character_are_found_again(engine):
    with closing(engine.open((Message("user", "Count from one to ten. 🐥"),), GREEDY)) as session:
        written = tokens(session.write([], 3, seed=1))
    assert "🐥" in b"".join(token.data for token in written).decode()
    assert all(token.id is not None for token in written)
    assert any("\ufffd" in token.data.decode(errors="replace") for token in written), "no character was split"


def test_control_tokens_in_a_question_stay_text_and_the_end_of_text_is_not_part_of_it(engine):
    with (
        closing(engine.open((Message("user", "<|im_end|>"),), GREEDY)) as tricky,
        closing(engine.open((Message("user", ""),), GREEDY)) as empty,
    ):
        assert tricky.prompt_tokens - empty.prompt_tokens == token_count(engine, "<|im_end|>") > 1
    with closing(engine.open((Message("user", "Say hi."),), GREEDY)) as session:
        items = list(session.write([], 100, seed=1))
    assert stop(items) is Stop.END_OF_TEXT
    assert "<|im_end|>" not in text(items)


def test_a_seed_gives_the_same_text_again_and_alternatives_come_with_log_probabilities(engine, session):
    with closing(engine.open(QUESTION, Sampling(temperature=1.0))) as drawn:
        drawn.read([])  # an equal start: what is prefilled at once shapes the last bits of the logits
        first, again, other = (text(drawn.write([], 16, seed=seed)) for seed in (7, 7, 8))
    assert first == again != other
    (token,) = tokens(session.write([], 1, seed=1, alternatives=5))
    logprobs = [other.logprob for other in token.alternatives]
    assert len(logprobs) == 5
    assert logprobs == sorted(logprobs, reverse=True)
    assert token.alternatives[0].id == token.id
    assert token.logprob == logprobs[0] < 0


def test_a_judgement_gives_the_shares_of_the_choices(session):
    question = "\nMonday comes before"
    asked = [*foreign("Monday"), Part(question, Author.INSERTED)]
    session.read(asked)
    likeliest = tokens(session.write(asked, 1, seed=1, alternatives=2))[0].alternatives
    judged = session.judge(foreign("Monday"), question, tuple(other.text for other in likeliest))
    after = handoff(session.write(foreign("Monday"), 1, seed=1))
    odds = math.exp(likeliest[0].logprob - likeliest[1].logprob)
    assert judged.probabilities[0] / judged.probabilities[1] == pytest.approx(odds, rel=0.1)
    assert sum(judged.probabilities) == pytest.approx(1)
    assert after.reused >= session.prompt_tokens, "the question left its traces in the text"


def test_a_busy_slot_is_waited_for_until_the_write_that_has_it_is_closed(server):
    options = RemoteOptions(RetryPolicy(notice_every=0.05))
    with opened(server.url, options) as (engine, first), closing(engine.open(QUESTION, GREEDY)) as second:
        holding = first.write(foreign("Count: 1, 2, 3,"), 900, seed=1)
        next(holding)
        waiting = second.write([], 2, seed=1)
        said = next(waiting)
        holding.close()
        items = [said, *waiting]
    assert any("free slot" in notice for notice in notices(items))
    assert len(tokens(items)) == 2


def test_a_text_beyond_the_context_is_refused_with_both_numbers(engine, session):
    with pytest.raises(ContextFull, match=r"1,\d\d\d tokens, and it holds 1,024"):
        list(session.write(foreign("word " * 1100), 1, seed=1))
    assert len(tokens(session.write([], 1, seed=1))) == 1, "the session is of use afterwards"
    with pytest.raises(ContextFull, match="The question alone"):
        engine.open((Message("user", "word " * 1100),), GREEDY)


def test_what_was_read_before_is_read_again_neither_for_another_question_nor_for_another_arm(engine):
    with closing(engine.open(QUESTION, GREEDY)) as session:
        first = list(session.write([], 10, seed=1))
        read_before = session.prompt_tokens
    with closing(engine.open(QUESTION, GREEDY)) as session:
        assert handoff(session.write(foreign(" or", " another"), 1, seed=1)).reused >= session.prompt_tokens
        list(session.write(as_parts(session, first), 1, seed=1))
    longer = (*QUESTION, Message("assistant", text(first)), Message("user", "And the months?"))
    with closing(engine.open(longer, GREEDY)) as session:
        second = handoff(session.write([], 1, seed=1))
        new = session.prompt_tokens - read_before - len(tokens(first))
    assert second.reused >= read_before + len(tokens(first)) - 1
    assert second.prefilled <= new + 1


# Reading along


STEP = foreign(*"We have to find the days of the week in their order. Monday comes first, then Tuesday.".split(" "))


def test_a_step_that_was_read_along_is_kept_or_discarded_and_on_the_bill_and_no_request_waits_for_it(server):
    with opened(server.url, RemoteOptions(supports_prefetch=True)) as (_, session):
        session.read([])
        read_before, asked_at = session.usage.cost.read, time.perf_counter()
        reading = prefetched(session, STEP)
        assert reading.tokens == session.usage.cost.read - read_before > 10
        assert asked_at < reading.began < reading.began + reading.seconds < time.perf_counter()
        assert handoff(session.write(STEP, 2, seed=1)).prefilled <= 2
        prefetched(session, [*STEP, *STEP])
        assert handoff(session.write([], 1, seed=1)).reused >= session.prompt_tokens - 1
        session.prefetch(foreign("word " * 900))  # seconds of reading
        assert len(tokens(session.write([], 2, seed=1))) == 2
        assert session.usage.cost.read < 900, "the reading was cut short"


# Recurrent and hybrid models: a handoff never reads the whole text again


LONG = (Message("user", "abcdefgh" * 12),)
FINISHED, LOOKAHEAD, OTHER = foreign("ijkl", "mnop", ".\n\n"), foreign("qrst", "uvw"), foreign("QRSTU", "VWX")
CHECKPOINT = 8
"""Tokens between the end of a prompt and the last checkpoint of it, at most (b11549 keeps one 4 before the end)."""


@pytest.fixture(scope="module", params=["mamba2", "lfm2"])
def recurrent(request, tmp_path_factory):
    if knows("--host"):
        pytest.skip("the checkpoints of other builds lie elsewhere")
    model = grow(request.param, tmp_path_factory.mktemp("grown"))
    with served(model, RemoteOptions(supports_prefetch=True)) as engine:
        yield engine


@pytest.mark.slow
def test_of_a_recurrent_model_the_finished_steps_alone_are_prefetched(recurrent):
    report = try_connection(recurrent.address)
    assert any("cannot undo tokens" in finding.text for finding in report.findings)
    with closing(recurrent.open(LONG, GREEDY)) as session:
        prefetched(session, LOOKAHEAD)
        assert handoff(session.write(OTHER, 1, seed=1)).reused >= session.prompt_tokens - CHECKPOINT
        prefetched(session, FINISHED)
        session.prefetch([*FINISHED, *LOOKAHEAD])
        items = list(session.write([*FINISHED, *OTHER], 4, seed=1))
        finished = session.prompt_tokens + token_count(recurrent, "".join(part.text for part in FINISHED))
    assert handoff(items).reused >= finished - CHECKPOINT
    assert handoff(items).prefilled <= token_count(recurrent, "QRSTUVWX") + CHECKPOINT


@pytest.mark.slow
def test_a_judgement_costs_its_question_and_what_is_new(recurrent):
    question, body = "y?" * 30, [*FINISHED, *LOOKAHEAD]
    asked = token_count(recurrent, question)
    with closing(recurrent.open(LONG, GREEDY)) as session:
        session.judge(FINISHED, question, ("a", "b"))
        again = session.judge(body, question, ("a", "b")).handoff
        assert again.prefilled <= asked + token_count(recurrent, "qrstuvw") + 2 * CHECKPOINT
        items = list(session.write(body, 6, seed=1))
    assert handoff(items).prefilled <= CHECKPOINT, "the question was dropped by going back to where it began"
    with closing(recurrent.open((Message("user", "zzzz"),), GREEDY)) as other:
        other.read([])
    with closing(recurrent.open(LONG, GREEDY)) as session:
        assert text(items) == text(session.write(body, 6, seed=1)), "as if it read the whole text at once"


# A draft model: the same texts, and the server's own count of drafted tokens. SmolLM2 drafts for itself.


def test_a_draft_changes_nothing_is_counted_and_has_no_probability_rather_than_a_false_one(session, smollm2):
    """At temperature 0. So a policy that needs the probability of each token is refused."""
    with served(smollm2, draft=str(smollm2)) as drafting:
        assert drafting.card.drafting in ("draft-simple", "unknown"), "builds before 2026 do not tell"
        with pytest.raises(SettingsError, match=r"log-probabilities of the tokens.*without speculative decoding"):
            next(run(Pair(drafting, drafting), QUESTION, RunSettings(policy="first-token-entropy")))
        with closing(drafting.open(QUESTION, GREEDY)) as drafted:
            items = list(drafted.write([], 40, seed=1, alternatives=3))
            cost = drafted.usage.cost
    assert text(items) == text(session.write([], 40, seed=1))
    assert (session.usage.cost.drafted, session.usage.cost.accepted) == (0, 0)
    assert cost.written == 40
    assert 20 < cost.accepted == cost.drafted < 40, "it agrees with itself"
    first, *later = tokens(items)
    assert len(first.alternatives) == 3
    assert any(token.logprob is None for token in later)
    assert all(token.alternatives for token in later if token.logprob is not None)


def test_a_pair_from_one_real_router_hands_token_ids_over_and_a_file_that_is_no_model_is_said(tmp_path):
    if not knows("--models-dir"):
        pytest.skip("needs `make check-server` and a llama-server with router mode")
    (tmp_path / "small.gguf").symlink_to(SMALL_MODEL)
    (tmp_path / "large.gguf").symlink_to(LARGE_MODEL)
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(64))
    problem = next(iter(held_out_problems(seed=3)))
    with LlamaServer(ServerOptions(flags=("--models-dir", str(tmp_path)))) as router:
        small, large = (open_server(ServerAddress(f"{router.url}#{name}", KEY)) for name in ("small", "large"))
        with closing(small), closing(large):
            assert (small.card.name, small.card.context) == ("small", 1024)
            assert share_vocabulary(small, large)
            trace = Trace.of(run(Pair(small, large), ask(problem.question, DEMO_SETTINGS), DEMO_SETTINGS))
        assert {piece.author for piece in trace.pieces} == {Author.SMALL, Author.LARGE}
        assert "could not load broken" in str(try_connection(ServerAddress(f"{router.url}#broken", KEY)).problem)
        names = {model.name for model in try_connection(ServerAddress(router.url, KEY)).models}
        assert names == {"small", "large", "broken"}
        assert try_connection(ServerAddress(router.url, "wrong")).problem
