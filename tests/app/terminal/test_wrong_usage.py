"""Whatever is wrong with a command line is said in one line, and its exit code is 2."""

from __future__ import annotations

import pytest

from app.cli import main


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "baton: the following arguments are required: COMMAND"),
        ("guess", "'guess'"),
        ("solve", "baton solve: the following arguments are required: problem"),
        ("solve 1+1 --policy luck", "'luck'"),
        ("solve 1+1 --max-tokens 0", "0 is not a number of at least 1"),
        ("demo --loud", "--loud"),
        ("batch problems.jsonl --seeds -1", "-1 is not a number of at least 1"),
        ("connect", "url"),
        ("profile model.gguf --tokens none", "none is not a number of at least 1"),
        ("replay", "TRACE"),
        ("evidence --problems 0", "0 is not a number of at least 1"),
    ],
)
def test_a_command_line_that_cannot_be_meant(line: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert said in sentence
    assert "--help tells what it takes." in sentence
