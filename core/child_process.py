"""Child processes: started out of reach of Ctrl+C, and asked questions that may hang or take all memory."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from core.errors import BatonError

Answer = TypeVar("Answer")


def start_shielded(process: BaseProcess) -> None:
    """Start a child that Ctrl+C and a closed terminal do not reach, from its first instruction on.

    The terminal sends both to the whole process group; the program answers them and ends its children. Without this a
    child that is still importing would print a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        process.start()
        return
    resource_tracker.ensure_running()  # its start would unblock SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class NoAnswer(Exception):
    """The process died, or did not answer in time."""


def answered_apart(question: Callable[..., Answer], *arguments: Any, seconds: float) -> Answer:
    """What `question`, a function at the top of a module, returns; its start takes a quarter of a second.

    Raises what `question` raises of BatonErrors, and NoAnswer.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, question, arguments), daemon=True)
    start_shielded(process)
    theirs.close()  # only the process may hold its end, or its death would not be seen here
    try:
        if not ours.poll(seconds):
            raise NoAnswer(f"there was no answer within {seconds:g} seconds")
        answer = ours.recv()
    except EOFError as error:
        raise NoAnswer("the process ended") from error
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()
    if isinstance(answer, BatonError):
        raise answer
    return answer  # type: ignore[no-any-return]


def _answer(connection: Connection, question: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        answer = question(*arguments)
    except BatonError as error:
        answer = error
    connection.send(answer)
