"""The process of one model: it listens to the program, decodes in batches, and dies alone if llama.cpp does."""

from __future__ import annotations

import os
import queue
import signal
import threading
from multiprocessing.connection import Connection

from core.engines.base import Conversation
from core.engines.chat_template import render_prompt
from core.engines.local.llama import Llama, LoadError
from core.engines.local.messages import (
    CacheDump,
    Cancel,
    CloseSession,
    DumpCache,
    Failed,
    LoadFailed,
    LoadingProgress,
    LoadOptions,
    ModelLoaded,
    Open,
    Read,
    Reply,
    Request,
    Shutdown,
    Tokenize,
    Tokenized,
    receive,
    send,
)
from core.engines.local.scheduler import Scheduler
from core.errors import EngineRefused


def main(connection: Connection, options: LoadOptions, said_path: str) -> None:
    """Runs in the child process until the program closes the pipe. What native code says goes to `said_path`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the program's to handle
    os.dup2(os.open(said_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
    try:
        llama = Llama(options, lambda fraction: send(connection, LoadingProgress(fraction)))
    except LoadError as error:
        reason = str(error)
        memory = "alloc" in reason or "memory" in reason
        send(connection, LoadFailed(reason, out_of_memory=memory))
        return
    send(connection, ModelLoaded(options.context, llama.threads, llama.description, llama.shares))
    Worker(connection, llama, options).run()


class Worker:
    def __init__(self, connection: Connection, llama: Llama, options: LoadOptions) -> None:
        self.connection = connection
        self.llama = llama
        self.options = options
        self.replies: list[Reply] = []
        self.scheduler = Scheduler(llama, options, self.replies.append)
        self.inbox: queue.SimpleQueue[Request] = queue.SimpleQueue()

    def run(self) -> None:
        threading.Thread(target=self._listen, name="listener", daemon=True).start()
        while True:
            if self.scheduler.idle:
                self._handle(self.inbox.get())
            self._receive()
            turns = self.scheduler.next_turns()
            self._send()  # what is known before the decode does not wait for it
            if turns:
                self.scheduler.decode(turns, self._receive)
                self._send()

    def _send(self) -> None:
        """One message for all tokens of a decode."""
        if self.replies:
            send(self.connection, self.replies)
            self.replies.clear()

    def _listen(self) -> None:
        """Requests wait in the inbox, but a halt takes effect while a decode is running."""
        while True:
            try:
                request: Request = receive(self.connection)
            except (EOFError, OSError):
                os._exit(0)  # the program is gone, and nobody needs the model any more
            self.inbox.put(request)
            if isinstance(request, Cancel):
                self.scheduler.halt(*request)

    def _receive(self) -> None:
        while not self.inbox.empty():
            self._handle(self.inbox.get())

    def _handle(self, request: Request) -> None:
        match request:
            case Open(session, number, conversation):
                self._open(session, number, conversation)
            case Read():
                self.scheduler.begin(request)
            case Cancel(number, at_once):
                # Again, now that the request it speaks of has certainly been taken in.
                self.scheduler.halt(number, at_once)
            case CloseSession(session):
                self.scheduler.close(session)
            case Tokenize(number, text, special):
                self.replies.append(Tokenized(number, self.llama.tokenize(text, special)))
            case DumpCache(session, number):
                self.replies.append(CacheDump(number, self.scheduler.text_in_cache(session)))
            case Shutdown():
                os._exit(0)

    def _open(self, session: int, number: int, conversation: Conversation) -> None:
        try:
            prompt = self._prompt(conversation)
        except EngineRefused as error:
            self.replies.append(Failed(number, context_full=False, reason=error.message))
            return
        self.scheduler.open(session, prompt)
        self.replies.append(Tokenized(number, prompt))

    def _prompt(self, conversation: Conversation) -> tuple[int, ...]:
        llama, options = self.llama, self.options
        bos, eos = llama.special_text(llama.bos_id), llama.special_text(llama.eos_id)
        pieces = render_prompt(conversation, options.template, bos, eos, options.thinking)
        ids: list[int] = []
        for piece in pieces:
            ids += llama.tokenize(piece.text, piece.from_template)
        if llama.adds_bos and ids[:1] != [llama.bos_id]:
            ids.insert(0, llama.bos_id)
        return tuple(ids)
