"""Child processes: how they start, and what becomes of a question to one: an answer, an error, or none in time."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing import connection
from pathlib import Path
from unittest.mock import Mock, call

import psutil
import pytest

from baton_reasoning.core import child_process
from baton_reasoning.core.child_process import (
    Child,
    NoAnswer,
    TimedOut,
    TimeLimit,
    run_in_subprocess,
    says_something,
    start_shielded,
)
from baton_reasoning.core.errors import SettingsError
from tests.fakes.early_death import DiesWhenUnpickled, untaken_ends_stay_open
from tests.patience import PATIENCE
from tests.systems import posix_only


def larger(number):
    return number + 1


def refused():
    raise SettingsError("It will not.", "Ask for something else.")


def died():
    os._exit(3)


def never():
    threading.Event().wait()


def pid_or_nothing(question):
    """Answer every question but `never`."""
    if question == b"never":
        never()
    return str(os.getpid()).encode()


SPAWN = multiprocessing.get_context("spawn")
UNHURRIED = TimeLimit(PATIENCE)


@pytest.fixture
def child():
    child = Child(pid_or_nothing)
    yield child
    child.kill()


def test_a_question_to_a_process_of_its_own_ends_with_an_answer_an_error_in_words_or_none():
    assert run_in_subprocess(larger, 4, seconds=PATIENCE) == 5
    with pytest.raises(SettingsError, match="Ask for something else"):
        run_in_subprocess(refused, seconds=PATIENCE)
    with pytest.raises(NoAnswer, match="no answer within"):
        run_in_subprocess(never, seconds=0.1)
    with pytest.raises(NoAnswer, match="the process ended"):
        run_in_subprocess(died, seconds=PATIENCE)


def test_a_process_that_was_killed_or_reached_its_time_limit_is_replaced_at_the_next_question(child):
    first = child.ask(b"", UNHURRIED)
    psutil.Process(int(first)).terminate()
    second = child.ask(b"", UNHURRIED)
    assert second != first
    limit = TimeLimit(0.1)
    for _ in range(2):
        with pytest.raises(TimedOut):
            child.ask(b"never", limit)
    assert child.pid is None
    assert child.ask(b"", UNHURRIED) != second


def test_nobody_waits_for_a_process_that_died_before_it_took_its_end_of_the_pipe(child, monkeypatch):
    monkeypatch.setattr(child_process, "_serve", DiesWhenUnpickled())
    with untaken_ends_stay_open(), pytest.raises(NoAnswer, match="the process ended"):
        child.ask(b"", UNHURRIED)


def test_a_signal_that_ends_a_wait_on_windows_does_not_end_the_question(child, monkeypatch):
    wait, interruptions = connection.wait, [InterruptedError] * 2

    def interrupted(*arguments):
        if interruptions:
            raise interruptions.pop()
        return wait(*arguments)

    monkeypatch.setattr(connection, "wait", interrupted)
    assert int(child.ask(b"", UNHURRIED)) == child.pid


def say_and_end(pipe):
    pipe.send_bytes(b"last words")


def test_what_a_process_said_before_its_end_is_still_read():
    with untaken_ends_stay_open():
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=say_and_end, args=(theirs,))
        process.start()
        process.join()
        with ours, theirs:
            assert says_something(ours, process, PATIENCE)
            assert ours.recv_bytes() == b"last words"


def test_the_process_ends_without_a_word_when_the_program_is_killed(capfd):
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=child_process._serve, args=(theirs, pid_or_nothing, None, 0))
    process.start()
    theirs.close()
    ours.close()  # before it has said that it is ready
    process.join()
    assert process.exitcode == 0
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the signals that a process blocks are not readable")
def test_ctrl_c_and_a_closed_terminal_do_not_reach_a_child_from_its_first_instruction_on():
    process = SPAWN.Process(target=never, daemon=True)
    start_shielded(process)
    try:
        status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    finally:
        process.kill()
        process.join()
    blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
    assert all(blocked & 1 << signal.Signals[name] - 1 for name in ("SIGINT", "SIGHUP"))


def test_on_windows_a_child_inherits_that_ctrl_c_is_ignored_and_this_program_hears_it_again(monkeypatch):
    happened = Mock()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "windll", Mock(kernel32=happened), raising=False)
    happened.start.side_effect = [None, OSError]
    start_shielded(happened)
    with pytest.raises(OSError):  # noqa: PT011 - which one, makes no difference
        start_shielded(happened)
    ignored, heard = call.SetConsoleCtrlHandler(None, True), call.SetConsoleCtrlHandler(None, False)
    assert happened.mock_calls == [ignored, call.start(), heard] * 2


def interrupt_this_thread():
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)


class InterruptedProcess(SPAWN.Process):  # type: ignore[misc, name-defined]
    """A child during whose start Ctrl+C reaches another thread of the program, which does not block it."""

    start_returned = False

    def start(self) -> None:
        super().start()
        sender = threading.Thread(target=interrupt_this_thread)
        sender.start()
        sender.join()
        self.start_returned = True


@posix_only("a signal for one thread")
def test_ctrl_c_during_a_start_is_handled_after_it_and_leaves_a_child_that_its_owner_knows():
    child = InterruptedProcess(target=never, daemon=True)
    with pytest.raises(KeyboardInterrupt):
        start_shielded(child)
    assert child.start_returned
    child.kill()
    child.join()
    child.close()
