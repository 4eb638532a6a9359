"""Whatever the streams are connected to, and however odd the input: a sentence and an exit code, never a traceback."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys

import click
import pytest
from rich.console import Console
from rich.progress import Progress

from baton_reasoning.app.cli import main
from baton_reasoning.app.terminal.command_line import LazyCommand, command
from baton_reasoning.app.terminal.output import ProgressLine, write, write_parts, write_table
from baton_reasoning.app.terminal.program import baton as program
from baton_reasoning.app.terminal.streams import report, write_json
from baton_reasoning.core.table import Column, Table, columns_of
from tests.app.terminal.conftest import DEMO
from tests.app.terminal.terminal import Terminal
from tests.fakes.faulty_server import FaultyServer, error
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

BATON = f"'{sys.executable}' -m baton_reasoning"


def shell(line: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["bash", "-c", line], capture_output=True, timeout=PATIENCE)


def encoded(monkeypatch: pytest.MonkeyPatch, encoding: str) -> io.BytesIO:
    """Replaces standard output by one of this encoding; returns the bytes that it gets."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    return written


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_in_any_encoding_keeps_the_authors_apart(encoding, monkeypatch):
    written = encoded(monkeypatch, encoding)
    assert main(["demo"]) == 0
    text = written.getvalue().decode(encoding)
    assert "\n* " in text
    assert "\n# " in text
    assert re.search(r"small alone .+ [x+] ", text)


def test_json_in_ascii_loses_nothing(monkeypatch):
    written = encoded(monkeypatch, "ascii")
    assert main(["solve", "Größe 漢", *DEMO, "--policy", "never", "-n", "3", "--json"]) == 3
    first = json.loads(written.getvalue().splitlines()[0])
    assert first["conversation"][0]["content"].startswith("Größe 漢")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (f"{BATON} --help >/dev/full", 1, "No space left on device"),
        (f"{BATON} --help >&-", 2, "Standard output is closed"),
        (f"{BATON} solve - <&-", 2, "Standard input is closed"),
    ],
)
def test_odd_streams_are_a_sentence(line, code, said):
    done = shell(line)
    words = done.stderr.decode()
    assert done.returncode == code, words
    assert said in words
    assert "Traceback" not in words
    assert "unexpected" not in words


@pytest.mark.parametrize("proxy", ["socks9://x", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_a_sentence(proxy, tmp_path, baton, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert baton("servers", "add", "office", "http://127.0.0.1:9", "--proxy", proxy).returncode == 0
    done = baton("servers", "check", "office")
    assert (done.returncode, "The proxy for 127.0.0.1:9 cannot be used" in done.stderr) == (1, True)
    done = baton("servers", "check", "https://192.0.2.1", HTTPS_PROXY=proxy)
    assert (done.returncode, "The proxy for 192.0.2.1 cannot be used" in done.stderr) == (1, True)


def test_input_that_is_not_text_is_refused(monkeypatch, baton):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x80"), "ascii"))
    done = baton("solve", "-")
    assert (done.returncode, "not text in UTF-8" in done.stderr) == (2, True)


def test_closed_standard_error_is_no_obstacle():
    assert shell(f"{BATON} no-such-command 2>&-").returncode == 2


def test_bytes_that_are_not_text_are_a_problem_like_any_other(baton):
    assert baton("solve", os.fsdecode(b"a\x80b"), *DEMO, "--policy", "never", "-n", "3").returncode == 3


def test_a_dumb_terminal_gets_no_escapes():
    with Terminal("solve", "1+1?", *DEMO, "--policy", "never", "-n", "5", environment={"TERM": "dumb"}) as terminal:
        assert terminal.exit_code() == 3
        assert "●" in terminal.screen
        assert "\x1b" not in terminal.screen


@pytest.mark.parametrize(("no_color", "is_coloured"), [("", True), ("1", False)])
def test_force_color_colours_a_pipe_unless_no_color_is_set_and_not_empty(no_color, is_coloured, baton):
    colours = {"FORCE_COLOR": "1", "NO_COLOR": no_color, "TERM": "xterm-256color"}
    done = baton("solve", "1+1?", *DEMO, "--policy", "never", "-n", "5", "--steps", **colours)
    assert ("\x1b[38;5;33m" in done.stdout) is is_coloured


def test_an_error_message_of_a_server_is_bounded_and_cannot_steer_the_terminal(baton):
    attack = "\x1b]52;c;cm0gLXJm\x07" * 200_000
    with FaultyServer(error(400, attack)) as server:
        done = baton("solve", "x", "--large", server.url, "--small", server.url)
    assert done.returncode == 1
    assert "]52;c;cm0gLXJm" in done.stderr, "what the server says is shown"
    assert "\x1b" not in done.stderr + done.stdout
    assert len(done.stderr + done.stdout) < 10_000


def test_every_line_on_standard_error_is_bounded_and_cannot_steer_the_terminal(capsys):
    report("\x1b]0;title\x07" * 1_000_000)
    said = capsys.readouterr().err
    assert said.startswith("baton: ␛]0;title␇␛")
    assert len(said) < 3_000


def test_everything_that_commands_print_cannot_steer_the_terminal(capsys, monkeypatch):
    attack = "\x9b2J\x1b]52;c;x\x07\u202e"
    write(attack)
    write_table(Table("", (Column("model"), Column(attack)), (("a", attack),)))
    write_json({"name": attack})
    monkeypatch.setenv("FORCE_COLOR", "1")
    write_table(Table("", (Column("a model in a terminal"),), ((attack,),)))
    out = io.StringIO()
    with Progress(console=Console(file=out, force_terminal=True, width=200)) as live:
        ProgressLine("Loading", live).remark(attack)
    said = capsys.readouterr().out + out.getvalue()
    assert said.count("]52;c;x") == 6
    assert not {"\x9b", "\x07", "\u202e"} & set(said)
    assert "\x1b]" not in said


def test_a_terminal_wraps_paragraphs_and_cells_and_a_pipe_gets_lines(capsys, monkeypatch):
    words, name = "right " * 30, "x" * 100
    parts = (words, Table("Arms", columns_of(("policy", "right")), ((name, "1"),), (words,)))
    write_parts(parts)
    head = f"{'policy':100}  right"
    assert capsys.readouterr().out.splitlines() == [words, "", "Arms", head, f"{name}      1", words]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    write_parts(parts)
    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 40
    assert "".join(lines).count("x") == 100
    assert " ".join(lines).split().count("right") == 61


def test_an_unexpected_error_is_a_sentence_that_says_how_to_report_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "baton_reasoning.app.terminal.broken", sys.modules[__name__])
    monkeypatch.setitem(program.commands, "broken", LazyCommand("broken", "broken:broken", "Fails."))
    assert main(["broken"]) == 1
    (sentence,) = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError" in sentence
    assert "report it" in sentence
    monkeypatch.setenv("BATON_DEBUG", "1")
    assert main(["broken"]) == 1
    assert "Traceback" in capsys.readouterr().err


@command("broken")
@click.option("--number", default=0)
def broken(number: int) -> int:
    return 1 // number
