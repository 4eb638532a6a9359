"""What the machine has, how much memory a model takes, where it would lie, and the pairs that fit."""

import re
import sys
from contextlib import redirect_stderr
from dataclasses import replace
from io import StringIO
from itertools import accumulate
from pathlib import Path
from typing import Any

import llama_cpp
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

import check_catalog
from baton_reasoning.core.child_process import run_in_subprocess
from baton_reasoning.core.models.catalog import PublishedResult, catalog, catalog_models, pairs_that_fit
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
    in_gib,
    rough_shape,
)
from baton_reasoning.core.models.gguf import Block, ModelShape, read_header
from baton_reasoning.core.models.hub import Hub
from baton_reasoning.core.models.options import HubAccess, KvType, LoadOptions, Switch
from tests.core.models.gguf_builder import RECIPES, grow, loaded, logging_llama
from tests.core.models.hub_server import running_hub
from tests.patience import PATIENCE

# What the machine has


def test_memory_is_what_the_system_says(tmp_path):
    found = find_devices()
    assert found.ram_total == psutil.virtual_memory().total
    assert 0 < found.ram_free <= found.ram_total
    assert 0 < disk_free(tmp_path / "models" / "new") <= psutil.disk_usage(str(tmp_path)).total, "need not exist yet"


def test_ggml_names_the_cpu_in_this_process_and_another_and_nothing_without_its_library(monkeypatch, caplog):
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
        ("libggml.dylib libggml-base.dylib libggml-cpu.dylib libggml-metal.dylib", True),
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


def copies_and_devices():
    """Count the files named libggml.so… that this process has in memory (Linux only), and the devices."""
    number = registry().ggml_backend_dev_count()
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else ["/libggml.so"]
    return len({Path(line.split()[-1]).resolve() for line in lines if "libggml.so" in line}), number


def said_of_a_missing_model():
    """Return what llama.cpp prints after the devices were asked for."""
    with redirect_stderr(StringIO()) as said:
        ggml_devices()
        llama_cpp.llama_model_load_from_file(b"nowhere.gguf", llama_cpp.llama_model_default_params())
    return said.getvalue()


def test_llama_cpp_and_baton_share_one_registry_which_a_broken_plug_in_leaves_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("GGML_BACKEND_PATH", str(tmp_path / "libggml-nothing.so"))
    assert run_in_subprocess(copies_and_devices, seconds=60) == (1, 1)
    assert run_in_subprocess(said_of_a_missing_model, seconds=60) == ""


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


# By hand


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
    scored = estimate(wide, LoadOptions(flash_attention=Switch.OFF))
    assert scored.compute_bytes == 4 * 512 * (5 * 8192 + 5 * 64)


@pytest.mark.parametrize("model", catalog_models().values(), ids=catalog_models())
def test_memory_guessed_from_the_size_of_a_file_is_near_the_true_one(model):
    true = estimate(model.shape, LoadOptions()).total_bytes
    for parameters in (None, model.parameters):
        guess = rough_shape(model.bytes, parameters)
        assert estimate(guess, LoadOptions()).total_bytes == pytest.approx(true, rel=0.35)
        parts = sum(block.tensor_bytes for block in guess.blocks) + 2 * guess.token_embedding_bytes
        assert 0.99 * model.bytes < parts <= model.bytes
    assert estimate(rough_shape(100), LoadOptions()).total_bytes > 0


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


@pytest.mark.scaled
@given(MODELS, MACHINES)
def test_the_change_that_is_advised_helps_and_none_before_it_does(model, devices):
    place = fit(model, devices)
    wanted = FitKind.WHOLE_ON_GPU if place.kind is FitKind.SPLIT else FitKind.RAM_ONLY
    if not (advised := re.search(r"with (a .+) it would fit( on the GPU)?\.$", place.advice)):
        assert (
            place.kind in (FitKind.WHOLE_ON_GPU, FitKind.RAM_ONLY)
            or "on the GPU." in place.advice
            or ("choose a smaller" in place.advice or "close other programs" in place.advice)
        )
        return
    assert bool(advised[2]) is (wanted is FitKind.WHOLE_ON_GPU)
    context = re.search(r"[\d,]{4,}", advised[1])
    changes: dict[str, Any] = {"context": int(context[0].replace(",", ""))} if context else {}
    changes |= {"kv_type": KvType.Q8_0} if "q8_0" in advised[1] else {}
    tries = [changes]
    if context and "q8_0" in advised[1]:
        tries += [{"context": changes["context"]}]
    if context and changes["context"] * 2 < model.options.context:
        tries += [changes | {"context": changes["context"] * 2}]
    kinds = [fit(estimate(model.shape, model.options.model_copy(update=each)), devices).kind.value for each in tries]
    assert kinds[0] <= wanted.value < min([*kinds[1:], FitKind.DOES_NOT_FIT.value])


@pytest.mark.parametrize(
    ("devices", "advice"),
    [
        (machine(8), "The model fits into RAM (5.3 GiB of 8.0 GiB free)."),
        (machine(8, 8), "The whole model fits on the GPU (5.0 GiB)."),
        (machine(8, 6), "32 of 33 layers fit on the GPU; with a q8_0 KV cache it would fit on the GPU."),
        (machine(6), "It needs 5.3 GiB and 5.0 GiB can be used; with a q8_0 KV cache it would fit."),
        (machine(4), "can be used; choose a smaller quantisation or model, with a file of at most 2.6 GiB."),
        (machine(1), "0 MiB can be used; close other programs, or use a model on another machine."),
    ],
)
def test_the_advice_is_a_sentence(devices, advice):
    assert fit(needs(4), devices).advice.endswith(advice)


def test_a_gpu_is_used_for_two_layers_and_not_for_one():
    model = needs(4)
    gpu = (model.output_bytes + model.block_bytes[-1] + model.compute_bytes + MARGIN_BYTES) / GIB
    assert fit(model, machine(8, gpu)).layers == 2
    assert fit(model, machine(8, gpu - 1 / GIB)).kind is FitKind.RAM_ONLY


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


def test_sizes_are_shown_as_people_read_them():
    assert list(map(in_gib, (0, 120 * 2**10, 2**20, 3 * 2**29))) == ["0 MiB", "120 KiB", "1 MiB", "1.5 GiB"]


# The catalog


def test_a_pair_has_a_source_where_somebody_published_its_figures():
    assert sum(pair.evidence is not PublishedResult.UNTESTED for pair in catalog()) == 7, "those of the paper"
    for pair in catalog():
        assert pair.small.bytes < pair.large.bytes
        assert pair.bytes == pair.small.bytes + pair.large.bytes
        assert bool(pair.source) is (pair.evidence is not PublishedResult.UNTESTED)


@pytest.mark.parametrize("model", catalog_models().values(), ids=catalog_models())
def test_a_model_says_where_it_is_and_its_blocks_and_embedding_make_up_the_file(model):
    assert model.repository.count("/") == 1
    assert model.licence
    assert model.hub_file.quantisation in ("Q4_K_M", "UD-Q4_K_M", "MXFP4"), "a label that the repository lists"
    assert model.name.split("-")[0] in model.repository
    outside = model.shape.token_embedding_bytes * (1 if model.shape.output_is_tied else 2)
    blocks = sum(block.tensor_bytes for block in model.shape.blocks)
    assert 0.99 * model.bytes < blocks + outside <= model.bytes
    # 4-bit files have between 4.5 and 5.2 bits a weight, so the blocks hold most of the file.
    assert blocks > 0.7 * model.bytes


def test_a_hybrid_keeps_a_quarter_of_the_cache_and_of_experts_only_the_active_are_read():
    hybrid = estimate(catalog_models()["qwen3.6-27b"].shape, LoadOptions(context=16_384))
    assert hybrid.kv_bytes == 16 * 2 * 4 * 256 * 2 * 16_384
    assert hybrid.state_bytes > 0
    experts, dense = catalog_models()["gpt-oss-120b"], catalog_models()["r1-qwen-7b"]
    assert experts.active_bytes / experts.bytes == pytest.approx(5.1 / 116.8, rel=0.01)
    assert dense.active_bytes == dense.bytes


def test_pairs_that_fit_come_lightest_first_and_the_fewer_the_smaller_the_machine_or_the_longer_the_context():
    (fitting,) = pairs_that_fit(machine(10))
    assert fitting.pair.large.name == "DeepSeek-R1-Distill-Qwen-7B"
    assert pairs_that_fit(machine(4)) == ()
    sizes = [each.pair.bytes for each in pairs_that_fit(machine(64, 80))]
    assert sizes == sorted(sizes)
    assert len(sizes) == len(catalog())
    assert 2 < len(pairs_that_fit(machine(27), context=65_536)) < len(pairs_that_fit(machine(27), context=4096))


def test_the_catalog_is_held_against_the_hub(monkeypatch, capsys):
    model = catalog()[0].small.model_copy(update={"bytes": 100})
    with running_hub() as hub:
        for files, words in (
            ({}, model.name),
            ({"other-Q4_K_M.gguf": b"x"}, f"has no file {model.file}"),
            ({model.file: b"x" * 150}, "has 150 bytes, and the catalog states 100"),
        ):
            hub.files = {model.repository: files} if files else {}
            (fault,) = check_catalog.compare(Hub(HubAccess(hub.endpoint)), [model])
            assert words in fault
        hub.files = {model.repository: {model.file: b"x" * 100}}
        assert list(check_catalog.compare(Hub(HubAccess(hub.endpoint)), [model])) == []
    assert "✓" in capsys.readouterr().out
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    assert check_catalog.main() == 0
    assert "was not checked" in capsys.readouterr().out
