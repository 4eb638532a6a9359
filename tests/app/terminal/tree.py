"""The commands of `baton`, taken from the program itself."""

from __future__ import annotations

from collections.abc import Iterator

import click

from baton_reasoning.app.terminal.command_line import LazyCommand


def commands_of(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command, groups as well, with the words by which it is called after `baton`."""
    for name, command in group.commands.items():
        found = command.command if isinstance(command, LazyCommand) else command
        yield (*path, name), found
        if isinstance(found, click.Group):
            yield from commands_of(found, (*path, name))
