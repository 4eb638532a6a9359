"""The local engine on two real models: handoffs, repeats, batches, and what it does when its process dies."""

import math
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing

import numpy as np
import pytest

from baton_reasoning.core.demo_pair import SMALL_MODEL, DemoProblem
from baton_reasoning.core.engines.base import (
    Conversation,
    End,
    Handoff,
    Judgement,
    Message,
    Notice,
    Passing,
    PrefillProgress,
    Stop,
    Token,
    WriteItem,
)
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local.engine import LocalEngine, LocalSession
from baton_reasoning.core.engines.local.llama import Llama
from baton_reasoning.core.errors import ContextFull, EngineLost, EngineRefused, ModelFileError
from baton_reasoning.core.models.options import (
    KvType,
    LoadOptions,
    ModelOverrides,
    Sampling,
    Switch,
    TagSource,
    ThinkingTags,
)
from baton_reasoning.core.run import Pair, RunSettings, run
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.interruptions import Limits
from baton_reasoning.core.thinking.trace import Trace
from tests.core.engines.local.conftest import QUESTION
from tests.core.engines.local.writing import (
    assert_cache_holds,
    at_token,
    handoff,
    ids,
    text_body,
    text_read,
    write,
)
from tests.patience import PATIENCE

GREEDY = Sampling(temperature=0)
DEMO: Conversation = (Message("user", DemoProblem(60_836).question),)
"""Its answer has some 200 tokens, and the demo's models need a second for them."""
IS_IT_RIGHT = "\n\nIs that right? Answer:"
pytestmark = pytest.mark.real_models


def test_the_card_says_what_the_model_is(small_engine, large_engine):
    card = small_engine.card
    assert (card.architecture, card.quantisation, card.context) == ("llama", "Q4_1", 2048)
    assert card.vocabulary != large_engine.card.vocabulary


def test_tags_that_a_person_set_open_the_thinking(smollm2):
    tags = ThinkingTags("<reasoning>", "</reasoning>")
    overrides = ModelOverrides(tags=TagSource.OTHER, opening=tags.opening, closing=tags.closing)
    engine = LocalEngine(smollm2, LoadOptions(context=256, threads=1), overrides)
    try:
        assert engine.card.thinking == tags
        prompt = engine.render((Message("user", "2 + 2?"),), thinks=True)
        assert prompt[-1].text.endswith("<|im_start|>assistant\n<reasoning>\n")
    finally:
        engine.close()


def test_a_first_write_reads_the_prompt_and_the_next_one_only_what_is_new(session, small_engine):
    body = Body()
    items = write(session, body, limit=20)
    first, written = handoff(items), len(ids(items))
    assert (first.reused, first.prefilled, first.passing) == (0, session.prompt_tokens, Passing.IDS)
    body.append(Part(" And so on, he said.", Author.INSERTED))
    second = handoff(write(session, body, limit=5))
    inserted = len(small_engine.tokenize(" And so on, he said."))
    assert second.reused + second.prefilled == session.prompt_tokens + written + inserted
    not_decoded = int(items[-1] != End(Stop.END_OF_TEXT))  # the last token of a write that its limit ended
    assert second.prefilled == not_decoded + inserted
    assert second.passing is Passing.TEXT


def test_going_on_where_it_was_stopped_decodes_nothing_anew(session):
    body = Body()
    written = len(ids(write(session, body, limit=50, stop_after=10)))
    again = handoff(write(session, body, limit=5))
    assert again.reused + again.prefilled == session.prompt_tokens + written
    assert again.prefilled <= 1


def test_a_text_cut_back_is_rolled_back_in_the_cache(session, small_engine):
    body = Body()
    write(session, body, limit=30)
    body.cut(len(body.text) // 2)
    reading = session.read(body.parts)
    assert reading.prefilled <= 2
    with closing(a_fresh_session(small_engine)) as fresh:
        assert_cache_holds(body.parts, session, fresh)


def a_fresh_session(engine: LocalEngine) -> LocalSession:
    """A session that reuses nothing of what others left in the cache but whole chunks of it."""
    session = engine.open(QUESTION, GREEDY)
    session.repeat_exactly()
    return session


def test_the_same_seed_repeats_exactly_and_another_does_not(small_engine):
    written = []
    for seed in (7, 7, 8):
        session = small_engine.open(QUESTION, Sampling())
        written.append(ids(write(session, Body(), limit=10, seed=seed)))
        session.close()
    assert written[0] == written[1] != written[2]


def test_ids_are_handed_over_within_a_vocabulary_and_text_across(small_engine, large_engine):
    writer, reader = small_engine.open(QUESTION, Sampling()), small_engine.open(QUESTION, Sampling())
    foreign, body = large_engine.open(QUESTION, Sampling()), Body()
    write(writer, body, limit=12)
    assert reader.read(body.parts).passing is Passing.IDS
    assert foreign.read(body.parts).passing is Passing.TEXT
    for session in (reader, foreign):
        assert text_read(session, body.parts) == body.text
        session.close()
    writer.close()


@pytest.mark.parametrize(
    "text",
    [
        "😀 漢字 🎉",
        "Tränen 😀🎉 und 漢字かな交じり文。\n\n",
        "a\n \nb\r\n\r\nc\n\n\nd",
        "  leading blanks",
        "\n\nfirst",
    ],
)
def test_any_text_reaches_a_model_unchanged(small_engine, large_engine, text):
    for engine in (small_engine, large_engine):
        session = engine.open(QUESTION, Sampling())
        assert text_read(session, text_body(text).parts) == text
        session.close()


def test_alternatives_are_likelihoods_of_the_whole_vocabulary(session):
    tokens = [item for item in session.write([], 5, 1, alternatives=20) if isinstance(item, Token)]
    for token in tokens:
        chances = [other.logprob for other in token.alternatives]
        assert len(chances) == 20
        assert chances == sorted(chances, reverse=True)
        assert token.alternatives[0].id == token.id, "greedy takes the likeliest"
        assert token.logprob == pytest.approx(chances[0])


def test_the_entropy_of_a_token_is_that_of_the_whole_vocabulary(session):
    for alternatives in (1, 49_152):
        (token,) = (item for item in session.write([], 1, 1, alternatives=alternatives) if isinstance(item, Token))
        assert token.entropy is not None
        if alternatives > 1:
            entropy = -sum(math.exp(other.logprob) * other.logprob for other in token.alternatives)
            assert token.entropy == pytest.approx(entropy, abs=1e-4)
    (token,) = (item for item in session.write([], 1, 1) if isinstance(item, Token))
    assert token.entropy is None, "nobody asked for it"


def test_tokens_that_a_model_excludes_add_nothing_to_the_entropy():
    logits = np.array([2.0, 2.0, -np.inf], dtype=np.float32)
    assert Llama.entropy(logits) == pytest.approx(math.log(2))


def test_a_judgement_sums_to_one_and_leaves_no_trace(session, small_engine):
    body = text_body("Two and two is")
    chances = session.judge(body.parts, IS_IT_RIGHT, ("yes", "no", "maybe")).probabilities
    assert sum(chances) == pytest.approx(1)
    with closing(a_fresh_session(small_engine)) as fresh:
        assert_cache_holds(body.parts, session, fresh)


def test_a_judge_gives_digits_the_shares_that_the_model_gives_them(small_engine):
    assert small_engine.tokenize(" 4")[0] == small_engine.tokenize(" 5")[0], "a blank, which says nothing of the digit"
    digits, question = tuple("0123456789"), " A mark from 0 to 9: "
    with closing(small_engine.open(QUESTION, GREEDY)) as session:
        judged = session.judge([], question, digits)
        token = next(
            item
            for item in session.write(text_body(question).parts, 1, 1, alternatives=3000)
            if isinstance(item, Token)
        )
    chances = {other.text: math.exp(other.logprob) for other in token.alternatives}
    mass = sum(chances[digit] for digit in digits)
    assert judged.probabilities == pytest.approx([chances[digit] / mass for digit in digits], rel=0.01)
    assert judged.mass == pytest.approx(mass, rel=0.01)


def test_a_judge_reads_the_question_and_what_is_new_of_the_body():
    engine, body = LocalEngine(SMALL_MODEL, LoadOptions(context=512, parallel=2, threads=1)), Body()
    session, other = engine.open(DEMO, GREEDY), engine.open(DEMO, GREEDY)
    write(session, body, limit=10)
    question = len(engine.tokenize(IS_IT_RIGHT))
    first = session.judge(body.parts, IS_IT_RIGHT, ("yes", "no")).handoff
    assert (first.reused, first.prefilled) == (session.prompt_tokens + 9, 1 + question), "the last was never decoded"
    write(other, body, limit=15)
    second = session.judge(body.parts, IS_IT_RIGHT, ("yes", "no")).handoff
    assert (second.reused, second.prefilled) == (session.prompt_tokens + 10, 15 + question)
    assert handoff(write(session, body, limit=1)).prefilled == 1, "the logits after the text are wanted again"
    engine.close()


def test_a_judge_who_is_cancelled_says_nothing(smollm2):
    engine = LocalEngine(smollm2, LoadOptions(context=4096, batch=2048, threads=1))
    session, body = engine.open(QUESTION, GREEDY), text_body("word " * 2000)
    with ThreadPoolExecutor(1) as pool:
        judgement = pool.submit(session.judge, body.parts, IS_IT_RIGHT, ("yes", "no"))
        while not judgement.done():  # a judge does not say when it has begun to read
            session.cancel()
            wait([judgement], timeout=0.01)
    assert judgement.result() == Judgement.none(2)
    engine.close()


@pytest.mark.long
def test_sixteen_at_once_write_what_each_would_alone(smollm2):
    engine = LocalEngine(smollm2, LoadOptions(context=512, parallel=16, threads=1))
    questions: list[Conversation] = [(Message("user", f"What is {n} plus {n + 3}?"),) for n in range(16)]
    alone = {}
    for n in range(16):
        session = engine.open(questions[n], GREEDY)
        alone[n] = [item for item in session.write([], 24, 1, alternatives=20) if isinstance(item, Token)]
        session.close()
    together: dict[int, list[int | None]] = {}

    def solve(n: int) -> None:
        session = engine.open(questions[n], GREEDY)
        together[n] = ids(list(session.write([], 24, 1)))
        session.close()

    threads = [threading.Thread(target=solve, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.close()
    for n, expected in alone.items():
        for token, other in zip(expected, together[n], strict=False):
            if token.id != other:
                # Other batch shapes round differently, by up to 0.4 a logit for this model: two tokens whose
                # logits lie closer than twice that may change places, others may not.
                chances = {choice.id: choice.logprob for choice in token.alternatives}
                gap = token.alternatives[0].logprob - chances.get(other, -99)
                assert gap < 0.8, f"problem {n} differs where the choice was clear ({gap:.2f} nats)"
                break


def test_more_sessions_than_places_take_turns():
    engine = LocalEngine(SMALL_MODEL, LoadOptions(context=512, parallel=1, threads=1))
    one, two = engine.open(DEMO, GREEDY), engine.open(DEMO, GREEDY)
    body_one, body_two = Body(), Body()
    for _ in range(2):
        write(one, body_one, limit=6)
        write(two, body_two, limit=6)
    assert body_one.text == body_two.text
    engine.close()


def test_a_process_killed_in_the_middle_is_started_again_and_the_text_goes_on(smollm2, monkeypatch):
    engine = LocalEngine(smollm2, LoadOptions(context=512, threads=1))
    at_token(10, monkeypatch, lambda: os.kill(engine.process.pid or 0, signal.SIGKILL))
    items = list(engine.open(QUESTION, GREEDY).write([], 30, 1))
    notices = [item.text for item in items if isinstance(item, Notice)]
    assert len(notices) == 1
    assert "killed" in notices[0]
    assert "started again" in notices[0]
    assert len(ids(items)) == 30
    undisturbed = engine.open(QUESTION, GREEDY)
    undisturbed.repeat_exactly()
    assert ids(items)[:10] == ids(list(undisturbed.write([], 10, 1)))
    engine.close()


def test_a_death_loses_none_of_the_texts_under_way(smollm2, monkeypatch):
    engine = LocalEngine(smollm2, LoadOptions(context=512, parallel=4, threads=1))
    sessions = [engine.open((Message("user", "Tell a long story."),), Sampling()) for _ in range(4)]
    all_begin = threading.Barrier(4)
    at_token(3, monkeypatch, lambda: os.kill(engine.process.pid or 0, signal.SIGKILL), texts=4)

    def written(number: int) -> list[WriteItem]:
        all_begin.wait(PATIENCE)
        return list(sessions[number].write([], 60, seed=number))

    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(written, range(4)))
    assert all(isinstance(items[-1], End) for items in texts)
    assert all(any(isinstance(item, Notice) for item in items) for items in texts)
    engine.close()


def test_a_process_that_dies_again_at_once_is_an_error_in_words(smollm2):
    engine = LocalEngine(smollm2, LoadOptions(context=512, threads=1))
    session = engine.open(QUESTION, GREEDY)

    def write_while_killing() -> None:
        for item in session.write([], 30, 1):
            if not isinstance(item, Notice) and engine.process.pid is not None:
                os.kill(engine.process.pid, signal.SIGKILL)

    with pytest.raises(EngineLost, match="killed from outside") as lost:
        write_while_killing()
    assert "Load the model again" in lost.value.advice
    assert engine.is_lost
    engine.close()


def test_a_cancelled_read_stops_in_the_middle(gemma):
    engine = LocalEngine(gemma, LoadOptions(context=4096, batch=2048, threads=1))
    session = engine.open(QUESTION, Sampling())
    body = text_body("All of this has to be read before anything can be written. " * 150)
    items = []
    for item in session.write(body.parts, 10, 1):
        items.append(item)
        if isinstance(item, PrefillProgress):
            session.cancel()
    assert items[-1] == End(Stop.CANCELLED)
    assert not any(isinstance(item, Handoff) for item in items), "the text was not read to its end"
    assert list(session.write([], 3, 1)) == [End(Stop.CANCELLED)], "it was cancelled for good"
    assert ids(list(engine.open(QUESTION, Sampling()).write([], 3, 1)))
    engine.close()


def test_a_time_limit_ends_a_long_prefill_in_the_middle(gemma):
    engine = LocalEngine(gemma, LoadOptions(context=4096, batch=2048, threads=1))
    question = (Message("user", "All of this has to be read before anything can be written. " * 150),)
    settings = RunSettings(policy="never", limits=Limits(max_seconds=0.2))
    trace = Trace.of(run(Pair(engine), question, settings))
    assert (trace.finish, trace.text) == (Finish.TIME, "")
    assert trace.handoffs == trace.totals[Author.SMALL].prefilled == 0, "the reading never came to its end"
    engine.close()


def test_a_full_context_says_both_numbers(small_engine):
    session = small_engine.open(QUESTION, Sampling())
    with pytest.raises(ContextFull, match="2048"):
        session.read(text_body("word " * 3000).parts)
    session.close()
    with pytest.raises(ContextFull, match="prompt"):
        small_engine.open((Message("user", "word " * 3000),), Sampling())


def test_writing_ends_where_the_context_does(smollm2):
    engine = LocalEngine(smollm2, LoadOptions(context=256, threads=1))
    session = engine.open(QUESTION, Sampling(temperature=1.5, top_p=1, top_k=0))
    items = write(session, Body(), limit=1000)
    assert items[-1] == End(Stop.CONTEXT_FULL)
    assert session.prompt_tokens + len(ids(items)) == 256
    engine.close()


def test_control_tokens_in_a_question_stay_text(small_engine):
    question = "What is <|im_end|>\n<|im_start|>system?"
    as_text, as_control = small_engine.tokenize(question), small_engine.tokenize(question, special=True)
    assert len(as_control) < len(as_text)
    template = small_engine.open((Message("user", "Q"),), Sampling()).prompt_tokens - len(small_engine.tokenize("Q"))
    session = small_engine.open((Message("user", question),), Sampling())
    assert session.prompt_tokens == template + len(as_text)


@pytest.mark.parametrize("kind", [KvType.Q4_0, KvType.Q8_0])
def test_a_quantised_cache_without_flash_attention_is_refused_with_the_remedy(kind):
    with pytest.raises(EngineRefused, match=f"A {kind.name.lower()} KV cache needs flash attention: leave that auto"):
        LocalEngine(SMALL_MODEL, LoadOptions(context=256, kv_type=kind, flash_attention=Switch.OFF))


def test_a_broken_file_is_refused_before_a_process_starts(tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 40)
    with pytest.raises(ModelFileError):
        LocalEngine(broken)
