"""A newcomer's changes of docs/extending.md work as they are written, and so do its examples.

The cue list, the policy and the label take the files that the page names and no others.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from arrows import read
from echo import EchoEngine
from plain import to_text

from baton_reasoning.core.batch.reading.source import ProblemSource, Record, Rejected
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.export.exported import Answered, Exported
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.store.conversations import StoredExchange
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import keywords
from tests.core.thinking.running import run as run_scripted

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8").partition("## What a program asks for")[0]
LAUNCHER = "packaging/launcher"
"""The folder that holds the package `baton_reasoning`."""
FOLDERS = ("app", "core", "docs", "resources", "tests")
CHANGE = re.compile(r"`([\w./]+)`[^`]*:\n\n```(json|python|diff)\n(.*?)```", re.DOTALL)
COPY = re.compile(r"^cp (\S+) (\S+)$", re.MULTILINE)
TEST = re.compile(r"^\.venv/bin/python -m pytest (.+)$", re.MULTILINE)
COMMAND = re.compile(r"^\.venv/bin/baton (.+)$", re.MULTILINE)
MODEL = re.compile(r"\b(small|large)\.gguf")
"""In its place a command runs one of the demo pair."""
FORM = """
from PySide6.QtWidgets import QApplication
from baton_reasoning.app.toolkit.forms.form import SettingsForm
from baton_reasoning.core.run import RunSettings
application = QApplication([])
form = SettingsForm(RunSettings(policy="my-policy"), RunSettings())
print(sorted(row.entry.path[-1] for row in form._rows if row.entry.path[0] == "policy"))
print(form.editor("policy", "every").accessibleName())
"""


def output_of(*words: str, path: list[Path], home: Path, codes: tuple[int, ...] = (0,)) -> str:
    """Run Python with these folders on its path and nobody's settings. It is not part of the coverage."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    environment |= {f"XDG_{name}_HOME": str(home / "home") for name in ("DATA", "CONFIG", "CACHE")}
    folders = filter(None, [*map(str, path), os.environ.get("PYTHONPATH")])
    environment |= {"PYTHONPATH": os.pathsep.join(folders), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, *words], cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


# The first changes ----------------------------------------------------------------------------------------------------


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


def is_shown(path: str, kind: str) -> bool:
    """Whether the page only shows a part of a file that is there."""
    return kind == "python" and (ROOT / path).exists()


def test_the_page_shows_the_files_as_they_are_and_its_changes_fit_them():
    shown = {path: text for path, kind, text in CHANGE.findall(PAGE) if is_shown(path, kind)}
    assert [path for path, _ in COPY.findall(PAGE)] == list(shown)
    assert [path for path, text in shown.items() if text not in (ROOT / path).read_text(encoding="utf-8")] == []
    for path, kind, text in CHANGE.findall(PAGE):
        assert kind != "diff" or changed((ROOT / path).read_text(encoding="utf-8"), text)


@pytest.mark.long
def test_a_cue_list_a_policy_and_a_label_are_added_in_the_files_that_the_page_names(tree):
    before = files(tree)
    changes = [change for change in CHANGE.findall(PAGE) if not is_shown(*change[:2])]
    copies = [(path, f"{folder}{Path(path).name}") for path, folder in COPY.findall(PAGE)]
    named = [*(path for path, _, _ in changes), *(path for _, path in copies)]
    assert len(named) == len(re.findall("```(json|python|diff)", PAGE))
    for path, new in copies:
        shutil.copy(tree / path, tree / new)
    for path, kind, text in changes:
        assert (tree / path).exists() is (kind == "diff")
        text = changed((tree / path).read_text(encoding="utf-8"), text) if kind == "diff" else text
        (tree / path).write_text(text, encoding="utf-8")
    tests = dict.fromkeys(" ".join(TEST.findall(PAGE)).split())
    place = {"path": [tree / LAUNCHER, tree], "home": tree}
    output_of("-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, **place)
    after = files(tree)
    assert {path for path in after if after[path] != before.get(path)} == set(named)
    assert before.keys() <= after.keys()
    sources = [path for path in named if path.endswith(".py")]
    output_of("-m", "ruff", "check", "--no-cache", *sources, **place)
    output_of("-m", "ruff", "format", "--no-cache", "--check", *sources, **place)
    # The demo pair, which solves only puzzles, may go on to its limit (3).
    with_the_list, with_the_policy = [
        json.loads(output_of("-m", "baton_reasoning", *words, "--json", codes=(0, 3), **place).splitlines()[-1])
        for words in (shlex.split(MODEL.sub("demo", command)) for command in COMMAND.findall(PAGE))
    ]
    assert with_the_list["event"] == "trace"
    assert with_the_policy["large_share"] > 0


# The examples ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_policy_in_a_package_of_its_own_runs_in_the_terminal_and_has_its_fields_in_the_form(tmp_path):
    shipped = (ROOT / "docs" / "examples" / "periodic.py").read_text(encoding="utf-8")
    (tmp_path / "my_policy.py").write_text(shipped.replace('"periodic"', '"my-policy"'), encoding="utf-8")
    folder = tmp_path / "my_policy-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: my_policy\nVersion: 1.0\n", encoding="utf-8")
    points = "[baton_reasoning.policies]\nmy-policy = my_policy:Periodic\n"
    (folder / "entry_points.txt").write_text(points, encoding="utf-8")
    place = {"path": [tmp_path], "home": tmp_path}
    solve = "-m baton_reasoning solve '2 + 2?' --small demo --large demo --policy my-policy --set every=2 --json"
    lines = [json.loads(line) for line in output_of(*shlex.split(solve), codes=(0, 3), **place).splitlines()]
    assert lines[0]["settings"]["policy"] == {"policy": "my-policy", "every": 2, "step_cap": 512}
    assert {line["reason"] for line in lines if line["event"] == "takeover_started"} >= {"my-policy"}
    shown = output_of("-c", FORM, **place).splitlines()
    assert shown == ["['every', 'policy', 'step_cap']", "Every n-th step"]


def test_the_engine_runs_in_the_loop():
    engine = EchoEngine()
    settings = RunSettings(policy="every-step", instruction="")
    trace = Trace.of(run(Pair(engine, engine), ask("Say this again.", settings), settings))
    assert (trace.text, trace.finish) == ("Say this again. ", Finish.END_OF_TEXT)
    assert trace.totals[Author.LARGE].kept == 3


def test_the_reader_reads_and_rejects_and_the_export_writes_what_was_shown():
    assert list(read(ProblemSource("a.qa", b"2 + 2? => 4\n\n3 + 3?\n"))) == [
        Record(1, {"problem": "2 + 2?", "answer": "4"}),
        Rejected(3, "There is no => between question and answer."),
    ]
    now = datetime.now(UTC)
    trace = run_scripted(keywords(), ["One.</think>\n\nFour."]).trace
    exported = Exported("Sums", (Answered(StoredExchange("1", None, "2 + 2?", {}, now), trace),), "1", now)
    assert to_text(exported) == "2 + 2?\n\nFour.\n"
