"""Child processes: how they are started, and a question in one of them: its answer, its error, or no answer in time."""

import multiprocessing
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from baton_reasoning.core.child_process import NoAnswer, answered_apart, signals_held, start_shielded
from baton_reasoning.core.errors import SettingsError


def larger(number: int) -> int:
    return number + 1


def refused() -> None:
    raise SettingsError("It will not.", "Ask for something else.")


def died() -> None:
    os._exit(3)


def never() -> None:
    threading.Event().wait()


def test_the_answer_comes_back_and_so_does_an_error_in_words() -> None:
    assert answered_apart(larger, 4, seconds=60) == 5
    with pytest.raises(SettingsError, match="Ask for something else"):
        answered_apart(refused, seconds=60)


def test_a_process_that_dies_is_no_answer_and_a_question_without_an_end_is_given_up() -> None:
    with pytest.raises(NoAnswer, match="no answer within"):
        answered_apart(never, seconds=0.1)
    with pytest.raises(NoAnswer, match="the process ended"):
        answered_apart(died, seconds=60)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the signals that a process blocks are not readable")
def test_ctrl_c_and_a_closed_terminal_do_not_reach_a_child_from_its_first_instruction_on() -> None:
    process = multiprocessing.get_context("spawn").Process(target=never, daemon=True)
    start_shielded(process)
    try:
        status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    finally:
        process.kill()
        process.join()
    blocked = int(status.partition("SigBlk:")[2].split()[0], 16)
    assert all(blocked & 1 << number - 1 for number in (signal.SIGINT, signal.SIGHUP))


def test_ctrl_c_is_handled_at_the_end_of_the_block_that_holds_it() -> None:
    reached = []

    def interrupted() -> None:
        with signals_held():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert reached == ["the end"]


class InterruptedProcess(multiprocessing.get_context("spawn").Process):  # type: ignore[misc]
    """A child during whose start Ctrl+C reaches another thread of the program, which does not block it."""

    start_returned = False

    def start(self) -> None:
        super().start()
        sender = threading.Thread(target=_interrupt_this_thread)
        sender.start()
        sender.join()
        self.start_returned = True


def _interrupt_this_thread() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)


def test_ctrl_c_during_a_start_leaves_a_child_that_its_owner_knows() -> None:
    child = InterruptedProcess(target=never, daemon=True)
    with pytest.raises(KeyboardInterrupt):
        start_shielded(child)
    assert child.start_returned
    child.kill()
    child.join()
    child.close()
