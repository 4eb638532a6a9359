"""Milliseconds of a handoff by the number of new tokens, with 500 tokens already in the cache."""

from __future__ import annotations

from pathlib import Path

from core.engines.base import Message
from core.engines.body import Author, Part
from core.engines.local.client import LocalEngine
from core.models.loading import LoadOptions
from core.models.overrides import Sampling
from core.models.packaged import packaged_pair
from tests.bench.rounds import in_turn, spread

HELD = 500
NEW = (1, 8, 32, 128)
QUESTION = (Message("user", "What is this about?"),)


def main() -> None:
    pair = packaged_pair()
    if pair is None:
        print("Handoff  left out: the packages with the test models are not installed")
        return
    for path in pair:
        measure(path)


def measure(path: Path) -> None:
    engine = LocalEngine(path, LoadOptions(context=2048))
    session = engine.open(QUESTION, Sampling())
    held = [Part("", Author.SMALL, 1000 + i, engine.card.vocabulary) for i in range(HELD)]

    def hand_over(new: int) -> float:
        session.read(held)
        text = [*held, *(Part("", Author.LARGE, 2000 + i, engine.card.vocabulary) for i in range(new))]
        handoff = session.read(text)
        assert handoff.prefilled == new
        return handoff.seconds * 1000

    figures = in_turn({str(new): lambda new=new: hand_over(new) for new in NEW})  # type: ignore[misc]
    engine.close()
    print(f"Handoff  {path.name}, {HELD} tokens reused")
    for new, milliseconds in figures.items():
        print(f"    {new:>4} new  {spread(milliseconds, 'ms')}")
