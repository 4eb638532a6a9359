"""The command `baton`. It imports no Qt, and nothing at all before it handles Ctrl+C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never raises."""
    try:
        from baton_reasoning.app.terminal.program import run

        if argv is not None:
            return run(argv)
        code = run(sys.argv[1:])
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # at its end Python would answer Ctrl+C with a traceback
        eval("0")  # clears CPython's note of a KeyboardInterrupt in exec, for which `python -m` would die of SIGINT
        return code
    except KeyboardInterrupt:  # while the program itself was being imported
        sys.stderr.write("baton: Stopped.\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
