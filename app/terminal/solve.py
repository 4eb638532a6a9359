"""`baton solve`: solve one problem, and print its steps or its answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress

import click

from baton_reasoning.app.shared.expected_speed import speed_of_pair, time_saved
from baton_reasoning.app.shared.labels import bills_of
from baton_reasoning.app.terminal.command_line import OUTPUT, command, option
from baton_reasoning.app.terminal.exit_codes import ExitCode
from baton_reasoning.app.terminal.options import RunOptions, run_options, run_settings
from baton_reasoning.app.terminal.output import console, is_live, is_quiet, progress, remark, write, write_figures
from baton_reasoning.app.terminal.pair import LoadingOptions, ModelOptions, loading_options, model_options, open_pair
from baton_reasoning.app.terminal.printer import Printer, summary
from baton_reasoning.app.terminal.recording import Record, recorded
from baton_reasoning.app.terminal.signals import exit_code_of_signal, stops_on_interrupt
from baton_reasoning.app.terminal.standard_input import read_input, read_piped_input
from baton_reasoning.app.terminal.streams import report, write_json
from baton_reasoning.core.demo_pair import DemoProblem
from baton_reasoning.core.errors import EngineError, SettingsError
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import Pair, ask, run
from baton_reasoning.core.text import replace_lone_surrogates
from baton_reasoning.core.thinking.events import Event, Finish, Noticed
from baton_reasoning.core.thinking.interruptions import Control
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_to_json, trace_to_json

BEYOND_THE_DEMO = (
    "The demo pair solves only number puzzles such as `baton demo` shows: what it writes here means nothing."
)
NO_MODELS = "No models are named, and the demo pair solves only number puzzles, which this is not."
WAYS_ON = "See one with baton demo, or name models with --small … --large … (baton models pairs lists some)."


@command("solve")
@click.argument("problem", default="")
@run_options
@model_options
@loading_options
@option("--steps", is_flag=True, group=OUTPUT, help="Print all steps, not the answer alone, into a file or pipe, too.")
@option("--json", is_flag=True, group=OUTPUT, help="One JSON event a line; the last line is the whole trace.")
@option("--no-history", is_flag=True, group=OUTPUT, help="Keep the answer out of the history (baton history).")
def solve(
    problem: str,
    method: RunOptions,
    models: ModelOptions,
    loading: LoadingOptions,
    steps: bool,
    json: bool,
    no_history: bool,
) -> int:
    """Solve one problem. A terminal shows all steps as they are written; a file or pipe gets the answer alone.

    PROBLEM is the text of the problem; - reads it from standard input. Text that is piped in comes before PROBLEM, or
    is the problem: cat proof.txt | baton solve "Is this right?" --small … --large …
    """
    settings = run_settings(method, is_demo=models.is_demo)
    problem = whole_problem(problem)
    if models.is_demo and DemoProblem.of(problem) is None:
        if not models.are_given:
            raise SettingsError(NO_MODELS, WAYS_ON)
        remark(BEYOND_THE_DEMO)
    needs = POLICIES.of(settings.policy).needs
    control, costs = Control(), ModelCosts(Paths.of_user().model_costs)
    with open_pair(models, loading, needs, costly_demo=True) as pair:
        if not json and (expected := speed_of_pair(pair, costs)):
            remark(expected)
        with stops_on_interrupt(control):
            events = run(pair, ask(problem, settings), settings, control=control)
            with recorded(problem, settings, is_kept=not no_history) as record:
                if json:
                    trace = print_json(events, record)
                elif steps or sys.stdout.isatty():
                    trace = print_steps(events, record)
                else:
                    trace = print_answer(events, settings.max_tokens, record)
            if not json:
                print_costs(pair, trace, costs, control)
    if trace.ended and trace.ended.reason:
        report(trace.ended.reason)
    return ExitCode.FAILED if record.failed else exit_code_of(trace)


def whole_problem(argument: str) -> str:
    """Return what is piped in, then the argument; - reads standard input whatever it is.

    Raises SettingsError if both are empty.
    """
    piped = read_input() if argument == "-" else read_piped_input()
    parts = (piped, "" if argument == "-" else replace_lone_surrogates(argument))
    if problem := "\n\n".join(part for each in parts if (part := each.strip())):
        return problem
    raise SettingsError("There is no problem to solve.", "Write one in quotes after baton solve, or pipe one in.")


def exit_code_of(trace: Trace) -> int:
    """Return the exit code for how the run ended."""
    match trace.finish:
        case Finish.END_OF_TEXT:
            return ExitCode.ANSWERED
        case Finish.FAILED | None:
            return ExitCode.FAILED
        case Finish.STOPPED:
            return exit_code_of_signal()
        case _:
            return ExitCode.INCOMPLETE


def print_steps(events: Iterator[Event], record: Record = lambda _: None) -> Trace:
    """Print a run for people as it streams."""
    progress = console(stderr=True) if is_live(sys.stderr) and not is_quiet() else None
    printer = Printer(console(), is_live(sys.stdout), progress)
    for event in events:
        record(event)
        printer.feed(event)
    printer.finish()
    write_figures(f"\n{summary(printer.trace)}")
    return printer.trace


def print_answer(events: Iterator[Event], most_tokens: int, record: Record = lambda _: None) -> Trace:
    """Print the answer of a run, once it is complete, and nothing of the thinking before it."""
    trace = Trace()
    with progress("Solving") as line:
        for event in events:
            record(event)
            trace.apply(event)
            if isinstance(event, Noticed):
                line.remark(event.text)
            line.show(trace.tokens / most_tokens, f"{trace.tokens:,} tokens")
    if answer := trace.answer.strip():
        write(answer)
    elif trace.finish is not Finish.FAILED:
        report("The text ended before an answer; --steps prints what there is.")
    write_figures(summary(trace))
    return trace


def print_costs(pair: Pair, trace: Trace, costs: ModelCosts, control: Control) -> None:
    """Print the time beside that of the large model alone, and what servers did.

    Models that are not known yet are measured now, when nothing waits for them any more.
    """
    with suppress(EngineError):  # the answer is there, and says what happened to the model
        costs.measure(pair, control.attach)
    if saved := time_saved(trace, costs.of(pair.large.card) if pair.large else None):
        write_figures(saved)
    for line in bills_of(pair):
        write_figures(line)


def print_json(events: Iterator[Event], record: Record = lambda _: None) -> Trace:
    """Print a run for programs as it streams, one JSON event per line."""
    trace = Trace()
    for event in events:
        record(event)
        trace.apply(event)
        write_json(event_to_json(event))
    write_json(trace_to_json(trace))
    return trace
