"""The options of all commands: few, named as the configuration file names them, from several places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import click
import pytest

from baton_reasoning.app.terminal.command_line import SHARED
from baton_reasoning.app.terminal.program import BATCH_COMMANDS, PROGRAM, baton
from tests.app.terminal.tree import commands_of

MOST_OPTIONS = 25


class Described(NamedTuple):
    path: str
    command: click.Command

    @property
    def options(self) -> list[click.Option]:
        """Those of its own, without --help."""
        return [each for each in self.command.params if isinstance(each, click.Option)]


def commands() -> Iterator[Described]:
    for path, command in commands_of(baton):
        if not isinstance(command, click.Group):
            yield Described(" ".join((PROGRAM, *path)), command)


@pytest.mark.parametrize("command", [*commands()], ids=lambda command: command.path)
def test_a_command_has_few_options_by_the_names_that_file_and_environment_use(command):
    assert len(command.options) <= MOST_OPTIONS
    for option in command.options:
        longest = max(option.opts, key=len)
        assert option.name == longest.lstrip("-").replace("-", "_")
        if option.expose_value:
            is_deliberate = command.path in ("baton history rm", "baton models rm", "baton history export")
            assert option.envvar == (None if is_deliberate else f"BATON_{str(option.name).upper()}")


def test_an_option_that_help_only_names_stands_in_settings(baton):
    listed = baton("settings", COLUMNS="200").stdout
    left_out = 0
    for command in commands():
        help = baton(*command.path.split()[1:], "--help", COLUMNS="200").stdout
        for option in command.options:
            name = max(option.opts, key=len)
            if getattr(option, "is_for_experts", False):
                left_out += 1
                assert option.help
                assert option.help not in help
                assert f"\n{name} " in listed
                assert option.help.partition(".")[0] in listed
            assert name in help
    assert left_out


def test_a_word_means_one_thing_in_all_commands():
    texts: dict[str, set[str]] = {}
    for command in commands():
        for option in command.options:
            texts.setdefault(max(option.opts, key=len), set()).add(f"{option.help} ".partition(" [")[0])
    assert all(text.startswith("Only the ") for text in texts["--limit"])
    assert all(text.startswith("Solve each problem with N seeds") for text in texts["--seeds"])
    assert texts["--max-tokens"] == {"Most tokens to generate"}
    assert texts["--context"] >= {"Tokens of context"}


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
        ('[batch.run]\narm = "luck"', "'luck' is not one of"),
        ('[batch.run]\narm = ["small", "luck"]', "'luck' is not one of"),
        ("[batch.run]\narm = 5", "'5' is not one of"),
        ("parallel = [1]", "'[1]' is not a valid integer"),
        ("parallel = true", "'True' is not a valid integer"),
        ("no-history = 5", "'5' is not a valid boolean"),
        ('[batch.run]\nloud = "yes"', "'loud' in the table of run, which is no option there"),
        (
            "[batch.run]\nparalel = 1",
            "'paralel' in the table of run, which is no option there. Did you",
        ),
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


def test_the_top_of_the_file_takes_what_several_commands_have():
    names = [name.replace("_", "-") for command in commands() for each in command.options if (name := each.name)]
    assert [name for name in SHARED if names.count(name) < 2] == []


def test_a_wrong_value_is_blamed_on_the_place_it_comes_from(config, baton):
    typed = baton("solve", "1 + 1?", "--seed", "abc").stderr
    assert "Invalid value for '--seed' / '-s': 'abc'" in typed
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


def test_every_verb_of_a_batch_is_listed_with_what_it_does(baton):
    listed = baton("batch", "--help").stdout
    assert all(str(command.help) in listed for command in BATCH_COMMANDS)
