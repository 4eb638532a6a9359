"""The pairs of this machine, each with its memory and speed here; and which one to recommend.

They are the catalogue's pairs, pairs of the files that are here, the demo pair, and each known server beside a file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from math import inf
from pathlib import Path
from typing import NamedTuple

from baton_reasoning.core.demo_pair import WHAT_IT_SOLVES
from baton_reasoning.core.demo_pair.costly import DemoFiles
from baton_reasoning.core.model_costs import USUAL_SHARE, ModelCost, ModelCosts, pair_seconds
from baton_reasoning.core.models.catalog import USUAL_CONTEXT, CatalogModel, PublishedResult, catalog
from baton_reasoning.core.models.devices import Devices
from baton_reasoning.core.models.download import SPARE_BYTES
from baton_reasoning.core.models.fit import FitKind, estimate, fit_together, in_gib
from baton_reasoning.core.models.gguf import GgufHeader, ModelShape, read_header
from baton_reasoning.core.models.library import FolderOrigin, LocalModel, text_of
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.ollama import shown_name
from baton_reasoning.core.models.source import DemoModel, LocalFile, ModelSource, ServerUrls, server_urls
from baton_reasoning.core.words.speed import FEWEST_PARAMETERS, HARDLY_FASTER, bytes_per_second, gap_warning

USUAL_BANDWIDTH = 30e9
"""Bytes of a model that a CPU reads in a second of decoding, assumed where none was measured: two channels of DDR4 or
DDR5 give 40 to 90 GB/s in theory."""
USUAL_ANSWER = 2000
"""Tokens of the answer by whose time pairs are compared."""
LONGEST_WAIT = 400.0
"""Seconds for such an answer by a pair that is recommended: 5 tokens a second, about the speed of reading aloud."""
MOST_OF_FILES = 5
"""Pairs of files that are listed beside the catalogue's."""


class PairKind(Enum):
    """Where a pair runs, in a word; the catalogue's pairs are of files, too."""

    FILES = "on this machine"
    DEMO = "demo"
    SERVER = "server"


class PairModel(NamedTuple):
    """One model of a pair."""

    key: str
    """What `--small` and `--large` take."""
    name: str
    source: ModelSource
    shape: ModelShape | None = None
    """None on a server."""
    active_bytes: int = 0
    """Bytes read for a token."""
    parameters: int = 0
    licence: str = ""
    """Empty if it is not known."""
    file: Path | None = None
    """What is loaded and measured; None if it is not here."""
    to_get: CatalogModel | None = None
    """What has to be downloaded."""


class JudgedPair(NamedTuple):
    """A pair, and how it would do on this machine."""

    small: PairModel
    large: PairModel
    good_for: str
    kind: PairKind = PairKind.FILES
    evidence: PublishedResult | None = None
    """None if the pair is not in the catalogue."""
    reasons: bool = True
    """Whether its models were trained to think step by step."""
    memory: int = 0
    """Bytes of the models on this machine, with their context."""
    is_on_gpu: bool = False
    """Whether both models fit on a GPU as a whole."""
    speed: float | None = None
    """Tokens a second; None where nothing tells it: with a server, and on a GPU before it was measured."""
    time: float | None = None
    """Of the pair, over that of the large model alone; None with a server."""
    is_measured: bool = False
    """Whether both models were measured on this machine; else speed and time are estimated from sizes."""
    disk_free: int = 0
    """Bytes, where downloads go."""

    @property
    def key(self) -> tuple[str, str]:
        """What tells this pair from others, whether it was downloaded or not."""
        return self.small.key, self.large.key

    @property
    def name(self) -> str:
        return f"{self.small.name} with {self.large.name}"

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
        return [model.to_get for model in (self.small, self.large) if model.to_get]

    @property
    def download_bytes(self) -> int:
        return sum(model.bytes for model in self.missing)

    @property
    def place(self) -> str:
        """Where it is, in a word; or the size of what has to be downloaded."""
        return in_gib(self.download_bytes) if self.missing else self.kind.value

    @property
    def disk_lacks(self) -> bool:
        """Whether the disk cannot hold what is missing."""
        return bool(self.missing) and self.download_bytes + SPARE_BYTES > self.disk_free


def judge_pairs(
    devices: Devices,
    disk_free: int,
    models: Sequence[LocalModel],
    costs: ModelCosts,
    demo: DemoFiles,
    servers: Mapping[str, str],
    context: int = USUAL_CONTEXT,
) -> tuple[JudgedPair, ...]:
    """Judge the pairs that fit, the fastest first; where no speed is known, the lightest, and servers last.

    `servers`: names by address. Reads files, and takes some milliseconds for each large model.
    """
    headers = [model.header for model in models if model.origin is not FolderOrigin.BUILT_IN]  # too tiny to tell a rate
    rate = None if devices.gpus else bytes_per_second(headers, costs) or USUAL_BANDWIDTH
    options = LoadOptions(context=context)

    def fitting(pairs: Iterator[JudgedPair]) -> Iterator[JudgedPair]:
        for pair in pairs:
            shapes = [model.shape for model in (pair.small, pair.large) if model.shape]
            fits = fit_together((estimate(shape, options) for shape in shapes), devices)
            if all(fit.fits for fit in fits):
                memory = sum(fit.gpu_bytes + fit.ram_bytes for fit in fits)
                on_gpu = len(fits) == 2 and all(fit.kind is FitKind.WHOLE_ON_GPU for fit in fits)
                placed = pair._replace(memory=memory, is_on_gpu=on_gpu, disk_free=disk_free)
                yield placed if pair.kind is PairKind.SERVER else _timed(placed, costs, rate)

    known = [*fitting(_pairs_of_catalog({header.path.name: header.path for header in headers}))]
    covered = {pair.large.file for pair in known if not pair.missing}
    of_files = sorted(fitting(_pairs_of_files(headers, covered)), key=_strength, reverse=True)[:MOST_OF_FILES]
    others = fitting(iter([_demo_pair(demo), *_pairs_with_servers(headers, servers)]))
    return tuple(sorted([*known, *of_files, *others], key=_order))


def recommended(pairs: Sequence[JudgedPair]) -> JudgedPair | None:
    """Return the strongest pair that is fast here, one whose gain was published before others; else the fastest.

    Neither the demo pair, which solves only its own puzzles, nor a server, whose speed is not known.
    """
    of_files = [each for each in pairs if each.kind is PairKind.FILES]
    held = [each for each in of_files if not each.disk_lacks] or of_files
    fast = [each for each in held if each.time and each.time < HARDLY_FASTER and each.is_fast]
    if fast:
        return max(fast, key=_strength)
    return max(held, key=lambda each: each.speed or 0, default=None)


def _timed(pair: JudgedPair, costs: ModelCosts, rate: float | None) -> JudgedPair:
    """Tell the time of a pair as it was measured, else from the bytes that are read in a second, if these are known."""
    both = (pair.small, pair.large)
    measured = [cost for model in both if model.file and (cost := costs.of_file(model.file))]
    is_measured = len(measured) == 2
    estimated = (ModelCost.relative(model.active_bytes / (rate or 1)) for model in both)
    of_small, of_large = measured if is_measured else estimated
    seconds = pair_seconds(of_small, of_large, USUAL_SHARE)
    return pair._replace(
        speed=1 / seconds if rate or is_measured else None, time=seconds / of_large.decode, is_measured=is_measured
    )


def _order(pair: JudgedPair) -> tuple[float, bool, int]:
    return pair.answer_seconds or inf, pair.kind is PairKind.SERVER, pair.memory


def _strength(pair: JudgedPair) -> tuple[bool, bool, bool, int, float]:
    is_published = pair.evidence not in (None, PublishedResult.UNTESTED)
    return pair.is_fast, is_published, pair.reasons, pair.large.parameters, -(pair.time or 0)


# What there is --------------------------------------------------------------------------------------------------------


def _pairs_of_catalog(files: Mapping[str, Path]) -> Iterator[JudgedPair]:
    """Yield every pair of the catalogue. `files`: what is here, by name."""

    def model(known: CatalogModel) -> PairModel:
        file = files.get(known.file)
        return PairModel(
            known.key,
            known.name,
            LocalFile(file) if file else known.hub_file,
            known.shape,
            known.active_bytes,
            known.parameters,
            known.licence,
            file,
            None if file else known,
        )

    for pair in catalog():
        small, large = model(pair.small), model(pair.large)
        yield JudgedPair(small, large, pair.good_for, evidence=pair.evidence, reasons=pair.reasons)


def _pairs_of_files(headers: Sequence[GgufHeader], covered: Collection[Path | None]) -> Iterator[JudgedPair]:
    """Yield each large file that is not covered, with the small one that suits it best."""
    for large in headers:
        small = _best_small(large, headers)
        if small and large.path not in covered:
            shares = small.vocabulary_hash == large.vocabulary_hash
            same = "vocabulary" if shares else f"architecture ({large.architecture}), not the vocabulary"
            about = f"Two files on this machine that share the {same}.{_weakness(small, large)}"
            reasons = bool(small.thinking_tags and large.thinking_tags)
            yield JudgedPair(_of_file(small), _of_file(large), about, reasons=reasons)


def _best_small(large: GgufHeader, headers: Sequence[GgufHeader]) -> GgufHeader | None:
    """Return a model of at most half the parameters and the same vocabulary, else of the same architecture.

    One that is not too weak is better, then one that thinks if the large model does, then the fastest.
    """

    def quality(small: GgufHeader) -> tuple[bool, bool, bool, int]:
        shares = small.vocabulary_hash == large.vocabulary_hash
        is_alike = bool(small.thinking_tags) is bool(large.thinking_tags)
        return shares, not _weakness(small, large), is_alike, -small.active_bytes

    smaller = (each for each in headers if 2 * each.parameters <= large.parameters)
    alike = (
        each
        for each in smaller
        if each.vocabulary_hash == large.vocabulary_hash or each.architecture == large.architecture
    )
    return max(alike, key=quality, default=None)


def _weakness(small: GgufHeader, large: GgufHeader) -> str:
    return gap_warning(small.parameters, large.parameters, small.thinking_tags is not None)


def _of_file(header: GgufHeader) -> PairModel:
    source = LocalFile(header.path)
    name = shown_name(header.path.with_suffix(""))
    sizes = header.active_bytes, header.parameters
    return PairModel(text_of(source), name, source, header, *sizes, header.licence, header.path)


def _demo_pair(files: DemoFiles) -> JudgedPair:
    def model(demo: DemoModel) -> PairModel:
        header = read_header(demo.path)
        shape = replace(header, tensor_bytes=files.size(demo))
        sizes = shape.active_bytes, header.parameters
        return PairModel(str(demo), header.name, demo, shape, *sizes, header.licence, files.path(demo))

    about = f"It shows how two models write one answer, without a download. {WHAT_IT_SOLVES}"
    return JudgedPair(model(DemoModel.SMALL), model(DemoModel.LARGE), about, PairKind.DEMO)


def _pairs_with_servers(headers: Sequence[GgufHeader], servers: Mapping[str, str]) -> Iterator[JudgedPair]:
    """Yield each server as the large model of the fastest file that is not too weak to be the small one."""
    small = max(headers, key=lambda each: (each.parameters >= FEWEST_PARAMETERS, -each.active_bytes), default=None)
    if small is None:
        return
    for address, name in servers.items():
        about = f"The large model is on the server {address}; how fast it answers there is not known."
        large = PairModel(name, name, ServerUrls(server_urls(address)))
        yield JudgedPair(_of_file(small), large, about, PairKind.SERVER)
