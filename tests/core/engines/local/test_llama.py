"""What llama.cpp says while it loads, summed up by device, and the size of its chunks."""

import pytest

from baton_reasoning.core.engines.base import DeviceShare
from baton_reasoning.core.engines.local.llama import LoadingLog, chunk_for
from baton_reasoning.core.models.gguf import read_header

MIB = 2**20
SPLIT = """
load_tensors: layer   0 assigned to device CPU, is_swa = 0
load_tensors: layer   1 assigned to device CUDA0, is_swa = 0
load_tensors: layer   2 assigned to device CUDA0, is_swa = 1
load_tensors: layer   3 assigned to device CUDA1, is_swa = 0
load_tensors:   CPU_Mapped model buffer size =   100.50 MiB
load_tensors:    CUDA_Host model buffer size =     2.00 MiB
load_tensors:        CUDA0 model buffer size =  4460.45 MiB
load_tensors:        CUDA1 model buffer size =   512.00 MiB
llama_context:  CUDA_Host  output buffer size =     1.00 MiB
llama_kv_cache:        CPU KV buffer size =     4.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =     8.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =    16.00 MiB
llama_memory_recurrent:      CUDA1 RS buffer size =     2.00 MiB
llama_kv_cache_dsv4:      CUDA1 DSV4 csa state buffer size =     1.00 MiB
sched_reserve:      CUDA0 compute buffer size =   900.00 MiB
sched_reserve:      CUDA0 compute buffer size =   304.00 MiB
sched_reserve:      CUDA1 compute buffer size =   200.00 MiB
sched_reserve:  CUDA_Host compute buffer size =    10.00 MiB
""".splitlines()


def heard(lines: list[str]) -> LoadingLog:
    log = LoadingLog()
    for line in lines:
        log.hear(line)
    return log


def test_each_gpu_and_the_machines_memory_have_their_layers_and_bytes():
    assert heard(SPLIT).shares(("CUDA0", "CUDA1")) == (
        DeviceShare("CUDA0", 2, round(4460.45 * MIB), 24 * MIB, 304 * MIB),
        DeviceShare("CUDA1", 1, 512 * MIB, 3 * MIB, 200 * MIB),
        DeviceShare("RAM", 1, round(102.5 * MIB), 4 * MIB, 11 * MIB, round(100.5 * MIB)),
    )


def test_on_metal_pages_of_the_file_are_the_gpus_own_weights():
    lines = ["load_tensors: layer 0 assigned to device MTL0, is_swa = 0"]
    lines += [
        "load_tensors: MTL0_Mapped model buffer size = 90.00 MiB",
        "sched_reserve: MTL0 compute buffer size = 5.00 MiB",
    ]
    gpu, ram = heard(lines).shares(("MTL0",))
    assert (gpu.layers, gpu.weights, gpu.mapped) == (1, 90 * MIB, 0)
    assert (ram.layers, ram.weights) == (0, 0)


def test_a_gpu_that_holds_nothing_is_not_named():
    assert [share.device for share in heard(SPLIT).shares(("CUDA0", "CUDA1", "Vulkan0"))] == ["CUDA0", "CUDA1", "RAM"]


@pytest.mark.real_models
def test_a_real_model_says_where_its_layers_and_its_cache_are(small_engine, smollm2):
    placement = small_engine.card.placement
    assert placement is not None
    shares = placement.shares  # RAM alone, or a GPU too
    header = read_header(smollm2)
    assert sum(share.layers for share in shares) == header.block_count + 1
    assert sum(share.weights for share in shares) >= 0.9 * header.tensor_bytes
    cache = 2048 * 2 * sum(block.cache_elements for block in header.blocks)
    assert sum(share.cache for share in shares) == cache
    assert all(share.compute > 0 for share in shares)
    assert placement.fallback == ""


@pytest.mark.parametrize(
    ("speed", "chunk"), [(5000.0, 512), (1000.0, 256), (300.0, 64), (30.0, 16), (1.0, 16)], ids=str
)
def test_chunks_are_as_large_as_a_device_reads_in_a_third_of_a_second(speed, chunk):
    assert chunk_for(speed, batch=512) == chunk
