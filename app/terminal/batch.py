"""`baton batch`: solve and grade problems under several arms, and work on the results."""

from __future__ import annotations

import click

from baton_reasoning.app.terminal.command_line import HELP, LazyCommand, LazyGroup

COMMANDS = {
    "run": LazyCommand("batch_commands:run", "Solve and grade a file of problems; compare methods."),
    "resume": LazyCommand("batch_commands:resume", "Continue a batch, and try its errors again."),
    "report": LazyCommand("batch_commands:report", "Write results and report of a batch as it is."),
    "grade": LazyCommand("batch_commands:grade", "Find and grade the answers again."),
    "failures": LazyCommand("review_commands:failures", "Show what went wrong."),
    "value": LazyCommand("review_commands:batch_value", "Estimate what the takeovers were worth."),
    "again": LazyCommand("batch_commands:again", "Run the batch of a report again."),
}


@click.group("batch", cls=LazyGroup, lazy=COMMANDS, context_settings=HELP)
def batch() -> None:
    """Solve and grade a file of problems under several arms, and work on the results.

    DIR is the folder that `baton batch run` wrote into.
    """
