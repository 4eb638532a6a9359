"""What a test needs of the system it runs on, and where a user's folders are set there."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from baton_reasoning.core.paths import Paths

NEEDS_POSIX = "needs POSIX: {}"


def posix_only(what: str) -> pytest.MarkDecorator:
    """Skip a test on Windows, which lacks this."""
    return pytest.mark.skipif(sys.platform == "win32", reason=NEEDS_POSIX.format(what))


def is_wine() -> bool:
    return sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


def user_folders(folder: Path) -> dict[str, str]:
    """Return the environment in which the data, settings and caches of a user lie in this folder, on every system.

    platformdirs reads the XDG variables on Linux and macOS, and its own on Windows. There llama.cpp's cache is in
    LOCALAPPDATA.
    """
    variables = {f"XDG_{kind}_HOME": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "CACHE", "STATE")}
    windows = ("WIN_PD_OVERRIDE_APPDATA", "WIN_PD_OVERRIDE_LOCAL_APPDATA", "LOCALAPPDATA")
    return variables | dict.fromkeys(windows, str(folder / "local"))


def user_in(folder: Path, patch: pytest.MonkeyPatch) -> Paths:
    """Let the folders of the user lie in this one, also in programs that a test starts; return them."""
    for name, value in user_folders(folder).items():
        patch.setenv(name, value)
    return Paths.of_user()


@contextmanager
def unreadable(folder: Path) -> Iterator[None]:
    """Let nobody read a folder, on POSIX; root, who may read everything, is somebody else meanwhile."""
    if sys.platform == "win32":
        raise NotImplementedError
    folder.chmod(0)
    if is_root := os.geteuid() == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)
