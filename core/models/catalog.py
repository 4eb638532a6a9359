"""Pairs of models worth trying, as data: `resources/catalog.json`, with what each needs and is good for.

Sizes are those that the repositories publish, so a pair can be judged against this machine before a download;
`make check-catalog` compares them with the Hub.
"""

from __future__ import annotations

import json
from enum import Enum
from functools import cache

from pydantic import BaseModel, ConfigDict

from baton_reasoning.core.models.gguf import Block, ModelShape
from baton_reasoning.core.models.gguf_format import label_of
from baton_reasoning.core.models.source import HubFile
from baton_reasoning.resources import resource_text

USUAL_CONTEXT = 16_384  # a thinking on a competition problem takes 5,000 to 18,000 tokens


class PublishedResult(Enum):
    """Who has shown that a pair works."""

    PAPER = "paper"
    """Measured in the paper."""
    REBUTTAL = "rebuttal"
    """Measured in the paper's discussion with its reviewers."""
    UNTESTED = "untested"
    """A sensible pair, of one family; no published benchmarks for it."""


class CatalogModel(BaseModel):
    """A GGUF file on the Hub, with the figures that its makers publish."""

    model_config = ConfigDict(frozen=True)

    key: str
    """Its short name, such as r1-qwen-1.5b."""
    name: str
    repository: str
    file: str
    bytes: int
    licence: str
    parameters: int
    active_parameters: int = 0
    """Of a mixture of experts: the parameters that are read for a token."""
    blocks: int
    attends_every: int = 1
    """In a hybrid, every n-th block has a KV cache, and the others a recurrent state."""
    state_bytes: int = 0
    """Of the recurrent state of one block."""
    embedding_length: int
    feed_forward_length: int
    kv_heads: int
    head_length: int
    vocabulary_size: int
    output_is_tied: bool
    context_length: int = 0
    """Tokens that it was trained for, where those are fewer than `USUAL_CONTEXT`."""
    is_checked: bool = False
    """Whether `make check-catalog` has found the file on the Hub, with this size."""

    @property
    def hub_file(self) -> HubFile:
        return HubFile(self.repository, label_of(self.file))

    @property
    def active_bytes(self) -> int:
        """Bytes read for a token: of a mixture of experts, only those that are active."""
        return self.bytes * (self.active_parameters or self.parameters) // self.parameters

    @property
    def shape(self) -> ModelShape:
        """Derive the shape: blocks have equal size, and the embedding has the file's mean bits per weight."""
        embedding = self.bytes * self.vocabulary_size * self.embedding_length // self.parameters
        outside = embedding if self.output_is_tied else 2 * embedding
        block_bytes = (self.bytes - outside) // self.blocks
        attending = Block(block_bytes, 2 * self.kv_heads * self.head_length)
        other = Block(block_bytes, 0, self.state_bytes)
        return ModelShape(
            tensor_bytes=self.bytes,
            blocks=tuple(other if (block + 1) % self.attends_every else attending for block in range(self.blocks)),
            token_embedding_bytes=embedding,
            output_is_tied=self.output_is_tied,
            embedding_length=self.embedding_length,
            feed_forward_length=self.feed_forward_length,
            vocabulary_size=self.vocabulary_size,
            context_length=self.context_length,
        )


class CatalogPair(BaseModel):
    model_config = ConfigDict(frozen=True)

    small: CatalogModel
    large: CatalogModel
    good_for: str
    evidence: PublishedResult
    source: str
    """Of the published figures; empty if there are none."""
    reasons: bool = True
    """Whether its models were trained to think step by step."""


@cache
def catalog() -> tuple[CatalogPair, ...]:
    """Load every pair, in the order of the file."""
    return read_catalog(resource_text("catalog.json"))


def read_catalog(text: str) -> tuple[CatalogPair, ...]:
    """Parse the pairs of a catalog, in its order."""
    content = json.loads(text)
    models = {key: {"key": key, **entry} for key, entry in content["models"].items()}
    named = ({**pair, "small": models[pair["small"]], "large": models[pair["large"]]} for pair in content["pairs"])
    return tuple(map(CatalogPair.model_validate, named))


def catalog_models() -> dict[str, CatalogModel]:
    """Return the models of the catalog by their short names, such as r1-qwen-1.5b."""
    return {model.key: model for pair in catalog() for model in (pair.small, pair.large)}
