"""Versions, and the window's own command line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.app.display import display_problem
from baton_reasoning.core.version import version
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow


def test_every_program_says_its_version(capsys):
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
def test_a_dead_display_is_found_out_before_qt_ends_the_process(environment, said):
    found = display_problem(environment)
    assert found == said if said in ("", "There is no display.") else found


def test_wrong_usage_of_the_window_is_a_sentence():
    done = subprocess.run(
        [sys.executable, "-m", "baton_reasoning.app", "--version=x"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 2
    assert done.stderr.startswith("baton-window: ")
