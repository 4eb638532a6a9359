"""A program is recognised by its number and its start, whatever happens to the clock."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from baton_reasoning.core.store.process_identity import is_alive, this_process


def test_this_program_is_alive_and_one_that_ended_is_not() -> None:
    code = "from baton_reasoning.core.store.process_identity import this_process; print(this_process())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert is_alive(this_process())
    assert not is_alive(ended)
    assert not is_alive("")


def test_a_number_that_was_given_out_again_is_another_program() -> None:
    number, _, born = this_process().partition("@")
    assert not is_alive(f"{number}@{born[:-1]}{(int(born[-1]) + 1) % 10}")


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux has the start in ticks since boot")
def test_setting_the_clock_does_not_make_a_live_program_look_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil adds the ticks to the boot time, which moves when the clock is set."""
    before = this_process()
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: 0.0)
    assert is_alive(before)
