"""The click classes of all commands: options in groups, values from the environment and a file, and lazy imports.

The value of an option comes from the command line, from BATON_OPTION, from the configuration file, or is its default.
The configuration file is ~/.config/baton/config.toml, or the one that --config or BATON_CONFIG names:

    seed = 7                 # for every command that has the option: one of SHARED
    [solve]                  # for one command
    small = "qwen3-1.7b"
    large = "https://office:8080"
    [models.get]
    json = true

The names are those of the long options. click hands the tables of the file from a group to its commands.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import click
from click.core import ParameterSource

from baton_reasoning.core.errors import SettingsError

GENERAL = "Options"
METHOD = "Method"
MODELS = "Models"
OUTPUT = "Output"
GROUPS = (GENERAL, METHOD, MODELS, OUTPUT)
"""The order in which `--help` lists them."""

METAVARS: dict[type, str] = {click.IntRange: "N", click.Path: "FILE"}
"""The name of an option's value in `--help`, by the type of the option."""

_QUIET = "baton.quiet"
LONGEST_SUMMARY = 200
"""Characters; click would cut the summary of a command where its line ends."""
SHARED = (
    *("small", "large", "policy", "preset", "set", "cues", "seed", "max-tokens"),
    *("context", "threads", "gpu-layers", "drafts", "parallel", "no-history", "json", "quiet", "verbose"),
)
"""Options that the top of the file may set for all commands."""
CONFIG_FILE = "baton.config_file"
"""The key in click's context under which the path of the file is found."""
CONFIG_FAULT = "baton.config_fault"
"""The key in click's context under which `baton doctor` finds the error that reading the file raised."""
Function = TypeVar("Function", bound=Callable[..., Any])


class GroupedOption(click.Option):
    """An option that `--help` lists under a heading, and that BATON_OPTION can set."""

    def __init__(
        self, *names: Any, group: str = GENERAL, expert: bool = False, once: bool = False, **options: Any
    ) -> None:
        super().__init__(*names, **options)
        self.is_given_once = once and not self.multiple
        self.metavar = self.metavar or METAVARS.get(type(self.type))
        self.type.name = self.type.name.removesuffix(" range")  # “'x' is not a valid integer range”
        self.group = group
        self.is_for_experts = expert
        self.envvar = f"BATON_{(self.name or '').upper()}"

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """Leave out the range, such as [x>=1]: the error about a value outside it names the range."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """Name the source of a wrong value that was not typed."""
        match ctx and self.name and ctx.get_parameter_source(self.name):
            case ParameterSource.ENVIRONMENT:
                return f"the variable {self.envvar}"
            case ParameterSource.DEFAULT_MAP:
                return f"{(self.name or '').replace('_', '-')!r} in the configuration file"
        return super().get_error_hint(ctx)


class CommandWithGroups(click.Command):
    """A command that lists its options in groups, takes their defaults from the configuration file, and can be quiet.

    Its function returns its exit code, or None if it is done.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        quiet = GroupedOption(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=lambda context, _parameter, value: context.meta.update({_QUIET: value}),
            group=OUTPUT,
            help="Print only errors to standard error: no progress, no remarks.",
        )
        self.params.insert(0, quiet)
        self.short_help = self.get_short_help_str(LONGEST_SUMMARY)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Take defaults from the file. Raises SettingsError if the command's table there has an unknown option."""
        shared, tables = (parent.find_root().default_map or {}, parent.default_map or {}) if parent else ({}, {})
        table = tables.get(info_name or "", {})
        options = {max(each.opts, key=len).lstrip("-"): each for each in self.params if isinstance(each, click.Option)}
        given = {name: value for name, value in shared.items() if name in options and not isinstance(value, dict)}
        given |= {name: value for name, value in table.items() if name in options}
        defaults = {options[name].name or "": _as_typed(value, options[name].multiple) for name, value in given.items()}
        context = super().make_context(info_name, args, parent, default_map=defaults, **extra)
        check_table(table, options, (), f"in the table of {info_name}", context.meta.get(CONFIG_FILE))
        return context

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse a second value where taking the last one in silence would mislead."""
        given = self.make_parser(ctx).parse_args(list(args))[2]
        for each in given:
            if isinstance(each, GroupedOption) and each.is_given_once and given.count(each) > 1:
                raise click.UsageError(f"{max(each.opts, key=len)} takes one value here.", ctx)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of each group under its heading, and the names of those that only experts need."""
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        left_out = [each for each in options if getattr(each, "is_for_experts", False)]
        for group in GROUPS:
            listed = [each for each in options if getattr(each, "group", GENERAL) == group and each not in left_out]
            if shown := list(filter(None, (each.get_help_record(ctx) for each in listed))):
                with formatter.section(group):
                    formatter.write_dl(shown)
        if left_out:
            names = ", ".join(max(each.opts, key=len) for each in left_out)
            formatter.write_paragraph()
            formatter.write_text(f"More in baton settings: {names}.")


def check_table(
    table: Mapping[str, Any], options: Collection[str], commands: Collection[str], place: str, file: Path | None
) -> None:
    """Raise SettingsError if a table of the configuration file has an unknown option, or one for an unknown command."""
    for name, value in table.items():
        kind, known = ("command", commands) if isinstance(value, dict) else ("option", options)
        if name not in known:
            told = f"The configuration file {file} names {name!r} {place}, which is no {kind} there."
            raise SettingsError(told, "Write options into the table of their command, such as [solve].")


def _as_typed(value: Any, is_repeated: bool) -> str | list[str]:
    """Return a value of the configuration file as one would type it, so that click judges both alike."""
    if is_repeated:
        return [str(each) for each in (value if isinstance(value, list) else [value])]
    return str(value)


class LazyCommand(click.Command):
    """A command that is imported when it is used, so that `--help` and a typing mistake are answered at once.

    `place`: “module:attribute”, the module beside this one.
    """

    def __init__(self, name: str, place: str, summary: str) -> None:
        super().__init__(name, help=summary, short_help=summary)
        self._place = place

    @property
    def command(self) -> click.Command:
        module, _, attribute = self._place.partition(":")
        found = getattr(import_module(f"{__package__}.{module}"), attribute)
        assert isinstance(found, click.Command)
        return found

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        return self.command.make_context(info_name, args, parent, **extra)


class CommandGroup(click.Group):
    """A group that lists its commands in their order, each with its whole summary."""

    command_class = CommandWithGroups

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Check the group's table in the file. Raises SettingsError if it has anything but tables of its commands."""
        context = super().make_context(info_name, args, parent, **extra)
        place = f"in the table of {info_name}"
        check_table(context.default_map or {}, (), self.commands, place, context.meta.get(CONFIG_FILE))
        return context

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return list(self.commands)


def command_group(
    name: str, commands: Sequence[click.Command] = (), **options: Any
) -> Callable[[Callable[..., Any]], CommandGroup]:
    """Turn a function into a group of commands; its docstring is the help text."""
    return click.group(name, cls=CommandGroup, commands=commands, **options)


def command(name: str) -> Callable[[Callable[..., Any]], CommandWithGroups]:
    """Turn a function into a command; its docstring is the help text."""
    return click.command(name, cls=CommandWithGroups)


@dataclass(frozen=True)
class DeclaredOption:
    """An option that decorates a command, or annotates the field of a dataclass that `gathered` fills."""

    names: tuple[str, ...]
    settings: dict[str, Any]
    """What `click.option` takes."""

    def __call__(self, function: Function) -> Function:
        return click.option(*self.names, cls=GroupedOption, **self.settings)(function)

    def but(self, **settings: Any) -> DeclaredOption:
        """Return this option with other settings."""
        return replace(self, settings={**self.settings, **settings})


def option(*names: str, group: str = GENERAL, **settings: Any) -> DeclaredOption:
    """Like `click.option`, under the heading `group`. `expert`: `--help` names it without describing it. `once`: it is
    refused if it is given twice, unless it is `multiple`."""
    return DeclaredOption(names, {"group": group, **settings})


as_json = option("--json", is_flag=True, group=OUTPUT, help="Print one JSON object per line.")


def gathered(kind: type, name: str, *, group: str = "", without: str = "") -> Callable[[Function], Function]:
    """Add options to a command that receives their values as one argument `name`, a dataclass of this `kind`.

    The options are those that annotate its fields. `group`: the heading for all of them, if not their own. `without`: a
    field that has its default, since the command has no such option.
    """
    names = [field.name for field in fields(kind)]
    declared = [
        each.but(group=group) if group else each for field, each in declared_options(kind).items() if field != without
    ]

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*positional: Any, **values: Any) -> Any:
            values[name] = kind(**{field: values.pop(field) for field in names if field in values})
            return function(*positional, **values)

        return functools.reduce(lambda made, add: add(made), reversed(declared), call)  # type: ignore[return-value]

    return decorate


def declared_options(kind: type) -> dict[str, DeclaredOption]:
    """Return the options that annotate the fields of a dataclass, by field.

    Name and default are those of the field. A bool makes the option a flag, a tuple one that may be repeated.
    """
    hints, found = get_type_hints(kind, include_extras=True), {}
    for field in fields(kind):
        if get_origin(hints[field.name]) is Annotated:
            value, declared = get_args(hints[field.name])
            made = replace(declared, names=(f"--{field.name.replace('_', '-')}", *declared.names, field.name))
            default = {} if field.default is MISSING else {"default": field.default}
            found[field.name] = made.but(is_flag=value is bool, multiple=get_origin(value) is tuple, **default)
    return found


def is_quiet() -> bool:
    """Return whether the running command was given -q."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(_QUIET))


def read_config(file: Path, is_named: bool, commands: Collection[str]) -> dict[str, Any]:
    """Read the configuration file, which may be missing unless --config or BATON_CONFIG names it.

    Raises SettingsError if it cannot be read, has a table for an unknown command, or an option at its top that is not
    one of SHARED.
    """
    if not is_named and not file.exists():
        return {}
    from baton_reasoning.core.files import read_text  # imports pydantic, which `baton --help` does without

    try:
        content = tomllib.loads(read_text(file, "Write it as TOML, or leave --config and BATON_CONFIG out."))
    except (ValueError, RecursionError) as error:  # of the syntax, a number of thousands of digits, or deep nesting
        raise SettingsError(f"{file} cannot be read: {error}.", "Write it as TOML (docs/terminal.md).") from error
    check_table(content, SHARED, commands, "at its top", file)
    return content
