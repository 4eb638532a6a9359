"""The machine stays awake during a block, as each system is asked for it."""

import ctypes
import os
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from baton_reasoning.core import awake
from baton_reasoning.core.awake import CONTINUOUS, SYSTEM_REQUIRED, kept_awake


def on(platform, monkeypatch):
    monkeypatch.setattr(awake, "sys", SimpleNamespace(platform=platform))


def test_windows_is_asked_and_the_request_is_taken_back_after_an_error(monkeypatch):
    asked: list[int] = []
    kernel = SimpleNamespace(SetThreadExecutionState=asked.append)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    on("win32", monkeypatch)
    with pytest.raises(ZeroDivisionError), kept_awake():
        asked.append(1 // 0)
    assert asked == [CONTINUOUS | SYSTEM_REQUIRED, CONTINUOUS]


def test_a_mac_has_caffeinate_which_ends_with_the_block_or_with_the_program(monkeypatch):
    start = Mock()
    monkeypatch.setattr("subprocess.Popen", start)
    on("darwin", monkeypatch)
    with kept_awake():
        (command,) = start.call_args.args
        assert command == ["/usr/bin/caffeinate", "-i", "-w", str(os.getpid())]
        assert not start.return_value.kill.called
    assert [call[0] for call in start.return_value.method_calls] == ["kill", "wait"]


def test_where_the_system_cannot_be_asked_the_block_runs_all_the_same(monkeypatch):
    monkeypatch.setattr("subprocess.Popen", Mock(side_effect=FileNotFoundError))
    for platform in ("darwin", "linux"):
        on(platform, monkeypatch)
        with kept_awake():
            pass
