"""Keeps the machine from falling asleep while nobody touches it; its screen may be turned off."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CONTINUOUS, SYSTEM_REQUIRED = 0x80000000, 0x00000001
"""Of Windows' SetThreadExecutionState, whose request holds until the thread ends or takes it back."""


@contextmanager
def kept_awake() -> Iterator[None]:
    """Keep the machine awake during the block, on macOS and Windows. Leave it in the thread that entered it."""
    let_go = _hold()
    try:
        yield
    finally:
        let_go()


def _hold() -> Callable[[], object]:
    """Ask the system to stay awake, and return what takes that back."""
    if sys.platform == "win32":
        request = ctypes.windll.kernel32.SetThreadExecutionState
        request(CONTINUOUS | SYSTEM_REQUIRED)
        return lambda: request(CONTINUOUS)
    if sys.platform == "darwin":
        # It ends with this program, even if that is killed.
        command = ["/usr/bin/caffeinate", "-i", "-w", str(os.getpid())]
        try:
            child = subprocess.Popen(command, env={}, start_new_session=True)  # which Ctrl+C does not reach
        except OSError:
            return lambda: None

        def end() -> None:
            child.kill()
            child.wait()

        return end
    return lambda: None
