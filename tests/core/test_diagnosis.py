"""The diagnosis names what is here, and what to do about what is not."""

import subprocess
import sys
from importlib import metadata

import pytest

from baton_reasoning.core.diagnosis import CHECKS, Check, State, diagnose, gpu_checks, survived, system_gpu
from baton_reasoning.core.models.devices import Device, DeviceKind, Devices
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.version import version
from tests.fakes.full_disk import a_full_disk
from tests.systems import posix_only


def test_every_check_has_a_finding_and_every_fault_a_remedy(tmp_path):
    checks = {check.subject: check for check in diagnose(Paths.under(tmp_path))}
    every = {"Versions", "llama.cpp", "Memory", "Models folder", "History", "Settings", "Keyring"}
    assert every <= set(checks)
    assert checks["Versions"].finding.startswith(f"Baton {version()} (llama-cpp-python ")
    assert "CPU" in checks["llama.cpp"].finding
    assert str(tmp_path) in checks["Models folder"].finding
    assert all(check.finding for check in checks.values())
    assert all(check.remedy for check in checks.values() if check.state is not State.GOOD)


def fault(subject, paths):
    (check,) = CHECKS[subject](paths)
    assert check.state is not State.GOOD
    assert check.remedy
    return check.finding


def test_a_llama_cpp_that_fails_at_import_is_named(tmp_path, monkeypatch):
    (tmp_path / "llama_cpp.py").write_text("raise ValueError('wrong build')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert fault("llama.cpp", Paths.under(tmp_path)) == "cannot be loaded: ValueError: wrong build"


def test_a_damaged_store_is_named_and_left_as_it_is_and_so_is_one_that_cannot_be_opened(tmp_path):
    paths = Paths.under(tmp_path)
    paths.store.parent.mkdir()
    paths.store.write_text("not a database" * 1_000, encoding="utf-8")
    assert "is damaged" in fault("History", paths)
    assert paths.store.read_text(encoding="utf-8").startswith("not a database")
    paths.store.unlink()
    paths.store.mkdir()
    assert "cannot be opened" in fault("History", paths)


@pytest.mark.parametrize("subject", ["Models folder", "History", "Settings"])
def test_folders_that_cannot_be_written_to_are_named_and_so_is_a_full_disk(subject, tmp_path):
    (tmp_path / "file").touch()
    assert "cannot be written to: " in fault(subject, Paths.under(tmp_path / "file"))
    with a_full_disk():
        assert "cannot be written to: File too large" in fault(subject, Paths.under(tmp_path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        *((content, "cannot be read: it ") for content in ("{", "[]", "\udcff", "[" * 100_000)),
        ('{"servers": {"http://office:9931": {"cap": {"tokens": -1}}}}', "cap.tokens"),
    ],
)
def test_a_file_of_settings_that_no_command_can_use_is_named(content, said, tmp_path):
    paths = Paths.under(tmp_path)
    paths.config.mkdir()
    paths.servers.write_text(content, encoding="utf-8", errors="surrogateescape")
    assert said in fault("Settings", paths)
    assert str(paths.servers) in fault("Settings", paths)


def test_a_keyring_that_cannot_be_loaded_is_named(tmp_path, monkeypatch):
    def no_back_end():
        raise ModuleNotFoundError("No module named 'kwallet'")

    monkeypatch.setattr("keyring.get_keyring", no_back_end)
    assert "No module named 'kwallet'" in fault("Keyring", Paths.under(tmp_path))


def test_a_check_that_fails_says_so_and_ends_no_other():
    def check():
        yield Check("Memory", State.GOOD, "some")
        raise ZeroDivisionError("none")

    good, failed = survived("Memory", check)
    assert (good.state, failed.state) == (State.GOOD, State.PROBLEM)
    assert "ZeroDivisionError: none" in failed.finding


def test_gpus_that_are_used_are_named_and_one_that_is_not_found(monkeypatch):
    used = Device("CUDA0", "Tesla T4", DeviceKind.GPU, 2**30, 2**34)
    assert [check.finding for check in gpu_checks(Devices(0, 0, (used,)))] == ["GPU Tesla T4, 1.0 GiB of 16.0 GiB free"]
    monkeypatch.setattr("baton_reasoning.core.diagnosis.system_gpu", lambda: "a GPU")
    monkeypatch.setattr("baton_reasoning.core.diagnosis.has_gpu_backend", lambda: True)
    (check,) = gpu_checks(Devices(0, 0))
    assert (check.state, "finds no GPU (a GPU is here)" in check.finding) == (State.WARNING, True)


def test_no_console_flashes_up_for_nvidias_tool_on_windows(tmp_path, monkeypatch):
    started = list[int]()

    def run(command, creationflags, **_):
        started.append(creationflags)
        return subprocess.CompletedProcess(command, 0, "GPU 0: Tesla T4 (UUID: GPU-1)")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(subprocess, "CREATE_NO_WINDOW", 0x08000000, raising=False)
    for platform in ("win32", "linux"):
        monkeypatch.setattr(sys, "platform", platform)
        assert system_gpu(tmp_path) == "GPU 0: Tesla T4"
    assert started == [0x08000000, 0]


@posix_only("render nodes, and links without a permission")
@pytest.mark.parametrize(("driver", "is_one"), [("amdgpu", True), ("virtio_gpu", False)])
def test_a_gpu_is_seen_by_the_driver_of_its_render_node(driver, is_one, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "drivers" / driver).mkdir(parents=True)
    node = tmp_path / "renderD128" / "device"
    node.mkdir(parents=True)
    (node / "driver").symlink_to(tmp_path / "drivers" / driver)
    assert bool(system_gpu(tmp_path)) is is_one


@posix_only("a program that is a shell script")
@pytest.mark.parametrize(("runs", "folder"), [("12.4", "cu124"), ("13.0", "cu125"), ("11.4", "vulkan"), ("", "vulkan")])
def test_a_gpu_that_this_build_cannot_use_gets_the_lines_of_pip_and_uv_for_it(runs, folder, tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho 'GPU 0: Tesla T4 (UUID: GPU-1)'\necho '| CUDA Version: {runs} |'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr("baton_reasoning.core.diagnosis.has_gpu_backend", lambda: False)
    (check,) = gpu_checks(Devices(0, 0))
    assert check.finding == "GPU 0: Tesla T4 is here, and this build of llama.cpp cannot use it."
    advice, *commands = check.remedy.splitlines()
    assert ("CUDA toolkit" in advice) is folder.startswith("cu")
    wheel = f"/{folder} llama-cpp-python=={metadata.version('llama-cpp-python')}"
    assert all(command.endswith(wheel) for command in commands)
    assert [command.partition(" install")[0] for command in commands] == [f"{sys.executable} -m pip", "uv pip"]
