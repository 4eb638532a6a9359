"""The options of all commands: few, named as the configuration file names them, from several places, and completed."""

from collections import Counter
from collections.abc import Iterator

import click
import pytest

from baton_reasoning.app.terminal.command_line import SHARED
from baton_reasoning.app.terminal.program import COMPLETION, PROGRAM
from baton_reasoning.app.terminal.program import baton as program
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS
from tests.app.terminal.conftest import commands_of, program_of

MOST_OPTIONS = 26
DELIBERATE = ("history rm", "models rm", "history export")
"""Commands whose options no variable may set: they delete or replace."""
HEAVY = ("pydantic", "rich", "numpy", "msgspec", "httpx2", "baton_reasoning.core.run")
WHAT_IS_IMPORTED = "import sys; from baton_reasoning.app.cli import main; print(main([]), *sys.modules)"


def commands() -> Iterator[tuple[tuple[str, ...], dict[str, click.Option]]]:
    """Each command's words after `baton`, with its own options, without --help, by their long names."""
    for path, command in commands_of(program):
        if not isinstance(command, click.Group):
            yield path, {max(each.opts, key=len): each for each in command.params if isinstance(each, click.Option)}


def test_a_command_has_few_options_by_the_names_that_file_and_environment_use():
    shared: Counter[str] = Counter()
    for path, options in commands():
        assert len(options) <= MOST_OPTIONS
        for name, option in options.items():
            shared[option.name] += 1
            assert option.name == name.lstrip("-").replace("-", "_")
            if option.expose_value:
                variable = None if " ".join(path) in DELIBERATE else f"BATON_{option.name.upper()}"
                assert option.envvar == variable, path
    assert [name for name in SHARED if shared[name.replace("-", "_")] < 2] == []


def test_an_option_that_help_only_names_stands_in_settings(say):
    listed = "\n".join(say("settings", COLUMNS="200"))
    left_out = 0
    for path, options in commands():
        help = "\n".join(say(*path, "--help", COLUMNS="200"))
        for name, option in options.items():
            assert name in help
            if getattr(option, "is_for_experts", False):
                left_out += 1
                assert option.help
                assert option.help not in help
                assert f"\n{name} " in listed
                assert option.help.partition(".")[0] in listed
    assert left_out


def test_a_nested_command_takes_options_from_its_table_and_the_top(config, refused):
    """A value that cannot be right shows which place was read."""
    line = ("batch", "run", "missing.csv")
    for content, said in (
        ("parallel = -1", "-1 is not in the range"),
        ("parallel = -1\n[batch.run]\nparallel = -3", "-3 is not in the range"),
        ("[batch.resume]\nparallel = -1", "missing.csv cannot be read"),
        ("max tokens", "config.toml cannot be read"),
        ("seed = " + "9" * 5_000, "config.toml cannot be read"),
        ("seed = " + "[" * 5_000, "config.toml cannot be read"),
        ('[batch.run]\narm = ["small", "luck"]', "There is no arm called 'luck'"),
        ("[batch.run]\narm = 5", "There is no arm called '5'"),
        ('[batch.run]\nfile = "x"', f"file {config} names 'file' in the table of run, which is no option there"),
        ("[batch.walk]\nparallel = 1", f"file {config} names 'walk' in the table of batch, which is no command there"),
        ("[batch]\nparallel = 1", "'parallel' in the table of batch, which is no option there. Write options into"),
        ("[bath.run]\nparallel = 1", f"file {config} names 'bath' at its top, which is no command there."),
        ("batch = 1", "'batch' at its top, which is no option there"),
        ("arm = 'small'", "'arm' at its top, which is no option there. Write options into the table of their command"),
    ):
        config.write_text(content, encoding="utf-8")
        assert said in refused(*line), content
    config.write_text("parallel = -1", encoding="utf-8")
    assert "missing.csv cannot be read" in refused(*line, BATON_PARALLEL="2")
    config.write_text("", encoding="utf-8")
    assert "-4 is not in the range" in refused(*line, BATON_PARALLEL="-4")
    assert "-5 is not in the range" in refused(*line, "--parallel", "-5", BATON_PARALLEL="-4")
    assert "There is no arm called 'luck'" in refused(*line, BATON_ARM="small luck")


def test_a_wrong_value_is_blamed_on_the_place_it_comes_from(config, refused, tmp_path):
    solve = ("solve", "1 + 1?")
    assert "Invalid value for '--seed' / '-s': 'abc'" in refused(*solve, "--seed", "abc")
    assert "Invalid value for the variable BATON_SEED: 'abc'" in refused(*solve, BATON_SEED="abc")
    batch = ("batch", "run", str(BATCH_PROBLEMS), "--small", "demo", "-o", str(tmp_path / "out"))
    assert "my model.gguf cannot be read" in refused(*batch, BATON_LARGE="my model.gguf"), "spaces are of its name"
    assert "leave --config and BATON_CONFIG out" in refused(*solve, BATON_CONFIG=str(tmp_path / "none.toml"))
    config.write_text("max-tokens = 'abc'", encoding="utf-8")
    assert "Invalid value for 'max-tokens' in the configuration file: 'abc'" in refused(*solve)


def test_a_second_model_is_refused_where_only_one_runs(refused):
    for line in (("--small", "a.gguf", "--small", "b.gguf"), ("-md", "a.gguf", "--small=b.gguf")):
        assert "--small takes one value here." in refused("solve", "1 + 1?", *line)
    assert "missing.csv cannot be read" in refused("batch", "run", "missing.csv", "-m", "a.gguf", "-m", "b.gguf")


# Completion -----------------------------------------------------------------------------------------------------------


def question(line: str) -> dict[str, str]:
    """The variables of a shell that completes this line."""
    return {COMPLETION: "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("baton history ex", "plain,export"),
        ("baton solve --policy every", "plain,every-step"),
        ("baton solve --small ./mo", "file,./mo"),
        ("baton batch resume res", "file,res"),
    ],
)
def test_names_are_completed(line, offered, baton):
    done = baton(**question(line))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{offered}\n", "")


def test_every_option_of_every_command_is_offered(say):
    for path, options in commands():
        offered = set(say(**question(f"{PROGRAM} {' '.join(path)} --")))
        assert offered - {"plain,--help"} == {f"plain,{name}" for name in options}, path


def test_what_commands_need_is_not_imported_to_name_them():
    done = program_of("-c", WHAT_IS_IMPORTED, **question("baton so"))
    offered, modules = done.stdout.splitlines()
    assert (offered, modules.split()[0], done.stderr) == ("plain,solve", "0", "")
    assert [name for name in HEAVY if name in modules.split()] == []
