"""A small GPU made of software, for `make test-gpu` (docs/install.md). Without its build no test here is collected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BUILD = os.environ.get("BATON_GPU_BUILD", "")
"""The folder that packaging/gpu/build.sh made."""

collect_ignore_glob = [] if BUILD else ["test_*.py"]


class SmallGpu:
    """The device that processes started from now on will see. Its memory is shared by all of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, state: Path) -> None:
        self._monkeypatch = monkeypatch
        self._state = state
        build = Path(BUILD)
        for name, value in {
            "GGML_BACKEND_PATH": build / "libggml-vulkan.so",
            "VK_LAYER_PATH": build,
            "VK_INSTANCE_LAYERS": "VK_LAYER_BATON_small_gpu",
            "BATON_GPU_STATE": state,
            "MESA_SHADER_CACHE_DIR": build / "shaders",  # compiling them takes minutes, running them seconds
            "LP_NUM_THREADS": "1",  # Mesa's software device; more would wait for each other on two cores
        }.items():
            monkeypatch.setenv(name, str(value))

    def has_mib(self, mib: int) -> None:
        self._monkeypatch.setenv("BATON_GPU_MIB", str(mib))

    def is_full(self) -> None:
        """From now on every allocation fails."""
        (self._state / "full").touch()

    def refuses_memory(self) -> None:
        """The process that allocates next gets no more memory; its successor does."""
        (self._state / "refuse").touch()

    def gets_lost(self) -> None:
        """The next submission of work fails, once."""
        (self._state / "lose").touch()

    def is_past(self, fault: str) -> bool:
        """Whether what was to happen once has happened: "refuse" or "lose"."""
        return not (self._state / fault).exists()

    @property
    def used_bytes(self) -> int:
        """What living processes have allocated."""
        files = [path for path in self._state.iterdir() if path.name.isdigit() and Path(f"/proc/{path.name}").exists()]
        return sum(int(path.read_text() or 0) for path in files)


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    state = tmp_path / "gpu"
    state.mkdir()
    device = SmallGpu(monkeypatch, state)
    device.has_mib(4096)
    return device
