"""The machine is asked, with and without the native library, and nothing depends on a GPU."""

import logging
import sys
from pathlib import Path

import psutil
import pytest

from baton_reasoning.core.models import ggml_backends
from baton_reasoning.core.models.devices import (
    Device,
    DeviceKind,
    ask_in_a_process,
    disk_free,
    find_devices,
    ggml_devices,
    offloaded_to,
)


def test_ram_is_what_the_system_says() -> None:
    found = find_devices()
    assert found.ram_total == psutil.virtual_memory().total
    assert 0 < found.ram_free <= found.ram_total


def test_ggml_names_the_cpu_and_its_memory() -> None:
    cpu = next(device for device in ggml_devices() if device.kind is DeviceKind.CPU)
    assert cpu.name == "CPU"
    assert cpu.total_bytes > 2**30
    assert not cpu.shares_ram


def test_a_process_of_its_own_sees_the_same() -> None:
    names = [(device.name, device.kind) for device in ggml_devices()]
    assert [(device.name, device.kind) for device in ask_in_a_process()] == names


def test_a_missing_native_library_means_no_gpu(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ggml_backends.registry.cache_clear()
    ggml_backends.log_quietly.cache_clear()
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with caplog.at_level(logging.WARNING):
        assert ggml_devices() == ()
    assert "as if there were no GPU" in caplog.text


def test_disk_space_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    here = psutil.disk_usage(str(tmp_path))
    assert 0 < disk_free(tmp_path / "models" / "new") <= here.total


def test_an_integrated_gpu_counts_only_where_there_is_no_other() -> None:
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
