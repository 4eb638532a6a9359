"""The command `baton`: everything that the window does, without one. Imports no Qt.

Exit codes: 0 answered, 1 failed, 2 wrong usage, 3 ended by a limit, 130 stopped by Ctrl+C. What went wrong is one
sentence on standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from app.terminal import batch, connect, demo, evidence, profile, replay, solve
from app.terminal.solve import ExitCode
from core.errors import BatonError, SettingsError

COMMANDS = (solve, batch, demo, evidence, connect, profile, replay)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in a sentence. The usage, a dozen lines for some commands, is for those who ask for it."""

    def error(self, message: str) -> NoReturn:
        self.exit(ExitCode.USAGE, f"{self.prog}: {message}. {self.prog} --help tells what it takes.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = _Parser(
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
        return ExitCode.USAGE
    except BatonError as error:
        print(f"baton: {error}", file=sys.stderr)
        return ExitCode.FAILED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read the output has gone: nothing is left to say
        return ExitCode.STOPPED
    return code


if __name__ == "__main__":
    sys.exit(main())
