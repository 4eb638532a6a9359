"""The catalogue's pairs as they are on this machine: download, memory and speed; and which one to recommend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.core.model_costs import USUAL_SHARE, ModelCost, ModelCosts, pair_seconds
from baton_reasoning.core.models.catalog import (
    USUAL_CONTEXT,
    CatalogModel,
    CatalogPair,
    FittingPair,
    PublishedResult,
    pairs_that_fit,
)
from baton_reasoning.core.models.devices import Devices
from baton_reasoning.core.models.download import SPARE_BYTES
from baton_reasoning.core.models.fit import FitKind
from baton_reasoning.core.models.library import FolderOrigin, LocalModel
from baton_reasoning.core.words.speed import HARDLY_FASTER, bytes_per_second

USUAL_BANDWIDTH = 30e9
"""Bytes of a model that a CPU reads in a second of decoding, assumed where none was measured: two channels of DDR4 or
DDR5 give 40 to 90 GB/s in theory."""
USUAL_ANSWER = 2000
"""Tokens of the answer by whose time pairs are compared."""
LONGEST_WAIT = 400.0
"""Seconds for such an answer by a pair that is recommended: 5 tokens a second, about the speed of reading aloud."""


class JudgedPair(NamedTuple):
    """A pair that fits this machine."""

    pair: CatalogPair
    small: Path | None
    """The file on this machine; None if it is not here."""
    large: Path | None
    memory: int
    """Bytes of both models, with their context."""
    is_on_gpu: bool
    """Whether both models fit on a GPU as a whole."""
    speed: float | None
    """Tokens a second; None where nothing tells it: on a GPU, before it was measured."""
    time: float
    """Of the pair, over that of the large model alone."""
    is_measured: bool
    """Whether both models were measured on this machine; else speed and time are estimated from sizes."""
    disk_free: int
    """Bytes, where downloads go."""

    @property
    def answer_seconds(self) -> float | None:
        """Seconds of an answer of `USUAL_ANSWER` tokens; None where the speed is not known."""
        return USUAL_ANSWER / self.speed if self.speed else None

    @property
    def is_fast(self) -> bool:
        """Whether an answer takes `LONGEST_WAIT` at most; on a GPU also where its speed is not known."""
        return self.is_on_gpu if self.answer_seconds is None else self.answer_seconds <= LONGEST_WAIT

    @property
    def missing(self) -> list[CatalogModel]:
        return [model for model, file in ((self.pair.small, self.small), (self.pair.large, self.large)) if file is None]

    @property
    def download_bytes(self) -> int:
        return sum(model.bytes for model in self.missing)

    @property
    def disk_lacks(self) -> bool:
        """Whether the disk cannot hold what is missing."""
        return bool(self.missing) and self.download_bytes + SPARE_BYTES > self.disk_free


def judge_pairs(
    devices: Devices,
    disk_free: int,
    models: Sequence[LocalModel],
    costs: ModelCosts,
    context: int = USUAL_CONTEXT,
) -> tuple[JudgedPair, ...]:
    """Judge the pairs that fit, the fastest first; where no speed is known, the lightest. Takes some milliseconds."""
    headers = [model.header for model in models if model.origin is not FolderOrigin.BUILT_IN]  # too tiny to tell a rate
    files = {header.path.name: header.path for header in headers}
    rate = None if devices.gpus else bytes_per_second(headers, costs) or USUAL_BANDWIDTH

    def judged(fitting: FittingPair) -> JudgedPair:
        pair, *fits = fitting
        small, large = files.get(pair.small.file), files.get(pair.large.file)
        measured = [cost for file in (small, large) if file and (cost := costs.of_file(file))]
        is_measured = len(measured) == 2
        estimated = (ModelCost.relative(model.active_bytes / (rate or 1)) for model in (pair.small, pair.large))
        of_small, of_large = measured if is_measured else estimated
        seconds = pair_seconds(of_small, of_large, USUAL_SHARE)
        return JudgedPair(
            pair,
            small,
            large,
            memory=sum(fit.gpu_bytes + fit.ram_bytes for fit in fits),
            is_on_gpu=all(fit.kind is FitKind.WHOLE_ON_GPU for fit in fits),
            speed=1 / seconds if rate or is_measured else None,
            time=seconds / of_large.decode,
            is_measured=is_measured,
            disk_free=disk_free,
        )

    return tuple(sorted(map(judged, pairs_that_fit(devices, context)), key=lambda each: each.answer_seconds or 0))


def recommended(pairs: Sequence[JudgedPair]) -> JudgedPair | None:
    """Return the strongest pair that is fast here, one whose gain was published before others; else the fastest."""
    held = [each for each in pairs if not each.disk_lacks] or list(pairs)
    fast = [each for each in held if each.time < HARDLY_FASTER and each.is_fast]
    if fast:
        return max(fast, key=_strength)
    return max(held, key=lambda each: each.speed or 0, default=None)


def _strength(judged: JudgedPair) -> tuple[bool, bool, int, float]:
    is_published = judged.pair.evidence is not PublishedResult.UNTESTED
    return is_published, judged.pair.reasons, judged.pair.large.parameters, -judged.time
