"""Scoring: the log-probability of each token of a text that a real model reads."""

import json
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baton_reasoning.core.engines.base import Token
from baton_reasoning.core.engines.body import Author, Body, Part
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.local.llama import CHUNK, largest
from baton_reasoning.core.models.options import LoadOptions, Sampling
from tests.bench.generated import f32_copy
from tests.core.engines.local.conftest import QUESTION
from tests.core.engines.local.writing import text_body, write

GREEDY = Sampling(temperature=0)
ROUNDING = 0.4
"""Nats by which the log-probabilities of SmolLM2 differ between batches of other shapes."""
pytestmark = pytest.mark.real_models


def test_a_text_that_is_read_gets_the_log_probabilities_it_was_written_with(small_engine):
    session, body = small_engine.open(QUESTION, GREEDY), Body()
    tokens = [item for item in session.write([], 30, 1, alternatives=3) if isinstance(item, Token)]
    for token in tokens:
        body.append(Part(token.data.decode(), Author.SMALL, token.id, session.card.vocabulary))
    reader = small_engine.open(QUESTION, GREEDY)
    scores = reader.score(body.parts, 0, alternatives=3)
    assert [token.id for token in scores.tokens] == [token.id for token in tokens]
    assert "".join(token.text for token in scores.tokens) == body.text
    assert [token.logprob for token in scores.tokens] == pytest.approx([t.logprob for t in tokens], abs=ROUNDING)
    gaps = [token.alternatives[0].logprob - token.logprob for token in scores.tokens]
    assert max(gaps) < 2 * ROUNDING, "it was written greedily: only a near-tie may come out otherwise"
    assert scores.mean_logprob == pytest.approx(sum(t.logprob for t in scores.tokens) / len(tokens))
    reader.close()


@settings(max_examples=50)
@given(size=st.integers(1, 5_000), count=st.integers(1, 60), seed=st.integers(0, 99))
def test_the_largest_are_found_without_sorting_all(size, count, seed):
    values = np.random.default_rng(seed).normal(0, 3, max(size, count)).astype(np.float32)
    assert largest(values, count) == np.argsort(values)[::-1][:count].tolist()


def test_the_largest_are_found_where_many_are_equal_or_infinitely_small():
    values = np.full(3_000, -np.inf, dtype=np.float32)
    values[[7, 2_999]] = 1.0
    assert set(largest(values, 2)) == {7, 2_999}
    assert len(largest(values, 20)) == 20


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


def test_a_text_longer_than_a_batch_is_scored_whole(session, small_engine):
    body = text_body("".join(f"Line {n} of many.\n" for n in range(30)))
    scores = session.score(body.parts, 0)
    assert "".join(token.text for token in scores.tokens) == body.text
    assert len(scores.tokens) > small_engine.loaded_as.batch
    again = session.score(body.parts, len(body) - len("Line 29 of many.\n"))
    assert [t.logprob for t in again.tokens] == pytest.approx(
        [t.logprob for t in scores.tokens[-len(again.tokens) :]], abs=ROUNDING
    )


def test_a_text_of_another_vocabulary_is_scored_by_the_readers_own_tokens(small_engine, large_engine):
    writer, reader, body = small_engine.open(QUESTION, Sampling()), large_engine.open(QUESTION, Sampling()), Body()
    write(writer, body, limit=30)
    start = body.text.rindex(" ")
    scores = reader.score(body.parts, start)
    assert "".join(token.text for token in scores.tokens).endswith(body.text[start:])
    writer.close()
    reader.close()


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
    """At 32 bits, and in a text that takes several decodes."""
    model = f32_copy(smollm2, tmp_path / "f32.gguf")
    text = "Naïve 🙂 question: what is <|im_end|>? " + "".join(f"It is number {n}, not {n * n}.\n" for n in range(12))
    with closing(LocalEngine(model, LoadOptions(context=512, threads=1))) as engine:
        prompt = [id for piece in engine.render(QUESTION, thinks=True) for id in engine.tokenize(*piece)]
        ids = engine.tokenize(text)
        with closing(engine.open(QUESTION, GREEDY)) as session:
            assert session.prompt_tokens == len(prompt)
            body = [Part("", Author.PERSON, id, engine.card.vocabulary) for id in ids]
            scored = session.score(body, 0, alternatives=1).tokens
    printed = subprocess.run(
        [sys.executable, "-c", LLAMA_CPP, str(model), json.dumps([*prompt, *ids])],
        check=True,
        capture_output=True,
        text=True,
    )
    expected, highest = (json.loads(line)[-len(ids) :] for line in printed.stdout.splitlines())
    assert len(ids) > 2 * CHUNK
    assert "".join(token.text for token in scored) == text
    assert [token.logprob for token in scored] == pytest.approx(expected, abs=0.02)
    assert [token.alternatives[0].logprob for token in scored] == pytest.approx(highest, abs=0.02)


@pytest.mark.scaled
@given(text=st.text(st.characters(max_codepoint=0x1FFFF, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10))
def test_the_texts_of_scored_tokens_join_to_the_text(small_engine, text):
    """Also where the bytes of a character are several tokens. (SmolLM2 has no tokens for what is left out here.)"""
    with closing(small_engine.open(QUESTION, GREEDY)) as session:
        scores = session.score(text_body(text).parts, 0)
    assert "".join(token.text for token in scores.tokens) == text


def test_writing_goes_on_after_a_score(session):
    body = text_body("Two and two are")
    session.score(body.parts, 0)
    items = list(session.write(body.parts, 5, 1))
    assert sum(isinstance(item, Token) for item in items) == 5
