"""Which blocks attend, slide or keep a state, as llama.cpp decides it for each architecture."""

from pathlib import Path
from typing import Any

import pytest

from core.models.gguf import read_header
from core.models.memory import BlockMemory, ModelShape, shape_of
from tests.core.models.gguf_builder import values_of_a_llama, write_gguf

WHOLE, WINDOW, STATE = BlockMemory.WHOLE, BlockMemory.WINDOW, BlockMemory.STATE_ONLY


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
    return shape_of(read_header(write_gguf(folder / "model.gguf", values)))


def memories(shape: ModelShape) -> list[BlockMemory]:
    return [block.memory for block in shape.blocks]


def test_most_models_attend_to_everything_in_every_block(tmp_path: Path) -> None:
    shape = shape_with(tmp_path, "qwen2")
    assert memories(shape) == [WHOLE] * 8
    assert {(block.key_elements, block.value_elements) for block in shape.blocks} == {(32, 32)}


def test_gemma3_sees_the_whole_text_in_every_sixth_block(tmp_path: Path) -> None:
    assert memories(shape_with(tmp_path, "gemma3")) == [*[WINDOW] * 5, WHOLE, WINDOW, WINDOW]


def test_gpt_oss_alternates(tmp_path: Path) -> None:
    assert memories(shape_with(tmp_path, "gpt-oss")) == [WINDOW, WHOLE] * 4


def test_exaone4_slides_only_in_its_large_size(tmp_path: Path) -> None:
    assert memories(shape_with(tmp_path, "exaone4")) == [WHOLE] * 8
    assert memories(shape_with(tmp_path, "exaone4", blocks=64)) == [WINDOW, WINDOW, WINDOW, WHOLE] * 16


def test_smallthinker_begins_with_a_whole_block(tmp_path: Path) -> None:
    assert memories(shape_with(tmp_path, "smallthinker")) == [WHOLE, WINDOW, WINDOW, WINDOW] * 2


def test_a_period_in_the_file_counts_more(tmp_path: Path) -> None:
    shape = shape_with(tmp_path, "gemma3", attention__sliding_window_pattern=4)
    assert memories(shape) == [WINDOW, WINDOW, WINDOW, WHOLE] * 2


def test_flags_in_the_file_count_more(tmp_path: Path) -> None:
    flags = [False, True, True, False, True, True, True, True]
    shape = shape_with(tmp_path, "gemma4", attention__sliding_window_pattern=flags)
    assert memories(shape) == [WINDOW if flag else WHOLE for flag in flags]


def test_phi3_has_a_window_that_llama_cpp_does_not_use(tmp_path: Path) -> None:
    assert memories(shape_with(tmp_path, "phi3")) == [WHOLE] * 8


def test_a_window_of_nothing_is_no_window(tmp_path: Path) -> None:
    assert memories(shape_with(tmp_path, "gemma3", attention__sliding_window=0)) == [WHOLE] * 8


def test_gemma2_has_a_window_even_where_the_file_forgets_it(tmp_path: Path) -> None:
    shape = shape_with(tmp_path, "gemma2", attention__sliding_window=None)
    assert (shape.window, memories(shape)) == (4096, [WINDOW, WHOLE] * 4)


def test_sliding_blocks_may_have_heads_of_another_length(tmp_path: Path) -> None:
    shape = shape_with(
        tmp_path,
        "gemma4",
        attention__sliding_window_pattern=[True, False] * 4,
        attention__key_length=32,
        attention__key_length_swa=16,
        attention__value_length=32,
    )
    assert [block.key_elements for block in shape.blocks[:2]] == [32, 64]
    assert [block.value_elements for block in shape.blocks[:2]] == [64, 64]


def test_blocks_that_share_a_cache_keep_none(tmp_path: Path) -> None:
    flags = [True] * 8
    shape = shape_with(tmp_path, "gemma4", attention__sliding_window_pattern=flags, attention__shared_kv_layers=3)
    assert [block.key_elements > 0 for block in shape.blocks] == [True] * 5 + [False] * 3


def test_latent_attention_keeps_no_values(tmp_path: Path) -> None:
    shape = shape_with(
        tmp_path,
        "deepseek2",
        attention__head_count_kv=1,
        attention__key_length=576,
        attention__value_length=512,
        attention__key_length_mla=192,
    )
    assert {(block.key_elements, block.value_elements) for block in shape.blocks} == {(576, 0)}


def test_hybrids_with_an_interval_attend_in_every_fourth_block(tmp_path: Path) -> None:
    shape = shape_with(
        tmp_path,
        "qwen3next",
        ssm__conv_kernel=4,
        ssm__inner_size=128,
        ssm__state_size=16,
        ssm__group_count=2,
    )
    assert memories(shape) == [STATE, STATE, STATE, WHOLE] * 2
    convolution, state = 3 * (128 + 2 * 2 * 16), 16 * 128
    assert [block.state_bytes for block in shape.blocks[:4]] == [4 * (convolution + state)] * 3 + [0]


def test_other_hybrids_attend_where_they_have_kv_heads(tmp_path: Path) -> None:
    heads = [0, 0, 2, 0, 0, 2, 0, 0]
    shape = shape_with(tmp_path, "lfm2", attention__head_count_kv=heads, shortconv__l_cache=3)
    # This one slides in every attending block.
    assert memories(shape) == [WINDOW if count else STATE for count in heads]
    assert [block.state_bytes for block in shape.blocks[1:3]] == [4 * 64 * 2, 0]


def test_falcon_h1_attends_and_keeps_a_state_in_each_block(tmp_path: Path) -> None:
    shape = shape_with(tmp_path, "falcon-h1", ssm__inner_size=32, ssm__state_size=8)
    assert all(block.memory is WHOLE and block.state_bytes > 0 for block in shape.blocks)


@pytest.mark.parametrize(
    ("architecture", "keys"),
    [("mamba2", {"ssm__inner_size": 32, "ssm__state_size": 8}), ("rwkv7", {"wkv__head_size": 16})],
)
def test_recurrent_models_have_no_cache_at_all(tmp_path: Path, architecture: str, keys: dict[str, int]) -> None:
    shape = shape_with(tmp_path, architecture, **keys)
    assert memories(shape) == [STATE] * 8
    assert all(block.key_elements == 0 and block.state_bytes > 0 for block in shape.blocks)
