"""The documentation names what there is: pages, headings, files, events with their fields, and commands.

Each command is understood by `baton`, and those of two pages are run. What they name and is not here is put in their
place: a Hub on this machine, which has the demo pair under the names of the catalogue, and a file of two problems.

A newcomer's changes of docs/extending.md work as they are written, and so do its examples. The cue list, the policy and
the label take the files that the page names and no others.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from inspect import signature
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from arrows import read
from echo import EchoEngine
from plain import to_text

from baton_reasoning.app.terminal.command_line import LazyCommand
from baton_reasoning.app.terminal.program import PROGRAM, baton
from baton_reasoning.core.batch.reading.source import ProblemSource, Record, Rejected
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, LARGE_MODEL, SMALL_MODEL, DemoProblem
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.catalog import catalog
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.reasons import SHARED_REASONS
from baton_reasoning.core.thinking.requests import Request
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.thinking.trace_json import KINDS
from tests.core.models.hub_server import running_hub
from tests.core.store.made import an_answer
from tests.core.thinking.running import keywords
from tests.core.thinking.running import run as run_scripted
from tests.systems import posix_only, user_folders, user_in

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "tests/*.md", "packaging/*/*.md", "resources/*/*.md")
    for path in ROOT.glob(pattern)
)
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
SOURCE = re.compile(r"`((?:app|core|docs|packaging|resources|tests)/[\w./-]+)`")


def anchors(page: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere_and_every_file_that_is_named_exists(page):
    text = page.read_text(encoding="utf-8")
    for target, anchor in LINK.findall(CODE.sub("", text)):
        path = page.parent / target if target else page
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"
    named = {name for name in SOURCE.findall(text) if "NAME" not in name}
    missing = {name for name in named if not (ROOT / name).exists() and not (page.parent / name).exists()}
    assert missing <= set(re.findall(r"Create `([\w./]+)`", text))


def test_every_event_request_and_shared_reason_is_documented_with_its_fields():
    page = (ROOT / "docs" / "trace.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE))
    for kind, event in KINDS.items():
        named = [field for field in event.__struct_fields__ if field != "at"]
        assert [field for field in named if f"`{field}`" not in rows[kind]] == [], kind
    assert [reason.id for reason in SHARED_REASONS if f"`{reason.id}`" not in page] == []
    for request in Request.__subclasses__():
        assert f"`{request.__name__}({', '.join(signature(request).parameters)})`" in EXTENDING


# Commands -------------------------------------------------------------------------------------------------------------

WITH_COMMANDS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROBLEM = DemoProblem(60_836).question
PLACEHOLDER = re.compile(r"[A-Z][A-Z_=]*|…|\.\.\.")
"""Stands for a value in the text of a page, such as N or MODEL."""
HERE = {
    "hf:HuggingFaceH4/MATH-500": "problems.jsonl",
    "--large office": "--large demo:large",
    "--large http://office:9931": "--large demo:large",
    "small.gguf": str(SMALL_MODEL),
    "large.gguf": str(LARGE_MODEL),
    "…": PROBLEM,
    "What is 17 · 23?": PROBLEM,
    "How many primes are there below 100?": PROBLEM,
    ".venv/bin/": "",
}
"""What a command names, and what is run in its place."""


class Command(NamedTuple):
    page: str
    line: str
    is_whole: bool
    """From a block of code; a command in the text may leave out what it is about."""


def text_of(page: Path) -> str:
    """The page, but of docs/extending.md only what needs none of its changes; the rest is below."""
    text = page.read_text(encoding="utf-8")
    return text.partition("## Every plug-in point")[2] if page.name == "extending.md" else text


def blocks(page: str) -> list[list[str]]:
    """The lines of each block of code that has a command of Baton; a line that goes on in the next one is one line."""
    lines = [re.sub(r"\\\n\s*", "", block).splitlines() for block in BLOCK.findall(page)]
    return [block for block in lines if any(commands_in(line) for line in block)]


def commands_in(line: str) -> list[str]:
    """The calls of `baton` in a line of the shell."""
    if line.startswith(("baton: ", "#")) or not re.search(r"\bbaton\b", line):
        return []
    words = shlex.split(line.replace("`", "'"), comments=True)
    calls = [[*call] for ends, call in groupby(words, ("|", "&&", ">", ";", "||", "&").__contains__) if not ends]
    return [shlex.join(call[1:]) for call in calls if call[0] in (PROGRAM, f".venv/bin/{PROGRAM}")]


def filled(text: str) -> str:
    """With the values of the shell's variables that the page sets."""
    for name, value in re.findall(r'^(\w+)="?(.*?)"?$', text, re.MULTILINE):
        text = text.replace(f"${name}", value)
    return text


def commands() -> list[Command]:
    found = []
    for path in WITH_COMMANDS:
        text = filled(text_of(path))
        lines = [line for block in blocks(text) for line in block]
        found += [Command(path.name, each, True) for line in lines for each in commands_in(line)]
        for span in re.findall(rf"`((?:\.venv/bin/)?{PROGRAM} [^`]+)`", CODE.sub("", text)):
            found += [Command(path.name, each, False) for each in commands_in(span.replace("\n", " "))]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("command", commands(), ids=lambda command: f"{command.page}: {command.line}")
def test_a_command_of_the_pages_is_understood(command):
    """Its name, its options and their values; it is not run."""
    words = shlex.split(command.line)
    try:
        group: click.Command = baton
        with click.Context(baton, info_name=PROGRAM) as context:
            while isinstance(group, click.Group) and words and not words[0].startswith("-"):
                found = group.get_command(context, words[0])
                assert found, f"there is no command {words[0]}"
                group, words = found.command if isinstance(found, LazyCommand) else found, words[1:]
            group.make_context(group.name, [*words], parent=context)
    except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):  # --help, --version, a group alone
        pass
    except (click.MissingParameter, click.BadOptionUsage):
        if command.is_whole:
            raise
    except click.BadParameter as error:
        if not any(PLACEHOLDER.fullmatch(word) and f"'{word}'" in error.format_message() for word in words):
            raise


@pytest.fixture
def folder(tmp_path, hub, monkeypatch):
    """Where commands run: `baton` is on the path, and nobody is there to be asked."""
    program = tmp_path / "bin" / PROGRAM
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m baton_reasoning "$@"\n')
    program.chmod(0o755)
    lines = BATCH_PROBLEMS.read_text(encoding="utf-8").splitlines()[:2]
    (tmp_path / "problems.jsonl").write_text("\n".join(lines), encoding="utf-8")
    user_in(tmp_path / "home", monkeypatch)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("OFFICE_KEY", "none")
    monkeypatch.setenv("BATON_YES", "1")
    monkeypatch.setenv("BATON_CONTEXT", "2048")
    return tmp_path


@pytest.fixture
def hub():
    """The Hub with the demo pair under the names of all models of the catalogue."""
    with running_hub() as server:
        for pair in catalog():
            for model, file in ((pair.small, SMALL_MODEL), (pair.large, LARGE_MODEL)):
                server.files.setdefault(model.repository, {})[model.file] = file.read_bytes()
        yield server


@pytest.mark.long
@posix_only("the shell for which the pages are written")
@pytest.mark.parametrize("page", ["README.md", "docs/terminal.md"])
def test_the_commands_of_a_page_run_one_after_the_other(page, folder):
    done_so_far = 0
    for block in blocks((ROOT / page).read_text(encoding="utf-8")):
        for line in filter(commands_in, block):
            local = line
            for named, here in HERE.items():
                local = local.replace(named, here)
            done = subprocess.run(["bash", "-c", local], cwd=folder, capture_output=True, text=True, timeout=3_600)
            # 3: the demo pair under another name has nobody who shortens its answers
            assert done.returncode in ((0, 3) if "solve" in line else (0,)), f"{local}\n{done.stderr}"
            assert "Traceback" not in done.stderr
            done_so_far += 1
    assert done_so_far >= 5


# The changes and examples of docs/extending.md ------------------------------------------------------------------------

EXTENDING = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FIRST_CHANGES = EXTENDING.partition("## What a program asks for")[0]
LAUNCHER = "packaging/launcher"
"""The folder that holds the package `baton_reasoning`."""
COPIED = ("app", "core", "docs", "resources", "tests")
CHANGE = re.compile(r"`([\w./]+)`[^`]*:\n\n```(json|python|diff)\n(.*?)```", re.DOTALL)
COPY = re.compile(r"^cp (\S+) (\S+)$", re.MULTILINE)
TEST = re.compile(r"^\.venv/bin/python -m pytest (.+)$", re.MULTILINE)
COMMAND = re.compile(r"^\.venv/bin/baton (.+)$", re.MULTILINE)


def output_of(tree: Path, *words: str, codes: tuple[int, ...] = (0,)) -> str:
    """Run Python on this source with nobody's settings. It is not part of the coverage."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    environment |= user_folders(tree / "home")
    folders = filter(None, [str(tree / LAUNCHER), str(tree), os.environ.get("PYTHONPATH")])
    environment |= {"PYTHONPATH": os.pathsep.join(folders), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, *words], cwd=tree, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def tree(tmp_path):
    """A copy of the source, with its byte code."""
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("images"))
    shutil.copytree(ROOT / LAUNCHER, tmp_path / LAUNCHER, symlinks=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def files_of(tree: Path) -> dict[str, bytes]:
    found = [path for name in COPIED for path in (tree / name).rglob("*") if path.is_file() and path.suffix != ".pyc"]
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
    shown = {path: text for path, kind, text in CHANGE.findall(FIRST_CHANGES) if is_shown(path, kind)}
    assert [path for path, _ in COPY.findall(FIRST_CHANGES)] == list(shown)
    assert [path for path, text in shown.items() if text not in (ROOT / path).read_text(encoding="utf-8")] == []
    for path, kind, text in CHANGE.findall(FIRST_CHANGES):
        assert kind != "diff" or changed((ROOT / path).read_text(encoding="utf-8"), text)


@pytest.mark.long
def test_a_cue_list_a_policy_and_a_label_are_added_in_the_files_that_the_page_names(tree):
    before = files_of(tree)
    changes = [change for change in CHANGE.findall(FIRST_CHANGES) if not is_shown(*change[:2])]
    copies = [(path, f"{folder}{Path(path).name}") for path, folder in COPY.findall(FIRST_CHANGES)]
    named = [*(path for path, _, _ in changes), *(path for _, path in copies)]
    assert len(named) == len(re.findall("```(json|python|diff)", FIRST_CHANGES))
    for path, new in copies:
        shutil.copy(tree / path, tree / new)
    for path, kind, text in changes:
        assert (tree / path).exists() is (kind == "diff")
        text = changed((tree / path).read_text(encoding="utf-8"), text) if kind == "diff" else text
        (tree / path).write_text(text, encoding="utf-8")
    tests = dict.fromkeys(" ".join(TEST.findall(FIRST_CHANGES)).split())
    output_of(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
    after = files_of(tree)
    assert {path for path in after if after[path] != before.get(path)} == set(named)
    assert before.keys() <= after.keys()
    sources = [path for path in named if path.endswith(".py")]
    output_of(tree, "-m", "ruff", "check", "--no-cache", *sources)
    output_of(tree, "-m", "ruff", "format", "--no-cache", "--check", *sources)
    # Under other names the demo pair is asked anything, and may go on to its limit (3).
    shutil.copy(SMALL_MODEL, tree / "small.gguf")
    shutil.copy(LARGE_MODEL, tree / "large.gguf")
    with_the_list, with_the_policy = [
        json.loads(output_of(tree, "-m", "baton_reasoning", *words, "--json", codes=(0, 3)).splitlines()[-1])
        for words in map(shlex.split, COMMAND.findall(FIRST_CHANGES))
    ]
    assert with_the_list["event"] == "trace"
    assert with_the_policy["large_share"] > 0


# The examples ---------------------------------------------------------------------------------------------------------


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
    trace = run_scripted(keywords(), ["One.</think>\n\nFour."]).trace
    assert to_text(an_answer(trace, problem="2 + 2?")) == "2 + 2?\n\nFour.\n"
