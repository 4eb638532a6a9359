"""Downloads or compiles a build of llama.cpp for a backend, of the very version that llama-cpp-python has here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from ctypes.util import find_library
from enum import Enum
from importlib.metadata import version
from pathlib import Path

from baton_reasoning.core.child_process import NoAnswer, answered_apart
from baton_reasoning.core.errors import BuildError
from baton_reasoning.core.models.devices import SECONDS_TO_ANSWER, Device, disk_free, ggml_devices
from baton_reasoning.core.models.fit import GIB, in_gib
from baton_reasoning.core.models.ggml_backends import LIBRARY_FOLDER, PACKAGE, log_quietly
from baton_reasoning.core.models.package_installer import (
    WITHOUT_WAITING,
    PackageInstaller,
    install_line,
    set_up_values,
)

WHEEL_INDEX = "BATON_WHEEL_INDEX"
"""A variable: another index of prebuilt wheels; empty to compile always."""
CUDA_WHEELS_TRIED = 2
USUAL_CUDA = 124
"""12.4, where nvidia-smi does not say what its driver can run."""
HEADERS = ("vulkan/vulkan.h", "spirv/unified1/spirv.hpp")


class Backend(Enum):
    """A backend that llama.cpp can be built with."""

    CPU = "cpu"
    CUDA = "cuda"
    METAL = "metal"
    VULKAN = "vulkan"

    @property
    def title(self) -> str:
        return {Backend.CPU: "the CPU", Backend.CUDA: "CUDA"}.get(self, self.value.capitalize())

    @property
    def cmake_option(self) -> str:
        return "-DGGML_METAL=off" if self is Backend.CPU else f"-DGGML_{self.name}=on"  # a Mac's default is Metal

    @property
    def bytes_to_download(self) -> int:
        return 4 * GIB if self is Backend.CUDA else GIB // 2

    @property
    def bytes_to_compile(self) -> int:
        return 4 * GIB if self is Backend.CUDA else 2 * GIB


def backend_in(libraries: Path) -> Backend:
    """Return the GPU backend that a folder has a library of, else the CPU's. Loads nothing."""
    gpu = (Backend.CUDA, Backend.METAL, Backend.VULKAN)
    return next((each for each in gpu if any(libraries.glob(f"*ggml-{each.value}*"))), Backend.CPU)


def load_apart(libraries: Path) -> tuple[Device, ...]:
    """Load a build in a process of its own and list its devices. Raises BuildError if it cannot be loaded."""
    try:
        return answered_apart(_load, str(libraries), seconds=SECONDS_TO_ANSWER)
    except NoAnswer as error:
        raise BuildError(f"The build in {libraries} cannot be loaded: {error}.") from error


def _load(libraries: str) -> tuple[Device, ...]:
    os.environ[LIBRARY_FOLDER] = libraries
    try:
        log_quietly()
    except (ImportError, OSError, RuntimeError) as error:
        raise BuildError(f"The build in {libraries} cannot be loaded: {error}.") from error
    return ggml_devices()


class BuildMaker:
    """Makes one build, in a folder that is removed afterwards."""

    def __init__(self, backend: Backend, workplace: Path, log: Path, say: Callable[[str], object]) -> None:
        self._backend = backend
        self._workplace = workplace
        self._log = log
        self._say = say
        self._package = f"{PACKAGE}=={version(PACKAGE)}"
        self._installer = PackageInstaller(workplace, log, say)
        self._missed: list[str] = []

    def make(self) -> Path:
        """Download a build that can be loaded, else compile one, and return its folder. Raises BuildError."""
        index = os.environ.get(WHEEL_INDEX, set_up_values()["index"]).rstrip("/")
        for folder in self._wheel_folders() if index else ():
            if libraries := self._downloaded(index, folder):
                return libraries
        return self._compiled()

    def _wheel_folders(self) -> list[str]:
        """List the folders of the index that may fit: for CUDA no newer than the driver, the newest two."""
        if self._backend is not Backend.CUDA:
            return [self._backend.value]
        newest = _cuda_of_the_driver()
        fitting = [number for number in set_up_values()["cuda"].split() if int(number) <= newest]
        return [f"cu{number}" for number in fitting[:CUDA_WHEELS_TRIED]]

    def _downloaded(self, index: str, folder: str) -> Path | None:
        self._need_disk(self._backend.bytes_to_download)
        self._say(f"Looking for a prebuilt llama.cpp for {self._backend.title} in {index}/{folder}.")
        options = ("--no-deps", "--only-binary", ":all:", "--index-url", f"{index}/{folder}")
        target = self._workplace / folder
        if not self._installer.install(target, *options, self._package, what="Downloading", **WITHOUT_WAITING):
            self._missed.append(f"{index}/{folder} has no wheel of it or cannot be reached")
            return None
        libraries = target / "llama_cpp" / "lib"
        if backend_in(libraries) is not self._backend:
            self._missed.append(f"the wheel in {folder} is not for {self._backend.title}")
        elif self._loads(libraries) or (self._backend is Backend.CUDA and self._loads_with_cuda(libraries, folder)):
            return libraries
        return None

    def _loads(self, libraries: Path) -> bool:
        try:
            load_apart(libraries)
        except BuildError as error:
            self._missed.append(error.message.rstrip("."))
            return False
        return True

    def _loads_with_cuda(self, libraries: Path, folder: str) -> bool:
        """Add NVIDIA's run-time libraries, which the CUDA wheels leave out."""
        suffix = "-cu11" if folder == "cu118" else "-cu12" if folder.startswith("cu12") else ""
        self._say("Downloading NVIDIA's CUDA libraries (700 MB).")
        target = self._workplace / "nvidia"
        packages = (f"nvidia-cuda-runtime{suffix}", f"nvidia-cublas{suffix}")
        if not self._installer.install(target, "--only-binary", ":all:", *packages, what="Downloading CUDA"):
            self._missed.append("NVIDIA's CUDA libraries could not be downloaded")
            return False
        for library in (*target.glob("nvidia/*/lib/lib*.so*"), *target.glob("nvidia/*/bin/**/*.dll")):
            shutil.move(library, libraries)
        return self._loads(libraries)

    def _compiled(self) -> Path:
        if advice := self._missing_tools():
            raise self._failure("what compiling needs is missing", advice)
        self._need_disk(self._backend.bytes_to_compile)
        self._say(f"Compiling llama.cpp for {self._backend.title}, which takes minutes, or with CUDA up to an hour.")
        options = f"{self._backend.cmake_option} -DLLAVA_BUILD=OFF {os.environ.get('CMAKE_ARGS', '')}".strip()
        target = self._workplace / "compiled"
        arguments = ("--no-deps", "--no-binary", PACKAGE, self._package)
        if not self._installer.install(target, *arguments, what="Compiling llama.cpp", CMAKE_ARGS=options):
            raise self._failure("compiling failed", f"The reason is at the end of {self._log}.")
        return target / "llama_cpp" / "lib"

    def _missing_tools(self) -> str:
        """Say how to install what compiling needs; empty if everything is here."""
        if self._backend is Backend.CUDA and not shutil.which("nvcc"):
            return "Install NVIDIA's CUDA toolkit, which has nvcc, or choose vulkan."
        missing = []
        if not any(map(shutil.which, ("c++", "g++", "clang++", "cl"))) and sys.platform != "win32":
            missing.append("compiler")
        if self._backend is Backend.VULKAN and "VULKAN_SDK" not in os.environ:
            include = Path(os.environ.get("INCLUDE", "/usr/include"))
            if not find_library("vulkan"):
                missing.append("vulkan")
            if not shutil.which("glslc") or not all((include / header).exists() for header in HEADERS):
                missing.append("vulkan-build")
        return install_line(missing) if missing else ""

    def _need_disk(self, needed: int) -> None:
        free = disk_free(self._workplace)
        if free < needed:
            raise BuildError(
                f"A build for {self._backend.title} needs {in_gib(needed)} of disk, and {in_gib(free)} are free in "
                f"{self._workplace.parent}.",
                "Free some space first.",
            )

    def _failure(self, why: str, advice: str) -> BuildError:
        reasons = "; ".join((*self._missed, why))
        return BuildError(f"{self._package} cannot be had for {self._backend.title}: {reasons}.", advice)


def _cuda_of_the_driver() -> int:
    """Return the version of CUDA that NVIDIA's driver can run, such as 128 for 12.8."""
    try:
        printed = subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return USUAL_CUDA
    found = re.search(r"CUDA Version:\s*(\d+)\.(\d)", printed)
    return int(found[1] + found[2]) if found else USUAL_CUDA
