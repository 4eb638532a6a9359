"""`baton replay`: show where another policy would have taken over in a recorded run."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

import click

from baton_reasoning.app.terminal.command_line import OUTPUT, command, option
from baton_reasoning.app.terminal.exit_codes import ExitCode
from baton_reasoning.app.terminal.options import RunOptions, run_options, run_settings
from baton_reasoning.app.terminal.output import write
from baton_reasoning.app.terminal.standard_input import read_input
from baton_reasoning.app.terminal.streams import write_json
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import read_text
from baton_reasoning.core.settings import tolerant
from baton_reasoning.core.thinking.policy import Policy, PolicyContext
from baton_reasoning.core.thinking.registry import POLICIES, make_policy
from baton_reasoning.core.thinking.replay.replay import PlaceKind, Replay, compare, recordings_of, remarks
from baton_reasoning.core.thinking.trace_json import trace_from_lines

SIGNS = {PlaceKind.BOTH: "=", PlaceKind.RECORDED: "-", PlaceKind.REPLAYED: "+"}


@command("replay")
@click.argument("trace", type=click.Path(path_type=Path, allow_dash=True))
@run_options
@option("--json", is_flag=True, group=OUTPUT, help="One JSON object for each takeover.")
def replay(trace: Path, method: RunOptions, json: bool) -> int:
    """Show where another policy would have taken over in a recorded run, without generating text.

    TRACE is what `baton solve --json` wrote; - reads it from standard input. Options that are not given are as in the
    recorded run.
    """
    text = read_input() if str(trace) == "-" else read_text(trace, "Name what baton solve --json wrote.")
    recorded = trace_from_lines(text.splitlines())
    if not recorded.pieces or recorded.started is None:
        raise SettingsError(f"{trace} holds no run.", "Record one: baton solve --json … > trace.json.")
    settings = run_settings(method, recorded=tolerant({"run": recorded.started.settings}).run)

    policy = POLICIES.of(settings.policy)
    if policy.answers_again:
        if not json:
            write(" ".join(remarks(recorded, policy)))
        return ExitCode.ANSWERED

    def make() -> Policy:
        return make_policy(settings.policy, PolicyContext(settings.seed, settings.lexicon))

    recordings = recordings_of(recorded.events)
    played = Replay(recordings, make, settings.limits)
    places = compare([took for one in recordings for took in one.takeovers], list(played.takeovers()))
    for took, kind in places:
        step = recorded.pieces[bisect_right(recorded.pieces, took.start, key=lambda piece: piece.position) - 1].step
        if json:
            cue = took.cue.word if took.cue else None
            write_json({"step": step + 1, "in": kind.name.lower(), "reason": took.reason, "cue": cue})
        else:
            write(f"{SIGNS[kind]} step {step + 1}: {took.reason}{f', {took.cue.word}' if took.cue else ''}")
    if json:
        return ExitCode.ANSWERED
    kinds = [place.kind for place in places]
    write(", ".join(f"{SIGNS[kind]} {kinds.count(kind)} {kind.value}" for kind in PlaceKind))
    for sentence in [*remarks(recorded, policy), *played.remarks()]:
        write(sentence)
    return ExitCode.ANSWERED
