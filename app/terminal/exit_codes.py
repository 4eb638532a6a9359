"""The exit codes of `baton`: one for each kind of failure."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    ANSWERED = 0
    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    STOPPED = 130
    CLOSED_PIPE = 141


MEANINGS = {
    ExitCode.ANSWERED: "Done.",
    ExitCode.FAILED: "A model, a server, the network or the disk failed; the answer could not be saved in the history; "
    "or nothing was found.",
    ExitCode.USAGE: "Wrong usage: something on the command line or in the configuration cannot be used, or a file that "
    "it names is missing or cannot be read.",
    ExitCode.INCOMPLETE: "A limit, a full context or a repetition ended the text, not a model.",
    ExitCode.STOPPED: "Stopped by Ctrl+C; SIGTERM ends with 143, SIGHUP with 129.",
    ExitCode.CLOSED_PIPE: "The reader of standard output has gone, as in baton history list | head -1.",
}
