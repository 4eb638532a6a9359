"""Completes commands, options and values in a shell, within a fifth of a second.

Importing all commands takes ten times as long. So the first completion after an installation writes their names,
options and values into a file of the cache folder, from which the next ones make commands that can only be completed.
Ids and folders change all the time; they are looked up for each completion.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class, shell_complete

from baton_reasoning.core.paths import Paths
from baton_reasoning.core.store.recent_ids import recent_ids

COMPLETION = "_BATON_COMPLETE"
"""The variable in which a shell asks for completions."""
SHELLS = ("bash", "zsh", "fish")
SHORT = 8
"""Characters of an id that are shown; any unique prefix names it."""
LINKS = ("batch.json", "batch.sqlite")
"""Files by which the folder of a batch is known (batch_folder.py)."""
_ADDED_WORD = "COMPREPLY+=($value)"
_WITHOUT_SPACE = f"{_ADDED_WORD}\n            [[ $value == *= ]] && compopt -o nospace"
"""In bash, `--set n1=` is followed by its value, not by a space."""


class Offered(Enum):
    """What a shell offers for a value that is neither a choice nor a path."""

    MODEL = "models"
    """A name of the catalogue, of a server, or a file."""
    SERVER = "servers"
    """By the name that a person gave it."""
    PRESET = "presets"
    """Of the policy of the command line."""
    ARM = "arms"
    COMMAND = "commands"
    SETTING = "settings"
    ASSIGNMENT = "assignments"
    """A setting of the policy of the command line, with “=”."""
    ENTRY = "entries"
    """An id in the history, or a file."""
    BATCH_FOLDER = "folders"
    BATCH = "batches"
    """The folder of a batch, or its id in the history."""


OR_A_PATH = (Offered.MODEL, Offered.ENTRY, Offered.BATCH_FOLDER, Offered.BATCH)


class Completed(click.ParamType[Any]):
    """A value for which a shell offers this; `convert_to` is its type."""

    name = "text"

    def __init__(self, offered: Offered, convert_to: Callable[[str], Any] = str) -> None:
        self.offered = offered
        self._convert_to = convert_to

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        return self._convert_to(value)

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002 - click's
        incomplete: str,
    ) -> list[CompletionItem[str]]:
        found = [item for item in _items(self.offered, ctx) if item.value.startswith(incomplete)]
        if not found and self.offered in OR_A_PATH:
            return [CompletionItem(incomplete, type="file")]
        return found


def script(shell: str, program: str) -> str:
    """Return the script by which this shell completes the program."""
    found = get_completion_class(shell)
    assert found is not None
    return found(click.Group(), {}, program, COMPLETION).source().replace(_ADDED_WORD, _WITHOUT_SPACE)


def complete(instruction: str, program: str, make_table: Callable[[], dict[str, Any]]) -> int:
    """Print what the shell asks for in its variables, and return the exit code.

    `make_table`: describes all commands, if they have not been described since the last installation.
    """
    table = _read_table(Paths.of_user().completion, make_table)
    return shell_complete(_command(table["program"], table), {}, program, COMPLETION, instruction)


def _items(offered: Offered, context: click.Context) -> Iterator[CompletionItem[str]]:
    table = context.find_root().obj
    policy = context.params.get("policy") or table["policy"]
    match offered:
        case Offered.ARM | Offered.COMMAND | Offered.SETTING:
            yield from map(CompletionItem, table[offered.value])
        case Offered.MODEL:
            yield from map(CompletionItem, [*table[offered.value], *_names_of_servers()])
        case Offered.SERVER:
            yield from map(CompletionItem, _names_of_servers())
        case Offered.PRESET | Offered.ASSIGNMENT:
            yield from map(CompletionItem, table[offered.value].get(policy, ()))
        case Offered.ENTRY:
            yield from _ids(("answer", "batch"))
        case Offered.BATCH_FOLDER:
            yield from map(CompletionItem, _batch_folders())
        case Offered.BATCH:
            yield from map(CompletionItem, _batch_folders())
            yield from _ids(("batch",))


def _ids(kinds: Iterable[str]) -> Iterator[CompletionItem[str]]:
    for found in recent_ids(Paths.of_user().store):
        if found.kind in kinds:
            yield CompletionItem(found.id[:SHORT], help=" ".join(found.name.split())[:60])


def _names_of_servers() -> list[str]:
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
        servers = json.loads(Paths.of_user().servers.read_text(encoding="utf-8"))["servers"]
        return sorted(name for known in servers.values() if (name := known.get("name")))
    return []


def _batch_folders() -> list[str]:
    with suppress(OSError):
        return sorted(str(link.parent) for name in LINKS for link in Path().glob(f"*/{name}"))
    return []


def _read_table(file: Path, make_table: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Read the names of all commands from the file; if it is of another installation, write it again."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        table = json.loads(file.read_text(encoding="utf-8"))
        if table["of"] == _installation():
            return dict(table)
    made = {"of": _installation(), **make_table()}
    unfinished = file.with_suffix(f".{os.getpid()}")
    with suppress(OSError):  # then the next completion takes as long as this one
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(made), encoding="utf-8")
        unfinished.replace(file)
    return made


def _installation() -> list[int]:
    """Return when packages were installed last, and when each module of the terminal was changed."""
    packages = [Path(folder) for folder in sys.path if folder.endswith("-packages")]
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return [path.stat().st_mtime_ns for path in (*packages, Path(sys.executable), *modules) if path.exists()]


def _command(node: dict[str, Any], table: dict[str, Any]) -> click.Command:
    """Make a command that has the names and values of a real one, and does nothing."""
    settings = {"help_option_names": ["-h", "--help"], "obj": table}
    options: dict[str, Any] = {
        "params": [_parameter(each) for each in node["parameters"]],
        "help": node["help"],
        "context_settings": settings,
    }
    if "commands" not in node:
        return click.Command(node["name"], **options)
    return click.Group(node["name"], commands=[_command(each, table) for each in node["commands"]], **options)


def _parameter(node: dict[str, Any]) -> click.Parameter:
    match node["type"]:
        case list() as choices:
            kind: click.ParamType[Any] = click.Choice(choices)
        case "file":
            kind = click.Path()
        case "folder":
            kind = click.Path(file_okay=False)
        case "":
            kind = click.STRING
        case offered:
            kind = Completed(Offered(offered))
    if node["is_argument"]:
        return click.Argument(node["names"], type=kind, nargs=node["nargs"], required=False)
    if node["is_flag"]:
        return click.Option(node["names"], is_flag=True, help=node["help"])
    return click.Option(node["names"], type=kind, nargs=node["nargs"], multiple=node["multiple"], help=node["help"])
