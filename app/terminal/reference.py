"""The reference part of docs/terminal.md, written from the commands and settings themselves.

`python -m app.terminal.reference` writes it again; a test fails while the page differs from the program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from app.terminal.command_line import GENERAL, GROUPS, GroupedOption
from app.terminal.program import PROGRAM, baton
from app.terminal.settings_list import RUN, all_settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "terminal.md"
START, END = "<!-- reference: written by app/terminal/reference.py -->", "<!-- end of reference -->"


def with_reference(page: str) -> str:
    """The page with its reference as the program is now."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{reference()}\n{END}{after}"


def reference() -> str:
    """Commands with their options, then the names that --set takes."""
    return "\n".join([*_commands(baton, (PROGRAM,)), "## Settings\n", *_settings()])


def _commands(group: click.Group, path: tuple[str, ...]) -> Iterator[str]:
    context = click.Context(group, info_name=path[-1])
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from _commands(found, (*path, name))
        else:
            yield _command(found, (*path, name))


def _command(command: click.Command, path: tuple[str, ...]) -> str:
    context = click.Context(command, info_name=path[-1])
    arguments = " ".join(each.make_metavar(context) for each in command.params if isinstance(each, click.Argument))
    lines = [f"### {' '.join(path)} {arguments}".rstrip(), "", _text(command.help or ""), ""]
    rows = [row for group in GROUPS for row in _options(command, context, group)]
    return "\n".join([*lines, *(["| option | meaning |", "|---|---|", *rows, ""] if rows else [])])


def _options(command: click.Command, context: click.Context, group: str) -> Iterator[str]:
    for each in command.params:
        if isinstance(each, click.Option) and (each.group if isinstance(each, GroupedOption) else GENERAL) == group:
            names = ", ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts))
            value = "" if each.is_flag else f" {_cell(each.make_metavar(context))}"
            yield f"| {names}{value} | {_cell(each.help or '')} |"


def _settings() -> Iterator[str]:
    known = list(all_settings())
    for of in dict.fromkeys(setting.of for setting in known):
        yield f"**{'Every run' if of == RUN else f'Policy `{of}`'}**\n"
        yield "| name | default | bounds | meaning |\n|---|---|---|---|"
        for each in (setting for setting in known if setting.of == of):
            default = f"`{each.default}`" if each.default else "empty"
            meaning = f"{each.title}. {each.meaning}".rstrip()
            yield f"| `{each.name}` | {_cell(default)} | {_cell(each.bounds)} | {_cell(meaning)} |"
        yield ""


def _text(help: str) -> str:
    """Paragraphs, each on one line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", help.strip()))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(with_reference(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
