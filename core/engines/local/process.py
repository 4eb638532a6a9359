"""A model's process as its parent sees it: starts it, talks to it, and explains why it died."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from baton_reasoning.core.child_process import says_something, signals_held, start_shielded
from baton_reasoning.core.engines.local import messages
from baton_reasoning.core.errors import Cancelled, EngineError, EngineLost, OutOfMemory
from baton_reasoning.core.models.gguf_format import shards_of
from baton_reasoning.core.models.ollama import offer, shown_name
from baton_reasoning.core.text import one_line
from baton_reasoning.core.waiting import taken

SILENCE_IF_STOPPED = 2.5
"""Seconds without a heartbeat after which a process that the system says is stopped is killed."""
SILENCE = 30.0
"""Seconds without a heartbeat after which any process is killed: a machine that swaps may need that long."""
SILENCE_AT_START = 90.0
"""Seconds until the first message: Python starts, and llama.cpp's libraries are read."""
LOOK_EVERY = 0.5
"""Seconds between two looks at a process. Its silence is counted in looks, so that the time in which this program was
stopped, or the machine asleep, does not count."""
MOST_RESTARTS, RESTART_SECONDS = 6, 600.0
"""So many restarts are allowed in so many seconds."""
SPIN = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}
"""What bounds the spinning of threads that wait, in GCC's and LLVM's OpenMP (there: milliseconds).

By default they spin for milliseconds, which a thread that waits for its core does not get. Measured on two cores with a
model of 1.5B / of 135M, tokens a second: 14 / 180 idle, but 2 beside one busy process. 10,000 rounds, some tenths of a
millisecond, leave 14 / 177 idle, and 5 / 26 beside it. 1,000 leave 7 beside it, but 132 of the 180: the barriers of a
small model are so close that sleeping costs more than waiting. With 100,000 it is 3 / 11.
"""


class SentRequest:
    """A request to a model's process, and its replies in the order in which they arrive."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.replies: queue.SimpleQueue[messages.ReplyItem | EngineLost | messages.Cancel] = queue.SimpleQueue()
        """EngineLost is the last one if the process is gone."""

    def cancel(self) -> None:
        """Give whoever waits for replies the message that cancels the request. Never blocks."""
        self.replies.put(messages.Cancel(self.number, at_once=True))

    def next_reply(self, stop_at: float | None = None) -> messages.ReplyItem | messages.Cancel | None:
        """Wait for the next reply; None if there is none before `stop_at` (by time.monotonic). Raises EngineLost."""
        try:
            reply = taken(self.replies, None if stop_at is None else stop_at - time.monotonic())
        except queue.Empty:
            return None
        if isinstance(reply, EngineLost):
            raise reply
        return reply

    def token_ids(self) -> tuple[int, ...]:
        """Wait for the only reply to Open or Tokenize. Raises EngineLost, Cancelled."""
        reply = self.next_reply()
        if isinstance(reply, messages.Cancel):
            raise Cancelled
        assert isinstance(reply, messages.Tokenized)
        return reply.ids


_numbers = count(1)
"""Of sessions and requests, unique in this program: a session of a process that died names none in the next one."""


class ModelProcess:
    """One running child process with a loaded model. A process that stops responding is killed.

    Raises EngineError (or OutOfMemory) if the model cannot be loaded.
    """

    def __init__(self, options: messages.WorkerOptions, on_progress: Callable[[float], object]) -> None:
        """`on_progress` is called at least once a second with the part of the model that has been read, 0 to 1; an
        exception that it raises ends the process."""
        self.name = shown_name(Path(options.path))
        self._sent: dict[int, SentRequest] = {}
        self._lock = threading.Lock()
        self._closing = threading.Lock()
        self._lost: EngineLost | None = None
        with ExitStack() as holding_signals:
            holding_signals.enter_context(signals_held())
            self._make(Path(options.path))
            try:
                self._start()
                holding_signals.close()
                self.loaded = self._wait_until_loaded(options, on_progress)
            except BaseException:  # Ctrl+C among them
                self._kill()
                self._connection.close()
                self._remove_log()
                raise
        self._receiver = threading.Thread(target=self._receive, name=f"replies of {self.name}", daemon=True)
        self._receiver.start()

    @property
    def alive(self) -> bool:
        return self._lost is None

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def has_other_files(self) -> bool:
        """Whether the model's files have changed since the process was started: it must not be restarted with them."""
        return self._files.are_others()

    @contextmanager
    def sent(self, request: messages.Question) -> Iterator[SentRequest]:
        """Number and send a request; its replies are collected until the end of the block.

        Raises EngineLost if the process is gone.
        """
        sent = SentRequest(next(_numbers))
        with self._lock:
            if self._lost:
                raise self._lost
            self._sent[sent.number] = sent
        try:
            self.tell(request._replace(request=sent.number))
            yield sent
        finally:
            with self._lock:
                self._sent.pop(sent.number, None)

    def tell(self, request: messages.Request) -> None:
        """Send a message that has no reply; if the process is gone, nothing happens."""
        with self._lock, suppress(OSError):
            messages.send(self._connection, request)

    def close(self) -> None:
        """Kill the process, which has nothing to save. Only the first of several calls does it: a second one at the
        same time would close a file descriptor that belongs to somebody else by then."""
        if not self._closing.acquire(blocking=False):
            return
        self._kill()
        self._receiver.join()
        with self._lock:  # else a message under way could go to the pipe that gets this one's file descriptor next
            self._connection.close()
        self._remove_log()

    # -----------------------------------------------------------------------------------------------------------------

    def _make(self, path: Path) -> None:
        handle, name = tempfile.mkstemp(prefix="baton-", suffix=".log")
        self._log, self._log_path = os.fdopen(handle, "rb"), Path(name)
        """What native code writes to standard error in the child, which takes the file its name where it can."""
        self._files = ModelFiles(shards_of(path))
        context = multiprocessing.get_context("spawn")
        self._connection, self._theirs = context.Pipe()
        self._process = context.Process(
            target=run_worker, args=(self._theirs, name), name=f"baton {self.name}", daemon=True
        )
        self._received = 0
        """Messages so far; the heartbeat makes it one a second at least."""
        self._was_silent = 0.0
        """Seconds of silence for which the process was killed; 0 if it was not."""
        self._ended = threading.Event()
        self._watchdog = threading.Thread(target=self._watch, name=f"watchdog of {self.name}", daemon=True)

    def _start(self) -> None:
        try:
            start_shielded(self._process, spin_variables())
        except OSError as error:
            message = f"The process of {self.name} could not be started: {error.strerror or error}."
            raise EngineError(message, "Close other programs, or see whether a virus scanner refused it.") from error
        finally:
            self._theirs.close()  # only the process may hold its end, or its death would not be seen here
        self._watchdog.start()

    def _kill(self) -> None:
        if self._process.pid is None:  # it could not be started
            return
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._ended.set()
        self._watchdog.join()

    def _watch(self) -> None:
        """Kill the process when its heartbeat stops. Its death then ends all requests."""
        received, silence = 0, 0.0
        while not self._ended.wait(LOOK_EVERY):
            silence = silence + LOOK_EVERY if self._received == received else 0.0
            received = self._received
            if silence > SILENCE_IF_STOPPED and silence > self._longest_silence():
                self._was_silent = silence
                self._process.kill()
                return

    def _longest_silence(self) -> float:
        try:
            status = psutil.Process(self._process.pid).status()
        except psutil.Error:
            return SILENCE
        if status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP):
            return SILENCE_IF_STOPPED
        return SILENCE if self._received else SILENCE_AT_START

    def _next_message(self) -> Any:
        """Receive a message. Raises EOFError or OSError if the process is gone."""
        message = messages.receive(self._connection)
        self._received += 1
        return message

    def _wait_until_loaded(
        self, options: messages.WorkerOptions, on_progress: Callable[[float], object]
    ) -> messages.ModelLoaded:
        try:
            says_something(self._connection, self._process)
            reply = self._next_message()
            messages.send(self._connection, options)
            while isinstance(reply, messages.LoadingProgress):
                on_progress(reply.fraction)
                says_something(self._connection, self._process)
                reply = self._next_message()
        except (EOFError, OSError) as error:
            self._process.join()
            lost = self._cause_of_death()
            kind = OutOfMemory if lost.is_out_of_memory else DiedLoading
            raise kind(f"{self.name} could not be loaded: {lost.message}", lost.advice) from error
        if isinstance(reply, messages.LoadFailed):
            self._process.join()
            if "alloc" in reply.reason or "memory" in reply.reason:
                raise OutOfMemory(
                    f"There is not enough memory for {self.name}: {reply.reason}.",
                    "Choose a shorter context, fewer GPU layers or a smaller quantisation.",
                )
            raise EngineError(
                f"{self.name} could not be loaded: {one_line(reply.reason)}.",
                offer(Path(options.path))
                or "The file may be damaged, or too new for this llama.cpp: look for a newer version of the program.",
            )
        assert isinstance(reply, messages.ModelLoaded)
        return reply

    def _remove_log(self) -> None:
        self._log.close()
        with suppress(PermissionError):  # on Windows, while a virus scanner reads it: the system's folder is tidied up
            self._log_path.unlink(missing_ok=True)

    def _receive(self) -> None:
        try:
            with suppress(EOFError, OSError):
                self._pass_on_replies()
        except BaseException:  # nobody listens to it any more
            self._process.kill()
            raise
        finally:
            self._process.join()
            lost = ProcessLost(f"The process of {self.name} ended.", "Load the model again.", is_out_of_memory=False)
            try:
                lost = self._cause_of_death()
            finally:  # also if that fails: whoever waits for a reply must hear of the death
                with self._lock:
                    self._lost = lost
                    for sent in self._sent.values():
                        sent.replies.put(lost)

    def _pass_on_replies(self) -> None:
        """Pass replies on until the process is gone, or has to be killed. Raises EOFError or OSError."""
        while True:
            arrived: list[messages.Reply] = self._next_message()  # empty: a heartbeat
            if arrived and self._files.were_overwritten():  # these tokens may come from other weights
                self._process.kill()
                return
            with self._lock:
                for number, item in arrived:
                    if sent := self._sent.get(number):
                        sent.replies.put(item)

    def _cause_of_death(self) -> ProcessLost:
        """Explain the death in one sentence, by the exit code and the last line of native code."""
        code = _exit_code(self._process)
        line = self._last_line()
        is_out_of_memory = False
        if self.has_other_files:  # why it is not started again
            message, advice = "ended, since its file was changed while it was in use", "Load the model again."
        elif self._closing.locked():
            message, advice = "was closed", "Load the model again."
        elif self._was_silent:
            message = f"stopped responding and was ended after {self._was_silent:.0f} s"
            advice = "If it happens again, load the model with fewer GPU layers."
        elif is_out_of_memory := speaks_of_memory(line):
            message, advice = "ran out of memory", "Choose a shorter context, fewer GPU layers or a smaller model."
        elif _was_killed(code, line):
            message = "was killed from outside, as the system does when memory runs out"
            advice = "If you did not end it, choose a smaller model or a shorter context."
        else:
            message = _how_it_ended(code) + (f": {line}" if line else "")
            advice = "If it happens again, another conversion of the model may help."
        return ProcessLost(f"The process of {self.name} {message}.", advice, is_out_of_memory)

    def _last_line(self) -> str:
        """Return what native code wrote last, preferably an error."""
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        errors = [line for line in lines if "GGML_ASSERT" in line or "error" in line.lower()]
        memory = [line for line in lines if speaks_of_memory(line)]
        return (memory or errors or lines or [""])[-1].strip().rstrip(".")[:300]


def _exit_code(process: multiprocessing.process.BaseProcess) -> int:
    """Return the exit code of a process that has ended.

    The system tells it once. If that was to another thread that waits for the process, too, it is about to be known.
    """
    for _ in range(100):
        if (code := process.exitcode) is not None:
            return code
        time.sleep(0.01)
    return 0


def _was_killed(code: int, line: str) -> bool:
    """Return whether somebody ended the process, by its exit code and its last line."""
    if sys.platform != "win32":
        return code == -signal.SIGKILL
    # Killed by multiprocessing, by another Python program, or by the Task Manager: 1, as a traceback has, too.
    return code in (-signal.SIGTERM, signal.SIGTERM) or (code == 1 and not line)


def _how_it_ended(code: int) -> str:
    """Name a signal, or an exit code: in hexadecimal from 0x80000000 on, as Windows' errors are known."""
    if -signal.NSIG < code < 0:
        return f"stopped with signal {-code} ({signal.strsignal(-code)})"
    return f"ended unexpectedly (exit code {hex(code & 0xFFFFFFFF) if code & 0x80000000 else code})"


class DiedLoading(EngineError):
    """The process of a model died while loading, as it may if a driver runs out of memory."""


class ProcessLost(EngineLost):
    """The process of a model died."""

    def __init__(self, message: str, advice: str, is_out_of_memory: bool) -> None:
        super().__init__(message, advice)
        self.is_out_of_memory = is_out_of_memory


_MEMORY = (
    "out of memory",
    "memoryerror",
    "bad_alloc",
    "outofdevicememory",
    "outofhostmemory",
    "failed to allocate",
    "cudamalloc failed",
)


def speaks_of_memory(line: str) -> bool:
    """Return whether a line of native code (ggml, CUDA, Vulkan, C++ library) reports that memory ran out."""
    return any(phrase in line.lower() for phrase in _MEMORY)


def run_worker(*arguments: Any) -> None:
    """Run `worker.main`, imported in the child only: llama.cpp's binding and numpy take a third of a second."""
    from baton_reasoning.core.engines.local.worker import main

    main(*arguments)


def spin_variables(environment: Mapping[str, str] = os.environ) -> Mapping[str, str]:
    """Return what a model's process gets in its environment besides: `SPIN`, unless a person chose how threads wait."""
    chosen = any(name in environment for name in ("OMP_WAIT_POLICY", *SPIN))
    return {} if chosen else SPIN


class ModelFiles:
    """The files of a model, as they were when its process was started.

    llama.cpp maps them into memory: what is written over a file appears in the weights, so a model whose file was
    overwritten would go on with zeros. A file that another one has replaced stays mapped, but cannot be loaded again.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._states = {path: _state(path) for path in paths}

    def were_overwritten(self) -> bool:
        """Return whether the mapped weights may have changed. Takes microseconds."""
        return any(
            (now := _state(path)) != before and now[:2] == before[:2]  # the same file, with another content
            for path, before in self._states.items()
        )

    def are_others(self) -> bool:
        """Return whether a file was replaced, changed or deleted."""
        return any(_state(path) != before for path, before in self._states.items())


def _state(path: Path) -> tuple[int, ...]:
    """Return a file's device, inode, size and time of change (nanoseconds); nothing if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class RestartPolicy:
    """One restart between two successes, and at most `MOST_RESTARTS` in `RESTART_SECONDS`; else the process is lost.

    A success is a token, a branch that has ended, or a request that ended by itself.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._restarts: deque[float] = deque(maxlen=MOST_RESTARTS)
        """When the last ones began."""
        self._succeeded = True

    def allows_restart(self) -> bool:
        """Return whether the process may be restarted now; True counts as a restart."""
        now = self._clock()
        is_full = len(self._restarts) == MOST_RESTARTS and self._restarts[0] > now - RESTART_SECONDS
        if is_full or not self._succeeded:
            return False
        self._succeeded = False
        self._restarts.append(now)
        return True

    def succeeded(self) -> None:
        self._succeeded = True
