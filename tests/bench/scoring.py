"""P9: scoring a text over only reading it. Both are one pass in whole chunks; a score adds logits at every position."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count

from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.client import LocalEngine, LocalSession
from baton_reasoning.core.models.loading import LoadOptions
from baton_reasoning.core.models.overrides import Sampling
from tests.bench.generated import bench_model
from tests.bench.rounds import Row, at_most, in_turn, ratios

TEXT = 512
QUESTION = (Message("user", "What is this about?"),)


def rows(rounds: int) -> Iterator[Row]:
    numbers = count(1)
    with (
        closing(LocalEngine(bench_model(), LoadOptions(context=1024))) as engine,
        closing(engine.open(QUESTION, Sampling())) as session,
    ):

        def new_text() -> list[Part]:
            """It differs from its first token on, so that nothing of it is reused."""
            ids = [100 + next(numbers) % 200, *(100 + i % 200 for i in range(TEXT - 1))]
            return [Part("x", Author.LARGE, id, engine.card.vocabulary) for id in ids]

        figures = in_turn(
            {
                "read": lambda: session.read(new_text()).seconds,
                "score": lambda: _score(session, new_text(), 0),
                "with alternatives": lambda: _score(session, new_text(), 5),
            },
            rounds,
        )
    what = f"`score` of {TEXT} tokens / prefill of the same text"
    yield at_most("P9", what, 1.25, ratios(figures["score"], figures["read"]))
    yield at_most("P9", f"{what}, with 5 alternatives", 1.25, ratios(figures["with alternatives"], figures["read"]))


def _score(session: LocalSession, text: list[Part], alternatives: int) -> float:
    scores = session.score(text, 0, alternatives)
    assert len(scores.tokens) == TEXT
    return scores.handoff.seconds
