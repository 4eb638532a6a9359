"""What a person may choose about how llama.cpp loads a model."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.models.gguf_format import TENSOR_TYPES


class KvType(Enum):
    """The data type of keys and values in the KV cache; the value is ggml's type number."""

    F32 = 0
    F16 = 1
    Q4_0 = 2
    Q8_0 = 8

    @property
    def is_quantised(self) -> bool:
        return TENSOR_TYPES[self.value].block > 1

    def bytes_for(self, elements: int) -> int:
        kind = TENSOR_TYPES[self.value]
        return elements * kind.size // kind.block


class Switch(Enum):
    """On, off, or llama.cpp decides."""

    AUTOMATIC = "automatic"
    ON = "on"
    OFF = "off"

    @property
    def is_on(self) -> bool | None:
        """True or False; None where llama.cpp decides."""
        return {Switch.AUTOMATIC: None, Switch.ON: True, Switch.OFF: False}[self]


Context = Annotated[
    int,
    Field(
        ge=256,
        le=2**20,
        title="Context",
        description="Maximum tokens for prompt and answer.",
        json_schema_extra={"step": 1024},
    ),
]
Threads = Annotated[
    int,
    Field(
        ge=0,
        le=512,
        title="Threads",
        description="CPU threads per model; 0 is automatic: one for each fast core, fewer while others are busy.",
        json_schema_extra={"lowest": "automatic"},
    ),
]
GpuLayers = Annotated[
    int,
    Field(
        ge=-1,
        le=999,
        title="GPU layers",
        description="Layers on the GPU; -1 is automatic: all that fit.",
        json_schema_extra={"lowest": "automatic"},
    ),
]
Parallel = Annotated[int, Field(ge=1, le=256, title="Parallel requests", description="Each has the whole context.")]


class LoadOptions(BaseModel):
    """What a person may choose for loading a model. The names are llama.cpp's."""

    model_config = ConfigDict(frozen=True)

    context: Context = 8192
    batch: int = Field(512, ge=16, le=8192, title="Batch", description="Prompt tokens a decode: larger reads faster.")
    threads: Threads = 0
    gpu_layers: GpuLayers = -1
    kv_type: KvType = Field(
        KvType.F16,
        title="KV cache",
        description="q8_0 takes half the memory of f16.",
        json_schema_extra={"names": {str(kind.value): kind.name.lower() for kind in KvType}},
    )
    flash_attention: Switch = Field(
        Switch.AUTOMATIC,
        title="Flash attention",
        description="Automatic: on a GPU. On a CPU it makes a text depend on the number of threads.",
    )
    drafts: Switch = Field(
        Switch.AUTOMATIC, title="Drafts", description="The small model drafts for it. Automatic: on a GPU."
    )
    parallel: Parallel = 1

    @property
    def conflict(self) -> str:
        """Why llama.cpp cannot load a model with these options, and what to change; empty if it can."""
        if self.kv_type.is_quantised and self.flash_attention is Switch.OFF:
            name = self.kv_type.name.lower()
            return f"A {name} KV cache needs flash attention: leave that automatic, or choose f16."
        return ""


DEFAULT_OPTIONS = LoadOptions()
