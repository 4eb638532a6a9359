"""The engine against a real llama-server with real models."""

import math
from contextlib import closing
from pathlib import Path

import pytest

from baton_reasoning.core.demo_pair import DEMO_SETTINGS, SMALL_MODEL, held_out_problems
from baton_reasoning.core.engines.base import Conversation, Message, Passing, PrefillProgress, Stop
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.open import share_vocabulary
from baton_reasoning.core.engines.remote.connection import RetryPolicy, ServerAddress
from baton_reasoning.core.engines.remote.engine import RemoteOptions
from baton_reasoning.core.engines.remote.llama_server import LlamaServerEngine, tokenize
from baton_reasoning.core.engines.remote.protocol import PROBE, fingerprint
from baton_reasoning.core.engines.remote.status import ServerState
from baton_reasoning.core.errors import ContextFull
from baton_reasoning.core.models.options import LoadOptions, Sampling
from baton_reasoning.core.run import ask
from tests.core.engines.remote.writing import (
    GREEDY,
    QUESTION,
    as_parts,
    foreign,
    handoff,
    notices,
    prefetched,
    stop,
    text,
    token_count,
    tokens,
)
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions, knows

pytestmark = pytest.mark.real_models


@pytest.fixture(scope="module")
def gemma_server(gemma):
    with LlamaServer(ServerOptions(str(gemma), context=256)) as server:
        yield server


def greedy_text_of_local(path: Path, conversation: Conversation, limit: int) -> str:
    local = LocalEngine(path, LoadOptions(context=512, threads=1))
    try:
        with closing(local.open(conversation, GREEDY)) as session:
            return text(session.write([], limit, seed=1))
    finally:
        local.close()


def test_the_card_says_what_the_server_tells(engine, server):
    card = engine.card
    assert card.name == "SmolLM2-135M-Instruct.Q4_1"
    assert card.context == server.options.context
    assert card.quantisation == "Q4_1"
    assert card.parameters == 134_515_008
    assert card.location == f"127.0.0.1:{server.port}"
    assert card.thinking is None


def test_at_temperature_0_it_writes_what_the_local_engine_writes(session, smollm2):
    remote = text(session.write([], 12, seed=1))
    assert remote == greedy_text_of_local(smollm2, QUESTION, 12)


def test_so_it_does_with_a_model_that_has_no_template(gemma_server, gemma):
    conversation = (Message("user", "The capital of France is"),)
    with (
        closing(LlamaServerEngine(ServerAddress(gemma_server.url, KEY))) as engine,
        closing(engine.open(conversation, GREEDY)) as session,
    ):
        remote = text(session.write([], 8, seed=1))
    assert remote == greedy_text_of_local(gemma, conversation, 8)


def test_the_server_reuses_exactly_what_was_kept(engine, session):
    first = list(session.write([], 8, seed=1))
    body = as_parts(session, first)
    longer = list(session.write(body, 4, seed=2))
    # The last token of a write is not in the cache: it was written, but nothing came after it.
    assert handoff(longer).reused == session.prompt_tokens + 7
    assert handoff(longer).prefilled == 1
    kept = body[:5]
    cut = list(session.write([*kept, *foreign(" and", " then")], 4, seed=3))
    assert handoff(cut).reused == session.prompt_tokens + 5
    assert handoff(cut).prefilled == token_count(engine, " and then")


def test_own_tokens_pass_as_ids_and_foreign_ones_as_text(session):
    body = as_parts(session, session.write([], 3, seed=1))
    assert handoff(session.write(body, 1, seed=1)).passing is Passing.IDS
    inserted = [*body, Part("Let us check.", Author.INSERTED)]
    assert handoff(session.write(inserted, 1, seed=1)).passing is Passing.IDS
    assert handoff(session.write([*body, *foreign(" so")], 1, seed=1)).passing is Passing.TEXT


def test_the_ids_inside_a_character_are_found_again(engine):
    with closing(engine.open((Message("user", "Count from one to ten. 🐥"),), GREEDY)) as session:
        written = tokens(session.write([], 3, seed=1))
    data = b"".join(token.data for token in written)
    assert "🐥" in data.decode()
    assert all(token.id is not None for token in written)
    assert any(token.data[-1] >= 0x80 and not _is_text(token.data) for token in written), "no character was split"


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_control_tokens_in_a_question_stay_text(engine):
    with (
        closing(engine.open((Message("user", "<|im_end|>"),), GREEDY)) as tricky,
        closing(engine.open((Message("user", ""),), GREEDY)) as empty,
    ):
        assert tricky.prompt_tokens - empty.prompt_tokens == token_count(engine, "<|im_end|>") > 1


def test_the_end_of_text_is_not_part_of_the_text(engine):
    with closing(engine.open((Message("user", "Say hi."),), GREEDY)) as session:
        items = list(session.write([], 100, seed=1))
    assert stop(items) is Stop.END_OF_TEXT
    assert "<|im_end|>" not in text(items)


def test_a_seed_gives_the_same_text_again(engine):
    with closing(engine.open(QUESTION, Sampling(temperature=1.0))) as session:
        session.read([])  # an equal start: what is prefilled at once shapes the last bits of the logits
        first, again, other = (text(session.write([], 16, seed=seed)) for seed in (7, 7, 8))
    assert first == again != other


def test_alternatives_come_with_log_probabilities(session):
    token = tokens(session.write([], 1, seed=1, alternatives=5))[0]
    assert len(token.alternatives) == 5
    assert token.alternatives[0].id == token.id
    assert token.logprob == token.alternatives[0].logprob < 0
    logprobs = [other.logprob for other in token.alternatives]
    assert logprobs == sorted(logprobs, reverse=True)


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


def test_closing_a_write_frees_the_only_slot(engine):
    with closing(engine.open(QUESTION, GREEDY)) as first, closing(engine.open(QUESTION, GREEDY)) as second:
        writing = first.write([], 500, seed=1)
        next(writing)
        writing.close()
        assert len(tokens(second.write([], 2, seed=1))) == 2


def test_a_busy_slot_is_waited_for_and_a_person_is_told(server):
    options = RemoteOptions(RetryPolicy(notice_every=0.05))
    with (
        closing(LlamaServerEngine(ServerAddress(server.url, KEY), options)) as engine,
        closing(engine.open(QUESTION, GREEDY)) as first,
        closing(engine.open(QUESTION, GREEDY)) as second,
    ):
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


def test_a_text_beyond_the_context_is_refused_with_both_numbers(session):
    with pytest.raises(ContextFull, match=r"1,\d\d\d tokens, and it holds 1,024"):
        list(session.write(foreign("word " * 1100), 1, seed=1))
    assert len(tokens(session.write([], 1, seed=1))) == 1, "the session is of use afterwards"


def test_a_question_beyond_the_context_is_refused_at_once(engine):
    with pytest.raises(ContextFull, match="The question alone"):
        engine.open((Message("user", "word " * 1100),), GREEDY)


def test_a_context_that_fills_up_ends_the_write(gemma_server):
    with (
        closing(LlamaServerEngine(ServerAddress(gemma_server.url, KEY))) as engine,
        closing(engine.open((Message("user", "one two " * 120),), GREEDY)) as session,
    ):
        items = list(session.write([], 500, seed=1))
    assert stop(items) is Stop.CONTEXT_FULL


def test_one_vocabulary_is_recognised_and_takes_its_name(server, gemma_server):
    with (
        closing(LlamaServerEngine(ServerAddress(server.url, KEY))) as engine,
        closing(LlamaServerEngine(ServerAddress(gemma_server.url, KEY))) as gemma,
    ):
        with closing(engine.new_connection()) as connection:
            ids = tokenize(connection.ask, PROBE, special=True)
        assert engine.card.vocabulary == fingerprint(ids)
        assert not gemma.adopt_vocabulary("the local hash", ids)
        assert gemma.card.vocabulary != "the local hash"
        assert engine.adopt_vocabulary("the local hash", ids)
        assert engine.card.vocabulary == "the local hash"


def test_a_model_here_and_one_there_hand_over_ids_where_their_vocabulary_is_one(server, smollm2):
    """That another vocabulary is not taken for the same is shown above."""
    with (
        closing(LocalEngine(smollm2, LoadOptions(context=512, threads=1))) as here,
        closing(LlamaServerEngine(ServerAddress(server.url, KEY))) as there,
    ):
        assert share_vocabulary(here, there)
        with closing(here.open(QUESTION, GREEDY)) as writer, closing(there.open(QUESTION, GREEDY)) as reader:
            written = as_parts(writer, writer.write([], 4, seed=1), Author.SMALL)
            assert handoff(reader.write(written, 1, seed=1)).passing is Passing.IDS


def test_the_bill_adds_up(engine, session):
    items = list(session.write([], 5, seed=1))
    cost = session.usage.cost
    assert cost.sent == session.prompt_tokens
    assert (cost.reused, cost.read) == (handoff(items).reused, handoff(items).prefilled)
    assert cost.written == 5
    assert cost.bytes_sent > 100
    assert cost.bytes_received > 100
    assert engine.meter.usage == session.usage


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


def test_the_second_question_of_a_conversation_reads_only_what_is_new(engine):
    with closing(engine.open(QUESTION, GREEDY)) as session:
        first = list(session.write([], 10, seed=1))
        read_before = session.prompt_tokens
    answer = text(first)
    longer = (*QUESTION, Message("assistant", answer), Message("user", "And the months?"))
    with closing(engine.open(longer, GREEDY)) as session:
        second = handoff(session.write([], 1, seed=1))
        new = session.prompt_tokens - read_before - len(tokens(first))
    assert second.reused >= read_before + len(tokens(first)) - 1
    assert second.prefilled <= new + 1


def test_another_arm_of_the_same_problem_reuses_its_prompt(engine):
    with closing(engine.open(QUESTION, GREEDY)) as session:
        list(session.write(foreign(" one", " way"), 3, seed=1))
    with closing(engine.open(QUESTION, GREEDY)) as session:
        assert handoff(session.write(foreign(" or", " another"), 1, seed=1)).reused >= session.prompt_tokens


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


def test_at_a_boundary_little_is_left_to_read(eager_engine, eager):
    eager.read([])
    without = token_count(eager_engine, "".join(part.text for part in STEP))
    prefetched(eager, STEP)
    items = list(eager.write(STEP, 2, seed=1))
    assert without > 10
    assert handoff(items).prefilled <= 2


def test_a_real_request_does_not_wait_for_it(eager):
    eager.read([])
    eager.prefetch(foreign("word " * 900))  # seconds of reading
    items = list(eager.write([], 2, seed=1))
    assert len(tokens(items)) == 2
    assert eager.usage.cost.read < 900, "the reading was cut short"


def test_a_discarded_text_is_rolled_back(eager):
    eager.read([])
    prefetched(eager, STEP)
    assert handoff(eager.write([], 1, seed=1)).reused >= eager.prompt_tokens - 1


def test_it_is_off_where_the_server_is_on_the_same_machine(engine, session):
    assert not engine.card.supports_prefetch
    session.prefetch(STEP)
    session.write([], 1, seed=1).close()
    assert session.take_prefetched() == ()
    assert session.usage.cost.requests == 0


def test_what_was_read_along_is_on_the_bill(eager_engine, eager):
    prefetched(eager, STEP)
    assert eager.usage.cost.read > 10
    assert eager_engine.status.state is ServerState.CONNECTED
