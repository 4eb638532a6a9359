"""Checks what this installation of Baton can use: versions, backends, devices, memory, folders, files, keyring.

`diagnose()` is for `baton doctor` and for the Models page: it returns data, with advice. Whatever is broken, each check
ends with a finding and never with an error: the checks after it may be what a person needs.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.core.child_process import NoAnswer, run_in_subprocess
from baton_reasoning.core.errors import BatonError, ModelFileError, SettingsError, StoreError
from baton_reasoning.core.models.devices import (
    DeviceKind,
    Devices,
    backend_names,
    disk_free,
    find_devices,
    has_gpu_backend,
    library_folder,
    log_quietly,
)
from baton_reasoning.core.models.fit import in_gib
from baton_reasoning.core.models.preferences import load_preferences
from baton_reasoning.core.paths import Paths, folder_variable
from baton_reasoning.core.store.damage import is_damaged
from baton_reasoning.core.text import shell_command
from baton_reasoning.core.version import BINDING, installed_version, versions
from baton_reasoning.resources import resource_table

DRM = Path("/sys/class/drm")
VIRTUAL_DRIVERS = {"virtio-pci", "virtio_gpu", "vgem", "vkms", "bochs-drm", "hyperv_drm"}
"""Kernel drivers of virtual cards, which have no GPU behind them."""
SCARCE_DISK = 10 * 2**30
SECONDS = 20.0
PROBE = 64 * 2**10
"""Bytes that are written into a folder to see whether it takes any."""
REINSTALL = "Install llama-cpp-python again (docs/install.md); until then only models on servers work."


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
    for subject, check in CHECKS.items():
        yield from survived(subject, partial(check, paths))


def survived(subject: str, check: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """Yield what a check finds; if it fails, that it did."""
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 - anything may be broken in an installation that needs the doctor
        finding = f"could not be checked: {type(error).__name__}: {error}"
        yield Check(subject, State.PROBLEM, finding, "Please report it as an issue, with this line.")


def system_gpu(folder: Path = DRM) -> str:
    """Describe a GPU that the system has a driver for; empty if there is none. Asks no backend of llama.cpp."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "the GPU of this Mac"
    listed = _nvidia_smi("-L")
    if "GPU" in listed:
        return listed.splitlines()[0].partition("(UUID")[0].strip()
    for node in sorted(folder.glob("renderD*")):
        driver = node / "device" / "driver"
        if driver.exists() and driver.resolve().name not in VIRTUAL_DRIVERS:
            return f"a GPU of the driver {driver.resolve().name}"
    return ""


def _versions(_: Paths) -> Iterator[Check]:
    yield Check("Versions", State.GOOD, versions())


def _library(_: Paths) -> Iterator[Check]:
    """Check that llama.cpp can be loaded, in a process of its own, since it may crash."""
    try:
        backends = run_in_subprocess(_backends, seconds=SECONDS)
    except (NoAnswer, BatonError) as error:
        yield Check("llama.cpp", State.PROBLEM, f"cannot be loaded: {error}", REINSTALL)
    else:
        yield Check("llama.cpp", State.GOOD, f"backends: {backends}, in {library_folder()}")


def _backends() -> str:
    """List ggml's backends, in a child process."""
    try:
        log_quietly()
        return ", ".join(backend_names())
    except Exception as error:
        raise ModelFileError(f"{type(error).__name__}: {error}") from error


def _devices(_: Paths) -> Iterator[Check]:
    devices = find_devices()
    yield Check("Memory", State.GOOD, f"{in_gib(devices.ram_free)} of {in_gib(devices.ram_total)} free")
    yield from gpu_checks(devices)


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
        finding = f"{here} is here, and this build of llama.cpp cannot use it."
        yield Check("GPU", State.WARNING, finding, _wheel_remedy() if installed_version(BINDING) else REINSTALL)
    elif here or has_gpu_backend():
        finding = f"this build has a GPU backend, and it finds no GPU{f' ({here} is here)' if here else ''}."
        yield Check("GPU", State.WARNING, finding, "Check the GPU's driver; until then models run on the CPU.")
    else:
        yield Check("GPU", State.GOOD, "none; models run on the CPU")


def _wheel_remedy() -> str:
    """Give the commands that put a prebuilt llama.cpp for this machine's GPU in the place of this one."""
    backend = _wheel_backend()
    wheel = ("--no-deps", "--only-binary", ":all:", "--index-url", f"{_set_up('index')}/{backend}")
    package = f"{BINDING}=={installed_version(BINDING)}"
    pip = (sys.executable, "-m", "pip", "install", "--force-reinstall", *wheel, package)
    uv = ("uv", "pip", "install", "--python", sys.executable, "--reinstall", *wheel, package)
    needs = " It needs NVIDIA's CUDA toolkit." if backend.startswith("cu") else ""
    return f"Install a build for it with pip, or with uv.{needs}\n" + "\n".join(map(shell_command, (pip, uv)))


def _wheel_backend() -> str:
    """Choose the folder of prebuilt wheels: for an NVIDIA card, CUDA's newest that its driver can run."""
    if sys.platform == "darwin":
        return "metal"
    driver = re.search(r"CUDA Version:\s*(\d+)\.(\d)", _nvidia_smi())
    newest = int(driver[1] + driver[2]) if driver else 0
    return next((f"cu{number}" for number in _set_up("cuda").split() if int(number) <= newest), "vulkan")


def _nvidia_smi(*arguments: str) -> str:
    """Return what NVIDIA's tool prints; empty without it, and if it does not answer."""
    command, flags = ["nvidia-smi", *arguments], 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW  # else a console would flash up
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=False, creationflags=flags
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _set_up(key: str) -> str:
    """Return a value that set-up uses, too."""
    return next(" ".join(value) for name, *value in resource_table("set_up.txt") if name == key)


def _models_folder(paths: Paths) -> Iterator[Check]:
    folder = load_preferences(paths.model_preferences).folder or paths.models
    free = disk_free(folder)
    finding = f"{folder}, {in_gib(free)} free"
    if reason := _write_fault(folder):
        remedy = f"Choose another on the Models page, or set {folder_variable('DATA')}."
        yield Check("Models folder", State.PROBLEM, f"{finding}, cannot be written to: {reason}", remedy)
    elif free < SCARCE_DISK:
        yield Check("Models folder", State.WARNING, finding, "Free some space, or choose a folder on another disk.")
    else:
        yield Check("Models folder", State.GOOD, finding)


def _store(paths: Paths) -> Iterator[Check]:
    path = paths.store
    try:
        damaged = is_damaged(path)
    except StoreError as error:
        yield Check("History", State.PROBLEM, error.message.rstrip("."), error.advice)
        return
    if damaged:
        remedy = "The next start sets it aside, deletes nothing, and begins a new one."
        yield Check("History", State.PROBLEM, f"{path} is damaged", remedy)
    elif reason := _write_fault(path.parent):
        yield Check("History", State.PROBLEM, f"{path.parent} cannot be written to: {reason}", _other_folder("DATA"))
    else:
        yield Check("History", State.GOOD, f"{path}{'' if path.exists() else ' (empty yet)'}")


def _settings(paths: Paths) -> Iterator[Check]:
    files = (paths.settings, paths.model_preferences, paths.servers)
    broken = [f"{path} cannot be read: {fault}" for path in files if (fault := _json_fault(path))]
    if not broken and (fault := _servers_fault(paths.servers)):
        broken = [fault]
    for finding in broken:
        remedy = "Correct or delete it: without it, its values are the defaults."
        yield Check("Settings", State.PROBLEM, finding, remedy)
    if reason := _write_fault(paths.config):
        yield Check(
            "Settings", State.PROBLEM, f"{paths.config} cannot be written to: {reason}", _other_folder("CONFIG")
        )
    elif not broken:
        yield Check("Settings", State.GOOD, str(paths.config))


def _keyring(_: Paths) -> Iterator[Check]:
    remedy = "Install a keyring service, or name variables for keys: baton servers add … --api-key-env NAME."
    try:
        from baton_reasoning.core.secrets import Keeping, Secrets  # keyring looks for back ends when it is imported

        keeping = Secrets().keeping
    except Exception as error:  # noqa: BLE001 - of the back end that PYTHON_KEYRING_BACKEND or its own file names
        yield Check("Keyring", State.WARNING, f"cannot be used: {type(error).__name__}: {error}", remedy)
        return
    if keeping is Keeping.KEYRING:
        yield Check("Keyring", State.GOOD, "keys of servers are kept in it")
    else:
        yield Check("Keyring", State.WARNING, "none; keys of servers last until Baton is closed", remedy)


CHECKS: Mapping[str, Callable[[Paths], Iterator[Check]]] = {
    "Versions": _versions,
    "llama.cpp": _library,
    "Memory": _devices,
    "Models folder": _models_folder,
    "History": _store,
    "Settings": _settings,
    "Keyring": _keyring,
}
"""Each check by what it is about, in the order of the report."""


def _write_fault(folder: Path) -> str:
    """Return why no file can be written into this folder, which need not exist; empty if one can."""
    # Unlike Path.exists, this raises no error for a folder that may not be searched.
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.exists(path))  # noqa: PTH110
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(bytes(PROBE))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _json_fault(path: Path) -> str:
    """Return why a file of settings cannot be read; empty if it can, or is not there."""
    try:
        return "" if isinstance(json.loads(path.read_bytes()), dict) else "it holds no JSON object"
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return error.strerror or str(error)
    except (ValueError, RecursionError) as error:
        return f"it is not JSON ({error})"


def _servers_fault(path: Path) -> str:
    """Return why no command can use the servers; empty if they can.

    In the other files a value that is wrong has its default. Here that might lose a cap or a certificate.
    """
    try:
        from baton_reasoning.core.engines.remote.known_servers import KnownServers  # it imports the keyring

        if path.is_file():
            KnownServers(path).all()
    except SettingsError as error:
        return error.message.rstrip(".")
    except ImportError:  # `_keyring` names it
        pass
    return ""


def _other_folder(kind: str) -> str:
    return f"Free some space, correct its permissions, or set {folder_variable(kind)} to another folder."
