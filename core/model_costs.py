"""Measures what models on this machine cost, for `core.expected_time`, and keeps it by file, options and device."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from baton_reasoning.core.engines.base import (
    Attach,
    Conversation,
    Engine,
    Handoff,
    Message,
    ModelCard,
    Placement,
    Session,
    Token,
)
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.errors import Cancelled, SettingsError
from baton_reasoning.core.expected_time import ModelCost
from baton_reasoning.core.files import read_json, write_json
from baton_reasoning.core.models.options import Sampling
from baton_reasoning.core.run import Pair

QUESTION: Conversation = (Message("user", "Count."),)
SHORTEST_WRITE, WRITTEN = 3, 16
"""Tokens that are written at once, at least and at most."""
READ, SCORED = 32, 5
"""Words that are read at once, as many as between two takeovers; and scored at once, as many as are drafted."""
SHORTEST = 8
"""Words that a slow model reads at once: as many as it reads in the time of LONGEST, but so many at least."""
LONGEST = 0.3
"""Seconds after which a decode is not repeated."""
MOST_TIMES = 5


def measure(engine: Engine, attach: Attach) -> ModelCost | None:
    """Measure a model with a short text: about a second, longer only where it reads and decodes so slowly.

    The text is a session like any other, so that an answer that begins meanwhile shares the decodes, or waits for one;
    `attach` gets it, so that it can be cancelled. Returns None if it was cancelled, or if the model wrote hardly
    anything. Raises EngineError.
    """
    try:
        session = engine.open(QUESTION, Sampling(), attach)
    except Cancelled:
        return None
    with closing(session):
        session.read([])  # also brings the weights into memory
        body = [Part(_words(SHORTEST), Author.INSERTED)]
        rough = _decode_seconds(session, body, SHORTEST_WRITE)
        limit = max(SHORTEST_WRITE, min(WRITTEN, int(LONGEST / rough))) if rough else 0
        decode = _fastest(lambda: _decode_seconds(session, body, limit))
        if not decode:
            return None

        def seconds_per_further_token(handoff: Handoff) -> float | None:
            more = handoff.prefilled - 1
            return max(handoff.seconds - decode, 0.0) / more if more > 0 else None  # nothing, if it was cancelled

        def read() -> float | None:
            body.append(Part(_words(max(SHORTEST, min(READ, int(4 * LONGEST / decode)))), Author.INSERTED))
            return seconds_per_further_token(session.read(body))

        def score() -> float | None:
            start = sum(len(part.text) for part in body)
            body.append(Part(_words(SCORED), Author.INSERTED))
            return seconds_per_further_token(session.score(body, start).handoff)

        prefill, further = _fastest(read), _fastest(score)
    if prefill is None or further is None:
        return None
    return ModelCost(decode=decode, further=further, prefill=prefill)


def _words(count: int) -> str:
    return " one" * count


def _fastest(measured: Callable[[], float | None]) -> float | None:
    """Repeat a measurement, and return the least: other programs only make it slower. None if one gives nothing."""
    began, found = time.perf_counter(), list[float]()
    while len(found) < MOST_TIMES and (not found or time.perf_counter() - began < LONGEST):
        if (seconds := measured()) is None:
            return None
        found.append(seconds)
    return min(found)


def _decode_seconds(session: Session, body: list[Part], limit: int) -> float | None:
    """Return the mean seconds from the first token of a write to its last; None if it wrote fewer than two."""
    began = time.perf_counter()
    items = list(session.write(body, limit, seed=0))
    seconds = time.perf_counter() - began - sum(item.seconds for item in items if isinstance(item, Handoff))
    decodes = sum(isinstance(item, Token) for item in items) - 1
    return seconds / decodes if decodes > 0 else None


class _Measured(BaseModel):
    bytes: int
    modified: int
    """In nanoseconds."""
    loaded_as: str
    cost: ModelCost


class _MeasuredModels(BaseModel):
    models: dict[str, _Measured] = {}


class ModelCosts:
    """The measured costs of models, kept in a JSON file by their paths: of each, how it was loaded last."""

    _lock: ClassVar = threading.Lock()

    def __init__(self, file: Path) -> None:
        self._file = file

    def of(self, card: ModelCard | None) -> ModelCost | None:
        """Return the cost of a loaded model; None on a server, and if it was measured with other options."""
        found = self._find(card.path) if card and card.path else None
        return found.cost if found and card and found.loaded_as == _loaded_as(card.placement) else None

    def of_file(self, path: Path) -> ModelCost | None:
        """Return the cost of the model in a file, as it was loaded last."""
        found = self._find(path)
        return found.cost if found else None

    def slowest_decode(self, cards: Iterable[ModelCard]) -> float | None:
        """Return the seconds of a token by the slowest of these models; None if one of them was not measured."""
        costs = [self.of(card) for card in cards]
        known = [cost.decode for cost in costs if cost]
        return max(known, default=None) if len(known) == len(costs) else None

    def unmeasured(self, pair: Pair) -> list[Engine]:
        """Return which of these models are on this machine and not measured yet."""
        engines = {id(engine): engine for engine in (pair.small, pair.large) if engine}.values()
        return [engine for engine in engines if engine.card.placement and not self.of(engine.card)]

    def measure(self, pair: Pair, attach: Attach) -> None:
        """Measure and keep what is not known of these two models. Raises EngineError."""
        for engine in self.unmeasured(pair):
            if cost := measure(engine, attach):
                self.keep(engine.card, cost)

    def keep(self, card: ModelCard, cost: ModelCost) -> None:
        if card.path is None:
            return
        with self._lock, suppress(OSError, SettingsError):  # if it is not saved, it is measured again the next time
            status = card.path.stat()
            measured = read_json(_MeasuredModels, self._file)
            measured.models[str(card.path.absolute())] = _Measured(
                bytes=status.st_size, modified=status.st_mtime_ns, loaded_as=_loaded_as(card.placement), cost=cost
            )
            write_json(measured, self._file, "What models cost")

    def _find(self, path: Path) -> _Measured | None:
        found = read_json(_MeasuredModels, self._file).models.get(str(path.absolute()))
        with suppress(OSError):
            status = path.stat()
            if found and (found.bytes, found.modified) == (status.st_size, status.st_mtime_ns):
                return found
        return None


def _loaded_as(placement: Placement | None) -> str:
    """Return what decides the cost of a model: its layers on each device, threads, batch and KV cache."""
    if placement is None:
        return ""
    layers = ", ".join(f"{share.device} {share.layers}" for share in placement.shares)
    return f"{layers}; {placement.threads} threads; batch {placement.batch}; {placement.kv_type}"
