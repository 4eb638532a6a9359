"""`baton gpu` in a real environment with a real pip; the wheels are made of text, and so is what compiles them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import site
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from subprocess import CompletedProcess

import psutil
import pytest

from baton_reasoning.core.errors import BuildError
from baton_reasoning.core.models import builds, ggml_backends
from baton_reasoning.core.models.build_maker import Backend
from baton_reasoning.core.models.ggml_backends import PACKAGE, chosen_libraries
from tests.fakes.llama_wheels import (
    CUDA_LIBRARY,
    VERSION,
    WITHOUT_CUDA,
    WITHOUT_GPU,
    write_nvidia_wheels,
    write_source,
    write_wheel,
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="the commands are shell scripts")]
PROGRAM = Path(__file__).parents[3] / "packaging" / "launcher"
LIMIT = 120.0


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with a CPU build of llama-cpp-python, and Baton with its other dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "others.pth").write_text("\n".join([str(PROGRAM), *site.getsitepackages()]))
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    wheel = write_wheel(folder / "wheels", "cpu")
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], check=True, capture_output=True)
    return folder


class Installation:
    """An index of wheels, commands such as compilers, and an environment in which `baton gpu` runs."""

    def __init__(self, folder: Path, environment: Path, address: str) -> None:
        self.python = environment / "bin" / "python"
        self.builds = environment / "share" / "baton" / "llama.cpp"
        shutil.rmtree(self.builds, ignore_errors=True)
        self.index = folder / "index"
        self.index.mkdir()
        self.commands = folder / "bin"
        self.commands.mkdir()
        self.compiling = folder / "compiling"
        self.variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "CMAKE_"))},
            "PATH": str(self.commands),
            "BATON_WHEEL_INDEX": address,
            "PIP_INDEX_URL": f"{address}/pypi",
        }

    def has_wheel(self, folder: str, backend: str, *marks: str) -> None:
        write_wheel(self.index / folder / "llama-cpp-python", backend, *marks)

    def can_compile(self, *commands: str) -> None:
        write_source(self.index / "pypi" / "llama-cpp-python")
        self.has_commands("c++", *commands)

    def has_commands(self, *names: str) -> None:
        for name in names:
            (self.commands / name).write_text("#!/bin/sh\n")
            (self.commands / name).chmod(0o755)

    def baton(self, *arguments: str, **variables: str) -> CompletedProcess[str]:
        return subprocess.run(
            self._command(*arguments),
            env=self.variables | variables,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    def _command(self, *arguments: str) -> list[str]:
        return [str(self.python), "-m", "baton_reasoning.app.cli", "gpu", *arguments]

    def starts_compiling(self, backend: str) -> tuple[subprocess.Popen[str], psutil.Process]:
        """Start an installation, and return it and its compiler once that runs; it would run for ever."""
        os.mkfifo(self.compiling)
        started = subprocess.Popen(
            self._command("install", backend),
            env=self.variables | {"CMAKE_ARGS": f"BLOCKS={self.compiling}"},
            stderr=subprocess.PIPE,
            text=True,
        )
        return started, psutil.Process(int(self.compiling.read_text()))

    @property
    def used(self) -> str:
        """The backend of the build that is in use, by `baton gpu list`."""
        listed = self.baton("list", "--json")
        assert listed.returncode == 0, listed.stderr
        (build,) = [row for line in listed.stdout.splitlines() if (row := json.loads(line)).get("used")]
        return str(build["backend"])

    @property
    def chosen(self) -> str:
        """The build that is written down as the one in use; empty if it is llama-cpp-python's own."""
        file = self.builds / "chosen"
        return file.read_text() if file.exists() else ""


@pytest.fixture
def machine(tmp_path: Path, environment: Path) -> Iterator[Installation]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(tmp_path / "index"))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Installation(tmp_path, environment, f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def test_a_prebuilt_build_is_used_and_the_installed_package_stays_as_it_is(machine: Installation) -> None:
    machine.has_wheel("vulkan", "vulkan")
    before = files_of_the_package(machine)
    done = machine.baton("install", "vulkan")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "llama.cpp uses Vulkan from now on: vulkan (a device made of text).\n"
    assert machine.used == "vulkan"
    assert files_of_the_package(machine) == before


def files_of_the_package(machine: Installation) -> dict[Path, bytes]:
    (package,) = machine.python.parents[1].glob("lib/python3*/site-packages/llama_cpp")
    return {path: path.read_bytes() for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_going_back_and_forth_downloads_nothing_again(machine: Installation) -> None:
    machine.has_wheel("vulkan", "vulkan")
    assert machine.baton("install", "vulkan").returncode == 0
    shutil.rmtree(machine.index)
    assert machine.baton("install", "cpu").returncode == 0
    assert machine.chosen == ""
    assert machine.baton("install", "vulkan").returncode == 0
    assert machine.chosen == f"{VERSION}-vulkan"


def test_a_build_that_can_no_longer_be_loaded_says_how_to_have_another(machine: Installation) -> None:
    machine.has_wheel("vulkan", "vulkan")
    assert machine.baton("install", "vulkan").returncode == 0
    build = machine.builds / f"{VERSION}-vulkan"
    (build / WITHOUT_CUDA).touch()  # one of the libraries that it needs has gone
    done = machine.baton("install", "vulkan")
    assert done.returncode == 1
    assert f"cannot be loaded: {CUDA_LIBRARY}: cannot open shared object file. Delete {build} and run" in done.stderr


def test_it_is_compiled_where_there_is_no_wheel(machine: Installation) -> None:
    machine.can_compile("nvcc")
    assert machine.baton("install", "cuda").returncode == 0
    assert machine.chosen == f"{VERSION}-cuda"


def test_a_cuda_wheel_gets_the_libraries_that_it_leaves_out(machine: Installation) -> None:
    machine.has_wheel("cu124", "cuda", WITHOUT_CUDA)
    write_nvidia_wheels(machine.index / "pypi")
    done = machine.baton("install", "cuda")
    assert done.returncode == 0, done.stderr
    assert (machine.builds / f"{VERSION}-cuda" / CUDA_LIBRARY).exists()


def test_a_wheel_that_cannot_be_loaded_is_not_used_and_the_reasons_are_named(machine: Installation) -> None:
    machine.has_wheel("vulkan", "vulkan", WITHOUT_CUDA)
    done = machine.baton("install", "vulkan")
    assert done.returncode == 1
    assert f"{CUDA_LIBRARY}: cannot open shared object file; what compiling needs is missing" in done.stderr
    assert_nothing_changed(machine)


def test_a_build_that_finds_no_gpu_is_not_used(machine: Installation) -> None:
    machine.has_wheel("vulkan", "vulkan", WITHOUT_GPU)
    done = machine.baton("install", "vulkan")
    assert done.returncode == 1
    assert "finds no GPU, so nothing was changed" in done.stderr
    assert_nothing_changed(machine)


def test_what_the_compiler_said_is_kept_when_it_fails(machine: Installation) -> None:
    machine.can_compile("nvcc")
    done = machine.baton("install", "cuda", CMAKE_ARGS="FAILS")
    assert done.returncode == 1
    assert "compiling failed. The reason is at the end of " in done.stderr
    log = Path(done.stderr.rpartition("at the end of ")[2].strip().rstrip("."))
    assert "a compiler's error" in log.read_text()
    assert_nothing_changed(machine)


def test_missing_tools_are_named_with_the_command_that_installs_them(machine: Installation) -> None:
    machine.has_commands("dnf")
    done = machine.baton("install", "vulkan", INCLUDE="/nowhere")
    assert done.returncode == 1
    assert "Please run: sudo dnf install gcc-c++ " in done.stderr
    assert "glslc spirv-headers-devel" in done.stderr


def test_ctrl_c_ends_the_compiler_and_changes_nothing(machine: Installation) -> None:
    machine.can_compile("nvcc")
    installation, compiler = machine.starts_compiling("cuda")
    installation.send_signal(signal.SIGINT)
    _, said = installation.communicate(timeout=LIMIT)
    assert (installation.returncode, "Traceback" in said) == (130, False)
    assert psutil.wait_procs([compiler], timeout=LIMIT)[1] == []
    assert_nothing_changed(machine)


def test_an_installation_that_was_killed_changes_nothing_and_the_next_one_tidies_up(machine: Installation) -> None:
    machine.can_compile("nvcc")
    installation, compiler = machine.starts_compiling("cuda")
    installation.kill()
    installation.communicate(timeout=LIMIT)
    compiler.kill()
    assert machine.used == "cpu"
    assert machine.baton("install", "cuda").returncode == 0
    assert {path.name for path in machine.builds.iterdir()} == {"chosen", f"{VERSION}-cuda"}


# Where none can be installed -----------------------------------------------------------------------------------------


def refusal(backend: Backend, folder: Path) -> str:
    with pytest.raises(BuildError) as refused:
        builds.install(backend, folder / "log", print)
    assert refused.value.advice
    return refused.value.message


def test_the_program_without_python_has_its_own_backends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "runs without Python" in refusal(Backend.VULKAN, tmp_path)


def test_a_python_of_the_system_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert "the system's package manager" in refusal(Backend.VULKAN, tmp_path)


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has Metal")
def test_metal_is_for_macs(tmp_path: Path) -> None:
    assert "Macs only" in refusal(Backend.METAL, tmp_path)


def test_without_llama_cpp_python_there_is_nothing_to_build_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ggml_backends, "find_spec", lambda _: None)
    assert refusal(Backend.CPU, tmp_path) == "llama-cpp-python is not installed."
    with pytest.raises(BuildError, match="Install it again"):
        builds.list_builds()


def test_libraries_that_a_person_names_are_used_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    assert "LLAMA_CPP_LIB_PATH names" in refusal(Backend.VULKAN, tmp_path)


def test_a_build_for_another_version_of_the_package_is_not_used(tmp_path: Path) -> None:
    for release, expected in ((version(PACKAGE), True), ("0.1.0", False)):
        (tmp_path / f"{release}-vulkan").mkdir()
        (tmp_path / "chosen").write_text(f"{release}-vulkan")
        assert bool(chosen_libraries(tmp_path)) is expected


def assert_nothing_changed(machine: Installation) -> None:
    assert not list(machine.builds.glob("*"))
