"""States and caches of one architecture of each kind, held against what llama.cpp allocates for it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from baton_reasoning.core.models.fit import estimate
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.options import LoadOptions

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[3]

USUAL = {
    "embedding_length": 64,
    "context_length": 2048,
    "feed_forward_length": 96,
    "attention.head_count": 4,
    "attention.head_count_kv": 2,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "attention.layer_norm_epsilon": 1e-5,
    "rope.dimension_count": 16,
}
EXPERTS = {"expert_count": 4, "expert_used_count": 2, "expert_feed_forward_length": 32}
STATE = {"ssm.conv_kernel": 4, "ssm.inner_size": 128, "ssm.state_size": 16}


def tensors(blocks: range | list[int], *names: str) -> list[str]:
    return [f"blk.{block}.{name}.weight" for block in blocks for name in names]


# Architecture, number of blocks, keys, tensors that have to be asked for.
RECIPES: list[tuple[str, int, dict[str, Any], list[str]]] = [
    ("gemma3", 7, {"attention.sliding_window": 300}, []),
    ("gpt-oss", 3, {"attention.sliding_window": 128} | EXPERTS, []),
    ("phi3", 2, {"attention.sliding_window": 300}, tensors(range(2), "attn_qkv")),
    ("gemma2", 2, {"attention.sliding_window": 300}, []),
    ("cohere2", 4, {"attention.sliding_window": 300, "logit_scale": 0.5}, []),
    ("plamo3", 8, {"attention.sliding_window": 128}, []),
    (
        "gemma4",
        8,
        {
            "attention.sliding_window": 128,
            "attention.sliding_window_pattern": [True, True, True, True, True, False, True, False],
            "attention.key_length": 32,
            "attention.value_length": 32,
            "attention.key_length_swa": 16,
            "attention.value_length_swa": 16,
            "attention.shared_kv_layers": 2,
            "embedding_length_per_layer_input": 16,
            "rope.dimension_count_swa": 16,
        },
        [],
    ),
    ("exaone4", 4, {"attention.sliding_window": 128}, []),
    ("smallthinker", 4, {"attention.sliding_window": 128, "expert_gating_func": 2} | EXPERTS, []),
    ("mamba2", 2, STATE | {"ssm.time_step_rank": 4, "ssm.group_count": 2}, []),
    (
        "rwkv7",
        2,
        {
            "wkv.head_size": 16,
            "token_shift_count": 2,
            "attention.decay_lora_rank": 8,
            "attention.iclr_lora_rank": 8,
            "attention.value_residual_mix_lora_rank": 8,
            "attention.gate_lora_rank": 8,
        },
        [],
    ),
    ("jamba", 4, STATE | {"attention.head_count_kv": [0, 0, 2, 0], "ssm.time_step_rank": 4}, []),
    ("lfm2", 4, {"attention.head_count_kv": [0, 2, 0, 2], "shortconv.l_cache": 3}, []),
    (
        "qwen35",
        4,
        STATE | {"ssm.time_step_rank": 8, "ssm.group_count": 4, "rope.dimension_sections": [4, 4, 0, 0]},
        [*tensors([3], "attn_q", "attn_k", "attn_v"), *tensors(range(3), "attn_qkv", "attn_gate")],
    ),
    (
        "deepseek2",
        2,
        {
            "attention.head_count_kv": 1,
            "attention.key_length": 80,
            "attention.value_length": 64,
            "attention.key_length_mla": 48,
            "attention.value_length_mla": 32,
            "attention.kv_lora_rank": 64,
            "attention.q_lora_rank": 32,
            "leading_dense_block_count": 1,
            "expert_shared_count": 1,
            "expert_weights_scale": 1.0,
        }
        | EXPERTS,
        [],
    ),
]


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """The models of all recipes in one folder, and what llama.cpp took for each."""
    folder = tmp_path_factory.mktemp("grown")
    recipes = [
        {"architecture": name, "keys": USUAL | {"block_count": blocks} | keys, "wanted": wanted}
        for name, blocks, keys, wanted in RECIPES
    ]
    command = [sys.executable, "-m", "tests.core.models.grown_models", str(folder), json.dumps(recipes)]
    output = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=300)
    return folder, [json.loads(line) for line in output.stdout.splitlines()]


@pytest.mark.parametrize("number", range(len(RECIPES)), ids=[recipe[0] for recipe in RECIPES])
def test_cache_and_states_are_llama_cpps(grown, number):
    folder, taken = grown
    header = read_header(folder / f"{RECIPES[number][0]}.gguf")
    guess = estimate(header, LoadOptions(context=1024, batch=64, parallel=3))
    rounding = 0.011  # llama.cpp prints hundredths of a MiB, for one or two caches
    assert guess.kv_bytes / 2**20 == pytest.approx(taken[number]["kv_mib"], abs=rounding)
    assert guess.state_bytes / 2**20 == pytest.approx(taken[number]["state_mib"], abs=rounding)
    assert header.supports_truncation is taken[number]["supports_truncation"]
