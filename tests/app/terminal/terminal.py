"""The command `baton` in a pseudo-terminal, as a person sits before it."""

from __future__ import annotations

import fcntl
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path
from select import select
from types import TracebackType
from typing import Self

import psutil

CTRL_C = "\x03"
CTRL_D = "\x04"
LIMIT = 240.0
"""Seconds without output after which a test fails."""


class Terminal:
    """A process whose three streams are a pseudo-terminal of its own, which is also its controlling terminal."""

    def __init__(self, *arguments: str, code: str = "", environment: Mapping[str, str] | None = None) -> None:
        """`arguments` of `baton`; or Python code instead."""
        self._ours, theirs = pty.openpty()
        command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "baton_reasoning", *arguments]
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=dict(os.environ) | {"TERM": "xterm-256color", "COLUMNS": "200"} | dict(environment or {}),
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(theirs)
        self.screen = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def wait_for(self, words: str) -> None:
        """Read until these words have been printed."""
        while words not in self.screen:
            assert self._read(), f"it ended without “{words}”:\n{self.screen}"

    def wait_for_question(self, words: str) -> None:
        """Read until these words have been printed and the program waits for what is typed.

        A signal between the two is handled only after the next line: the read has begun when the signal has been noted.
        No person is that fast.
        """
        self.wait_for(words)
        while not self._reads_input():
            assert self.process.poll() is None, self.screen

    def _reads_input(self) -> bool:
        """Whether it sleeps in a read of standard input; where Linux does not tell, whether it sleeps."""
        system_call = Path(f"/proc/{self.process.pid}/syscall")
        try:
            return system_call.read_text().split()[1:2] == ["0x0"]  # the first argument: a file descriptor
        except OSError:
            return bool(psutil.Process(self.process.pid).status() == psutil.STATUS_SLEEPING)

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def exit_code(self) -> int:
        """Read until the process has ended."""
        while self._read():
            pass
        return self.process.wait(LIMIT)

    def processes_left(self) -> list[str]:
        """Return the processes of its session that do not end."""
        mine = [process for process in psutil.process_iter() if _session(process) == self.process.pid]
        _, alive = psutil.wait_procs(mine, timeout=LIMIT / 4)
        return [str(process) for process in alive]

    def _read(self) -> bool:
        """Read what there is; return False at the end."""
        ready, _, _ = select([self._ours], [], [], LIMIT)
        assert ready, f"nothing happened any more:\n{self.screen}"
        try:
            data = os.read(self._ours, 65_536)
        except OSError:  # Linux: the other end is closed
            return False
        self.screen += data.decode("utf-8", "replace")
        return bool(data)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:  # it has ended
        return 0
