"""The program under test, with a clock that the soak can move: `python -m tests.soak.program batch …` or `window …`.

BATON_SOAK_CLOCK names a file that holds a number of seconds. `time.time`, `datetime.now` and what is made of them run
ahead of the machine's clock by so much, from the moment the file changes. The machine's own clock is left alone.
"""

from __future__ import annotations

import datetime
import faulthandler
import os
import signal
import sys
import time
from pathlib import Path

CLOCK = "BATON_SOAK_CLOCK"


def move_the_clock(file: Path) -> None:
    """Before anything of Baton is imported, since modules keep what they import from `datetime`."""
    machine_time = time.time

    def ahead() -> float:
        try:
            return float(file.read_text(encoding="ascii") or 0)
        except (OSError, ValueError):
            return 0.0

    class Moved(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Moved:
            return cls.fromtimestamp(machine_time() + ahead(), tz)

    time.time = lambda: machine_time() + ahead()
    datetime.datetime = Moved  # type: ignore[misc]


if __name__ == "__main__":
    faulthandler.register(signal.SIGUSR1)  # where each thread is, if it does not end
    if named := os.environ.get(CLOCK):
        move_the_clock(Path(named))
    if sys.argv[1] == "window":
        from tests.soak import window

        sys.exit(window.main(sys.argv[2:]))
    from baton_reasoning.app import cli

    sys.exit(cli.main(sys.argv[1:]))
