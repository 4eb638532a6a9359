"""Versions, help, where options come from; and the window's own command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.app.display import display_problem
from baton_reasoning.core.version import version
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

LINE = ["solve", "1+1?", "-q", "--no-history", "--small", "demo", "--policy", "never", "--json"]


def tokens(capsys: pytest.CaptureFixture[str]) -> int:
    """How many tokens the run was allowed."""
    written: int = json.loads(capsys.readouterr().out.splitlines()[-1])["tokens"]
    return written


def test_an_option_is_taken_from_the_line_the_environment_and_the_file_in_this_order(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text("max-tokens = 2\n")
    assert main(LINE) == 3
    assert tokens(capsys) == 2
    config.write_text("max-tokens = 2\n[solve]\nmax-tokens = 3\n")
    assert main(LINE) == 3
    assert tokens(capsys) == 3
    monkeypatch.setenv("BATON_MAX_TOKENS", "4")
    assert main(LINE) == 3
    assert tokens(capsys) == 4
    assert main([*LINE, "-n", "6"]) == 3
    assert tokens(capsys) == 6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("max tokens", "cannot be read"),
        ("seed = " + "9" * 5_000, "cannot be read"),
        ("seed = " + "[" * 5_000, "cannot be read"),
    ],
)
def test_a_wrong_configuration_is_a_sentence(
    content: str, said: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(content)
    assert main(LINE) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert said in sentence


def test_every_program_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--version", "-V"):
        assert main([option]) == 0
        assert f"Baton {version()} (llama-cpp-python " in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", "baton_reasoning.app", "--version"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, f"Baton {version()}" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "There is no display."),
        ({"DISPLAY": ":97"}, "does not answer"),
        ({"WAYLAND_DISPLAY": "wayland-9", "XDG_RUNTIME_DIR": "/nowhere"}, "There is no display."),
        ({"QT_QPA_PLATFORM": "offscreen"}, ""),
        ({"QT_QPA_PLATFORM": "xcb"}, "There is no display."),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_a_dead_display_is_found_out_before_qt_ends_the_process(environment: dict[str, str], said: str) -> None:
    found = display_problem(environment)
    assert found == said if said in ("", "There is no display.") else found


def test_wrong_usage_of_the_window_is_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "baton_reasoning.app", "--version=x"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert done.stderr.startswith("baton-window: ")
