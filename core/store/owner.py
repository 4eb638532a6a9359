"""Which program holds a run or a job, so that one that was killed can be told from one that still works."""

from __future__ import annotations

import os
from functools import cache

import psutil


def this_process() -> str:
    """A process by number and time of birth: numbers are given out again."""
    return _name(os.getpid())


def is_alive(owner: str) -> bool:
    number = owner.partition("@")[0]
    try:
        return number.isdecimal() and _born(int(number)) == owner
    except psutil.AccessDenied:
        return True  # somebody else's program is not ours to bury
    except psutil.NoSuchProcess:
        return False


@cache
def _name(pid: int) -> str:
    return _born(pid)


def _born(pid: int) -> str:
    return f"{pid}@{psutil.Process(pid).create_time():.2f}"
