"""What the machine has, how much memory a model takes, where it would lie, and the pairs that fit."""

import ctypes
import os
import re
import sys
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from itertools import accumulate
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import llama_cpp
import psutil
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import check_catalog
from baton_reasoning.core.child_process import run_in_subprocess
from baton_reasoning.core.models.catalog import PublishedResult, catalog, catalog_models
from baton_reasoning.core.models.devices import (
    Device,
    DeviceKind,
    Devices,
    ask_in_a_process,
    backend_names,
    disk_free,
    find_devices,
    ggml_devices,
    has_gpu_backend,
    offloaded_to,
    registry,
)
from baton_reasoning.core.models.fit import (
    GIB,
    MARGIN_BYTES,
    FitKind,
    estimate,
    fit,
    fit_together,
    fit_with_layers,
    rough_shape,
)
from baton_reasoning.core.models.gguf import Block, ModelShape, read_header
from baton_reasoning.core.models.hub import Hub
from baton_reasoning.core.models.load_options import KvType, LoadOptions, Switch
from baton_reasoning.core.models.preferences import HubAccess
from tests.core.models.gguf_builder import RECIPES, grow, loaded, logging_llama
from tests.core.models.hub_server import running_hub
from tests.patience import PATIENCE

# What the machine has


def test_ggml_names_the_cpu_in_this_process_and_another_and_nothing_without_its_library(monkeypatch, caplog):
    machine = find_devices()
    assert 0 < machine.ram_free <= machine.ram_total == psutil.virtual_memory().total
    names = [(device.name, device.kind) for device in ggml_devices()]
    assert [(device.name, device.kind) for device in ask_in_a_process()] == names
    assert "CPU" in backend_names()
    cpu = next(device for device in ggml_devices() if device.kind is DeviceKind.CPU)
    assert cpu.name == "CPU"
    assert cpu.total_bytes >= cpu.free_bytes > 0
    assert not cpu.shares_ram
    registry.cache_clear()
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    assert ggml_devices() == ()
    assert "as if there were no GPU" in caplog.text


class OnlyItsOwn:
    """A library as Windows loads it, with the functions that it defines itself and none of its dependencies'."""

    def __init__(self, name: str) -> None:
        self._stem = Path(name).stem

    def __getattr__(self, name: str) -> Any:
        function, found = getattr(llama_cpp.llama_cpp._lib, name), (ctypes.c_char_p * 4)()  # Dl_info
        assert ctypes.pythonapi.dladdr(function, found)
        if Path(os.fsdecode(found[0] or b"")).name.split(".")[0] != f"lib{self._stem}":
            raise AttributeError(f"function {name!r} not found")
        return function


@pytest.mark.skipif(os.name != "posix", reason="dladdr tells which library a function is from")
def test_each_function_of_ggml_is_taken_from_the_library_that_defines_it(monkeypatch):
    expected = ggml_devices()
    monkeypatch.setattr(ctypes, "CDLL", OnlyItsOwn)
    monkeypatch.setattr(sys, "platform", "win32")
    registry.cache_clear()
    try:
        found, names = ggml_devices(), backend_names()
    finally:
        registry.cache_clear()
    assert [replace(device, free_bytes=0) for device in found] == [replace(device, free_bytes=0) for device in expected]
    assert "CPU" in names


def test_the_free_space_is_that_of_the_nearest_folder_for_windows_knows_no_disk_of_a_file(tmp_path, monkeypatch):
    asked = list[str]()

    def usage(path):
        asked.append(path)
        if not os.path.isdir(path):  # noqa: PTH112 - as the system is asked: with a string
            raise NotADirectoryError(267, "The directory name is invalid", path)
        return Mock(free=7)

    monkeypatch.setattr(psutil, "disk_usage", usage)
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "new" / "models", tmp_path / "file", tmp_path / "file" / "models"):
        assert disk_free(folder) == 7
    assert set(asked) == {str(tmp_path)}


def test_an_integrated_gpu_counts_only_where_there_is_no_other():
    kinds = (DeviceKind.CPU, DeviceKind.INTEGRATED_GPU, DeviceKind.GPU)
    cpu, integrated, gpu = (Device("", "", kind, 8, 8) for kind in kinds)
    empty = replace(gpu, total_bytes=0)
    assert offloaded_to([cpu, integrated, gpu, empty]) == (gpu,)
    assert offloaded_to([cpu, integrated, empty]) == (integrated,)
    assert offloaded_to([cpu]) == ()
    assert integrated.shares_ram


@pytest.mark.parametrize(
    ("libraries", "expected"),
    [
        ("libggml.so libggml-base.so libggml-cpu.so libggml-cpu.so.0.25.3 libggml-blas.so", False),
        ("ggml.dll ggml-base.dll ggml-cpu.dll ggml-vulkan.dll", True),
    ],
)
def test_a_gpu_backend_shows_by_its_library_or_a_variable_that_names_it(tmp_path, monkeypatch, libraries, expected):
    for name in libraries.split():
        (tmp_path / name).touch()
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    assert has_gpu_backend() is expected
    monkeypatch.setenv("GGML_BACKEND_PATH", "/somewhere/libggml-vulkan.so")
    assert has_gpu_backend()


def registries_devices_and_words():
    """Count the files named libggml.so… in the memory of this process (Linux only), and quote llama.cpp."""
    with redirect_stderr(StringIO()) as said:
        number = len(ggml_devices())
        loaded(Path("nowhere.gguf"))
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else ["/libggml.so"]
    return len({Path(line.split()[-1]).resolve() for line in lines if "libggml.so" in line}), number, said.getvalue()


def test_llama_cpp_and_baton_share_one_registry_which_a_broken_plug_in_leaves_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("GGML_BACKEND_PATH", str(tmp_path / "libggml-nothing.so"))
    assert run_in_subprocess(registries_devices_and_words, seconds=PATIENCE) == (1, 1, "")


# What llama.cpp itself says it allocated, asked in a process of its own


def opened(model, options):
    """Open a context as the local engine does."""
    wanted = llama_cpp.llama_context_default_params()
    wanted.n_ctx, wanted.n_seq_max, wanted.kv_unified = options.context * options.parallel, options.parallel, True
    wanted.n_batch = wanted.n_ubatch = options.batch
    wanted.type_k = wanted.type_v = options.kv_type.value
    wanted.flash_attn_type = 0 if options.flash_attention is Switch.OFF else -1  # off, or automatic
    return llama_cpp.llama_init_from_model(model, wanted)


def buffers(log):
    """Bytes by kind, over all devices and caches, without what a CPU repacks: its pages can be given back."""
    sums = dict.fromkeys(("model", "KV", "RS", "compute"), 0.0)
    for name, kind, size in re.findall(r"(\S+) (model|KV|RS|compute) buffer size\s*=\s*([\d.]+) MiB", "".join(log)):
        if name != "AMX" and not name.endswith("_REPACK"):
            sums[kind] += float(size) * 2**20
    return sums


OPTIONS = [
    LoadOptions(context=512),
    LoadOptions(context=3000, batch=64, kv_type=KvType.Q8_0),
    LoadOptions(context=2048, parallel=8, batch=128),
    LoadOptions(context=8192, batch=128, kv_type=KvType.Q4_0),
    LoadOptions(context=8192, flash_attention=Switch.OFF),
    LoadOptions(context=8192, batch=256, flash_attention=Switch.OFF),
]


def memory_taken(path, choices):
    """Return, for each of the options, the bytes by kind; and whether what the model keeps can be truncated."""
    log, _keep = logging_llama()
    model = loaded(path)
    of_the_model, taken = sum(buffers(log).values()), []
    for options in choices:
        log.clear()
        context = opened(model, options)
        taken.append(buffers(log) | {"model": of_the_model})
        llama_cpp.llama_free(context)
    is_cut = not (llama_cpp.llama_model_is_recurrent(model) or llama_cpp.llama_model_is_hybrid(model))
    llama_cpp.llama_model_free(model)
    return taken, is_cut


@pytest.mark.real_models
@pytest.mark.parametrize("name", ["smollm2", "gemma"])
def test_within_a_tenth_of_what_llama_cpp_takes(name, request):
    model = request.getfixturevalue(name)
    found, _ = run_in_subprocess(memory_taken, model, OPTIONS, seconds=PATIENCE)
    for options, taken in zip(OPTIONS, found, strict=True):
        guess = estimate(read_header(model), options)
        assert guess.kv_bytes == pytest.approx(taken["KV"], rel=0.01), options
        assert guess.compute_bytes == pytest.approx(taken["compute"], rel=0.1), options
        assert guess.total_bytes == pytest.approx(sum(taken.values()), rel=0.1), options


OF_A_GROWN_MODEL = LoadOptions(context=1024, batch=64, parallel=3)


def memory_of_grown_models(folder):
    return [memory_taken(grow(folder, architecture), [OF_A_GROWN_MODEL]) for architecture in RECIPES]


@pytest.mark.slow
def test_caches_and_states_of_every_kind_of_architecture_are_llama_cpps(tmp_path):
    rounding = 0.011 * 2**20  # llama.cpp prints hundredths of a MiB, for one or two caches
    found = run_in_subprocess(memory_of_grown_models, tmp_path, seconds=3 * PATIENCE)
    for architecture, ((taken,), is_cut) in zip(RECIPES, found, strict=True):
        header = read_header(tmp_path / f"{architecture}.gguf")
        guess = estimate(header, OF_A_GROWN_MODEL)
        assert guess.kv_bytes == pytest.approx(taken["KV"], abs=rounding), architecture
        assert guess.state_bytes == pytest.approx(taken["RS"], abs=rounding), architecture
        assert header.supports_truncation is is_cut, architecture


def test_an_estimate_is_the_sum_of_its_parts():
    model = ModelShape(10_000, (Block(2000, 128, 300), Block(3000, 128)), 1000, False, 64, 96, 500, context_length=1024)
    guess = estimate(model, LoadOptions(context=257, parallel=2))
    cells = 768  # 514, rounded up to a multiple of 256
    assert (guess.kv_bytes, guess.state_bytes) == (cells * (128 + 128) * 2, 600)
    assert guess.compute_bytes == 4 * 512 * (500 + 2 * 64)
    assert guess.block_bytes == (2000 + cells * 128 * 2 + 600, 3000 + cells * 128 * 2)
    assert guess.output_bytes == 10_000 - 5000 - 1000
    assert guess.total_bytes == 10_000 + guess.kv_bytes + guess.state_bytes + guess.compute_bytes
    assert estimate(model, LoadOptions(context=65_536)) == estimate(model, LoadOptions(context=1024)), "as trained"
    assert estimate(replace(model, output_is_tied=True), LoadOptions()).output_bytes == 5000
    wide = replace(model, feed_forward_length=9999, head_count=4, context_length=0)
    assert estimate(wide, LoadOptions()).compute_bytes == 4 * 512 * 2 * (9999 + 64)
    assert estimate(rough_shape(100), LoadOptions()).total_bytes > 0, "the tiniest file has a block"


# Where it fits


def needs(gib, context=8192, kv_type=KvType.F16, blocks=32, tied=False):
    """What a model of `gib` GiB takes, of the proportions of a 7B: 1/16 embedding, 1/16 output, the rest blocks."""
    size = round(gib * GIB)
    embedding = size // 16
    block = Block((size - 2 * embedding) // blocks, 2048)
    shape = ModelShape(size, (block,) * blocks, embedding, tied, 4096, 14336, 128_000)
    return estimate(shape, LoadOptions(context=context, kv_type=kv_type))


def machine(ram, *gpus, kind=DeviceKind.GPU):
    sizes = [round(size * GIB) for size in gpus]
    devices = tuple(Device("GPU", "a GPU", kind, size, size) for size in sizes)
    return Devices(round(2 * ram * GIB), round(ram * GIB), devices)


SIZES = st.floats(0, 20)
MODELS = st.builds(
    needs, st.floats(0.1, 16), st.integers(256, 65_536), st.sampled_from(KvType), st.integers(1, 40), st.booleans()
)
KINDS = st.sampled_from([DeviceKind.GPU, DeviceKind.INTEGRATED_GPU])
MACHINES = st.builds(lambda ram, gpus, kind: machine(ram, *gpus, kind=kind), SIZES, st.lists(SIZES, max_size=2), KINDS)


@pytest.mark.scaled
@given(MODELS, MACHINES)
@example(needs(4), machine(8, 1.6))  # one layer, which does not pay
@example(needs(4), machine(8, 1.7))  # two
def test_the_place_is_that_of_a_naive_count_beside_the_margins(model, devices):
    place = fit(model, devices)
    layers = [model.output_bytes, *reversed(model.block_bytes)]
    in_ram = max(devices.ram_free - MARGIN_BYTES, 0)
    shares = any(gpu.shares_ram for gpu in devices.gpus)
    free = [min(gpu.free_bytes, devices.ram_free) if shares else gpu.free_bytes for gpu in devices.gpus]
    room = [left for each in free if (left := each - MARGIN_BYTES - model.compute_bytes) > 0]
    # Up to one block is lost for each further GPU.
    capacity = sum(room) - (len(room) - 1) * max(model.block_bytes) if room else 0
    most = sum(taken <= max(capacity, 0) for taken in accumulate(layers))
    on_gpu, beside = sum(layers[:most]), model.total_bytes - sum(layers[1:most])
    if most == len(layers):
        whole = on_gpu + model.compute_bytes, model.shape.token_embedding_bytes
        expected = (FitKind.WHOLE_ON_GPU, most, *whole)
    elif most > 1 and beside + (on_gpu if shares else 0) <= in_ram:
        expected = (FitKind.SPLIT, most, on_gpu + model.compute_bytes, beside)
    else:
        kind = FitKind.RAM_ONLY if model.total_bytes <= in_ram else FitKind.DOES_NOT_FIT
        expected = (kind, 0, 0, model.total_bytes)
    assert (place.kind, place.layers, place.gpu_bytes, place.ram_bytes) == expected
    more = replace(devices, ram_free=devices.ram_free + GIB)
    assert fit(model, more).kind.value <= place.kind.value, "more memory harms nobody"


@pytest.mark.parametrize(
    ("model", "devices", "advice"),
    [
        (needs(4), machine(8), "The model fits into RAM (5.3 GiB of 8.0 GiB free)."),
        (needs(4), machine(8, 8), "The whole model fits on the GPU (5.0 GiB)."),
        (needs(4), machine(8, 6), "32 of 33 layers fit on the GPU; with a q8_0 KV cache it would fit on the GPU."),
        (needs(8), machine(8, 6), "17 of 33 layers fit on the GPU."),
        (needs(4), machine(6), "It needs 5.3 GiB and 5.0 GiB can be used; with a q8_0 KV cache it would fit."),
        (needs(4, 65_536), machine(9.3), "; with a context of 32,768 tokens it would fit."),
        (needs(4, 65_536), machine(8), "; with a context of 32,768 tokens and a q8_0 KV cache it would fit."),
        (needs(4, 65_536, KvType.Q8_0), machine(6), "; with a context of 8,192 tokens it would fit."),
        (needs(4), machine(4), "can be used; choose a smaller quantisation or model, with a file of at most 2.6 GiB."),
        (needs(4), machine(1), "0 MiB can be used; close other programs, or use a model on another machine."),
    ],
)
def test_the_advice_names_the_least_change_that_helps(model, devices, advice):
    assert fit(model, devices).advice.endswith(advice)


def test_a_pair_shares_the_machine():
    small, large = fit_together([needs(2), needs(4)], machine(8, 6))
    assert (small.kind, large.kind) == (FitKind.WHOLE_ON_GPU, FitKind.SPLIT)
    assert large.layers < fit(needs(4), machine(8, 6)).layers

    def fits(devices):
        return all(place.fits for place in fit_together([needs(3), needs(4)], devices))

    assert not fits(machine(8)), "each alone would"
    integrated = machine(8, 12, kind=DeviceKind.INTEGRATED_GPU)
    assert not fits(integrated), "it shares the RAM"
    assert fits(replace(integrated, ram_free=16 * GIB))


def test_layers_by_hand_are_counted_as_llama_cpp_does():
    model, devices = needs(4), machine(8, 6)
    place = fit_with_layers(model, devices, 10)
    on_gpu = sum(model.block_bytes[-9:])
    assert (place.kind, place.layers) == (FitKind.SPLIT, 10)
    assert place.gpu_bytes == model.output_bytes + on_gpu + model.compute_bytes
    assert place.ram_bytes == model.total_bytes - on_gpu
    assert place.advice == "10 layers take 1.8 GiB of the GPU, the rest 4.0 GiB of RAM."
    most = fit(model, machine(8, 4)).layers
    assert fit_with_layers(model, machine(8, 4), most).kind is FitKind.SPLIT
    place = fit_with_layers(model, machine(8, 4), most + 1)
    assert (place.kind, 0 < most < 33) == (FitKind.DOES_NOT_FIT, True)
    assert f"Automatic: {most} of 33 layers fit on the GPU" in place.advice
    assert fit_with_layers(model, machine(8, 8), 99) == fit(model, machine(8, 8))
    assert fit_with_layers(model, machine(4), 20) == fit(model, machine(4)), "no GPU is in use"
    place = fit_with_layers(needs(8), machine(6, 7), 2)
    assert place.kind is FitKind.DOES_NOT_FIT, "the RAM has too little for the rest"
    assert place.advice.startswith("It does not fit with 2 layers on the GPU. Automatic: ")


# The catalog


def test_a_pair_has_a_source_where_somebody_published_its_figures():
    for pair in catalog():
        assert pair.small.bytes < pair.large.bytes
        assert bool(pair.source) is (pair.evidence is not PublishedResult.UNTESTED)


@pytest.mark.parametrize("model", catalog_models().values(), ids=catalog_models())
def test_a_model_says_where_it_is_its_parts_make_up_its_file_and_its_memory_is_guessed_from_that_alone(model):
    assert model.licence
    assert model.hub_file.quantisation in ("Q4_K_M", "UD-Q4_K_M", "MXFP4"), "a label that the repository lists"
    assert model.name.split("-")[0] in model.repository
    needed = estimate(model.shape, LoadOptions()).total_bytes
    for shape in (model.shape, rough_shape(model.bytes), rough_shape(model.bytes, model.parameters)):
        assert estimate(shape, LoadOptions()).total_bytes == pytest.approx(needed, rel=0.35, abs=350e6)
        outside = shape.token_embedding_bytes * (1 if shape.output_is_tied else 2)
        blocks = sum(block.tensor_bytes for block in shape.blocks)
        assert 0.99 * model.bytes < blocks + outside <= model.bytes
        assert blocks > 0.7 * model.bytes or shape is not model.shape, "4-bit files have 4.5 to 5.2 bits a weight"


def test_a_hybrid_keeps_a_quarter_of_the_cache_and_of_experts_only_the_active_are_read():
    hybrid = estimate(catalog_models()["qwen3.6-27b"].shape, LoadOptions(context=16_384))
    assert hybrid.kv_bytes == 16 * 2 * 4 * 256 * 2 * 16_384
    assert hybrid.state_bytes > 0
    experts, dense = catalog_models()["gpt-oss-120b"], catalog_models()["r1-qwen-7b"]
    assert experts.active_bytes / experts.bytes == pytest.approx(5.1 / 116.8, rel=0.01)
    assert dense.active_bytes == dense.bytes


def test_the_catalog_is_held_against_the_hub(monkeypatch, capsys):
    model = catalog()[0].small.model_copy(update={"bytes": 100})
    with running_hub() as hub:
        for file, size, fault in (
            ("other-Q4_K_M.gguf", 100, f"has no file {model.file}"),
            (model.file, 150, "has 150 bytes, and the catalog states 100"),
            (model.file, 100, ""),
        ):
            hub.files = {model.repository: {file: b"x" * size}}
            found = "".join(check_catalog.compare(Hub(HubAccess(hub.endpoint)), [model]))
            assert fault in found
            assert bool(fault) is bool(found)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    assert check_catalog.main() == 0
    assert "was not checked" in capsys.readouterr().out
