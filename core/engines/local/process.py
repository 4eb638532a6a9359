"""A model's process as its parent sees it: start it, talk to it, and say in words why it died."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from core.child_process import start_shielded
from core.engines.local import worker
from core.engines.local.messages import (
    CacheDump,
    Failed,
    LoadFailed,
    LoadingProgress,
    ModelLoaded,
    Reply,
    Request,
    Shutdown,
    Tokenized,
    WorkerOptions,
    receive,
    send,
)
from core.errors import EngineError, EngineLost, OutOfMemory

Replies = queue.SimpleQueue[Reply | EngineLost]
"""What a request gets back; the last item is Done or Failed, or why the process is gone."""


class ModelProcess:
    """One running child process with a loaded model.

    Raises EngineError (or OutOfMemory) if the model cannot be loaded.
    """

    def __init__(self, options: WorkerOptions, on_progress: Callable[[float], object] = lambda _: None) -> None:
        """`on_progress` is told how much of the model has been read, 0 to 1."""
        self.name = Path(options.path).name
        self._replies: dict[int, Replies] = {}
        self._lock = threading.Lock()
        self._lost: EngineLost | None = None
        handle, log_path = tempfile.mkstemp(prefix="baton-", suffix=".log")
        self._log = os.fdopen(handle, "rb")
        """What native code writes to standard error in the child."""
        self._log_path = Path(log_path)
        self._connection, theirs = multiprocessing.get_context("spawn").Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=worker.main, args=(theirs, options, log_path), name=f"baton {self.name}", daemon=True
        )
        start_shielded(self._process)
        theirs.close()
        try:
            self.loaded = self._wait_until_loaded(on_progress)
        except BaseException:  # Ctrl+C among them
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._remove_log()
            raise
        if os.name == "posix":  # so that no log is left behind if this process is killed
            self._log_path.unlink()
        self._receiver = threading.Thread(target=self._receive, name=f"replies of {self.name}", daemon=True)
        self._receiver.start()

    @property
    def alive(self) -> bool:
        return self._lost is None

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def ask(self, number: int, request: Request) -> Replies:
        """Send a request; its replies come in the queue. Raises EngineLost if the process is gone."""
        replies: Replies = queue.SimpleQueue()
        with self._lock:
            if self._lost:
                raise self._lost
            self._replies[number] = replies
        self.tell(request)
        return replies

    def tell(self, request: Request) -> None:
        """Send something that has no reply. A process that is gone needs to be told nothing."""
        with self._lock, contextlib.suppress(OSError):
            send(self._connection, request)

    def forget(self, number: int) -> None:
        """No more replies to this request are wanted."""
        with self._lock:
            self._replies.pop(number, None)

    def close(self) -> None:
        """End the process, politely at first."""
        self.tell(Shutdown())
        self._process.join(2)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._receiver.join()
        self._connection.close()
        self._remove_log()

    # -----------------------------------------------------------------------------------------------------------------

    def _wait_until_loaded(self, on_progress: Callable[[float], object]) -> ModelLoaded:
        try:
            reply = receive(self._connection)
            while isinstance(reply, LoadingProgress):
                on_progress(reply.fraction)
                reply = receive(self._connection)
        except (EOFError, OSError) as error:
            self._process.join()
            lost = self._cause_of_death()
            kind = OutOfMemory if "out of memory" in lost.message else EngineError
            raise kind(f"{self.name} could not be loaded: {lost.message}", lost.advice) from error
        if isinstance(reply, LoadFailed):
            self._process.join()
            if reply.out_of_memory:
                raise OutOfMemory(
                    f"There is not enough memory for {self.name}: {reply.reason}.",
                    "Choose a shorter context, fewer GPU layers or a smaller quantisation.",
                )
            raise EngineError(
                f"{self.name} could not be loaded: {reply.reason}.",
                "The file may be damaged, or too new for this llama.cpp.",
            )
        assert isinstance(reply, ModelLoaded)
        return reply

    def _remove_log(self) -> None:
        self._log.close()
        self._log_path.unlink(missing_ok=True)

    def _receive(self) -> None:
        while True:
            try:
                arrived: list[Reply] = receive(self._connection)
            except (EOFError, OSError):
                break
            with self._lock:
                for reply in arrived:
                    if (replies := self._replies.get(reply.request)) is not None:
                        replies.put(reply)
        self._process.join()
        with self._lock:
            self._lost = self._cause_of_death()
            for replies in self._replies.values():
                replies.put(self._lost)
            self._replies.clear()

    def _cause_of_death(self) -> EngineLost:
        """One sentence from the exit code and the last thing that native code said."""
        code = self._process.exitcode or 0
        words = self._last_words()
        memory = "out of memory" in words.lower() or "bad_alloc" in words
        if memory:
            what, advice = "ran out of memory", "Choose a shorter context, fewer GPU layers or a smaller model."
        elif code == -signal.SIGKILL:
            what = "was killed from outside, as the system does when memory runs out"
            advice = "If nobody killed it, choose a smaller model or a shorter context."
        elif code < 0:
            what = f"stopped with {signal.Signals(-code).name}" + (f": {words}" if words else "")
            advice = "If it happens again, another conversion of the model may help."
        else:
            what = f"ended unexpectedly (exit code {code})" + (f": {words}" if words else "")
            advice = "If it happens again, another conversion of the model may help."
        return EngineLost(f"The process of {self.name} {what}.", advice)

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        telling = [line for line in lines if "GGML_ASSERT" in line or "error" in line.lower()]
        return (telling or lines or [""])[-1].strip().rstrip(".")[:300]


def only_reply(replies: Replies) -> Tokenized | CacheDump:
    """The one reply of a request that is not streamed."""
    reply = replies.get()
    if isinstance(reply, EngineLost):
        raise reply
    if isinstance(reply, Failed):
        raise EngineError(reply.reason)
    assert isinstance(reply, Tokenized | CacheDump)
    return reply
