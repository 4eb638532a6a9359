"""Moments as the database keeps them: UTC, ISO 8601, so that text order is time order."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

import psutil


def now() -> str:
    return as_text(datetime.now(UTC))


def as_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def as_moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


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
