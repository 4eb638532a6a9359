"""`baton replay` over what `baton solve --json` wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.core.demo_pair import held_out_problems
from baton_reasoning.core.thinking.trace_json import trace_from_lines

pytestmark = pytest.mark.slow


@pytest.fixture
def trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["solve", next(held_out_problems(3)).question, "--json", "--threads", "1"]) == 0
    file = tmp_path / "trace.json"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    return file


def test_the_policy_of_the_run_steps_in_where_it_did(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(trace)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "0 only in the original, + 0 only with these settings" in said[-1]
    assert len(said) > 1
    assert all(line.startswith("=") for line in said)


def test_another_policy_is_compared_with_it(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded = trace_from_lines(trace.read_text(encoding="utf-8").splitlines())
    assert main(["replay", str(trace), "--policy", "random", "--set", "p=1"]) == 0
    said = capsys.readouterr().out
    assert "+ step 2: random" in said
    assert said.count("random") > len(recorded.steps) // 3


def test_a_policy_that_decides_on_the_whole_answer_has_no_places(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(trace), "--policy", "cascade"]) == 0
    assert capsys.readouterr().out.startswith("This policy decides on the whole answer at its end")
    assert main(["replay", str(trace), "--policy", "cascade", "--json"]) == 0
    assert not capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "{}", "not JSON"])
def test_a_file_without_a_run_is_refused_in_a_sentence(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "no.json"
    file.write_text(content)
    assert main(["replay", str(file)]) in (1, 2)
    assert capsys.readouterr().err.startswith("baton: ")


def test_takeovers_are_json_for_a_program(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(trace), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows
    assert {row["in"] for row in rows} == {"both"}
