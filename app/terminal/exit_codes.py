"""The exit codes of `baton`."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    ANSWERED = 0
    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    """A limit, a full context or a repetition ended the text, not a model."""
    STOPPED = 130
    """After Ctrl+C. SIGTERM ends with 143, SIGHUP with 129."""
