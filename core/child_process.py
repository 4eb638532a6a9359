"""Starts child processes without the environment's secrets and out of reach of Ctrl+C, and kills those that hang."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from baton_reasoning.core.errors import BatonError

Answer = TypeVar("Answer")


_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_HELD = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
environment_lock = threading.Lock()
"""Held while a secret is read or removed."""


@contextmanager
def _environment_of_a_child(variables: Mapping[str, str]) -> Iterator[None]:
    """Set `variables` and remove those whose names say that they hold a key, a token or a password, meanwhile.

    The child inherits the environment, which can be read in /proc. Read secrets with `environment_secret`, which waits
    for the end of this.
    """
    with environment_lock:
        before = {name: os.environ.pop(name) for name in list(os.environ) if _SECRET_NAME.search(name)}
        before |= {name: os.environ[name] for name in variables if name in os.environ}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name in variables:
                del os.environ[name]
            os.environ.update(before)


def environment_secret(name: str) -> str | None:
    """Read a variable such as HF_TOKEN; None if it is missing or empty."""
    with environment_lock:
        return os.environ.get(name) or None


def start_shielded(process: BaseProcess, variables: Mapping[str, str] | None = None) -> None:
    """Start a child without the secrets of the environment, which Ctrl+C and a closed terminal never reach.

    `variables` are in its environment from the start, before any library is loaded.

    The terminal sends both to the whole process group; the program handles them and ends its children. Without this a
    child that is still importing would print a traceback.
    """
    with _environment_of_a_child(variables or {}):
        _start(process)


def _start(process: BaseProcess) -> None:
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        process.start()
        return
    resource_tracker.ensure_running()  # its start would unblock SIGINT
    with signals_held():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def signals_held() -> Iterator[None]:
    """Delay the handlers of Ctrl+C, SIGTERM and SIGHUP to the end of the block.

    A signal mask is not enough: the system gives a signal to any thread that does not block it, and Python then runs
    the handler in the main thread, between the fork of a child and the line that stores its number. Such a child would
    be unknown to the program. Only the main thread runs handlers, so in any other thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _HELD}
    held = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in held:
        signal.signal(number, lambda number, _: received.append(number))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for number in received:
            signal.raise_signal(number)


class NoAnswer(Exception):
    """The process died, or did not answer in time."""


def answered_apart(question: Callable[..., Answer], *arguments: Any, seconds: float) -> Answer:
    """Call `question`, a function at the top of a module, in a process of its own, which is killed after `seconds`.

    The process takes a quarter of a second to start. Raises NoAnswer, and the BatonErrors that `question` raises.
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
