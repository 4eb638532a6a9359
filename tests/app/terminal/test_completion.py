"""A shell completes commands, options, and values that the program or the history knows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from baton_reasoning.app.terminal.completion import COMPLETION
from baton_reasoning.app.terminal.program import PROGRAM
from baton_reasoning.app.terminal.program import baton as program
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.store.batch_rows import StoredArm
from baton_reasoning.core.store.conversations import StoredExchange
from baton_reasoning.core.store.store import Store
from tests.app.terminal.conftest import Baton
from tests.app.terminal.tree import commands_of

HEAVY = (
    "pydantic",
    "rich",
    "numpy",
    "msgspec",
    "httpx2",
    "baton_reasoning.core.run",
    "baton_reasoning.core.store.store",
)
WHAT_IS_IMPORTED = """
import sys
from baton_reasoning.app.cli import main
code = main([])
print(code, *sys.modules)
"""
Complete = Callable[[str], list[str]]


@pytest.fixture(autouse=True)
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return Paths.of_user()


@pytest.fixture
def complete(baton: Baton) -> Complete:
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
        ("baton help hist", "plain,history"),
        ("baton solve --max-t", "plain,--max-tokens"),
        ("baton solve --policy every", "plain,every-step"),
        ("baton solve --policy keywords --preset ref", "plain,reference"),
        ("baton solve --set auxil", "plain,auxiliary_prompt="),
        ("baton solve --policy token-entropy --set max_tok", "plain,max_tokens="),
        ("baton settings auxil", "plain,auxiliary_prompt"),
        ("baton solve --small qwen3-1.", "plain,qwen3-1.7b"),
        ("baton solve --small ./mo", "file,./mo"),
        ("baton serve --arm step", "plain,step-score"),
        ("baton solve --cues cu", "file,cu"),
        ("baton completion fi", "plain,fish"),
    ],
)
def test_names_are_completed(line: str, offered: str, complete: Complete) -> None:
    assert complete(line) == [offered]


def test_every_option_of_every_command_is_offered(complete: Complete) -> None:
    for path, command in commands_of(program):
        options = [each for each in command.params if isinstance(each, click.Option)]
        long = {name for each in options for name in each.opts if name.startswith("--")}
        offered = set(complete(" ".join((PROGRAM, *path, "--"))))
        assert offered - {"plain,--help"} == {f"plain,{name}" for name in long}, path


def test_ids_of_the_history_and_folders_of_batches_are_completed(
    paths: Paths, tmp_path: Path, complete: Complete
) -> None:
    assert complete("baton history show ") == ["file,"], "there is no history yet"
    with Store.open(paths.store) as store:
        store.conversations.put("aa11" * 8, StoredExchange("e1", None, "How many?"))
        store.conversations.put("bb22" * 8, StoredExchange("e2", None, "How many?"))
        store.conversations.delete("bb22" * 8)
        batch = store.batches.create("numbers", {}, [], [StoredArm("small", {})])
    assert set(complete("baton history show ")) == {"plain,aa11aa11", f"plain,{batch[:8]}"}
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "batch.json").touch()
    assert complete("baton batch failures ") == ["plain,results", f"plain,{batch[:8]}"]
    assert complete("baton batch resume ") == ["plain,results"]


def test_names_of_servers_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, baton: Baton) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert baton("servers", "add", "office", "http://127.0.0.1:9").returncode == 0
    for line in ("baton servers rm off", "baton solve --large off"):
        assert baton(**question(line)).stdout == "plain,office\n"


def test_what_commands_need_is_not_imported(complete: Complete) -> None:
    complete("baton so")  # writes the table
    done = subprocess.run(
        [sys.executable, "-c", WHAT_IS_IMPORTED],
        env=os.environ | question("baton history show "),
        capture_output=True,
        text=True,
        timeout=60,
    )
    code, *modules = done.stdout.splitlines()[-1].split()
    assert (code, done.stderr) == ("0", "")
    assert [name for name in HEAVY if name in modules] == []


def test_names_of_another_installation_are_replaced(paths: Paths, complete: Complete) -> None:
    complete("baton so")
    table = json.loads(paths.completion.read_text(encoding="utf-8"))
    for unusable in (json.dumps({**table, "of": [0], "program": {}}), "[]", "{", ""):
        paths.completion.write_text(unusable, encoding="utf-8")
        assert complete("baton so") == ["plain,solve"]
        assert json.loads(paths.completion.read_text(encoding="utf-8")) == table


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complete: Complete
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert complete("baton so") == ["plain,solve"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_has_its_script(shell: str, baton: Baton) -> None:
    done = baton("completion", shell)
    assert done.returncode == 0
    assert COMPLETION in done.stdout


@pytest.mark.slow
def test_bash_runs_its_script(tmp_path: Path, baton: Baton) -> None:
    command = tmp_path / PROGRAM
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m baton_reasoning.app.cli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    (tmp_path / "script").write_text(baton("completion", "bash").stdout, encoding="utf-8")
    line = "source ./script; COMP_WORDS=(baton solve --polic); COMP_CWORD=2; _baton_completion ./baton; echo $COMPREPLY"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("--policy\n", "")
