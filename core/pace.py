"""Events no faster than a person reads: the demo pair writes thousands of tokens a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from baton_reasoning.core.thinking.events import Event, TokenWritten

Wait = Callable[[float], object]


def paced(events: Iterator[Event], tokens_per_second: float, wait: Wait = time.sleep) -> Iterator[Event]:
    """The same events, with a wait before a token that would come too early. 0 is as fast as it goes."""
    due = time.perf_counter()
    for event in events:
        if tokens_per_second and isinstance(event, TokenWritten):
            now = time.perf_counter()
            due = max(due + 1 / tokens_per_second, now)
            wait(due - now)
        yield event
