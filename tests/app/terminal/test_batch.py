"""`baton batch`, `baton evidence` and `baton demo` as a person or a program calls them, on the demo pair."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import main
from core.demo_pair import BATCH_PROBLEMS, SMALL_MODEL

TWO = ("--limit", "2", "--parallel", "2", "--context", "1024")


def baton(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "app.cli", *arguments]
    return subprocess.run(program, capture_output=True, text=True, timeout=100)


def test_a_file_is_solved_graded_and_reported(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = baton("batch", str(BATCH_PROBLEMS), "--arm", "small", "--arm", "large", *TWO, "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("batch: 2 problems, 1 seed, 2 at once")
    assert "large less small" in done.stdout
    assert {path.name for path in out.iterdir()} >= {"results.csv", "results.jsonl", "report.html", "report.svg"}


def test_for_a_program_every_line_is_json_and_the_last_is_the_report(tmp_path: Path) -> None:
    done = baton("batch", str(BATCH_PROBLEMS), "--arm", "large", *TWO, "--out", str(tmp_path / "out"), "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["arm"] for line in lines[:-1]] == ["large", "large"]
    assert lines[-1]["report"]["arms"][0]["done"] == 2


def test_a_batch_that_is_done_is_only_reported_again(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    first = baton("batch", str(BATCH_PROBLEMS), "--arm", "large", *TWO, "--out", out, "--json")
    again = baton("batch", "--resume", "--out", out, "--json")
    assert again.returncode == 0, again.stderr
    assert len(again.stdout.splitlines()) == 1
    assert again.stdout.splitlines()[-1] == first.stdout.splitlines()[-1]


def test_answers_are_graded_again_without_running_anything(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert baton("batch", str(BATCH_PROBLEMS), "--arm", "large", *TWO, "--out", out).returncode == 0
    again = baton("batch", "--regrade", "--pattern", "no such words", "--out", out, "--json")
    assert again.returncode == 0, again.stderr
    assert "2 answers were graded again" in again.stderr
    assert json.loads(again.stdout)["report"]["arms"][0]["wrong"] == 2


def test_another_large_model_is_an_arm_that_runs_when_the_first_is_done(tmp_path: Path) -> None:
    arms = ("--recipe", "large", "--guide", str(SMALL_MODEL))
    done = baton("batch", str(BATCH_PROBLEMS), *arms, *TWO, "--out", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])["report"]
    assert [arm["name"] for arm in report["arms"]] == ["large", f"guide {SMALL_MODEL.stem}"]
    assert [arm["done"] for arm in report["arms"]] == [2, 2]
    assert all(arm["compute"] for arm in report["arms"])


def test_a_folder_with_a_batch_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "batch.sqlite").touch()
    assert main(["batch", str(BATCH_PROBLEMS), "--out", str(tmp_path)]) == 2
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["batch"], "No file of problems is named"),
        (["batch", "missing.csv"], "cannot be read"),
        (["batch", "--resume", "--out", "nowhere"], "nowhere holds no batch"),
        (["batch", "x.csv", "--grade", "regex"], "belong together"),
        (["batch", "--regrade", "--out", "nowhere", "--pattern", "("], "is not valid"),
        (["demo", "99"], "no ready problem 99"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) in (1, 2)
    assert words in capsys.readouterr().err


def test_evidence_compares_all_arms_and_the_random_one_at_equal_share(tmp_path: Path) -> None:
    done = baton("evidence", "--problems", "3", "--seeds", "1", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    arms = [line.split("  ")[0] for line in done.stdout.splitlines()[3:11]]
    assert arms == ["small", "large", "baton", "paper", "reference", "entropy", "score", "random as baton"]
    assert "random as baton: p = " in done.stderr


def test_the_demo_shows_three_ways_and_who_was_right() -> None:
    done = baton("demo", "1")
    assert done.returncode == 0, done.stderr
    verdicts = done.stdout.splitlines()[-3:]
    assert [line.split("  ")[0] for line in verdicts] == [
        "Small model alone",
        "Large model alone",
        "Small model, large model at the cues",
    ]
    assert all("✓ right" in line or "✗ wrong" in line for line in verdicts)
