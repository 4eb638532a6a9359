"""Child processes: started without the environment's secrets and out of reach of Ctrl+C, killed when they hang."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection as pipes
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any, TypeAlias, TypeVar

from baton_reasoning.core.errors import BatonError

if sys.platform == "win32":
    Connection: TypeAlias = pipes.PipeConnection
else:
    Connection: TypeAlias = pipes.Connection

Answer = TypeVar("Answer")
AnswersBytes = Callable[[bytes], bytes]

SECONDS_TO_START = 60.0
"""A child has this long to import what it needs; no question's time counts meanwhile."""
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
    """Start a child that Ctrl+C and a closed terminal never reach, without the secrets of the environment.

    The terminal sends both to the whole process group; the program handles them and ends its children. Without this a
    child that is still importing would print a traceback. `variables` are in its environment from the start, before any
    library is loaded.
    """
    with _environment_of_a_child(variables or {}), signals_held():
        if sys.platform == "win32":
            console = ctypes.windll.kernel32  # a child inherits whether Ctrl+C is ignored
            console.SetConsoleCtrlHandler(None, True)
            try:
                process.start()
            finally:
                console.SetConsoleCtrlHandler(None, False)
            return
        resource_tracker.ensure_running()  # its start would unblock SIGINT
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def says_something(connection: Connection, process: BaseProcess, seconds: float | None = None) -> bool:
    """Wait for a child's message; return whether there is one within `seconds`. Raises EOFError if it has ended.

    On Windows this program holds the child's end of the pipe until the child takes it, so that the pipe alone would not
    tell of a child that ends before its first message. Nor may what a child is started with, pickled, be long: there
    `start` waits until all but 4 KB of it is read.
    """
    ready = None
    while ready is None:
        with suppress(InterruptedError):  # by Ctrl+C on Windows, whose handler has run by then
            ready = pipes.wait([connection, process.sentinel], seconds)
    if not ready:
        return False
    if connection not in ready and not connection.poll():  # what it said before its end is in the pipe by now
        raise EOFError
    return True


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
    """The child process did not start, ended, or did not answer in time."""


class TimedOut(NoAnswer):
    """The child process did not answer in time and was killed."""


@dataclass
class TimeLimit:
    """The seconds that are left for an answer, however many questions to a child it takes."""

    left: float


class Child:
    """A process that answers questions, one at a time; started at the first, and again after it ended or was killed.

    `answer` is called in it for each question, `prepare` once before; both are functions at the top of a module.
    `memory` limits its address space in bytes after `prepare`, where the system can; 0 is no limit.
    Questions and answers are bytes, so nothing that an untrusted child sends is executed here. Thread-safe.
    """

    def __init__(self, answer: AnswersBytes, prepare: Callable[[], object] | None = None, memory: int = 0) -> None:
        self._work = (answer, prepare, memory)
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None
        self._is_ready = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process if there is none, and return without waiting for it. A failure shows when it is asked."""
        with self._lock, suppress(NoAnswer):
            self._started()

    def ask(self, question: bytes, limit: TimeLimit) -> bytes:
        """Return the answer; the time it took is taken off the limit.

        A process that has ended since the last question is replaced, and the new one is asked. Raises NoAnswer if the
        process cannot start or ends over the question, and TimedOut, which kills it.
        """
        if limit.left <= 0:
            raise TimedOut("there was no time left")
        with self._lock:
            while True:
                is_new = self._connection is None
                try:
                    return self._answer(question, limit)
                except (EOFError, OSError) as error:
                    self._kill()
                    if is_new:
                        raise NoAnswer("the process ended") from error
                except BaseException:  # after Ctrl+C, too: its late answer would be taken for the next question's
                    self._kill()
                    raise

    def kill(self) -> None:
        """End the process, if there is one. The next question starts another."""
        with self._lock:
            self._kill()

    def _answer(self, question: bytes, limit: TimeLimit) -> bytes:
        connection, process = self._started()
        if not self._is_ready:
            if not says_something(connection, process, SECONDS_TO_START):
                raise NoAnswer(f"the process did not start within {SECONDS_TO_START:g} seconds")
            connection.recv_bytes()
            self._is_ready = True
        began, seconds = monotonic(), limit.left
        connection.send_bytes(question)
        answered = says_something(connection, process, seconds)
        limit.left -= monotonic() - began
        if not answered:
            raise TimedOut(f"there was no answer within {seconds:g} seconds")
        return connection.recv_bytes()

    def _started(self) -> tuple[Connection, BaseProcess]:
        if self._connection is None or self._process is None:
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs, *self._work), daemon=True)
            self._is_ready = False
            try:
                start_shielded(self._process)
            except OSError as error:
                self._kill()
                raise NoAnswer(f"the process did not start: {error.strerror or error}") from error
            finally:
                theirs.close()  # only the process may hold its end, or its death would not be seen here
        return self._connection, self._process

    def _kill(self) -> None:
        if self._process is not None:
            if self._process.pid is not None:
                self._process.kill()
                self._process.join()
            self._process.close()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None


def run_in_subprocess(function: Callable[..., Answer], *arguments: Any, seconds: float) -> Answer:
    """Call a function at the top of a module in a process of its own, which is killed after `seconds`.

    The process takes a quarter of a second to start. Raises NoAnswer, and the BatonErrors that the function raises.
    """
    child = Child(_call)
    try:
        answer = pickle.loads(child.ask(pickle.dumps((function, arguments)), TimeLimit(seconds)))
    finally:
        child.kill()
    if isinstance(answer, BatonError):
        raise answer
    return answer  # type: ignore[no-any-return]


# In the child process ------------------------------------------------------------------------------------------------


def _serve(connection: Connection, answer: AnswersBytes, prepare: Callable[[], object] | None, memory: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program handles Ctrl+C
    if prepare:
        prepare()
    if memory:
        limit_resource("RLIMIT_AS", memory)
    with suppress(EOFError, OSError):  # the program has ended, or was killed with an answer unread
        connection.send_bytes(b"ready")
        while True:
            connection.send_bytes(answer(connection.recv_bytes()))


def limit_resource(name: str, most: int) -> None:
    """Limit a resource of this process where the system can: RLIMIT_AS in bytes, RLIMIT_CPU in seconds."""
    if sys.platform != "win32":  # which has none: the time limit is left
        import resource

        number = getattr(resource, name)
        with suppress(ValueError, OSError):  # macOS may refuse it
            resource.setrlimit(number, (most, resource.getrlimit(number)[1]))


def _call(question: bytes) -> bytes:
    function, arguments = pickle.loads(question)
    try:
        answer = function(*arguments)
    except BatonError as error:
        answer = error
    return pickle.dumps(answer)
