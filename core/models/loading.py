"""How llama.cpp loads a model: one type for the form, the file of preferences and the engine."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict, Field

from core.models.gguf import GgufHeader
from core.models.memory import KvType, MemoryEstimate, estimate


class Switch(Enum):
    """On, off, or llama.cpp decides."""

    AUTOMATIC = "automatic"
    ON = "on"
    OFF = "off"

    @property
    def is_on(self) -> bool | None:
        """None where llama.cpp decides."""
        return {Switch.AUTOMATIC: None, Switch.ON: True, Switch.OFF: False}[self]


class LoadOptions(BaseModel):
    """What a person may choose for loading a model. The names are llama.cpp's."""

    model_config = ConfigDict(frozen=True)

    context: int = Field(8192, ge=16, le=2**20, title="Context", description="Tokens of prompt and answer.")
    batch: int = Field(512, ge=16, le=8192, title="Batch", description="Prompt tokens a decode: larger reads faster.")
    threads: int = Field(0, ge=0, le=512, title="Threads", description="CPU threads (0 = automatic).")
    gpu_layers: int = Field(-1, ge=-1, le=999, title="GPU layers", description="-1 is as many as fit.")
    kv_type: KvType = Field(KvType.F16, title="KV cache", description="q8_0 takes half the memory of f16.")
    flash_attention: Switch = Field(Switch.AUTOMATIC, title="Flash attention")
    drafts: Switch = Field(
        Switch.AUTOMATIC, title="Drafts", description="The small model drafts for it. Automatic: on a GPU."
    )
    parallel: int = Field(1, ge=1, le=256, title="Parallel requests", description="Each has the whole context.")

    @property
    def conflict(self) -> str:
        """Why llama.cpp cannot load a model with these options, and what to change; empty if it can."""
        if self.kv_type is KvType.Q8_0 and self.flash_attention is Switch.OFF:
            return "A q8_0 KV cache needs flash attention: leave that automatic, or choose f16."
        return ""

    def estimate(self, header: GgufHeader) -> MemoryEstimate:
        """The memory that the model takes, loaded with these options. It never gets a longer context than it was
        trained for."""
        context = min(self.context, header.context_length or self.context)
        return estimate(
            header,
            context * self.parallel,
            self.kv_type,
            batch=self.batch,
            sequences=self.parallel,
            flash_attention=self.flash_attention is not Switch.OFF,
        )


DEFAULT_OPTIONS = LoadOptions()
