"""Manages builds of llama.cpp for other backends beside llama-cpp-python's own, for `baton gpu`.

Each build has a folder in the environment that Baton runs in, and `chosen_libraries` returns the one in use; nothing
that pip, uv or pipx installed is touched. A build is made in a folder of its own, tried in a process, and only then
renamed and chosen: whatever ends an installation, what was in use before still is.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psutil

from baton_reasoning.core.errors import BuildError
from baton_reasoning.core.models.build_maker import Backend, BuildMaker, backend_in, load_apart
from baton_reasoning.core.models.devices import Device, offloaded_to
from baton_reasoning.core.models.ggml_backends import (
    BUILDS,
    CHOSEN,
    LIBRARY_FOLDER,
    PACKAGE,
    chosen_libraries,
    own_libraries,
)

UNFINISHED = ".new-"


class Build(NamedTuple):
    """The libraries of llama.cpp for one backend."""

    backend: Backend
    libraries: Path
    is_used: bool


def list_builds() -> tuple[Build, ...]:
    """List llama-cpp-python's own build, and the installed ones of its version. Raises BuildError without it."""
    own, chosen = _own_libraries(), chosen_libraries()
    installed = [folder for backend in Backend if (folder := _folder_of(backend)).is_dir()]
    return (
        Build(backend_in(own), own, chosen is None),
        *(Build(backend_in(folder), folder, folder == chosen) for folder in installed),
    )


def install(backend: Backend, log: Path, say: Callable[[str], object]) -> tuple[Device, ...]:
    """Use a build for this backend from now on, and return its devices. One that is here already is not made again.

    `say` gets a line for each thing that takes long; what pip prints goes to `log`. Raises BuildError, and nothing has
    changed then.
    """
    _check_environment(backend)
    own, installed = _own_libraries(), _folder_of(backend)
    try:
        if backend_in(own) is backend:
            devices = _devices_of(own, backend)
            (BUILDS / CHOSEN).unlink(missing_ok=True)
            return devices
        if installed.is_dir():
            devices = _devices_again(installed, backend)
        else:
            with _workplace() as workplace:
                made = BuildMaker(backend, workplace, log, say).make()
                devices = _devices_of(made, backend)
                made.rename(installed)
        _choose(installed)
    except OSError as error:
        raise BuildError(f"{error.filename or BUILDS} cannot be written: {error.strerror}.") from error
    return devices


def _own_libraries() -> Path:
    try:
        return own_libraries()
    except ImportError as error:
        raise BuildError("llama-cpp-python is not installed.", "Install it again (docs/install.md).") from error


def _folder_of(backend: Backend) -> Path:
    return BUILDS / f"{version(PACKAGE)}-{backend.value}"


def _devices_of(libraries: Path, backend: Backend) -> tuple[Device, ...]:
    """Return the devices of a build. Raises BuildError if it cannot be loaded, or finds no GPU for its backend."""
    devices = load_apart(libraries)
    if backend is not Backend.CPU and not offloaded_to(devices):
        raise BuildError(
            f"The build for {backend.title} finds no GPU, so nothing was changed.", "Check the driver of the GPU."
        )
    return devices


def _devices_again(installed: Path, backend: Backend) -> tuple[Device, ...]:
    """Return the devices of a build that worked once. Raises BuildError, which says how to have it made again."""
    try:
        return _devices_of(installed, backend)
    except BuildError as error:
        raise BuildError(error.message, error.advice or f"Delete {installed} and run this again.") from error


def _check_environment(backend: Backend) -> None:
    """Raise BuildError where no build can be installed, or could not be used."""
    if getattr(sys, "frozen", False):
        raise BuildError(
            "This Baton runs without Python, and brings its backends with it.",
            "For another backend, install Baton with uv, pipx or pip (docs/install.md).",
        )
    if sys.prefix == sys.base_prefix and Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED").exists():
        raise BuildError(
            "This Python belongs to the system's package manager.",
            "Install Baton in an environment of its own: with uv tool install, with pipx install, or in a venv.",
        )
    if backend is Backend.METAL and sys.platform != "darwin":
        raise BuildError("Metal runs on Macs only.", "Choose vulkan, or cuda for a GPU of NVIDIA.")
    named = os.environ.get(LIBRARY_FOLDER)
    if named and Path(named) != chosen_libraries():
        raise BuildError(f"{LIBRARY_FOLDER} names the libraries to use.", "Unset it first.")


@contextmanager
def _workplace() -> Iterator[Path]:
    """Create a folder that is removed at the end, and remove those of installations that were killed."""
    BUILDS.mkdir(parents=True, exist_ok=True)
    for left in BUILDS.glob(f"{UNFINISHED}*"):
        if not psutil.pid_exists(int(left.name.removeprefix(UNFINISHED))):
            shutil.rmtree(left, ignore_errors=True)
    folder = BUILDS / f"{UNFINISHED}{os.getpid()}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _choose(build: Path) -> None:
    """Write down which build is in use, in one step, and remove those of other versions."""
    unfinished = BUILDS / f"{CHOSEN}.{os.getpid()}"
    unfinished.write_text(build.name, encoding="utf-8")
    unfinished.replace(BUILDS / CHOSEN)
    for other in BUILDS.glob("[0-9]*-*"):
        if not other.name.startswith(f"{version(PACKAGE)}-"):
            shutil.rmtree(other, ignore_errors=True)
