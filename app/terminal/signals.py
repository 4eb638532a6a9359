"""Ctrl+C, SIGTERM and SIGHUP: at every stage they end the program with one line and an exit code, never a traceback.

While a run or a batch is written, the first signal stops it and keeps what is there; the next one ends the program.
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
    """Every signal raises KeyboardInterrupt, as Ctrl+C does."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with _handled_by(interrupt):
        yield


@contextmanager
def stops_on_interrupt(control: Stoppable) -> Iterator[None]:
    """The first signal stops the run; a second one ends the program."""
    with _handled_by(control.stop, once=True):
        yield


def exit_code_of_signal() -> int:
    """128 and the number of the last signal: 130 after Ctrl+C."""
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
        if handler != signal.SIG_IGN:  # started by nohup, or in the background of a script
            before[number] = handler
            signal.signal(number, handle)
    try:
        yield
    finally:
        restore()
