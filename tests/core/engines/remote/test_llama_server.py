"""The engine against a real llama-server with real models: dense ones, recurrent ones, and one that drafts."""

import math
import threading
from contextlib import closing

import pytest

from baton_reasoning.core.batch.reporting.results import Results
from baton_reasoning.core.batch.reporting.tables import more_tables
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.batch.running.batch import BatchSettings
from baton_reasoning.core.batch.running.runner import Runner
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.base import Message, Passing, PrefillProgress, Session, Stop
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.open import share_vocabulary
from baton_reasoning.core.engines.remote.connection import RetryPolicy, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions, settled
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine
from baton_reasoning.core.engines.remote.servers import try_connection
from baton_reasoning.core.engines.remote.status import ServerState
from baton_reasoning.core.engines.usage import Prices, RequestUsage
from baton_reasoning.core.errors import ContextFull, SettingsError
from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.models.options import LoadOptions, Sampling
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.policies.random_takeover import RandomTakeover
from baton_reasoning.core.thinking.requests import Until
from baton_reasoning.core.thinking.trace import Trace
from tests.core.batch.counting import problems
from tests.core.engines.local.test_cache import grow
from tests.core.engines.remote.conftest import (
    GREEDY,
    QUESTION,
    as_parts,
    foreign,
    handoff,
    notices,
    opened,
    prefetched,
    stop,
    text,
    token_count,
    tokens,
)
from tests.fakes.scripted import ScriptedEngine
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions, knows

pytestmark = pytest.mark.real_models


@pytest.fixture(scope="module")
def gemma_server(gemma):
    """Its model has another vocabulary, and no template."""
    with LlamaServer(ServerOptions(str(gemma), context=256)) as server:
        yield server


@pytest.fixture
def gemma_engine(gemma_server):
    with closing(LlamaServerEngine(ServerAddress(gemma_server.url, KEY))) as engine:
        yield engine


def test_the_card_says_what_the_server_tells(engine, server):
    card = engine.card
    assert card.name == "SmolLM2-135M-Instruct.Q4_1"
    assert card.context == server.options.context
    assert (card.quantisation, card.parameters) == ("Q4_1", 134_515_008)
    assert card.location == f"127.0.0.1:{server.port}"
    assert card.thinking is None
    assert card.supports_truncation
    assert not card.drafts


def test_at_temperature_0_it_writes_what_the_local_engine_writes(engine, gemma_engine, smollm2, gemma):
    asked_of_gemma = (Message("user", "The capital of France is"),)
    for remote, path, asked in ((engine, smollm2, QUESTION), (gemma_engine, gemma, asked_of_gemma)):
        with (
            closing(LocalEngine(path, LoadOptions(context=512, threads=1))) as local,
            closing(local.open(asked, GREEDY)) as here,
            closing(remote.open(asked, GREEDY)) as there,
        ):
            assert text(there.write([], 8, seed=1)) == text(here.write([], 8, seed=1))


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
    assert [other.logprob for other in token.alternatives] == sorted(
        (other.logprob for other in token.alternatives), reverse=True
    )
    assert len(token.alternatives) == 5
    assert token.alternatives[0].id == token.id
    assert token.logprob == token.alternatives[0].logprob < 0


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
    assert judged.mass == pytest.approx(sum(math.exp(other.logprob) for other in likeliest), rel=0.1)
    assert after.reused >= session.prompt_tokens, "the question left its traces in the text"


def test_a_judge_reads_the_question_and_what_is_new_of_the_body(engine, session):
    question = "\nIs that right? Answer:"
    first = as_parts(session, session.write([], 10, seed=1))
    asked = session.judge(first, question, ("yes", "no")).handoff
    assert asked.prefilled <= 1 + token_count(engine, question), "the last token was never read"
    more = [*first, *as_parts(session, session.write(first, 15, seed=1))]
    again = session.judge(more, question, ("yes", "no")).handoff
    assert again.reused >= session.prompt_tokens + 10
    assert again.prefilled <= 15 + token_count(engine, question)


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


def test_cancel_ends_a_write_from_another_thread(session):
    items = []
    for item in session.write(foreign("Count: 1, 2, 3,"), 500, seed=1):
        items.append(item)
        if len(items) == 3:
            session.cancel()
    assert stop(items) is Stop.CANCELLED
    assert len(items) < 50


def test_a_long_prompt_shows_how_far_the_server_has_read_it(session):
    items = list(session.write(foreign("A list of words: " + "word " * 150), 1, seed=1))
    progress = [item for item in items if isinstance(item, PrefillProgress)]
    assert len(progress) >= 3, "the server reads 64 tokens at a time"
    assert progress[0].tokens == 0
    assert [item.tokens for item in progress] == sorted(item.tokens for item in progress)
    assert {item.total for item in progress} == {handoff(items).prefilled}


def test_a_text_beyond_the_context_is_refused_with_both_numbers(engine, session):
    with pytest.raises(ContextFull, match=r"1,\d\d\d tokens, and it holds 1,024"):
        list(session.write(foreign("word " * 1100), 1, seed=1))
    assert len(tokens(session.write([], 1, seed=1))) == 1, "the session is of use afterwards"
    with pytest.raises(ContextFull, match="The question alone"):
        engine.open((Message("user", "word " * 1100),), GREEDY)


def test_a_context_that_fills_up_ends_the_write(gemma_engine):
    with closing(gemma_engine.open((Message("user", "one two " * 120),), GREEDY)) as session:
        items = list(session.write([], 500, seed=1))
    assert stop(items) is Stop.CONTEXT_FULL


def test_a_model_here_and_one_there_hand_over_ids_where_their_vocabulary_is_one(engine, gemma_engine, smollm2):
    with closing(LocalEngine(smollm2, LoadOptions(context=512, threads=1))) as here:
        assert not share_vocabulary(here, gemma_engine)
        assert share_vocabulary(here, engine)
        assert engine.card.vocabulary == here.card.vocabulary != gemma_engine.card.vocabulary
        with closing(here.open(QUESTION, GREEDY)) as writer, closing(engine.open(QUESTION, GREEDY)) as reader:
            written = as_parts(writer, writer.write([], 4, seed=1), Author.SMALL)
            assert handoff(reader.write(written, 1, seed=1)).passing is Passing.IDS


def test_the_answer_goes_on_after_the_server_was_killed_and_started_again(smollm2):
    with LlamaServer(ServerOptions(str(smollm2))) as first:
        engine = LlamaServerEngine(ServerAddress(first.url, KEY))
        with closing(engine), closing(engine.open(QUESTION, GREEDY)) as session:
            whole = text(session.write([], 12, seed=1))
            items = []
            for item in session.write([], 12, seed=1):
                items.append(item)
                if len(items) == 6:
                    first.kill()
                if notices(items[-1:]):
                    break_over = LlamaServer(ServerOptions(str(smollm2), port=first.port))
            with break_over:
                assert text(items) == whole
    assert len(notices(items)) == 1


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


def test_what_a_server_was_told_about_reasoning_is_for_chats_only():
    if not knows("--reasoning-preserve"):
        pytest.skip("needs `make check-server` and a llama-server with --reasoning-preserve")
    conversation = ask(next(iter(held_out_problems(seed=5))).question, DEMO_SETTINGS)
    told = ("--reasoning-budget", "0", "--no-reasoning-preserve", "--reasoning", "off", "--reasoning-format", "none")
    written = []
    for flags in ((), told):
        with (
            LlamaServer(ServerOptions(str(SMALL_MODEL), flags=flags)) as server,
            closing(LlamaServerEngine(ServerAddress(server.url, KEY))) as engine,
            closing(engine.open(conversation, GREEDY)) as session,
        ):
            assert engine.card.thinking
            written.append(text(session.write([], 400, seed=1)))
    assert written[0] == written[1]
    assert "</think>" in written[0]


# Reading along


STEP = foreign(*"We have to find the days of the week in their order. Monday comes first, then Tuesday.".split(" "))


@pytest.fixture
def eager(server):
    """Reads along, though it is on this machine."""
    with opened(server.url, RemoteOptions(supports_prefetch=True)) as (_, session):
        yield session


def test_a_step_that_was_read_along_is_kept_or_discarded_and_on_the_bill(eager):
    eager.read([])
    read_before = eager.usage.cost.read
    prefetched(eager, STEP)
    assert eager.usage.cost.read > read_before + 10
    assert handoff(eager.write(STEP, 2, seed=1)).prefilled <= 2
    prefetched(eager, [*STEP, *STEP])
    assert handoff(eager.write([], 1, seed=1)).reused >= eager.prompt_tokens - 1


def test_a_real_request_does_not_wait_for_it(eager):
    eager.read([])
    eager.prefetch(foreign("word " * 900))  # seconds of reading
    assert len(tokens(eager.write([], 2, seed=1))) == 2
    assert eager.usage.cost.read < 900, "the reading was cut short"


def test_it_is_off_where_the_server_is_on_the_same_machine(engine, session):
    assert not engine.card.supports_prefetch
    session.prefetch(STEP)
    session.write([], 1, seed=1).close()
    assert session.take_prefetched() == ()
    assert session.usage.cost.requests == 0


def test_the_trace_of_a_run_has_the_takeovers_the_whole_bill_and_all_that_was_read_along(server):
    at_rest = threading.Event()

    def wait_for_the_reading(body: str) -> None:
        if body.endswith(" days"):
            at_rest.wait()

    options = RemoteOptions(prices=Prices(read=1, reused=1, written=1, currency="EUR"), supports_prefetch=True)
    steps = ("First we count the days.\n\n", " There are seven of them.\n\n", " That is all.")
    small = ScriptedEngine(*steps, before_token=wait_for_the_reading)
    policy = RandomTakeover.Settings(p=1.0, n1=4, until=Until.TOKENS)
    with opened(
        server.url, options, on_status=lambda state: at_rest.set() if state is ServerState.CONNECTED else None
    ) as (large, _):
        trace = Trace.of(run(Pair(small, large), QUESTION, RunSettings(policy=policy, max_tokens=60, top_p=1)))
    assert trace.usage == {Author.LARGE: large.meter.usage}
    assert trace.usage[Author.LARGE].money > 0
    first, second, *_ = [each.handoff for each in trace.pieces if each.handoff and each.author is Author.LARGE]
    assert second.reused > first.reused
    takeovers = trace.totals[Author.LARGE].takeovers
    assert len(trace.prefetches) == large.meter.usage.cost.requests - takeovers > 0
    assert trace.prefetches[0].tokens > 0
    assert all(0 <= reading.began < reading.began + reading.seconds <= reading.at for reading in trace.prefetches)


# Recurrent and hybrid models: a handoff never reads the whole text again


LONG = (Message("user", "abcdefgh" * 12),)
FINISHED, LOOKAHEAD, OTHER = foreign("ijkl", "mnop", ".\n\n"), foreign("qrst", "uvw"), foreign("QRSTU", "VWX")
CHECKPOINT = 8
"""Tokens between the end of a prompt and the last checkpoint of it, at most (b11549 keeps one 4 before the end)."""


@pytest.fixture(scope="module", params=["mamba2", "lfm2"])
def recurrent_server(request, tmp_path_factory):
    if knows("--host"):
        pytest.skip("the checkpoints of other builds lie elsewhere")
    with LlamaServer(ServerOptions(str(grow(request.param, tmp_path_factory.mktemp("grown"))))) as server:
        yield server


@pytest.fixture
def recurrent(recurrent_server):
    address = ServerAddress(recurrent_server.url, KEY)
    with closing(LlamaServerEngine(address, RemoteOptions(supports_prefetch=True))) as engine:
        yield engine


def size(engine: LlamaServerEngine, session: Session, body: list[Part]) -> int:
    return session.prompt_tokens + token_count(engine, "".join(part.text for part in body))


@pytest.mark.slow
def test_the_connection_test_says_what_a_recurrent_model_costs(recurrent_server):
    report = try_connection(ServerAddress(recurrent_server.url, KEY))
    assert any("cannot undo tokens" in finding.text for finding in report.findings)


@pytest.mark.slow
def test_of_a_recurrent_model_the_finished_steps_alone_are_prefetched(recurrent):
    with closing(recurrent.open(LONG, GREEDY)) as session:
        prefetched(session, LOOKAHEAD)
        assert handoff(session.write(OTHER, 1, seed=1)).reused >= session.prompt_tokens - CHECKPOINT
        prefetched(session, FINISHED)
        session.prefetch([*FINISHED, *LOOKAHEAD])
        items = list(session.write([*FINISHED, *OTHER], 4, seed=1))
        expected = size(recurrent, session, FINISHED) - CHECKPOINT
    assert handoff(items).reused >= expected
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


@pytest.mark.slow
def test_a_takeover_that_is_cut_short_is_read_again_and_no_more(recurrent):
    with closing(recurrent.open(LONG, GREEDY)) as session:
        session.read(FINISHED)
        written = tokens(session.write(FINISHED, 20, seed=1))
        kept = [*FINISHED, *foreign("".join(token.data.decode() for token in written[:5]), ".\n\n")]
        after = handoff(session.write(kept, 6, seed=1))
        before, now = size(recurrent, session, FINISHED), size(recurrent, session, kept)
    assert after.prefilled <= now - before + CHECKPOINT
    assert after.reused >= before - CHECKPOINT


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ((), 0),
        (("so",), 0),
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


# A draft model: the same texts, and the server's own count of drafted tokens. SmolLM2 drafts for itself.


@pytest.fixture(scope="module")
def drafting(smollm2):
    with (
        LlamaServer(ServerOptions(str(smollm2), draft=str(smollm2))) as server,
        closing(LlamaServerEngine(ServerAddress(server.url, KEY))) as engine,
    ):
        yield engine


def test_at_temperature_0_a_draft_changes_nothing_and_is_counted(engine, drafting):
    assert drafting.card.drafting in ("draft-simple", "unknown"), "builds before 2026 do not tell"
    with closing(engine.open(QUESTION, GREEDY)) as plain, closing(drafting.open(QUESTION, GREEDY)) as drafted:
        assert text(drafted.write([], 40, seed=1)) == text(plain.write([], 40, seed=1))
        cost = drafted.usage.cost
        assert cost.written == 40
        assert 20 < cost.accepted == cost.drafted < 40, "it agrees with itself"
        assert (plain.usage.cost.drafted, plain.usage.cost.accepted) == (0, 0)


def test_a_drafted_token_has_no_probability_rather_than_a_false_one(drafting):
    with closing(drafting.open(QUESTION, GREEDY)) as session:
        first, *later = tokens(session.write([], 12, seed=1, alternatives=3))
    assert len(first.alternatives) == 3
    assert any(token.logprob is None for token in later)
    assert all(token.alternatives for token in later if token.logprob is not None)


@pytest.mark.long
def test_it_judges_all_the_same(engine, drafting):
    asked = (foreign("Monday comes before"), " ", ("Tuesday", "Sunday"))
    with closing(engine.open(QUESTION, GREEDY)) as plain, closing(drafting.open(QUESTION, GREEDY)) as drafted:
        assert drafted.judge(*asked).probabilities == pytest.approx(plain.judge(*asked).probabilities, abs=0.01)


def test_a_policy_that_needs_every_tokens_probabilities_is_refused(drafting):
    with pytest.raises(SettingsError, match=r"probabilities of each token.*without speculative decoding"):
        next(run(Pair(drafting, drafting), QUESTION, RunSettings(policy="first-token-entropy")))


def test_the_trace_keeps_what_was_drafted(drafting):
    settings = RunSettings(policy="always", temperature=0, max_tokens=20)
    trace = Trace.of(run(Pair(None, drafting), ask("What is 2 + 2?", settings), settings))
    cost: RequestUsage = trace.usage[Author.LARGE].cost
    assert 0 < cost.accepted <= cost.drafted < 20
    assert trace.started
    assert trace.started.large
    assert trace.started.large.drafting == drafting.card.drafting


@pytest.mark.long
def test_the_arm_for_it_is_measured_and_refused_without_a_draft_model(tmp_path, engine, drafting):
    arms = arms_of(["drafted"], RunSettings(temperature=0, max_tokens=16))
    with Store.open(tmp_path / "baton.sqlite") as store, Grader() as grader:
        batch = store.batches.create("two", BatchSettings().stored(), problems(2), [arm.stored() for arm in arms])
        with pytest.raises(SettingsError, match=r"“drafted” cannot run.*needs a small model that drafts"):
            list(Runner(store, batch, Pair(None, engine), grader).run())
        list(Runner(store, batch, Pair(None, drafting), grader).run())
        report = Results.read(store, batch).report
    (arm,) = report.arms
    assert arm.name == "drafted"
    assert (arm.large_share, arm.done, arm.failed) == (1, 2, 0)
    assert 0 < arm.accepted <= arm.drafted < 32
    assert "drafts accepted" in [title for table in more_tables(report) for title in table.headings]
