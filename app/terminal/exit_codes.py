"""What the command `baton` ends with (docs/terminal.md)."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    ANSWERED = 0
    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    """The text was ended by a limit, a full context or a repetition, not by a model."""
    STOPPED = 130
    """By Ctrl+C. SIGTERM and SIGHUP stop in the same way, with 143 and 129."""
