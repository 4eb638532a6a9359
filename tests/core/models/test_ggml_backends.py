"""ggml's back ends: which are installed, and that llama.cpp and Baton ask the same registry."""

from pathlib import Path

import pytest

from baton_reasoning.core.child_process import answered_apart
from baton_reasoning.core.models.ggml_backends import has_gpu_backend, registry


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
def test_a_gpu_backend_shows_by_its_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, libraries: str, expected: bool
) -> None:
    for name in libraries.split():
        (tmp_path / name).touch()
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    assert has_gpu_backend() is expected


def test_a_plug_in_named_by_llama_cpps_variable_counts_as_a_gpu_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GGML_BACKEND_PATH", "/somewhere/libggml-vulkan.so")
    assert has_gpu_backend()


def test_llama_cpp_and_baton_share_one_registry() -> None:
    assert answered_apart(copies_of_ggml, seconds=60) == 1


def test_a_plug_in_that_cannot_be_loaded_leaves_the_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GGML_BACKEND_PATH", str(tmp_path / "libggml-nothing.so"))
    assert answered_apart(number_of_devices, seconds=60) == 1


def copies_of_ggml() -> int:
    """How many different files named libggml.so… this process has in memory after asking the registry. Linux only."""
    registry()
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return 1
    paths = {line.split()[-1] for line in maps.read_text().splitlines() if "libggml.so" in line}
    return len({Path(path).stat().st_ino for path in paths})


def number_of_devices() -> int:
    count: int = registry().ggml_backend_dev_count()
    return count
