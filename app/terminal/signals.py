"""Handle Ctrl+C, SIGTERM and SIGHUP: the program ends with one line and an exit code, never a traceback.

During a run or a batch, the first signal stops it and keeps the text so far; the second ends the program.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
_received = signal.SIGINT


class Stoppable(Protocol):
    def stop(self) -> None: ...


@contextmanager
def interruptible() -> Iterator[None]:
    """Let every signal raise KeyboardInterrupt while the block runs."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with _handled_by(interrupt):
        yield


@contextmanager
def stops_on_interrupt(control: Stoppable) -> Iterator[None]:
    """Let the first signal stop the run; a second one ends the program."""
    with _handled_by(control.stop, once=True):
        yield


def exit_code_of_signal() -> int:
    """Return 128 plus the number of the last signal: 130 after Ctrl+C."""
    return 128 + _received


@contextmanager
def _handled_by(action: Callable[[], object], once: bool = False) -> Iterator[None]:
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, _: object) -> None:
        global _received
        _received = signal.Signals(number)
        if once:
            restore()
        action()

    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if handler != signal.SIG_IGN:  # ignored under nohup, or in the background of a script
            before[number] = handler
            signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
