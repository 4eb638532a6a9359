"""The command `baton`: everything that the window does, without one. Imports no Qt.

Exit codes: 0 answered, 1 failed, 2 wrong usage, 3 ended by a limit, 130 stopped by Ctrl+C. What went wrong is one
sentence on standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from app.terminal import batch, connect, demo, evidence, profile, replay, solve
from core.errors import BatonError, SettingsError

COMMANDS = (solve, batch, demo, evidence, connect, profile, replay)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="baton",
        description="A small model thinks; a large one writes the steps where thinking is hard.",
        epilog="exit codes: 0 answered, 1 failed, 2 wrong usage, 3 ended by a limit, 130 stopped",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    arguments = parser.parse_args(argv)
    try:
        code: int = arguments.carry_out(arguments)
    except SettingsError as error:
        print(f"baton: {error}", file=sys.stderr)
        return solve.ExitCode.USAGE
    except BatonError as error:
        print(f"baton: {error}", file=sys.stderr)
        return solve.ExitCode.FAILED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has gone: nothing is left to say
        return solve.ExitCode.STOPPED
    return code


if __name__ == "__main__":
    sys.exit(main())
