"""Runs `baton` in the process of the test; tests of signals and real streams start a process of their own."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from subprocess import CompletedProcess, run
from typing import ClassVar

import click
import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.app.terminal.command_line import LazyCommand
from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.engines import open as open_module
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.paths import Paths
from tests.core.models.hub_server import running_hub
from tests.patience import PATIENCE
from tests.systems import user_in

REPOSITORY = "tiny/demo-GGUF"
DEMO = ("--small", "demo", "--large", "demo")
EXCHANGED = ("--small", str(LARGE_MODEL), "--large", str(SMALL_MODEL))
"""The demo pair's files as any other pair, which may be asked anything."""
MOST_KEPT = 4
"""Engines that stay loaded: the two of the demo pair, and those used last with other options."""
SCOREBOARD = re.compile(r"(small|both|large)(?: alone|, \d+% of tokens by large) +\d{5}  ([✓✗])  +\d+\.\d s")
DEMO_MARKS = [("small", "✗"), ("both", "✓"), ("large", "✓")]


class KeptEngine(LocalEngine):
    """A real engine that outlives the command that opened it, for the next that opens this model in the same way."""

    idle: ClassVar[list[KeptEngine]] = []

    def __new__(cls, *opened_as, on_progress=None, **more):  # noqa: ARG004
        for kept in cls.idle:
            if kept.key == repr((opened_as, more)):
                cls.idle.remove(kept)
                if kept.process.alive:
                    return kept
                break
        return super().__new__(cls)

    def __init__(self, *opened_as, on_progress=lambda _: None, **more):
        if not hasattr(self, "key"):
            super().__init__(*opened_as, on_progress=on_progress, **more)
            self.key = repr((opened_as, more))

    def close(self) -> None:
        self.idle.append(self)
        if len(self.idle) > MOST_KEPT:
            LocalEngine.close(self.idle.pop(0))


class Keyboard(io.StringIO):
    """Standard input at which a person sits."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="session")
def kept_engines():
    yield
    while KeptEngine.idle:
        LocalEngine.close(KeptEngine.idle.pop())


@pytest.fixture(autouse=True)
def loaded_once(kept_engines, monkeypatch):
    """A model is loaded once for commands with the same options."""
    monkeypatch.setattr(open_module, "LocalEngine", KeptEngine)


@pytest.fixture
def baton(capsys, monkeypatch):
    """Runs one command with these arguments and environment variables, as a pipe would see it."""

    def baton(*arguments: str, **environment: str) -> CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            code = main(arguments)
        output = capsys.readouterr()
        return CompletedProcess(arguments, code, output.out, output.err)

    return baton


@pytest.fixture
def user(tmp_path, monkeypatch):
    """The folders of a person, also for programs that a test starts; nothing is in them yet."""
    return user_in(tmp_path, monkeypatch)


@pytest.fixture
def config(user):
    """The configuration file of a person who has nothing else in that folder; it is not there yet."""
    file = user.config / "config.toml"
    file.parent.mkdir(parents=True)
    return file


@pytest.fixture
def hub(monkeypatch):
    """A Hub with one model, whose quantisation need not be named."""
    content = SMALL_MODEL.read_bytes()
    with running_hub() as server:
        server.files[REPOSITORY] = {"demo-Q4_K_M.gguf": content, "demo-Q8_0.gguf": content + b"\0"}
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """The folders of a person who has nothing yet, in the process of the test."""
    paths = Paths.under(tmp_path)
    monkeypatch.setattr(Paths, "of_user", lambda: paths)
    return paths


@pytest.fixture
def say(baton):
    """The lines on standard output of a command that must end with this exit code."""

    def say(*words: str, code: int = 0, **environment: str) -> list[str]:
        said = baton(*words, **environment)
        assert said.returncode == code, said.stderr
        return said.stdout.splitlines()

    return say


@pytest.fixture
def refused(baton):
    """The sentence with which a command is refused."""

    def refused(*words: str, code: int = 2, **environment: str) -> str:
        said = baton(*words, **environment)
        assert (said.returncode, said.stdout) == (code, "")
        return said.stderr.splitlines()[-1]

    return refused


def program_of(*arguments: str, **environment: str) -> CompletedProcess[str]:
    """Run Python with these arguments."""
    command, variables = [sys.executable, *arguments], os.environ | environment
    return run(command, env=variables, capture_output=True, encoding="utf-8", timeout=PATIENCE)


def commands_of(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield each command, groups as well, with the words by which it is called after `baton`."""
    for name, command in group.commands.items():
        found = command.command if isinstance(command, LazyCommand) else command
        yield (*path, name), found
        if isinstance(found, click.Group):
            yield from commands_of(found, (*path, name))


def demo_marks(text: str) -> list[tuple[str, str]]:
    """Who is marked how in the three rows of the demo's scoreboard, with which the text must end."""
    rows = [SCOREBOARD.fullmatch(line) for line in text.splitlines()[-3:]]
    return [(row[1], row[2]) for row in rows if row]
