"""The process of one model: it takes requests, decodes in batches, and dies alone if llama.cpp does."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path

from baton_reasoning.core.child_process import Connection
from baton_reasoning.core.engines.control_tokens import PromptPiece, prompt_ids
from baton_reasoning.core.engines.local import messages
from baton_reasoning.core.engines.local.branches import BranchWriter
from baton_reasoning.core.engines.local.llama import Llama, LoadError
from baton_reasoning.core.engines.local.scheduler import DueReply, Scheduler

HEARTBEAT_SECONDS = 1.0
LONGEST_STEP = 300.0
"""Seconds of one decode, after which the heartbeat pauses: native code that hangs leaves this thread running. On a
machine that swaps, 64 tokens of a large model can take a minute."""


class Outbox:
    """Sends messages to the program, and a heartbeat every second, so that a stopped process is noticed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._heartbeat: messages.LoadingProgress | list[messages.Reply] = messages.LoadingProgress(0)
        self.step_began: float | None = None
        """When native code was called (time.monotonic); the heartbeat pauses `LONGEST_STEP` after that."""
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def send(self, message: messages.AtLoading | list[messages.Reply]) -> None:
        """Send a message. The heartbeat repeats the progress of loading, and has no content after that."""
        with self._lock:
            self._heartbeat = message if isinstance(message, messages.LoadingProgress) else []
            messages.send(self._connection, message)

    def _beat(self) -> None:
        with suppress(OSError):  # the program is gone, which the listener sees too
            while True:
                time.sleep(HEARTBEAT_SECONDS)
                began = self.step_began
                if began is not None and time.monotonic() - began > LONGEST_STEP:
                    continue
                with self._lock:
                    messages.send(self._connection, self._heartbeat)


def main(connection: Connection, log: str) -> None:
    """Run in the child process until the program closes the pipe; its first message are the WorkerOptions.

    Native code writes its errors to the file `log`, which has no name from then on, so that none is left behind if the
    program is killed; on Windows a file that is open keeps its name.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the program's to handle
    os.environ["GGML_NO_BACKTRACE"] = "1"  # else ggml starts a debugger when it aborts, which writes to stdout
    os.dup2(os.open(log, os.O_WRONLY), 2)
    with suppress(PermissionError):
        Path(log).unlink()
    outbox = Outbox(connection)
    outbox.send(messages.LoadingProgress(0))
    options: messages.WorkerOptions = messages.receive(connection)
    try:
        llama = Llama(options, lambda fraction: outbox.send(messages.LoadingProgress(fraction)))
    except LoadError as error:
        outbox.send(messages.LoadFailed(str(error)))
        return
    outbox.send(
        messages.ModelLoaded(
            llama.threads,
            llama.shares,
            llama.vocabulary_size,
            llama.text(llama.bos_id),
            llama.text(llama.eos_id),
        )
    )
    Worker(connection, outbox, llama, options).run()


class Worker:
    """Takes in requests, lets the scheduler decode, and sends its replies."""

    def __init__(self, connection: Connection, outbox: Outbox, llama: Llama, options: messages.WorkerOptions) -> None:
        self.connection = connection
        self.outbox = outbox
        self.llama = llama
        self.replies: list[DueReply] = []
        self.scheduler = Scheduler(llama, options, self.replies.append)
        self.branches: dict[int, BranchWriter] = {}
        """By session."""
        self.inbox: queue.SimpleQueue[messages.Request] = queue.SimpleQueue()

    def run(self) -> None:
        threading.Thread(target=self._listen, name="listener", daemon=True).start()
        while True:
            if self.scheduler.idle and not any(writer.is_busy for writer in self.branches.values()):
                self._send()
                self._handle(self.inbox.get())
            self._receive()
            turns = self.scheduler.next_turns()
            if not (turns and self.llama.returns_early):
                self._send()  # what is known before the decode does not wait for it
            self.outbox.step_began = time.monotonic()
            if turns:
                self.scheduler.decode(turns, self._meanwhile)
            for writer in list(self.branches.values()):
                writer.step()
            self.outbox.step_began = None

    def _meanwhile(self) -> None:
        """Send and receive once a decode has returned, before its logits are asked for."""
        self._send()
        self._receive()

    def _send(self) -> None:
        """Send one message for all tokens of a decode."""
        if self.replies:
            self.outbox.send([(number, item() if callable(item) else item) for number, item in self.replies])
            self.replies.clear()

    def _listen(self) -> None:
        """Put requests into the inbox; Cancel takes effect while a decode is running."""
        while True:
            try:
                request: messages.Request = messages.receive(self.connection)
            except (EOFError, OSError):
                os._exit(0)  # the program is gone
            except BaseException:  # noqa: BLE001 - whatever it is: a process that hears nothing would hang
                traceback.print_exc()
                os._exit(1)
            self.inbox.put(request)
            if isinstance(request, messages.Cancel):
                self._halt(*request)

    def _halt(self, number: int, at_once: bool) -> None:
        self.scheduler.halt(number, at_once)
        for writer in list(self.branches.values()):
            writer.halt(number)

    def _receive(self) -> None:
        while not self.inbox.empty():
            self._handle(self.inbox.get())

    def _handle(self, request: messages.Request) -> None:
        match request:
            case messages.Open(number, prompt):
                self._open(number, prompt)
            case messages.Read():
                self.scheduler.begin(request)
            case messages.WriteBranches(session):
                if session not in self.branches:
                    self.branches[session] = BranchWriter(self.scheduler)
                self.branches[session].begin(request)
            case messages.Drafts():
                self.scheduler.take_drafts(request)
            case messages.Cancel(number, at_once):
                # Again, now that the request it speaks of has certainly been taken in.
                self._halt(number, at_once)
            case messages.CloseSession(session):
                if writer := self.branches.pop(session, None):
                    writer.close()
                self.scheduler.close(session)
            case messages.Tokenize(number, text, special):
                self.replies.append((number, messages.Tokenized(self.llama.tokenize(text, special))))

    def _open(self, session: int, prompt: tuple[PromptPiece, ...]) -> None:
        ids = prompt_ids(prompt, self.llama.tokenize, self.llama.tokenize_beginning)
        if self.llama.adds_bos and ids[:1] != [self.llama.bos_id]:
            ids.insert(0, self.llama.bos_id)
        self.scheduler.open(session, tuple(ids))
        self.replies.append((session, messages.Tokenized(tuple(ids))))
