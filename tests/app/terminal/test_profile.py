"""`baton profile` on the demo pair's small model, as a person calls it."""

from pathlib import Path

import pytest

from app.cli import main
from core.demo_pair import READY_PROBLEMS, SMALL_MODEL
from core.thinking.cues import Category, parse_lexicon


def test_a_model_is_profiled_and_its_cue_list_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "cues.json"
    options = [
        "--problems",
        str(READY_PROBLEMS),
        "--limit",
        "4",
        "--tokens",
        "300",
        "--threads",
        "1",
        "--out",
        str(out),
    ]
    assert main(["profile", str(SMALL_MODEL), *options, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "boundaries; after" in said
    assert "known cue" in said
    assert "hold on" in parse_lexicon(out.read_text()).cues[Category.REFLECTION]


def test_a_list_that_cannot_be_written_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--problems", str(READY_PROBLEMS), "--limit", "1", "--tokens", "30", "--threads", "1"]
    assert main(["profile", str(SMALL_MODEL), *options, "--out", str(tmp_path / "no" / "cues.json")]) == 2
    assert "cannot be written" in capsys.readouterr().err
