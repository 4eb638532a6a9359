"""A pace makes tokens wait, and nothing else."""

import pytest

from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.pace import paced
from baton_reasoning.core.thinking.events import Event, Noticed, TokenWritten

EVENTS: list[Event] = [Noticed(0.0, "so"), *(TokenWritten(0.0, Author.SMALL, 1, "x") for _ in range(10))]


def test_tokens_are_as_far_apart_as_the_pace_says() -> None:
    waits: list[float] = []
    assert list(paced(iter(EVENTS), 4, waits.append)) == EVENTS
    assert len(waits) == 10, "a notice does not wait"
    assert sum(waits) == pytest.approx(sum(0.25 * (n + 1) for n in range(10)), rel=0.05), "nobody really waited here"


def test_no_pace_is_no_wait() -> None:
    waits: list[float] = []
    assert list(paced(iter(EVENTS), 0, waits.append)) == EVENTS
    assert waits == []
