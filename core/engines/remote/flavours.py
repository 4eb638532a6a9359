"""The servers that speak OpenAI's `/v1/completions`, and what each can and cannot do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import PureWindowsPath

from core.engines.remote.dialect import Ask
from core.engines.remote.fields import Fields


@dataclass(frozen=True, slots=True)
class Abilities:
    """`ids`: takes and gives token ids, and tokenises. `renders`: tells conversations as ids, by its own template.
    `alternatives`: log-probabilities. `usage`: counts tokens while it streams, and once more when it has finished.
    `top_k`: its word for no limit, None if it knows no top_k."""

    ids: bool = False
    renders: bool = False
    alternatives: bool = False
    usage: bool = False
    top_k: int | None = None


class Flavour(Enum):
    VLLM = "vLLM"
    SGLANG = "SGLang"
    LM_STUDIO = "LM Studio"
    LLAMA_SERVER = "llama-server"
    OLLAMA = "Ollama"
    UNKNOWN = "an OpenAI-style server"

    @property
    def abilities(self) -> Abilities:
        return _ABILITIES.get(self, Abilities())


_ABILITIES = {
    Flavour.VLLM: Abilities(ids=True, renders=True, alternatives=True, usage=True, top_k=0),
    Flavour.SGLANG: Abilities(ids=True, alternatives=True, usage=True, top_k=-1),
    Flavour.LLAMA_SERVER: Abilities(top_k=0),
}
_OWNERS = {
    "vllm": Flavour.VLLM,
    "sglang": Flavour.SGLANG,
    "organization_owner": Flavour.LM_STUDIO,
    "llamacpp": Flavour.LLAMA_SERVER,
    "library": Flavour.OLLAMA,
}
"""What they write as `owned_by` in `/v1/models`."""


def name_of(model: str) -> str:
    """For people: llama.cpp's servers call a model by the path of its file unless told otherwise."""
    return PureWindowsPath(model).stem if model.endswith(".gguf") else model


def choose_model(ask: Ask, name: str) -> tuple[Fields, Flavour]:
    """The model's entry in `/v1/models` (the first, if the name is empty), and who serves it."""
    entries = list(ask("/v1/models", None).each("data"))
    entry = next((each for each in entries if not name or each.text("id") == name), Fields(None))
    return entry, _OWNERS.get(entry.text("owned_by"), Flavour.UNKNOWN)
