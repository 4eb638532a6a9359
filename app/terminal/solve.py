"""`baton solve`: one problem, two models, streamed into the terminal."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Protocol

from app.shared.labels import bills_of
from app.terminal.options import add_model_options, add_run_options, open_pair, run_settings
from app.terminal.printer import Printer
from core.errors import SettingsError
from core.run import ask, run
from core.thinking.control import Control
from core.thinking.event_json import event_to_json
from core.thinking.events import Event, Finish
from core.thinking.registry import POLICIES
from core.thinking.trace import Trace
from core.thinking.trace_json import trace_to_json


class ExitCode(IntEnum):
    """What `baton` ends with (README)."""

    ANSWERED = 0
    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    """The text was ended by a limit, a full context or a repetition, not by a model."""
    STOPPED = 130


_CODES = {
    Finish.END_OF_TEXT: ExitCode.ANSWERED,
    Finish.FAILED: ExitCode.FAILED,
    Finish.STOPPED: ExitCode.STOPPED,
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("solve", help="solve one problem", description=__doc__)
    parser.add_argument("problem", help="the problem; - reads it from standard input")
    add_model_options(parser)
    add_run_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON event a line, the whole trace in the last one")
    parser.set_defaults(carry_out=solve)


def solve(arguments: argparse.Namespace) -> int:
    settings = run_settings(arguments)
    problem = sys.stdin.read() if arguments.problem == "-" else arguments.problem
    if not problem.strip():
        raise SettingsError("There is no problem to solve.", "Name one: baton solve “What is 2 + 2?”.")
    needs = POLICIES.of(settings.policy).needs
    control = Control()
    with open_pair(arguments, small=needs.small, large=needs.large) as pair, stops_on_interrupt(control):
        events = run(pair, ask(problem, settings), settings, control=control)
        trace = print_json(events) if arguments.json else print_steps(events)
        if not arguments.json:
            for line in bills_of(pair):
                print(line)
    if trace.ended and trace.ended.reason:
        print(f"baton: {trace.ended.reason}", file=sys.stderr)
    return _CODES.get(trace.finish or Finish.FAILED, ExitCode.INCOMPLETE)


def print_steps(events: Iterator[Event]) -> Trace:
    """Stream a run for people; colours only in a terminal that wants them (https://no-color.org)."""
    live = sys.stdout.isatty()
    printer = Printer(sys.stdout, live=live, colour=live and "NO_COLOR" not in os.environ)
    for event in events:
        printer.feed(event)
    printer.finish()
    return printer.trace


def print_json(events: Iterator[Event]) -> Trace:
    """Stream a run for programs (docs/trace.md)."""
    trace = Trace()
    for event in events:
        trace.apply(event)
        print(json.dumps(event_to_json(event), ensure_ascii=False), flush=True)
    print(json.dumps(trace_to_json(trace), ensure_ascii=False), flush=True)
    return trace


class Stoppable(Protocol):
    def stop(self) -> None: ...


@contextmanager
def stops_on_interrupt(control: Stoppable) -> Iterator[None]:
    """Ctrl+C ends the run and keeps what is there; a second one ends the program."""

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        control.stop()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
