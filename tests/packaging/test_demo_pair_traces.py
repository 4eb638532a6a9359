"""What the demo pair learns from: its vocabulary, right sums, slips that are only read, and copies at one distance."""

import random
import re
from itertools import pairwise

import pytest

from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.demo_pair.task import STEPS, DemoProblem, DemoStep
from baton_reasoning.core.thinking.cues import Category, english
from demo_pair.parity import tokens_and_logits
from demo_pair.tokenizer import BEGIN, BOUNDARY, HOW, PHRASES, TOKENS, decode, encode
from demo_pair.traces import (
    ANSWER,
    AUXILIARY,
    CLOSING,
    COPY_DISTANCE,
    NEXT_LINE,
    READ_ONLY,
    SECOND_LOOKS,
    Span,
    drill,
    trace,
)

LINE = re.compile(r"tep \d: (\d{5})( is odd, times 7 plus 1 is | is even, half of it is )(\d{5})\.")
SEEDS = range(200)


def trace_of(seed: int) -> list[Span]:
    return trace(random.Random(seed))


def text_of(spans: list[Span]) -> str:
    return "".join(span.text for span in spans)


def text_of_seed(seed: int) -> str:
    return text_of(trace_of(seed))


def right_value(number: str, how: str) -> str:
    step = DemoStep(3, int(number))
    assert step.how == how
    return f"{step.value:05}"


def test_every_digit_that_is_copied_stands_at_one_distance():
    """The number of a line, from the line before or the question; a line that is looked at again; the answer, twice."""
    for seed in SEEDS:
        tokens = [decode([id]) for id in encode(text_of_seed(seed))]
        thinking = tokens.index("<think>")
        copied: list[int] = []
        for place, token in enumerate(tokens[thinking:], thinking):
            if token in HOW:
                copied += range(place - 5, place)
            elif token == " \\boxed{" or tokens[place - 1 : place + 1] == [" is", " "]:
                copied += range(place + 1, place + 6)
        assert len(copied) >= 5 * STEPS + 10
        # The digit that comes next is COPY_DISTANCE back from the token that is read last.
        assert all(tokens[place] == tokens[place - 1 - COPY_DISTANCE] for place in copied)


def test_what_is_learned_is_right_and_what_is_wrong_is_only_read():
    slips = 0
    for seed in SEEDS:
        spans = trace_of(seed)
        starts = [sum(len(span.text) for span in spans[:number]) for number in range(len(spans))]
        weights = {start: span.weight for start, span in zip(starts, spans, strict=True)}
        for line in LINE.finditer(text_of(spans)):
            if line[3] != right_value(line[1], line[2]):
                slips += 1
                assert weights[line.start(3)] == READ_ONLY
    assert slips > 100


def test_a_slip_is_always_put_right_by_a_second_look():
    for seed in SEEDS:
        lines = LINE.findall(text_of_seed(seed))
        for (number, how, value), following in pairwise(lines):
            if value != right_value(number, how):
                assert following[:2] == (number, how)
        assert lines[-1][2] == right_value(*lines[-1][:2])


def test_the_answer_is_the_problem_s():
    for seed in SEEDS:
        text = text_of_seed(seed)
        problem = DemoProblem(int(re.findall(r"Starting from (\d{5}),", text)[0]))
        assert not problem.held_out
        assert f"{CLOSING}{problem.answer}.\n</think>" in text
        assert text.endswith(f"\\boxed{{{problem.answer}}}.<|end|>")


@pytest.mark.parametrize("opening", [*SECOND_LOOKS, AUXILIARY])
def test_a_second_look_opens_with_a_cue(opening):
    assert english().sign(opening) is Category.REFLECTION


def test_only_second_looks_and_the_end_have_cues():
    assert not english().find(NEXT_LINE)
    assert {cue.category for cue in english().find(CLOSING)} == {Category.AFFIRMATION}
    assert {cue.category for cue in english().find(ANSWER)} <= {Category.AFFIRMATION}


def test_a_drill_teaches_values_only_and_right_ones():
    spans = drill(random.Random(0), count=300, zeros=0.4)
    learned = [span.text for span in spans if span.weight]
    assert learned == [right_value(*line[:2]) for line in LINE.findall(text_of(spans))]
    assert len(learned) == 300


def test_a_trace_begins_as_the_chat_template_does():
    assert text_of_seed(0).startswith(f"{BEGIN}<|user|>If a number is even")


# The vocabulary, and the one that llama.cpp reads from its files


LONGEST_SHOWN = 32
"""Bytes; llama-cpp-python gives back nothing for a longer token."""
UNUSUAL = "Anything else, héhé €.\n\n\n1234 step 13 of 7: the number"


@pytest.mark.parametrize("text", [text_of_seed(0), text_of_seed(1), AUXILIARY, UNUSUAL, ""])
def test_a_text_survives_its_tokens(text):
    assert decode(encode(text)) == text


def test_no_token_comes_twice_and_none_is_too_long_to_be_shown():
    assert len(set(TOKENS)) == len(TOKENS)
    assert max(len(phrase.encode()) for phrase in PHRASES) <= LONGEST_SHOWN


def test_every_phrase_is_used_in_training():
    used = {id for seed in range(500) for id in encode(text_of_seed(seed))}
    assert [phrase for phrase in PHRASES if encode(phrase)[0] not in used] == []


def test_digits_and_the_boundary_are_tokens_of_their_own():
    assert len(encode("84900")) == 5
    assert len(encode(BOUNDARY)) == 1
    assert len(encode("<|user|>")) == 1


@pytest.mark.parametrize("model", [SMALL_MODEL, LARGE_MODEL], ids=["small", "large"])
@pytest.mark.parametrize("text", [text_of_seed(0), text_of_seed(1) + AUXILIARY, UNUSUAL])
def test_llama_cpp_cuts_a_text_into_the_same_tokens(model, text):
    ids, _logits = tokens_and_logits(model, text)
    assert ids == encode(text)
