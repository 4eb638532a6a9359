"""The estimate is what llama.cpp takes, part by part, on two real models that differ in everything."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from core.models.gguf import read_header
from core.models.memory import (
    Block,
    BlockMemory,
    KvType,
    MemoryEstimate,
    MemoryRequest,
    ModelShape,
    estimate,
    estimate_loading,
)

REPOSITORY = Path(__file__).resolve().parents[3]


class Configuration(NamedTuple):
    context: int
    kv_type: KvType
    batch: int
    sequences: int
    whole_windows: bool
    flash_attention: bool = True


CONFIGURATIONS = [
    Configuration(512, KvType.F16, 512, 1, True),
    Configuration(2048, KvType.F16, 512, 1, False),
    Configuration(2048, KvType.Q8_0, 128, 4, False),
    Configuration(3000, KvType.Q8_0, 64, 1, True),
    Configuration(8192, KvType.F16, 64, 1, True),
    Configuration(8192, KvType.Q8_0, 512, 4, False),
    Configuration(16384, KvType.F16, 128, 8, True),
    Configuration(16384, KvType.Q4_0, 128, 1, False),
    Configuration(8192, KvType.F16, 512, 1, True, flash_attention=False),
    Configuration(16384, KvType.F16, 256, 1, True, flash_attention=False),
]


class Taken(NamedTuple):
    model: float
    kv: float
    compute: float


def taken_by_llama_cpp(model: Path) -> list[Taken]:
    configurations = [
        [each.context, each.kv_type.value, each.batch, each.sequences, each.whole_windows, each.flash_attention]
        for each in CONFIGURATIONS
    ]
    command = [sys.executable, "-m", "tests.core.models.loaded_memory", str(model), json.dumps(configurations)]
    output = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=120)
    return [Taken(**json.loads(line)) for line in output.stdout.splitlines()]


def estimated(model: Path, configuration: Configuration) -> MemoryEstimate:
    context, kv_type, batch, sequences, whole_windows, flash = configuration
    header = read_header(model)
    return estimate(
        header, context, kv_type, batch=batch, sequences=sequences, whole_windows=whole_windows, flash_attention=flash
    )


@pytest.mark.real_models
@pytest.mark.parametrize("name", ["smollm2", "gemma"])
def test_within_a_tenth_of_what_llama_cpp_takes(name: str, request: pytest.FixtureRequest) -> None:
    model: Path = request.getfixturevalue(name)
    for configuration, taken in zip(CONFIGURATIONS, taken_by_llama_cpp(model), strict=True):
        guess = estimated(model, configuration)
        assert guess.kv_bytes == pytest.approx(taken.kv, rel=0.01), configuration
        assert guess.compute_bytes == pytest.approx(taken.compute, rel=0.1), configuration
        assert guess.total_bytes == pytest.approx(sum(taken), rel=0.1), configuration


def shape(*blocks: Block, window: int = 0) -> ModelShape:
    return ModelShape(
        tensor_bytes=10_000,
        blocks=blocks,
        window=window,
        token_embedding_bytes=1000,
        output_is_tied=False,
        embedding_length=64,
        feed_forward_length=96,
        vocabulary_size=500,
    )


def test_cells_are_rounded_up_to_256() -> None:
    model = shape(Block(2000, BlockMemory.WHOLE, 64, 32))
    assert estimate(model, 1).kv_bytes == estimate(model, 256).kv_bytes == 256 * (64 + 32) * 2
    assert estimate(model, 257).kv_bytes == 512 * (64 + 32) * 2


def test_a_window_keeps_its_tokens_and_one_batch_for_each_sequence() -> None:
    model = shape(Block(2000, BlockMemory.WINDOW, 64, 64), window=500)
    one = estimate(model, 8192, batch=200, whole_windows=False)
    three = estimate(model, 8192, batch=200, sequences=3, whole_windows=False)
    assert one.kv_bytes == 768 * 128 * 2
    assert three.kv_bytes == 1792 * 128 * 2
    assert estimate(model, 8192, batch=200).kv_bytes == 8192 * 128 * 2


def test_states_grow_with_sequences_and_not_with_the_context() -> None:
    model = shape(Block(2000, BlockMemory.STATE_ONLY, 0, 0, state_bytes=300))
    assert estimate(model, 512, sequences=4).state_bytes == 1200
    assert estimate(model, 65536, sequences=4).kv_bytes == 0


def test_a_quantised_cache_is_smaller_by_its_block_size() -> None:
    model = shape(Block(2000, BlockMemory.WHOLE, 64, 64))
    full, quantised = estimate(model, 4096), estimate(model, 4096, KvType.Q8_0)
    assert quantised.kv_bytes * 32 == full.kv_bytes * 17


def test_the_parts_of_a_gpu_add_up_to_the_whole() -> None:
    model = shape(Block(2000, BlockMemory.WHOLE, 64, 64), Block(3000, BlockMemory.WHOLE, 64, 64))
    guess = estimate(model, 1024)
    assert sum(guess.block_bytes) == 5000 + guess.kv_bytes
    assert guess.output_bytes == 10_000 - 5000 - 1000


def test_a_way_of_loading_can_be_estimated_again() -> None:
    loading = MemoryRequest(shape(Block(2000, BlockMemory.WHOLE, 64, 64)), 4096)
    assert estimate_loading(loading).loading is loading
    assert estimate_loading(loading) == estimate(loading.shape, 4096)
