"""The diagnosis names what is here, and what to do about what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from baton_reasoning.core.diagnosis import State, diagnose, system_gpu
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.version import version


def test_every_check_has_a_finding_and_every_fault_a_remedy(tmp_path: Path) -> None:
    checks = {check.subject: check for check in diagnose(Paths.under(tmp_path))}
    assert {"Versions", "llama.cpp", "Memory", "Models folder", "History", "Keyring"} <= set(checks)
    assert f"Baton {version()}" in checks["Versions"].finding
    assert "CPU" in checks["llama.cpp"].finding
    assert str(tmp_path) in checks["Models folder"].finding
    assert all(check.finding for check in checks.values())
    assert all(check.remedy for check in checks.values() if check.state is not State.GOOD)


@pytest.mark.parametrize(("driver", "is_one"), [("amdgpu", True), ("virtio_gpu", False)])
def test_a_gpu_is_seen_by_the_driver_of_its_render_node(
    driver: str, is_one: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "drivers" / driver).mkdir(parents=True)
    node = tmp_path / "renderD128" / "device"
    node.mkdir(parents=True)
    (node / "driver").symlink_to(tmp_path / "drivers" / driver)
    assert bool(system_gpu(tmp_path)) is is_one


def test_an_nvidia_gpu_is_seen_without_any_toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA GeForce RTX 3060 (UUID: GPU-1)'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert system_gpu(tmp_path) == "GPU 0: NVIDIA GeForce RTX 3060"
