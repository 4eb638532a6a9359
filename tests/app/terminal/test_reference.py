"""The reference that `make reference` writes: every command, every option, every setting and every key."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

import reference
from baton_reasoning.app.cli import main
from baton_reasoning.app.terminal.exit_codes import MEANINGS, ExitCode
from baton_reasoning.app.terminal.program import COMMANDS
from baton_reasoning.app.terminal.settings_list import all_settings


def test_every_command_is_there_with_the_options_that_its_help_lists(capsys: pytest.CaptureFixture[str]) -> None:
    found = set()
    for section in reference.commands():
        _, *command = re.findall(r"(?:^| )([a-z]+)", section.title)
        found.add(command[0])
        assert main([*command, "--help"]) == 0
        listed = re.findall(r"^  (?:-\w+, )*(--[\w-]+)", capsys.readouterr().out, re.MULTILINE)
        listed.remove("--help")
        assert [re.findall(r"--[\w-]+", name)[0] for name, _ in section.rows] == listed, section.title
    assert found == set(COMMANDS)


def test_every_setting_and_the_keys_of_the_window_are_there() -> None:
    written = reference.markdown()
    for setting in all_settings():
        assert f"| `{setting.name}` | {setting.title}" in written
    assert "| `Ctrl+N` | New conversation |" in written


def test_the_manual_page_has_every_command_and_no_line_that_troff_would_take_for_a_request() -> None:
    page = reference.manual()
    for section in reference.commands():
        assert f'.SS "{section.title}"' in page
    requests = {".TH", ".SH", ".SS", ".TP", ".PP", ".nf", ".fi"}
    assert set(re.findall(r"^[.'].*?(?= |$)", page, re.MULTILINE)) == requests
    for code in ExitCode:
        assert f"\\fB{code.value}\\fR\n{MEANINGS[code][:4]}" in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_has_nothing_to_complain_about() -> None:
    page = reference.manual()
    done = subprocess.run(["groff", "-man", "-ww", "-z"], input=page, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert page.isascii()
