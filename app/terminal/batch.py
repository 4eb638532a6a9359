"""`baton batch`: solve and grade problems under several arms, and work on the results."""

from __future__ import annotations

from baton_reasoning.app.terminal.command_line import LazyCommand, command_group

COMMANDS = [
    LazyCommand("run", "batch_commands:run", "Solve and grade a file of problems; compare methods."),
    LazyCommand("resume", "batch_commands:resume", "Continue a batch, and try its errors again."),
    LazyCommand("report", "batch_commands:report", "Write results and report of a batch as it is."),
    LazyCommand("grade", "batch_commands:grade", "Find and grade the answers again."),
    LazyCommand("failures", "review_commands:failures", "Show what went wrong."),
    LazyCommand("value", "review_commands:batch_value", "Estimate the value of the takeovers."),
    LazyCommand("again", "batch_commands:again", "Run the batch of a report again."),
]


@command_group("batch", COMMANDS)
def batch() -> None:
    """Solve and grade a file of problems under several arms, and work on the results.

    DIR is the folder that `baton batch run` wrote into.
    """
