"""`baton solve` and `baton demo`: solve one problem, print its steps or its answer, and record it."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import click

from baton_reasoning.app.terminal import options
from baton_reasoning.app.terminal.command_line import OUTPUT, as_json, command, option
from baton_reasoning.app.terminal.history import open_history
from baton_reasoning.app.terminal.output import console, is_live, progress, write, write_figures
from baton_reasoning.app.terminal.pair import open_pair, remark_on_policy
from baton_reasoning.app.terminal.printer import print_run, summary
from baton_reasoning.app.terminal.streams import (
    ExitCode,
    exit_code_of_signal,
    read_input,
    read_piped_input,
    remark,
    report,
    stops_on_interrupt,
    write_json,
)
from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.batch.running.arms import arms_of
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.demo_pair import DEMO_SETTINGS, READY_PROBLEMS, check_problem
from baton_reasoning.core.demo_pair.scoreboard import ScoredArm, ScoreRow, lines
from baton_reasoning.core.errors import EngineError, SettingsError, StoreError
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.run_command import run_settings
from baton_reasoning.core.store.runs import Recorder
from baton_reasoning.core.text import replace_lone_surrogates
from baton_reasoning.core.thinking.automatic import with_policy
from baton_reasoning.core.thinking.events import Event, Finish, Noticed
from baton_reasoning.core.thinking.interruptions import Control
from baton_reasoning.core.thinking.registry import POLICIES
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import event_to_json, trace_to_json
from baton_reasoning.core.words.labels import bills_of
from baton_reasoning.core.words.speed import did_not_pay, speed_of_pair, time_saved

NOT_KEPT = "The answer is not in the history."
WAYS_ON = "See one with baton demo, or name models with --small … --large … (baton models pairs lists some)."
ABOUT = (
    "Two tiny models come with Baton. They were trained for puzzles like this one\n"
    "and can do nothing else. Weights that change no token make them cost what a\n"
    "real pair costs, 1 to 13. `baton solve --small … --large …` takes real models."
)
CONTEXT = 1024
"""Tokens; enough for every ready problem."""
HEADINGS = ("Small alone", "Both", "Large alone")


@command("solve")
@click.argument("problem", default="")
@options.run_options
@options.model_options
@options.loading_options
@option("--steps", is_flag=True, group=OUTPUT, help="Print all steps into a file or pipe, not only the answer.")
@as_json.but(help="Print one JSON event per line, then the whole trace.")
@option("--no-history", is_flag=True, group=OUTPUT, help="Do not save the answer in the history (baton history).")
def solve(
    problem: str,
    method: options.RunOptions,
    models: options.ModelOptions,
    loading: options.LoadingOptions,
    steps: bool,
    json: bool,
    no_history: bool,
) -> int:
    """Solve one problem. A terminal shows all steps as they are written; a file or pipe gets the answer alone.

    PROBLEM is the text of the problem; - reads it from standard input. Text that is piped in comes before PROBLEM, or
    is the problem: cat proof.txt | baton solve "Is this right?" --small … --large …

    Without --small and --large, the pair chosen in the window is used.
    """
    settings = run_settings(**vars(method), is_demo=models.is_demo)
    problem = whole_problem(problem)
    needs = POLICIES.of(settings.policy).needs
    models.sources(needs.small, needs.large)  # a model that is missing is named first
    if models.is_demo:
        check_problem(problem, WAYS_ON)
    control, costs = Control(), ModelCosts(Paths.of_user().model_costs)
    with open_pair(models, loading, needs, costly_demo=True) as pair:
        remark_on_policy(settings, pair)
        settings = with_policy(settings, pair.cards)
        if not json and (expected := speed_of_pair(pair, costs)):
            remark(expected)
        with stops_on_interrupt(control.stop):
            with recorded(problem, settings, is_kept=not no_history) as recording:
                events = recording.of(run(pair, ask(problem, settings), settings, control=control))
                if json:
                    trace = print_json(reporting_losses(events))
                elif steps or sys.stdout.isatty():
                    trace = print_steps(reporting_losses(events))
                else:
                    trace = print_answer(events, settings.max_tokens)
            if not json:
                print_costs(pair, trace, costs, control)
    if trace.ended and trace.ended.reason:
        report(trace.ended.reason)
    return ExitCode.FAILED if recording.failed else exit_code_of(trace)


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


def reporting_losses(events: Iterable[Event]) -> Iterator[Event]:
    """Report that a model is lost on standard error too, unless a person reads standard output."""
    for event in events:
        if isinstance(event, Noticed) and event.lost and not sys.stdout.isatty():
            report(event.text)
        yield event


def print_steps(events: Iterable[Event]) -> Trace:
    """Print a run for people as it streams."""
    trace = print_run(events, console(), is_live(sys.stdout))
    write_figures(f"\n{summary(trace)}")
    return trace


def print_answer(events: Iterable[Event], most_tokens: int) -> Trace:
    """Print the answer of a run once it is complete, without the thinking."""
    trace = Trace()
    with progress("Solving") as line:
        for event in events:
            trace.apply(event)
            if isinstance(event, Noticed):
                (line.report if event.lost else line.remark)(event.text)
            line.show(trace.tokens / most_tokens, f"{trace.tokens:,} tokens")
    if answer := trace.answer.strip():
        write(answer)
    elif trace.finish is not Finish.FAILED:
        report("The text ended before an answer; --steps prints what there is.")
    write_figures(summary(trace))
    return trace


def print_costs(pair: Pair, trace: Trace, costs: ModelCosts, control: Control) -> None:
    """Print the time saved against the large model alone, or why none was, and the usage of servers.

    Models of unknown speed are measured now, after the answer.
    """
    with suppress(EngineError):  # the answer is there, and says what happened to the model
        costs.measure(pair, control.attach)
    cost = costs.of(pair.large.card) if pair.large else None
    if gained := did_not_pay(trace, cost) or time_saved(trace, cost):
        write_figures(gained)
    for line in bills_of(pair):
        write_figures(line)


def print_json(events: Iterable[Event]) -> Trace:
    """Print a run for programs as it streams, one JSON event per line."""
    trace = Trace()
    for event in events:
        trace.apply(event)
        write_json(event_to_json(event))
    write_json(trace_to_json(trace))
    return trace


@command("demo")
@click.argument("number", type=int, default=1)
def demo(number: int) -> int:
    """Solve one problem with the small model, with both, and with the large one; say who was right, and how fast.

    The demo pair comes with the program. It can solve this one kind of problem and nothing else. NUMBER is one of the
    ready problems, which were chosen because the small model alone gets them wrong.
    """
    problems = read_problems(READY_PROBLEMS).problems
    if not 1 <= number <= len(problems):
        raise SettingsError(f"There is no ready problem {number}.", f"Choose 1 to {len(problems)}.")
    problem = problems[number - 1]
    write(f"{ABOUT}\n\n{problem.text}\n")
    expected = problem.expected or ""
    rows: list[ScoreRow] = []
    control = Control()
    with open_pair(options.DEMO_PAIR, options.LoadingOptions(CONTEXT), costly_demo=True) as pair:
        for heading, arm in zip(HEADINGS, arms_of([arm.value for arm in ScoredArm], DEMO_SETTINGS), strict=True):
            _write_heading(heading)
            with stops_on_interrupt(control.stop):
                trace = print_steps(run(pair, ask(problem.text, arm.settings), arm.settings, control=control))
            if control.stopped:
                return exit_code_of_signal()
            rows.append(ScoreRow.of(trace, expected))
            write()
    _write_heading(f"The answer is {expected}")
    write("\n".join(lines(rows)))
    return ExitCode.ANSWERED


def _write_heading(title: str) -> None:
    write(f"── {title} ".ljust(64, "─"))


class AnswerRecording:
    """Records the events that pass through it. If saving fails, it reports the error and the run goes on."""

    def __init__(self) -> None:
        self.recorder: Recorder | None = None
        self.failed = False

    def of(self, events: Iterable[Event]) -> Iterator[Event]:
        """Record each event, and pass it on."""
        for event in events:
            with self.reporting():
                if self.recorder and not self.failed:
                    self.recorder.record([event])
            yield event

    @contextmanager
    def reporting(self) -> Iterator[None]:
        try:
            yield
        except StoreError as error:
            self.failed = True
            report(f"{NOT_KEPT} {error}")


@contextmanager
def recorded(problem: str, settings: RunSettings, is_kept: bool) -> Iterator[AnswerRecording]:
    """Record a run as a conversation with one answer."""
    recording = AnswerRecording()
    with ExitStack() as stack:
        if is_kept:
            with recording.reporting():
                store = stack.enter_context(open_history())
                exchange = Exchange(problem, settings)
                store.conversations.put(uuid.uuid4().hex, exchange)
                recording.recorder = store.runs.record(exchange.id)
        yield recording
        with recording.reporting():
            if recording.recorder:
                recording.recorder.finish()
            stack.close()  # saves the answer, or raises
