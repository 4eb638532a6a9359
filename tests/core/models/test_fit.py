"""How much memory a model takes, where it would lie, and the change that would make it fit."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from baton_reasoning.core.models.devices import Device, DeviceKind, Devices
from baton_reasoning.core.models.fit import (
    GIB,
    FitKind,
    MemoryEstimate,
    estimate,
    fit,
    fit_pair,
    fit_with_layers,
    in_gib,
)
from baton_reasoning.core.models.gguf import Block, ModelShape, read_header
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
def test_within_a_tenth_of_what_llama_cpp_takes(name, request):
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


def test_cells_are_rounded_up_to_256():
    model = shape(Block(2000, 96))
    assert with_context(model, 256).kv_bytes == 256 * 96 * 2
    assert with_context(model, 257).kv_bytes == with_context(model, 512).kv_bytes == 512 * 96 * 2


def test_states_grow_with_sequences_and_not_with_the_context():
    model = shape(Block(2000, 0, state_bytes=300))
    assert with_context(model, 512, parallel=4).state_bytes == 1200
    assert with_context(model, 65536, parallel=4).kv_bytes == 0


def test_a_quantised_cache_is_smaller_by_its_block_size():
    model = shape(Block(2000, 128))
    full, quantised = (estimate(model, LoadOptions(kv_type=kind)) for kind in (KvType.F16, KvType.Q8_0))
    assert quantised.kv_bytes * 32 == full.kv_bytes * 17


def test_the_parts_of_a_gpu_add_up_to_the_whole():
    guess = with_context(shape(Block(2000, 128), Block(3000, 128)), 1024)
    assert sum(guess.block_bytes) == 5000 + guess.kv_bytes
    assert guess.output_bytes == 10_000 - 5000 - 1000


def test_the_same_model_can_be_estimated_again():
    guess = with_context(shape(Block(2000, 128)), 4096)
    assert estimate(guess.shape, guess.options) == guess


# Where it fits


def model(gib: float, *, blocks: int = 32, tied: bool = False) -> ModelShape:
    """A model of `gib` GiB, of the proportions of a 7B: 1/16 embedding, 1/16 output, the rest blocks."""
    size = round(gib * GIB)
    embedding = size // 16
    block = Block((size - 2 * embedding) // blocks, 2048)
    return ModelShape(size, (block,) * blocks, embedding, tied, 4096, 14336, 128_000)


def needs(gib: float, context: int = 8192, kv_type: KvType = KvType.F16) -> MemoryEstimate:
    return estimate(model(gib), LoadOptions(context=context, kv_type=kv_type))


def machine(ram: float, *gpus: float, kind: DeviceKind = DeviceKind.GPU) -> Devices:
    return Devices(
        ram_total=round(2 * ram * GIB),
        ram_free=round(ram * GIB),
        gpus=tuple(Device(f"GPU{size}", "a GPU", kind, round(size * GIB), round(size * GIB)) for size in gpus),
    )


def test_without_a_gpu_it_lies_in_ram():
    place = fit(needs(4), machine(8))
    assert (place.kind, place.layers, place.gpu_bytes) == (FitKind.RAM_ONLY, 0, 0)
    assert place.ram_bytes == needs(4).total_bytes
    assert place.advice == "The model fits into RAM (5.3 GiB of 8.0 GiB free)."


def test_a_margin_of_one_gib_is_kept_free():
    total = needs(4).total_bytes / GIB
    assert fit(needs(4), machine(total + 1.01)).kind is FitKind.RAM_ONLY
    assert fit(needs(4), machine(total + 0.99)).kind is FitKind.DOES_NOT_FIT


def test_a_large_gpu_takes_the_whole_model():
    place = fit(needs(4), machine(8, 8))
    assert (place.kind, place.layers) == (FitKind.WHOLE_ON_GPU, 33)
    assert place.gpu_bytes == needs(4).total_bytes - place.ram_bytes
    assert place.ram_bytes == model(4).token_embedding_bytes


def test_a_tied_output_is_copied_to_the_gpu():
    tied = estimate(model(4, tied=True), LoadOptions(context=8192))
    place = fit(tied, machine(8, 8))
    assert place.gpu_bytes == tied.total_bytes


def test_a_small_gpu_takes_some_layers_and_names_the_change_that_brings_in_the_rest():
    place = fit(needs(4), machine(8, 6))
    assert place.kind is FitKind.SPLIT
    assert place.layers == 32
    assert place.advice == "32 of 33 layers fit on the GPU; with a q8_0 KV cache it would fit on the GPU."


def test_the_layers_on_the_gpu_really_fit_there_and_more_gpu_never_means_fewer():
    for gpu in (3, 3.5, 4, 4.5, 5):
        place = fit(needs(4), machine(8, gpu))
        assert place.kind is FitKind.SPLIT
        assert place.gpu_bytes <= (gpu - 1) * GIB
    layers = [fit(needs(4), machine(8, gpu / 4)).layers for gpu in range(4, 32)]
    assert layers == sorted(layers)
    assert (layers[0], layers[-1]) == (0, 33)


def test_two_gpus_share_the_layers_and_one_that_is_full_already_is_left_alone():
    alone, together = fit(needs(8), machine(16, 6)), fit(needs(8), machine(16, 6, 8))
    assert alone.kind is FitKind.SPLIT
    assert together.kind is FitKind.WHOLE_ON_GPU
    assert fit(needs(4), machine(8, 0.5)).kind is FitKind.RAM_ONLY


def test_an_integrated_gpu_has_no_memory_of_its_own():
    devices = machine(6, 12, kind=DeviceKind.INTEGRATED_GPU)
    assert fit(needs(8), devices).kind is FitKind.DOES_NOT_FIT
    assert fit(needs(4), machine(8, 12, kind=DeviceKind.INTEGRATED_GPU)).kind is FitKind.WHOLE_ON_GPU


@pytest.mark.parametrize(
    ("ram", "usable", "change"),
    [
        (6.0, "5.0 GiB", "with a q8_0 KV cache it would fit."),
        (5.7, "4.7 GiB", "with a context of 4,096 tokens and a q8_0 KV cache it would fit."),
        (4.0, "3.0 GiB", "choose a smaller quantisation or model, with a file of at most 2.6 GiB."),
        (1.0, "0 MiB", "close other programs, or use a model on another machine."),
    ],
)
def test_what_does_not_fit_comes_with_the_smallest_change(ram, usable, change):
    place = fit(needs(4), machine(ram))
    assert place.kind is FitKind.DOES_NOT_FIT
    assert place.advice == f"It needs 5.3 GiB and {usable} can be used; {change}"


def test_the_advised_change_does_help():
    devices = machine(5.7)
    assert "4,096 tokens and a q8_0" in fit(needs(4), devices).advice
    assert fit(needs(4, 4096, KvType.Q8_0), devices).kind is FitKind.RAM_ONLY
    assert fit(needs(4, 4096), devices).kind is FitKind.DOES_NOT_FIT


def test_a_pair_shares_the_machine():
    pair = fit_pair(needs(2), needs(4), machine(8, 6))
    assert pair.small.kind is FitKind.WHOLE_ON_GPU
    assert pair.large.kind is FitKind.SPLIT
    assert pair.large.layers < fit(needs(4), machine(8, 6)).layers
    assert pair.fits


def test_a_pair_does_not_fit_where_each_alone_would():
    integrated = machine(8, 12, kind=DeviceKind.INTEGRATED_GPU)
    assert not fit_pair(needs(3), needs(4), integrated).fits, "it shares the RAM"
    assert fit_pair(needs(3), needs(4), replace(integrated, ram_free=16 * GIB)).fits
    devices = machine(8)
    assert fit(needs(3), devices).kind is fit(needs(4), devices).kind is FitKind.RAM_ONLY
    assert not fit_pair(needs(3), needs(4), devices).fits


def test_sizes_are_shown_as_people_read_them():
    assert (in_gib(3 * GIB // 2), in_gib(310 * 2**20)) == ("1.5 GiB", "310 MiB")


def test_layers_by_hand_that_the_gpu_holds_are_counted_as_llama_cpp_does():
    place = fit_with_layers(needs(4), machine(8, 6), 10)
    blocks = needs(4).block_bytes
    assert (place.kind, place.layers) == (FitKind.SPLIT, 10)
    assert place.gpu_bytes == needs(4).output_bytes + sum(blocks[-9:]) + needs(4).compute_bytes
    assert place.ram_bytes == needs(4).total_bytes - sum(blocks[-9:])


def test_layers_by_hand_that_do_not_fit_name_how_many_would():
    most = fit(needs(4), machine(8, 4)).layers
    assert 0 < most < 33
    place = fit_with_layers(needs(4), machine(8, 4), 33)
    assert place.kind is FitKind.DOES_NOT_FIT
    assert place.advice.endswith(f"at most {most} would fit.")
    assert fit_with_layers(needs(4), machine(8, 4), most).kind is FitKind.SPLIT


def test_too_few_layers_by_hand_leave_too_much_for_the_ram():
    place = fit_with_layers(needs(8), machine(6, 7), 2)
    assert place.kind is FitKind.DOES_NOT_FIT
    assert f"with {fit(needs(8), machine(6, 7)).layers} layers on the GPU it would fit" in place.advice


def test_without_a_gpu_layers_make_no_difference():
    place = fit_with_layers(needs(4), machine(8), 20)
    assert (place.kind, place.layers) == (FitKind.RAM_ONLY, 0)
    assert place.advice.startswith("No GPU is in use")
