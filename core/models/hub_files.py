"""From a name on the Hub or in the catalogue to a file: on this machine already, or as a download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import DownloadError
from core.models.catalog import CatalogModel, catalog
from core.models.download import DownloadManifest
from core.models.gguf_format import shard_group
from core.models.hub_listing import Quantisation, label_of, manifest_for, recommended
from core.models.source import HubFile

if TYPE_CHECKING:
    from core.models.hub import Hub  # it takes a third of a second to import


def catalog_models() -> dict[str, CatalogModel]:
    """The models of the catalogue by their short names, such as r1-qwen-1.5b."""
    models = (model for pair in catalog() for model in (pair.small, pair.large))
    return {model.key: model for model in models}


def catalog_source(name: str) -> HubFile | None:
    """The file on the Hub of a model of the catalogue; None for any other name."""
    model = catalog_models().get(name.strip().lower())
    return HubFile(model.repository, label_of(model.file)) if model else None


def downloaded(source: HubFile, folder: Path) -> Path | None:
    """The complete file below the models folder, if there is one; of a model in several files, the first."""
    found = sorted(folder.joinpath(*source.repository.split("/")).glob("*.gguf"))
    wanted = source.quantisation.upper()
    fitting = [path for path in found if not wanted or label_of(path.name) == wanted]
    firsts = [path for path in fitting if shard_group(path) is None or "-00001-of-" in path.name]
    return firsts[0] if firsts else None


def find_download(hub: Hub, source: HubFile, folder: Path) -> DownloadManifest:
    """What has to be downloaded for a source. Raises DownloadError, which names the choices where there are several."""
    listing = hub.list_files(source.repository)
    labels = ", ".join(choice.label for choice in listing.choices)
    if not listing.choices:
        raise DownloadError(f"{source.repository} holds no GGUF file.", "Choose one whose name ends in GGUF.")
    return manifest_for(listing, _choice(listing.choices, source, labels), folder)


def _choice(choices: tuple[Quantisation, ...], source: HubFile, labels: str) -> Quantisation:
    wanted = source.quantisation.upper()
    if wanted:
        found = next((choice for choice in choices if choice.label.upper() == wanted), None)
    else:
        found = recommended(choices) or choices[0]
    if found is None:
        raise DownloadError(f"{source.repository} has no {source.quantisation}.", f"It has {labels}.")
    return found
