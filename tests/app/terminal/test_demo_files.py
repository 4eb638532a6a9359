"""The demo pair in the terminal: at the cost of a real pair where one answer is waited for, tiny in a batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baton_reasoning.core.demo_pair import READY_PROBLEMS, costly
from tests.app.terminal.conftest import Baton

pytestmark = pytest.mark.slow
NAMED = ("--small", "demo", "--large", "demo")
PROBLEM = json.loads(READY_PROBLEMS.read_text("utf-8").splitlines()[0])["problem"]


@pytest.fixture(autouse=True)
def a_little_more_costly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(costly.SWITCH)
    monkeypatch.setattr(costly, "RATIO", 2)
    monkeypatch.setattr(costly, "BLOCK", costly.Shape(feed_forward=256))


def test_the_demo_makes_its_files_once(tmp_path: Path, baton: Baton) -> None:
    first = baton("demo", XDG_CACHE_HOME=str(tmp_path))
    assert first.returncode == 0, first.stderr
    assert costly.MAKING in first.stderr
    again = baton("solve", PROBLEM, *NAMED, "--context", "1024", XDG_CACHE_HOME=str(tmp_path))
    assert again.returncode == 0, again.stderr
    assert costly.MAKING not in again.stderr
    assert len(list(tmp_path.rglob("*.gguf"))) == 2


def test_without_room_the_demo_runs_on_its_tiny_models(tmp_path: Path, baton: Baton) -> None:
    taken = tmp_path / "cache"
    taken.write_text("a file, where a folder should be", encoding="utf-8")
    done = baton("demo", XDG_CACHE_HOME=str(taken))
    assert done.returncode == 0, done.stderr
    assert "The demo runs on its tiny models, which are equally fast" in done.stderr


def test_a_batch_runs_on_the_tiny_models(tmp_path: Path, baton: Baton) -> None:
    arguments = ("--limit", "1", "--arm", "small", "--context", "1024", "--out", str(tmp_path / "out"))
    done = baton("batch", "run", str(READY_PROBLEMS), *NAMED, *arguments, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("*.gguf"))
