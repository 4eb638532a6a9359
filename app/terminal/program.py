"""The commands of `baton`, and the one place that turns an error into a sentence and an exit code."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import get_completion_class, shell_complete

from baton_reasoning.app.terminal.command_line import (
    CONFIG_FAULT,
    CONFIG_FILE,
    LazyCommand,
    command,
    command_group,
    read_config,
)
from baton_reasoning.app.terminal.streams import (
    ExitCode,
    close_output,
    closed_pipes_named,
    exit_code_of_signal,
    interruptible,
    prepare,
    report,
)
from baton_reasoning.core.errors import BatonError, ModelFileError, ProblemFileError, SettingsError
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.version import versions

PROGRAM = "baton"
COMPLETION = "_BATON_COMPLETE"
"""The variable in which a shell asks for completions."""
SHELLS = ("bash", "zsh", "fish")
_OF_WHAT_WAS_NAMED = (SettingsError, ModelFileError, ProblemFileError)

BATCH_COMMANDS = [
    LazyCommand("list", "stored_batches:list_batches", "List the batches of the history."),
    LazyCommand("show", "stored_batches:show", "Show the answers to a problem, with steps by author."),
    LazyCommand("run", "batch_commands:run", "Solve and grade a file of problems; compare methods."),
    LazyCommand("resume", "batch_commands:resume", "Continue a batch, and try its errors again."),
    LazyCommand("report", "batch_commands:report", "Write results and report of a batch as it is."),
    LazyCommand("grade", "batch_commands:grade", "Find and grade the answers again."),
    LazyCommand("failures", "review_commands:failures", "Show what went wrong."),
    LazyCommand("value", "review_commands:batch_value", "Estimate the value of the takeovers."),
]


@command_group("batch", BATCH_COMMANDS, short_help="Solve and grade files of problems; compare methods.")
def batch() -> None:
    """Solve and grade a file of problems under several arms, and work on the results.

    DIR is the folder that `baton batch run` wrote into.
    """


COMMANDS = [
    LazyCommand("solve", "solve:solve", "Solve one problem."),
    batch,
    LazyCommand("demo", "solve:demo", "Solve one problem with the small model, with both, and with the large one."),
    LazyCommand("evidence", "evidence:evidence", "Test the method's claim on the demo pair."),
    LazyCommand("servers", "servers:servers", "Name servers; list, test and remove them."),
    LazyCommand("profile", "profile:profile_model", "Find the cues that a model writes, and propose a cue list."),
    LazyCommand("serve", "serve:serve", "Serve the pair to other programs through OpenAI's API."),
    LazyCommand("models", "models:models", "List, search, download and delete models."),
    LazyCommand("history", "history:history", "List, show, search, export, delete and restore answers and batches."),
    LazyCommand("doctor", "doctor:doctor", "Check what this installation can use."),
    LazyCommand("policies", "settings:policies", "List the policies."),
    LazyCommand("settings", "settings:settings", "List settings for --set, and options that --help leaves out."),
    LazyCommand("completion", "program:completion", "Print a completion script for bash, zsh or fish."),
    LazyCommand("opinion", "review_commands:opinion", "Let the large model review a recorded answer."),
    LazyCommand("value", "review_commands:value", "Estimate the value of each step of an answer."),
]


def _print_versions(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        click.echo(versions())
        context.exit()


@command_group(
    PROGRAM,
    COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 ended by a limit, 130 stopped.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="BATON_CONFIG",
    metavar="FILE",
    help="Read options from this TOML file.",
)
@click.option(
    *("-V", "--version"),
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_versions,
    help="Print versions.",
)
@click.pass_context
def baton(context: click.Context, config: Path | None) -> None:
    """Let a small model reason, and a large one write the hard steps."""
    file = context.meta[CONFIG_FILE] = config or Paths.of_user().config / "config.toml"
    try:
        options = read_config(file, config is not None, baton.commands)
    except SettingsError as error:
        if context.invoked_subcommand != "doctor":
            raise
        context.meta[CONFIG_FAULT] = error
    else:
        if context.invoked_subcommand != "doctor":  # a wrong value must not keep it from starting
            context.default_map = options


@command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script that lets SHELL complete commands and options.

    For bash, put this into ~/.bashrc:  eval "$(baton completion bash)"
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(baton, {}, PROGRAM, COMPLETION).source())


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    debug = bool(os.environ.get("BATON_DEBUG"))
    with interruptible():
        try:
            prepare()
            if instruction := os.environ.get(COMPLETION):
                return shell_complete(baton, {}, PROGRAM, COMPLETION, instruction)
            if debug:
                logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s")
            with closed_pipes_named():
                code = _invoke(arguments)
                close_output()
            return code
        except (KeyboardInterrupt, click.Abort) as stop:
            if isinstance(stop, click.Abort):  # Ctrl+C or Ctrl+D at a question: end its line
                click.echo(err=True)
            report("Stopped.")
            return exit_code_of_signal()
        except BrokenPipeError:  # the reader of our output has closed it
            with suppress(OSError):
                close_output()
            return ExitCode.CLOSED_PIPE
        except click.UsageError as error:
            return _wrong_usage(error)
        except (BatonError, OSError, click.ClickException) as error:
            if debug:
                traceback.print_exc()
            report(_sentence(error))
            with suppress(OSError):
                close_output()  # what could not be written would be tried, and fail, once more when Python ends
            return ExitCode.USAGE if isinstance(error, _OF_WHAT_WAS_NAMED) else ExitCode.FAILED
        except Exception as error:  # noqa: BLE001 - a bug: say so, and how to report it
            if debug:
                traceback.print_exc()
            report(
                f"Something unexpected went wrong: {type(error).__name__}: {error}. Please report it as an issue, "
                "with what the same command prints with BATON_DEBUG=1 set, and `baton --version`."
            )
            return ExitCode.FAILED


def _invoke(arguments: Sequence[str]) -> int:
    """Invoke the command without `baton.main`, which handles Ctrl+C and errors in its own way."""
    try:
        with baton.make_context(PROGRAM, list(arguments)) as context:
            return baton.invoke(context) or ExitCode.ANSWERED
    except click.exceptions.Exit as ended:  # --help, --version
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as bare:
        click.echo(bare.format_message())
        return ExitCode.ANSWERED


def _wrong_usage(error: click.UsageError) -> int:
    """Report wrong usage in one line: for some commands the whole usage takes dozens."""
    path = error.ctx.command_path if error.ctx else PROGRAM
    sentence = error.format_message().strip()
    report(f"{sentence}{'' if sentence.endswith(('.', '?', '?)')) else '.'} {path} --help shows what it takes.", path)
    return ExitCode.USAGE


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'The output'}: {error.strerror or error}."
    return str(error.format_message()) if isinstance(error, click.ClickException) else str(error)
