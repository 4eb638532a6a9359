"""What models on this machine cost, measured and kept by file, options and device; and how long answers take with them.

    seconds of a model = written × decode + checked × further + read × prefill

It decodes each token that it writes, and reads the prompt and what the other one wrote. The first token of a write
comes from the decode that reads, and the last one, at which it is stopped, is decoded too; so a handoff costs what is
read and one decode. A large model that checks k drafts a decode writes E = (1 − a^(k+1)) / (1 − a) tokens with it at an
acceptance of a (Leviathan et al. 2023, eq. 1). So one token of an answer with a large share of s takes, with the costs
S and L of the two models, and without the decode of each handoff:

    large alone    L.decode
    drafted        (L.decode + k × (L.further + S.decode)) / E, with the k that is fastest
    pair           (1 − s) × S.decode + s × L.decode + (1 − s) × L.prefill + s × S.prefill

docs/models.md says what is measured, what is assumed, and where it is wrong.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.engines.base import (
    Attach,
    Engine,
    Handoff,
    Message,
    Messages,
    ModelCard,
    Placement,
    Session,
    Token,
)
from baton_reasoning.core.engines.body import Author, Part
from baton_reasoning.core.engines.local.drafting import LENGTHS, USUAL_ACCEPTANCE, tokens_per_decode
from baton_reasoning.core.errors import Cancelled, SettingsError
from baton_reasoning.core.files import read_json, write_json
from baton_reasoning.core.models.sampling import Sampling
from baton_reasoning.core.run import Pair
from baton_reasoning.core.thinking.events import HandedOver
from baton_reasoning.core.thinking.trace import Trace

USUAL_SHARE = 0.2
"""Large share that is assumed before a run: 0.1 to 0.3 in the paper's tables."""
READING = 0.1
"""What reading a token is assumed to cost of a decode where nothing was measured: 0.02 on GPUs, 0.2 on CPUs."""
ENOUGH_DECODES = 8
"""Decodes of the large model in a run from which their mean is its cost."""

QUESTION: Messages = (Message("user", "Count."),)
SHORTEST_WRITE, WRITTEN = 3, 16
"""Tokens that are written at once, at least and at most."""
READ, SCORED = 32, 5
"""Words that are read at once, as many as between two takeovers; and scored at once, as many as are drafted."""
SHORTEST = 8
"""Words that a slow model reads at once: as many as it reads in the time of LONGEST, but so many at least."""
LONGEST = 0.3
"""Seconds after which a decode is not repeated."""
MOST_TIMES = 5


class ModelCost(BaseModel):
    """What a model costs on this machine, in seconds."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    decode: float = Field(gt=0, description="A decode of one token, with sampling.")
    further: float = Field(ge=0, description="Each further token in a decode of a few that are all scored, as drafts.")
    prefill: float = Field(ge=0, description="Each further token of a text that is read.")

    @classmethod
    def relative(cls, active_bytes: float) -> ModelCost:
        """Estimate a cost in proportion to the bytes that a decode reads. Only ratios of such costs mean anything."""
        return cls(decode=active_bytes, further=active_bytes, prefill=READING * active_bytes)

    def seconds(self, written: float, checked: float = 0.0, read: float = 0.0) -> float:
        """Return how long this much work takes, in tokens; for one token of an answer, in parts of tokens.

        `written`: decodes, of tokens, kept or not, of drafts for the other model, and one for each handoff; an accepted
        draft needs none. `checked`: drafts of the other model.
        """
        return written * self.decode + checked * self.further + read * self.prefill


def pair_seconds(small: ModelCost, large: ModelCost, share: float) -> float:
    """Return the seconds of a token that the pair writes without drafts."""
    return small.seconds(1 - share, read=share) + large.seconds(share, read=1 - share)


def drafted_seconds(small: ModelCost, large: ModelCost, acceptance: float = USUAL_ACCEPTANCE) -> float:
    """Return the seconds of a token of the large model with drafts of the small one: plain ones if none pay."""
    return min((large.seconds(1, checked=k) + small.seconds(k)) / tokens_per_decode(acceptance, k) for k in LENGTHS)


def seconds_of_large_alone(trace: Trace, cost: ModelCost | None = None) -> float | None:
    """Estimate how long the large model alone would have taken for as many tokens as this answer has.

    What it reads costs what it cost in the run: after thousands of tokens, reading one costs several times as much as
    at the beginning, which a short measurement does not show. So does what it writes; but if it decoded too little
    there, or with drafts, the measured `cost` counts. None if one is not known, and if one model alone or several large
    models wrote the answer.
    """
    started, large = trace.started, trace.totals[Author.LARGE]
    is_alone = not large.kept or not (large.drafts or trace.totals[Author.SMALL].decoded)
    has_several = sum(model.author is Author.LARGE for model in trace.writers) > 1
    if is_alone or has_several or not (started and started.large):
        return None
    handoffs = sum(isinstance(event, HandedOver) and event.author is Author.LARGE for event in trace.events)
    decodes = large.decoded - handoffs
    if decodes >= ENOUGH_DECODES and not large.drafts:
        decode = large.decode_seconds / decodes
    elif cost:
        decode = cost.decode
    else:
        return None
    prefill = large.handoff_seconds / max(large.prefilled, 1)
    return trace.tokens * decode + started.prompt_tokens * prefill


# Measured costs


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
        return self.of_file(card.path, _loaded_as(card.placement)) if card and card.path else None

    def of_file(self, path: Path, loaded_as: str | None = None) -> ModelCost | None:
        """Return the cost of the model in a file, as it was loaded last; None if that was not `loaded_as`."""
        found = read_json(_MeasuredModels, self._file).models.get(str(path.absolute()))
        if found and loaded_as in (None, found.loaded_as):
            with suppress(OSError):
                status = path.stat()
                if (found.bytes, found.modified) == (status.st_size, status.st_mtime_ns):
                    return found.cost
        return None

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


def _loaded_as(placement: Placement | None) -> str:
    """Return what decides the cost of a model: its layers on each device, threads, batch and KV cache."""
    if placement is None:
        return ""
    layers = ", ".join(f"{share.device} {share.layers}" for share in placement.shares)
    return f"{layers}; {placement.threads} threads; batch {placement.batch}; {placement.kv_type}"
