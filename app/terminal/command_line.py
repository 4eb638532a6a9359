"""What all commands share: grouped options, their values from the environment, commands that are imported on use.

A value is looked for on the command line, in BATON_COMMAND_OPTION, in BATON_OPTION, in the configuration file, and last
in the option's default. Options are never abbreviated.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

import click

from app.terminal.config_file import refuse_unknown

GENERAL = "Options"
METHOD = "Method"
MODELS = "Models"
LOCAL_MODELS = "Local models"
SERVERS = "Servers"
OUTPUT = "Output"
GROUPS = (METHOD, GENERAL, MODELS, LOCAL_MODELS, OUTPUT, SERVERS)
"""In the order in which `--help` lists them."""

ENVIRONMENT = "BATON"
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
Function = TypeVar("Function", bound=Callable[..., Any])


class GroupedOption(click.Option):
    """An option listed under a heading by `--help`; it reads BATON_OPTION where its own variable is not set."""

    def __init__(self, *names: Any, group: str = GENERAL, **options: Any) -> None:
        super().__init__(*names, **options)
        self.group = group

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        shared = os.environ.get(f"{ENVIRONMENT}_{(self.name or '').upper()}") if self.allow_from_autoenv else None
        return super().resolve_envvar_value(ctx) or shared or None


class CommandWithGroups(click.Command):
    """A command whose options are listed in groups."""

    def invoke(self, ctx: click.Context) -> Any:
        refuse_unknown(ctx)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)):
                records[parameter.group if isinstance(parameter, GroupedOption) else GENERAL].append(record)
        for group, lines in records.items():
            if lines:
                with formatter.section(group):
                    formatter.write_dl(lines)


class LazyCommand(NamedTuple):
    """Where a command is defined, and its line in the list of commands."""

    place: str
    """“module:attribute”."""
    summary: str


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used, so that `--help` and a typing mistake answer at once."""

    def __init__(self, *names: Any, lazy: Mapping[str, LazyCommand], **options: Any) -> None:
        super().__init__(*names, **options)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name].place.partition(":")
        found = getattr(import_module(module), attribute)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in self.lazy.items()])


def command(name: str, **options: Any) -> Callable[[Callable[..., Any]], CommandWithGroups]:
    """Make a command of a function that returns its exit code; its docstring is the help text."""

    def decorate(function: Callable[..., Any]) -> CommandWithGroups:
        make = click.command(name, cls=CommandWithGroups, context_settings=HELP, **options)
        return make(with_options(*_EVERYWHERE)(function))

    return decorate


def option(*names: str, group: str = GENERAL, **settings: Any) -> Callable[[Function], Function]:
    """Like `click.option`, under the heading `group`."""
    return click.option(*names, cls=GroupedOption, group=group, **settings)


def gathered(kind: type, name: str, *options: Callable[..., Any]) -> Callable[[Function], Function]:
    """Add options to a command that receives their values as one argument `name`, a dataclass of this `kind`."""
    fields = [field.name for field in dataclasses.fields(kind)]

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*positional: Any, **values: Any) -> Any:
            values[name] = kind(**{field: values.pop(field) for field in fields})
            return function(*positional, **values)

        return with_options(*options)(call)  # type: ignore[return-value]

    return decorate


def with_options(*options: Callable[..., Any]) -> Callable[[Function], Function]:
    """Add options in this order."""

    def decorate(function: Function) -> Function:
        return functools.reduce(lambda made, add: add(made), reversed(options), function)

    return decorate


def _remember(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Keep a switch that every command has where `output` finds it."""
    if value:
        context.find_root().meta[f"{ENVIRONMENT}.{parameter.name}"] = True


def is_set(switch: str) -> bool:
    """Whether the running command was given this switch: "quiet", "verbose" or "debug"."""
    context = click.get_current_context(silent=True)
    return bool(context and context.find_root().meta.get(f"{ENVIRONMENT}.{switch}"))


_EVERYWHERE = tuple(
    option(*names, is_flag=True, expose_value=False, callback=_remember, group=OUTPUT, help=text)
    for names, text in (
        (("-q", "--quiet"), "No progress and no remarks on standard error; errors are still reported."),
        (("-v", "--verbose"), "Say how models were loaded: on which device, with what memory."),
        (("--debug",), "Show the traceback of an error, and log messages; for a bug report."),
    )
)


def environment_names(parameter: click.Parameter, command_path: Sequence[str]) -> tuple[str, str]:
    """The two variables that set an option of a command, the specific one first."""
    name = (parameter.name or "").upper()
    path = "_".join(part.upper().replace("-", "_") for part in command_path)
    return f"{ENVIRONMENT}_{path}_{name}", f"{ENVIRONMENT}_{name}"
