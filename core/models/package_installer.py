"""Runs pip, or uv where an environment has no pip, to put packages into a folder; and names missing system packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import psutil

from baton_reasoning.core.child_process import signals_held
from baton_reasoning.core.errors import BuildError

BETWEEN_REPORTS = 30.0
"""Seconds after which it is said again that a command is still running."""
MANAGERS = {"apt-get": "sudo apt install", "dnf": "sudo dnf install", "pacman": "sudo pacman -S --needed"}
"""System package managers, and how each is told to install."""
WITHOUT_WAITING = {"PIP_TIMEOUT": "8", "PIP_RETRIES": "0", "UV_HTTP_TIMEOUT": "8", "UV_HTTP_RETRIES": "0"}
"""Variables for pip and uv with which an index that cannot be reached is given up soon."""


class PackageInstaller:
    """Installs packages into folders with pip or uv, whose output goes to a log."""

    def __init__(self, temporary: Path, log: Path, say: Callable[[str], object]) -> None:
        """`temporary`: a folder for what pip unpacks and compiles. Raises BuildError if there is neither pip nor uv."""
        self._command = _pip_or_uv()
        self._temporary = temporary
        self._log = log
        self._say = say
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")

    def install(self, into: Path, *arguments: str, what: str, **variables: str) -> bool:
        """Install packages into a folder; `what` says what is waited for. Return whether it succeeded."""
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._temporary))
        command = [*self._command, "--no-cache-dir", "--target", str(into), *arguments]
        return self._run(command, what, {**os.environ, **temporary, **variables})

    def _run(self, command: list[str], what: str, environment: Mapping[str, str]) -> bool:
        began = time.monotonic()
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{' '.join(command)}\n")
            log.flush()
            with signals_held():  # out of reach of Ctrl+C: it is killed below, with the compilers that it started
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=dict(environment),
                    start_new_session=True,
                )
            try:
                while True:
                    try:
                        return process.wait(BETWEEN_REPORTS) == 0
                    except subprocess.TimeoutExpired:
                        self._say(f"{what}: {time.monotonic() - began:.0f} s")
            finally:
                _kill_with_children(process)


def _pip_or_uv() -> list[str]:
    if find_spec("pip"):
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    raise BuildError(
        "Neither pip nor uv can be found.",
        f"Install uv (https://docs.astral.sh/uv), or run: {sys.executable} -m ensurepip",
    )


def _kill_with_children(process: subprocess.Popen[bytes]) -> None:
    try:
        started = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:  # it has ended by itself
        return
    for each in (process, *started):
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


@cache
def set_up_values() -> dict[str, str]:
    """Read what set-up and `baton gpu install` share: “index”, “cuda”, and packages such as “apt-get compiler”."""
    lines = files("baton_reasoning.resources").joinpath("set_up.txt").read_text(encoding="utf-8").splitlines()
    pairs = [re.fullmatch(rf"((?:{'|'.join(MANAGERS)}) \S+|\S+) (.+)", line) for line in lines if line[:1] != "#"]
    return {pair[1]: pair[2] for pair in pairs if pair}


def install_line(purposes: Sequence[str]) -> str:
    """Return the command that installs the system packages for these purposes, such as “compiler”."""
    for manager, command in MANAGERS.items():
        if shutil.which(manager):
            names = " ".join(set_up_values()[f"{manager} {purpose}"] for purpose in purposes)
            return f"Please run: {command} {names}"
    if sys.platform == "darwin":
        return "Please run: xcode-select --install"
    if sys.platform == "win32":
        return "Install Visual Studio's C++ build tools, and for Vulkan its SDK."
    return "docs/install.md names the packages for Debian, Fedora and Arch."
