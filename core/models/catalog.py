"""Pairs of models worth trying, as data: `resources/catalog.json`, with what each needs and is good for.

Sizes are those that the repositories publish, so a pair can be judged against this machine before a download;
`make check-catalog` compares them with the Hub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

from baton_reasoning.core.models.devices import Devices
from baton_reasoning.core.models.fit import PairFit, estimate, fit_pair
from baton_reasoning.core.models.gguf import Block, ModelShape
from baton_reasoning.core.models.gguf_format import label_of
from baton_reasoning.core.models.options import HubFile, LoadOptions, ModelOverrides

USUAL_CONTEXT = 16_384  # a thinking on a competition problem takes 5,000 to 18,000 tokens


class PublishedResult(Enum):
    """Who has shown that a pair works."""

    PAPER = "paper"
    """Measured in the paper."""
    REBUTTAL = "rebuttal"
    """Measured in the paper's discussion with its reviewers."""
    UNTESTED = "untested"
    """A sensible pair, of one family; no published benchmarks for it."""


@dataclass(frozen=True)
class CatalogModel:
    """A GGUF file on the Hub."""

    key: str
    name: str
    repository: str
    file: str
    bytes: int
    active_bytes: int
    """Read for a token: of a mixture of experts, only those that are active."""
    licence: str
    shape: ModelShape

    @property
    def hub_file(self) -> HubFile:
        return HubFile(self.repository, label_of(self.file))


@dataclass(frozen=True)
class CatalogPair:
    small: CatalogModel
    large: CatalogModel
    good_for: str
    evidence: PublishedResult
    source: str
    """Of the published figures; empty if there are none."""

    @property
    def bytes(self) -> int:
        return self.small.bytes + self.large.bytes


@dataclass(frozen=True)
class FittingPair:
    pair: CatalogPair
    fit: PairFit


@cache
def catalog() -> tuple[CatalogPair, ...]:
    """Load every pair, in the order of the file."""
    return read_catalog(files("baton_reasoning.resources").joinpath("catalog.json").read_text(encoding="utf-8"))


def read_catalog(text: str) -> tuple[CatalogPair, ...]:
    """Parse the pairs of a catalog, in its order."""
    content = json.loads(text)
    models = {key: _model(key, entry) for key, entry in content["models"].items()}
    return tuple(
        CatalogPair(
            models[pair["small"]],
            models[pair["large"]],
            pair["good_for"],
            PublishedResult(pair["evidence"]),
            pair["source"],
        )
        for pair in content["pairs"]
    )


def catalog_models() -> dict[str, CatalogModel]:
    """Return the models of the catalog by their short names, such as r1-qwen-1.5b."""
    return {model.key: model for pair in catalog() for model in (pair.small, pair.large)}


def pairs_that_fit(devices: Devices, context: int = USUAL_CONTEXT) -> tuple[FittingPair, ...]:
    """Return the pairs whose models both fit, the lightest first."""
    options = LoadOptions(context=context)
    fitting = []
    for pair in catalog():
        fit = fit_pair(estimate(pair.small.shape, options), estimate(pair.large.shape, options), devices)
        if fit.fits:
            fitting.append(FittingPair(pair, fit))
    return tuple(sorted(fitting, key=lambda each: each.pair.bytes))


def _model(key: str, entry: Mapping[str, Any]) -> CatalogModel:
    return CatalogModel(
        key=key,
        name=entry["name"],
        repository=entry["repository"],
        file=entry["file"],
        bytes=entry["bytes"],
        active_bytes=entry["bytes"] * entry.get("active_parameters", entry["parameters"]) // entry["parameters"],
        licence=entry["licence"],
        shape=_shape(entry),
    )


def _shape(entry: Mapping[str, Any]) -> ModelShape:
    """Derive the shape from published figures.

    Blocks have equal size; in hybrids every `attends_every`-th has a KV cache, and the others a recurrent state of
    `state_bytes`. The embedding has the file's mean bits per weight.
    """
    embedding = entry["bytes"] * entry["vocabulary_size"] * entry["embedding_length"] // entry["parameters"]
    outside = embedding if entry["output_is_tied"] else 2 * embedding
    block_bytes = (entry["bytes"] - outside) // entry["blocks"]
    attending = Block(block_bytes, 2 * entry["kv_heads"] * entry["head_length"])
    other = Block(block_bytes, 0, entry.get("state_bytes", 0))
    every = entry.get("attends_every", 1)
    blocks = tuple(attending if (block + 1) % every == 0 else other for block in range(entry["blocks"]))
    return ModelShape(
        tensor_bytes=entry["bytes"],
        blocks=blocks,
        token_embedding_bytes=embedding,
        output_is_tied=entry["output_is_tied"],
        embedding_length=entry["embedding_length"],
        feed_forward_length=entry["feed_forward_length"],
        vocabulary_size=entry["vocabulary_size"],
    )


@dataclass(frozen=True)
class Family:
    name: str
    patterns: tuple[str, ...]
    """Of model names in lower case, with “-” between words and numbers: “qwen2-5-*-instruct*”."""
    sampling: ModelOverrides
    """What its makers recommend."""


@cache
def families() -> tuple[Family, ...]:
    content = json.loads(files("baton_reasoning.resources").joinpath("families.json").read_text(encoding="utf-8"))
    return tuple(
        Family(entry["name"], tuple(entry["models"]), ModelOverrides(**entry["sampling"])) for entry in content
    )


def family_of(model: str) -> Family | None:
    """Find the family that a model's name (`general.name`) belongs to; the first, if there are several."""
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    return next((family for family in families() if any(fnmatchcase(name, each) for each in family.patterns)), None)
