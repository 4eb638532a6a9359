"""`baton replay`: over a recorded run, where would another policy, other cues or values have stepped in?"""

from __future__ import annotations

import argparse
from bisect import bisect_right
from pathlib import Path

from app.terminal.options import change_run_options, run_settings
from core.errors import SettingsError
from core.files import read_text
from core.settings import tolerant
from core.thinking.policy import Policy, PolicyContext
from core.thinking.registry import POLICIES, make_policy
from core.thinking.replay import Kind, Replay, compare, recordings_of, remarks
from core.thinking.trace_json import trace_from_lines

SIGNS = {Kind.BOTH: "=", Kind.RECORDED: "-", Kind.REPLAYED: "+"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("replay", help="another policy over a recorded run", description=__doc__)
    parser.add_argument("trace", type=Path, metavar="TRACE", help="what `baton solve --json` wrote")
    change_run_options(parser)
    parser.set_defaults(carry_out=replay)


def replay(arguments: argparse.Namespace) -> int:
    trace = trace_from_lines(read_text(arguments.trace, "Name what baton solve --json wrote.").splitlines())
    if not trace.pieces or trace.started is None:
        raise SettingsError(f"{arguments.trace} holds no run.", "Record one: baton solve --json … > trace.json.")
    settings = run_settings(arguments, tolerant({"run": trace.started.settings}).run)

    def make() -> Policy:
        return make_policy(settings.policy, PolicyContext(settings.seed, settings.lexicon))

    recordings = recordings_of(trace.events)
    played = Replay(recordings, make, settings.limits)
    places = compare([took for one in recordings for took in one.takeovers], list(played.takeovers()))
    for took, kind in places:
        step = trace.pieces[bisect_right(trace.pieces, took.start, key=lambda piece: piece.position) - 1].step
        print(f"{SIGNS[kind]} step {step + 1}: {took.reason}{f', {took.cue.word}' if took.cue else ''}")
    kinds = [place.kind for place in places]
    print(", ".join(f"{SIGNS[kind]} {kinds.count(kind)} {kind.value}" for kind in Kind))
    for sentence in remarks(trace, POLICIES.of(settings.policy).needs):
        print(sentence)
    return 0
