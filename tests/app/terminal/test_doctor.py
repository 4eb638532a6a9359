"""`baton doctor` reports whatever is broken, and is stopped by none of it."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
from pathlib import Path

import pytest

import baton_reasoning
from baton_reasoning.app.display import qt_problem
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

MISSING = ("llama_cpp", "PySide6", "keyring")


def test_the_doctor_looks_at_everything(baton):
    done = baton("doctor", "--json")
    assert done.returncode == 0, done.stdout
    subjects = [json.loads(line)["subject"] for line in done.stdout.splitlines()]
    assert (subjects[0], subjects[-1]) == ("Versions", "Window")
    assert "✓ Versions: Baton" in baton("doctor").stdout


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("max tokens", "config.toml cannot be read"),
        ("[slove]\n", "'slove' at its top, which is no command"),
        ("sead = 7\n", "'sead' at its top, which is no option"),
    ],
)
def test_a_broken_configuration_is_named(content, said, config, baton):
    config.write_text(content, encoding="utf-8")
    done = baton("doctor")
    assert done.returncode == 1
    assert done.stdout.startswith("✗ Configuration: ")
    assert said in done.stdout.splitlines()[0]
    assert "✓ Versions" in done.stdout
    assert "could not be checked" not in done.stdout
    assert baton("--help").returncode == 0


def test_a_wrong_value_in_the_configuration_does_not_keep_it_from_starting(tmp_path, baton):
    file = tmp_path / "config.toml"
    file.write_text("quiet = 'x'\n", encoding="utf-8")
    assert baton("--config", str(file), "doctor").returncode == 0


def test_a_configuration_file_that_is_missing_is_named(tmp_path, baton):
    done = baton("--config", str(tmp_path / "config.toml"), "doctor")
    assert done.returncode == 1
    assert done.stdout.startswith("✗ Configuration: ")
    assert "could not be checked" not in done.stdout


def test_a_library_that_qt_needs_is_named(tmp_path, monkeypatch):
    (tmp_path / "PySide6").mkdir()
    (tmp_path / "PySide6" / "QtWidgets.py").write_text("raise ImportError('libEGL.so.1: not found')", encoding="utf-8")
    (tmp_path / "PySide6" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert qt_problem() == "ImportError: libEGL.so.1: not found"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a permission there")
def test_missing_packages_are_named(tmp_path):
    """In a process that finds all packages but these: it starts without site-packages, and has links instead."""
    for path in Path(site.getsitepackages()[0]).iterdir():
        if not path.name.startswith(MISSING):
            (tmp_path / path.name).symlink_to(path)
    package = Path(str(baton_reasoning.__file__)).parents[1]  # an editable installation is found by site-packages alone
    search_path = [folder for folder in (*sys.path, str(tmp_path), str(package)) if "site-packages" not in folder]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(search_path)}
    done = subprocess.run(
        [sys.executable, "-S", "-m", "baton_reasoning.app.cli", "doctor"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "✗ llama.cpp: cannot be loaded: ModuleNotFoundError: No module named 'llama_cpp'" in done.stdout
    assert "! Keyring: cannot be used: ModuleNotFoundError: No module named 'keyring'" in done.stdout
    assert "! Window: Qt cannot be loaded: ModuleNotFoundError: No module named 'PySide6'" in done.stdout
