"""`baton doctor`: check what this installation can use, and say what to do about the rest."""

from __future__ import annotations

from collections.abc import Iterator

import click

from baton_reasoning.app.display import display_problem, qt_problem
from baton_reasoning.app.terminal.command_line import CONFIG_FAULT, as_json, command
from baton_reasoning.app.terminal.output import write
from baton_reasoning.app.terminal.streams import ExitCode, write_json
from baton_reasoning.core.diagnosis import Check, State, diagnose, survived

SIGNS = {State.GOOD: "✓", State.WARNING: "!", State.PROBLEM: "✗"}
_STYLES = {State.GOOD: "green", State.WARNING: "yellow", State.PROBLEM: "bold red"}


@command("doctor")
@as_json
def doctor(json: bool) -> int:
    """Check versions, back ends, GPUs, memory, folders, settings, keyring and display.

    Each problem comes with what to do about it. The exit code is 1 if something cannot work at all. The command checks
    the configuration file, and ignores the options in it.
    """
    worst = ExitCode.ANSWERED
    for check in _checks():
        if check.state is State.PROBLEM:
            worst = ExitCode.FAILED
        if json:
            write_json({**check._asdict(), "state": check.state.value})
            continue
        write(f"{SIGNS[check.state]} ", _STYLES[check.state], end="")
        write(f"{check.subject}: {check.finding}")
        for line in check.remedy.splitlines():
            write(f"    {line}")
    return worst


def _checks() -> Iterator[Check]:
    if fault := click.get_current_context().meta.get(CONFIG_FAULT):
        yield Check("Configuration", State.PROBLEM, fault.message.rstrip("."), fault.advice)
    yield from diagnose()
    yield from survived("Window", _window)


def _window() -> Iterator[Check]:
    if reason := qt_problem():
        remedy = "Install what it names (docs/install.md); the terminal works without it."
        yield Check("Window", State.WARNING, f"Qt cannot be loaded: {reason}", remedy)
    elif reason := display_problem():
        yield Check("Window", State.WARNING, reason.rstrip("."), "The window needs one; the terminal does not.")
    else:
        yield Check("Window", State.GOOD, "it can be opened")
