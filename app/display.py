"""Finds out whether a window can be opened before it is: Qt ends the whole process if it cannot."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from baton_reasoning.core.child_process import NoAnswer, run_in_subprocess

SECONDS = 60.0


def qt_problem() -> str:
    """Return why Qt cannot be loaded; "" if it can. A process of its own tries it, in about a second."""
    try:
        return run_in_subprocess(_import_qt, seconds=SECONDS)
    except NoAnswer as error:
        return str(error)


def _import_qt() -> str:
    try:
        import_module("PySide6.QtWidgets")
    except Exception as error:  # noqa: BLE001 - whatever an import raises is the finding
        return f"{type(error).__name__}: {error}"
    return ""


def display_problem(environment: Mapping[str, str] = os.environ) -> str:
    """Return why no window can be opened, in a sentence; "" if one can. Takes milliseconds."""
    if sys.platform in ("darwin", "win32"):
        return ""
    chosen = environment.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if chosen and not chosen.startswith(("xcb", "wayland")):
        return ""  # offscreen, vnc, eglfs …: needs no display server
    if not chosen.startswith("xcb") and _wayland_answers(environment):
        return ""
    if not environment.get("DISPLAY"):
        return "There is no display."
    return _x11_problem(environment["DISPLAY"])


def _wayland_answers(environment: Mapping[str, str]) -> bool:
    name = environment.get("WAYLAND_DISPLAY")
    if sys.platform == "win32" or not name:  # which lacks such sockets
        return False
    path = Path(environment.get("XDG_RUNTIME_DIR", "/"), name)
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
    except OSError:
        return False
    return True


def _x11_problem(display: str) -> str:
    """Connect as Qt's plug-in does, with the libraries that it needs."""
    try:
        xcb = ctypes.CDLL("libxcb.so.1")
        ctypes.CDLL("libxcb-cursor.so.0")
    except OSError as error:
        return f"A library that the window needs is missing ({error}); install libxcb-cursor0."
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(display.encode(), None))
    failure = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    return f"The display {display} does not answer." if failure else ""
