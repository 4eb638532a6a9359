"""Options from a file: ~/.config/baton/config.toml, or the one that --config or BATON_CONFIG names.

    seed = 7                 # for every command that has the option
    [solve]                  # for one command
    small = "qwen3-1.7b"
    large = "https://office:8080"
    [models.get]
    json = true

A name is the option's long one; the command line and BATON_* variables come before the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import click

from core.errors import SettingsError

Values = Mapping[str, Any]
OWN = "<own>"
"""No option has this name."""


def read_config(file: Path, is_named: bool, commands: Collection[str]) -> dict[str, Any]:
    """The file as click's `default_map`; empty if the usual one is missing.

    Raises SettingsError if it cannot be read or has a table for a command that does not exist.
    """
    if not is_named and not file.exists():
        return {}
    from core.files import read_text  # imports pydantic, which `baton --help` does without

    try:
        return _default_map(tomllib.loads(read_text(file, "Write it as TOML, or leave --config out.")), file, commands)
    except ValueError as error:  # of the syntax, or a number of thousands of digits
        raise SettingsError(f"{file} cannot be read: {error}.", "Write it as TOML (docs/terminal.md).") from error
    except RecursionError as error:
        raise SettingsError(f"{file} is nested too deeply.", "Write it as TOML (docs/terminal.md).") from error


def _default_map(content: Values, file: Path, commands: Collection[str]) -> dict[str, Any]:
    tables = {name: values for name, values in content.items() if isinstance(values, dict)}
    if unknown := sorted(set(tables) - set(commands)):
        raise SettingsError(f"{file} has a table for {unknown[0]!r}.", f"Tables are {', '.join(commands)}.")
    shared = _named_as_parameters({name: value for name, value in content.items() if name not in tables})
    return {name: _merged(shared, tables.get(name, {})) for name in commands}


def refuse_unknown(context: click.Context) -> None:
    """Raises SettingsError if the file's table for the running command names an option that it has not."""
    known = {parameter.name for parameter in context.command.params}
    for name in (context.default_map or {}).get(OWN, ()):
        if name not in known:
            raise SettingsError(
                f"The configuration file names {name.replace('_', '-')!r}, which is no option of {context.info_name}.",
                f"See {context.command_path} --help.",
            )


def _merged(shared: Values, table: Values) -> dict[str, Any]:
    """Options of a command, and of the commands below it; under `OWN` the names that its table itself has."""
    below = {name: values for name, values in table.items() if isinstance(values, dict)}
    named = _named_as_parameters({name: value for name, value in table.items() if name not in below})
    own = {**shared, **named}
    return {**own, OWN: tuple(named), **{name: _merged(own, values) for name, values in below.items()}}


def _named_as_parameters(values: Values) -> dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in values.items()}
