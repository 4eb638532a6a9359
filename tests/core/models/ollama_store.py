"""Puts models into a store as Ollama 0.33 keeps them: manifests that name blobs by their hashes."""

import hashlib
import json
from pathlib import Path

LIBRARY = "registry.ollama.ai/library"
MODEL, ADAPTER = "application/vnd.ollama.image.model", "application/vnd.ollama.image.adapter"


def put_blob(store: Path, content: bytes) -> Path:
    digest = hashlib.sha256(content).hexdigest()
    blob = store / "blobs" / f"sha256-{digest}"
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    return blob


def put_model(
    store: Path, name: str, content: bytes, kinds: tuple[str, ...] = (MODEL,), model_format: str = "gguf"
) -> Path:
    """Put a model into a store as HOST/NAMESPACE/MODEL/TAG, with a layer of each kind; return the blob of its GGUF."""
    blob = put_blob(store, content)
    config = put_blob(store, json.dumps({"model_format": model_format, "model_family": "qwen3"}).encode())
    template = put_blob(store, b"{{ .Prompt }}")
    layers = [(kind, blob) for kind in kinds] + [("application/vnd.ollama.image.template", template)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": _layer("application/vnd.docker.container.image.v1+json", config),
        "layers": [_layer(*layer) for layer in layers],
    }
    write_manifest(store, name, json.dumps(manifest))
    return blob


def write_manifest(store: Path, name: str, text: str) -> None:
    path = store / "manifests" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _layer(kind: str, blob: Path) -> dict[str, object]:
    return {"mediaType": kind, "digest": blob.name.replace("-", ":"), "size": blob.stat().st_size}
