"""Whatever is wrong with a command line is said in one line, and its exit code is 2."""

from __future__ import annotations

import pytest

from baton_reasoning.app.cli import main


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "baton: Missing command"),
        ("guess", "'guess'"),
        ("solve", "baton solve: Missing argument 'PROBLEM'"),
        ("solve 1+1 --policy luck", "'luck'"),
        ("solve 1+1 --max-tokens 0", "0 is not in the range x>=1"),
        ("demo --loud", "--loud"),
        ("batch run problems.jsonl --seeds -1", "-1 is not in the range x>=1"),
        ("profile model.gguf --max-tokens none", "'none' is not a valid integer"),
        ("replay", "TRACE"),
        ("solve 1+1 --temper 0", "No such option"),
        ("solve 1+1 --server http://x", "No such option"),
        ("solve 1+1 --seed 1234567890123456789012", "is not in the range"),
        ("evidence --limit 0", "0 is not in the range x>=1"),
    ],
)
def test_a_command_line_that_cannot_be_meant(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert said in sentence
    assert "--help shows what it takes." in sentence
