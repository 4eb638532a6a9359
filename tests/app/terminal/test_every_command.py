"""Every command keeps the conventions of a terminal. The table has a row for each; a command without one fails.

`baton doctor` reports whatever is broken, and is stopped by none of it; so does the window's own command line.
"""

import contextlib
import errno
import io
import json
import os
import re
import shlex
import shutil
import signal
import site
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

import baton_reasoning
import baton_reasoning.app.__main__ as app_main
from baton_reasoning.app.cli import main
from baton_reasoning.app.display import display_problem, qt_problem
from baton_reasoning.app.terminal.history import open_history
from baton_reasoning.app.terminal.program import PROGRAM
from baton_reasoning.app.terminal.program import baton as program
from baton_reasoning.app.terminal.streams import ExitCode, closed_pipes_named
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, SMALL_MODEL, DemoProblem
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.version import version
from tests.app.terminal.conftest import REPOSITORY, Keyboard, commands_of, program_of
from tests.core.models.hub_server import running_hub
from tests.fakes.faulty_server import FaultyServer, stream
from tests.patience import PATIENCE
from tests.systems import posix_only, user_in

PROBLEM = DemoProblem(60_836)


class Row(NamedTuple):
    """How a command is used. In the lines {answer}, {batch}, {server} and {model} stand for what there is."""

    typical: str
    wrong: Mapping[str, str]
    """What cannot be used, and what is said to it. One more is the same for all: an option that does not exist."""
    code: int = ExitCode.ANSWERED
    prints: bool = True
    """Whether it writes to standard output."""
    runs_models: bool = False
    """Takes seconds, so that closed pipes and Ctrl+C are tried by `make test-long` alone."""


OF_POSIX = {
    "x --small ~no_such_user/x --large demo": "there is no such user",
    "x --cues /dev/zero": "larger than 256 MiB",
}
ROWS = {
    "solve": Row(
        f"'{PROBLEM.question}' -n 500",
        {
            "x --small nowhere.gguf --large demo": "nowhere.gguf cannot be read",
            "x --small demo --large offise": "no file, model or server called offise",
            "x --small bartowski/Qwen-GGUF": "write hf:bartowski/Qwen-GGUF",
            "x --large https://huggingface.co/a/b/resolve/main/c.gguf": "Write hf:a/b:QUANT",
            "x -q --small demo": "--small is given, and --large is not",
            "x -q --large demo": "--large is given, and --small is not",
            "x --policy keywords --preset luck": "has no preset 'luck'. Choose one of",
            "x --set n1=0": "n1 cannot be '0': it must be greater than or equal to 1.",
            "x --set n1=few": "n1 cannot be 'few': it must be a valid integer.",
            "x --set nonsense=1": "names no setting",
            "'  '": "There is no problem",
        }
        | (OF_POSIX if os.name == "posix" else {}),
        runs_models=True,
    ),
    "batch run": Row(
        "problems.jsonl --arm small --limit 1 -o out",
        {
            "nowhere.jsonl": "nowhere.jsonl cannot be read",
            "-": "Nothing came on standard input. Pipe problems into it",
            "problems.jsonl --arm luck": "There is no arm called 'luck'",
            "problems.jsonl --grade regex": "--grade cannot be 'regex'. Choose one of auto, exact,",
            "problems.jsonl --column gold": "Write problem=NAME, answer=NAME or id=NAME.",
        },
        runs_models=True,
    ),
    "batch list": Row("", {}),
    "batch show": Row(
        "results 84894",
        {
            "nowhere 84894": "no batches whose id",
            "results 9 --arm luck": "luck",
            "{batch} 9": "The batch has no problem 9.",
        },
    ),
    "batch resume": Row("results", {"": "Missing argument", "nowhere": "holds no batch. Name the folder that"}),
    "batch report": Row("results", {"nowhere": "nowhere"}),
    "batch grade": Row("results", {"nowhere": "nowhere", "nowhere --grade none": "--grade cannot be 'none'"}),
    "batch failures": Row("results", {"nowhere": "nowhere", "results --arm luck": "luck"}),
    "batch value": Row("results --k 2 --sample 1", {"nowhere": "nowhere"}, runs_models=True),
    "demo": Row("", {"1 2": "unexpected extra argument", "99": "There is no ready problem 99"}, runs_models=True),
    "evidence": Row("--limit 2 --seeds 1 -o out", {"--cost 1": "range"}, runs_models=True),
    "servers add": Row(
        "home {server}",
        {
            "home {server} --ca nowhere.pem": "nowhere.pem cannot be read",
            "home {server} --cap-money 3": "A cap on money needs prices",
            "home {server} --prices 1,1,1 --cap-money nan": "--cap-money cannot be nan. Write a sum",
            "home {server} --prices 1,2,cheap": "--prices 1,2,cheap cannot be read",
            "home {server} --prices 1,2,3,EUR,4": "--prices 1,2,3,EUR,4 cannot be read",
            "home nowhere": "“nowhere” is not a server address. Write it as http://host:port",
            "home ''": "The address is empty. Write it as http://host:port",
            "office http://other:2": "“office” already names http://127.0.0.1",
        },
        prints=False,
    ),
    "servers list": Row("", {"--json=1": "does not take a value"}),
    "servers rm": Row("office", {"''": "There is no server ''.", "nobody": "There is no server nobody."}, prints=False),
    "servers check": Row("office", {"nobody": "There is no server nobody.", "http://": "is not a server address"}),
    "profile": Row(
        "demo --limit 1 -n 32",
        {
            "nowhere.gguf": "nowhere.gguf cannot be read",
            "demo -o trace.jsonl": "trace.jsonl exists already. Name another file, or remove it.",
            "demo --limit 1 -n 32 -q -o no/cues.json": "cannot be written",
        },
        runs_models=True,
    ),
    "serve": Row(
        "--port 0",
        {
            "--host 0.0.0.0": "no API key is set",
            "--serve-key-env NO_SUCH_KEY": "NO_SUCH_KEY is not set",
            "--policy drafted --parallel 2 -q": "since they are loaded for parallel requests",
            "--allow-origin evil": "is not an origin",
        },
        ExitCode.STOPPED,
        prints=False,
        runs_models=True,
    ),
    "models list": Row("", {}),
    "models pairs": Row("", {"--context 1": "range"}),
    "models search": Row("tiny", {}),
    "models get": Row("hf:{repository}", {"nowhere.gguf": "names no model of the Hub"}),
    "models rm": Row("{model} -y --for-good", {"nowhere.gguf -y": "not among the models"}, prints=False),
    "history list": Row("", {"--limit 0": "range"}),
    "history show": Row("{answer}", {"nothing": "no entries whose id begins with nothing"}),
    "history search": Row("even", {}),
    "history export": Row(
        "{answer} answer.md",
        {
            "{answer} answer.pdf": "answer.pdf names no format for the answer. End it in .json",
            "{answer} nowhere/answer.md": "cannot be written: No such file",
        },
        prints=False,
    ),
    "history deleted": Row("", {}),
    "history restore": Row("{deleted}", {"nothing": "no deleted entries whose id begins with nothing"}, prints=False),
    "history rm": Row("{batch} -y", {"'' -y": "The id is empty.", "{answer}": "Nobody can be asked"}, prints=False),
    "doctor": Row("", {}),
    "policies": Row("", {}),
    "settings": Row("n1", {"nonsense": "There is no setting called nonsense"}),
    "completion": Row("bash", {"tcsh": "'tcsh'"}),
    "opinion": Row("trace.jsonl", {"results/report.md": "Line 1 of the trace is not JSON"}, runs_models=True),
    "value": Row("trace.jsonl --k 2", {"nowhere.jsonl": "nowhere.jsonl cannot be read"}, runs_models=True),
}
PATHS = [" ".join(path) for path, _ in commands_of(program)]
GROUPS = {path.partition(" ")[0] for path in PATHS if " " in path}


PRINTING = {name: row for name, row in ROWS.items() if row.prints}
ENDING = {name: row for name, row in ROWS.items() if name != "serve"}
"""Those that end without being stopped."""


def per_row(rows: Mapping[str, Row], quick_only: bool = False):
    """Runs a test for each row; `quick_only`: outside `make test-long` only for rows that run no models."""
    long = pytest.mark.long
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=long if quick_only and row.runs_models else ()) for name, row in rows.items()]
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with an answer and a batch in its history, their files, and a model."""
    folder = tmp_path_factory.mktemp("home")
    lines = BATCH_PROBLEMS.read_text(encoding="utf-8").splitlines()[:2]
    (folder / "problems.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        models = live_in(folder, patch).models
        models.mkdir(parents=True)
        shutil.copy(SMALL_MODEL, models)
        (folder / "trace.jsonl").write_text(output_of("solve", PROBLEM.question, "--json"), encoding="utf-8")
        output_of("batch", "run", "problems.jsonl", "--arm", "small", "--arm", "baton", "-o", "results")
        with open_history() as store:
            store.conversations.put("gone", Exchange("?", id="e")).result()
            store.conversations.delete("gone")
    return folder


@pytest.fixture(scope="module")
def services():
    """A Hub and a server."""
    with running_hub() as hub, FaultyServer(stream()) as server:
        hub.files[REPOSITORY] = {"demo-Q4_K_M.gguf": SMALL_MODEL.read_bytes()}
        yield {"hub": hub.endpoint, "server": server.url, "repository": REPOSITORY}


@pytest.fixture
def line(home, services, tmp_path, monkeypatch):
    """Makes the arguments of a line of the table, in a copy of that folder."""
    folder = Path(shutil.copytree(home, tmp_path / "home"))
    models = live_in(folder, monkeypatch).models
    monkeypatch.setenv("HF_ENDPOINT", services["hub"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    output_of("servers", "add", "office", services["server"])
    entries = [json.loads(each) for each in output_of("history", "list", "--json").splitlines()]
    values = {**services, "model": (models / SMALL_MODEL.name).as_posix()}
    values |= {entry["kind"]: entry["id"][:8] for entry in entries} | {"deleted": "gone"}
    return lambda name, arguments: [*name.split(), *shlex.split(arguments.format_map(values))]


def live_in(folder: Path, patch: pytest.MonkeyPatch) -> Paths:
    patch.chdir(folder)
    return user_in(folder, patch)


def output_of(*arguments: str) -> str:
    written = io.StringIO()
    with contextlib.redirect_stdout(written), contextlib.redirect_stderr(io.StringIO()):
        assert main(arguments) == 0
    return written.getvalue()


def test_every_command_has_a_row():
    assert set(ROWS) == set(PATHS) - GROUPS


@pytest.mark.parametrize("path", ["", *PATHS])
def test_help_fits_on_a_screen_of_80_columns_and_40_lines(path, say):
    lines = say(*path.split(), "--help", COLUMNS="80")
    assert lines[0].startswith(f"Usage: {PROGRAM} {path}".rstrip())
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 40
    if path in ("", *GROUPS):
        assert say(*path.split(), COLUMNS="80") == lines


@pytest.mark.slow
@per_row(ROWS)
def test_wrong_use_is_one_sentence_and_code_2(name, line, baton):
    for arguments, said in {"--no-such-option": "No such option", **ROWS[name].wrong}.items():
        done = baton(*line(name, arguments))
        assert (done.returncode, done.stdout) == (ExitCode.USAGE, ""), arguments
        (sentence,) = done.stderr.splitlines()
        assert sentence.startswith(PROGRAM)
        assert said in sentence
        assert "went wrong" not in sentence
        assert sentence.endswith((".", "?")), sentence


@pytest.mark.parametrize(("wrong", "meant"), [("history shwo", "'show'"), ("solve x --max-token 5", "--max-tokens")])
def test_what_was_meant_is_suggested(wrong, meant, refused):
    assert re.search(rf"Did you mean .*{meant}.*\?", refused(*wrong.split()))


@pytest.mark.slow
@per_row(ENDING)
def test_typical_use_in_a_pipe_has_neither_escapes_nor_progress(name, line, baton):
    row = ROWS[name]
    done = baton(*line(name, row.typical))
    assert done.returncode == row.code, done.stderr
    assert bool(done.stdout) is row.prints
    assert not {"\033", "\r"} & set(done.stdout + done.stderr)
    assert not re.search(r"(Loading|Downloading|Writing|Batch|Solving).*%", done.stderr)


@pytest.mark.slow
@per_row(PRINTING, quick_only=True)
def test_a_closed_pipe_ends_it_without_a_word(name, line, monkeypatch, capsys):
    row = ROWS[name]
    arguments = line(name, row.typical)
    capsys.readouterr()
    with closed_pipe() as pipe, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", pipe)
        assert main(arguments) == ExitCode.CLOSED_PIPE
        sys.stdout.close()  # what has taken the place of the pipe
    assert "Traceback" not in capsys.readouterr().err


def test_a_closed_pipe_of_windows_ends_it_without_a_word(monkeypatch, capsys):
    class PipeOfWindows(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EINVAL, "Invalid argument")

    assert main(["settings"]) == ExitCode.ANSWERED  # all that it imports is imported for this system
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        patch.setattr(sys, "stdout", PipeOfWindows())
        assert main(["settings"]) == ExitCode.CLOSED_PIPE
    assert capsys.readouterr().err == ""


def test_a_name_that_windows_forbids_is_no_closed_pipe(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(OSError, match="Invalid argument") as raised, closed_pipes_named():
        raise OSError(errno.EINVAL, "Invalid argument", "a?b")
    assert raised.type is OSError


@pytest.mark.parametrize(
    ("platform", "chosen", "used"),
    [
        ("win32", {}, "utf-8"),
        ("win32", {"PYTHONIOENCODING": "cp1252"}, "cp1252"),
        ("win32", {"PYTHONUTF8": "0"}, "cp1252"),
        ("linux", {}, "cp1252"),
    ],
)
def test_redirected_text_is_utf_8_on_windows_unless_another_encoding_was_chosen(
    platform, chosen, used, monkeypatch, capsys
):
    assert main(["settings"]) == ExitCode.ANSWERED  # all that it imports is imported for this system
    assert "τ" in capsys.readouterr().out
    for name in ("PYTHONIOENCODING", "PYTHONUTF8"):
        monkeypatch.delenv(name, raising=False)
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    written = io.BytesIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", platform)
        patch.setattr(sys, "stdout", io.TextIOWrapper(written, "cp1252"))
        assert main(["settings"]) == ExitCode.ANSWERED
        text = written.getvalue().decode(used)
    assert ("τ" in text) is (used == "utf-8")


@pytest.mark.parametrize(
    ("platform", "key"), [("win32", "Ctrl+Z and Enter"), ("linux", "Ctrl+D"), ("darwin", "Ctrl+D")]
)
def test_who_types_a_problem_is_told_the_key_that_ends_it_here(platform, key, monkeypatch, baton):
    monkeypatch.setattr(sys, "stdin", Keyboard(""))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", platform)
        assert key in baton("solve", "-").stderr


@contextlib.contextmanager
def closed_pipe():
    """Standard output whose reader has gone."""
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", encoding="utf-8", closefd=False) as stream:
        yield stream
        with contextlib.closing(os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")) as nowhere:
            os.dup2(nowhere.fileno(), write)  # what is left in the stream goes there
    os.close(write)


@pytest.mark.slow
@per_row(ROWS, quick_only=True)
def test_control_c_at_its_first_word_ends_it_with_code_130(name, line, monkeypatch):
    arguments = line(name, ROWS[name].typical)
    output = InterruptedOutput()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        patch.setattr(sys, "stderr", output)
        code = main(arguments)
    assert code == (ExitCode.STOPPED if output.getvalue() else ROWS[name].code), output.getvalue()
    assert "Traceback" not in output.getvalue()


class InterruptedOutput(io.StringIO):
    """Somebody presses Ctrl+C when the first word appears here."""

    def __init__(self) -> None:
        super().__init__()
        self._is_pressed = False

    def write(self, text: str) -> int:
        written = super().write(text)
        if text.strip() and not self._is_pressed:
            self._is_pressed = True
            signal.raise_signal(signal.SIGINT)
        return written


@pytest.mark.slow
def test_a_real_process_ends_silently_on_a_closed_pipe():
    with closed_pipe() as pipe:
        command = [sys.executable, "-m", "baton_reasoning.app.cli", "settings"]
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, encoding="utf-8", timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (ExitCode.CLOSED_PIPE, "")


# `baton doctor` -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_configuration_that_is_broken_or_missing_is_named_and_a_wrong_value_is_ignored(config, baton):
    config.write_text("quiet = 'x'\n", encoding="utf-8")
    done = baton("doctor", "--json")
    assert done.returncode == 0
    subjects = [json.loads(line)["subject"] for line in done.stdout.splitlines()]
    assert (subjects[0], subjects[-1]) == ("Versions", "Window")
    config.write_text("max tokens", encoding="utf-8")
    broken = baton("doctor")
    config.unlink()
    for done in (broken, baton("--config", str(config), "doctor")):
        assert done.returncode == 1
        assert re.match("✗ Configuration: .*config.toml cannot be read", done.stdout)
        assert "✓ Versions" in done.stdout
        assert "could not be checked" not in done.stdout


@pytest.mark.slow
@posix_only("links without a permission")
def test_missing_packages_are_named(tmp_path):
    """In a process that finds all packages but these: it starts without site-packages, and has links instead."""
    for path in Path(site.getsitepackages()[0]).iterdir():
        if not path.name.startswith(("llama_cpp", "PySide6", "keyring")):
            (tmp_path / path.name).symlink_to(path)
    package = Path(str(baton_reasoning.__file__)).parents[1]  # an editable installation is found by site-packages alone
    search_path = [folder for folder in (*sys.path, str(tmp_path), str(package)) if "site-packages" not in folder]
    done = program_of("-S", "-m", "baton_reasoning.app.cli", "doctor", PYTHONPATH=os.pathsep.join(search_path))
    assert (done.returncode, done.stderr) == (1, "")
    assert "✗ llama.cpp: cannot be loaded: ModuleNotFoundError: No module named 'llama_cpp'" in done.stdout
    assert "! Keyring: cannot be used: ModuleNotFoundError: No module named 'keyring'" in done.stdout
    assert "! Window: Qt cannot be loaded: ModuleNotFoundError: No module named 'PySide6'" in done.stdout


def test_a_library_that_qt_needs_is_named(tmp_path, monkeypatch):
    (tmp_path / "PySide6").mkdir()
    (tmp_path / "PySide6" / "QtWidgets.py").write_text("raise ImportError('libEGL.so.1: not found')", encoding="utf-8")
    (tmp_path / "PySide6" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert qt_problem() == "ImportError: libEGL.so.1: not found"


# Versions, and the window's own command line --------------------------------------------------------------------------


@pytest.mark.slow
def test_every_program_says_its_version_and_wrong_usage_of_the_window_is_a_sentence(baton):
    window = ("-m", "baton_reasoning.app")
    for done in (baton("--version"), baton("-V"), program_of(*window, "--version")):
        assert (done.returncode, f"Baton {version()} (llama-cpp-python " in done.stdout) == (0, True)
    done = program_of(*window, "--version=x")
    assert (done.returncode, done.stderr.startswith("baton-window: ")) == (2, True)


def test_a_window_that_is_interrupted_in_its_terminal_ends_with_130(monkeypatch):
    def interrupted(qt_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(app_main, "display_problem", lambda: "")
    monkeypatch.setattr(app_main, "open_window", interrupted)
    assert app_main.main([]) == 130


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
    assert said in found
    assert bool(found) is bool(said)
