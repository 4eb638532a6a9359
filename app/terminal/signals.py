"""Handle Ctrl+C, SIGTERM and SIGHUP: the program ends with one line and an exit code, never a traceback.

During a run or a batch, the first signal stops it, and the second ends the program. A batch takes one Ctrl+C more: the
first finishes the answers that are under way.
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
def stops_on_interrupt(control: Stoppable, finish: Callable[[], object] | None = None) -> Iterator[None]:
    """Let the first signal stop the run; a second one ends the program.

    `finish`: what the first Ctrl+C does instead; any later signal then stops the run.
    """
    with _handled_by(control.stop, once=True, first=finish):
        yield


def exit_code_of_signal() -> int:
    """Return 128 plus the number of the last signal: 130 after Ctrl+C."""
    return 128 + _received


@contextmanager
def _handled_by(
    action: Callable[[], object], once: bool = False, first: Callable[[], object] | None = None
) -> Iterator[None]:
    """`once`: later signals are handled as before. `first`: what the first Ctrl+C does instead."""
    before: dict[int, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, _: object) -> None:
        global _received
        nonlocal first
        _received = signal.Signals(number)
        if first and number == signal.SIGINT:
            finish, first = first, None
            finish()
            return
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
