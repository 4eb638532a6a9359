"""What a model is, what its engine can do, and where it was loaded: capabilities are data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from baton_reasoning.core.models.options import NO_OVERRIDES, DemoModel, ModelOverrides, ModelSource, ThinkingTags


@dataclass(frozen=True, slots=True)
class DeviceShare:
    """What one device holds of a loaded model, in bytes, as llama.cpp reports it."""

    device: str
    """“RAM”, or ggml's name of a GPU: “CUDA0”."""
    layers: int
    """The output layer counts as one."""
    weights: int
    cache: int
    """KV cache and recurrent states."""
    compute: int
    mapped: int = 0
    """Part of the weights that is mapped from the file; the system reclaims it when memory is short."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How a model on this machine was loaded, and which devices hold it."""

    shares: tuple[DeviceShare, ...]
    batch: int
    threads: int
    kv_type: str
    retreat: str = ""
    """What is less than was asked for, because memory ran out: “with 12 of 33 layers on the GPU”."""
    parallel: int = 1
    """Sessions that may decode at the same time, each with the whole context."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is and what its engine can do, as data: code reads capabilities here instead of guessing."""

    name: str
    vocabulary: str
    """Hash of the tokenizer: models with equal hashes hand over token ids. Empty: unknown."""
    context: int
    """Tokens (prompt and body) that one session may hold."""
    source: ModelSource | None = None
    """What a person would name to open it again."""
    path: Path | None = None
    """The GGUF file, of a model in several files the first; None on a server. Not recorded in traces."""
    location: str = "this machine"
    """Where it runs, as a label: "this machine" or a host name."""
    architecture: str = ""
    quantisation: str = ""
    parameters: int = 0
    thinking: ThinkingTags | None = None
    switches_thinking: bool = False
    """True: its chat template has a switch that turns the thinking off."""
    returns_token_ids: bool = True
    returns_alternatives: bool = True
    returns_scores: bool = False
    """True: `score` gives the log-probabilities of a text that is read."""
    supports_truncation: bool = True
    """False: recurrent or hybrid memory, rolled back through snapshots."""
    supports_prefetch: bool = False
    """True: `prefetch` does something, because the model sits on a device of its own."""
    drafting: str = ""
    """The kind of its server's own speculative decoding, in llama.cpp's words (“draft-simple”, “draft-mtp”), or
    “unknown”; empty: none. Drafted tokens come without alternatives."""
    writes_branches: bool = False
    """True: its sessions write many continuations side by side (`WritesBranches`)."""
    overrides: ModelOverrides = NO_OVERRIDES
    placement: Placement | None = None
    """None on a server."""

    @property
    def chosen_file(self) -> Path | None:
        """The file that a person chose: the demo model's own where a costly copy of it is loaded; None on a server."""
        return self.source.path if isinstance(self.source, DemoModel) else self.path

    def without_thinking(self) -> ModelCard:
        """Return the card of a session whose thinking is off: its model writes the answer at once."""
        return replace(self, thinking=None)

    @property
    def drafts(self) -> bool:
        """Whether its server writes by speculative decoding."""
        return bool(self.drafting)

    @property
    def returns_all_alternatives(self) -> bool:
        """Whether it returns alternatives after the first token of a write, too."""
        return self.returns_alternatives and not self.drafts

    def obstacle_to_drafts_of(self, small: ModelCard) -> str:
        """Return why `small` cannot draft for this model, as the rest of a sentence; empty if it can."""
        if not (self.placement and small.placement):
            return "both must be on this machine"
        if not small.vocabulary == self.vocabulary != "":
            return "their vocabularies differ"
        if not (small.supports_truncation and self.supports_truncation):
            return "one of them has recurrent memory, from which a rejected draft cannot be cut"
        if self.placement.parallel > 1 or small.placement.parallel > 1:
            return "they are loaded for parallel requests"
        return ""
