"""A question that may hang or take all memory, answered by a process of its own that can be killed."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from core.errors import BatonError

Answer = TypeVar("Answer")


class NoAnswer(Exception):
    """The process died, or did not answer in time."""


def answered_apart(question: Callable[..., Answer], *arguments: Any, seconds: float) -> Answer:
    """What `question`, a function at the top of a module, returns; its start takes a quarter of a second.

    Raises what `question` raises of BatonErrors, and NoAnswer.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, question, arguments), daemon=True)
    process.start()
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
