"""Checks what this installation of Baton can use: versions, backends, devices, memory, folders, keyring.

`diagnose()` is for `baton doctor` and for the Models page: it returns data, with advice.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.core.child_process import NoAnswer, answered_apart
from baton_reasoning.core.errors import BatonError, ModelFileError
from baton_reasoning.core.models.devices import DeviceKind, Devices, disk_free, find_devices
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.models.ggml_backends import backend_names, has_gpu_backend, library_folder, log_quietly
from baton_reasoning.core.models.preferences import load_preferences
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.version import version as baton_version

DRM = Path("/sys/class/drm")
VIRTUAL_DRIVERS = {"virtio-pci", "virtio_gpu", "vgem", "vkms", "bochs-drm", "hyperv_drm"}
"""Kernel drivers of virtual cards, which have no GPU behind them."""
SCARCE_DISK = 10 * 2**30
SECONDS = 20.0
REBUILD = "Run packaging/setup.sh GPU=auto again, or install a build of llama-cpp-python for it (docs/install.md)."


class State(Enum):
    GOOD = "good"
    WARNING = "warning"
    PROBLEM = "problem"


class Check(NamedTuple):
    """The result of one check."""

    subject: str
    state: State
    finding: str
    remedy: str = ""


def diagnose(paths: Paths | None = None) -> Iterator[Check]:
    """Yield each check as it is done: milliseconds each; with a GPU backend, the devices take a second or two."""
    paths = paths or Paths.of_user()
    yield _versions()
    yield _library()
    devices = find_devices()
    yield from gpu_checks(devices)
    yield Check("Memory", State.GOOD, f"{in_gib(devices.ram_free)} of {in_gib(devices.ram_total)} free")
    yield from _models_folder(paths)
    yield _store(paths)
    yield _keyring()


def system_gpu(folder: Path = DRM) -> str:
    """Describe a GPU that the system has a driver for; empty if there is none. Asks no backend of llama.cpp."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "the GPU of this Mac"
    if shutil.which("nvidia-smi"):
        try:
            listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            listed = None
        if listed and "GPU" in listed.stdout:
            return listed.stdout.splitlines()[0].partition("(UUID")[0].strip()
    for node in sorted(folder.glob("renderD*")):
        driver = node / "device" / "driver"
        if driver.exists() and driver.resolve().name not in VIRTUAL_DRIVERS:
            return f"a GPU of the driver {driver.resolve().name}"
    return ""


def _versions() -> Check:
    try:
        binding = f"llama-cpp-python {version('llama-cpp-python')}"
    except PackageNotFoundError:
        binding = "llama-cpp-python missing"
    system = f"Python {platform.python_version()}, {platform.system()} {platform.release()} {platform.machine()}"
    return Check("Versions", State.GOOD, f"Baton {baton_version()}, {binding}, {system}")


def _library() -> Check:
    """Check that llama.cpp can be loaded, in a process of its own, since it may crash."""
    try:
        backends = answered_apart(_backends, seconds=SECONDS)
    except (NoAnswer, BatonError) as error:
        return Check("llama.cpp", State.PROBLEM, f"cannot be loaded: {error}", "Run packaging/setup.sh again.")
    return Check("llama.cpp", State.GOOD, f"backends: {backends}, in {library_folder()}")


def _backends() -> str:
    """List ggml's backends, in a child process."""
    try:
        log_quietly()
        return ", ".join(backend_names())
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelFileError(str(error)) from error


def gpu_checks(devices: Devices) -> Iterator[Check]:
    """Report the GPUs that llama.cpp uses; or one that it does not use, with the remedy."""
    for gpu in devices.gpus:
        kind = "integrated GPU" if gpu.kind is DeviceKind.INTEGRATED_GPU else "GPU"
        memory = f"{in_gib(gpu.free_bytes)} of {in_gib(gpu.total_bytes)} free"
        yield Check(gpu.name, State.GOOD, f"{kind} {gpu.description}, {memory}")
    if devices.gpus:
        return
    here = system_gpu()
    if here and not has_gpu_backend():
        yield Check("GPU", State.WARNING, f"{here} is here, and this build of llama.cpp cannot use it.", REBUILD)
    elif here or has_gpu_backend():
        finding = f"this build has a GPU backend, and it finds no GPU{f' ({here} is here)' if here else ''}."
        yield Check("GPU", State.WARNING, finding, "Check the GPU's driver; until then models run on the CPU.")
    else:
        yield Check("GPU", State.GOOD, "none; models run on the CPU")


def _models_folder(paths: Paths) -> Iterator[Check]:
    folder = load_preferences(paths.model_preferences).folder or paths.models
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = disk_free(folder)
    finding = f"{folder}, {in_gib(free)} free"
    if not os.access(existing, os.W_OK):
        yield Check("Models folder", State.PROBLEM, f"{finding}, not writable", "Choose another on the Models page.")
    elif free < SCARCE_DISK:
        yield Check("Models folder", State.WARNING, finding, "Free some space, or choose a folder on another disk.")
    else:
        yield Check("Models folder", State.GOOD, finding)


def _store(paths: Paths) -> Check:
    existing = next(path for path in (paths.store, *paths.store.parents) if path.exists())
    if not os.access(existing, os.W_OK):
        return Check("History", State.PROBLEM, f"{paths.store} cannot be written.", "Check the rights of this folder.")
    return Check("History", State.GOOD, f"{paths.store}{'' if paths.store.exists() else ' (empty yet)'}")


def _keyring() -> Check:
    from baton_reasoning.core.secrets import Keeping, Secrets  # keyring looks for its back ends when it is imported

    if Secrets().keeping is Keeping.KEYRING:
        return Check("Keyring", State.GOOD, "keys of servers are kept in it")
    remedy = "Install a keyring service, or name variables for keys: baton servers add … --api-key-env NAME."
    return Check("Keyring", State.WARNING, "none; keys of servers last until Baton is closed", remedy)
