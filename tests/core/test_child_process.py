"""Child processes: how they start, and what becomes of a question to one: an answer, an error, or none in time."""

import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest

from baton_reasoning.core import child_process
from baton_reasoning.core.child_process import (
    Child,
    NoAnswer,
    TimedOut,
    TimeLimit,
    run_in_subprocess,
    start_shielded,
)
from baton_reasoning.core.errors import SettingsError
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


A_MINUTE = TimeLimit(60)


@pytest.fixture
def child():
    child = Child(pid_or_nothing)
    yield child
    child.kill()


def test_a_question_to_a_process_of_its_own_ends_with_an_answer_an_error_in_words_or_none():
    assert run_in_subprocess(larger, 4, seconds=60) == 5
    with pytest.raises(SettingsError, match="Ask for something else"):
        run_in_subprocess(refused, seconds=60)
    with pytest.raises(NoAnswer, match="no answer within"):
        run_in_subprocess(never, seconds=0.1)
    with pytest.raises(NoAnswer, match="the process ended"):
        run_in_subprocess(died, seconds=60)


def test_a_process_that_was_killed_or_reached_its_time_limit_is_replaced_at_the_next_question(child):
    first = child.ask(b"", A_MINUTE)
    psutil.Process(int(first)).terminate()
    second = child.ask(b"", A_MINUTE)
    assert second != first
    limit = TimeLimit(0.1)
    for _ in range(2):
        with pytest.raises(TimedOut):
            child.ask(b"never", limit)
    assert child.pid is None
    assert child.ask(b"", A_MINUTE) != second


def test_the_process_ends_without_a_word_when_the_program_is_killed(capfd):
    """As when a pipe is reset with an answer unread in it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=child_process._serve, args=(theirs, pid_or_nothing, None, 0))
    process.start()
    theirs.close()
    ours.close()  # before it has said that it is ready
    process.join()
    assert process.exitcode == 0
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the signals that a process blocks are not readable")
def test_ctrl_c_and_a_closed_terminal_do_not_reach_a_child_from_its_first_instruction_on():
    process = multiprocessing.get_context("spawn").Process(target=never, daemon=True)
    start_shielded(process)
    try:
        status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    finally:
        process.kill()
        process.join()
    blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
    assert all(blocked & 1 << signal.Signals[name] - 1 for name in ("SIGINT", "SIGHUP"))


def interrupt_this_thread():
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)


class InterruptedProcess(multiprocessing.get_context("spawn").Process):  # type: ignore[misc]
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
