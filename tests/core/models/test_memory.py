"""The estimate is what llama.cpp takes, part by part, on two real models that differ in everything."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from baton_reasoning.core.models.fit import Block, MemoryEstimate, ModelShape, estimate
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import KvType, LoadOptions, Switch
from tests.patience import PATIENCE

REPOSITORY = Path(__file__).resolve().parents[3]

OPTIONS = [
    LoadOptions(context=512),
    LoadOptions(context=512, parallel=4, batch=128, kv_type=KvType.Q8_0),
    LoadOptions(context=3000, batch=64, kv_type=KvType.Q8_0),
    LoadOptions(context=8192, batch=64),
    LoadOptions(context=2048, parallel=8, batch=128),
    LoadOptions(context=8192, batch=128, kv_type=KvType.Q4_0),
    LoadOptions(context=8192, flash_attention=Switch.OFF),
    LoadOptions(context=8192, batch=256, flash_attention=Switch.OFF),
]


class Taken(NamedTuple):
    model: float
    kv: float
    compute: float


def taken_by_llama_cpp(model: Path) -> list[Taken]:
    configurations = [
        [
            options.context * options.parallel,
            options.kv_type.value,
            options.batch,
            options.parallel,
            options.flash_attention is not Switch.OFF,
        ]
        for options in OPTIONS
    ]
    command = [sys.executable, "-m", "tests.core.models.loaded_memory", str(model), json.dumps(configurations)]
    output = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=PATIENCE)
    return [Taken(**json.loads(line)) for line in output.stdout.splitlines()]


@pytest.mark.real_models
@pytest.mark.parametrize("name", ["smollm2", "gemma"])
def test_within_a_tenth_of_what_llama_cpp_takes(name: str, request: pytest.FixtureRequest) -> None:
    model: Path = request.getfixturevalue(name)
    for options, taken in zip(OPTIONS, taken_by_llama_cpp(model), strict=True):
        guess = estimate(read_header(model), options)
        assert guess.kv_bytes == pytest.approx(taken.kv, rel=0.01), options
        assert guess.compute_bytes == pytest.approx(taken.compute, rel=0.1), options
        assert guess.total_bytes == pytest.approx(sum(taken), rel=0.1), options


def shape(*blocks: Block) -> ModelShape:
    return ModelShape(
        tensor_bytes=10_000,
        blocks=blocks,
        token_embedding_bytes=1000,
        output_is_tied=False,
        embedding_length=64,
        feed_forward_length=96,
        vocabulary_size=500,
    )


def with_context(model: ModelShape, tokens: int, parallel: int = 1) -> MemoryEstimate:
    return estimate(model, LoadOptions(context=tokens, parallel=parallel))


def test_cells_are_rounded_up_to_256() -> None:
    model = shape(Block(2000, 96))
    assert with_context(model, 256).kv_bytes == 256 * 96 * 2
    assert with_context(model, 257).kv_bytes == with_context(model, 512).kv_bytes == 512 * 96 * 2


def test_states_grow_with_sequences_and_not_with_the_context() -> None:
    model = shape(Block(2000, 0, state_bytes=300))
    assert with_context(model, 512, parallel=4).state_bytes == 1200
    assert with_context(model, 65536, parallel=4).kv_bytes == 0


def test_a_quantised_cache_is_smaller_by_its_block_size() -> None:
    model = shape(Block(2000, 128))
    full, quantised = (estimate(model, LoadOptions(kv_type=kind)) for kind in (KvType.F16, KvType.Q8_0))
    assert quantised.kv_bytes * 32 == full.kv_bytes * 17


def test_the_parts_of_a_gpu_add_up_to_the_whole() -> None:
    guess = with_context(shape(Block(2000, 128), Block(3000, 128)), 1024)
    assert sum(guess.block_bytes) == 5000 + guess.kv_bytes
    assert guess.output_bytes == 10_000 - 5000 - 1000


def test_the_same_model_can_be_estimated_again() -> None:
    guess = with_context(shape(Block(2000, 128)), 4096)
    assert estimate(guess.shape, guess.options) == guess
