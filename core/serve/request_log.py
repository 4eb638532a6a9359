"""Writes a line for each request once it is answered: what was asked, and how that ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from baton_reasoning.core.serve.stream import RunStream
from baton_reasoning.core.thinking.events import Finish


class RequestLog:
    """An ASGI application around another one.

    A line has the request, its status and its seconds; if models were asked, also the arm, the tokens of the prompt and
    those written, and how the text ended. `write` gets it without an end of line, and unsafe: it holds a client's path.
    """

    def __init__(self, application: ASGIApp, write: Callable[[str], object]) -> None:
        self._application = application
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        began, status = time.monotonic(), 500  # unless the application responds

        async def noting_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._application(scope, receive, noting_status)
        finally:
            seconds = f"{time.monotonic() - began:.1f} s"
            state = scope.get("state", {})
            answer = _answer(state["arm"], state["run"]) if "run" in state else ()
            self._write(f"{scope['method']} {scope['path']}: {', '.join((str(status), seconds, *answer))}")


def _answer(arm: str, run: RunStream) -> Iterator[str]:
    usage = run.usage()
    yield arm
    yield f"{usage['prompt_tokens']} + {usage['completion_tokens']} tokens"
    yield "stop string" if run.stopped_at else (run.trace.finish or Finish.STOPPED).value
