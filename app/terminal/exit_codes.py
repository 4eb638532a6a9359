"""The exit codes of `baton`: one for each kind of failure."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    ANSWERED = 0
    FAILED = 1
    """A model, a server, the network or the disk failed; the answer could not be saved; or nothing was found."""
    USAGE = 2
    """Something on the command line or in the configuration cannot be used, or a file that it names is missing."""
    INCOMPLETE = 3
    """A limit, a full context or a repetition ended the text, not a model."""
    STOPPED = 130
    """By Ctrl+C; SIGTERM ends with 143, SIGHUP with 129."""
    CLOSED_PIPE = 141
    """The reader of standard output has gone."""
