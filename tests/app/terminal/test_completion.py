"""A shell completes commands, options, and values that the program knows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from baton_reasoning.app.terminal.program import COMPLETION, PROGRAM
from baton_reasoning.app.terminal.program import baton as program
from tests.app.terminal.tree import commands_of

HEAVY = ("pydantic", "rich", "numpy", "msgspec", "httpx2", "baton_reasoning.core.run")
WHAT_IS_IMPORTED = """
import sys
from baton_reasoning.app.cli import main
code = main([])
print(code, *sys.modules)
"""
Complete = Callable[[str], list[str]]


@pytest.fixture
def complete(baton):
    def complete(line: str) -> list[str]:
        """What bash is offered at the end of this line."""
        done = baton(**question(line))
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    return complete


def question(line: str) -> dict[str, str]:
    """The variables of a shell that completes this line."""
    return {COMPLETION: "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("baton so", "plain,solve"),
        ("baton history ex", "plain,export"),
        ("baton solve --max-t", "plain,--max-tokens"),
        ("baton solve --policy every", "plain,every-step"),
        ("baton solve --small ./mo", "file,./mo"),
        ("baton solve --cues cu", "file,cu"),
        ("baton batch resume res", "file,res"),
        ("baton completion fi", "plain,fish"),
    ],
)
def test_names_are_completed(line, offered, complete):
    assert complete(line) == [offered]


def test_every_option_of_every_command_is_offered(complete):
    for path, command in commands_of(program):
        options = [each for each in command.params if isinstance(each, click.Option)]
        long = {name for each in options for name in each.opts if name.startswith("--")}
        offered = set(complete(" ".join((PROGRAM, *path, "--"))))
        assert offered - {"plain,--help"} == {f"plain,{name}" for name in long}, path


def test_what_commands_need_is_not_imported_to_name_them():
    done = subprocess.run(
        [sys.executable, "-c", WHAT_IS_IMPORTED],
        env=os.environ | question("baton so"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    offered, modules = done.stdout.splitlines()
    assert (offered, modules.split()[0], done.stderr) == ("plain,solve", "0", "")
    assert [name for name in HEAVY if name in modules.split()] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_has_its_script(shell, baton):
    done = baton("completion", shell)
    assert done.returncode == 0
    assert COMPLETION in done.stdout


@pytest.mark.slow
def test_bash_runs_its_script(tmp_path, monkeypatch, baton):
    monkeypatch.chdir(tmp_path)
    command = tmp_path / PROGRAM
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m baton_reasoning.app.cli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    (tmp_path / "script").write_text(baton("completion", "bash").stdout, encoding="utf-8")
    line = "source ./script; COMP_WORDS=(baton solve --polic); COMP_CWORD=2; _baton_completion ./baton; echo $COMPREPLY"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("--policy\n", "")
