"""The options of all commands: few, named as the configuration file names them, from several places, and completed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

import click
import pytest

from baton_reasoning.app.terminal.command_line import SHARED
from baton_reasoning.app.terminal.program import COMPLETION, PROGRAM
from baton_reasoning.app.terminal.program import baton as program
from tests.app.terminal.conftest import commands_of

MOST_OPTIONS = 25
DELIBERATE = ("baton history rm", "baton models rm", "baton history export")
"""Commands whose options no variable may set: they delete or replace."""
HEAVY = ("pydantic", "rich", "numpy", "msgspec", "httpx2", "baton_reasoning.core.run")
WHAT_IS_IMPORTED = "import sys; from baton_reasoning.app.cli import main; print(main([]), *sys.modules)"


class Described(NamedTuple):
    path: str
    command: click.Command

    @property
    def options(self) -> dict[str, click.Option]:
        """Those of its own, without --help, by their long names."""
        return {max(each.opts, key=len): each for each in self.command.params if isinstance(each, click.Option)}


def commands() -> Iterator[Described]:
    for path, command in commands_of(program):
        if not isinstance(command, click.Group):
            yield Described(" ".join((PROGRAM, *path)), command)


def test_a_command_has_few_options_by_the_names_that_file_and_environment_use():
    for command in commands():
        assert len(command.options) <= MOST_OPTIONS
        for name, option in command.options.items():
            assert option.name == name.lstrip("-").replace("-", "_")
            if option.expose_value:
                variable = None if command.path in DELIBERATE else f"BATON_{str(option.name).upper()}"
                assert option.envvar == variable, command.path


def test_an_option_that_help_only_names_stands_in_settings(baton):
    listed = baton("settings", COLUMNS="200").stdout
    left_out = 0
    for command in commands():
        help = baton(*command.path.split()[1:], "--help", COLUMNS="200").stdout
        for name, option in command.options.items():
            assert name in help
            if getattr(option, "is_for_experts", False):
                left_out += 1
                assert option.help
                assert option.help not in help
                assert f"\n{name} " in listed
                assert option.help.partition(".")[0] in listed
    assert left_out


def test_a_word_means_one_thing_in_all_commands_and_the_top_of_the_file_has_what_several_share():
    texts: dict[str, list[str]] = {}
    for command in commands():
        for name, option in command.options.items():
            texts.setdefault(name, []).append(f"{option.help} ".partition(" [")[0])
    assert all(text.startswith("Only the ") for text in texts["--limit"])
    assert all(text.startswith("Solve each problem with N seeds") for text in texts["--seeds"])
    assert set(texts["--max-tokens"]) == {"Most tokens to generate"}
    assert "Tokens of context" in texts["--context"]
    assert [name for name in SHARED if len(texts[f"--{name}"]) < 2] == []


def test_a_nested_command_takes_options_from_its_table_and_the_top(config, baton):
    """A value that cannot be right shows which place was read."""
    line = ("batch", "run", "missing.csv")
    for content, said in (
        ("parallel = -1", "-1 is not in the range"),
        ("parallel = -1\n[batch.run]\nparallel = -3", "-3 is not in the range"),
        ("[batch.resume]\nparallel = -1", "missing.csv cannot be read"),
        ("max tokens", "config.toml cannot be read"),
        ("seed = " + "9" * 5_000, "config.toml cannot be read"),
        ("seed = " + "[" * 5_000, "config.toml cannot be read"),
        ('[batch.run]\narm = ["small", "luck"]', "'luck' is not one of"),
        ("[batch.run]\narm = 5", "'5' is not one of"),
        ("parallel = [1]", "'[1]' is not a valid integer"),
        ("parallel = true", "'True' is not a valid integer"),
        ("no-history = 5", "'5' is not a valid boolean"),
        ('[batch.run]\nloud = "yes"', "'loud' in the table of run, which is no option there"),
        ("[batch.walk]\nparallel = 1", "'walk' in the table of batch, which is no command there"),
        ("[batch]\nparallel = 1", "'parallel' in the table of batch, which is no option there. Write options into"),
        ("[bath.run]\nparallel = 1", "'bath' at its top, which is no command there. Did you mean 'batch'?"),
        ("batch = 1", "'batch' at its top, which is no option there"),
        ("paralel = 1", "'paralel' at its top, which is no option there. Did you mean 'parallel'?"),
        ("arm = 'small'", "'arm' at its top, which is no option there. Write options into the table of their command"),
    ):
        config.write_text(content, encoding="utf-8")
        refused = baton(*line)
        assert (refused.returncode, said in refused.stderr) == (2, True), content
    config.write_text("parallel = -1", encoding="utf-8")
    assert "missing.csv cannot be read" in baton(*line, BATON_PARALLEL="2").stderr
    config.write_text("", encoding="utf-8")
    assert "-4 is not in the range" in baton(*line, BATON_PARALLEL="-4").stderr
    assert "-5 is not in the range" in baton(*line, "--parallel", "-5", BATON_PARALLEL="-4").stderr
    assert "'luck' is not one of" in baton(*line, BATON_ARM="small luck").stderr


def test_a_wrong_value_is_blamed_on_the_place_it_comes_from(config, baton):
    assert "Invalid value for '--seed' / '-s': 'abc'" in baton("solve", "1 + 1?", "--seed", "abc").stderr
    in_variable = baton("solve", "1 + 1?", BATON_SEED="abc").stderr
    assert "Invalid value for the variable BATON_SEED: 'abc'" in in_variable
    config.write_text("max-tokens = 'abc'", encoding="utf-8")
    assert "Invalid value for 'max-tokens' in the configuration file: 'abc'" in baton("solve", "1 + 1?").stderr


def test_the_file_sets_options_and_no_arguments(config, baton):
    """Or a word at its top level would name the server to remove."""
    assert baton("servers", "add", "office", "http://office:1").returncode == 0
    config.write_text('[servers.rm]\nserver = "office"\n', encoding="utf-8")
    assert "names 'server' in the table of rm, which is no option" in baton("servers", "rm", "office").stderr
    config.write_text("", encoding="utf-8")
    assert baton("servers", "rm", "office").returncode == 0


def test_a_model_in_the_environment_may_have_spaces_in_its_path(tmp_path, baton):
    (tmp_path / "p.csv").write_text("problem,answer\n1 + 1?,2\n", encoding="utf-8")
    line = ("batch", "run", str(tmp_path / "p.csv"), "--small", "demo", "-o", str(tmp_path / "out"))
    assert "my model.gguf cannot be read" in baton(*line, BATON_LARGE="my model.gguf").stderr


# Completion -----------------------------------------------------------------------------------------------------------


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
def test_names_are_completed(line, offered, baton):
    done = baton(**question(line))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{offered}\n", "")


def test_every_option_of_every_command_is_offered(baton):
    for command in commands():
        offered = set(baton(**question(f"{command.path} --")).stdout.split())
        assert offered - {"plain,--help"} == {f"plain,{name}" for name in command.options}, command.path


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
    assert (done.returncode, COMPLETION in done.stdout) == (0, True)
