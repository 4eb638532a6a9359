"""Finds the models in Ollama's stores: GGUF files that are named by their hashes. Nothing there is ever changed.

A store has `manifests/HOST/NAMESPACE/MODEL/TAG`, JSON that lists the layers of a model, and `blobs/sha256-HEX`, the
layers. Source: Ollama 0.33, manifest/paths.go, types/model/name.go, server/images.go.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, TypeVar

from msgspec import Meta, Struct, json

from baton_reasoning.core.errors import ModelFileError

OWN_ARCHITECTURES = frozenset("deepseekocr glm4moelite glmocr gptoss nemotron_h_omni olmo3 qwen25vl".split())
"""Architectures of models converted by Ollama, which translates them for llama.cpp as it loads them
(llama/compat/llama-ollama-compat.cpp). Others have llama.cpp's names and other tensors: they fail when loaded."""

SERVICE_STORE = Path("/usr/share/ollama/.ollama/models")
"""Of the service that Ollama's installer sets up on Linux."""
_HOST, _NAMESPACE = "registry.ollama.ai", "library"
_NAME = re.compile(
    r"(?:(?:(?P<host>\w[\w.:-]*)/)?(?P<namespace>\w[\w-]*)/)?(?P<model>\w[\w.-]*):(?P<tag>\w[\w.-]*)", re.ASCII
)
_BLOB = re.compile(r"sha256-[0-9a-fA-F]{64}")
_MODEL, _ADAPTER = "application/vnd.ollama.image.model", "application/vnd.ollama.image.adapter"
_LARGEST_JSON = 2**20
"""Bytes that are read of a manifest; a damaged one may name any blob as its configuration."""


class _Layer(Struct, rename="camel"):
    digest: Annotated[str, Meta(pattern="^sha256[:-][0-9a-fA-F]{64}$")]
    media_type: str = ""


class _Manifest(Struct):
    config: _Layer
    layers: list[_Layer] | None = None
    """Null for a model that runs on Ollama's servers."""


class _Config(Struct):
    model_format: str = ""


def stores(home: Path) -> tuple[Path, ...]:
    """List where stores may be."""
    named = os.environ.get("OLLAMA_MODELS", "").strip(" \t\"'")
    return (*([Path(named)] if named else []), home / ".ollama" / "models", SERVICE_STORE)


def models_in(store: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and the file of each model; one that is damaged, incomplete or unreadable is left out."""
    with suppress(OSError):
        for manifest in sorted((store / "manifests").glob("*/*/*/*")):
            host, namespace, model, tag = manifest.parts[-4:]
            owner = f"{host}/{namespace}/" if host != _HOST else f"{namespace}/" if namespace != _NAMESPACE else ""
            if _NAME.fullmatch(name := f"{owner}{model}:{tag}"):
                with suppress(OSError, ValueError):
                    yield name, _model_file(store, manifest)


def find(name: str) -> Path | None:
    """Return the file of the model with this name (`qwen3:8b`, `owner/model:tag`); None if no store has it.

    Raises ModelFileError if its file cannot be used.
    """
    if not (parts := _NAME.fullmatch(name)):
        return None
    manifest = Path("manifests", parts["host"] or _HOST, parts["namespace"] or _NAMESPACE, parts["model"], parts["tag"])
    for store in stores(Path.home()):
        try:
            (store / manifest).stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ModelFileError(f"{store} cannot be read: {error.strerror}.", _offer(name)) from error
        try:
            return _model_file(store, store / manifest)
        except (OSError, ValueError) as error:
            reason = f"a file cannot be read ({error.strerror})" if isinstance(error, OSError) else error
            raise ModelFileError(f"Ollama's {name} cannot be used: {reason}.", _offer(name)) from error
    return None


def is_blob(path: Path) -> bool:
    """Return whether a file lies in a store of Ollama's."""
    return path.parent.name == "blobs" and bool(_BLOB.fullmatch(path.name))


def shown_name(path: Path) -> str:
    """Return the name of a file, in Ollama's store that of the model."""
    return _name_of_blob(path) if is_blob(path) else path.name


@cache
def _name_of_blob(blob: Path) -> str:
    """Return the most telling of its names: `qwen3:8b` rather than `qwen3:latest`; kept until the program ends."""
    names = (name for name, file in models_in(blob.parent.parent) if file == blob)
    return min(names, key=lambda name: (name.endswith(":latest"), name), default=blob.name)


def offer(path: Path) -> str:
    """Say how Ollama serves a model that lies in its store and that llama.cpp does not load; “” for other files."""
    return _offer(shown_name(path)) if is_blob(path) else ""


def _offer(name: str) -> str:
    return f"Let Ollama serve it: start it, and use http://localhost:11434#{name}."


def _model_file(store: Path, manifest: Path) -> Path:
    """Return the GGUF file of a model. Raises OSError, or ValueError with the reason, if it cannot be used."""
    read = _read(manifest, _Manifest)
    digests = {layer.media_type: layer.digest for layer in read.layers or ()}
    if _MODEL not in digests or _read(_blob(store, read.config.digest), _Config).model_format != "gguf":
        raise ValueError("it has no file in the format GGUF")
    if _ADAPTER in digests:
        raise ValueError("it is used with an adapter")
    file = _blob(store, digests[_MODEL])
    file.stat()
    return file


def _blob(store: Path, digest: str) -> Path:
    return store / "blobs" / digest.replace(":", "-")


Read = TypeVar("Read")


def _read(path: Path, kind: type[Read]) -> Read:
    with path.open("rb") as file:
        content = file.read(_LARGEST_JSON)
    try:
        return json.decode(content, type=kind)
    except (ValueError, RecursionError) as error:
        raise ValueError("its manifest or configuration is damaged") from error
