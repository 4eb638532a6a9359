"""Write the reference of commands, settings and keys, from the program itself: `make reference`.

build/reference.md has all three, and the manual page packaging/baton.1 commands and settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import click

from baton_reasoning.app.terminal.command_line import CommandWithGroups
from baton_reasoning.app.terminal.exit_codes import MEANINGS
from baton_reasoning.app.terminal.program import PROGRAM, baton
from baton_reasoning.app.terminal.settings_list import all_settings, in_one_line, section_title
from baton_reasoning.app.window.commands import ELSEWHERE, CommandTarget, commands_of
from baton_reasoning.core.version import version

SYNOPSIS = (r"\fBbaton\fR [\fB\-\-config\fR \fIFILE\fR] \fICOMMAND\fR ...", r"\fBbaton help\fR [\fICOMMAND\fR ...]")
ENVIRONMENT = (
    ("BATON_OPTION", "The value of an option in every command that has it: BATON_SEED, for example."),
    ("BATON_CONFIG", "The configuration file."),
    ("HF_ENDPOINT, HF_TOKEN", "A mirror of the Hub, and the token that opens gated repositories."),
    ("NO_COLOR, FORCE_COLOR", "No colours, or colours in a pipe, too."),
    ("XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_CACHE_HOME", "Where Baton's folders lie on Linux."),
)
FILES = (
    ("~/.config/baton/config.toml", "Options by command, as TOML. This folder also holds what the window keeps."),
    ("~/.local/share/baton/baton.sqlite", "The history."),
    ("~/.local/share/baton/models", "Downloaded models."),
)
HERE = Path(__file__).resolve().parent
REFERENCE, MANUAL = HERE.parent / "build" / "reference.md", HERE / f"{PROGRAM}.1"


class Section(NamedTuple):
    """A command, a group of settings, or a group of keys."""

    title: str
    text: str
    rows: list[tuple[str, str]]
    """A name (with its value), and what it means."""


def commands(group: click.Group = baton, path: tuple[str, ...] = (PROGRAM,)) -> Iterator[Section]:
    """Yield every command with its options, those of a nested group as well."""
    context = click.Context(group, info_name=path[-1])
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))
        elif isinstance(found, CommandWithGroups):
            yield _command(found, (*path, name))


def _command(command: CommandWithGroups, path: tuple[str, ...]) -> Section:
    context = click.Context(command, info_name=path[-1])
    arguments = [each.make_metavar(context) for each in command.params if isinstance(each, click.Argument)]
    options = [each for members in command.grouped_options(context).values() for each in members]
    records = (each.get_help_record(context) for each in options if "--help" not in each.opts)
    paragraphs = re.split(r"\n\s*\n", (command.help or "").strip())
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return Section(
        " ".join((*path, *arguments)),
        text,
        [(name, " ".join(meaning.split())) for name, meaning in filter(None, records)],
    )


def settings() -> Iterator[Section]:
    """Yield what `--set` takes, by policy."""
    for of, members in _grouped((each.of, each) for each in all_settings()):
        yield Section(section_title(of), "", [(each.name, in_one_line(each)) for each in members])


def keys() -> Iterator[Section]:
    """Yield the keys of the window by group, as Qt writes them in English."""
    window = cast(CommandTarget, _NoWindow())
    for group, members in _grouped((each.group, each) for each in (*commands_of(window), *ELSEWHERE) if each.key):
        yield Section(group, "", [(each.key, each.title) for each in members])


class _NoWindow:
    """Stands where commands expect the window: listing them reads its attributes and uses none."""

    def __getattr__(self, name: str) -> _NoWindow:
        return self

    def __call__(self) -> None:
        raise NotImplementedError


def _grouped(pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    groups: dict[str, list[Any]] = {}
    for name, member in pairs:
        groups.setdefault(name, []).append(member)
    yield from groups.items()


def markdown() -> str:
    """Return the whole reference as Markdown."""
    lines = ["# Reference", ""]
    for title, sections in (("Commands", commands()), ("Settings", settings()), ("Keys", keys())):
        lines += [f"## {title}", ""]
        for section in sections:
            lines += [f"### {section.title}", "", *([section.text, ""] if section.text else [])]
            if section.rows:
                rows = [f"| `{_cell(name)}` | {_cell(meaning)} |" for name, meaning in section.rows]
                lines += ["| name | meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def manual() -> str:
    """Return the manual page, in the macros of man(7)."""
    lines = [f'.TH "{PROGRAM.upper()}" "1" "" "Baton {version()}" "User commands"', ".SH NAME"]
    about = (baton.help or "").rstrip(".")
    lines += [f"{PROGRAM} \\- {_roff(about[:1].lower() + about[1:])}", ".SH SYNOPSIS", ".nf", *SYNOPSIS, ".fi"]
    for title, sections in (("COMMANDS", commands()), ("SETTINGS", settings())):
        lines.append(f".SH {title}")
        for section in sections:
            lines += [f'.SS "{_roff(section.title)}"', _roff(section.text).replace("\n\n", "\n.PP\n")]
            lines += _rows(section.rows)
    lines += [".SH EXIT STATUS", *_rows((str(code.value), meaning) for code, meaning in MEANINGS.items())]
    lines += [".SH ENVIRONMENT", *_rows(ENVIRONMENT), ".SH FILES", *_rows(FILES)]
    return "\n".join(filter(None, lines)) + "\n"


def _rows(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, meaning in rows:
        yield from (".TP", f"\\fB{_roff(name)}\\fR", _roff(meaning))


def _roff(text: str) -> str:
    """Escape what troff would read as a request, and what is not ASCII."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"[^\x00-\x7f]", lambda found: f"\\[u{ord(found[0]):04X}]", text)
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


if __name__ == "__main__":
    REFERENCE.parent.mkdir(exist_ok=True)
    for file, text in ((REFERENCE, markdown()), (MANUAL, manual())):
        file.write_text(text, encoding="utf-8")
        print(file)
