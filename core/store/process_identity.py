"""Identifies the program that writes a run or has claimed a job, and tells whether it is still running.

An identity is "PID@BOOT@TICKS" on Linux: `TICKS` is the start time in clock ticks since boot (/proc/PID/stat, field
22), which setting the clock does not change, and `BOOT` the first digits of the kernel's boot id, since process numbers
and ticks repeat after a restart. Elsewhere it is "PID@SECONDS", the start time that the system records.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import psutil

_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys/kernel/random/boot_id"


def this_process() -> str:
    return _identity(os.getpid())


def is_alive(owner: str) -> bool:
    """Tell whether the process with this identity is running. Another user's process counts as running."""
    number, _, born = owner.partition("@")
    if not number.isdecimal():
        return False
    try:
        current = _start(int(number))
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False
    return current == born


@cache
def _identity(pid: int) -> str:
    return f"{pid}@{_start(pid)}"


def _start(pid: int) -> str:
    """Return what distinguishes this process from others with the same number. Raises psutil.NoSuchProcess."""
    if not _BOOT_ID.exists():
        return f"{psutil.Process(pid).create_time():.2f}"
    try:
        stat = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise psutil.NoSuchProcess(pid) from error
    ticks = stat.rpartition(")")[2].split()[19]  # the name in parentheses may contain blanks
    return f"{_BOOT_ID.read_text(encoding='ascii')[:8]}@{ticks}"
