"""Compares resources/catalog.json with the Hub: is each file there, with the size that the catalog states?

    make check-catalog                 # or: HF_ENDPOINT=https://… make check-catalog

Offline it says so and succeeds. It fails if a repository or file is missing, or a size differs by more than 1%.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import httpx2

from baton_reasoning.core.errors import DownloadError
from baton_reasoning.core.models.catalog import CatalogModel, catalog
from baton_reasoning.core.models.hub import Hub
from baton_reasoning.core.models.preferences import ENDPOINT, HubAccess

TOLERANCE = 0.01
SECONDS_TO_CONNECT = 10.0


def main() -> int:
    endpoint = os.environ.get("HF_ENDPOINT", ENDPOINT)
    models = list(dict.fromkeys(model for pair in catalog() for model in (pair.small, pair.large)))
    try:
        httpx2.get(f"{endpoint}/api/models", params={"limit": "1"}, timeout=SECONDS_TO_CONNECT, follow_redirects=True)
    except httpx2.HTTPError as error:
        print(f"The catalog was not checked: {endpoint} cannot be reached ({error}).")
        return 0
    faults = list(compare(Hub(HubAccess(endpoint)), models))
    for fault in faults:
        print(f"✗ {fault}")
    print(f"{len(models) - len(faults)} of {len(models)} models of the catalog agree with {endpoint}.")
    return 1 if faults else 0


def compare(hub: Hub, models: list[CatalogModel]) -> Iterator[str]:
    """What differs, a sentence each."""
    for model in models:
        try:
            listing = hub.list_files(model.repository)
        except DownloadError as error:
            yield f"{model.name}: {error.message}"
            continue
        sizes = [choice.bytes for choice in listing.choices if any(file.name == model.file for file in choice.files)]
        if not sizes:
            yield f"{model.name}: {model.repository} has no file {model.file}."
        elif abs(sizes[0] - model.bytes) > TOLERANCE * model.bytes:
            yield f"{model.name}: {model.file} has {sizes[0]:,} bytes, and the catalog states {model.bytes:,}."
        else:
            print(f"✓ {model.name}: {sizes[0]:,} bytes, the catalog states {model.bytes:,}")


if __name__ == "__main__":
    sys.exit(main())
