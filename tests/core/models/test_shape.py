"""Which blocks attend, and which keep a state, as llama.cpp decides it for each architecture."""

from pathlib import Path
from typing import Any

import pytest

from baton_reasoning.core.models.catalog import catalog
from baton_reasoning.core.models.fit import estimate, rough_shape
from baton_reasoning.core.models.gguf import ModelShape, read_header
from baton_reasoning.core.models.options import LoadOptions
from tests.core.models.gguf_builder import values_of_a_llama, write_gguf


def shape_with(folder: Path, architecture: str, blocks: int = 8, **keys: Any) -> ModelShape:
    """Keys are named without the architecture; `__` stands for a dot."""
    usual = {
        "block_count": blocks,
        "embedding_length": 64,
        "attention__head_count": 4,
        "attention__head_count_kv": 2,
        "attention__sliding_window": 128,
    }
    own = {f"{architecture}__{key}": value for key, value in (usual | keys).items()}
    values = values_of_a_llama(general__architecture=architecture, **own)
    return read_header(write_gguf(folder / "model.gguf", values))


def attending(shape: ModelShape) -> list[bool]:
    return [block.cache_elements > 0 for block in shape.blocks]


def test_most_models_attend_to_everything_in_every_block(tmp_path):
    shape = shape_with(tmp_path, "qwen2")
    assert {block.cache_elements for block in shape.blocks} == {32 + 32}


def test_sliding_blocks_may_have_heads_of_another_length(tmp_path):
    shape = shape_with(
        tmp_path,
        "gemma4",
        attention__sliding_window_pattern=[True, False] * 4,
        attention__key_length=32,
        attention__key_length_swa=16,
        attention__value_length=32,
    )
    assert [block.cache_elements for block in shape.blocks[:2]] == [32 + 64, 64 + 64]


def test_blocks_that_share_a_cache_keep_none(tmp_path):
    flags = [True] * 8
    shape = shape_with(tmp_path, "gemma4", attention__sliding_window_pattern=flags, attention__shared_kv_layers=3)
    assert attending(shape) == [True] * 5 + [False] * 3


def test_latent_attention_keeps_no_values(tmp_path):
    shape = shape_with(
        tmp_path,
        "deepseek2",
        attention__head_count_kv=1,
        attention__key_length=576,
        attention__value_length=512,
        attention__key_length_mla=192,
    )
    assert {block.cache_elements for block in shape.blocks} == {576}


def test_hybrids_with_an_interval_attend_in_every_fourth_block(tmp_path):
    shape = shape_with(
        tmp_path,
        "qwen3next",
        ssm__conv_kernel=4,
        ssm__inner_size=128,
        ssm__state_size=16,
        ssm__group_count=2,
    )
    assert attending(shape) == [False, False, False, True] * 2
    convolution, state = 3 * (128 + 2 * 2 * 16), 16 * 128
    assert [block.state_bytes for block in shape.blocks[:4]] == [4 * (convolution + state)] * 3 + [0]


def test_other_hybrids_attend_where_they_have_kv_heads(tmp_path):
    heads = [0, 0, 2, 0, 0, 2, 0, 0]
    shape = shape_with(tmp_path, "lfm2", attention__head_count_kv=heads, shortconv__l_cache=3)
    assert attending(shape) == [count > 0 for count in heads]
    assert [block.state_bytes for block in shape.blocks[1:3]] == [4 * 64 * 2, 0]


def test_falcon_h1_attends_and_keeps_a_state_in_each_block(tmp_path):
    shape = shape_with(tmp_path, "falcon-h1", ssm__inner_size=32, ssm__state_size=8)
    assert all(block.cache_elements > 0 and block.state_bytes > 0 for block in shape.blocks)


@pytest.mark.parametrize(
    ("architecture", "keys"),
    [("mamba2", {"ssm__inner_size": 32, "ssm__state_size": 8}), ("rwkv7", {"wkv__head_size": 16})],
)
def test_recurrent_models_have_no_cache_at_all(tmp_path, architecture, keys):
    shape = shape_with(tmp_path, architecture, **keys)
    assert all(block.cache_elements == 0 and block.state_bytes > 0 for block in shape.blocks)


# Memory judged from a file's size alone


MODELS = {model.key: model for pair in catalog() for model in (pair.small, pair.large)}


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_memory_guessed_from_the_size_is_near_the_true_one(model):
    true = estimate(model.shape, LoadOptions()).total_bytes
    assert estimate(rough_shape(model.bytes), LoadOptions()).total_bytes == pytest.approx(true, rel=0.35)


def test_a_file_of_almost_nothing_has_a_shape_too():
    assert estimate(rough_shape(100), LoadOptions()).total_bytes > 0
