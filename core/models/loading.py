"""How a model is loaded by llama.cpp."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.models.overrides import ModelOverrides


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """What a person may choose for a local model; see `LoadOptions` for the meaning of each."""

    context: int = 8192
    parallel: int = 1
    batch: int = 512
    threads: int = 0
    gpu_layers: int = -1
    kv_type: str = "f16"
    flash_attention: bool | None = None
    own: ModelOverrides = field(default_factory=ModelOverrides)


DEFAULT_OPTIONS = LocalOptions()
