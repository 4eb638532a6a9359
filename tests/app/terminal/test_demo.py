"""`baton demo` shows how the models answer, and ends with the scoreboard; so does the window without a display."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests.app.terminal.conftest import Baton
from tests.app.terminal.terminal import Terminal
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

ROW = re.compile(r"(small alone|both, \d+% by large|large alone) +(\d{5})  ([✓✗])  +\d+\.\d s")


def marks(lines: Sequence[str]) -> list[str]:
    """The marks of the three rows that the output ends with; each has answer, mark and seconds."""
    rows = [ROW.fullmatch(line) for line in lines[-3:]]
    assert all(rows), lines[-3:]
    assert [row[1].split()[0] for row in rows if row] == ["small", "both,", "large"]
    return [row[3] for row in rows if row]


def test_the_demo_ends_with_the_scoreboard(baton: Baton) -> None:
    done = baton("demo", "1")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert marks(lines) == ["✗", "✓", "✓"]
    assert [line.split(" ─")[0] for line in lines if line.startswith("──")] == [
        "── Small alone",
        "── Both",
        "── Large alone",
        "── The answer is 12085",
    ]


def test_nothing_follows_the_scoreboard_on_a_terminal_either() -> None:
    with Terminal("demo") as terminal:
        assert terminal.exit_code() == 0, terminal.screen
        assert marks(terminal.screen.splitlines()) == ["✗", "✓", "✓"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_the_window_without_a_display_is_the_demo_in_the_terminal() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
    done = subprocess.run(
        [sys.executable, "-m", "baton_reasoning.app"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment | {"DISPLAY": ":97", "WAYLAND_DISPLAY": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "Here is the demo in the terminal instead" in done.stdout
    assert marks(done.stdout.splitlines()) == ["✗", "✓", "✓"]
