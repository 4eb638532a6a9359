"""Continues a write after its engine was lost: what has arrived stays, and a new request asks for the rest."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeVar

from baton_reasoning.core.engines.base import Notice, Token
from baton_reasoning.core.errors import EngineLost

Item = TypeVar("Item")


def continued(
    write: Callable[[list[Token]], Generator[Item, None, None]],
    repair: Callable[[EngineLost, int], Generator[Notice, None, None]],
) -> Generator[Item | Notice, None, None]:
    """Yield what `write` yields, and call it again for the rest whenever it raises EngineLost.

    `write` gets the tokens that have arrived so far, and writes on after them. `repair` gets the error and the number
    of failures of this request, and yields what a person should know; it raises the error if that was the last attempt.
    """
    arrived: list[Token] = []
    failures = 0
    while True:
        try:
            with closing(write(arrived)) as items:
                for item in items:
                    if isinstance(item, Token):
                        arrived.append(item)
                    yield item
            return
        except EngineLost as lost:
            failures += 1
            reason = lost
        yield from repair(reason, failures)
