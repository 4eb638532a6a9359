"""docs/terminal.md says what the program takes: every command, every option, every name of --set."""

from __future__ import annotations

import re

import pytest

from app.cli import main
from app.terminal.reference import PAGE, with_reference


def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_reference_is_as_the_program_is() -> None:
    assert page() == with_reference(page()), "run python -m app.terminal.reference"


def test_every_command_of_the_page_explains_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    sections = re.findall(r"^### baton ([a-z ]+?)(?: [A-Z\[][^\n]*)?\n(.*?)(?=^#|\Z)", page(), re.MULTILINE | re.DOTALL)
    assert len(sections) > 15
    for command, text in sections:
        assert main([*command.split(), "--help"]) == 0
        explained = capsys.readouterr().out
        documented = set(re.findall(r"`(--?[a-z][\w-]*)`", "\n".join(re.findall(r"^\| `.*$", text, re.MULTILINE))))
        offered = set(re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)(?=[,\s])", explained)) & documented
        assert documented == offered, command


def test_commands_in_the_text_exist(capsys: pytest.CaptureFixture[str]) -> None:
    commands = set(re.findall(r"^(?:echo .* \| )?baton ([a-z]+)", page(), re.MULTILINE))
    assert {"solve", "batch", "models", "history", "doctor"} <= commands
    for command in commands:
        assert main([command, "--help"]) == 0
    capsys.readouterr()
