"""The machine is asked, with and without the native library, and nothing depends on a GPU."""

import logging
import sys
from pathlib import Path

import psutil
import pytest

from baton_reasoning.core.child_process import run_in_subprocess
from baton_reasoning.core.models import devices
from baton_reasoning.core.models.devices import (
    Device,
    DeviceKind,
    ask_in_a_process,
    backend_names,
    disk_free,
    find_devices,
    ggml_devices,
    has_gpu_backend,
    offloaded_to,
    registry,
)


def test_memory_is_what_the_system_says(tmp_path):
    found = find_devices()
    assert found.ram_total == psutil.virtual_memory().total
    assert 0 < found.ram_free <= found.ram_total
    assert 0 < disk_free(tmp_path / "models" / "new") <= psutil.disk_usage(str(tmp_path)).total, "need not exist yet"


def test_ggml_names_the_cpu_and_its_memory_and_a_process_of_its_own_sees_the_same():
    names = [(device.name, device.kind) for device in ggml_devices()]
    assert [(device.name, device.kind) for device in ask_in_a_process()] == names
    assert "CPU" in backend_names()
    cpu = next(device for device in ggml_devices() if device.kind is DeviceKind.CPU)
    assert cpu.name == "CPU"
    assert cpu.total_bytes >= cpu.free_bytes > 0
    assert not cpu.shares_ram


def test_a_missing_native_library_means_no_gpu(monkeypatch, caplog):
    devices.registry.cache_clear()
    devices.log_quietly.cache_clear()
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with caplog.at_level(logging.WARNING):
        assert ggml_devices() == ()
    assert "as if there were no GPU" in caplog.text


def test_an_integrated_gpu_counts_only_where_there_is_no_other():
    cpu, integrated, gpu, empty = (
        Device(kind.name, "", kind, size, size)
        for kind, size in (
            (DeviceKind.CPU, 9),
            (DeviceKind.INTEGRATED_GPU, 8),
            (DeviceKind.GPU, 7),
            (DeviceKind.GPU, 0),
        )
    )
    assert offloaded_to([cpu, integrated, gpu, empty]) == (gpu,)
    assert offloaded_to([cpu, integrated, empty]) == (integrated,)
    assert offloaded_to([cpu]) == ()
    assert integrated.shares_ram


@pytest.mark.parametrize(
    ("libraries", "expected"),
    [
        ("libggml.so libggml-base.so libggml-cpu.so libggml-cpu.so.0.25.3 libggml-blas.so", False),
        ("libggml.so libggml-base.so libggml-cpu.so libggml-cuda.so", True),
        ("libggml.dylib libggml-base.dylib libggml-cpu.dylib libggml-metal.dylib", True),
        ("ggml.dll ggml-base.dll ggml-cpu.dll ggml-vulkan.dll", True),
        ("ggml.dll ggml-base.dll ggml-cpu.dll", False),
    ],
)
def test_a_gpu_backend_shows_by_its_library_or_as_a_plug_in_that_a_variable_names(
    tmp_path, monkeypatch, libraries, expected
):
    for name in libraries.split():
        (tmp_path / name).touch()
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    assert has_gpu_backend() is expected
    monkeypatch.setenv("GGML_BACKEND_PATH", "/somewhere/libggml-vulkan.so")
    assert has_gpu_backend()


def test_llama_cpp_and_baton_share_one_registry_in_which_a_plug_in_that_cannot_be_loaded_leaves_the_cpu(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("GGML_BACKEND_PATH", str(tmp_path / "libggml-nothing.so"))
    assert run_in_subprocess(copies_and_devices, seconds=60) == (1, 1)


def copies_and_devices():
    """Count the files named libggml.so… that this process has in memory (Linux only), and the devices."""
    number = registry().ggml_backend_dev_count()
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return 1, number
    paths = {line.split()[-1] for line in maps.read_text().splitlines() if "libggml.so" in line}
    return len({Path(path).stat().st_ino for path in paths}), number
