"""Names the program that writes a run or has claimed a job, its owner, and tells whether it is still alive.

An owner is "NUMBER@START@PLACE": the process number, when the process started, and where both are unique. On Linux
`START` is in clock ticks since boot (/proc/PID/stat, field 22), which setting the clock does not change, and `PLACE`
names the boot and the process namespace, since numbers and ticks repeat after a restart and in every container.
Elsewhere `START` is the time that the system records, and all programs are in one place.

A program sees only the processes of its own place. So each owner renews its claim in the table `owners`, and one that
cannot be seen counts as alive until its claim is a minute old. Should one wake up later, nothing is mixed: what it
writes names its attempt, which is no longer the last one.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from baton_reasoning.core.store.timestamps import format_timestamp, now

RENEW_SECONDS = 10.0
LAPSED = timedelta(minutes=1)
"""The age at which the claim of an owner that cannot be seen no longer holds."""
_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys/kernel/random/boot_id"
_OF_ANOTHER_USER = "of another user"


@cache
def this_process() -> str:
    """Return the owner that this program is."""
    return f"{os.getpid()}@{_start('self' if _BOOT_ID.exists() else os.getpid())}@{_place()}"


def claim_as_owner(connection: sqlite3.Connection) -> str:
    """Begin or renew the claim of this program, inside a transaction; returns its name."""
    connection.execute("INSERT OR REPLACE INTO owners VALUES (?, ?)", (this_process(), now()))
    return this_process()


def renew_claim(connection: sqlite3.Connection) -> bool:
    """Renew the claim of this program, or end it if it owns nothing; returns whether it owns anything."""
    owns = connection.execute(
        """SELECT EXISTS (SELECT 1 FROM runs WHERE state = 'running' AND owner = :me)
            OR EXISTS (SELECT 1 FROM jobs WHERE owner = :me AND owner <> '')""",  # as its index wants it
        {"me": this_process()},
    ).fetchone()[0]
    if owns:
        claim_as_owner(connection)
    else:
        connection.execute("DELETE FROM owners WHERE name = ?", (this_process(),))
    return bool(owns)


def forget_lapsed(connection: sqlite3.Connection) -> None:
    """Remove the claims of programs that ended long ago."""
    before = format_timestamp(datetime.now(UTC) - timedelta(days=1))
    connection.execute("DELETE FROM owners WHERE renewed < ?", (before,))


def is_alive(connection: sqlite3.Connection, owner: str) -> bool:
    """Tell whether the program is running: by its process or, if that cannot be seen, by its claim."""
    number, _, rest = owner.partition("@")
    born, _, place = rest.partition("@")
    if owner == this_process():
        return True
    if place == _place():
        return number.isdecimal() and _start(int(number)) in (born, _OF_ANOTHER_USER)
    row = connection.execute("SELECT renewed FROM owners WHERE name = ?", (owner,)).fetchone()
    # A claim may be from the future, if the clock was set back since.
    return row is not None and abs(datetime.now(UTC) - datetime.fromisoformat(row["renewed"])) < LAPSED


@cache
def _place() -> str:
    """Return where this program sees processes; a place of its own if /proc shows those of another namespace."""
    if not _BOOT_ID.exists():
        return ""
    if (_PROC / "self").readlink().name != str(os.getpid()):
        return f"unseen {uuid.uuid4().hex}"
    namespace = (_PROC / "self/ns/pid").readlink().name
    return f"{_BOOT_ID.read_text(encoding='ascii')[:8]}.{''.join(filter(str.isdecimal, namespace))}"


def _start(process: int | str) -> str:
    """Return what distinguishes a process from others with the same number; “” if there is no such process."""
    if not _BOOT_ID.exists():
        import psutil  # takes 10 ms, which the start of a window would wait for

        try:
            return f"{psutil.Process(int(process)).create_time():.2f}"
        except psutil.AccessDenied:
            return _OF_ANOTHER_USER
        except psutil.NoSuchProcess:
            return ""
    try:
        stat = (_PROC / str(process) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]  # the name in parentheses may contain blanks
