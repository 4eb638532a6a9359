"""Milliseconds of a handoff by the number of new tokens, with 500 tokens already in the cache."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from baton_reasoning.core.engines.base import Message
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.options import LoadOptions, Sampling
from tests.bench.generated import MODEL, bench_model
from tests.bench.rounds import Row, in_turn
from tests.packaged_models import gemma_path, smollm2_path

HELD = 500
NEW = (1, 8, 32, 128)
QUESTION = (Message("user", "What is this about?"),)


def rows(rounds: int) -> Iterator[Row]:
    packaged = () if MODEL in os.environ else (smollm2_path(), gemma_path())
    for path in filter(None, dict.fromkeys([bench_model(), *packaged])):
        figures = ", ".join(f"{statistics.median(times):.0f}" for times in measure(path, rounds).values())
        new = ", ".join(map(str, NEW))
        yield Row("handoff", f"{HELD} tokens reused; {new} new ones read, {path.stem}", "", f"{figures} ms")


def measure(path: Path, rounds: int) -> dict[str, list[float]]:
    with closing(LocalEngine(path, LoadOptions(context=2048))) as engine:
        session = engine.open(QUESTION, Sampling())
        held = [Part("", Author.SMALL, 100 + i % 200, engine.card.vocabulary) for i in range(HELD)]

        def hand_over(new: int) -> float:
            session.read(held)
            text = [*held, *(Part("", Author.LARGE, 300 + i % 40, engine.card.vocabulary) for i in range(new))]
            handoff = session.read(text)
            assert handoff.prefilled == new
            return handoff.seconds * 1000

        return in_turn({str(new): lambda new=new: hand_over(new) for new in NEW}, rounds)  # type: ignore[misc]
