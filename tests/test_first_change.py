"""The changes of docs/extending.md work as they are written, and take no file that the page does not name."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8").partition("## Every plug-in point")[0]
LAUNCHER = "packaging/launcher"
"""The folder that holds the package `baton_reasoning`."""
FOLDERS = ("app", "core", "docs", "resources", "tests")
CHANGE = re.compile(r"`([\w./]+)`[^`]*:\n\n```(json|python|diff)\n(.*?)```", re.DOTALL)
COPY = re.compile(r"^cp (\S+) (\S+)$", re.MULTILINE)
TEST = re.compile(r"^\.venv/bin/python -m pytest (.+)$", re.MULTILINE)
COMMAND = re.compile(r"^\.venv/bin/baton (.+)$", re.MULTILINE)
MODEL = re.compile(r"\b(small|large)\.gguf")
"""In its place a command runs one of the demo pair."""


@pytest.fixture
def tree(tmp_path):
    """A copy of the source, with its byte code."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("images"))
    shutil.copytree(ROOT / LAUNCHER, tmp_path / LAUNCHER, symlinks=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def files(tree: Path) -> dict[str, bytes]:
    found = [path for name in FOLDERS for path in (tree / name).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in found}


def changed(before: str, diff: str) -> str:
    """The text with a diff of one place, which is given by its lines alone."""
    lines = diff.splitlines(keepends=True)
    old, new = ("".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +"))
    assert before.count(old) == 1
    return before.replace(old, new)


def run(tree: Path, *command: str, codes: tuple[int, ...] = (0,)) -> str:
    """Run a module of Python in the copy, and with its code. What it covers is not the source's coverage."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    environment |= {"PYTHONPATH": os.pathsep.join([str(tree / LAUNCHER), str(tree)]), "QT_QPA_PLATFORM": "offscreen"}
    environment |= {f"XDG_{name}_HOME": str(tree / "home") for name in ("DATA", "CONFIG", "CACHE")}
    words = [sys.executable, "-m", *command]
    done = subprocess.run(words, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


def is_shown(path: str, kind: str) -> bool:
    """Whether the page only shows a part of a file that is there."""
    return kind == "python" and (ROOT / path).exists()


def test_the_page_shows_the_files_as_they_are():
    shown = {path: text for path, kind, text in CHANGE.findall(PAGE) if is_shown(path, kind)}
    assert [path for path, _ in COPY.findall(PAGE)] == list(shown)
    assert [path for path, text in shown.items() if text not in (ROOT / path).read_text(encoding="utf-8")] == []


@pytest.mark.long
def test_the_changes_of_the_page_pass_its_tests_and_take_no_other_file(tree):
    before = files(tree)
    changes = [change for change in CHANGE.findall(PAGE) if not is_shown(*change[:2])]
    copies = [(path, f"{folder}{Path(path).name}") for path, folder in COPY.findall(PAGE)]
    named = [*(path for path, _, _ in changes), *(path for _, path in copies)]
    assert len(named) == PAGE.count("```json") + PAGE.count("```python") + PAGE.count("```diff")
    for path, new in copies:
        shutil.copy(tree / path, tree / new)
    for path, kind, text in changes:
        assert (tree / path).exists() is (kind == "diff")
        text = changed((tree / path).read_text(encoding="utf-8"), text) if kind == "diff" else text
        (tree / path).write_text(text, encoding="utf-8")
    tests = dict.fromkeys(" ".join(TEST.findall(PAGE)).split())
    run(tree, "pytest", "-q", "-p", "no:cacheprovider", *tests)
    after = files(tree)
    assert {path for path in after if after[path] != before.get(path)} == set(named)
    assert before.keys() <= after.keys()
    sources = [path for path in named if path.endswith(".py")]
    run(tree, "ruff", "check", "--no-cache", *sources)
    run(tree, "ruff", "format", "--no-cache", "--check", *sources)
    # The demo pair, which solves only puzzles, may go on to its limit (3).
    with_the_list, with_the_policy = [
        json.loads(run(tree, *shlex.split(MODEL.sub("demo", words)), codes=(0, 3)).splitlines()[-1])
        for words in (f"baton_reasoning {command} --json" for command in COMMAND.findall(PAGE))
    ]
    assert with_the_list["event"] == "trace"
    assert with_the_policy["large_share"] > 0
