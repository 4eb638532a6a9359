"""Workflows, hooks and make: what they name exists, and `make help` lists every command."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CALLERS = [*WORKFLOWS, ROOT / ".ci" / "run", ROOT / ".pre-commit-config.yaml"]
FILE = re.compile(r"(?<![\w/.-])((?:packaging|\.ci|\.github)/[\w./-]*\w)")
every_caller = pytest.mark.parametrize("caller", CALLERS, ids=lambda path: path.name)
every_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)


@every_caller
def test_every_target_that_is_made_exists(caller):
    lines = re.findall(r"(?:run: |entry: |^)make ([^\n|&]+)", caller.read_text(encoding="utf-8"), re.MULTILINE)
    made = {word for line in lines for word in line.split() if "=" not in word}
    assert made <= TARGETS


@every_caller
def test_every_file_that_is_named_exists(caller):
    named = FILE.findall(caller.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@every_workflow
def test_every_job_ends_and_every_action_has_a_version(workflow):
    text = workflow.read_text(encoding="utf-8")
    assert text.count("runs-on:") == text.count("timeout-minutes:")
    assert re.findall(r"uses: (?!\./)\S+(?<!@v\d)(?<!@release/v1)$", text, re.MULTILINE) == []
    assert "\npermissions:\n  contents: read\n" in text


@pytest.mark.skipif(not shutil.which("make"), reason="Windows has no make")
def test_make_alone_lists_every_target_with_a_line():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"^  ([a-z-]+) +(\S.*)$", listed, re.MULTILINE)
    assert {name for name, _ in lines} == TARGETS
    assert max(len(line) for line in listed.splitlines()) <= 100


def test_every_target_is_a_command_and_no_file():
    phony = re.search(r"^\.PHONY: ((?:.+\\\n)*.+)$", MAKEFILE, re.MULTILINE)
    assert phony
    assert set(phony[1].replace("\\", "").split()) == TARGETS
