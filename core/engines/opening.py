"""From what a person names (a file, later also an address) to an engine."""

from __future__ import annotations

from pathlib import Path

from core.engines.base import Engine
from core.engines.local.client import LocalEngine, LocalOptions


def open_engine(where: str, options: LocalOptions) -> Engine:
    """Load the model in this GGUF file. Blocks while it loads.

    Raises ModelFileError, OutOfMemory, EngineError.
    """
    return LocalEngine(Path(where).expanduser(), options)
