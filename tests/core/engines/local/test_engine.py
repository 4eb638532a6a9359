"""The local engine on two real models: handoffs, repeats, reuse of the KV cache, judgements, scores and limits."""

import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from baton_reasoning.core.demo_pair import SMALL_MODEL, DemoProblem, held_out_problems
from baton_reasoning.core.engines.base import End, Handoff, Judgement, Message, Passing, PrefillProgress, Stop, Token
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.local.llama import CHUNK
from baton_reasoning.core.engines.open import share_vocabulary
from baton_reasoning.core.errors import ContextFull, EngineRefused, ModelFileError
from baton_reasoning.core.models.load_options import KvType, LoadOptions, Switch
from baton_reasoning.core.models.overrides import ModelOverrides, TagSource
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.run import RunSettings, ask, run
from baton_reasoning.core.thinking.events import TokenWritten
from tests.bench.generated import f32_copy
from tests.core.engines.local.conftest import GREEDY, QUESTION, check_cache, handoff, ids, text_body, text_read, write

IS_IT_RIGHT = "\n\nIs that right? Answer:"
pytestmark = pytest.mark.real_models


def test_the_card_says_what_the_model_is_and_tags_that_a_person_set_open_the_thinking(small_engine, large_engine):
    card = small_engine.card
    assert (card.architecture, card.quantisation, card.context) == ("llama", "Q4_1", 2048)
    assert card.vocabulary != large_engine.card.vocabulary
    overrides = ModelOverrides(tags=TagSource.OTHER, opening="<reasoning>\\n", closing="</reasoning>")
    with closing(LocalEngine(card.path, LoadOptions(context=256, threads=1), overrides)) as engine:
        assert engine.card.thinking == overrides.thinking_tags(None)
        assert engine.render(QUESTION, thinks=True)[-1].text.endswith("<|im_start|>assistant\n<reasoning>\n")


# Handoffs ------------------------------------------------------------------------------------------------------------


def test_a_write_reads_only_what_is_new_and_a_text_that_was_cut_back_is_rolled_back(session, small_engine):
    body = Body()
    items = write(session, body, limit=20)
    first, written = handoff(items), len(ids(items))
    assert (first.reused, first.prefilled, first.passing) == (0, session.prompt_tokens, Passing.IDS)
    body.append(Part(" And so on, he said.", Author.INSERTED))
    stopped = write(session, body, limit=50, stop_after=10)
    second, inserted = handoff(stopped), len(small_engine.tokenize(" And so on, he said."))
    assert second.reused + second.prefilled == session.prompt_tokens + written + inserted
    not_decoded = int(items[-1] != End(Stop.END_OF_TEXT))  # the last token of a write that its limit ended
    assert second.prefilled == not_decoded + inserted
    assert second.passing is Passing.TEXT
    again = handoff(write(session, body, limit=5))
    assert again.reused + again.prefilled == second.reused + second.prefilled + len(ids(stopped))
    assert again.prefilled <= 1, "going on where it was stopped decodes nothing anew"
    body.cut(len(body.text) // 2)
    assert session.read(body.parts).prefilled <= 2
    check_cache(body.parts, session, small_engine)


def test_ids_are_handed_over_within_a_vocabulary_and_text_across(small_engine, large_engine):
    assert share_vocabulary(small_engine, small_engine)
    assert not share_vocabulary(small_engine, large_engine)
    body = Body()
    with (
        closing(small_engine.open(QUESTION, Sampling())) as writer,
        closing(small_engine.open(QUESTION, Sampling())) as reader,
        closing(large_engine.open(QUESTION, Sampling())) as foreign,
    ):
        write(writer, body, limit=12)
        assert reader.read(body.parts).passing is Passing.IDS
        assert foreign.read(body.parts).passing is Passing.TEXT
        assert text_read(reader, body.parts) == text_read(foreign, body.parts) == body.text
        start = body.text.rindex(" ")
        assert "".join(token.text for token in foreign.score(body.parts, start).tokens).endswith(body.text[start:])


@pytest.mark.scaled
@given(text=st.text(st.characters(max_codepoint=0x1FFFF, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10))
@example(text="Tränen 😀🎉 und 漢字かな交じり文。\n\n")
@example(text="a\n \nb\r\n\r\nc\n\n\nd")
@example(text="  leading blanks")
@example(text="\n\nfirst")
def test_any_text_reaches_a_model_unchanged(small_engine, large_engine, text):
    """Also where the bytes of a character are several tokens. (SmolLM2 has no tokens for what is left out here.)"""
    for engine in (small_engine, large_engine):
        with closing(engine.open(QUESTION, GREEDY)) as session:
            assert text_read(session, text_body(text).parts) == text


@pytest.mark.parametrize("parallel", [1, 8])
def test_many_at_once_write_what_each_would_alone_also_where_they_take_turns(parallel):
    problems = islice(held_out_problems(4), 8)
    questions = [(Message("user", problem.question),) for problem in problems]

    def solve(question):
        with closing(demo.open(question, GREEDY)) as session:
            body = Body()
            return [id for _ in range(2) for id in ids(write(session, body, limit=40))]

    with closing(LocalEngine(SMALL_MODEL, LoadOptions(context=512, parallel=parallel, threads=1))) as demo:
        alone = list(map(solve, questions))
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(solve, questions))
    assert sum(map(list.__eq__, alone, together)) >= 7, "one may have a near-tie: other batch shapes round differently"


# Reuse of what the cache holds of earlier texts ----------------------------------------------------------------------

STORY = "A farmer has 17 sheep, sells 4 of them, and buys 9 more at the market in the next town. " * 7
FIRST = (Message("user", f"{STORY} How many sheep are there now?"),)
SECOND = (Message("user", f"{STORY} How many legs do they have?"),)
SHORT = (Message("user", "What is 3 and 4?"),)
WARM = Sampling()


@pytest.mark.parametrize(
    ("model", "parallel"),
    [
        pytest.param("smollm2", 1, id="smollm2-the slot of a closed session"),
        pytest.param("gemma", 2, id="gemma-a copy from an open session", marks=pytest.mark.long),
        pytest.param("smollm2", 2, id="smollm2-a copy from an open session", marks=pytest.mark.long),
        pytest.param("gemma", 1, id="gemma-the slot of a closed session", marks=pytest.mark.long),
    ],
)
def test_the_same_seed_writes_the_same_with_and_without_reuse(model, parallel, request):
    path = request.getfixturevalue(model)
    options = LoadOptions(context=1024, threads=1, parallel=parallel)
    with closing(LocalEngine(path, options)) as engine:
        without = write(engine.open(SECOND, WARM), Body(), limit=6, seed=5)
        assert handoff(without).reused == 0
        progress = [item for item in without if isinstance(item, PrefillProgress)]
        assert [item.tokens for item in progress] == [CHUNK * number for number in range(len(progress))]
        assert {item.total for item in progress} == {handoff(without).prefilled}
        assert len(progress) >= 3, "a long prompt shows how far it is read"
    with closing(LocalEngine(path, options)) as engine:
        earlier = engine.open(FIRST, WARM)
        write(earlier, Body(), limit=2, seed=9)
        if parallel == 1:
            earlier.close()
        session = engine.open(SECOND, WARM)
        session.repeat_exactly()
        reusing = write(session, Body(), limit=6, seed=5)
    reused = handoff(reusing).reused
    assert reused > CHUNK
    assert reused % CHUNK == 0
    assert ids(reusing) == ids(without)


@pytest.fixture(scope="module", params=["smollm2", pytest.param("gemma", marks=pytest.mark.long)])
def engine(request):
    path = request.getfixturevalue(request.param)
    with closing(LocalEngine(path, LoadOptions(context=1024, threads=1, parallel=2))) as engine:
        yield engine


def turn(engine, conversation, *, exact=False):
    """Let a model answer; return the handoff, the answer, and the tokens of prompt and answer."""
    with closing(engine.open(conversation, WARM)) as session:
        if exact:
            session.repeat_exactly()
        items = write(session, body := Body(), limit=40, seed=3)
        return handoff(items), body.text, session.prompt_tokens + len(ids(items))


def followed_by(conversation, answer):
    return (*conversation, Message("assistant", answer), Message("user", "And 5 and 6?"))


def test_a_follow_up_reads_its_question_and_nothing_that_was_written_of_two_conversations_in_turn(engine):
    firsts = (SHORT, (Message("user", "Name three colours of the sea."),))
    for first, (_, answer, tokens) in zip(firsts, [turn(engine, first) for first in firsts], strict=True):
        read, _, _ = turn(engine, followed_by(first, answer))
        assert tokens - 2 <= read.reused <= tokens, "a last token may not have been decoded, or a blank left out"
        assert read.prefilled < 30


def test_a_follow_up_reuses_an_answer_in_the_tokens_in_which_two_models_wrote_it(engine):
    answer = "Together they make seven, altogether."
    singly = tuple(token for character in answer for token in engine.tokenize(character))
    assert len(singly) > 2 * len(engine.tokenize(answer))
    parts = [Part(answer[place], Author.SMALL, token, engine.card.vocabulary) for place, token in enumerate(singly)]
    with closing(engine.open(SHORT, WARM)) as session:
        session.read(parts)
        held = session.prompt_tokens + len(parts)
    assert turn(engine, followed_by(SHORT, answer))[0].reused >= held - 1


def test_an_exact_follow_up_repeats_its_text_whatever_the_cache_holds(engine):
    _, answer, _ = turn(engine, FIRST)
    follow_up = followed_by(FIRST, answer)
    read, once, _ = turn(engine, follow_up, exact=True)
    assert read.reused % CHUNK == 0
    turn(engine, follow_up)
    assert turn(engine, follow_up, exact=True)[1] == once


def test_a_session_that_is_closed_in_the_middle_of_a_decode_leaves_a_sound_cache(small_engine):
    for tokens in (3, 4, 5):
        body = Body()
        with closing(small_engine.open(SHORT, WARM)) as stopped:
            write(stopped, body, limit=40, stop_after=tokens)
        with closing(small_engine.open(SHORT, WARM)) as session:
            assert handoff(write(session, body, limit=2)).prefilled == 1, "the process did not die either"


# Probabilities -------------------------------------------------------------------------------------------------------


def test_alternatives_and_entropy_are_those_of_the_whole_vocabulary(session):
    for alternatives, limit in ((20, 5), (49_152, 1)):
        for token in session.write([], limit, 1, alternatives=alternatives):
            if isinstance(token, Token):
                chances = [other.logprob for other in token.alternatives]
                assert len(chances) == alternatives
                assert chances == sorted(chances, reverse=True)
                assert token.alternatives[0].id == token.id, "greedy takes the likeliest"
                assert token.logprob == pytest.approx(chances[0])
                assert token.entropy is not None
    assert sum(map(math.exp, chances)) == pytest.approx(1, abs=1e-4)
    entropy = -sum(math.exp(chance) * chance for chance in chances)
    (token,) = (item for item in session.write([], 1, 1, alternatives=1) if isinstance(item, Token))
    assert token.entropy == pytest.approx(entropy, abs=1e-4)
    (token,) = (item for item in session.write([], 1, 1) if isinstance(item, Token))
    assert token.entropy is None, "nobody asked for it"
    (token,) = (item for item in session.write([], 1, 1, entropy=20) if isinstance(item, Token))
    assert token.entropy == pytest.approx(entropy, abs=1e-4)
    assert not token.alternatives, "nobody reads them"


def test_a_policy_that_reads_the_entropy_alone_has_no_alternatives_listed(demo_pair):
    settings = RunSettings(policy="token-entropy", max_tokens=40)
    asked = ask(DemoProblem(60_836).question, settings)
    written = [event for event in run(demo_pair, asked, settings) if isinstance(event, TokenWritten)]
    assert written
    assert all(token.entropy is not None and not token.alternatives for token in written)
    recorded = run(demo_pair, asked, settings.model_copy(update={"alternatives": 2}))
    assert all(len(event.alternatives) == 2 for event in recorded if isinstance(event, TokenWritten))


def test_a_judge_gives_digits_the_shares_that_the_model_gives_them_and_leaves_no_trace(session, small_engine):
    assert small_engine.tokenize(" 4")[0] == small_engine.tokenize(" 5")[0], "a blank, which says nothing of the digit"
    digits, question = tuple("0123456789"), " A mark from 0 to 9: "
    judged = session.judge([], question, digits)
    asked = session.write(text_body(question).parts, 1, 1, alternatives=3000)
    token = next(item for item in asked if isinstance(item, Token))
    chances = {other.text: math.exp(other.logprob) for other in token.alternatives}
    mass = sum(chances[digit] for digit in digits)
    assert judged.probabilities == pytest.approx([chances[digit] / mass for digit in digits], rel=0.01)
    body = text_body("Two and two is").parts
    assert sum(session.judge(body, IS_IT_RIGHT, ("yes", "no", "maybe")).probabilities) == pytest.approx(1)
    check_cache(body, session, small_engine)


def test_a_judge_reads_the_question_and_what_is_new_of_the_body():
    engine, body = LocalEngine(SMALL_MODEL, LoadOptions(context=512, parallel=2, threads=1)), Body()
    asked = (Message("user", DemoProblem(60_836).question),)
    session, other = engine.open(asked, GREEDY), engine.open(asked, GREEDY)
    write(session, body, limit=10)
    question = len(engine.tokenize(IS_IT_RIGHT))
    first = session.judge(body.parts, IS_IT_RIGHT, ("yes", "no")).handoff
    assert (first.reused, first.prefilled) == (session.prompt_tokens + 9, 1 + question), "the last was never decoded"
    write(other, body, limit=15)
    second = session.judge(body.parts, IS_IT_RIGHT, ("yes", "no")).handoff
    assert (second.reused, second.prefilled) == (session.prompt_tokens + 10, 15 + question)
    assert handoff(write(session, body, limit=1)).prefilled == 1, "the logits after the text are wanted again"
    engine.close()


def test_only_what_follows_the_start_is_scored_and_only_what_is_new_is_decoded(session):
    body = Body()
    write(session, body, limit=20)
    session.read(body.parts)
    start, step = len(body), " But three and three are purple, which is a number.\n\n"
    body.append(Part(step, Author.INSERTED))
    scores = session.score(body.parts, start)
    assert "".join(token.text for token in scores.tokens) == step
    assert scores.handoff.prefilled == len(scores.tokens), "the step is decoded once, and nothing else is"
    odd = next(token for token in scores.tokens if "purple" in token.text)
    assert odd.logprob < scores.mean_logprob < 0
    assert scores.mean_logprob == pytest.approx(sum(token.logprob for token in scores.tokens) / len(scores.tokens))
    assert len(ids(write(session, body, limit=5))) == 5, "writing goes on after a score"


LLAMA_CPP = """
import json, sys
import llama_cpp, numpy
llama = llama_cpp.Llama(sys.argv[1], n_ctx=512, n_batch=512, logits_all=True, verbose=False)
ids = json.loads(sys.argv[2])
llama.eval(ids)
logits = llama.scores[: len(ids) - 1].astype(numpy.float64)
logits -= logits.max(axis=1, keepdims=True)
logprobs = logits - numpy.log(numpy.exp(logits).sum(axis=1, keepdims=True))
print(json.dumps([float(row[id]) for row, id in zip(logprobs, ids[1:])]))
print(json.dumps([float(row.max()) for row in logprobs]))
"""
"""Prints the log-probability of each token but the first, and the highest at its place."""


def test_the_log_probabilities_of_a_text_are_llama_cpps(smollm2, tmp_path):
    """At 32 bits, and in a text that takes several batches."""
    model = f32_copy(smollm2, tmp_path / "f32.gguf")
    text = "Naïve 🙂 question: what is <|im_end|>? " + "".join(f"It is number {n}, not {n * n}.\n" for n in range(12))
    with closing(LocalEngine(model, LoadOptions(context=512, batch=64, threads=1))) as engine:
        prompt = [id for piece in engine.render(QUESTION, thinks=True) for id in engine.tokenize(*piece)]
        tokens = engine.tokenize(text)
        with closing(engine.open(QUESTION, GREEDY)) as session:
            assert session.prompt_tokens == len(prompt)
            body = [Part("", Author.PERSON, id, engine.card.vocabulary) for id in tokens]
            scored = session.score(body, 0, alternatives=1).tokens
    command = [sys.executable, "-c", LLAMA_CPP, str(model), json.dumps([*prompt, *tokens])]
    printed = subprocess.run(command, check=True, capture_output=True, text=True)
    expected, highest = (json.loads(line)[-len(tokens) :] for line in printed.stdout.splitlines())
    assert len(tokens) > 2 * 64
    assert "".join(token.text for token in scored) == text
    assert [token.logprob for token in scored] == pytest.approx(expected, abs=0.02)
    assert [token.alternatives[0].logprob for token in scored] == pytest.approx(highest, abs=0.02)


# Limits --------------------------------------------------------------------------------------------------------------


def test_a_cancelled_read_stops_in_the_middle_and_a_judge_says_nothing(smollm2):
    with closing(LocalEngine(smollm2, LoadOptions(context=4096, batch=2048, threads=1))) as engine:
        session, body = engine.open(QUESTION, Sampling()), text_body("word " * 2000)
        items = []
        for item in session.write(body.parts, 10, 1):
            items.append(item)
            if isinstance(item, PrefillProgress):
                session.cancel()
        assert items[-1] == End(Stop.CANCELLED)
        assert not any(isinstance(item, Handoff) for item in items), "the text was not read to its end"
        assert list(session.write([], 3, 1)) == [End(Stop.CANCELLED)], "it was cancelled for good"
        judge = engine.open(QUESTION, GREEDY)
        with ThreadPoolExecutor(1) as pool:
            judgement = pool.submit(judge.judge, body.parts, IS_IT_RIGHT, ("yes", "no"))
            while not judgement.done():  # a judge does not say when it has begun to read
                judge.cancel()
                wait([judgement], timeout=0.01)
        assert judgement.result() == Judgement.none(2)
        assert ids(list(engine.open(QUESTION, Sampling()).write([], 3, 1)))


def test_a_full_context_says_its_size_and_writing_ends_there(small_engine, smollm2):
    with closing(small_engine.open(QUESTION, Sampling())) as session, pytest.raises(ContextFull, match="2048"):
        session.read(text_body("word " * 3000).parts)
    with pytest.raises(ContextFull, match=r"prompt has .* holds 2048"):
        small_engine.open((Message("user", "word " * 3000),), Sampling())
    with closing(LocalEngine(smollm2, LoadOptions(context=256, threads=1))) as engine:
        session = engine.open(QUESTION, Sampling(temperature=1.5, top_p=1, top_k=0))
        items = write(session, Body(), limit=1000)
        assert items[-1] == End(Stop.CONTEXT_FULL)
        assert session.prompt_tokens + len(ids(items)) == 256


def test_what_cannot_be_loaded_is_refused_before_a_process_starts(tmp_path):
    with pytest.raises(EngineRefused, match="A q8_0 KV cache needs flash attention: leave that"):
        LocalEngine(SMALL_MODEL, LoadOptions(context=256, kv_type=KvType.Q8_0, flash_attention=Switch.OFF))
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\0" * 40)
    with pytest.raises(ModelFileError):
        LocalEngine(broken)
