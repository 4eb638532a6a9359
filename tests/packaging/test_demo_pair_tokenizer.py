"""The vocabulary that the demo pair is trained with, and the one that llama.cpp reads from its files."""

import random
from pathlib import Path

import pytest

from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from demo_pair.parity import tokens_and_logits
from demo_pair.tokenizer import BOUNDARY, PHRASES, TOKENS, decode, encode
from demo_pair.traces import AUXILIARY, trace

LONGEST_SHOWN = 32
"""Bytes; llama-cpp-python gives back nothing for a longer token."""
UNUSUAL = "Anything else, héhé €.\n\n\n1234 step 13 of 7: the number"


def text_of_trace(seed: int) -> str:
    return "".join(span.text for span in trace(random.Random(seed)))


@pytest.mark.parametrize("text", [text_of_trace(0), text_of_trace(1), AUXILIARY, UNUSUAL, ""])
def test_a_text_survives_its_tokens(text: str) -> None:
    assert decode(encode(text)) == text


def test_no_token_comes_twice_and_none_is_too_long_to_be_shown() -> None:
    assert len(set(TOKENS)) == len(TOKENS)
    assert max(len(phrase.encode()) for phrase in PHRASES) <= LONGEST_SHOWN


def test_every_phrase_is_used_in_training() -> None:
    used = {id for seed in range(500) for id in encode(text_of_trace(seed))}
    assert [phrase for phrase in PHRASES if encode(phrase)[0] not in used] == []


def test_digits_and_the_boundary_are_tokens_of_their_own() -> None:
    assert len(encode("84900")) == 5
    assert len(encode(BOUNDARY)) == 1
    assert len(encode("<|user|>")) == 1


@pytest.mark.parametrize("model", [SMALL_MODEL, LARGE_MODEL], ids=["small", "large"])
@pytest.mark.parametrize("text", [text_of_trace(0), text_of_trace(1) + AUXILIARY, UNUSUAL])
def test_llama_cpp_cuts_a_text_into_the_same_tokens(model: Path, text: str) -> None:
    ids, _logits = tokens_and_logits(model, text)
    assert ids == encode(text)
